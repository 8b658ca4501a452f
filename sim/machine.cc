#include "sim/machine.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "sim/world.h"

namespace taffrail::sim {
namespace {

MachineClock clock_for(Engine& engine, const ClockKnobs& knobs, uint32_t node) {
  Stream& s = engine.tape.stream({.kind = StreamKind::kClock, .a = node});
  const auto ppm = static_cast<int32_t>(s.draw_between(-knobs.drift_ppm_max, knobs.drift_ppm_max, "drift"));
  const int64_t start = s.draw_between(1, 1'000'000'000'000, "monotonic start");
  const int64_t off = s.draw_between(-knobs.wall_offset_max.ns, knobs.wall_offset_max.ns, "wall offset");
  return MachineClock(Instant{start}, knobs.wall_start.ms * 1'000'000 + off, ppm);
}

}  // namespace

class Machine::NodeScheduler final : public Scheduler {
 public:
  NodeScheduler(Machine& node, Shard& s, Stream& d) : Scheduler(node.world.stacks_), node_(node), shard_(s), draws_(d) {}

 protected:
  size_t pick(size_t count) override { return draws_.draw(count, "which fiber"); }
  void on_ready() override;

 private:
  Machine& node_;
  Shard& shard_;
  Stream& draws_;
};

class Machine::NodeLogger final : public Logger {
 public:
  explicit NodeLogger(Machine& node) : node_(node) {}
  bool enabled(LogLevel level) const override {
    return node_.world.engine_.trace.telling() || (node_.errors_fail && level == LogLevel::kError);
  }
  void write(LogLevel level, std::string_view component, std::string_view line) override {
    constexpr const char* kNames[] = {"debug", "info", "warn", "error"};
    node_.world.engine_.trace.tell(
        static_cast<int32_t>(node_.number),
        fmt::format("{} {}: {}", kNames[static_cast<size_t>(level)], component, escaped(line, 1024)));
    if (node_.errors_fail && level == LogLevel::kError) node_.world.fail_run(fmt::format("I-N1 answers in order: {} was told what it cannot take: {}", node_.name, line));
  }

 private:
  Machine& node_;
};

class Machine::NodeRuntime final : public Runtime {
 public:
  NodeRuntime(Machine& node, uint32_t of, Scheduler& s)
      : Runtime(s), node_(node), shard_(of),
        random_(node.world.engine_.tape.stream({.kind = StreamKind::kNode, .a = node.number, .b = of})) {}

  Instant now() const override { return node_.clock.mono(node_.world.now()); }
  Instant fine_now() override;
  WallTime wall_now() const override { return node_.clock.wall(node_.world.now()); }
  Random& random() override { return random_; }
  Disk& disk() override { return *node_.disks[shard_ % node_.disks.size()]; }
  Net& net() override { return node_.world.net_.of(node_.number, shard_); }
  Logger& log() override { return *node_.logger_; }
  ShardId shard() const override { return ShardId{shard_}; }
  uint32_t shard_count() const override { return node_.shard_count; }
  uint32_t directory_count() const override { return static_cast<uint32_t>(node_.disks.size()); }
  void post(ShardId to, std::move_only_function<void()> message) override {
    node_.post(shard_, to.value, std::move(message));
  }
  void stop_node(std::string_view why) override { node_.request_stop(why); }
  bool fault_point(std::string_view point) override { return node_.world.fault_point(point); }

 private:
  Machine& node_;
  uint32_t shard_;
  Stream& random_;
};

struct Machine::Shard {
  Shard(Machine& node, uint32_t n, Stream& d)
      : number(n), draws(d), scheduler(node, *this, d), runtime(node, n, scheduler), letters(node.shard_count),
        last_letter(node.shard_count) {}

