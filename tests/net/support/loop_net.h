// A world for tests of net/: one scheduler, a clock that is a number, and byte streams in memory, with
// knobs for what streams do to people: a byte at a time, a full pipe, a peer that is half dead. The
// simulator's network does all of this by seed; here a test says which of it happens, and when.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail::test {

class LoopScheduler final : public Scheduler {
 public:
  explicit LoopScheduler(uint64_t seed) : random_(seed), shuffled_(seed != 0) {}

 protected:
  size_t pick(size_t count) override { return shuffled_ ? random_.below(count) : 0; }

 private:
  CounterRandom random_;
  bool shuffled_;
};

struct LoopPipe {
  std::string data;
  size_t capacity = 1_MiB;
  bool ended = false;      ///< By the writer's close.
  bool abandoned = false;  ///< By the reader's close.
  bool frozen = false;     ///< What is written stays on the way for ever: a peer that lost its power.
  WaitQueue readable;
  WaitQueue writable;
};

class LoopNet;

class LoopConnection final : public Connection {
 public:
  LoopConnection(LoopNet& net, std::shared_ptr<LoopPipe> in, std::shared_ptr<LoopPipe> out, Endpoint local,
                 Endpoint peer);
  ~LoopConnection() override;
  Result<size_t> read(Task& task, MutableBytes into, Instant deadline) override;
  Result<> write(Task& task, std::span<const Slice> parts, Instant deadline) override;
  using Connection::write;
  Result<> send_file(Task&, File&, uint64_t, uint64_t, Instant) override { return fail(Errc::kUnsupported); }
  void close() override;
  Endpoint peer() const override { return peer_; }
  Endpoint local() const override { return local_; }

 private:
  LoopNet& net_;
  std::shared_ptr<LoopPipe> in_;
  std::shared_ptr<LoopPipe> out_;
  Endpoint local_;
  Endpoint peer_;
  bool closed_ = false;
};

class LoopNet final : public Net {
 public:
  Result<std::unique_ptr<Listener>> listen(Task& task, const Endpoint& at) override;
  Result<std::unique_ptr<Connection>> connect(Task& task, const Endpoint& to, Instant deadline) override;

  /// From now on no byte arrives anywhere and no connection is made, and nobody is told.
  void freeze();
  void thaw() { frozen_ = false; }
  /// Resets every connection.
  void break_all();

  size_t read_max = SIZE_MAX;         ///< Bytes that one read gives at most.
  size_t pipe_capacity = 1_MiB;       ///< Of connections made from now on.
  Errc accept_error = Errc::kClosed;  ///< kUnavailable: the next accept fails so, once.
  uint64_t writes = 0;                ///< Calls of write() so far.
  uint64_t reads = 0;
  uint64_t dials = 0;
  size_t read_room = 0;               ///< What the last read was given.
  int open_ends = 0;                  ///< Connections alive, both ends counted.

 private:
  friend class LoopConnection;
  friend class LoopListener;
  struct Accepting {
    std::vector<std::unique_ptr<Connection>> ready;
    WaitQueue arrived;
    bool closed = false;
  };
  std::map<uint16_t, std::shared_ptr<Accepting>> listening_;
  std::vector<std::weak_ptr<LoopPipe>> pipes_;
  uint16_t next_port_ = 40000;
  bool frozen_ = false;
};

class LoopLog final : public Logger {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel level, std::string_view component, std::string_view line) override {
    if (level >= LogLevel::kWarn) lines.push_back(std::string(component) + ": " + std::string(line));
  }
  std::vector<std::string> lines;  ///< Warnings and errors.
};

class LoopRuntime final : public Runtime {
 public:
  /// Seed 0 runs fibers in the order in which they became ready; any other seed draws.
  explicit LoopRuntime(uint64_t seed = 0)
      : Runtime(scheduler_), scheduler_(seed), random_(seed + 1) {}
  ~LoopRuntime() override { scheduler_.unwind_all(); }

  Instant now() const override { return clock_; }
  Instant fine_now() override { return clock_; }
  WallTime wall_now() const override { return {clock_.ns / 1'000'000}; }
  Random& random() override { return random_; }
  Disk& disk() override { CHECK(false, "no disk here"); std::abort(); }
  LoopNet& net() override { return net_; }
  LoopLog& log() override { return log_; }
  ShardId shard() const override { return ShardId{0}; }
  uint32_t shard_count() const override { return 1; }
  void post(ShardId, std::move_only_function<void()> message) override { message(); }
  void stop_node(std::string_view) override {}
  bool fault_point(std::string_view) override { return false; }

  /// Runs what is ready, without moving the clock.
  void settle();
  /// Moves the clock by `duration`, stopping at every deadline on the way.
  void run_for(Duration duration);
  /// Until `done` holds, for at most `limit`; false if it does not.
  bool run_until(const std::function<bool()>& done, Duration limit = 60_s);
  /// Runs `body` in a fiber of the test until it ends; it must within a simulated hour.
  void run(std::function<void(Task&)> body);
  /// Starts a fiber of the test.
  void start(std::function<void(Task&)> body) { spawn(scope_, "test", std::move(body)); }
  size_t fiber_count() const { return scheduler_.fiber_count(); }
  LoopScheduler& loop() { return scheduler_; }

 private:
  LoopScheduler scheduler_;
  Instant clock_{1'000'000'000};
  CounterRandom random_;
  LoopNet net_;
  LoopLog log_;
  Scope scope_;
};

}  // namespace taffrail::test
