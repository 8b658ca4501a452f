#include "storage/reshard.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/crc32c.h"
#include "base/plant.h"
#include "runtime/sync.h"
#include "storage/recovery.h"
#include "storage/store.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace taffrail {

namespace {

constexpr std::string_view kNewPrefix = "reshard-";
constexpr std::string_view kProbe = "reshard-probe";
constexpr ByteCount kReadAtOnce = 1_MiB;
constexpr ByteCount kQueuedMax = 4_MiB;
constexpr Duration kLookForRoom = 20_ms;
constexpr uint64_t kLogsBetweenLines = 500;

std::string new_directory(uint32_t shard) { return fmt::format("{}{}", kNewPrefix, shard); }

// Of a node of `count` shards those that keep their logs in the data directory of `runtime`, ascending.
std::vector<uint32_t> shards_here(const Runtime& runtime, uint32_t count) {
  std::vector<uint32_t> here;
  for (uint32_t i = runtime.directory(); i < count; i += runtime.directory_count()) here.push_back(i);
  return here;
}

NodeShape with_shards(const Runtime& runtime, uint32_t count) { return {count, runtime.directory_count()}; }

// One shard of the new layout while it is written. It has a write-ahead log even if it has no logs: without one it would have
// lost it.
class NewShard final : private Wal::Listener {
 public:
  NewShard(Runtime& runtime, StoreOptions options, uint64_t first_segment)
      : runtime_(runtime), options_(std::move(options)), first_segment_(first_segment) {}

  Result<> start(Task& task, bool logs_lost);
  Result<> take(Task& task, Log& log);
  /// Returns when all that was taken is durable. Errors: kNoSpace instead of waiting for room.
  Result<> settle(Task& task);
  /// Ends the fibers, whatever happened. Errors: of the closing mark.
  Result<> close(Task& task);

 private:
  void on_placed(const WalFrame&, WalPosition) override {}
  void on_durable(WalSequence) override { written_.notify_all(); }
  void on_failed(const Error& error) override {
    failed_ = error;
    written_.notify_all();
  }
  void append(const PartitionKey& key, FrameKind kind, const EntryMeta& meta, Slice payload);

