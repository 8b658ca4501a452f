#include "runtime/disk.h"

#include <fmt/core.h>

#include "base/plant.h"

namespace taffrail {

Result<> replace_file(Task& task, Disk& disk, std::string_view path, ByteView bytes) {
  const std::string temporary = fmt::format("{}.new", path);
  if (PLANT("S21")) (void)disk.remove(task, path);
  {
    // What an earlier crash left under the temporary name is nobody's.
    const auto file = TRY(disk.open(task, temporary, OpenMode::kOpenOrCreate));
    TRY(file->truncate(task, 0));
    TRY(file->write_at(task, 0, bytes));
    TRY(file->sync(task));
  }
  TRY(disk.rename(task, temporary, path));
  const size_t slash = path.rfind('/');
  TRY(disk.sync_directory(task, slash == std::string_view::npos ? "" : path.substr(0, slash)));
  return {};
}

Result<std::string> read_file(Task& task, Disk& disk, std::string_view path, ByteCount limit) {
  const auto file = TRY(disk.open(task, path, OpenMode::kRead));
  const uint64_t size = TRY(file->size(task));
  if (size > limit) return fail(Errc::kTooLarge, fmt::format("{} has {} bytes, limit {}", path, size, limit));
  std::string out(size, '\0');
  const size_t got = TRY(file->read_at(task, 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()}));
  out.resize(got);
  return out;
}

}  // namespace taffrail
