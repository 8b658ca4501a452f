#include "storage/wal.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "storage/read_damaged.h"
#include "storage/wal_format.h"

namespace taffrail {

namespace {

// Payloads below this are copied into the group's own buffer: a gather list of tiny pieces costs the
// kernel more than the copy.
constexpr size_t kCopyBelow = 1024;
constexpr size_t kZeroesAtOnce = 256u << 10;
constexpr Duration kFirstSpareAfter = 500_ms;

}  // namespace

std::string wal_segment_path(std::string_view directory, uint64_t number) {
  return fmt::format("{}/wal/{:016x}.wal", directory, number);
}

Wal::Wal(Runtime& runtime, const StoreOptions& options, Listener& listener, WalSequence next,
         uint64_t next_segment, WalSequence mark, WalSequence floor)
    : runtime_(runtime), options_(options), listener_(listener), directory_(options.directory),
      next_(next), written_(next), durable_(next - 1), mark_(mark), floor_(floor),
      next_segment_(next_segment) {}

Wal::~Wal() = default;

Result<> Wal::start(Task& task) {
  files_.push_back(TRY(make_file(task, options_.wal_first_segment_bytes)));
  started_ = true;
  runtime_.spawn(scope_, "storage/wal", [this](Task& t) { run_writer(t); });
  runtime_.spawn(scope_, "storage/wal-prepare", [this](Task& t) { run_preparer(t); });
  return {};
}

WalSequence Wal::append(std::span<WalFrame> frames) {
  for (WalFrame& frame : frames) {
    frame.sequence = next_;
    if (frame.original == WalSequence()) frame.original = next_;
    ++next_;
    queued_bytes_ += frame.payload.size() + kWalFrameHeaderSize;
    queue_.push_back(std::move(frame));
  }
  if (!frames.empty()) work_.notify_one();
  return last();
}

Result<> Wal::wait_durable(Task& task, WalSequence sequence) {
  CHECK(sequence < next_, "only what was queued can become durable");
  while (durable_ < sequence) {
    if (failed_) return std::unexpected(*failed_);
    if (writer_ended_) return fail(Errc::kClosed, "the write-ahead log was closed");
    TRY(done_.wait(task));
  }
  return {};
}

// --- The writing fiber. ---

void Wal::run_writer(Task& task) {
  while (!failed_) {
    if (!queue_.empty() || mark_wanted_) {
      const ByteCount most = keep_pace(task);
      if (failed_) break;  // A segment lost its sync meanwhile.
      if (const Result<> written = write_group(task, queue_.empty(), most); !written) fail_for_good(written.error());
      continue;
    }
    if (closing_) {
      if (marked_) break;
      mark_wanted_ = true;
      continue;
    }
    const Instant deadline = marked_ ? Instant::never() : runtime_.now() + options_.wal_idle_mark_after;
    const Result<> woken = work_.wait(task, deadline);
    if (woken) continue;
    if (woken.error().code == Errc::kCancelled) break;
    // Idle: one closing mark. Without it the last group could not be told from a torn one if it rots.
    mark_wanted_ = queue_.empty();
  }
  end_writer();
}

// Returns how much the next group may take.
ByteCount Wal::keep_pace(Task& task) {
  const Instant began = runtime_.now();
  for (;;) {
    const Listener::Pace pace = listener_.pace();
    const Instant until = began + pace.wait;
    // No waiting while what shortens this log waits for this very group.
    const bool at_once = closing_ || mark_wanted_ || releasing_ || until <= runtime_.now();
    if (at_once || !moved_on_.wait(task, until)) return std::min(pace.group_max, options_.wal_group_bytes_max);
  }
}

void Wal::end_writer() {
  writer_ended_ = true;
  done_.notify_all();
}

// Writes one group: what was queued for any log of this shard while the last group was syncing. Until
// the sync returns, a crash may keep any subset of its sectors, each whole or torn. What makes that
// harmless:
//
//   W1  A frame carries its sequence, length, the segment's number and a CRC-32C over all of it: torn
//       frames, and stale ones from before the segment was recycled, never read as good.
//   W2  One group is in flight, and its header names what was durable before it: whatever is bad below
//       that mark is damage, never the trace of a crash.
//   W3  durable_ moves only after the sync that covers it, and nobody is told "yes" beyond it.
//   W4  A bad last group above every mark is "possibly acknowledged": its replicas ask the others before
//       they let go of it (docs/formats.md, "Write-ahead log").
//   W5  Behind every group lies a block of zeros, written with it: where the next header is still zero,
//       no later sync ever ended.
Result<> Wal::write_group(Task& task, bool mark, ByteCount most) {
  CHECK(!in_flight_, "W2 one group at a time");
  // Take from the queue what fits. The frames stay with this call: appenders go on meanwhile.
  std::vector<WalFrame> frames;
  frames.reserve(mark ? 0 : queue_.size());
  uint64_t frames_size = 0;
  while (!mark && !queue_.empty()) {
    const uint64_t size = kWalFrameHeaderSize + queue_.front().payload.size();
    if (!frames.empty() && frames_size + size > most) break;
    frames_size += size;
    queued_bytes_ -= size;
    frames.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  std::vector<PartitionKey> logs;
  logs.reserve(frames.size());
  for (const WalFrame& frame : frames) logs.push_back(frame.key);
  std::ranges::sort(logs);
  logs.erase(std::unique(logs.begin(), logs.end()), logs.end());
  const std::string list = encode_wal_logs(logs);

  WalGroupHeader header;
  header.first = written_;
  header.next = written_ + frames.size();
  header.frame_count = static_cast<uint32_t>(frames.size());
  header.log_count = static_cast<uint32_t>(logs.size());
  header.frames_size = frames_size;
  header.list_crc = crc32c(as_bytes(list));
  const std::shared_ptr<WalFile> file = TRY(file_for(task, wal_round_up(header.size())));
  header.segment = file->number;
  header.position = file->end;
  // After the wait for a segment: release_below() may have raised both meanwhile.
  header.durable = rewriting_ ? mark_ : durable_;
  header.floor = floor_;
  mark_wanted_ = false;

  // The payloads are the slices that came from the sockets: the kernel gathers them, nobody copies.
  ByteWriter own;
  own.reserve(header.frames_at() + frames.size() * kWalFrameHeaderSize + 2 * kWalBlock);
  own.bytes(as_bytes(encode_wal_group_header(options_.owner, header)));
  own.bytes(as_bytes(list));
  struct Piece {
    size_t own_end;        // Bytes of `own` up to here come before `payload`.
    const Slice* payload;
  };
  std::vector<Piece> pieces;
  std::vector<WalPosition> places;
  places.reserve(frames.size());
  uint64_t at = header.position + own.size();
  for (const WalFrame& frame : frames) {
    places.push_back({file->number, at});
    at += kWalFrameHeaderSize + frame.payload.size();
    encode_wal_frame_header(own, options_.owner, file->number, frame);
    if (frame.payload.size() < kCopyBelow) {
      own.bytes(frame.payload.view());
    } else {
      pieces.push_back({own.size(), &frame.payload});
    }
  }
  const uint64_t end = header.position + wal_round_up(header.size());
  const bool terminator = end + kWalBlock <= std::max(file->capacity, end);
  const std::string tail((end - at) + (terminator ? kWalBlock : 0), '\0');
  std::vector<ByteView> parts;
  parts.reserve(2 * pieces.size() + 2);
  size_t used = 0;
  for (const Piece& piece : pieces) {
    parts.push_back(own.view().subspan(used, piece.own_end - used));
    parts.push_back(piece.payload->view());
    used = piece.own_end;
  }
  if (used < own.size()) parts.push_back(own.view().subspan(used));
  if (!tail.empty()) parts.push_back(as_bytes(tail));

  in_flight_ = true;
  began_ = runtime_.now();
  if (PLANT("S16"))
    for (size_t i = 0; i < frames.size(); ++i) listener_.on_placed(frames[i], places[i]);
  Result<> written = file->file->write_and_sync(task, header.position, parts);
  ++stats_.writes;
  ++stats_.syncs;
  if (!written && PLANT("S01")) written = file->file->sync(task);
  if (written && !PLANT("S16"))
    for (size_t i = 0; i < frames.size(); ++i) listener_.on_placed(frames[i], places[i]);
  in_flight_ = false;
  note_time(runtime_.now() - std::exchange(began_, Instant::never()));
  // How much of it arrived is unknown now: only recovery, into fresh files, goes on from here.
  if (!written) return fail(written.error(), fmt::format("{} at {}", file->path, header.position));

  if (file->first == WalSequence()) file->first = header.first;
  file->end = end;
  if (!spare_ && end > file->capacity / 2) prepare_.notify_one();
  written_ = header.next;
  durable_ = header.next - 1;
  if (!rewriting_) mark_ = durable_;
  floor_durable_ = header.floor;
  marked_ = mark && !PLANT("S62");
  ++(mark ? stats_.marks : stats_.groups);
  stats_.frames += frames.size();
  stats_.bytes += end - header.position;
  done_.notify_all();
  listener_.on_durable(durable_);
  return {};
}

Result<std::shared_ptr<WalFile>> Wal::file_for(Task& task, uint64_t size) {
  const auto fits = [size](const WalFile& file) {
    // A group larger than a whole segment has one to itself, which then grows. Behind each there is room for the last mark.
    return file.end + size + kWalBlock <= file.capacity || file.end == kWalBlock;
  };
  if (fits(*files_.back())) {
    TRY(make_room(task, *files_.back(), size + kWalBlock));
    return files_.back();
  }
  while (!spare_) {
    prepare_.notify_one();
    TRY(prepared_.wait(task));
    if (failed_) return std::unexpected(*failed_);
  }
  TRY(hand_over(task, *files_.back(), spare_->number));
  files_.push_back(std::move(spare_));
  spare_.reset();
  prepare_.notify_one();
  TRY(make_room(task, *files_.back(), size + kWalBlock));
  return files_.back();
}

// The newest segment is the one that no other speaks of: should its file go, the log would seem to end before it, whole. So
// the one before says that there is another, before anything in that one can have been promised.
Result<> Wal::hand_over(Task& task, WalFile& full, uint64_t next) {
  const WalGroupHeader header{.segment = full.number, .position = full.end, .first = written_, .next = written_,
                              .durable = rewriting_ ? mark_ : durable_, .floor = floor_, .list_crc = crc32c(ByteView{}),
                              .followed_by = next};
  std::string block = encode_wal_group_header(options_.owner, header);
  block.resize(kWalBlock, '\0');
  const ByteView part = as_bytes(block);
  const Result<> written = full.file->write_and_sync(task, full.end, std::span(&part, 1));
  ++stats_.writes;
  ++stats_.syncs;
  if (!written) return fail(written.error(), fmt::format("{} at {}", full.path, full.end));
  full.end += kWalBlock;
  ++stats_.marks;
  stats_.bytes += kWalBlock;
  return {};
}

// A group that makes its file grow asks for the room before it writes: a write that failed half-way would be the end.
Result<> Wal::make_room(Task& task, WalFile& file, uint64_t size) {
  while (file.end + size > file.capacity) {
    const Result<> made = file.file->allocate(task, file.end + size);
    if (made) {
      note_room();
      return {};
    }
    if (made.error().code != Errc::kNoSpace || closing_) return made;
    note_disk_full(made.error());
    TRY(runtime_.sleep_for(task, options_.full_disk_retry));
  }
  return {};
}

void Wal::note_time(Duration taken) {
  if (taken > options_.slow_disk_after && !std::exchange(slow_, true))
    runtime_.log().warn("storage", "{}: the disk took {} ms to make a group durable: others shall lead", directory_, taken.ms());
  if (taken * 2 < options_.slow_disk_after) slow_ = false;
}

void Wal::note_disk_full(const Error& error) {
  if (!std::exchange(disk_full_, true))
    runtime_.log().error("storage", "{}: the disk is full, and takes no more records until there is room: {}", directory_, error.text());
}

void Wal::note_room() {
  if (std::exchange(disk_full_, false)) runtime_.log().info("storage", "{}: there is room again", directory_);
}

void Wal::fail_for_good(Error error) {
  if (failed_) return;
  failed_ = std::move(error);
  done_.notify_all();
  prepared_.notify_all();
  work_.notify_all();
  prepare_.notify_all();
  listener_.on_failed(*failed_);
}

// --- The preparing fiber. ---

// What is let go beside a spare that is ready waits for its turn: writing zeros again would cost as much as the log
// itself. The checkpointer lets go in bursts, so a few have to wait; what is beyond is removed.
constexpr size_t kFilesPerKept = 2;

void Wal::run_preparer(Task& task) {
  // Zeros for a whole segment would stand before the first records in the disk's queue. Who fills the first half of the
  // first segment sooner says so.
  (void)prepare_.wait(task, runtime_.now() + kFirstSpareAfter);
  while (!failed_ && !task.cancelled()) {
    if (spare_ && (retired_.empty() || files_.size() + retired_.size() <= kFilesPerKept * options_.wal_segments_kept)) {
      if (!prepare_.wait(task)) return;
      continue;
    }
    const Result<> prepared = prepare(task);
    if (spare_) note_room();
    if (prepared) continue;
    if (prepared.error().code == Errc::kCancelled) return;
    if (prepared.error().code != Errc::kNoSpace || closing_) return fail_for_good(prepared.error());
    // Nothing is lost: appends queue up, and those who hear of it refuse more.
    note_disk_full(prepared.error());
    if (!runtime_.sleep_for(task, options_.full_disk_retry)) return;
  }
}

Result<> Wal::prepare(Task& task) {
  if (!retired_.empty()) {
    std::shared_ptr<WalFile> old = std::move(retired_.front());
    retired_.pop_front();
    // A reader may still hold it, or it may have the wrong size: then it goes, once nobody reads it.
    const bool usable = !spare_ && old.use_count() == 1 && old->capacity == options_.wal_segment_bytes &&
                        old->end <= old->capacity;
    if (usable) {
      spare_ = TRY(recycle(task, std::move(old)));
      ++stats_.segments_recycled;
      prepared_.notify_all();
      return {};
    }
    const Result<> removed = runtime_.disk().remove(task, old->path);
    if (!removed && removed.error().code != Errc::kNotFound) return removed;
    return {};
  }
  spare_ = TRY(make_file(task, options_.wal_segment_bytes));
  prepared_.notify_all();
  return {};
}

Result<std::shared_ptr<WalFile>> Wal::make_file(Task& task, ByteCount capacity) {
  auto made = std::make_shared<WalFile>();
  made->number = PLANT("S88") ? next_segment_++ : next_segment_;
  made->path = wal_segment_path(directory_, made->number);
  made->capacity = std::max<uint64_t>(wal_round_up(capacity), 2 * kWalBlock);
  // What an earlier attempt left when the disk was full, or a crash in the middle of one, is nobody's.
  made->file = TRY(runtime_.disk().open(task, made->path, OpenMode::kOpenOrCreate));
  // Zeros are written, not allocated: overwriting blocks that were never written costs a journal entry
  // for each (research: 89 against 137 us for 4 KiB).
  const std::string header = encode_wal_segment_header({made->number, options_.owner, made->capacity});
  TRY(made->file->write_at(task, 0, as_bytes(header)));
  const std::string zeros(std::min<uint64_t>(kZeroesAtOnce, made->capacity - kWalBlock), '\0');
  for (uint64_t at = kWalBlock; at < made->capacity;) {
    const size_t count = std::min<uint64_t>(zeros.size(), made->capacity - at);
    TRY(made->file->write_at(task, at, as_bytes(zeros).first(count)));
    at += count;
  }
  TRY(made->file->sync(task));
  TRY(runtime_.disk().sync_directory(task, directory_ + "/wal"));
  made->end = kWalBlock;
  ++next_segment_;  // Not before: on a full disk each attempt would leave a file.
  ++stats_.segments_made;
  return made;
}

// The old content stays where it is: its headers and frames carry the old number, and the zeros behind
// the new header end the reading.
Result<std::shared_ptr<WalFile>> Wal::recycle(Task& task, std::shared_ptr<WalFile> old) {
  const uint64_t number = next_segment_++;
  const std::string path = wal_segment_path(directory_, number);
  TRY(runtime_.disk().rename(task, old->path, path));
  old->number = number;
  old->path = path;
  old->end = kWalBlock;
  old->first = WalSequence();
  std::string start = encode_wal_segment_header({number, options_.owner, old->capacity});
  start.append(kWalBlock, '\0');
  TRY(old->file->write_at(task, 0, as_bytes(start)));
  TRY(old->file->sync(task));
  TRY(runtime_.disk().sync_directory(task, directory_ + "/wal"));
  return old;
}

// --- Reading back, and letting go. ---

Result<Slice> Wal::read_payload(Task& task, WalPosition at, const PartitionKey& key, LogIndex index,
                                WalSequence original, uint32_t size, uint32_t crc) {
  // Held by value: while this fiber reads, the segment may be let go, but then it is not recycled.
  std::shared_ptr<WalFile> file;
  for (const auto& held : files_)
    if (held->number == at.segment) file = held;
  if (!file) return fail(Errc::kNotFound, fmt::format("write-ahead segment {} was let go", at.segment));
  const Slice bytes = TRY(read_damaged(task, *file->file, at.offset, kWalFrameHeaderSize + size));
  const auto header = parse_wal_frame_header(options_.owner, at.segment, bytes.view());
  if (!header || bytes.size() < kWalFrameHeaderSize + size || header->frame.key != key || header->frame.meta.index != index ||
      header->frame.original != original || header->payload_size != size ||
      header->frame.payload_crc != crc || crc32c(bytes.view().subspan(kWalFrameHeaderSize)) != crc)
    return fail(Errc::kCorrupt, fmt::format("{} at {}: this is not entry {} of {} as it was written",
                                            file->path, at.offset, index.value, key.text()));
  return bytes.sub(kWalFrameHeaderSize, size);
}

uint64_t Wal::oldest_segment() const { return files_.front()->number; }
uint64_t Wal::current_segment() const { return files_.back()->number; }

Wal::Oldest Wal::oldest(size_t count) const {
  Oldest out{files_.front()->number, floor_, 0};
  for (size_t i = 0; i + 1 < files_.size() && i < count; ++i) {
    const WalFile& next = *files_[i + 1];
    out = {files_[i]->number, next.first == WalSequence() ? written_ : next.first, out.bytes + files_[i]->end};
  }
  return out;
}

Result<> Wal::release_below(Task& task, WalSequence floor) {
  CHECK(floor <= durable_ + 1, "what is not durable is not dead");
  floor_ = std::max(floor_, floor);
  rewriting_ = false;
  mark_ = durable_;
  // The new floor has to be durable before a file goes: recovery would miss what lay in it.
  mark_wanted_ = true;
  work_.notify_one();
  while (floor_durable_ < floor) {
    if (failed_) return std::unexpected(*failed_);
    if (writer_ended_) return fail(Errc::kClosed, "the write-ahead log was closed");
    TRY(done_.wait(task));
  }
  while (files_.size() > 1 && oldest(1).floor <= floor_durable_) {
    retired_.push_back(std::move(files_.front()));
    files_.pop_front();
  }
  prepare_.notify_one();
  return {};
}

void Wal::close(Task& task) {
  if (!started_) return;
  closing_ = true;
  work_.notify_all();
  prepare_.notify_all();
  while (!writer_ended_ && !failed_) {
    // Even a caller that was cancelled waits for the last group: its buffers are in use.
    done_.wait_through(task);
  }
  scope_.cancel();
  scope_.join(task);
}

}  // namespace taffrail
