#include "posix/node.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/check.h"
#include "posix/errors.h"
#include "posix/host.h"

namespace taffrail::posix {

namespace {

constexpr int kLargeBlock = 4 << 20;

// What a signal handler may touch: two numbers. The descriptor is shard 0's, which tells the
// others.
std::atomic<int> stop_descriptor = -1;
std::atomic<int> signals_seen = 0;
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

extern "C" void on_stop_signal(int signal) {
  const int saved = errno;
  // A node that hangs cannot hear the first one out; the second works whatever the loop does.
  if (signals_seen.fetch_add(1) > 0) _exit(128 + signal);
  request_stop();
  errno = saved;
}

// Once there are threads, a table of descriptors that has to grow holds its caller up for 10 ms and more, which is felt by
// everybody while clients come by the thousand. The table is made large while there is one thread, and stays so.
void make_room_for_descriptors(int any) {
  constexpr rlim_t kMost = 1 << 16;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const Fd last(fcntl(any, F_DUPFD_CLOEXEC, static_cast<int>(std::min(limit.rlim_cur, kMost) - 1)));
}

Result<Fd> open_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return file_failure(error.value() == EEXIST ? ENOTDIR : error.value(), "make directory", path);
  Fd opened(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return file_failure(errno, "open", path);
  return opened;
}

class SignalHandlers {
 public:
  explicit SignalHandlers(bool install) : installed_(install) {
    if (!installed_) return;
    signals_seen.store(0);
    struct sigaction stop{};
    stop.sa_handler = on_stop_signal;
    stop.sa_flags = SA_RESTART;
    sigemptyset(&stop.sa_mask);
    sigaction(SIGINT, &stop, &interrupt_);
    sigaction(SIGTERM, &stop, &terminate_);
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, &pipe_);
  }
  ~SignalHandlers() {
    if (!installed_) return;
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
    sigaction(SIGPIPE, &pipe_, nullptr);
  }
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;

 private:
  const bool installed_;
  struct sigaction interrupt_{};
  struct sigaction terminate_{};
  struct sigaction pipe_{};
};

// All of one shard. Built before any thread starts, used by its own thread, taken down after all
// ended.
struct ShardWorld {
  ShardWorld(NodeShared& node, const NodeOptions& options, uint32_t index, const std::vector<Fd>& data_dirs)
      : loop(options.poll_before_sleep),
        runtime(loop, node,
                {.shard = ShardId(index),
                 .shard_count = options.shards,
                 .directory_count = static_cast<uint32_t>(data_dirs.size()),
                 .data_dir = data_dirs[index % data_dirs.size()].get(),
                 .disk_threads = options.disk_threads,
                 .congestion = options.congestion}),
        host(runtime, options.arguments) {}

  Loop loop;
  PosixRuntime runtime;
  PosixHost host;
  Event stop;
  bool main_ended = false;  // Of this shard; its own thread looks.
  Scope root;
};

class World final : private Watch {
 public:
  World(const NodeOptions& options, LogSink& sink, const std::vector<Fd>& data_dirs)
      : options_(options),
        shared_(sink),
        stop_request_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        left_(options.shards) {
    CHECK(stop_request_.valid(), errno_text(errno));
    for (uint32_t i = 0; i < options.shards; ++i)
      shards_.push_back(std::make_unique<ShardWorld>(shared_, options, i, data_dirs));
    for (const auto& shard : shards_) shared_.loops.push_back(&shard->loop);
    CHECK(shards_[0]->loop.watch(stop_request_.get(), EPOLLIN | EPOLLET, *this), errno_text(errno));
    stop_descriptor.store(stop_request_.get());
  }
  ~World() { stop_descriptor.store(-1); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void run(const std::function<void(Task&, Shard&)>& shard_main) {
    // What a client's large requests took goes back when they end. By itself the limit grows with what was once asked for.
    mallopt(M_MMAP_THRESHOLD, kLargeBlock);
    mallopt(M_TRIM_THRESHOLD, 2 * kLargeBlock);
    std::vector<std::thread> threads;
    for (uint32_t i = 1; i < options_.shards; ++i) {
      threads.emplace_back([this, i, &shard_main] { run_shard(i, shard_main); });
      pthread_setname_np(threads.back().native_handle(), fmt::format("shard-{}", i).c_str());
    }
    run_shard(0, shard_main);
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void run_shard(uint32_t index, const std::function<void(Task&, Shard&)>& shard_main) {
    ShardWorld& world = *shards_[index];
    world.loop.spawn(world.root, fmt::format("shard-{}/main", index), [&](Task& task) {
      Shard shard{.runtime = world.runtime, .host = world.host, .stop = world.stop};
      shard_main(task, shard);
    });
    world.loop.run_until([&] {
      if (!world.main_ended && world.root.empty()) {
        world.main_ended = true;
        // The last one wakes all: each asks again after a message.
        if (left_.fetch_sub(1) == 1)
          for (Loop* loop : shared_.loops) loop->post([] {});
      }
      return left_.load() == 0;
    });
    CHECK(world.loop.fiber_count() == 0, "a shard's main fiber ends its fibers before it returns");
  }

  void on_events(uint32_t) override {
    for (const auto& shard : shards_) {
      shard->loop.post([this, world = shard.get()] {
        world->stop.set();
        if (options_.cancel_on_signal) world->root.cancel();
      });
    }
  }

  const NodeOptions& options_;
  NodeShared shared_;
  Fd stop_request_;
  std::vector<std::unique_ptr<ShardWorld>> shards_;
  std::atomic<uint32_t> left_;
};

}  // namespace

void request_stop() {
  const int fd = stop_descriptor.load();
  if (fd < 0) return;
  const uint64_t one = 1;
  (void)!::write(fd, &one,
                 sizeof one);  // Async-signal-safe, and there is nobody to tell of a failure.
}

Result<> run_node(const NodeOptions& options,
                  const std::function<void(Task&, Shard&)>& shard_main) {
  CHECK(options.shards > 0, "a node has a shard");
  CHECK(stop_descriptor.load() < 0, "one node at a time in a process");
  CHECK(!options.data_dirs.empty() && options.data_dirs.size() <= options.shards, "each data directory has a shard");
  std::vector<Fd> data_dirs;
  std::vector<std::string> missing;
  for (const std::string& path : options.data_dirs) {
    Result<Fd> opened = open_directory(path);
    if (!opened && data_dirs.empty()) return std::unexpected(opened.error());
    if (!opened) missing.push_back(opened.error().text());
    data_dirs.push_back(opened ? *std::move(opened) : Fd());
  }

  make_room_for_descriptors(data_dirs[0].get());
  LogSink sink(options.log);
  for (const std::string& why : missing) ShardLogger(sink, "").error("node", "{}", why);
  World world(options, sink, data_dirs);
  const SignalHandlers handlers(options.handle_signals);
  world.run(shard_main);
  return {};
}

}  // namespace taffrail::posix
