// Writes past the page cache. Who writes a file in large pieces, or in whole blocks that it syncs at once, does not read them
// back from there: the tails of logs are in memory. The cache would cost a copy into pages that nobody has touched before,
// and the pages of what somebody does read.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>

#include "base/bytes.h"
#include "posix/fd.h"

namespace taffrail::posix {

/// The second way into one file. Where the file system has none, or refuses, all goes through the first.
/// Used by several threads.
class DirectWrites {
 public:
  /// Pieces that do not begin or end with a block go this way from here on; their ends go through the cache.
  static constexpr uint64_t kWorthSplitting = 64 << 10;

  /// How much of `total` bytes that belong at `position`, of which `done` are written, should be written next, and how.
  struct Step {
    uint64_t size = 0;
    bool direct = false;
  };
  Step next_step(int fd, uint64_t position, uint64_t total, uint64_t done);
  /// What a direct step of `size` bytes, or as much of it as fits, is put into before it is written: memory as the disk
  /// asks for it, one for each thread.
  static std::span<uint8_t> buffer(uint64_t size);
  /// Writes what stands in buffer(). As pwrite: what was written, or -1 and errno. Where the file system does not take it
  /// after all: 0, and never again.
  int64_t write(uint64_t position, ByteView bytes);

 private:
  void open(int fd);

  std::once_flag opened_;
  Fd fd_;
  std::atomic<uint64_t> unit_ = 0;  ///< Positions, sizes and addresses are multiples of it; 0: there is no such way.
};

/// Reads smaller than this go through the cache.
inline constexpr uint64_t kReadPastCache = 8 << 20;
/// Reads past the page cache as far as whole blocks go, from a position that is a multiple of 4096: whole files that are read
/// once, at a start, would put out what others read, and fill pages that nobody has touched before. Returns how much; the rest,
/// or what the disk or the file system would not give this way, is for a read through the cache to find.
uint64_t read_past_cache(int fd, uint64_t position, MutableBytes into);

}  // namespace taffrail::posix