  uint32_t number;
  Stream& draws;
  bool dying = false;
  bool stepping = false;
  Instant step_at = Instant::never();   // Of the step event that counts; others are stale.
  Instant timer_at = Instant::never();  // Of the timer event that counts.
  Instant busy_until{};
  Duration looked{};                    // What looks at the clock took of this turn.
  NodeScheduler scheduler;
  NodeRuntime runtime;
  // On their way, by sender: messages between two shards keep their order.
  std::vector<std::deque<std::move_only_function<void()>>> letters;
  std::vector<Instant> last_letter;
  std::deque<std::move_only_function<void()>> mail;  // Arrived.
  std::shared_ptr<void> holder;
  Scope scope;
};

// Time stands while a turn runs. But for who looks at its clock: each look takes as long as the shortest turn, and the
// turn that much longer.
Instant Machine::NodeRuntime::fine_now() {
  Shard& shard = *node_.shards_[shard_];
  shard.looked = shard.looked + node_.world.knobs_.cpu.slice.base * node_.slow_factor;
  return node_.clock.mono(node_.world.now() + shard.looked);
}

void Machine::NodeScheduler::on_ready() {
  if (!shard_.stepping) node_.wake(shard_, node_.world.now());
}

Machine::Machine(World& w, uint32_t n, std::string node_name, uint32_t shards, uint32_t disk_count, const DiskKnobs& disk_knobs)
    : EventSink(0x30000 + n), world(w), number(n), name(std::move(node_name)), shard_count(std::max(1u, shards)),
      next_shard_count(shard_count),
      clock(clock_for(w.engine_, w.knobs_.clock, n)), logger_(std::make_unique<NodeLogger>(*this)) {
  for (uint32_t i = 0; i < std::max(1u, disk_count); ++i) disks.push_back(std::make_unique<SimDisk>(w.engine_, disk_knobs, n, i));
}

Machine::~Machine() { CHECK(shards_.empty(), "a node dies before its world"); }

// A step or timer event: shard in the high half, its time in b. A letter: sender below the shard.
// The incarnation is in all of them: what was meant for an earlier process finds nobody.
void Machine::push(Instant at, What what, uint32_t shard, uint64_t arg) {
  const uint64_t place = static_cast<uint64_t>(what) << 56 | static_cast<uint64_t>(shard) << 40 | incarnation;
  world.engine_.push(at, *this, place, arg);
}

void Machine::wake(Shard& shard, Instant at) {
  if (shard.dying || state == NodeState::kPaused) return;
  at = std::max(at, shard.busy_until);
  if (shard.step_at <= at) return;
  shard.step_at = at;
  push(at, What::kStep, shard.number, static_cast<uint64_t>(at.ns));
}

void Machine::wake_for_timers(Shard& shard) {
  const Instant deadline = shard.scheduler.next_deadline();
  if (deadline == Instant::never() || state == NodeState::kPaused) return;
  const Instant at = std::max(clock.world_at(deadline), world.now());
  if (shard.timer_at <= at) return;
  shard.timer_at = at;
  push(at, What::kTimer, shard.number, static_cast<uint64_t>(at.ns));
}

void Machine::on_event(uint64_t a, uint64_t b) {
  if ((a & ((1ULL << 40) - 1)) != incarnation || shards_.empty()) return;
  Shard& shard = *shards_[(a >> 40) & 0xffff];
  switch (static_cast<What>(a >> 56)) {
    case What::kStep:
      if (shard.step_at != Instant{static_cast<int64_t>(b)}) return;
      shard.step_at = Instant::never();
      if (state == NodeState::kUp) run_slice(shard);
      return;
    case What::kTimer:
      if (shard.timer_at != Instant{static_cast<int64_t>(b)}) return;
      shard.timer_at = Instant::never();
      if (state != NodeState::kUp) return;
      if (clock.mono(world.now()) >= shard.scheduler.next_deadline()) wake(shard, world.now());
      else wake_for_timers(shard);
      return;
    case What::kMail:
      shard.mail.push_back(std::move(shard.letters[b].front()));
      shard.letters[b].pop_front();
      wake(shard, world.now());
      return;
  }
}

void Machine::run_slice(Shard& shard) {
  const CpuKnobs& cpu = world.knobs_.cpu;
  shard.stepping = true;
  shard.looked = {};
  world.in_slice_ = true;
  shard.scheduler.fire_timers(clock.mono(world.now()));
  const bool ready = shard.scheduler.has_ready();
  bool ran = true;
  if (!shard.mail.empty() && (!ready || shard.draws.draw(2, "a message or a fiber") == 0)) {
    std::move_only_function<void()> message = std::move(shard.mail.front());
    shard.mail.pop_front();
    message();
  } else {
    ran = shard.scheduler.run_one();
  }
  world.in_slice_ = false;
  shard.stepping = false;
  if (ran) {
    ++slices;
    const Duration cost{cpu.slice.base.ns + shard.draws.draw_between(0, cpu.slice.jitter.ns, "what a turn costs")};
    shard.busy_until = world.now() + cost * slow_factor + shard.looked;
  }
  if (shard.scheduler.has_ready() || !shard.mail.empty()) wake(shard, world.now());
  wake_for_timers(shard);
}

void Machine::start() {
  CHECK(state == NodeState::kDown, "one process at a time");
  ++incarnation;
  shard_count = next_shard_count;
  stop_requested = false;
  for (const auto& disk : disks) disk->process_started();
  world.net_.process_started(number);
  state = NodeState::kUp;
  for (uint32_t i = 0; i < shard_count; ++i) {
    Stream& draws = world.engine_.tape.stream({.kind = StreamKind::kScheduler, .a = number, .b = i});
    shards_.push_back(std::make_unique<Shard>(*this, i, draws));
  }
  world.engine_.trace.add(TraceKind::kNode, number, 1, incarnation);
  if (world.engine_.trace.telling()) world.engine_.trace.tell(static_cast<int32_t>(number), "started");
  if (!main) return;
  for (const auto& shard : shards_) shard->holder = main(shard->runtime);
}

void Machine::die(Death how) {
  if (state == NodeState::kDown) return;
  state = NodeState::kDown;
  for (const auto& shard : shards_) shard->dying = true;
  // The world first: whatever the unwinding destroys finds nothing that it could still reach.
  for (const auto& disk : disks) disk->process_died();
  if (how == Death::kPower) world.net_.power_cut(number);
  else world.net_.process_died(number);
  for (size_t i = shards_.size(); i-- > 0;) shards_[i]->scheduler.unwind_all();
  for (size_t i = shards_.size(); i-- > 0;) {
    shards_[i]->mail.clear();
    shards_[i]->letters.clear();
  }
  for (size_t i = shards_.size(); i-- > 0;) shards_[i]->holder.reset();
  shards_.clear();
  if (how == Death::kPower)
    for (const auto& disk : disks) disk->power_cut();
  world.engine_.trace.add(TraceKind::kNode, number, how == Death::kPower ? 3 : 2, incarnation);
  if (world.engine_.trace.telling())
    world.engine_.trace.tell(static_cast<int32_t>(number), how == Death::kPower ? "lost power" : "died");
}

void Machine::pause() {
  if (state != NodeState::kUp) return;
  state = NodeState::kPaused;
  world.engine_.trace.add(TraceKind::kNode, number, 4, incarnation);
}

void Machine::resume() {
  if (state != NodeState::kPaused) return;
  state = NodeState::kUp;
  world.engine_.trace.add(TraceKind::kNode, number, 5, incarnation);
  for (const auto& shard : shards_) {
    shard->step_at = shard->timer_at = Instant::never();
    wake(*shard, world.now());
  }
}

void Machine::set_drift(int32_t ppm) {
  clock.set_drift(world.now(), ppm);
  for (const auto& shard : shards_) {
    shard->timer_at = Instant::never();
    wake_for_timers(*shard);
  }
}

void Machine::post(uint32_t from, uint32_t to, std::move_only_function<void()> message) {
  if (shards_.empty() || shards_[to]->dying) return;
  Shard& target = *shards_[to];
  const Delay& delay = world.knobs_.cpu.post;
  const Duration wait{delay.base.ns + shards_[from]->draws.draw_between(0, delay.jitter.ns, "a message takes")};
  const Instant at = std::max(world.now() + wait, target.last_letter[from] + 1_ns);
  target.last_letter[from] = at;
  target.letters[from].push_back(std::move(message));
  push(at, What::kMail, to, from);
}

void Machine::request_stop(std::string_view why) {
  if (stop_requested || shards_.empty()) return;
  stop_requested = true;
  stop_reason = why;
  world.stop_pending_ = true;
  for (const auto& disk : disks) disk->cut_off();
  world.net_.cut_off(number);
}

void Machine::spawn(uint32_t shard, std::string fiber, std::function<void(Task&, Runtime&)> body) {
  CHECK(state != NodeState::kDown, "fibers run in a process");
  Shard& s = *shards_[shard];
  s.scheduler.spawn(s.scope, std::move(fiber),
                    [&runtime = s.runtime, run = std::move(body)](Task& task) { run(task, runtime); });
}

Runtime& Machine::runtime(uint32_t shard) {
  CHECK(shard < shards_.size(), "the node is up, and has that shard");
  return shards_[shard]->runtime;
}

}  // namespace taffrail::sim
