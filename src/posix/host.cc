#include "posix/host.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "posix/errors.h"
#include "posix/fd.h"
#include "posix/process.h"

namespace taffrail::posix {

namespace {

int descriptor(Stream stream) {
  switch (stream) {
    case Stream::kInput:
      return STDIN_FILENO;
    case Stream::kOutput:
      return STDOUT_FILENO;
    case Stream::kError:
      return STDERR_FILENO;
  }
  return STDERR_FILENO;
}

bool ready_now(int fd, short events) {
  pollfd one{.fd = fd, .events = events, .revents = 0};
  return ::poll(&one, 1, 0) != 0;
}

// 0 or an errno; `bytes` are all written unless it is an error.
int write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return wrote == 0 ? EIO : errno;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return 0;
}

}  // namespace

// The standard streams are shared with whoever started us (a shell, a pipe's other side), so they
// are never made non-blocking: that would change theirs too. They are touched only when they are
// ready.
class PosixHost::Standard final : private Watch {
 public:
  Standard(Loop& loop, Stream which)
      : loop_(loop), fd_(descriptor(which)), input_(which == Stream::kInput) {
    struct stat info{};
    regular_ = fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  }
  ~Standard() {
    if (watched_) loop_.unwatch(fd_);
  }
  Standard(const Standard&) = delete;
  Standard& operator=(const Standard&) = delete;

  int fd() const { return fd_; }
  bool regular() const { return regular_; }

  Result<> wait_until_ready(Task& task, Instant deadline) {
    if (task.cancelled()) return fail(Errc::kCancelled);
    const uint32_t events = (input_ ? EPOLLIN : EPOLLOUT) | EPOLLONESHOT;
    while (!ready_now(fd_, input_ ? POLLIN : POLLOUT)) {
      const bool armed =
          watched_ ? loop_.watch_again(fd_, events, *this) : loop_.watch(fd_, events, *this);
      if (!armed) return {};  // What the kernel cannot watch does not make us wait.
      watched_ = true;
      TRY(ready_.wait(task, deadline));
    }
    return {};
  }

 private:
  void on_events(uint32_t) override { ready_.notify_all(); }
  Loop& loop_;
  const int fd_;
  const bool input_;
  bool regular_ = false;
  bool watched_ = false;
  WaitQueue ready_;
};

PosixHost::PosixHost(PosixRuntime& runtime, std::vector<std::string> arguments)
    : runtime_(runtime), arguments_(std::move(arguments)) {
  for (const Stream which : {Stream::kInput, Stream::kOutput, Stream::kError})
    streams_.push_back(std::make_unique<Standard>(runtime_.loop(), which));
}

PosixHost::~PosixHost() = default;

PosixHost::Standard& PosixHost::stream(Stream which) {
  return *streams_[static_cast<size_t>(which)];
}

