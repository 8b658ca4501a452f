// Disk and File of the seam, on a real file system.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "posix/disk_queue.h"
#include "posix/fd.h"
#include "runtime/disk.h"

namespace taffrail::posix {

class PosixFile final : public File {
 public:
  PosixFile(DiskQueue& queue, Counters& counters, Fd fd, std::string path);

  using File::write_at;
  Result<> write_at(Task& task, uint64_t position, std::span<const ByteView> parts) override;
  Result<size_t> read_at(Task& task, uint64_t position, MutableBytes into) override;
  Result<> sync(Task& task) override;
  Result<> write_and_sync(Task& task, uint64_t position, std::span<const ByteView> parts) override;
  Result<> truncate(Task& task, uint64_t size) override;
  Result<> allocate(Task& task, uint64_t size) override;
  Result<uint64_t> size(Task& task) override;

  /// Returns when a range is in the page cache, so that sendfile does not stop the loop for a disk.
  /// What is cached already costs a system call or two. Errors: kIo.
  Result<> warm(Task& task, uint64_t position, uint64_t count);
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

 private:
  DiskQueue& queue_;
  Counters& counters_;
  Fd fd_;
  DirectWrites direct_;
  std::string path_;
};

class PosixDisk final : public Disk {
 public:
  /// `root` is an open directory; it outlives this, as `queue` and `counters` do.
  PosixDisk(DiskQueue& queue, Counters& counters, int root);

  Result<std::unique_ptr<File>> open(Task& task, std::string_view path, OpenMode mode) override;
  Result<> remove(Task& task, std::string_view path) override;
  Result<> rename(Task& task, std::string_view from, std::string_view to) override;
  Result<> make_directory(Task& task, std::string_view path) override;
  Result<> remove_directory(Task& task, std::string_view path) override;
  Result<std::vector<std::string>> list(Task& task, std::string_view path) override;
  Result<bool> exists(Task& task, std::string_view path) override;
  Result<> sync_directory(Task& task, std::string_view path) override;
  /// `path` is a file, made if it is missing and left behind, which holds the holder's process id;
  /// or a directory.
  Result<std::unique_ptr<DirectoryLock>> lock(Task& task, std::string_view path) override;
  Result<DiskSpace> space(Task& task) override;

 private:
  DiskQueue& queue_;
  Counters& counters_;
  int root_;
};

}  // namespace taffrail::posix
