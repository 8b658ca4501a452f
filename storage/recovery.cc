#include "storage/recovery.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "runtime/at_once.h"
#include "storage/checkpointer.h"
#include "storage/read_damaged.h"
#include "storage/wal_format.h"

namespace taffrail {

// "<topic id>-<partition>", as PartitionKey::text() writes it.
std::optional<PartitionKey> parse_log_directory(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash != 22) return std::nullopt;
  PartitionKey key;
  key.topic = Uuid::parse(name.substr(0, dash));
  for (const char c : name.substr(dash + 1)) {
    if (c < '0' || c > '9' || key.partition > 100'000'000) return std::nullopt;
    key.partition = key.partition * 10 + (c - '0');
  }
  return key.text() == name ? std::optional(key) : std::nullopt;
}

namespace {

// Twice: what took the logs may take one of them as well.
std::vector<std::string> logs_lost_files(const std::string& directory) {
  return {fmt::format("{}/damaged/{}", directory, kLogsLostFile), fmt::format("{}/wal/{}", directory, kLogsLostFile)};
}

}  // namespace

Result<> write_logs_lost(Task& task, Disk& disk, const std::string& directory) {
  constexpr std::string_view kText = "Logs may have been lost here. A log that existed before is made again in doubt: it asks the other "
                                     "replicas before it votes.\n";
  for (const std::string& file : logs_lost_files(directory))
    if (!TRY(disk.exists(task, file))) TRY(replace_file(task, disk, file, as_bytes(kText)));
  return {};
}

Result<bool> logs_were_lost(Task& task, Disk& disk, const std::string& directory) {
  for (const std::string& file : logs_lost_files(directory))
    if (TRY(disk.exists(task, file))) return true;
  return false;
}

Result<> Recovery::run(Task& task) {
  const Instant began = runtime_.now();
  Disk& disk = runtime_.disk();
  const std::string& directory = store_.options_.directory;
  TRY(disk.make_directory(task, directory));
  const size_t slash = directory.rfind('/');
  TRY(disk.sync_directory(task, slash == std::string::npos ? "" : directory.substr(0, slash)));
  TRY(disk.make_directory(task, directory + "/wal"));
  TRY(disk.make_directory(task, directory + "/logs"));
  TRY(disk.make_directory(task, directory + "/damaged"));
  TRY(disk.sync_directory(task, directory));

  scan_ = TRY(scan_wal(task, runtime_, directory, store_.options_.owner));
  // Should this start be cut short as well, the next one finds the same: the last group, whole in the page cache now, could
  // be torn by then, beside the part of what follows from it that was written again.
  if (!PLANT("S75"))
    for (const std::string& file : scan_.files) TRY(TRY(disk.open(task, file, OpenMode::kWrite))->sync(task));
  RecoveryReport& report = store_.recovery_;
  report.wal_segments = scan_.files.size();
  report.groups = scan_.groups;
  report.frames = scan_.frames.size();
  report.torn_bytes = scan_.torn_bytes;
  report.damage = scan_.damage;
  // Even a new store begins with a mark. Files without a single one are not new: they lost it all.
  const bool used_before = store_.options_.used_before && !PLANT("S90");
  report.fresh = scan_.files.empty() && !used_before;
  if (scan_.groups == 0 && used_before) {
    scan_.all_damaged = true;
    report.damage.push_back({.file = directory + "/wal", .position = 0, .log = std::nullopt,
                             .what = "all that was in the write-ahead log is gone: its logs are lost"});
  }

  const Instant scanned = runtime_.now();
  std::map<PartitionKey, std::vector<ScannedFrame*>> by_log;
  for (ScannedFrame& found : scan_.frames) by_log[found.frame.key].push_back(&found);
  std::map<PartitionKey, Replay> replays;
  for (auto& [key, frames] : by_log) {
    Replay one = TRY(replay(key, frames));
    if (one.alive) replays.emplace(key, std::move(one));
  }

  store_.wal_ = std::make_unique<Wal>(runtime_, store_.options_, static_cast<Wal::Listener&>(store_), scan_.next,
                                      scan_.next_segment, scan_.mark, scan_.floor);
  TRY(restore_all(task, replays));
  TRY(judge_directories(task));
  TRY(keep_damaged(task));

  const Instant restored = runtime_.now();
  // Everything that was read is written again, into files that this process made: what the page cache
  // shows after a failed sync, or a mere kill, need not be on the disk. Only when all of it is durable
  // does the floor move, and the old segments go.
  TRY(store_.wal_->start(task));
  const WalSequence first = scan_.next;
  rewrite();
  TRY(store_.wal_->wait_durable(task, store_.wal_->last()));
  TRY(store_.wal_->release_below(task, first));
  for (const std::string& file : scan_.files) TRY(disk.remove(task, file));
  if (!scan_.files.empty()) TRY(disk.sync_directory(task, directory + "/wal"));
  for (Log* log : store_.logs())
    if (log->has_unlinkable()) store_.want_unlink(*log);
  scan_ = {};
  const auto ms = [](Instant from, Instant to) { return (to - from).ms(); };
  if (!report.fresh)
    runtime_.log().info("storage", "{}: {} logs recovered in {} ms: {} to read {} segments of the write-ahead log, {} to open the logs, {} "
                        "to write anew what is not in their segments", directory, report.logs.size(), ms(began, runtime_.now()),
                        ms(began, scanned), report.wal_segments, ms(scanned, restored), ms(restored, runtime_.now()));
  return {};
}

