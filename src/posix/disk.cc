#include "posix/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "posix/errors.h"
#include "runtime/log.h"

namespace taffrail::posix {

namespace {

// Reads up to here are tried on the loop's own thread: a page cache hit costs less than the two
// wakes of asking another thread (22 us each). Beyond it the copy itself would hold the loop up.
constexpr size_t kInlineReadMax = 256_KiB;

Result<std::string> checked(std::string_view path, bool root_allowed) {
  if (path.empty() && root_allowed) return std::string(".");
  const auto refused = [&] {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not a path within the data directory", escaped(path)));
  };
  if (path.empty() || path.find('\0') != std::string_view::npos) return refused();
  std::string_view rest = path;
  while (true) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return refused();
    if (slash == std::string_view::npos) return std::string(path);
    rest.remove_prefix(slash + 1);
  }
}

// Calls until it is not interrupted; the errno, or 0.
template <class Call>
int retried(Call&& call) {
  while (call() < 0)
    if (errno != EINTR) return errno;
  return 0;
}

class FileLock final : public DirectoryLock {
 public:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  Fd fd_;  // The lock goes with its last descriptor.
};

std::string holder_of(int fd) {
  char text[24] = {};
  const ssize_t got = pread(fd, text, sizeof text - 1, 0);
  const std::string_view digits(text, got > 0 ? std::strspn(text, "0123456789") : 0);
  return digits.empty() ? "another process" : fmt::format("process {}", digits);
}

// Whatever the reason, a sync that did not happen stops the node: no "full" that invites a retry.
std::unexpected<Error> sync_failure(int error, const std::string& path) {
  return fail(Errc::kIo, fmt::format("sync {}: {}", path, errno_text(error)));
}

}  // namespace

PosixFile::PosixFile(DiskQueue& queue, Counters& counters, Fd fd, std::string path)
    : queue_(queue), counters_(counters), fd_(std::move(fd)), path_(std::move(path)) {}

Result<> PosixFile::write_at(Task& task, uint64_t position, std::span<const ByteView> parts) {
  DiskOp op;
  op.kind = DiskOp::Kind::kWrite;
  op.fd = fd_.get();
  op.direct = &direct_;
  op.position = position;
  op.parts = parts;
  queue_.run(task, op);
  ++counters_.disk_writes;
  counters_.disk_bytes_written += op.bytes;
  if (op.error != 0) return file_failure(op.error, "write", path_);
  return {};
}

Result<size_t> PosixFile::read_at(Task& task, uint64_t position, MutableBytes into) {
  ++counters_.disk_reads;
  DiskOp op;
  if (into.size() <= kInlineReadMax) {
    // RWF_NOWAIT: what the page cache holds, and EAGAIN where the disk would have to be asked. Zero
    // is the end of the file; any error is left to the thread that may wait.
    const iovec vector{into.data(), into.size()};
    const ssize_t got = preadv2(fd_.get(), &vector, 1, static_cast<off_t>(position), RWF_NOWAIT);
    if (got >= 0) op.bytes = static_cast<uint64_t>(got);
    if (got == 0 || op.bytes == into.size()) {
      ++counters_.disk_reads_inline;
      counters_.disk_bytes_read += op.bytes;
      return op.bytes;
    }
  }
  op.kind = DiskOp::Kind::kRead;
  op.fd = fd_.get();
  op.position = position;
  op.into = into;
  queue_.run(task, op);
  counters_.disk_bytes_read += op.bytes;
  if (op.error != 0) return file_failure(op.error, "read", path_);
  return op.bytes;
}

Result<> PosixFile::sync(Task& task) {
  DiskOp op;
  op.kind = DiskOp::Kind::kSync;
  op.fd = fd_.get();
  queue_.run(task, op);
  ++counters_.disk_syncs;
  if (op.error != 0) return sync_failure(op.error, path_);
  return {};
}

Result<> PosixFile::write_and_sync(Task& task, uint64_t position, std::span<const ByteView> parts) {
  DiskOp op;
  op.kind = DiskOp::Kind::kWriteAndSync;
  op.fd = fd_.get();
  op.direct = &direct_;
  op.position = position;
  op.parts = parts;
  queue_.run(task, op);
  ++counters_.disk_writes;
  counters_.disk_bytes_written += op.bytes;
  if (op.synced) ++counters_.disk_syncs;
  if (op.error == 0) return {};
  if (op.synced) return sync_failure(op.error, path_);
  return file_failure(op.error, "write", path_);
}

