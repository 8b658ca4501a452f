// What follows from committed entries, the same on every replica, and what the leader proposes on its own.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "partition/partition_state.h"

namespace taffrail {
namespace {
constexpr uint16_t kFormat = 1;
constexpr Duration kReadRetry = 1_s;
constexpr uint16_t kSnapshotFormat = 2;
/// With the state of the machine that the partition carries; others are written without.
constexpr uint16_t kSnapshotFormatOfMachine = 3;
}

Slice PartitionCommand::encode() const {
  ByteWriter out;
  out.u16(kFormat);
  out.u8(static_cast<uint8_t>(kind));
  if (kind == Kind::kSetLogStart) {
    out.i64(start.value);
    out.i64(first.value);
  } else {
    out.u32(static_cast<uint32_t>(producers.size()));
    for (const auto& [id, entry] : producers) {
      out.i64(id.value);
      out.i64(entry.index.value);
      out.i64(entry.term.value);
    }
  }
  return Slice(out.view());
}

Result<PartitionCommand> PartitionCommand::decode(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); format != kFormat)
    return fail(Errc::kUnsupported, fmt::format("a command in format {}, this version reads {}", format, kFormat));
  PartitionCommand command;
  command.kind = static_cast<Kind>(in.u8());
  if (command.kind == Kind::kSetLogStart) {
    command.start = Offset(in.i64());
    command.first = LogIndex(in.i64());
  } else if (command.kind == Kind::kExpireProducers) {
    for (uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
      const ProducerId id(in.i64());
      EntryId entry;
      entry.index = LogIndex(in.i64());
      entry.term = Term(in.i64());
      command.producers.push_back({id, entry});
    }
  } else {
    return fail(Errc::kUnsupported, fmt::format("a command of kind {}", static_cast<int>(command.kind)));
  }
  if (!in.done()) return fail(Errc::kCorrupt, "a command cut short or too long");
  return command;
}

// Applies what is committed, in order, on leader and follower alike: the only code that changes state.
void Partition::State::run_applier(Task& task) {
  std::string told;
  while (!task.cancelled()) {
    const LogIndex end = group == nullptr ? LogIndex{} : group->commit();
    if (applied.index >= end) {
      if (!apply_wake.wait(task)) return;
      continue;
    }
    // Who reads much at a start does so alone, from its beginning to its end: for the memory that it takes, and so that
    // some are ready soon.
    Result<Mutex::Lock> turn;
    if (options.heavy != nullptr && applied.index < replays_to) turn = options.heavy->lock(task);
    if (!turn) return;
    const Result<> done = apply_through(task, end);
    turn = Mutex::Lock();
    if (done) continue;
    if (done.error().code == Errc::kCancelled) return;
    std::string why = fmt::format("cannot apply entry {}: {}", applied.index.value + 1, done.error().text());
    if (why != told) {
      runtime.log().error("partition", "{}-{}: {}", topic_name, key.partition, why);
      told = std::move(why);
    }
    // What damage hides comes from another replica, and is committed here as it is there.
    (void)apply_wake.wait(task, runtime.now() + kReadRetry);
  }
}

Result<> Partition::State::apply_through(Task& task, LogIndex end) {
  while (applied.index < end) {
    // Below the log's start there is nothing left to apply: a snapshot or retention covers it.
    if (applied.index + 1 < log.first_index()) {
      applied = log.prefix();
      continue;
    }
    const std::vector<Entry> entries = TRY(log.read_entries(task, applied.index + 1, 1_MiB, 1024));
    if (entries.empty()) return fail(Errc::kOutOfRange, "the log ends before what is committed");
    for (const Entry& entry : entries) {
      if (entry.meta.index > end) break;
      // A snapshot may have been installed during the read.
      if (entry.meta.index != applied.index + 1) break;
      // The table may be that of a later entry already: a snapshot says what it reaches to. Moving
      // the start twice does no harm.
      const bool beyond_table = entry.meta.index > table_reaches.index;
      if (entry.meta.kind == EntryKind::kCommand) {
        apply_command(entry, beyond_table);
      } else if (entry.meta.kind == EntryKind::kBatch && beyond_table) {
        const BatchView batch = TRY(BatchView::parse(entry.payload));
        producers.apply(batch, entry.meta.id());
        if (machine != nullptr) machine->apply(batch, entry.meta.id());
      }
      if (beyond_table) {
        table_reaches = entry.meta.id();
        ++entries_unsaved;
        bytes_unsaved += entry.payload.size();
      }
      applied = entry.meta.id();
    }
    if (machine != nullptr) machine->on_applied(applied);
    applied_moved.notify_all();
    if (wants_snapshot() || pending_start) start_wake.notify_all();
  }
  return {};
}