  Runtime& runtime_;
  const StoreOptions options_;
  const uint64_t first_segment_;
  std::optional<Error> failed_;
  WaitQueue written_;
  std::unique_ptr<Wal> wal_;
};

Result<> NewShard::start(Task& task, bool logs_lost) {
  Disk& disk = runtime_.disk();
  TRY(disk.make_directory(task, options_.directory));
  for (const char* part : {"wal", "logs", "damaged"}) TRY(disk.make_directory(task, fmt::format("{}/{}", options_.directory, part)));
  // Which shard a log that is gone would have come to is not known: none of them is free of the doubt.
  if (logs_lost) TRY(write_logs_lost(task, disk, options_.directory));
  TRY(disk.sync_directory(task, options_.directory));
  wal_ = std::make_unique<Wal>(runtime_, options_, static_cast<Wal::Listener&>(*this), WalSequence(1), first_segment_,
                               WalSequence(), WalSequence());
  TRY(wal_->start(task));
  // There are no older segments: from the first group on headers may say what is durable.
  return wal_->release_below(task, WalSequence());
}

void NewShard::append(const PartitionKey& key, FrameKind kind, const EntryMeta& meta, Slice payload) {
  const uint32_t crc = crc32c(payload.view());
  wal_->append(WalFrame{.kind = kind, .key = key, .meta = meta, .payload = std::move(payload), .payload_crc = crc,
                        .original = {}, .slot = 0, .sequence = {}});
}

// As recovery writes a log anew: its state, and every entry that is not in its segments.
Result<> NewShard::take(Task& task, Log& log) {
  LogState state = log.state(/*reset=*/false);
  if (PLANT("S70")) state.possibly_longer = state.hard_state_doubtful = false;
  append(log.key(), FrameKind::kState, {}, Slice(std::string_view(encode_log_state(state))));
  for (LogIndex next = state.flushed.index + 1; next <= log.last_index();) {
    const std::vector<Entry> entries = TRY(log.read_entries(task, next, kReadAtOnce, SIZE_MAX));
    for (const Entry& entry : entries) append(log.key(), FrameKind::kEntry, entry.meta, entry.payload);
    next = entries.back().meta.index + 1;
    if (wal_->queued_bytes() > kQueuedMax) TRY(settle(task));
  }
  return {};
}

Result<> NewShard::settle(Task& task) {
  while (wal_->durable() < wal_->last()) {
    if (failed_) return std::unexpected(*failed_);
    if (wal_->disk_full()) return fail(Errc::kNoSpace, fmt::format("{}: the disk is full", options_.directory));
    const Result<> woken = written_.wait(task, runtime_.now() + kLookForRoom);
    if (!woken && woken.error().code == Errc::kCancelled) return woken;
  }
  return {};
}

Result<> NewShard::close(Task& task) {
  if (!wal_) return {};
  wal_->close(task);
  wal_.reset();
  if (failed_) return std::unexpected(*failed_);
  return {};
}

// Files will be renamed between `directory` and the new shards: where they cannot be (one of them is a link, or a file system
// of its own) is found out while there is a way back. What a crash leaves of it is replaced by the next try.
Result<> check_can_move(Task& task, Disk& disk, uint32_t first, const std::string& directory) {
  for (const char* part : {"wal", "logs"}) {
    const std::string here = fmt::format("{}/{}", new_directory(first), kProbe);
    const std::string there = fmt::format("{}/{}/{}", directory, part, kProbe);
    TRY(disk.open(task, here, OpenMode::kOpenOrCreate));
    const Result<> moved = disk.rename(task, here, there);
    if (!moved) return fail(moved.error(), fmt::format("{}/{} has to be in one file system with the other shards", directory, part));
    TRY(disk.remove(task, there));
  }
  return {};
}

Result<> copy_logs(Task& task, Runtime& runtime, const StoreOptions& options, uint32_t to,
                   std::vector<std::unique_ptr<Store>>& old_shards, std::map<uint32_t, std::unique_ptr<NewShard>>& new_shards) {
  // Numbers of segments go on above all that were used: what was set aside as damaged is named by them.
  uint64_t first_segment = 1;
  size_t logs = 0;
  bool logs_lost = false;
  for (const auto& store : old_shards) {
    first_segment = std::max(first_segment, store->wal().current_segment() + 1);
    logs += store->logs().size();
    logs_lost = logs_lost || TRY(logs_were_lost(task, runtime.disk(), store->options().directory));
    for (const Damage& damage : store->recovery().damage)
      runtime.log().error("storage", "damage found while logs were moved: {}. It is kept, not served, and repaired from "
                          "the other replicas where they have it", damage.text());
  }
  for (const uint32_t i : shards_here(runtime, to)) {
    StoreOptions mine = options;
    mine.directory = new_directory(i);
    mine.owner.shard = i;
    auto& made = new_shards[i] = std::make_unique<NewShard>(runtime, mine, first_segment);
    TRY(made->start(task, logs_lost));
  }
  for (const auto& store : old_shards) TRY(check_can_move(task, runtime.disk(), new_shards.begin()->first, store->options().directory));
  runtime.log().info("storage", "moving {} logs from {} shard(s) to {}", logs, old_shards.size(), new_shards.size());
  uint64_t moved = 0;
  for (const auto& store : old_shards) {
    for (Log* log : store->logs()) {
      const auto mine = new_shards.find(shard_of(log->key(), with_shards(runtime, to)).value);
      if (mine == new_shards.end())
        return fail(Errc::kInvalid, fmt::format("{}: log {} belongs into another data directory of this node", store->options().directory, log->key().text()));
      TRY(mine->second->take(task, *log));
      if (++moved % kLogsBetweenLines == 0) runtime.log().info("storage", "moving logs: {} of {}", moved, logs);
    }
  }
  for (const auto& [i, shard] : new_shards) TRY(shard->settle(task));
  return {};
}

Result<> open_and_copy(Task& task, Runtime& runtime, const StoreOptions& options, uint32_t from, uint32_t to,
                       std::vector<std::unique_ptr<Store>>& old_shards, std::map<uint32_t, std::unique_ptr<NewShard>>& new_shards) {
  for (const uint32_t i : shards_here(runtime, from)) {
    StoreOptions mine = options;
    mine.directory = shard_directory(i);
    mine.owner.shard = i;
    old_shards.push_back(TRY(Store::open(task, runtime, mine)));
  }
  return copy_logs(task, runtime, options, to, old_shards, new_shards);
}

}  // namespace

std::string shard_directory(uint32_t shard) { return fmt::format("shard-{}", shard); }

Result<> prepare_reshard(Task& task, Runtime& runtime, const StoreOptions& options, uint32_t from, uint32_t to) {
  std::vector<std::unique_ptr<Store>> old_shards;
  std::map<uint32_t, std::unique_ptr<NewShard>> new_shards;
  Result<> done = open_and_copy(task, runtime, options, from, to, old_shards, new_shards);
  // Their fibers end before they go, and a write-ahead log that is closed is durable.
  for (const auto& [i, shard] : new_shards)
    if (const Result<> closed = shard->close(task); done && !closed) done = closed;
  for (const auto& store : old_shards) store->close(task);
  if (done) done = runtime.disk().sync_directory(task, "");
  return done;
}

