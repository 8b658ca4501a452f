// taffrail inspect wal | segment FILE. Opens nothing for writing: safe on a live directory.
// Exit status: kOk clean, kUnhealthy damage found.
#include <fmt/core.h>

#include "cli/commands.h"
#include "storage/inspect.h"

namespace taffrail::cli {
namespace {

// Commands run with the root directory as their Disk, whose paths have neither a leading '/' nor "..".
std::string disk_path(const std::string& current_directory, const std::string& file) {
  const std::string whole = file.starts_with('/') ? file : current_directory + "/" + file;
  std::vector<std::string> parts;
  size_t at = 0;
  while (at < whole.size()) {
    const size_t end = std::min(whole.find('/', at), whole.size());
    const std::string part = whole.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") parts.push_back(part);
    else if (!parts.empty()) parts.pop_back();
  }
  std::string path;
  for (const std::string& part : parts) path += (path.empty() ? "" : "/") + part;
  return path;
}

std::string_view kind_name(EntryKind kind) {
  switch (kind) {
    case EntryKind::kNoop: return "noop";
    case EntryKind::kConfig: return "config";
    case EntryKind::kBatch: return "batch";
    case EntryKind::kCommand: return "command";
  }
  return "?";
}

}  // namespace

Result<ExitCode> inspect(Task& task, Session& session, const Inspect& options) {
  const std::string path = disk_path(session.host.current_directory(), options.file);
  const InspectReport report =
      TRY(inspect_file(task, session.runtime.disk(), path, static_cast<size_t>(options.rows)));
  TRY(session.out.say(task, fmt::format("{}: {}", printable(options.file), printable(report.format))));
  Table table{{"POSITION", "KIND", "LOG", "SEQUENCE", "INDEX", "TERM", "WHAT", "OFFSET", "BYTES"}, {}};
  for (const InspectRow& row : report.rows) {
    const bool entry = row.kind == "entry";
    table.rows.push_back({static_cast<int64_t>(row.position), row.kind,
                          row.log ? Value(row.log->text()) : Value(),
                          static_cast<int64_t>(row.sequence.value), row.meta.index.value,
                          row.meta.term.value,
                          entry ? Value(std::string(kind_name(row.meta.kind))) : Value(),
                          row.meta.base_offset.value, static_cast<int64_t>(row.size_bytes)});
  }
  TRY(session.out.table(task, table));
  if (report.truncated)
    TRY(session.out.note(task, fmt::format("only the first {} rows; --rows COUNT shows more", options.rows)));
  for (const Damage& damage : report.damage)
    TRY(session.out.note(task, fmt::format("damage at {}: {}", damage.position, printable(damage.what))));
  return report.damage.empty() ? ExitCode::kOk : ExitCode::kUnhealthy;
}

}  // namespace taffrail::cli