void Partition::State::apply_command(const Entry& entry, bool beyond_table) {
  const Result<PartitionCommand> command = PartitionCommand::decode(entry.payload);
  if (!command) {
    runtime.log().error("partition", "{}-{}: entry {} is not understood: {}", topic_name, key.partition,
                        entry.meta.index.value, command.error().text());
    return;
  }
  if (command->kind == PartitionCommand::Kind::kExpireProducers) {
    if (beyond_table)
      for (const auto& [id, newest] : command->producers) producers.apply_expiry(id, newest);
    return;
  }
  // Two of them may be on their way, proposed on the same start: the log keeps what both keep.
  PartitionCommand start = *command;
  if (asked_start) {
    start.start = std::max(start.start, asked_start->start);
    start.first = std::max(start.first, asked_start->first);
  }
  pending_start = asked_start = start;
  start_wake.notify_all();
}

Offset Partition::State::reading_starts() const {
  const Offset start = log.start_offset();
  if (!asked_start || group == nullptr || PLANT("P41")) return start;
  // A snapshot may know of one that this log does not know to be committed yet.
  return std::max(start, std::min(asked_start->start, group->commit_offset()));
}

// A new leader replays its uncommitted tail into the speculative state before its first decision
// (docs/decisions/012-decide-append-apply-reply.md): a batch that an earlier leader appended and did not
// commit is a duplicate too.
void Partition::State::run_opener(Task& task, Term opened) {
  const auto current = [&] { return role == Role::kLeader && term == opened && !stopping && group != nullptr; };
  // Applied state first: what is committed by now. The rest of the log, to its end, is speculation.
  while (current() && applied.index < group->commit())
    if (!applied_moved.wait(task, runtime.now() + 100_ms) && task.cancelled()) return;
  LogIndex next = applied.index + 1;
  while (current() && next <= log.last_index()) {
    const Result<std::vector<Entry>> entries = log.read_entries(task, next, 1_MiB, 1024);
    if (!entries) {
      if (entries.error().code == Errc::kCancelled) return;
      runtime.log().error("partition", "{}-{}: cannot lead: {}", topic_name, key.partition, entries.error().text());
      if (!runtime.sleep_for(task, 1_s)) return;
      continue;
    }
    if (!current()) return;
    for (const Entry& entry : *entries) {
      next = entry.meta.index + 1;
      // Applied meanwhile: then it is not speculation any more.
      if (entry.meta.index <= applied.index || entry.meta.kind != EntryKind::kBatch) continue;
      if (const Result<BatchView> batch = BatchView::parse(entry.payload); batch)
        producers.speculate(*batch, entry.meta.id());
    }
  }
  if (!current()) return;
  serving = opened;
  runtime.log().debug("partition", "{}-{}: leads in epoch {} from offset {}", topic_name, key.partition,
                      opened.value, log.next_offset().value);
  leadership_changed();
}