namespace {

// A name in `directory` that nothing has yet: two shards may have set aside files of one name.
Result<std::string> free_name(Task& task, Disk& disk, const std::string& directory, const std::string& name) {
  std::string path = fmt::format("{}/{}", directory, name);
  for (int n = 2; TRY(disk.exists(task, path)); ++n) path = fmt::format("{}/{}.{}", directory, name, n);
  return path;
}

// Everything below `directory`, which is a shard's, and itself. What is not a shard's stops it.
Result<> remove_shard(Task& task, Disk& disk, const std::string& directory) {
  const Result<> probe = disk.remove(task, fmt::format("{}/{}", directory, kProbe));
  if (!probe && probe.error().code != Errc::kNotFound) return probe;
  for (const char* part : {"wal", "logs", "damaged"}) {
    const std::string path = fmt::format("{}/{}", directory, part);
    const Result<std::vector<std::string>> names = disk.list(task, path);
    if (!names && names.error().code == Errc::kNotFound) continue;
    for (const std::string& name : TRY(names)) TRY(disk.remove(task, fmt::format("{}/{}", path, name)));
    TRY(disk.remove_directory(task, path));
  }
  const Result<> removed = disk.remove_directory(task, directory);
  if (!removed && removed.error().code == Errc::kBusy)
    return fail(Errc::kBusy, fmt::format("{} holds files that no shard has: move them elsewhere, and start the node again", directory));
  return removed;
}

Result<> move_files(Task& task, Runtime& runtime, uint32_t shard, uint32_t to) {
  Disk& disk = runtime.disk();
  const std::string old = shard_directory(shard);
  const std::string damaged = new_directory(shard < to ? shard : runtime.directory()) + "/damaged";
  const Result<std::vector<std::string>> logs = disk.list(task, old + "/logs");
  if (!logs && logs.error().code != Errc::kNotFound) return std::unexpected(logs.error());
  for (const std::string& name : logs ? *logs : std::vector<std::string>{}) {
    if (name == kProbe) continue;
    const auto key = parse_log_directory(name);
    const std::string where = key ? fmt::format("{}/logs/{}", new_directory(shard_of(*key, with_shards(runtime, to)).value), name)
                                  : TRY(free_name(task, disk, damaged, name));
    TRY(disk.rename(task, fmt::format("{}/logs/{}", old, name), where));
  }
  const Result<std::vector<std::string>> kept = disk.list(task, old + "/damaged");
  if (!kept && kept.error().code != Errc::kNotFound) return std::unexpected(kept.error());
  for (const std::string& name : kept ? *kept : std::vector<std::string>{})
    if (name != kLogsLostFile)
      TRY(disk.rename(task, fmt::format("{}/damaged/{}", old, name), TRY(free_name(task, disk, damaged, name))));
  return {};
}

}  // namespace

Result<> finish_reshard(Task& task, Runtime& runtime, uint32_t from, uint32_t to) {
  Disk& disk = runtime.disk();
  // A shard has its name once all files have been moved, durably: those that have are new, and so is their shard-I.
  std::map<uint32_t, bool> unnamed;
  for (const uint32_t i : shards_here(runtime, to)) unnamed[i] = TRY(disk.exists(task, new_directory(i)));
  const bool all_unnamed = std::all_of(unnamed.begin(), unnamed.end(), [](const auto& shard) { return shard.second; });
  if (all_unnamed) {
    for (const uint32_t i : shards_here(runtime, from)) TRY(move_files(task, runtime, i, to));
    // Also what an earlier run moved: a mere kill leaves names that a power cut takes.
    for (const auto& [i, is_unnamed] : unnamed)
      for (const char* part : {"logs", "damaged"}) TRY(disk.sync_directory(task, fmt::format("{}/{}", new_directory(i), part)));
  }
  for (const uint32_t i : shards_here(runtime, std::max(from, to))) {
    const bool old = i >= to || unnamed[i];
    if (old && TRY(disk.exists(task, shard_directory(i)))) TRY(remove_shard(task, disk, shard_directory(i)));
  }
  TRY(disk.sync_directory(task, ""));
  for (const auto& [i, is_unnamed] : unnamed)
    if (is_unnamed) TRY(disk.rename(task, new_directory(i), shard_directory(i)));
  TRY(disk.sync_directory(task, ""));
  runtime.log().info("storage", "all logs are on {} shard(s) now", unnamed.size());
  return {};
}

Result<bool> reshard_left_behind(Task& task, Disk& disk) {
  const std::vector<std::string> names = TRY(disk.list(task, ""));
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with(kNewPrefix); });
}

Result<> discard_reshard(Task& task, Disk& disk) {
  for (const std::string& name : TRY(disk.list(task, "")))
    if (name.starts_with(kNewPrefix)) TRY(remove_shard(task, disk, name));
  return disk.sync_directory(task, "");
}

}  // namespace taffrail