Result<Recovery::Replay> Recovery::replay(const PartitionKey& key, std::vector<ScannedFrame*>& frames) {
  // An entry copied forward keeps its first sequence: in that order the frames tell the log's life.
  std::sort(frames.begin(), frames.end(), [](const ScannedFrame* a, const ScannedFrame* b) {
    return std::pair(a->frame.original, a->frame.sequence) < std::pair(b->frame.original, b->frame.sequence);
  });
  const bool lossy = scan_.all_damaged || scan_.all_possibly_longer || scan_.damaged.contains(key) ||
                     scan_.possibly_longer.contains(key);
  Replay r;
  WalSequence before;
  for (ScannedFrame* found : frames) {
    const WalFrame& frame = found->frame;
    if (frame.original == before) continue;  // The same entry once more.
    before = frame.original;
    switch (frame.kind) {
      case FrameKind::kEntry: {
        // Only a truncation that was lost lets an entry stand where another one does, or a term fall.
        const auto at = std::partition_point(r.entries.begin(), r.entries.end(), [&](const ScannedFrame* e) {
          return e->frame.meta.index < frame.meta.index;
        });
        if (at != r.entries.end()) r.damaged = true;
        r.entries.erase(at, r.entries.end());
        r.entries.push_back(found);
        break;
      }
      case FrameKind::kTruncate:
        std::erase_if(r.entries, [&](const ScannedFrame* e) { return e->frame.meta.index >= frame.meta.index; });
        break;
      case FrameKind::kHardState: {
        const Result<LogHardState> hard = decode_hard_state(frame.payload.view());
        if (hard) {
          r.state.hard = *hard;
        } else {
          r.damaged = true;
        }
        break;
      }
      case FrameKind::kState: {
        Result<LogState> state = decode_log_state(frame.payload.view());
        if (!state && state.error().code == Errc::kUnsupported) return fail(state.error(), key.text());
        if (!state) {
          r.damaged = true;
          break;
        }
        if (state->reset) r.entries.clear();
        r.state = *std::move(state);
        r.alive = true;
        break;
      }
      case FrameKind::kDelete:
        r = Replay{};
        break;
    }
  }
  if (!r.alive && !r.entries.empty()) {
    // Entries of a log whose state was lost: it existed, and what it promised is not known. Where it began
    // is not known either, unless that was with its first entry: it is filled from the others then.
    r.alive = true;
    r.damaged = true;
    const EntryMeta& front = r.entries.front()->frame.meta;
    if (front.index != LogIndex(1) || front.base_offset != Offset(0)) r.entries.clear();
  }
  if (r.damaged && !lossy)
    store_.recovery_.damage.push_back({.file = store_.options_.directory + "/wal", .position = 0, .log = key,
                                       .what = "its frames contradict each other"});
  return r;
}