void Partition::State::run_housekeeping(Task& task) {
  Instant next_look = runtime.now() + options.housekeeping_interval;
  while (!task.cancelled()) {
    // After a restart a snapshot may know of a start that this log does not know to be committed yet.
    if (pending_start && pending_start->first <= log.committed() + 1 && start_retry <= runtime.now()) {
      const Result<> moved = move_start(task);
      if (moved) continue;
      if (moved.error().code == Errc::kCancelled) return;
      // A disk that is full has room again some time.
      if (!start_retry) runtime.log().error("partition", "{}-{}: the log start stays at {}: {}", topic_name, key.partition,
                                            log.start_offset().value, moved.error().text());
      start_retry = runtime.now() + 1_s;
    }
    if (wants_snapshot()) {
      const Result<> saved = save_table(task);
      if (saved) continue;
      if (saved.error().code == Errc::kCancelled) return;
      // The table of before still serves: a restart replays more, and nothing else.
      runtime.log().warn("partition", "{}-{}: its producers were not saved: {}", topic_name, key.partition, saved.error().text());
      if (!runtime.sleep_for(task, 1_s)) return;
    }
    const Result<> woken = start_wake.wait(task, pending_start && start_retry > runtime.now() ? std::min(next_look, *start_retry) : next_look);
    if (!woken && woken.error().code == Errc::kCancelled) return;
    if (runtime.now() < next_look) continue;
    next_look = runtime.now() + options.housekeeping_interval;
    if (role == Role::kLeader && in_sync != compute_in_sync()) on_progress();
    if (role == Role::kLeader && serving == term) {
      propose_retention();
      propose_expiry();
    }
    scrub_some(task);
  }
}

// All that lies in segments is read once in each round, a piece at a time, at the pace that this takes.
void Partition::State::scrub_some(Task& task) {
  if (scrub_due == Instant::never()) {
    // Whoever restarts often still comes to the end, now and then.
    const auto entries = static_cast<uint64_t>(log.last_index() - log.first_index()) + 1;
    scrub_at = log.first_index() + static_cast<int64_t>(runtime.random().next() % std::max<uint64_t>(entries, 1));
    scrub_due = runtime.now();
  }
  while (scrub_due <= runtime.now() && !task.cancelled()) {
    const auto done = log.scrub(task, scrub_at, 1);
    if (!done) return;  // The same place again next time.
    if (done->bad > 0)
      runtime.log().error("partition", "{}-{}: damage found in stored records around entry {}; it is not served, and repaired "
                          "from the other replicas", topic_name, key.partition, done->next.value - 1);
    const bool round_over = done->next <= scrub_at;
    scrub_at = done->next;
    if (round_over) scrub_snapshot(task);
    const auto all = static_cast<int64_t>(std::max<ByteCount>(log.size_bytes(), 1));
    const auto read = std::min(static_cast<int64_t>(done->bytes), all);
    const Duration pause = Duration::from_ms(read == 0 ? options.scrub_round.ms() : options.scrub_round.ms() * read / all + 1);
    scrub_due = std::max(scrub_due, runtime.now() - options.housekeeping_interval) + pause;
  }
}

// What it holds is in memory, too.
void Partition::State::scrub_snapshot(Task& task) {
  const Result<> good = log.check_snapshot(task);
  if (good || good.error().code != Errc::kCorrupt) return;
  const Result<> saved = save_table(task);
  runtime.log().error("partition", "{}-{}: {}; {}", topic_name, key.partition, good.error().text(),
                      saved ? std::string("it is written again") : fmt::format("nor is it written again: {}", saved.error().text()));
}

Result<> Partition::State::save_table(Task& task) {
  entries_unsaved = 0;
  bytes_unsaved = 0;
  return log.save_snapshot(task, {table_reaches, log.start_offset(), encode_snapshot(log.start_offset())});
}

// The producers of what goes must outlive it: the table is made durable before the log start moves.
Result<> Partition::State::move_start(Task& task) {
  const PartitionCommand command = *pending_start;
  TRY(save_table(task));
  start_retry.reset();
  if (pending_start && pending_start->start == command.start) pending_start.reset();
  // Reading may start in the middle of an entry, or of several that go together. What begins where is not known of an
  // entry that does not read, nor, of the one before it, in which term it was: the file stays until the start moves again.
  LogIndex first = command.first;
  std::optional<Offset> first_offset;
  if (first > log.first_index() && first <= log.last_index() && !PLANT("S84")) {
    const Result<EntryMeta> meta = log.read_meta(task, first);
    if (meta && (log.term_at(first - 1) || PLANT("S86"))) first_offset = meta->base_offset;
    else if (!meta && meta.error().code == Errc::kCancelled) return std::unexpected(meta.error());
    else first = log.first_index();
  }
  const Result<WalSequence> set = log.set_log_start(command.start, first, first_offset);
  if (!set) {
    runtime.log().warn("partition", "{}-{}: log start {}: {}", topic_name, key.partition, command.start.value,
                       set.error().text());
    return {};
  }
  if (group != nullptr) driver.dropped_prefix(key, log.prefix().index);
  wake_watches();
  return {};
}

