#include "storage/read_damaged.h"

#include <algorithm>
#include <cstring>

#include "base/plant.h"

namespace taffrail {
namespace {
constexpr size_t kPage = 4096;
constexpr int kUnreadable = 0xdb;
}  // namespace

Result<Slice> read_damaged(Task& task, File& file, uint64_t position, size_t size) {
  Result<size_t> got = size_t{0};
  const Slice bytes =
      Slice::make(size, [&](MutableBytes into) { got = file.read_at(task, position, into); });
  if (got) return bytes.sub(0, *got);
  if (got.error().code != Errc::kIo) return std::unexpected(got.error());
  if (PLANT("S27")) return Slice();  // As at the end of the file.

  const uint64_t end = TRY(file.size(task));
  const size_t there = end <= position ? 0 : std::min<uint64_t>(size, end - position);
  Result<> cancelled;
  const Slice pieces = Slice::make(there, [&](MutableBytes into) {
    size_t at = 0;
    while (at < there) {
      const size_t step = std::min(there - at, kPage - static_cast<size_t>((position + at) % kPage));
      const Result<size_t> one = file.read_at(task, position + at, into.subspan(at, step));
      if (!one && one.error().code != Errc::kIo) cancelled = std::unexpected(one.error());
      const size_t good = one ? *one : 0;
      std::memset(into.data() + at + good, kUnreadable, step - good);
      at += step;
    }
  });
  TRY(cancelled);
  return pieces;
}

}  // namespace taffrail
