// Group 0's log on this broker: what is committed becomes the image, and the image becomes snapshots.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/plant.h"
#include "controller/controller_state.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr uint8_t kSnapshotFormat = 1;
constexpr Duration kReadRetry = 1_s;
constexpr size_t kTermRunsMax = 1024;

// The image, and the membership in force where it stands: whoever installs a snapshot starts its log
// there, and no entry is left that would tell.
struct StateSnapshot {
  Configuration configuration;
  ClusterImage image;
};

Slice encode_snapshot(const Configuration& configuration, const ClusterImage& image) {
  ByteWriter out;
  out.u8(kSnapshotFormat);
  write_configuration(out, configuration);
  out.sized(image.encode().view());
  return Slice(out.view());
}

Result<StateSnapshot> decode_snapshot(ByteView bytes) {
  ByteReader in(bytes);
  TRY(read_format(in, kSnapshotFormat, "metadata snapshot"));
  StateSnapshot snapshot;
  snapshot.configuration = TRY(read_configuration(in));
  const ByteView encoded = in.sized();
  if (!in.done()) return fail(Errc::kCorrupt, "metadata snapshot: cut short or too long");
  snapshot.image = TRY(ClusterImage::decode(encoded));
  return snapshot;
}

// Whether anybody else may know what the log knew. What does not decode names nobody.
bool has_others(const Log& log, const Configuration& voters, const ReplicaId& self) {
  std::vector<ReplicaId> known = voters.members();
  for (const Entry& entry : log.configs())
    if (const Result<Configuration> configuration = decode_configuration(entry.payload))
      for (const ReplicaId& member : configuration->members()) known.push_back(member);
  return std::any_of(known.begin(), known.end(), [&](const ReplicaId& member) { return member != self; });
}

}  // namespace

Result<> Controller::State::load(Task& task, const Configuration& voters) {
  const std::optional<EntryId> saved = log.snapshot_id();
  const bool whole = log.prefix().index == LogIndex(0);
  if (!saved && whole) return {};
  Result<Snapshot> snapshot = fail(Errc::kCorrupt, fmt::format("the metadata log begins behind entry {}, and there is no snapshot "
                                                               "of what was before", log.prefix().index.value));
  if (saved && saved->index >= log.prefix().index) snapshot = log.read_snapshot(task);
  Result<StateSnapshot> state = snapshot ? decode_snapshot(snapshot->state) : std::unexpected(snapshot.error());
  if (state) {
    image = std::move(state->image);
    note_applied(PLANT("R23") ? EntryId{snapshot->last.index + 1, snapshot->last.term} : snapshot->last);
    return {};
  }
  if (state.error().code != Errc::kCorrupt) return std::unexpected(state.error());
  // A snapshot is a shortcut as long as the log reaches back to its beginning. Otherwise the others know what is in it.
  if (!whole && (!has_others(log, voters, driver.self()) || PLANT("M61"))) return std::unexpected(state.error());
  image_missing = !whole;
  runtime.log().error("controller", "{}; {}", state.error().text(),
                      whole ? "the log is replayed from its start" : "the leader of group 0 is asked for its own");
  return {};
}

void Controller::State::fetch_image(Task& task, const Configuration& voters) {
  while (image_missing && group != nullptr) {
    Result<std::pair<EntryId, Slice>> theirs = driver.ask_for_snapshot(task, kMetadataPartition, log, voters);
    if (!image_missing) return;  // Raft had one sent meanwhile.
    // It joins on to the log; what the leader saves grows with the log, as here.
    if (theirs && theirs->first.index < log.prefix().index)
      theirs = fail(Errc::kUnavailable, fmt::format("the leader's ends at entry {}", theirs->first.index.value));
    Result<StateSnapshot> state = theirs ? decode_snapshot(theirs->second) : std::unexpected(theirs.error());
    if (state) {
      take_image(std::move(state->image), theirs->first);
      runtime.log().info("controller", "the metadata up to entry {} is here again, as the leader knows it", applied.index.value);
      return;
    }
    runtime.log().debug("controller", "no image of the metadata: {}", state.error().text());
    if (!runtime.sleep_for(task, kReadRetry)) return;
  }
}

void Controller::State::take_image(ClusterImage theirs, EntryId last) {
  image = std::move(theirs);
  if (image_missing && group != nullptr) group->stand_by(false);
  image_missing = false;
  note_applied(last);
  committed = std::max(committed, last.index);
  commit_moved.notify_all();
  changed.notify_all();
  if (self.on_applied) self.on_applied(nullptr);
}

