#include "posix/posix_runtime.h"

#include <fmt/core.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "posix/errors.h"

namespace taffrail::posix {

namespace {

constexpr int kStoppedExitCode = 70;

uint64_t entropy() {
  uint64_t key = 0;
  ssize_t got = 0;
  do {
    got = getrandom(&key, sizeof key, 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got == sizeof key, "the kernel's random numbers: " + errno_text(errno));
  return key;
}

}  // namespace

PosixRuntime::PosixRuntime(Loop& loop, NodeShared& node, const Options& options)
    : Runtime(loop),
      loop_(loop),
      node_(node),
      options_(options),
      log_(node.log,
           options.shard_count > 1 ? fmt::format("{}", options.shard.value) : std::string()),
      random_(entropy()),
      queue_(loop, options.disk_threads),
      disk_(queue_, loop.counters(), options.data_dir),
      net_(loop, node.listeners, options.congestion) {}

WallTime PosixRuntime::wall_now() const {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return {static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000};
}

void PosixRuntime::post(ShardId to, std::move_only_function<void()> message) {
  CHECK(to.value < node_.loops.size(), "a message to a shard that exists");
  node_.loops[to.value]->post(std::move(message));
}

void PosixRuntime::stop_node(std::string_view why) {
  log_.write(LogLevel::kError, "node", fmt::format("stopping at once: {}", why));
  _exit(kStoppedExitCode);
}

}  // namespace taffrail::posix
