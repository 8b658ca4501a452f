#include "posix/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "posix/errors.h"
#include "posix/fd.h"
#include "runtime/sync.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere.

namespace taffrail::posix {

namespace {

class PosixProcess final : public Process, private Watch {
 public:
  PosixProcess(Loop& loop, pid_t pid, Fd input) : loop_(loop), pid_(pid), input_(std::move(input)) {
    // Readable once the child has ended; unlike a number, it never means another process later.
    handle_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (handle_.valid()) watched_ = loop_.watch(handle_.get(), EPOLLIN | EPOLLET, *this);
  }
  ~PosixProcess() override {
    if (watched_) loop_.unwatch(handle_.get());
    (void)poll();  // Takes leave of one that has ended: nobody else will.
    // Its input stays open: "ends with us" speaks of the process, not of this object. One
    // descriptor per child that was let go.
    if (!exit_) (void)input_.release();
  }

  int64_t pid() const override { return pid_; }

  Result<> send(Signal signal) override {
    if (poll()) return fail(Errc::kClosed, fmt::format("process {} has ended", pid_));
    if (::kill(pid_, number(signal)) != 0)
      return fail(Errc::kIo, fmt::format("signal to process {}: {}", pid_, errno_text(errno)));
    return {};
  }

  std::optional<ProcessExit> poll() override {
    if (exit_) return exit_;
    int status = 0;
    pid_t got = 0;
    do {
      got = waitpid(pid_, &status, WNOHANG);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return std::nullopt;
    if (got < 0) {
      exit_ = ProcessExit{.code = -1, .signal = 0};  // Somebody else waited for it.
    } else if (WIFEXITED(status)) {
      exit_ = ProcessExit{.code = WEXITSTATUS(status), .signal = 0};
    } else {
      exit_ = ProcessExit{.code = -1, .signal = WTERMSIG(status)};
    }
    return exit_;
  }

  Result<ProcessExit> wait(Task& task, Instant deadline) override {
    while (!poll()) {
      // Without a handle (an old kernel) there is nothing to be told by.
      const Instant next = watched_ ? deadline : std::min(deadline, loop_.now() + 20_ms);
      const Result<> waited = ended_.wait(task, next);
      if (!waited && (next == deadline || waited.error().code != Errc::kTimedOut))
        return std::unexpected(waited.error());
    }
    return *exit_;
  }

 private:
  static int number(Signal signal) {
    switch (signal) {
      case Signal::kInterrupt:
        return SIGINT;
      case Signal::kTerminate:
        return SIGTERM;
      case Signal::kKill:
        return SIGKILL;
      case Signal::kPause:
        return SIGSTOP;
      case Signal::kResume:
        return SIGCONT;
    }
    return SIGTERM;
  }
  void on_events(uint32_t) override { ended_.notify_all(); }

  Loop& loop_;
  const pid_t pid_;
  Fd handle_;
  Fd input_;
  bool watched_ = false;
  std::optional<ProcessExit> exit_;
  WaitQueue ended_;
};

struct Actions {
  posix_spawn_file_actions_t value;
  Actions() { posix_spawn_file_actions_init(&value); }
  ~Actions() { posix_spawn_file_actions_destroy(&value); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
};

struct Attributes {
  posix_spawnattr_t value;
  Attributes() { posix_spawnattr_init(&value); }
  ~Attributes() { posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& extra) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : extra) replaced |= text.substr(0, text.find('=')) == name;
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : extra) out.push_back(fmt::format("{}={}", name, value));
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<std::unique_ptr<Process>> start_process(Loop& loop, const ProcessOptions& options) {
  if (options.arguments.empty()) return fail(Errc::kInvalid, "a process needs a program");
  const std::string& program = options.arguments.front();
  const auto failed = [&](int error) { return file_failure(error, "start", program); };

  Fd input_read;
  Fd input_write;
  Actions actions;
  if (options.input_ends_with_us) {
    // The write end is ours alone (close-on-exec), so the kernel closes it when we go.
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return failed(errno);
    input_read = Fd(ends[0]);
    input_write = Fd(ends[1]);
    posix_spawn_file_actions_adddup2(&actions.value, input_read.get(), STDIN_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  Fd output;
  if (!options.output_file.empty()) {
    output = Fd(open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (!output.valid()) return file_failure(errno, "open", options.output_file);
    posix_spawn_file_actions_adddup2(&actions.value, output.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions.value, output.get(), STDERR_FILENO);
  }
  if (!options.directory.empty())
    posix_spawn_file_actions_addchdir_np(&actions.value, options.directory.c_str());

  // A child starts as from a shell: no signal blocked, none ignored.
  Attributes attributes;
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigmask(&attributes.value, &none);
  posix_spawnattr_setsigdefault(&attributes.value, &defaults);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.own_group) {
    posix_spawnattr_setpgroup(&attributes.value, 0);
    flags |= POSIX_SPAWN_SETPGROUP;
  }
  posix_spawnattr_setflags(&attributes.value, static_cast<short>(flags));

  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = environment_with(options.environment);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &actions.value, &attributes.value,
                                 pointers(arguments).data(), pointers(environment).data());
  if (error != 0) return failed(error);
  return std::make_unique<PosixProcess>(loop, pid, std::move(input_write));
}

}  // namespace taffrail::posix
