#include "storage/wal_scan.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

#include "base/crc32c.h"
#include "base/plant.h"
#include "runtime/at_once.h"
#include "runtime/sync.h"
#include "storage/read_damaged.h"

namespace taffrail {

namespace {

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

// One file in memory, walked from group to group.
class FileWalk {
 public:
  FileWalk(WalFileScan& out, const WalOwner& owner, ByteView bytes) : out_(out), owner_(owner), bytes_(bytes) {}

  void run() {
    uint64_t at = kWalBlock;
    while (at + kWalGroupHeaderSize <= bytes_.size()) {
      if (const auto header = group_at(at)) {
        read_group(*header);
        // What stands behind it is of an earlier use.
        if (header->followed_by != 0) return;
        at = std::min<uint64_t>(at + wal_round_up(header->size()), bytes_.size());
        continue;
      }
      // Zeros, or a group of the file's earlier use: no sync ended here, unless a good header follows.
      const ByteView block = bytes_.subspan(at, std::min<uint64_t>(kWalBlock, bytes_.size() - at));
      const bool clean = all_zero(block) || is_older_wal_group(owner_, out_.number, at, bytes_.subspan(at));
      const uint64_t next = find_group(at + kWalBlock);
      if (!clean || next < bytes_.size())
        out_.bad.push_back({.file = out_.file, .position = at,
                            .size_bytes = std::min<uint64_t>(next, bytes_.size()) - at,
                            .what = clean ? "a group is missing here" : "a group's header does not read",
                            .sequences = std::nullopt, .group_next = {}, .logs = std::nullopt});
      at = next;
    }
  }

 private:
  std::optional<WalGroupHeader> group_at(uint64_t at) const {
    return parse_wal_group_header(owner_, out_.number, at, bytes_.subspan(at));
  }

  // The length of what is bad cannot be believed: the next group is found by looking, block by block.
  uint64_t find_group(uint64_t from) const {
    for (uint64_t at = from; at + kWalGroupHeaderSize <= bytes_.size(); at += kWalBlock)
      if (group_at(at)) return at;
    return bytes_.size();
  }

  void read_group(const WalGroupHeader& header) {
    out_.groups.push_back({header, out_.file});
    const ByteView body = bytes_.subspan(header.position);
    std::optional<std::vector<PartitionKey>> logs;
    if (header.frames_at() <= body.size())
      logs = parse_wal_logs(header, body.subspan(kWalGroupHeaderSize));
    WalSequence sequence = header.first;
    uint64_t at = header.frames_at();
    for (; sequence < header.next; ++sequence) {
      if (at > body.size()) break;
      const auto frame = parse_wal_frame_header(owner_, out_.number, body.subspan(at));
      if (!frame || frame->frame.sequence != sequence) break;
      const uint64_t payload_at = at + kWalFrameHeaderSize;
      if (frame->payload_size > body.size() - payload_at) break;
      const ByteView payload = body.subspan(payload_at, frame->payload_size);
      const bool good = crc32c(payload) == frame->frame.payload_crc;
      if (good || PLANT("S07")) {
        out_.frames.push_back({frame->frame, {out_.number, header.position + at}, frame->payload_size});
      } else {
        // Its header says whose it is, and where the next one begins.
        out_.bad.push_back({.file = out_.file, .position = header.position + at,
                            .size_bytes = kWalFrameHeaderSize + frame->payload_size,
                            .what = "the checksum of a frame does not match",
                            .sequences = std::pair(sequence, sequence + 1),
                            .group_next = header.next,
                            .logs = std::vector{frame->frame.key}});
      }
      at = payload_at + frame->payload_size;
    }
    if (sequence < header.next)
      out_.bad.push_back({.file = out_.file, .position = header.position + at,
                          .size_bytes = header.size() - std::min(header.size(), at),
                          .what = "a frame's header does not read",
                          .sequences = std::pair(sequence, header.next),
                          .group_next = header.next,
                          .logs = logs});
  }

