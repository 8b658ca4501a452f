#include "posix/direct_writes.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace taffrail::posix {

namespace {

// Both at least what any disk asks for. What is split is split between pages: the cache and the disk never write the same one.
constexpr uint64_t kPage = 4096;
// A second-level cache holds it, so that the copy costs little. Each thread that writes has one.
constexpr size_t kBuffer = 1 << 20;

struct Freed {
  void operator()(uint8_t* p) const { std::free(p); }
};

}  // namespace

void DirectWrites::open(int fd) {
  // Whatever the file is called by now.
  Fd opened(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
  if (!opened.valid()) return;
  uint64_t unit = kPage;
#ifdef STATX_DIOALIGN
  struct statx info{};
  if (::statx(opened.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 && (info.stx_mask & STATX_DIOALIGN) != 0)
    unit = std::max(info.stx_dio_offset_align, info.stx_dio_mem_align);
#endif
  if (unit == 0 || unit > kPage || kPage % unit != 0) return;
  fd_ = std::move(opened);
  unit_ = unit;
}

DirectWrites::Step DirectWrites::next_step(int fd, uint64_t position, uint64_t total, uint64_t done) {
  const uint64_t left = total - done;
  const uint64_t at = position + done;
  // Small pieces without an end on a block are most files' only ones: not worth a descriptor.
  const bool blocks = position % 512 == 0 && total % 512 == 0;
  if (!blocks && total < kWorthSplitting) return {left, false};
  std::call_once(opened_, [&] { open(fd); });
  const uint64_t unit = unit_;
  if (unit == 0) return {left, false};
  if (at % unit == 0 && left % unit == 0 && position % unit == 0) return {left, true};
  if (total < kWorthSplitting) return {left, false};
  if (at % kPage != 0) return {std::min(left, kPage - at % kPage), false};
  if (left < kPage) return {left, false};
  return {left - left % kPage, true};
}

std::span<uint8_t> DirectWrites::buffer(uint64_t size) {
  static thread_local const std::unique_ptr<uint8_t, Freed> mine(static_cast<uint8_t*>(std::aligned_alloc(kPage, kBuffer)));
  return {mine.get(), static_cast<size_t>(std::min<uint64_t>(size, kBuffer))};
}

uint64_t read_past_cache(int fd, uint64_t position, MutableBytes into) {
  const Fd direct(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  uint64_t done = 0;
  while (direct.valid() && into.size() - done >= kPage) {
    const std::span<uint8_t> buffer = DirectWrites::buffer((into.size() - done) / kPage * kPage);
    const ssize_t got = ::pread(direct.get(), buffer.data(), buffer.size(), static_cast<off_t>(position + done));
    if (got <= 0) break;
    std::memcpy(into.data() + done, buffer.data(), static_cast<size_t>(got));
    done += static_cast<uint64_t>(got);
    if (static_cast<size_t>(got) < buffer.size()) break;
  }
  return done;
}

int64_t DirectWrites::write(uint64_t position, ByteView bytes) {
  const ssize_t wrote = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
  // A file system that says it can and cannot. A short count that ends within a block goes on through the cache.
  if (wrote == 0 || (wrote < 0 && errno == EINVAL)) {
    unit_ = 0;
    return 0;
  }
  return wrote;
}

}  // namespace taffrail::posix