Result<> PosixFile::truncate(Task& task, uint64_t size) {
  const int error = queue_.call(task, [&] {
    return retried([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); });
  });
  if (error != 0) return file_failure(error, "truncate", path_);
  return {};
}

Result<> PosixFile::allocate(Task& task, uint64_t size) {
  if (size == 0) return {};
  const int error = queue_.call(task, [&] {
    const int got = retried([&] { return fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); });
    // Not every file system can; the C library then touches each block, which reserves it as well.
    return got == EOPNOTSUPP ? posix_fallocate(fd_.get(), 0, static_cast<off_t>(size)) : got;
  });
  if (error != 0) return file_failure(error, "allocate", path_);
  return {};
}

Result<uint64_t> PosixFile::size(Task&) {
  struct stat info{};
  if (fstat(fd_.get(), &info) != 0) return file_failure(errno, "size of", path_);
  return static_cast<uint64_t>(info.st_size);
}

Result<> PosixFile::warm(Task& task, uint64_t position, uint64_t count) {
  if (count == 0) return {};
  // The pages of a range were read together, forwards, and age together: when its first and its
  // last page are there, the others nearly always are, and where not, the loop waits for one page.
  const auto cached = [this](uint64_t at) {
    uint8_t byte = 0;
    const iovec vector{&byte, 1};
    return preadv2(fd_.get(), &vector, 1, static_cast<off_t>(at), RWF_NOWAIT) >= 0;
  };
  if (cached(position) && cached(position + count - 1)) return {};
  const int error = queue_.call(task, [&] {
    (void)readahead(fd_.get(), static_cast<off_t>(position), count);
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    for (uint64_t at = position; at < position + count; at += page) {
      uint8_t byte = 0;
      const int got = retried([&] { return pread(fd_.get(), &byte, 1, static_cast<off_t>(at)); });
      if (got != 0) return got;
    }
    return 0;
  });
  if (error != 0) return file_failure(error, "read", path_);
  return {};
}

PosixDisk::PosixDisk(DiskQueue& queue, Counters& counters, int root)
    : queue_(queue), counters_(counters), root_(root) {}

Result<std::unique_ptr<File>> PosixDisk::open(Task& task, std::string_view path, OpenMode mode) {
  std::string name = TRY(checked(path, /*root_allowed=*/false));
  int flags = O_CLOEXEC;
  switch (mode) {
    case OpenMode::kRead:
      flags |= O_RDONLY;
      break;
    case OpenMode::kWrite:
      flags |= O_RDWR;
      break;
    case OpenMode::kCreate:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case OpenMode::kOpenOrCreate:
      flags |= O_RDWR | O_CREAT;
      break;
  }
  Fd fd;
  const int error = queue_.call(task, [&] {
    const int failed = retried([&] {
      fd = Fd(openat(root_, name.c_str(), flags, 0666));
      return fd.get();
    });
    if (failed != 0) return failed;
    // A directory opens for reading, and would fail only later, at its first read.
    struct stat info{};
    if (fstat(fd.get(), &info) != 0) return errno;
    return S_ISDIR(info.st_mode) ? EISDIR : 0;
  });
  if (error != 0) return file_failure(error, "open", path);
  return std::make_unique<PosixFile>(queue_, counters_, std::move(fd), std::move(name));
}

Result<> PosixDisk::remove(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, false));
  const int error =
      queue_.call(task, [&] { return retried([&] { return unlinkat(root_, name.c_str(), 0); }); });
  if (error != 0) return file_failure(error, "remove", path);
  return {};
}

Result<> PosixDisk::rename(Task& task, std::string_view from, std::string_view to) {
  const std::string old_name = TRY(checked(from, false));
  const std::string new_name = TRY(checked(to, false));
  const int error = queue_.call(task, [&] {
    return retried([&] { return renameat(root_, old_name.c_str(), root_, new_name.c_str()); });
  });
  if (error != 0) return file_failure(error, fmt::format("rename {} to", from), to);
  return {};
}

