// A client that waits: one request, one answer. For what happens around a measurement; what is measured is sent by
// generator.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "machine.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/metadata.h"

namespace taffrail::bench {

/// A connected socket with the options that all clients here use, or -1. Waits at most `patience_s` for each answer.
int dial(uint16_t port, double patience_s = 10);

class Wire {
 public:
  explicit Wire(uint16_t port, double patience_s = 10) : fd_(dial(port, patience_s)) {}
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  bool connected() const { return fd_ >= 0; }

  /// Nothing if the broker went, or did not answer in time.
  template <class Request>
  std::optional<typename Request::Response> ask(const Request& request, int16_t version) {
    const auto frame = protocol::encode_request(1, "bench", request, version);
    if (!frame) die("encode: " + frame.error().text());
    const auto answer = exchange(frame->flat());
    if (!answer) return std::nullopt;
    auto header = protocol::decode_response_header(*answer, Request::kApi.key, version);
    if (!header) return std::nullopt;
    auto body = protocol::decode<typename Request::Response>(header->body, version);
    if (!body) return std::nullopt;
    return *std::move(body);
  }
  /// A frame, and the answer to it less its length.
  std::optional<Slice> exchange(ByteView frame);

 private:
  int fd_;
};

/// Who leads what.
struct Leaders {
  std::vector<uint16_t> port;       ///< By partition; 0: nobody.
  std::vector<uint16_t> brokers;    ///< Ports of those alive.
  size_t in_sync_min = 0;           ///< The smallest in-sync set of all partitions.
  bool complete() const;
};
std::optional<Leaders> ask_leaders(uint16_t port, const std::string& topic);

/// Creates a topic and waits until each of its partitions has a leader and all its replicas in sync.
Leaders create_topic(const std::vector<uint16_t>& ports, const std::string& topic, int32_t partitions, int16_t replicas);

}  // namespace taffrail::bench
