// Load that costs the one who makes it next to nothing: requests are built before, and sent as they are. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "wire.h"

namespace taffrail::bench {

/// Frames of Produce v7, one for each partition, with one batch each and acks=all.
struct Requests {
  std::vector<std::string> frames;
  uint32_t batch_bytes = 0;
  uint32_t records = 0;
};
/// Batches of at most `batch_bytes` of records of `record_bytes`, at least one.
Requests build_produces(const std::string& topic, int32_t partitions, uint32_t batch_bytes, uint32_t record_bytes);

/// Seconds, each the time one request took.
struct Latencies {
  std::vector<float> all;
  double quantile(double q);
};

struct Outcome {
  uint64_t requests = 0;
  uint64_t bytes = 0;  ///< Of batches, sent or received.
  double seconds = 0;
  Latencies latency;
};

/// Sends until `bytes` of batches are acknowledged: `connections`, each with `depth` requests on the way. Connection i
/// sends to partitions i, i + connections... `on_sent` hears of each batch's size.
Outcome produce_closed(const Leaders& leaders, const Requests& requests, int connections, int depth, uint64_t bytes,
                       const std::function<void(uint32_t)>& on_sent = [](uint32_t) {});

/// One request every 1/`rate` seconds, whatever the answers do; latency counts from when it should have been sent.
Outcome produce_open(const Leaders& leaders, const Requests& requests, int connections, double rate, double seconds);

/// Reads from offset 0 of each partition on, and again, until `bytes` have come; one partition per connection, depth 1.
Outcome fetch_closed(const Leaders& leaders, const std::string& topic, int connections, uint32_t max_bytes,
                     uint64_t bytes);

}  // namespace taffrail::bench