Result<> Recovery::restore_all(Task& task, std::map<PartitionKey, Replay>& replays) {
  constexpr size_t kAtOnce = 8;
  std::vector<std::pair<Log*, Replay*>> logs;
  for (auto& [key, replay] : replays) logs.emplace_back(&store_.add_log(key), &replay);
  TRY(for_each_at_once(task, runtime_, "storage/recovery", std::span(logs), kAtOnce,
                       [this](Task& one, auto& log) { return restore(one, *log.first, *log.second); }));
  std::sort(store_.recovery_.logs.begin(), store_.recovery_.logs.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return {};
}

Result<> Recovery::restore(Task& task, Log& log, Replay& r) {
  const PartitionKey& key = log.key_;
  const LogState& state = r.state;
  log.hard_ = state.hard;
  log.prefix_ = log.last_ = state.prefix;
  log.prefix_offset_ = state.prefix_offset;
  log.start_offset_ = state.start_offset;
  log.next_offset_ = state.prefix_offset;
  log.snapshot_id_ = state.snapshot;
  log.joined_ = state.joined;
  log.directory_made_ = false;
  log.configs_ = state.configs;
  TRY(open_segments(task, log, state));

  LogRecovery found{.key = key, .last = {}, .known_last = std::nullopt};
  // Entries continue where segments end; a gap ends what can be read.
  for (ScannedFrame* e : r.entries) {
    const EntryMeta& meta = e->frame.meta;
    if (meta.index <= log.last_.index && !found.known_last) continue;
    const bool continues = !found.known_last && meta.index == log.last_.index + 1 &&
                           meta.base_offset == log.next_offset_ && meta.term >= log.last_.term &&
                           (meta.kind == EntryKind::kBatch || meta.offset_count == 0);
    if (!continues) {
      found.known_last = meta.id();
      continue;
    }
    // The state that said it lies in segments was lost, or torn away with its group.
    if (e->left_there && !PLANT("S92")) e->frame.payload = TRY(read_scanned(task, runtime_.disk(), store_.options_.directory, *e));
    log.push_tail({meta, e->frame.payload}, e->frame.original, e->frame.payload_crc);
  }
  log.prune_below_prefix();

  const bool damaged = r.damaged || scan_.all_damaged || scan_.damaged.contains(key);
  const bool torn = scan_.all_possibly_longer || scan_.possibly_longer.contains(key);
  if (found.known_last && !damaged && !torn)
    store_.recovery_.damage.push_back({.file = store_.options_.directory + "/wal", .position = 0, .log = key,
                                       .what = fmt::format("entries behind {} are missing", log.last_.index.value)});
  log.possibly_longer_ = state.possibly_longer || damaged || torn || found.known_last.has_value();
  log.hard_state_doubtful_ = state.hard_state_doubtful || damaged || torn;
  found.last = log.last_;
  found.possibly_longer = log.possibly_longer_;
  found.hard_state_doubtful = log.hard_state_doubtful_;
  store_.recovery_.logs.push_back(found);
  return {};
}

Result<> Recovery::open_segments(Task& task, Log& log, const LogState& state) {
  Disk& disk = runtime_.disk();
  std::vector<Damage>& damage = store_.recovery_.damage;
  log.flushed_ = {.last = state.flushed, .next_offset = state.flushed_offset, .segment = state.last_segment,
                  .segment_end = state.last_segment_end};
  log.synced_ = log.flushed_;
  log.committed_ = state.flushed.index;
  const Result<std::vector<std::string>> names = disk.list(task, log.directory_);
  if (!names && names.error().code != Errc::kNotFound) return std::unexpected(names.error());
  bool removed = false;
  std::vector<LogIndex> patches;
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    if (const auto patch = Segment::parse_file_name(name, /*patch=*/true)) patches.push_back(*patch);
    const auto first = Segment::parse_file_name(name);
    if (!first) continue;
    const std::string path = log.directory_ + "/" + name;
    if (*first > state.last_segment || state.last_segment.value == 0) {
      // No state frame vouches for it: its entries are in the write-ahead log, or void. Unless that frame
      // was lost: then the file is all that is left of them.
      if (doubtful()) {
        TRY(set_aside(task, path, log.key_, name));
      } else {
        TRY(disk.remove(task, path));
      }
      removed = true;
      continue;
    }
    const uint64_t end = *first == state.last_segment ? state.last_segment_end : 0;
    Result<std::unique_ptr<Segment>> segment = Segment::open(task, disk, log.key_, log.directory_, *first, end, damage);
    if (!segment) {
      if (segment.error().code != Errc::kCorrupt) return std::unexpected(segment.error());
      damage.push_back({.file = path, .position = 0, .log = log.key_, .what = segment.error().message});
      continue;  // Kept, and a hole.
    }
    log.segments_.push_back(*std::move(segment));
  }
  if (removed) TRY(disk.sync_directory(task, log.directory_));

  // Holes between segments, and behind the last: what is known to have been there.
  LogIndex expected = log.prefix_.index + 1;
  for (size_t i = 0; i < log.segments_.size(); ++i) {
    Segment& s = *log.segments_[i];
    if (s.first() > expected) log.lost_.emplace_back(expected, s.first());
    const bool last = s.first() == state.last_segment;
    if (last && state.flushed.index > state.prefix.index) s.add_hole_to(state.flushed.index + 1, state.flushed_offset);
    expected = std::max(expected, s.next());
  }
  if (expected <= state.flushed.index) log.lost_.emplace_back(expected, state.flushed.index + 1);
  for (const auto& hole : log.lost_)
    damage.push_back({.file = log.directory_, .position = 0, .log = log.key_,
                      .what = fmt::format("entries {} to {} are missing", hole.first.value, hole.second.value - 1)});
  for (const auto& segment : log.segments_) {
    for (const Segment::TermStart& run : segment->terms())
      if (log.terms_.empty() || log.terms_.back().term != run.term) log.terms_.push_back({run.first, run.term, run.start});
    for (const Entry& config : segment->configs()) log.note_config(config);
  }
  TRY(open_patches(task, log, patches));
  if (state.flushed.index > state.prefix.index) {
    log.last_ = state.flushed;
    log.next_offset_ = state.flushed_offset;
    // A hole at the end hides where its terms began; the last one is known all the same.
    if (log.terms_.empty() || log.terms_.back().term != log.last_.term)
      log.terms_.push_back({log.last_.index, log.last_.term, log.next_offset_});
  }
  return {};
}