Slice Partition::State::encode_snapshot(Offset begins) const {
  ByteWriter out;
  out.u16(machine == nullptr ? kSnapshotFormat : kSnapshotFormatOfMachine);
  out.i64(table_reaches.index.value);
  out.i64(table_reaches.term.value);
  out.i64(begins.value);
  out.sized(producers.encode().view());
  const PartitionCommand asked = asked_start.value_or(PartitionCommand{});
  out.i64(asked.start.value);
  out.i64(asked.first.value);
  if (machine != nullptr) out.sized(machine->save().view());
  return Slice(out.view());
}

Result<> Partition::State::load_snapshot(ByteView bytes) {
  ByteReader in(bytes);
  const uint16_t format = in.u16();
  if (format < 1 || format > kSnapshotFormatOfMachine)
    return fail(Errc::kUnsupported, fmt::format("a partition's snapshot in format {}, this version reads up to {}", format,
                                               kSnapshotFormatOfMachine));
  EntryId reaches;
  reaches.index = LogIndex(in.i64());
  reaches.term = Term(in.i64());
  (void)in.i64();
  const ByteView table = in.sized();
  PartitionCommand asked;
  if (format >= 2) {
    asked.start = Offset(in.i64());
    asked.first = LogIndex(in.i64());
  }
  const ByteView of_machine = format >= kSnapshotFormatOfMachine ? in.sized() : ByteView();
  if (!in.done()) return fail(Errc::kCorrupt, "a partition's snapshot is cut short or too long");
  if (reaches.index < table_reaches.index) return {};
  // One that was saved before there was a machine spares it nothing: the log is replayed from its start.
  if (machine != nullptr && format < kSnapshotFormatOfMachine) return {};
  if (machine != nullptr) TRY(machine->load(of_machine));
  if (!PLANT("T18")) TRY(producers.decode(table));
  table_reaches = reaches;
  // A crash may have come between the snapshot and the move that it was made for, and nobody reads the command
  // again.
  asked_start = asked;
  if (asked.start > log.start_offset()) pending_start = asked;
  return {};
}

// The producers go along with what goes to segments: a restart replays what came behind, however large the log is. What a
// machine makes of a log is too much for that.
Result<> Partition::State::load_note(Task& task) {
  if (machine != nullptr) return {};
  const Slice note = TRY(log.read_note(task));
  const Result<> loaded = note.empty() ? Result<>() : load_snapshot(note);
  if (PLANT("S82") && !note.empty()) table_reaches.index = std::max(table_reaches.index, log.last_index());
  if (!loaded)
    runtime.log().warn("partition", "{}-{}: the producers beside its newest records are not read: {}; more is replayed", topic_name,
                       key.partition, loaded.error().text());
  log.set_note_source([this](size_t max) {
    Slice now = encode_snapshot(log.start_offset());
    return now.size() <= max ? now : Slice();
  });
  return {};
}

// What a member behind the log start needs: where the log begins, and the producers. The entries that
// remain are replicated as they are; those that the table already knows change nothing there.
Result<std::pair<EntryId, Slice>> Partition::State::make_snapshot(Task& task) {
  for (;;) {
    const EntryId prefix = log.prefix();
    // The start that clients see may lie further on, in the middle of what is still here: DeleteRecords names any offset.
    Offset begins = log.next_offset();
    if (log.first_index() <= log.last_index()) begins = TRY(log.read_meta(task, log.first_index())).base_offset;
    if (log.prefix() == prefix) return std::pair{prefix, encode_snapshot(begins)};
  }
}

Result<> Partition::State::on_snapshot(Task& task, EntryId last, const Configuration& members, Slice state) {
  ByteReader in(state);
  (void)in.u16();
  (void)in.i64();
  (void)in.i64();
  const Offset begins(in.i64());
  if (!in.ok() || begins < Offset(0)) return fail(Errc::kCorrupt, "a partition's snapshot is cut short");
  TRY(load_snapshot(state));
  Entry membership;
  membership.meta.kind = EntryKind::kConfig;
  membership.meta.index = last.index;
  membership.meta.term = last.term;
  membership.meta.base_offset = begins;
  membership.payload = encode_configuration(members);
  TRY(log.install_snapshot(task, Snapshot{last, begins, std::move(state)}, begins, membership));
  // Where reading starts may lie further on, in what is still to come: the housekeeper waits for that.
  if (asked_start && asked_start->start > log.start_offset()) pending_start = asked_start;
  start_wake.notify_all();
  if (applied.index < last.index) applied = last;
  return {};
}