Result<> PosixDisk::make_directory(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, true));
  const int error = queue_.call(task, [&] {
    const int failed = retried([&] { return mkdirat(root_, name.c_str(), 0777); });
    if (failed != EEXIST) return failed;
    struct stat info{};
    if (fstatat(root_, name.c_str(), &info, 0) != 0) return errno;
    return S_ISDIR(info.st_mode) ? 0 : EEXIST;
  });
  if (error != 0) return file_failure(error, "make directory", path);
  return {};
}

Result<> PosixDisk::remove_directory(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, false));
  const int error = queue_.call(
      task, [&] { return retried([&] { return unlinkat(root_, name.c_str(), AT_REMOVEDIR); }); });
  if (error == ENOTEMPTY || error == EEXIST)
    return fail(Errc::kBusy, fmt::format("directory {} is not empty", path));
  if (error != 0) return file_failure(error, "remove directory", path);
  return {};
}

Result<std::vector<std::string>> PosixDisk::list(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, true));
  std::vector<std::string> names;
  const int error = queue_.call(task, [&] {
    const int fd = openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    DIR* directory = fdopendir(fd);  // Owns fd from here on.
    if (directory == nullptr) {
      const int failed = errno;
      ::close(fd);
      return failed;
    }
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
      const std::string_view found = entry->d_name;
      if (found != "." && found != "..") names.emplace_back(found);
      errno = 0;
    }
    const int failed = errno;
    closedir(directory);
    std::sort(names.begin(), names.end());
    return failed;
  });
  if (error != 0) return file_failure(error, "list", path);
  return names;
}

Result<bool> PosixDisk::exists(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, true));
  const int error = queue_.call(
      task, [&] { return retried([&] { return faccessat(root_, name.c_str(), F_OK, 0); }); });
  if (error == ENOENT || error == ENOTDIR) return false;
  if (error != 0) return file_failure(error, "look for", path);
  return true;
}

Result<> PosixDisk::sync_directory(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, true));
  const int error = queue_.call(task, [&] {
    const Fd directory(openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return errno;
    return retried([&] { return fsync(directory.get()); });
  });
  ++counters_.disk_syncs;
  if (error != 0)
    return fail(Errc::kIo, fmt::format("sync directory {}: {}", name, errno_text(error)));
  return {};
}

Result<std::unique_ptr<DirectoryLock>> PosixDisk::lock(Task& task, std::string_view path) {
  const std::string name = TRY(checked(path, true));
  Fd fd;
  std::string holder;
  const int error = queue_.call(task, [&] {
    bool directory = false;
    fd = Fd(openat(root_, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!fd.valid() && errno == EISDIR) {
      directory = true;
      fd = Fd(openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    if (!fd.valid()) return errno;
    // Belongs to the open file, not to the process: a second lock in this process is refused as
    // well.
    const int failed = retried([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); });
    if (failed != 0) {
      holder = directory ? "another process" : holder_of(fd.get());
      return failed;
    }
    if (directory) return 0;
    // For people and for the message above; nobody's safety depends on it.
    const std::string text = fmt::format("{}\n", getpid());
    if (ftruncate(fd.get(), 0) != 0) return errno;
    return pwrite(fd.get(), text.data(), text.size(), 0) < 0 ? errno : 0;
  });
  if (error == EWOULDBLOCK)
    return fail(Errc::kBusy, fmt::format("{} is locked by {}", name, holder));
  if (error != 0) return file_failure(error, "lock", path);
  return std::make_unique<FileLock>(std::move(fd));
}

Result<DiskSpace> PosixDisk::space(Task& task) {
  struct statvfs info{};
  const int error =
      queue_.call(task, [&] { return retried([&] { return fstatvfs(root_, &info); }); });
  if (error != 0) return file_failure(error, "free space of", "");
  // What an ordinary user may still take: the rest is the superuser's.
  return DiskSpace{.free = static_cast<ByteCount>(info.f_bavail) * info.f_frsize,
                   .total = static_cast<ByteCount>(info.f_blocks) * info.f_frsize};
}

}  // namespace taffrail::posix
