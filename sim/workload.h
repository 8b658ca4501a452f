// What clients do in a scenario: writers that send numbered records, and readers that follow. Everything
// that they are told goes into a History.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/observer.h"
#include "client/record.h"
#include "sim/checkers/history.h"
#include "sim/cluster.h"

namespace taffrail::sim {

/// Which record of the history that is; one that nobody sent, if it does not say.
uint64_t id_of(const client::ConsumedRecord& record);

/// Values of compression.type; the last leaves it to the producers.
inline constexpr std::array<const char*, 6> kTopicCodecs = {"uncompressed", "gzip", "snappy", "lz4", "zstd", "producer"};

struct WorkloadOptions {
  std::string topic = "orders";
  int32_t partitions = 3;
  int16_t replication_factor = 3;
  bool default_replication = false;  ///< It is not asked for; the brokers' own default is the same.
  int32_t min_insync_replicas = 1;
  std::map<std::string, std::string> topic_configs;
  uint32_t operations = 200;   ///< Records to send, over all writers.
  Duration spread = 9_s;       ///< Over which they are sent.
  uint32_t readers = 1;
  Duration delivery_timeout = 8_s;
  bool changes_settings = false;  ///< An administrator sets one quota after another.
  bool other_topics = false;      ///< And makes topics, and deletes them.
  bool deletes_records = false;   ///< And deletes what the topic begins with.
  bool alters_topic = false;      ///< And alters how it is stored: by which codec, with which times, how much of it.
  bool bursts = false;            ///< Half of the writers send several batches at a time.
};

/// One per scenario; lives on the cluster's client machines.
class Workload {
 public:
  Workload(SimCluster& cluster, WorkloadOptions options);
  ~Workload();

  /// Creates the topic and starts the clients. They end by themselves; the world has to run.
  void start();
  bool topic_created() const;
  /// Every writer has settled all it sent, and nobody administers any more.
  bool writers_done() const;
  /// Readers stop at their next poll.
  void stop_readers();
  bool readers_done() const;
  /// Reads every partition from its start to its end. The reason if that did not work within `limit`.
  std::optional<std::string> read_finally(Duration limit);
  /// What read_finally() did not find of what was acknowledged to the administrator.
  const std::string& lost_setting() const { return lost_setting_; }

  /// Asks the cluster, from a client's machine, for new replicas of a partition, brokers from 1 on, or for its preferred
  /// leader (nowhere to go). `done` is told if that was taken on.
  void change(int32_t partition, const std::vector<uint32_t>& brokers, std::function<void()> done);

  /// Likewise for a broker, from 1 on: it is to stay (0), to give up its leaderships (1) or to leave (2).
  void retire(uint32_t broker, int64_t how, std::function<void()> done);

  /// An operator's word, for all that has no leader: what nobody holds any more who is left is given up.
  void go_without();
  uint64_t gone_without() const { return gone_without_; }  ///< How often that was done.

  /// What the administrator was told: how often a quota was set, and records were deleted.
  uint64_t quotas_set() const { return settings_->size(); }
  uint64_t deletions() const { return deletions_; }

  History& history() { return history_; }
  const WorkloadOptions& options() const { return options_; }

 private:
  struct Progress;
  void administrate();
  std::optional<std::string> check_settings(Task& task, client::Cluster& view, Instant deadline);

  SimCluster& cluster_;
  WorkloadOptions options_;
  History history_;
  std::shared_ptr<Progress> progress_;
  std::shared_ptr<std::set<std::string>> settings_ = std::make_shared<std::set<std::string>>();  ///< Acknowledged.
  std::string lost_setting_;
  uint64_t deletions_ = 0;
  uint64_t gone_without_ = 0;
};

}  // namespace taffrail::sim