Result<> Partition::State::propose(const PartitionCommand& command) {
  Entry entry;
  entry.meta.kind = EntryKind::kCommand;
  entry.meta.base_offset = log.next_offset();
  entry.payload = command.encode();
  TRY(group->propose(std::span(&entry, 1)));
  return {};
}

// Whole segments, the oldest first, only what is committed; the leader's clock decides, replicas obey.
void Partition::State::propose_retention() {
  const int64_t now_ms = runtime.wall_now().ms;
  if (config.segment_ms > 0) log.seal_older_than(now_ms - config.segment_ms);
  if (!config.deleted || pending_start) return;
  const std::vector<SegmentInfo> segments = log.segments();
  ByteCount size = log.size_bytes();
  const SegmentInfo* last_gone = nullptr;
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const SegmentInfo& segment = segments[i];
    const bool old = config.retention_ms >= 0 && segment.max_timestamp >= 0 &&
                     segment.max_timestamp < now_ms - config.retention_ms;
    const bool too_much = config.retention_bytes >= 0 &&
                          size - segment.size_bytes >= static_cast<ByteCount>(config.retention_bytes);
    if (!old && !too_much) break;
    size -= segment.size_bytes;
    last_gone = &segment;
  }
  if (last_gone == nullptr || last_gone->next_offset <= log.start_offset()) return;
  PartitionCommand command;
  command.start = last_gone->next_offset;
  command.first = last_gone->next_index;
  runtime.log().info("partition", "{}-{}: retention moves the log start to {}", topic_name, key.partition,
                     command.start.value);
  (void)propose(command);  // Else the next look does.
}

Faulty<Offset> Partition::State::delete_records(Task& task, Offset before, Instant deadline) {
  const Use use(*this);
  if (auto fault = owner.check_leader(-1)) return std::unexpected(std::move(*fault));
  if (!owner.high_watermark_is_current()) return std::unexpected(Fault{PartitionFault::kOffsetNotAvailable, {}, {}});
  const Offset high = owner.view().high_watermark;
  const Offset start = before == kNoOffset ? high : before;
  if (start < Offset(0) || start > high)
    return std::unexpected(Fault{PartitionFault::kOutOfRange,
                                 fmt::format("offset {} is outside [0, {}]", start.value, high.value), {}});
  const Term asked_in = term;
  bool asked = false;
  while (log.start_offset() < start) {
    if (!asked && !pending_start) {
      // Files go by whole segments, as with retention: what a segment has beyond the start stays with it.
      PartitionCommand command;
      command.start = start;
      command.first = log.first_index();
      for (const SegmentInfo& segment : log.segments())
        if (segment.next_offset <= start) command.first = std::max(command.first, segment.next_index);
      if (!propose(command)) return std::unexpected(not_leader());
      asked = true;
    }
    if (const Result<> moved = start_moved.wait(task, deadline); !moved)
      return std::unexpected(Fault{PartitionFault::kTimedOut, {}, {}});
    if (auto fault = owner.check_leader(-1)) return std::unexpected(std::move(*fault));
    if (term != asked_in) return std::unexpected(not_leader());
  }
  return log.start_offset();
}

void Partition::State::propose_expiry() {
  const Instant now = runtime.now();
  PartitionCommand command;
  command.kind = PartitionCommand::Kind::kExpireProducers;
  for (const auto& [id, state] : producers.applied()) {
    // A producer that this leader has not seen yet is counted from now: the clock before was another's.
    const auto [it, fresh] = producer_seen.try_emplace(id, now);
    if (!fresh && now - it->second > options.producer_expiration)
      command.producers.push_back({id, state.newest().entry});
  }
  if (command.producers.empty()) return;
  for (const auto& [id, newest] : command.producers) producer_seen.erase(id);
  (void)propose(command);
}

}  // namespace taffrail
