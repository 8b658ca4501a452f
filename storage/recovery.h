// What happens when a store is opened: read, judge, write into fresh files, and only then speak.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"
#include "storage/store.h"
#include "storage/wal_scan.h"

namespace taffrail {

/// In `damaged`, and in `wal`, of a store where damage may have taken whole logs (docs/formats.md, "A node's directory").
inline constexpr std::string_view kLogsLostFile = "logs-lost";
/// Whichever is missing, durably.
Result<> write_logs_lost(Task& task, Disk& disk, const std::string& directory);
Result<bool> logs_were_lost(Task& task, Disk& disk, const std::string& directory);
/// Whose directory of segments it is; nothing if `name` is not that of one.
std::optional<PartitionKey> parse_log_directory(std::string_view name);

class Recovery {
 public:
  Recovery(Store& store, Runtime& runtime) : store_(store), runtime_(runtime) {}

  /// Leaves the store with its logs and a running write-ahead log. May be cut short by a crash at any
  /// step, any number of times: the next run comes to the same.
  Result<> run(Task& task);

 private:
  /// One log as its frames tell it.
  struct Replay {
    bool alive = false;
    bool damaged = false;  ///< The frames contradict each other.
    LogState state;
    std::vector<ScannedFrame*> entries;  ///< Ascending by index; may have gaps where frames were lost.
  };
  Result<Replay> replay(const PartitionKey& key, std::vector<ScannedFrame*>& frames);
  Result<> restore_all(Task& task, std::map<PartitionKey, Replay>& replays);
  Result<> restore(Task& task, Log& log, Replay& replay);
  Result<> open_segments(Task& task, Log& log, const LogState& state);
  Result<> open_patches(Task& task, Log& log, const std::vector<LogIndex>& patches);
  Result<> judge_directories(Task& task);
  bool doubtful() const;
  Result<> set_aside(Task& task, const std::string& file, const PartitionKey& key, const std::string& name);
  Result<> keep_damaged(Task& task);
  void rewrite();

  Store& store_;
  Runtime& runtime_;
  WalScan scan_;
};

}  // namespace taffrail