// Copies of what others hold: one that does not read whole, or that nothing needs any more, just goes.
Result<> Recovery::open_patches(Task& task, Log& log, const std::vector<LogIndex>& patches) {
  bool removed = false;
  for (const LogIndex first : patches) {
    std::vector<Damage> damage;
    Result<std::unique_ptr<Segment>> patch = Segment::open(task, runtime_.disk(), log.key_, log.directory_, first, 0, damage, true);
    if (!patch && patch.error().code == Errc::kCancelled) return std::unexpected(patch.error());
    const bool useful = patch && damage.empty() && (*patch)->next() > std::max(first, log.prefix_.index + 1) &&
                        (*patch)->next() <= log.flushed_.last.index + 1 && TRY((*patch)->scrub(task)).empty();
    if (useful) {
      log.adopt_patch(*std::move(patch));
      continue;
    }
    TRY(runtime_.disk().remove(task, log.directory_ + "/" + Segment::file_name(first, true)));
    removed = true;
  }
  if (removed) TRY(runtime_.disk().sync_directory(task, log.directory_));
  return {};
}

// Directories without a log: what a removal left behind, unless damage may have taken their state.
Result<> Recovery::judge_directories(Task& task) {
  Disk& disk = runtime_.disk();
  const std::string logs = store_.options_.directory + "/logs";
  const std::vector<std::string> names = TRY(disk.list(task, logs));
  bool removed = false;
  for (const std::string& name : names) {
    const auto key = parse_log_directory(name);
    if (!key || store_.find_log(*key) != nullptr) continue;
    const std::string path = logs + "/" + name;
    const bool keep = doubtful();
    if (keep)
      store_.recovery_.damage.push_back({.file = path, .position = 0, .log = *key,
                                         .what = "the state of this log is lost; its files are set aside"});
    for (const std::string& file : TRY(disk.list(task, path))) {
      if (keep) TRY(set_aside(task, path + "/" + file, *key, file));
      else TRY(disk.remove(task, path + "/" + file));
    }
    TRY(disk.remove_directory(task, path));
    removed = true;
  }
  if (removed) TRY(disk.sync_directory(task, logs));
  return {};
}

// Whether frames may be missing that made a log, or told how far its segments reach. A single mark is enough to say that
// there are none: a shard may be without logs.
bool Recovery::doubtful() const {
  return !scan_.damage.empty() || scan_.all_damaged || scan_.all_possibly_longer || scan_.groups == 0;
}

Result<> Recovery::set_aside(Task& task, const std::string& file, const PartitionKey& key, const std::string& name) {
  const std::string kept = fmt::format("{}/damaged/{}.{}", store_.options_.directory, key.text(), name);
  TRY(runtime_.disk().rename(task, file, kept));
  TRY(runtime_.disk().sync_directory(task, store_.options_.directory + "/damaged"));
  store_.recovery_.set_aside.push_back(kept);
  return {};
}

// Before the floor moves past them: after a crash nobody would know any more that they were damaged.
Result<> Recovery::keep_damaged(Task& task) {
  Disk& disk = runtime_.disk();
  const std::string directory = store_.options_.directory + "/damaged";
  // Also where a log may have been lost without a trace: whoever makes it again makes it in doubt.
  store_.logs_lost_ = TRY(logs_were_lost(task, disk, store_.options_.directory)) || (!store_.recovery_.fresh && doubtful());
  if (store_.logs_lost_) TRY(write_logs_lost(task, disk, store_.options_.directory));
  for (const std::string& file : scan_.damaged_files) {
    const std::string copy = directory + file.substr(file.rfind('/'));
    const auto opened = TRY(disk.open(task, file, OpenMode::kRead));
    const Slice bytes = TRY(read_damaged(task, *opened, 0, TRY(opened->size(task))));
    TRY(replace_file(task, disk, copy, bytes.view()));
    store_.recovery_.set_aside.push_back(copy);
  }
  return {};
}

void Recovery::rewrite() {
  for (Log* log : store_.logs()) {
    log->push_state(false);
    std::vector<WalFrame> frames;
    for (const Log::Tail& t : log->tail_)
      frames.push_back({.kind = FrameKind::kEntry, .key = log->key_, .meta = t.meta, .payload = t.payload,
                        .payload_crc = t.crc, .original = t.sequence, .slot = log->slot_, .sequence = {}});
    if (!frames.empty()) log->last_sequence_ = store_.wal_->append(frames);
  }
}

}  // namespace taffrail