std::optional<std::string> PosixHost::environment(const std::string& name) const {
  const char* value = std::getenv(name.c_str());  // Nobody here ever sets one.
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::string PosixHost::executable() const {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

std::string PosixHost::current_directory() const {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

int64_t PosixHost::pid() const { return getpid(); }

bool PosixHost::is_terminal(Stream which) const { return isatty(descriptor(which)) == 1; }

uint32_t PosixHost::terminal_width() const {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

Result<size_t> PosixHost::read_input(Task& task, MutableBytes into, Instant deadline) {
  Standard& input = stream(Stream::kInput);
  TRY(input.wait_until_ready(task, deadline));
  ssize_t got = 0;
  const auto read_some = [&] {
    do {
      got = ::read(input.fd(), into.data(), into.size());
    } while (got < 0 && errno == EINTR);
    return got < 0 ? errno : 0;
  };
  const int error = input.regular() ? runtime_.blocking_calls().call(task, read_some) : read_some();
  if (error != 0) return file_failure(error, "read", "standard input");
  return static_cast<size_t>(got);
}

Result<> PosixHost::write(Task& task, Stream which, std::string_view text) {
  Standard& output = stream(which);
  const auto failed = [](int error) -> Result<> {
    if (error == EPIPE) return fail(Errc::kClosed, "nobody reads the output any more");
    return file_failure(error, "write", "standard output");
  };
  if (output.regular()) {
    const int error =
        runtime_.blocking_calls().call(task, [&] { return write_whole(output.fd(), text); });
    return error == 0 ? Result<>() : failed(error);
  }
  while (!text.empty()) {
    TRY(output.wait_until_ready(task, Instant::never()));
    // A pipe that is ready takes this much without blocking (pipe(7), "PIPE_BUF"), and no more for
    // sure.
    const std::string_view piece = text.substr(0, PIPE_BUF);
    if (const int error = write_whole(output.fd(), piece); error != 0) return failed(error);
    text.remove_prefix(piece.size());
  }
  return {};
}

Result<std::unique_ptr<Process>> PosixHost::start(Task&, const ProcessOptions& options) {
  return start_process(runtime_.loop(), options);
}

Result<> PosixHost::make_directories(Task& task, const std::string& path) {
  std::error_code error;
  (void)runtime_.blocking_calls().call(task, [&] {
    std::filesystem::create_directories(path, error);
    return 0;
  });
  if (error)
    return file_failure(error.value() == EEXIST ? ENOTDIR : error.value(), "make directory", path);
  return {};
}

Result<std::string> PosixHost::make_temporary_directory(Task& task, const std::string& prefix) {
  std::error_code ignored;
  std::string base = std::filesystem::temp_directory_path(ignored).string();
  if (base.empty()) base = "/tmp";
  std::string path = fmt::format("{}/{}XXXXXX", base, prefix);
  const int error = runtime_.blocking_calls().call(
      task, [&] { return mkdtemp(path.data()) == nullptr ? errno : 0; });
  if (error != 0) return file_failure(error, "make directory", path);
  return path;
}

Result<> PosixHost::remove_tree(Task& task, const std::string& path) {
  std::error_code error;
  bool refused = false;
  (void)runtime_.blocking_calls().call(task, [&] {
    const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
    if (error) return 0;
    const std::filesystem::path here = std::filesystem::current_path(error);
    refused = path.empty() || error || real == real.root_path() || real == here;
    if (!refused) std::filesystem::remove_all(path, error);
    return 0;
  });
  if (error) return file_failure(error.value(), "remove", path);
  if (refused) return fail(Errc::kInvalid, fmt::format("will not remove all of \"{}\"", path));
  return {};
}

Result<bool> PosixHost::path_exists(Task& task, const std::string& path) {
  bool found = false;
  (void)runtime_.blocking_calls().call(task, [&] {
    std::error_code error;
    found = std::filesystem::exists(path, error);
    return 0;
  });
  return found;
}

Result<std::string> PosixHost::read_whole_file(Task& task, const std::string& path,
                                               ByteCount limit) {
  std::string text;
  bool too_large = false;
  const int error = runtime_.blocking_calls().call(task, [&] {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return errno;
    // Read to its end rather than by its size: a pipe and what is in /proc have none.
    for (;;) {
      char chunk[16 << 10];
      const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) return 0;
      text.append(chunk, static_cast<size_t>(got));
      too_large = text.size() > limit;
      if (too_large) return 0;
    }
  });
  if (error != 0) return file_failure(error, "read", path);
  if (too_large)
    return fail(Errc::kTooLarge, fmt::format("{} has more than {} bytes", path, limit));
  return text;
}

Result<> PosixHost::write_file_atomically(Task& task, const std::string& path,
                                          std::string_view bytes) {
  const std::string temporary = fmt::format("{}.{}.new", path, getpid());
  const int error = runtime_.blocking_calls().call(task, [&] {
    Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd.valid()) return errno;
    int failed = write_whole(fd.get(), bytes);
    if (failed == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failed = errno;
    if (failed != 0) (void)unlink(temporary.c_str());
    return failed;
  });
  if (error != 0) return file_failure(error, "write", path);
  return {};
}

std::string PosixHost::format_time(WallTime time, Zone zone) const {
  // Towards the past: -1 ms is 999 ms after the second before 1970.
  int64_t seconds = time.ms / 1000;
  int64_t ms = time.ms % 1000;
  if (ms < 0) {
    ms += 1000;
    --seconds;
  }
  const time_t t = seconds;
  tm parts{};
  if ((zone == Zone::kUtc ? gmtime_r(&t, &parts) : localtime_r(&t, &parts)) == nullptr)
    return fmt::format("{} ms", time.ms);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}{}", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms,
                     zone == Zone::kUtc ? "Z" : "");
}

}  // namespace taffrail::posix