std::optional<ClusterImage> Controller::replay(Task& task) const {
  State& s = *state_;
  const LogIndex end = s.applied.index;
  if (s.log.first_index() > LogIndex(1)) return std::nullopt;
  ClusterImage image;
  for (LogIndex next(1); next <= end;) {
    const Result<std::vector<Entry>> entries = s.log.read_entries(task, next, 1_MiB, 1024);
    if (!entries || entries->empty() || s.applied.index != end) return std::nullopt;
    for (const Entry& entry : *entries) {
      if (entry.meta.index > end) break;
      next = entry.meta.index + 1;
      if (entry.meta.kind != EntryKind::kCommand) continue;
      const Result<std::vector<MetadataRecord>> records = decode_records(entry.payload);
      if (!records) return std::nullopt;
      for (const MetadataRecord& record : *records)
        if (!image.apply(record, entry.meta.index)) return std::nullopt;
    }
  }
  return image;
}

// What cannot be read or understood gives no addresses, and is somebody else's to complain about.
Result<> Controller::State::look_ahead(Task& task) {
  for (LogIndex next = std::max(applied.index + 1, log.first_index()); group != nullptr && next <= log.last_index();) {
    const Result<std::vector<Entry>> entries = log.read_entries(task, next, 1_MiB, 1024);
    if (!entries && entries.error().code == Errc::kCancelled) return fail(Errc::kCancelled);
    if (!entries || entries->empty()) break;
    for (const Entry& entry : *entries) {
      next = entry.meta.index + 1;
      if (entry.meta.kind != EntryKind::kCommand) continue;
      const Result<std::vector<MetadataRecord>> records = decode_records(entry.payload);
      if (!records) continue;
      for (const MetadataRecord& record : *records)
        if (const auto* registered = std::get_if<RegisterBroker>(&record))
          ahead[registered->broker.replica.node] = registered->broker.internal;
    }
  }
  return {};
}

void Controller::State::on_commit(LogIndex index, Offset) {
  committed = std::max(committed, index);
  commit_moved.notify_all();
}

void Controller::State::run_applier(Task& task) {
  std::string told;
  while (group != nullptr) {
    if (const Result<> done = apply_committed(task); !done) {
      if (done.error().code == Errc::kCancelled) return;
      if (std::string why = done.error().text(); why != told) {
        runtime.log().error("controller", "the metadata log cannot be read: {}", why);
        told = std::move(why);
      }
      (void)commit_moved.wait(task, runtime.now() + kReadRetry);
      if (task.cancelled()) return;
      continue;
    }
    if (group == nullptr || (applied.index < committed && !image_missing)) continue;
    if (!commit_moved.wait(task)) return;
  }
}

// Up to what is committed now. Errors: as Log::read_entries.
Result<> Controller::State::apply_committed(Task& task) {
  while (group != nullptr && !image_missing && applied.index < committed) {
    const LogIndex from = applied.index + 1;
    const Result<std::vector<Entry>> entries = log.read_entries(task, from, 1_MiB, 1024);
    if (!entries && entries.error().code == Errc::kOutOfRange) {
      // A snapshot took the log's front while this read it: its state is here, or about to be.
      if (applied.index + 1 != from) continue;
      if (from < log.first_index()) {
        TRY(changed.wait(task));
        continue;
      }
    }
    if (!entries) return std::unexpected(entries.error());
    for (const Entry& entry : *entries) {
      if (entry.meta.index <= applied.index) continue;
      if (entry.meta.index > committed || entry.meta.index != applied.index + 1) break;
      if (!apply(entry)) return {};
      changed.notify_all();
      if (self.on_applied) self.on_applied(&entry);
    }
    const LogIndex saved = log.snapshot_id() ? log.snapshot_id()->index : LogIndex(0);
    if (static_cast<uint64_t>(applied.index - saved) < options.snapshot_every) continue;
    if (const Result<> taken = take_snapshot(task); !taken) {
      if (taken.error().code == Errc::kCancelled) return taken;
      runtime.log().warn("controller", "no snapshot was taken: {}", taken.error().text());
    }
  }
  return {};
}

bool Controller::State::apply(const Entry& entry) {
  if (entry.meta.kind == EntryKind::kCommand) {
    const Result<std::vector<MetadataRecord>> records = decode_records(entry.payload);
    if (!records) {
      put_in_quarantine(fmt::format("entry {}: {}", entry.meta.index.value, records.error().text()));
      return false;
    }
    for (size_t i = 0; i < records->size(); ++i) {
      if (image.apply((*records)[i], entry.meta.index)) continue;
      put_in_quarantine(fmt::format("entry {}, record {}, contradicts what was before it", entry.meta.index.value, i));
      return false;
    }
  }
  note_applied(entry.meta.id());
  return true;
}

void Controller::State::note_applied(EntryId id) {
  if (!applied_runs.empty() && applied_runs.back().term == id.term && applied_runs.back().last + 1 == id.index) {
    applied_runs.back().last = id.index;
  } else {
    applied_runs.push_back({id.index, id.index, id.term});
    if (applied_runs.size() > kTermRunsMax) applied_runs.pop_front();
  }
  applied = id;
}

