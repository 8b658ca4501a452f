// What a log does with files: chunks, segments, snapshots. Only the checkpointer's fiber, or a caller
// that holds its lock, comes here.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/key_bytes.h"
#include "base/plant.h"
#include "storage/checkpointer.h"
#include "storage/log.h"
#include "storage/read_damaged.h"
#include "storage/store.h"

namespace taffrail {

namespace {

constexpr uint32_t kSnapshotMagic = 0x5446534e;  // "TFSN"
constexpr uint16_t kSnapshotVersion = 1;
constexpr ByteCount kSnapshotSizeMax = 4ull << 30;

}  // namespace

Result<> Log::make_own_directory(Task& task) {
  if (directory_made_) return {};
  Disk& disk = store_.runtime_.disk();
  TRY(disk.make_directory(task, directory_));
  TRY(disk.sync_directory(task, store_.options().directory + "/logs"));
  directory_made_ = true;
  return {};
}

// Moves what follows the last flushed entry, up to `end`, as one chunk: as much as options.chunk_bytes,
// or one entry if that is larger. After an error nothing has changed.
Result<> Log::flush_chunk(Task& task, LogIndex end) {
  std::vector<Entry> entries;
  std::vector<uint32_t> crcs;
  ByteCount bytes = 0;
  end = std::min(end, committed_);
  for (LogIndex i = std::max(flushed_.last.index, prefix_.index) + 1; i <= end; ++i) {
    const Tail* t = tail_at(i);
    if (t == nullptr) return {};  // The log's start moved past it while an earlier one was read.
    if (!entries.empty() && (bytes + t->size > store_.options().chunk_bytes || entries.size() >= kChunkEntriesMax))
      break;
    bytes += t->size;
    crcs.push_back(t->crc);
    Entry entry{t->meta, t->payload};
    if (!t->in_memory && t->size != 0) {
      Result<Slice> payload = read_tail_payload(task, i);
      if (!payload && payload.error().code == Errc::kOutOfRange) return {};
      entry.payload = TRY(std::move(payload));
    }
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return {};

  TRY(make_own_directory(task));
  const bool full = !segments_.empty() && (seal_next_ || segments_.back()->is_old() ||
                                           segments_.back()->end() >= store_.options().segment_bytes);
  if (full) TRY(segments_.back()->write_index(task));
  if (full || segments_.empty()) {
    const EntryMeta& first = entries.front().meta;
    segments_.push_back(TRY(Segment::create(task, store_.runtime_.disk(), key_, directory_, first.index,
                                            first.base_offset)));
    seal_next_ = false;
  }
  const std::shared_ptr<Segment> segment = segments_.back();
  // A small part of what is written anyway.
  const size_t note_max = std::min<size_t>(std::max<size_t>(bytes / 8, 512), kNoteBytesMax);
  const Slice note = note_source_ ? note_source_(note_max) : Slice();
  TRY(segment->append(task, entries, crcs, note));
  for (const Entry& entry : entries)
    if (const Tail* t = tail_at(entry.meta.index)) committed_unflushed_bytes_ -= t->size;
  flushed_ = {entries.back().meta.id(), entries.back().meta.next_offset(), segment->first(), segment->end()};
  drop_flushed_front();
  return {};
}

Result<Slice> Log::read_note(Task& task) {
  // The newest segment may be one that was made and got no chunk.
  const std::vector<std::shared_ptr<Segment>> segments = segments_;
  for (size_t i = 0; i < std::min<size_t>(segments.size(), 2); ++i) {
    Slice note = TRY(segments[segments.size() - 1 - i]->read_note(task));
    if (!note.empty()) return note;
  }
  return Slice();
}

Result<> Log::sync_segments(Task& task) {
  const Flushed reached = flushed_;
  const std::vector<std::shared_ptr<Segment>> segments = segments_;
  for (const auto& segment : segments)
    if (!segment->synced()) {
      TRY(segment->sync(task));
      TRY(segment->note_index(task));
    }
  synced_ = reached;
  return {};
}

bool Log::has_unlinkable() const {
  return segments_.size() > 1 && segments_.front()->next() <= first_index();
}

Result<> Log::unlink_below_start(Task& task) {
  CHECK(start_sequence_ <= store_.wal_->durable(), "I-S6 the new start is durable before anything goes");
  // While a file goes the start may move on, and is not durable then.
  const LogIndex start = first_index();
  bool removed = false;
  while (segments_.size() > 1 && segments_.front()->next() <= (PLANT("S13") ? first_index() : start)) {
    const std::shared_ptr<Segment> gone = segments_.front();
    CHECK(gone->next() <= start || start_sequence_ <= store_.wal_->durable(), "I-S6 the start that a file lies below is durable");
    segments_.erase(segments_.begin());
    removed = true;
    TRY(gone->remove(task));
  }
  while (!patches_.empty() && patches_.front()->next() <= start) {
    const std::shared_ptr<Segment> gone = patches_.front();
    patches_.erase(patches_.begin());
    removed = true;
    TRY(gone->remove(task));
  }
  std::erase_if(lost_, [&](const auto& hole) { return hole.second <= first_index(); });
  if (removed) TRY(store_.runtime_.disk().sync_directory(task, directory_));
  return {};
}

Result<> Log::remove_files(Task& task) {
  Disk& disk = store_.runtime_.disk();
  const Result<std::vector<std::string>> names = disk.list(task, directory_);
  if (!names) {
    if (names.error().code == Errc::kNotFound) return {};
    return std::unexpected(names.error());
  }
  for (const std::string& name : *names) TRY(disk.remove(task, directory_ + "/" + name));
  TRY(disk.remove_directory(task, directory_));
  return disk.sync_directory(task, store_.options().directory + "/logs");
}

// --- Snapshots. ---

Result<> Log::write_snapshot(Task& task, const Snapshot& snapshot) {
  ByteWriter out;
  out.u32(kSnapshotMagic);
  out.u16(kSnapshotVersion);
  out.u16(0);
  write_key(out, key_);
  out.i64(snapshot.last.index.value);
  out.i64(snapshot.last.term.value);
  out.i64(snapshot.next_offset.value);
  out.sized(snapshot.state.view());
  out.u32(crc32c(out.view()));
  TRY(make_own_directory(task));
  Disk& disk = store_.runtime_.disk();
  if (PLANT("S03")) {
    const auto file = TRY(disk.open(task, directory_ + "/snapshot.new", OpenMode::kOpenOrCreate));
    TRY(file->write_at(task, 0, out.view()));
    TRY(disk.rename(task, directory_ + "/snapshot.new", directory_ + "/snapshot"));
    TRY(disk.sync_directory(task, directory_));
  } else {
    TRY(replace_file(task, disk, directory_ + "/snapshot", out.view()));
  }
  snapshot_id_ = snapshot.last;
  snapshot_damaged_ = false;
  return {};
}

Result<> Log::check_snapshot(Task& task) {
  const std::optional<EntryId> looked_at = snapshot_id_;
  if (!looked_at || PLANT("S85")) return {};
  const Result<Snapshot> read = read_snapshot(task);
  if (read) return {};
  // Another may have taken its place meanwhile.
  if (read.error().code == Errc::kCorrupt && snapshot_id_ == looked_at) snapshot_damaged_ = true;
  return std::unexpected(read.error());
}

Result<> Log::save_snapshot(Task& task, Snapshot snapshot) {
  const auto lock = TRY(store_.checkpointer_->lock_files(task));
  // Of the same entry only over one that does not read.
  if (snapshot_id_ && snapshot.last.index < snapshot_id_->index + (snapshot_damaged_ ? 0 : 1)) return {};
  TRY(write_snapshot(task, snapshot));
  return store_.wal().wait_durable(task, push_state(false));
}

Result<Snapshot> Log::read_snapshot(Task& task) {
  if (!snapshot_id_) return fail(Errc::kNotFound, fmt::format("{} has no snapshot", key_.text()));
  const EntryId wanted = *snapshot_id_;
  const std::string path = directory_ + "/snapshot";
  auto opened = store_.runtime_.disk().open(task, path, OpenMode::kRead);
  // The log says that there is one.
  if (!opened && opened.error().code == Errc::kNotFound)
    return fail(Errc::kCorrupt, fmt::format("{} is missing", path));
  const auto file = TRY(std::move(opened));
  const Slice bytes = TRY(read_damaged(task, *file, 0, std::min(TRY(file->size(task)), kSnapshotSizeMax)));
  ByteReader in(bytes.view());
  Snapshot snapshot;
  const uint32_t magic = in.u32();
  const uint16_t version = in.u16();
  in.u16();
  const PartitionKey key = read_key(in);
  snapshot.last.index = LogIndex(in.i64());
  snapshot.last.term = Term(in.i64());
  snapshot.next_offset = Offset(in.i64());
  const ByteView state = in.sized();
  const uint32_t crc = in.u32();
  if (!in.done() || magic != kSnapshotMagic || crc != crc32c(bytes.view().first(bytes.size() - 4))) {
    if (PLANT("S09")) return Snapshot{wanted, {}, {}};
    return fail(Errc::kCorrupt, fmt::format("{} does not read as a snapshot: its checksum does not match", path));
  }
  if (version != kSnapshotVersion)
    return fail(Errc::kUnsupported, fmt::format("{} has format {}, this program reads up to {}: start the version "
                                                "that wrote it, or a newer one", path, version, kSnapshotVersion));
  // A newer one than the state frame names is fine: the crash came between the two.
  if (key != key_ || snapshot.last.index < wanted.index)
    return fail(Errc::kCorrupt, fmt::format("{} is of {} at entry {}, wanted {}", path, key.text(),
                                            snapshot.last.index.value, wanted.index.value));
  snapshot.state = bytes.sub(static_cast<size_t>(state.data() - bytes.data()), state.size());
  return snapshot;
}

Result<> Log::install_snapshot(Task& task, Snapshot snapshot, Offset start, const Entry& config) {
  const auto lock = TRY(store_.checkpointer_->lock_files(task));
  if (snapshot.last.index <= prefix_.index) return {};
  if (!snapshot_id_ || snapshot_id_->index < snapshot.last.index) TRY(write_snapshot(task, snapshot));

  // Of what is committed there is only one history: an entry that cannot be read here is the same.
  const bool missing = snapshot.last.index <= committed_ && in_hole(snapshot.last.index);
  if (missing || term_at(snapshot.last.index) == snapshot.last.term) {
    // The log goes on behind the snapshot: only what it covers is dropped.
    if (start > next_offset_)
      return fail(Errc::kInvalid, fmt::format("{} cannot start at offset {}, as a snapshot says: offset {} is next",
                                              key_.text(), start.value, next_offset_.value));
    if (missing) note_config(config);
    set_committed(snapshot.last.index);
    return store_.wal().wait_durable(task, begin_at(start, snapshot.last, {}));
  }
  reset_memory();
  std::vector<std::shared_ptr<Segment>> old = std::move(segments_);
  old.insert(old.end(), patches_.begin(), patches_.end());
  segments_.clear();
  patches_.clear();
  prefix_ = last_ = snapshot.last;
  prefix_offset_ = next_offset_ = snapshot.next_offset;
  start_offset_ = start;
  committed_ = prefix_.index;
  configs_ = {config};
  flushed_ = synced_ = {.last = prefix_, .next_offset = next_offset_, .segment = {}, .segment_end = 0};
  // Nothing of the old log goes before the disk knows that it is over.
  TRY(store_.wal().wait_durable(task, push_state(true)));
  for (const auto& segment : old) TRY(segment->remove(task));
  if (!old.empty()) TRY(store_.runtime_.disk().sync_directory(task, directory_));
  return {};
}

}  // namespace taffrail
