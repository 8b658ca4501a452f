#include "workloads.h"

#include <fmt/core.h>

#include <algorithm>

#include "generator.h"

namespace taffrail::bench {
namespace {

constexpr int kPartitions = 16;
constexpr int kConnections = 16;
constexpr int kDepth = 4;
constexpr double kMiB = 1 << 20;
/// Before the clock starts: enough for every segment of the write-ahead log to have been written once.
constexpr uint64_t kWarmBytes = uint64_t{384} << 20;
/// Warm memory that is free when the clock starts.
constexpr double kHeadStart = 64 * kMiB;
constexpr const char* kTopic = "bench";

Values memory_of(const Cluster& cluster) {
  return {{"memory", "MiB", cluster.rss() / kMiB}, {"memory at most", "MiB", cluster.rss_peak() / kMiB}};
}

Values fetch_run(Cluster cluster, uint64_t stored, double& others) {
  constexpr int kReaders = 4;
  const Leaders leaders = create_topic(cluster.ports(), kTopic, cluster.is_ceiling() ? kPartitions : kReaders, 1);
  const Leaders read{{leaders.port.begin(), leaders.port.begin() + kReaders}, leaders.brokers, 1};
  const Requests requests = build_produces(kTopic, kReaders, 64 * 1024, 1024);
  produce_closed(read, requests, kReaders, kDepth, stored);
  cluster.wait_in_segments(static_cast<double>(stored), kReaders);
  fetch_closed(read, kTopic, kReaders, 1 << 20, stored);

  const Stretch stretch(cluster);
  Outcome out = fetch_closed(read, kTopic, kReaders, 1 << 20, uint64_t{1} << 30);
  const Stretch::Cost cost = stretch.end();
  others = std::max(others, cost.others);
  const double gb = static_cast<double>(out.bytes) / 1e9;
  Values values{{"CPU per GB", "s", cost.cpu / gb},
                {"throughput", "GB/s", gb / out.seconds},
                {"answer p50", "ms", out.latency.quantile(0.5) * 1e3}};
  const Values memory = memory_of(cluster);
  values.insert(values.end(), memory.begin(), memory.end());
  return values;
}

Values start_run(Cluster cluster) {
  const Leaders leaders = create_topic(cluster.ports(), kTopic, cluster.is_ceiling() ? kPartitions : 1, 1);
  const Requests one = build_produces(kTopic, 1, 1024, 100);
  Wire wire(leaders.port[0]);
  if (!wire.exchange(as_bytes(one.frames[0]))) die("the first produce was not answered");
  const double ready = now() - cluster.started();
  sleep_until(now() + 1);
  const double rss = cluster.rss();
  const double cpu = cluster.cpu();
  sleep_until(now() + 1);
  return {{"first answered produce", "ms", ready * 1e3},
          {"idle memory", "MiB", rss / kMiB},
          {"idle CPU", "% of a core", (cluster.cpu() - cpu) * 100}};
}

Workload produce_workload(std::string name, std::string what, uint32_t batch, uint32_t record, uint64_t bytes,
                          Target target) {
  Workload w;
  w.name = std::move(name);
  w.what = std::move(what);
  w.targets = {std::move(target)};
  w.ours = [=](const Setup& s, double& others) {
    return produce_run(Cluster::taffrail(s, 1), batch, record, bytes, 1, others);
  };
  w.ceiling = [=](const Setup& s, double& others) {
    return produce_run(Cluster::ceiling(s), batch, record, bytes, 1, others);
  };
  return w;
}

Workload latency_workload(std::string name, int32_t partitions) {
  Workload w;
  w.name = std::move(name);
  w.what = fmt::format("10,000 produces of 1 KB a second over {} partitions, each answered when synced", partitions);
  w.targets = {{"p50", true, 1.5, 1.2}, {"p99", true, 2, 1.2}};
  w.ours = [=](const Setup& s, double& others) {
    return latency_run(Cluster::taffrail(s, 1), partitions, 10'000, 1, others);
  };
  w.ceiling = [=](const Setup& s, double& others) {
    return latency_run(Cluster::ceiling(s, {fmt::format("--partitions={}", partitions)}), partitions, 10'000, 1, others);
  };
  return w;
}

Workload fetch_workload(std::string name, std::string what, uint64_t stored, std::vector<std::string> settings,
                        std::string from) {
  Workload w;
  w.name = std::move(name);
  w.what = std::move(what);
  w.targets = {{"CPU per GB", true, 1.5, 1.1}};
  w.ours = [=](const Setup& s, double& others) { return fetch_run(Cluster::taffrail(s, 1, settings), stored, others); };
  w.ceiling = [=](const Setup& s, double& others) {
    return fetch_run(Cluster::ceiling(s, {"--mode=crc", "--fetch=" + from}), stored, others);
  };
  return w;
}

}  // namespace

Values produce_run(Cluster cluster, uint32_t batch_bytes, uint32_t record_bytes, uint64_t bytes, int16_t replicas,
                   double& others) {
  const Leaders leaders = create_topic(cluster.ports(), kTopic, kPartitions, replicas);
  const Requests warm = build_produces(kTopic, kPartitions, 64 * 1024, 1024);
  const Requests requests = build_produces(kTopic, kPartitions, batch_bytes, record_bytes);
  const auto warmed = static_cast<double>(produce_closed(leaders, warm, kConnections, kDepth, kWarmBytes).bytes);
  cluster.wait_in_segments(warmed, kPartitions);

  // Segments are new files; what the log is written to first is there already.
  const double copies = cluster.is_ceiling() ? 0 : 1.1 * replicas;
  Hoard hoard(copies * static_cast<double>(bytes) + kHeadStart);
  hoard.give(kHeadStart);
  const Stretch stretch(cluster);
  Outcome out = produce_closed(leaders, requests, kConnections, kDepth, bytes,
                               [&](uint32_t size) { hoard.give(copies * size); });
  const double answered = stretch.brokers_so_far();
  // The clock goes on until the last byte stands where it stays.
  cluster.wait_in_segments(warmed + static_cast<double>(out.bytes), kPartitions);
  const Stretch::Cost cost = stretch.end();
  others = std::max(others, cost.others);

  const double gb = static_cast<double>(out.bytes) / 1e9;
  const auto count = static_cast<double>(out.requests);
  Values values{{"CPU per GB", "s", cost.cpu / gb},
                {"CPU per request", "us", cost.cpu / count * 1e6},
                {"brokers' own CPU per GB", "s", cost.brokers / gb},
                {"of that until the last answer", "s", answered / gb},
                {"throughput to the last answer", "MB/s", gb * 1e3 / out.seconds},
                {"records", "M/s", count * requests.records / out.seconds / 1e6},
                {"answer p50", "ms", out.latency.quantile(0.5) * 1e3},
                {"answer p99", "ms", out.latency.quantile(0.99) * 1e3},
                {"flushes per MB", "", cost.flushes / gb / 1e3}};
  const Values memory = memory_of(cluster);
  values.insert(values.end(), memory.begin(), memory.end());
  return values;
}

Values latency_run(Cluster cluster, int32_t partitions, double rate, int16_t replicas, double& others) {
  const Leaders leaders = create_topic(cluster.ports(), kTopic, partitions, replicas);
  const Requests requests = build_produces(kTopic, partitions, 1100, 1024);
  const int connections = std::min(partitions, 16);
  produce_open(leaders, requests, connections, rate, 0.5);
  const Stretch stretch(cluster);
  Outcome out = produce_open(leaders, requests, connections, rate, 1.5);
  const Stretch::Cost cost = stretch.end();
  others = std::max(others, cost.others);
  const auto count = static_cast<double>(out.requests);
  return {{"p50", "ms", out.latency.quantile(0.5) * 1e3},
          {"p99", "ms", out.latency.quantile(0.99) * 1e3},
          {"p99.9", "ms", out.latency.quantile(0.999) * 1e3},
          {"longest", "ms", out.latency.quantile(1) * 1e3},
          {"CPU per request", "us", cost.cpu / count * 1e6},
          {"flushes per request", "", cost.flushes / count}};
}

std::vector<Workload> broker_workloads() {
  std::vector<Workload> all;
  all.push_back(produce_workload("prod-64k", "64 KiB batches of 1 KB records, RF 1, synced before the answer", 64 * 1024,
                                 1024, uint64_t{512} << 20, {"CPU per GB", true, 2.0, 1.4}));
  all.push_back(produce_workload("prod-16k", "16 KiB batches of 100 B records, RF 1, synced before the answer",
                                 16 * 1024, 100, uint64_t{256} << 20, {"CPU per GB", true, 1.8, 1.3}));
  all.push_back(produce_workload("prod-tiny", "one record of 1 KB a request, RF 1, synced before the answer", 1100, 1024,
                                 uint64_t{96} << 20, {"CPU per request", true, 2.0, 1.3}));
  Workload start;
  start.name = "start-empty";
  start.what = "one broker on an empty directory";
  start.targets = {{"first answered produce", false, 50, 15}, {"idle memory", false, 32, 12}};
  start.ours = [](const Setup& s, double&) { return start_run(Cluster::taffrail(s, 1)); };
  start.ceiling = [](const Setup& s, double&) { return start_run(Cluster::ceiling(s)); };
  all.push_back(std::move(start));
  all.push_back(latency_workload("lat-10k", 4));
  all.push_back(latency_workload("lat-10k-p100", 100));
  all.push_back(fetch_workload("fetch-tail", "1 MiB at a time out of memory, beside writev", uint64_t{128} << 20, {"storage.memory_bytes=201326592"},
                               "writev"));
  all.push_back(fetch_workload("fetch-cached", "1 MiB at a time out of segments in the page cache, beside sendfile",
                               uint64_t{256} << 20, {"storage.memory_bytes=8388608"}, "sendfile"));
  return all;
}

std::vector<Workload> all_workloads() {
  std::vector<Workload> all = broker_workloads();
  for (Workload& w : cluster_workloads()) all.push_back(std::move(w));
  for (Workload& w : group_workloads()) all.push_back(std::move(w));
  return all;
}

}  // namespace taffrail::bench