  WalFileScan& out_;
  const WalOwner owner_;
  ByteView bytes_;
};

BadStretch whole_file(const std::string& path, uint64_t size, std::string what) {
  return {.file = path, .position = 0, .size_bytes = size, .what = std::move(what),
          .sequences = std::nullopt, .group_next = {}, .logs = std::nullopt};
}

// The newest segment with anything in it may say that there is a newer one, which was whole by then. Empty it may be: nothing
// has been written to it yet.
std::optional<Damage> missing_segment(const std::vector<WalFileScan>& files, const std::string& directory) {
  const auto newest = std::find_if(files.rbegin(), files.rend(), [](const WalFileScan& file) { return !file.groups.empty(); });
  if (newest == files.rend() || PLANT("S89")) return std::nullopt;
  const uint64_t number = newest->groups.back().header.followed_by;
  if (number == 0) return std::nullopt;
  const auto next = std::ranges::find(files, number, &WalFileScan::number);
  if (next != files.end() && next->header && next->size >= next->header->capacity) return std::nullopt;
  const std::string what = next == files.end() ? "the segment is missing" : "the segment has lost all that was in it";
  return Damage{.file = wal_segment_path(directory, number), .position = 0, .log = std::nullopt,
                .what = fmt::format("{}: {} says that the log goes on there", what, newest->file)};
}

// What later states say of their logs, while files are looked at from the newest to the oldest.
class LaterStates {
 public:
  /// Keeps the payloads in `bytes`, which are those of the file, but those of entries that lie in segments.
  void keep_payloads(WalFileScan& file, ByteView bytes) {
    for (auto found = file.frames.rbegin(); found != file.frames.rend(); ++found) {
      const WalFrame& frame = found->frame;
      const auto known = in_segments_.find(frame.key);
      found->left_there = frame.kind == FrameKind::kEntry && known != in_segments_.end() && frame.meta.index <= known->second;
      if (found->left_there) continue;
      found->frame.payload = Slice(bytes.subspan(found->at.offset + kWalFrameHeaderSize, found->payload_size));
      if (known != in_segments_.end()) continue;
      if (frame.kind == FrameKind::kDelete) in_segments_.emplace(frame.key, LogIndex(INT64_MAX));
      if (frame.kind != FrameKind::kState) continue;
      if (const Result<LogState> state = decode_log_state(frame.payload.view()))
        in_segments_.emplace(frame.key, std::max(state->flushed.index, state->prefix.index));
    }
  }

 private:
  std::map<PartitionKey, LogIndex> in_segments_;
};

struct FileBytes {
  uint64_t size = 0;
  Slice bytes;
};

Result<FileBytes> read_wal_file(Task& task, Disk& disk, const std::string& path) {
  const auto file = TRY(disk.open(task, path, OpenMode::kRead));
  const uint64_t size = TRY(file->size(task));
  return FileBytes{size, TRY(read_damaged(task, *file, 0, size))};
}

Result<WalFileScan> walk_wal_file(const std::string& path, uint64_t number, std::optional<WalOwner> owner, const FileBytes& read) {
  WalFileScan out;
  out.file = path;
  out.number = number;
  const uint64_t size = read.size;
  out.size = size;
  const ByteView all = read.bytes.view();
  const Result<WalSegmentHeader> header = parse_wal_segment_header(all.first(std::min(kWalBlock, all.size())), path);
  if (!header && header.error().code == Errc::kUnsupported) return std::unexpected(header.error());
  const std::optional<WalOwner> named = header ? std::optional(header->owner) : owner;
  if (!owner) owner = named;
  if (PLANT("S83") && header && *named != *owner) return fail(Errc::kCorrupt, path + " belongs to somebody else");
  if (owner) FileWalk(out, *owner, all).run();
  if (header && *named != *owner && out.groups.empty()) {
    WalFileScan theirs;
    theirs.file = path;
    theirs.number = number;
    theirs.size = size;
    FileWalk(theirs, *named, all).run();
    if (!theirs.groups.empty()) {
      out = std::move(theirs);
      out.other = owner = named;
    }
  }
  // A file that was being recycled when the node died still has the header of its older use.
  if (header && *named == *owner && header->number == number) out.header = *header;
  // Half a header is what a failed write leaves of a new segment, or damage of an old one: what it held nobody knows.
  if ((!header || *named != *owner) && out.groups.empty() && !all_zero(all.first(std::min(kWalBlock, all.size()))))
    out.bad.push_back(whole_file(path, size, "the segment's header does not read, nor does any group"));
  // How long it was stood there: that it ends where it did nobody can say now.
  if (!out.header && !out.groups.empty() && !PLANT("S91"))
    out.bad.push_back({.file = path, .position = size, .size_bytes = 0, .what = "the segment's header does not read, nor can be said how long it was",
                       .sequences = std::nullopt, .group_next = {}, .logs = std::nullopt, .was_whole = true});
  // Before a group is written to it a file is as long as its header says, durably.
  if (out.header && !out.groups.empty() && size < out.header->capacity)
    out.bad.push_back({.file = path, .position = size, .size_bytes = out.header->capacity - size,
                       .what = "the file is cut short", .sequences = std::nullopt, .group_next = {}, .logs = std::nullopt, .was_whole = true});
  return out;
}

}  // namespace

std::optional<uint64_t> parse_wal_file_name(std::string_view name) {
  if (name.size() != 20 || name.substr(16) != ".wal") return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 16, number, 16);
  if (error != std::errc{} || end != name.data() + 16 || number == 0 || number > UINT64_MAX / 2)
    return std::nullopt;
  return number;
}

