// Who speaks to brokers by hand: a client that fetches as no library would, one that reads none of its answers, and a broker of
// another cluster. What they are told has to be right, too.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "client/metadata.h"
#include "protocol/fetch.h"
#include "sim/checkers/history.h"
#include "sim/cluster.h"

namespace taffrail::sim {

struct StrangerOptions {
  std::string topic = "orders";
  int32_t partitions = 3;
};

/// One per scenario; they live on the first client's machine.
class Strangers {
 public:
  /// What the client is given to read goes into `history`.
  Strangers(SimCluster& cluster, History& history, StrangerOptions options);
  ~Strangers();

  void start();
  /// They leave when they have heard what they asked last.
  void stop();
  bool gone() const;
  /// The first answer that was wrong, by the name of what does not hold; empty: none was.
  const std::string& told_wrong() const;
  /// How many sessions went on beyond their first answer, and how many greetings were refused.
  uint64_t sessions() const;
  uint64_t refusals() const;
  /// Connections on which answers were asked for that nobody read.
  uint64_t unread() const;

 private:
  struct Progress;
  struct Session;
  void fetch(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress);
  void converse(Task& task, client::Cluster& view, Session& session, Progress& progress);
  void hear(const protocol::FetchResponse& answer, Session& session, Progress& progress);
  void greet(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress);
  void ask_and_not_read(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress);

  SimCluster& cluster_;
  History& history_;
  StrangerOptions options_;
  std::map<int32_t, Offset> next_;  ///< To be read, by partition.
  std::shared_ptr<Progress> progress_;
};

}  // namespace taffrail::sim