std::optional<Term> Controller::State::applied_term(LogIndex index) const {
  for (auto run = applied_runs.rbegin(); run != applied_runs.rend(); ++run)
    if (run->first <= index && index <= run->last) return run->term;
  return std::nullopt;
}

// Never a CHECK: entries come from other brokers, and this one may be the one that is right.
void Controller::State::put_in_quarantine(const std::string& why) {
  const std::string invariant = "I-M2 what is committed applies";
  runtime.log().error("controller", "the cluster's metadata is in quarantine here: {}; {}", invariant, why);
  driver.remove(kMetadataPartition);
  group = nullptr;
  speculative.reset();
  changed.notify_all();
  if (driver.on_quarantine) driver.on_quarantine(kMetadataPartition, invariant);
}

Result<> Controller::State::take_snapshot(Task& task) {
  // Held while it is written: the log takes one at a time.
  const Mutex::Lock lock = TRY(snapshotting.lock(task));
  if (group == nullptr) return fail(Errc::kUnavailable);
  const std::optional<EntryId> before = log.snapshot_id();
  if (before && before->index >= applied.index && !log.snapshot_damaged()) return {};
  const EntryId last = applied;
  const Slice state = encode_snapshot(group->raft().log().configuration_at(last.index), image);
  if (PLANT("R22") && last.index <= group->raft().durable() && last.index > log.prefix().index) {
    TRY(log.set_log_start(log.start_offset(), last.index + 1));
    driver.dropped_prefix(kMetadataPartition, log.prefix().index);
  }
  TRY(log.save_snapshot(task, Snapshot{last, log.start_offset(), state}));

  // The log keeps what lies behind the snapshot before this one: a follower that is a little late is
  // better served by entries. What is not durable here stays, whoever else has committed it; and
  // so does what damage hides, of which nobody would know the term.
  if (group == nullptr || !before || before->index <= log.prefix().index) return {};
  if (before->index > group->raft().durable() || !log.term_at(before->index)) return {};
  TRY(log.set_log_start(log.start_offset(), before->index + 1));
  driver.dropped_prefix(kMetadataPartition, log.prefix().index);
  return {};
}

// What it holds is in memory, too.
void Controller::State::run_scrub(Task& task) {
  while (runtime.sleep_for(task, options.scrub_round)) {
    const Result<> good = log.check_snapshot(task);
    if (good || good.error().code != Errc::kCorrupt || image_missing) continue;
    const Result<> taken = take_snapshot(task);
    runtime.log().error("controller", "{}; {}", good.error().text(),
                        taken ? std::string("it is written again") : fmt::format("nor is it written again: {}", taken.error().text()));
  }
}

// The saved snapshot, not a fresh one: it has to be the same when it is offered and when it is fetched.
Result<std::pair<EntryId, Slice>> Controller::State::make_snapshot(Task& task) {
  const Visit visit(*this);
  if (stopping || group == nullptr) return fail(Errc::kUnavailable);
  if (!log.snapshot_id()) TRY(take_snapshot(task));
  Result<Snapshot> snapshot = log.read_snapshot(task);
  if (!snapshot && snapshot.error().code == Errc::kCorrupt) {
    // Nobody is helped by it any more, and all that it says is here.
    runtime.log().error("controller", "{}; another one takes its place", snapshot.error().text());
    TRY(take_snapshot(task));
    snapshot = log.read_snapshot(task);
    if (!snapshot && group != nullptr)
      return std::pair{applied, encode_snapshot(group->raft().log().configuration_at(applied.index), image)};
  }
  Snapshot saved = TRY(std::move(snapshot));
  return std::pair{saved.last, std::move(saved.state)};
}

Result<> Controller::State::on_snapshot(Task& task, EntryId last, const Configuration& members, Slice state) {
  const Visit visit(*this);
  if (stopping || group == nullptr) return fail(Errc::kUnavailable);
  StateSnapshot snapshot = TRY(decode_snapshot(state));
  Entry membership;
  membership.meta.kind = EntryKind::kConfig;
  membership.meta.index = last.index;
  membership.meta.term = last.term;
  membership.meta.base_offset = log.start_offset();
  membership.payload = encode_configuration(members);
  {
    const Mutex::Lock lock = TRY(snapshotting.lock(task));
    TRY(log.install_snapshot(task, Snapshot{last, log.start_offset(), std::move(state)}, log.start_offset(),
                             membership));
  }
  // The applier may have come further meanwhile.
  if (last.index <= applied.index) return {};
  take_image(std::move(snapshot.image), last);
  return {};
}

}  // namespace taffrail
