// What is measured: brokers of Taffrail, or the ceiling, fresh for each run; and what a stretch of time costs them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine.h"
#include "report.h"

namespace taffrail::bench {

struct Setup {
  std::string broker;   ///< The program `taffrail`.
  std::string ceiling;  ///< And `taffrail-ceiling`.
  std::string scratch;
};

class Cluster {
 public:
  /// Started, and not yet asked anything.
  static Cluster taffrail(const Setup& setup, int nodes, const std::vector<std::string>& settings = {});
  static Cluster ceiling(const Setup& setup, const std::vector<std::string>& options = {});
  ~Cluster();
  Cluster(Cluster&&) = default;

  bool is_ceiling() const { return ceiling_; }
  const std::vector<uint16_t>& ports() const { return ports_; }
  double cpu() const;
  double rss() const;
  double rss_peak() const;
  double started() const { return started_; }

  /// Waits until `bytes` of batches, less what each of `partitions` may hold back for a whole chunk, stand in segment
  /// files, and syncs those. The ceiling's stand where they stay already.
  void wait_in_segments(double bytes, int partitions) const;

  void kill(uint16_t port);
  void start_again(uint16_t port);

 private:
  Cluster() = default;
  void start(size_t node);
  struct Node {
    std::vector<std::string> arguments;
    std::string log;
    std::unique_ptr<Child> process;
  };
  bool ceiling_ = false;
  std::string directory_;
  std::vector<uint16_t> ports_;
  std::vector<Node> nodes_;
  double started_ = 0;
};

/// From its making to end(): what the brokers, the kernel on their behalf, and everybody else used.
class Stretch {
 public:
  explicit Stretch(const Cluster& cluster);
  struct Cost {
    double seconds = 0;
    double cpu = 0;      ///< Of the brokers and of the kernel's own threads.
    double brokers = 0;  ///< Of the brokers alone.
    double machine = 0;  ///< Everything that ran, less this program: `cpu` and `others`, if nobody else is here.
    double others = 0;   ///< Cores.
    double flushes = 0;
  };
  Cost end() const;
  double brokers_so_far() const { return cluster_.cpu() - brokers_; }

 private:
  const Cluster& cluster_;
  Counters before_;
  double own_;
  double brokers_;
  double begin_;
};

}  // namespace taffrail::bench
