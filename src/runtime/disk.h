// Files, and what a crash may do to them. Written here because everything above is built on it.
//
// What a crash (power cut) may undo: every write, truncate and allocate since the file's last sync()
// that returned; of what was in flight any subset of 4 KiB sectors survives, each whole or torn at
// 512 bytes, in any order. A created, renamed or removed name is undone unless sync_directory() of its
// directory returned after it. After the mere death of the process (kill -9) the page cache remains:
// a reader then sees bytes that the disk may not have
// (docs/decisions/013-recovery-makes-durable-before-it-speaks.md).
//
// Paths are relative to the data directory, with '/' between parts; no "..", no leading '/'.
// Buffers given to a call belong to it until the call returns. Calls on files are not interrupted by
// cancellation: they end by themselves, and the disk may be using the caller's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/scheduler.h"

namespace taffrail {

enum class OpenMode : uint8_t {
  kRead,          ///< Must exist.
  kWrite,         ///< Read and write; must exist.
  kCreate,        ///< Read and write; must not exist: kExists.
  kOpenOrCreate,  ///< Read and write.
};

class File {
 public:
  /// Closes. Does not sync.
  virtual ~File() = default;

  /// Writes `parts`, one behind the other, from `position` on; extends the file if needed (a gap reads
  /// as zeros). All or an error; after an error how much of it arrived is unknown.
  /// Errors: kIo, kNoSpace.
  virtual Result<> write_at(Task& task, uint64_t position, std::span<const ByteView> parts) = 0;
  Result<> write_at(Task& task, uint64_t position, ByteView bytes) {
    return write_at(task, position, std::span(&bytes, 1));
  }
  /// Reads up to into.size() bytes; fewer only at the end of the file. Errors: kIo.
  virtual Result<size_t> read_at(Task& task, uint64_t position, MutableBytes into) = 0;
  /// Returns when all that earlier calls wrote survives a power cut. A failed sync is never retried:
  /// what it left behind is unknown, so the node stops. Errors: kIo.
  virtual Result<> sync(Task& task) = 0;
  /// Both, one behind the other: where they can be asked for together that is one trip to the disk. Errors: of both.
  virtual Result<> write_and_sync(Task& task, uint64_t position, std::span<const ByteView> parts) {
    TRY(write_at(task, position, parts));
    return sync(task);
  }
  /// Errors: kIo.
  virtual Result<> truncate(Task& task, uint64_t size) = 0;
  /// Reserves blocks up to `size` without changing what reads see below the old end; the new part
  /// reads as zeros. Does not make overwriting them cheap: for that, write zeros. Errors: kNoSpace, kIo.
  virtual Result<> allocate(Task& task, uint64_t size) = 0;
  virtual Result<uint64_t> size(Task& task) = 0;
};

/// Held as long as it lives; goes with the process too.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

struct DiskSpace {
  ByteCount free;
  ByteCount total;
};

/// One of a node's data directories.
class Disk {
 public:
  virtual ~Disk() = default;

  /// Errors: kNotFound, kExists, kIo, kNoSpace.
  virtual Result<std::unique_ptr<File>> open(Task& task, std::string_view path, OpenMode mode) = 0;
  /// Errors: kNotFound, kIo. An open file stays readable until it is closed.
  virtual Result<> remove(Task& task, std::string_view path) = 0;
  /// Replaces `to` if it exists. Atomic for readers; durable only after sync_directory.
  virtual Result<> rename(Task& task, std::string_view from, std::string_view to) = 0;
  /// Makes one directory; fine if it exists. Its parent must exist.
  virtual Result<> make_directory(Task& task, std::string_view path) = 0;
  /// Removes an empty directory. Errors: kNotFound, kBusy if it is not empty.
  virtual Result<> remove_directory(Task& task, std::string_view path) = 0;
  /// Names of files and directories in `path` ("" is the root), sorted. Errors: kNotFound, kIo.
  virtual Result<std::vector<std::string>> list(Task& task, std::string_view path) = 0;
  virtual Result<bool> exists(Task& task, std::string_view path) = 0;
  /// Makes names created in, renamed within and removed from `path` durable. Errors: kIo.
  virtual Result<> sync_directory(Task& task, std::string_view path) = 0;
  /// One holder at a time on this machine. Errors: kBusy.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(Task& task, std::string_view path) = 0;
  virtual Result<DiskSpace> space(Task& task) = 0;
};

/// Writes `bytes` to `path` so that a crash leaves the old file or the new one: to a temporary name,
/// synced, renamed, directory synced.
Result<> replace_file(Task& task, Disk& disk, std::string_view path, ByteView bytes);
/// The whole file. Errors: kNotFound, kIo, kTooLarge past `limit`.
Result<std::string> read_file(Task& task, Disk& disk, std::string_view path, ByteCount limit);

}  // namespace taffrail
