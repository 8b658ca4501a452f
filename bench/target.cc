#include "target.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "wire.h"

namespace taffrail::bench {
namespace {

/// StorageConfig::flush_bytes: less than that stays in the write-ahead log of a busy partition.
constexpr double kChunkBytes = 256 * 1024;

}  // namespace

Cluster Cluster::taffrail(const Setup& setup, int nodes, const std::vector<std::string>& settings) {
  Cluster c;
  c.directory_ = setup.scratch + "/brokers";
  remove_tree(c.directory_);
  std::filesystem::create_directories(c.directory_);
  std::vector<uint16_t> internal;
  std::string seeds;
  for (int i = 0; i < nodes; ++i) {
    c.ports_.push_back(free_port());
    internal.push_back(free_port());
    seeds += fmt::format("{}127.0.0.1:{}", i == 0 ? "" : ",", internal.back());
  }
  for (int i = 0; i < nodes; ++i) {
    const auto at = static_cast<size_t>(i);
    Node node;
    node.log = fmt::format("{}/{}.txt", c.directory_, i + 1);
    node.arguments = {setup.broker,
                      "serve",
                      "--set",
                      fmt::format("node.id={}", i + 1),
                      "--set",
                      fmt::format("node.data={}/{}", c.directory_, i + 1),
                      "--set",
                      "cluster.seeds=" + seeds,
                      "--set",
                      fmt::format("internal.bind=127.0.0.1:{}", internal[at]),
                      "--set",
                      fmt::format("listen.PLAINTEXT.bind=127.0.0.1:{}", c.ports_[at])};
    for (const std::string& s : settings) {
      node.arguments.emplace_back("--set");
      node.arguments.push_back(s);
    }
    c.nodes_.push_back(std::move(node));
  }
  c.started_ = now();
  for (size_t i = 0; i < c.nodes_.size(); ++i) c.start(i);
  return c;
}

Cluster Cluster::ceiling(const Setup& setup, const std::vector<std::string>& options) {
  Cluster c;
  c.ceiling_ = true;
  // Its file stays from run to run: written once, as a log that was in use for a while.
  c.directory_ = setup.scratch + "/ceiling";
  std::filesystem::create_directories(c.directory_);
  c.ports_.push_back(free_port());
  Node node;
  node.log = setup.scratch + "/ceiling.txt";
  node.arguments = {setup.ceiling, fmt::format("--port={}", c.ports_[0]), "--dir=" + c.directory_};
  node.arguments.insert(node.arguments.end(), options.begin(), options.end());
  c.nodes_.push_back(std::move(node));
  c.started_ = now();
  c.start(0);
  return c;
}

Cluster::~Cluster() {
  nodes_.clear();
  if (!directory_.empty() && !ceiling_) remove_tree(directory_);
}

void Cluster::start(size_t node) {
  Node& n = nodes_[node];
  // One broker has a core of its own; three share all there are.
  n.process = std::make_unique<Child>(n.arguments, n.log, /*pinned=*/nodes_.size() == 1);
}

void Cluster::kill(uint16_t port) {
  for (size_t i = 0; i < ports_.size(); ++i)
    if (ports_[i] == port) nodes_[i].process->kill();
}

void Cluster::start_again(uint16_t port) {
  for (size_t i = 0; i < ports_.size(); ++i)
    if (ports_[i] == port) start(i);
}

double Cluster::cpu() const {
  double sum = 0;
  for (const Node& n : nodes_) sum += n.process->cpu();
  return sum;
}
double Cluster::rss() const {
  double sum = 0;
  for (const Node& n : nodes_) sum += n.process->rss();
  return sum;
}
double Cluster::rss_peak() const {
  double sum = 0;
  for (const Node& n : nodes_) sum += n.process->rss_peak();
  return sum;
}

void Cluster::wait_in_segments(double bytes, int partitions) const {
  if (ceiling_) return;
  const double copies = static_cast<double>(nodes_.size());
  std::vector<std::string> files;
  for (const double until = now() + 60;; sleep_until(now() + 0.005)) {
    files = files_below(directory_, ".log");
    if (size_of(files) >= copies * (bytes - partitions * kChunkBytes)) break;
    if (now() > until)
      die(fmt::format("after a minute {:.0f} of {:.0f} MB stand in segments", size_of(files) / 1e6, copies * bytes / 1e6));
  }
  for (const std::string& f : files) {
    const int fd = ::open(f.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ::fdatasync(fd);
    ::close(fd);
  }
}

Stretch::Stretch(const Cluster& cluster)
    : cluster_(cluster), before_(read_counters()), own_(own_cpu()), brokers_(cluster.cpu()), begin_(now()) {}

Stretch::Cost Stretch::end() const {
  Cost c;
  c.seconds = now() - begin_;
  c.brokers = cluster_.cpu() - brokers_;
  const double own = own_cpu() - own_;
  const Counters after = read_counters();
  const double kernel = after.kernel - before_.kernel;
  c.cpu = c.brokers + kernel;
  c.machine = after.busy - before_.busy - own;
  c.others = std::max(0.0, c.machine - c.cpu) / c.seconds;
  c.flushes = after.flushes - before_.flushes;
  return c;
}

}  // namespace taffrail::bench
