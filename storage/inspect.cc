#include "storage/inspect.h"

#include <fmt/core.h>

#include <algorithm>

#include "storage/segment.h"
#include "storage/wal_scan.h"

namespace taffrail {

namespace {

std::string_view name_of(FrameKind kind) {
  switch (kind) {
    case FrameKind::kEntry: return "entry";
    case FrameKind::kTruncate: return "truncate";
    case FrameKind::kHardState: return "hard_state";
    case FrameKind::kState: return "state";
    case FrameKind::kDelete: return "delete";
  }
  return "unknown";
}

Result<> inspect_wal(Task& task, Disk& disk, const std::string& path, uint64_t number, InspectReport& report) {
  const WalFileScan scan = TRY(scan_wal_file(task, disk, path, number, std::nullopt));
  report.format = scan.header ? fmt::format("write-ahead segment {} of disk {}, shard {}", number, scan.header->owner.disk.text(), scan.header->owner.shard)
                              : fmt::format("write-ahead segment {}", number);
  if (!scan.header)
    report.damage.push_back({.file = path, .position = 0, .size_bytes = kWalBlock, .log = std::nullopt,
                             .what = "the segment's header does not read, or is of an earlier use"});
  for (const ScannedGroup& group : scan.groups)
    report.rows.push_back({.position = group.header.position, .kind = group.header.followed_by != 0 ? "end" : group.header.is_mark() ? "mark" : "group",
                           .log = std::nullopt, .sequence = group.header.first, .original = group.header.durable,
                           .meta = {}, .size_bytes = group.header.size()});
  for (const ScannedFrame& found : scan.frames)
    report.rows.push_back({.position = found.at.offset, .kind = std::string(name_of(found.frame.kind)),
                           .log = found.frame.key, .sequence = found.frame.sequence,
                           .original = found.frame.original, .meta = found.frame.meta,
                           .size_bytes = found.payload_size + kWalFrameHeaderSize});
  // No two rows of a segment begin at one place.
  std::sort(report.rows.begin(), report.rows.end(),
            [](const InspectRow& a, const InspectRow& b) { return a.position < b.position; });
  for (const BadStretch& bad : scan.bad)
    report.damage.push_back({.file = path, .position = bad.position, .size_bytes = bad.size_bytes,
                             .log = bad.logs && bad.logs->size() == 1 ? std::optional(bad.logs->front()) : std::nullopt,
                             .what = bad.what});
  return {};
}

Result<> inspect_segment(Task& task, Disk& disk, const std::string& path, InspectReport& report) {
  const auto file = TRY(disk.open(task, path, OpenMode::kRead));
  std::string head(kSegmentHeaderSize, '\0');
  head.resize(TRY(file->read_at(task, 0, {reinterpret_cast<uint8_t*>(head.data()), head.size()})));
  const SegmentHeader header = TRY(parse_segment_header(as_bytes(head), path));
  report.format = fmt::format("segment of {} from index {}, offset {}", header.key.text(), header.first.value,
                              header.base.value);
  SegmentScan scan = TRY(scan_segment(task, *file, header.key));
  for (const ChunkDirectory& chunk : scan.chunks) {
    report.rows.push_back({.position = chunk.position, .kind = "chunk", .log = header.key, .sequence = {},
                           .original = {}, .meta = {}, .size_bytes = chunk.end - chunk.position});
    report.rows.back().meta.index = chunk.first_index;
    report.rows.back().meta.base_offset = chunk.base_offset;
    for (const Envelope& e : chunk.envelopes)
      report.rows.push_back({.position = e.position, .kind = "entry", .log = header.key, .sequence = {},
                             .original = {}, .meta = e.meta, .size_bytes = e.size});
  }
  for (Damage& damage : scan.damage) {
    damage.file = path;
    report.damage.push_back(std::move(damage));
  }
  return {};
}

}  // namespace

Result<InspectReport> inspect_file(Task& task, Disk& disk, std::string_view path, size_t max_rows) {
  InspectReport report;
  report.file = path;
  const std::string_view name = path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  if (const auto number = parse_wal_file_name(name)) {
    TRY(inspect_wal(task, disk, report.file, *number, report));
  } else if (Segment::parse_file_name(name)) {
    TRY(inspect_segment(task, disk, report.file, report));
  } else {
    return fail(Errc::kInvalid, fmt::format("{} is named neither like a write-ahead segment (16 hexadecimal digits "
                                            "and .wal) nor like a segment (20 digits and .log)", path));
  }
  report.truncated = report.rows.size() > max_rows;
  if (report.truncated) report.rows.resize(max_rows);
  return report;
}

}  // namespace taffrail
