#include "machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/core.h>

namespace taffrail::bench {
namespace fs = std::filesystem;

void die(const std::string& what) {
  fmt::print(stderr, "taffrail-bench: {}\n", what);
  std::exit(1);
}

namespace {

double seconds(const timespec& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9; }

double read_clock(clockid_t clock) {
  timespec t{};
  if (::clock_gettime(clock, &t) != 0) die(fmt::format("clock_gettime: {}", std::strerror(errno)));
  return seconds(t);
}

double status_bytes(pid_t pid, const std::string& key) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return std::stod(line.substr(key.size())) * 1024;
  return 0;
}

char g_scratch[512];

void drop_scratch() {
  if (g_scratch[0] == 0) return;
  std::error_code ignored;
  fs::remove_all(g_scratch, ignored);
}

// Only calls that a signal handler may make.
void on_interrupt(int) {
  if (g_scratch[0] != 0 && ::fork() == 0) ::execl("/bin/rm", "rm", "-rf", g_scratch, nullptr);
  ::_exit(130);
}

}  // namespace

double now() { return read_clock(CLOCK_MONOTONIC); }
double own_cpu() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

void sleep_until(double at) {
  for (double left = at - now(); left > 0; left = at - now()) {
    const timespec t{static_cast<time_t>(left), static_cast<long>((left - static_cast<double>(static_cast<time_t>(left))) * 1e9)};
    ::nanosleep(&t, nullptr);
  }
}

Counters read_counters() {
  Counters c;
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  {
    std::ifstream in("/proc/stat");
    std::string cpu;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, stolen = 0;
    in >> cpu >> user >> nice >> system >> idle >> wait >> irq >> soft >> stolen;
    c.busy = (user + nice + system + irq + soft) * tick;
    c.stolen = stolen * tick;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    std::getline(stat, line);
    // "pid (name) state parent": the kernel's own threads are children of thread 2.
    const size_t behind = line.rfind(')');
    if (behind == std::string::npos || behind + 5 > line.size() || std::atoi(line.c_str() + behind + 4) != 2) continue;
    double nanoseconds = 0;
    std::ifstream(entry.path() / "schedstat") >> nanoseconds;
    c.kernel += nanoseconds * 1e-9;
  }
  std::ifstream disks("/proc/diskstats");
  for (std::string line; std::getline(disks, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 1; words >> word; ++i)
      if (i == 19) c.flushes += std::stod(word);
  }
  return c;
}

namespace {
void pin(int core) {
  if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}
}  // namespace

void pin_self() {
  pin(0);
  ::prctl(PR_SET_TIMERSLACK, 1000);
}

Hoard::Hoard(double bytes) : size_(static_cast<size_t>(bytes)) {
  void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) die("no memory to warm");
  ::madvise(at, size_, MADV_NOHUGEPAGE);
  at_ = static_cast<uint8_t*>(at);
  for (size_t i = 0; i < size_; i += 4096) static_cast<volatile uint8_t*>(at_)[i] = 1;
}

Hoard::~Hoard() { ::munmap(at_, size_); }

void Hoard::give(double bytes) {
  constexpr size_t kAtOnce = 1 << 20;
  owed_ += bytes;
  while (owed_ >= kAtOnce && given_ + kAtOnce <= size_) {
    ::madvise(at_ + given_, kAtOnce, MADV_DONTNEED);
    given_ += kAtOnce;
    owed_ -= kAtOnce;
  }
}

Child::Child(std::vector<std::string> arguments, const std::string& log, bool pinned) {
  std::vector<char*> words;
  for (std::string& a : arguments) words.push_back(a.data());
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) die(fmt::format("fork: {}", std::strerror(errno)));
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::signal(SIGINT, SIG_IGN);
  cpu_set_t all;
  std::memset(&all, 0xff, sizeof(all));
  ::sched_setaffinity(0, sizeof(all), &all);
  if (pinned) pin(1);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execv(words[0], words.data());
  ::_exit(127);
}

Child::Child(Child&& o) noexcept : pid_(std::exchange(o.pid_, -1)) {}
Child::~Child() { reap(SIGKILL); }
void Child::kill() { reap(SIGKILL); }
void Child::stop() { reap(SIGTERM); }

void Child::reap(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

double Child::cpu() const {
  clockid_t clock{};
  if (pid_ <= 0 || ::clock_getcpuclockid(pid_, &clock) != 0) die("a broker that was measured is gone");
  timespec t{};
  if (::clock_gettime(clock, &t) != 0) die("a broker that was measured is gone");
  return seconds(t);
}

double Child::rss() const { return status_bytes(pid_, "VmRSS:"); }
double Child::rss_peak() const { return status_bytes(pid_, "VmHWM:"); }

std::string make_scratch(const std::string& under) {
  std::string path = (under.empty() ? fs::temp_directory_path().string() : under) + "/taffrail-bench-XXXXXX";
  if (path.size() >= sizeof(g_scratch)) die("--data is too long");
  if (::mkdtemp(path.data()) == nullptr) die(fmt::format("{}: {}", path, std::strerror(errno)));
  std::memcpy(g_scratch, path.c_str(), path.size() + 1);
  std::atexit(drop_scratch);
  ::signal(SIGINT, on_interrupt);
  ::signal(SIGTERM, on_interrupt);
  ::signal(SIGPIPE, SIG_IGN);
  return path;
}

void remove_tree(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

uint16_t free_port() {
  // Below the range from which the kernel gives ports to clients: one of them may come before the broker does.
  static uint16_t next = static_cast<uint16_t>(15'000 + ::getpid() % 10'000);
  for (int tries = 0; tries < 15'000; ++tries) {
    next = next < 30'000 ? static_cast<uint16_t>(next + 1) : uint16_t{15'000};
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(next);
    const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0;
    ::close(fd);
    if (free) return next;
  }
  die("no free port");
}

std::vector<std::string> files_below(const std::string& directory, const std::string& ending) {
  std::vector<std::string> found;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(directory, error); it != fs::recursive_directory_iterator();
       it.increment(error)) {
    if (error) break;
    if (it->path().string().ends_with(ending)) found.push_back(it->path().string());
  }
  return found;
}

double size_of(const std::vector<std::string>& files) {
  double sum = 0;
  for (const std::string& f : files) {
    std::error_code error;
    const auto size = fs::file_size(f, error);
    if (!error) sum += static_cast<double>(size);
  }
  return sum;
}

std::string machine_in_words(const std::string& directory) {
  std::ifstream in("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) model = line.substr(line.find(':') + 2);
  utsname name{};
  ::uname(&name);
  struct statfs st {};
  ::statfs(directory.c_str(), &st);
  const auto type = static_cast<uint64_t>(st.f_type);
  const std::string file_system = type == 0xEF53       ? "ext4"
                                  : type == 0x58465342 ? "xfs"
                                  : type == 0x9123683E ? "btrfs"
                                  : type == 0x01021994 ? "tmpfs, where a sync costs nothing"
                                                       : fmt::format("file system {:x}", type);
  return fmt::format("{} x {}, Linux {}, {}", ::sysconf(_SC_NPROCESSORS_ONLN), model, name.release, file_system);
}

}  // namespace taffrail::bench
