// What one shard did to its kernel since it started. Plain numbers: only the shard's own thread
// looks.
#pragma once

#include <cstdint>

namespace taffrail::posix {

struct Counters {
  uint64_t rounds = 0;    ///< Of the loop: one look at the kernel, then the fibers it made ready.
  uint64_t sleeps = 0;    ///< Rounds that were allowed to block in the kernel.
  uint64_t messages = 0;  ///< Ran here on behalf of post().
  uint64_t wakes = 0;     ///< Times that another thread had to interrupt a sleep.
  uint64_t disk_reads = 0;
  uint64_t disk_reads_inline = 0;  ///< Of disk_reads, those that the page cache answered at once.
  uint64_t disk_writes = 0;
  uint64_t disk_syncs = 0;  ///< Files and directories.
  uint64_t disk_bytes_read = 0;
  uint64_t disk_bytes_written = 0;
  uint64_t net_receives = 0;  ///< System calls, those that found nothing included.
  uint64_t net_sends = 0;
  uint64_t net_bytes_received = 0;
  uint64_t net_bytes_sent = 0;
  uint64_t accepts = 0;
  uint64_t connects = 0;
};

}  // namespace taffrail::posix