Result<WalFileScan> scan_wal_file(Task& task, Disk& disk, const std::string& path, uint64_t number,
                                  std::optional<WalOwner> owner) {
  const FileBytes read = TRY(read_wal_file(task, disk, path));
  return walk_wal_file(path, number, owner, read);
}

Result<Slice> read_scanned(Task& task, Disk& disk, const std::string& directory, const ScannedFrame& frame) {
  const std::string path = wal_segment_path(directory, frame.at.segment);
  const auto file = TRY(disk.open(task, path, OpenMode::kRead));
  Slice payload = TRY(read_damaged(task, *file, frame.at.offset + kWalFrameHeaderSize, frame.payload_size));
  if (crc32c(payload.view()) != frame.frame.payload_crc)
    return fail(Errc::kCorrupt, fmt::format("{} at {}: an entry read whole a moment ago and does not any more", path, frame.at.offset));
  return payload;
}

Result<WalScan> scan_wal(Task& task, Runtime& runtime, const std::string& directory, const WalOwner& owner) {
  Disk& disk = runtime.disk();
  WalScan scan;
  std::vector<WalFileScan> files;
  const Result<std::vector<std::string>> names = disk.list(task, directory + "/wal");
  if (!names && names.error().code != Errc::kNotFound) return std::unexpected(names.error());
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    const auto number = parse_wal_file_name(name);
    if (!number) continue;
    scan.next_segment = std::max(scan.next_segment, *number + 1);
    scan.files.push_back(directory + "/wal/" + name);
    WalFileScan& file = files.emplace_back();
    file.file = scan.files.back();
    file.number = *number;
  }
  // Newest first. While one is looked through the next two are read.
  constexpr size_t kAtOnce = 3;
  LaterStates later;
  std::vector<size_t> order(files.size());
  std::iota(order.rbegin(), order.rend(), size_t{0});
  size_t left = files.size();
  WaitQueue turned;
  TRY(for_each_at_once(task, runtime, "storage/scan", std::span(order), kAtOnce, [&](Task& one, size_t i) -> Result<> {
    WalFileScan& file = files[i];
    const Result<FileBytes> read = read_wal_file(one, disk, file.file);
    while (left != i + 1) turned.wait_through(one);
    Result<WalFileScan> walked = read ? walk_wal_file(file.file, file.number, owner, *read) : std::unexpected(read.error());
    if (walked) {
      file = *std::move(walked);
      later.keep_payloads(file, read->bytes.view());
    }
    --left;
    turned.notify_all();
    return walked ? Result<>() : std::unexpected(walked.error());
  }));

  // Files from elsewhere; or pages that went astray, headers too: among ours, or from another shard over our only segment.
  const bool any_ours = std::ranges::any_of(files, [](const WalFileScan& file) { return !file.other && !file.groups.empty(); });
  const auto not_ours = std::ranges::count_if(files, [](const WalFileScan& file) { return file.other.has_value(); });
  for (WalFileScan& file : files) {
    if (!file.other) continue;
    if (!any_ours && (not_ours > 1 || file.other->disk != owner.disk))
      return fail(Errc::kCorrupt, fmt::format("{} belongs to disk {}, shard {}, not to disk {}, shard {}: was it copied here?", file.file,
                                              file.other->disk.text(), file.other->shard, owner.disk.text(), owner.shard));
    file.header.reset();
    file.groups.clear();
    file.frames.clear();
    file.bad = {whole_file(file.file, file.size, "the segment's header and groups are another shard's or disk's")};
    file.bad.front().was_whole = true;
  }

  for (const WalFileScan& file : files) {
    for (const ScannedGroup& group : file.groups) {
      scan.floor = std::max(scan.floor, group.header.floor);
      scan.mark = std::max(scan.mark, group.header.durable);
      scan.next = std::max(scan.next, group.header.next);
    }
    scan.groups += file.groups.size();
  }
  scan.next = std::max({scan.next, scan.mark + 1, scan.floor, WalSequence(1)});

  // Whether anything good stands behind a bad stretch: then its own sequences say what is missing.
  bool header_seen = false;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    for (auto bad = file->bad.rbegin(); bad != file->bad.rend(); ++bad) {
      bad->last = !header_seen && std::none_of(file->groups.begin(), file->groups.end(), [&](const auto& g) {
        return g.header.position >= bad->position;
      });
    }
    header_seen = header_seen || !file->groups.empty();
  }

  std::set<WalSequence> have;
  for (WalFileScan& file : files) {
    for (ScannedFrame& found : file.frames) {
      if (found.frame.sequence < scan.floor) continue;
      have.insert(found.frame.sequence);
      // A copy stands in for what it copied.
      have.insert(found.frame.original);
      scan.frames.push_back(std::move(found));
    }
    if (!file.header && !file.groups.empty() && file.groups.back().header.next > scan.floor)
      scan.damage.push_back({.file = file.file, .position = 0, .size_bytes = kWalBlock, .log = std::nullopt,
                             .what = "the segment's header does not read"});
  }
  std::sort(scan.frames.begin(), scan.frames.end(), [](const ScannedFrame& a, const ScannedFrame& b) {
    return a.frame.sequence < b.frame.sequence;
  });

  if (PLANT("S08")) {
    // Whatever is bad, the log ends there, as if nobody had ever been told of the rest.
    WalSequence end = std::max(scan.floor, WalSequence(1));
    std::erase_if(scan.frames, [&](const ScannedFrame& f) {
      if (f.frame.sequence != end) return true;
      ++end;
      return false;
    });
    return scan;
  }

  // Judge every sequence that was given out, is needed, and was not read.
  std::vector<BadStretch*> stretches;
  for (WalFileScan& file : files)
    for (BadStretch& bad : file.bad) stretches.push_back(&bad);
  WalSequence at = std::max(scan.floor, WalSequence(1));
  auto held = have.lower_bound(at);
  while (at < scan.next) {
    if (held != have.end() && *held == at) {
      ++held;
      ++at;
      continue;
    }
    BadStretch* known = nullptr;
    for (BadStretch* bad : stretches)
      if (bad->sequences && bad->sequences->first <= at && at < bad->sequences->second) known = bad;
    const bool damage = at <= scan.mark;
    WalSequence end = held == have.end() ? scan.next : *held;
    if (damage) end = std::min(end, scan.mark + 1);
    if (known != nullptr) {
      end = std::min(end, known->sequences->second);
    } else {
      for (const BadStretch* bad : stretches)
        if (bad->sequences && bad->sequences->first > at) end = std::min(end, bad->sequences->first);
    }
    const bool all = known == nullptr || !known->logs;
    if (damage) {
      if (all) scan.all_damaged = true;
      if (!all) scan.damaged.insert(known->logs->begin(), known->logs->end());
      const std::string what = fmt::format("{}: frames {} to {} were durable", known ? known->what : "a group is lost",
                                           at.value, (end - 1).value);
      scan.damage.push_back({.file = known ? known->file : directory + "/wal",
                             .position = known ? known->position : 0,
                             .size_bytes = known ? known->size_bytes : 0,
                             .log = !all && known->logs->size() == 1 ? std::optional(known->logs->front()) : std::nullopt,
                             .what = what});
    } else {
      if (all) scan.all_possibly_longer = true;
      if (!all) {
        scan.possibly_longer.insert(known->logs->begin(), known->logs->end());
        // Of a torn group a log keeps what came before its first bad frame: an entry must not outlive
        // the term, or the truncation, that was queued before it.
        std::erase_if(scan.frames, [&](const ScannedFrame& f) {
          return f.frame.sequence > at && f.frame.sequence < known->group_next &&
                 std::find(known->logs->begin(), known->logs->end(), f.frame.key) != known->logs->end();
        });
      }
    }
    if (known != nullptr) {
      if (damage) scan.damaged_files.insert(known->file);
      if (!damage && !known->counted) scan.torn_bytes += known->size_bytes;
      known->counted = true;
    }
    at = end;
  }
  for (const BadStretch* bad : stretches) {
    if (bad->sequences) continue;
    if (bad->last && bad->was_whole) {
      // No crash makes a file shorter, or somebody else's.
      scan.all_damaged = true;
      scan.damaged_files.insert(bad->file);
      scan.damage.push_back({.file = bad->file, .position = bad->position, .size_bytes = bad->size_bytes,
                             .log = std::nullopt, .what = bad->what});
      scan.next = scan.next + 1;
    } else if (bad->last) {
      // The last group, and its header is gone: whose it was nobody knows. One sequence is given up for
      // it, so that the next start, should this one not get to its end, comes to the same.
      scan.all_possibly_longer = true;
      scan.torn_bytes += bad->size_bytes;
      scan.next = scan.next + 1;
    } else if (scan.all_damaged) {
      scan.damaged_files.insert(bad->file);
      scan.damage.push_back({.file = bad->file, .position = bad->position, .size_bytes = bad->size_bytes,
                             .log = std::nullopt, .what = bad->what});
    }
  }
  if (auto missing = missing_segment(files, directory)) {
    scan.all_damaged = true;
    scan.damage.push_back(*std::move(missing));
    scan.next = scan.next + 1;
  }
  return scan;
}

}  // namespace taffrail
