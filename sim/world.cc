#include "sim/world.h"

#include <fmt/core.h>

#include <cstdio>
#include <utility>

#include "base/check.h"

namespace taffrail::sim {
namespace {

// Which world a failing CHECK happened in. Set while one runs; a thread runs one at a time.
thread_local World* running_world = nullptr;
CheckHook hook_before = nullptr;

void print_with_seed(std::string_view message) {
  std::string text(message);
  if (const World* world = running_world; world != nullptr)
    text += fmt::format("  in a simulated world, {} ns after its start, event {}\n  replay: {}\n", world->now().ns,
                        world->events(), world->replay_token());
  if (hook_before != nullptr) hook_before(text);
  else std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

/// While it lives, a failing CHECK tells which world it happened in.
class World::Running {
 public:
  explicit Running(World& world) : outer_(std::exchange(running_world, &world)) {
    if (outer_ != nullptr) return;
    hook_before = set_check_hook(print_with_seed);
  }
  ~Running() {
    running_world = outer_;
    if (outer_ == nullptr) set_check_hook(hook_before);
  }

 private:
  World* outer_;
};

/// Functions to call at a time, for the few events that are not worth a kind of their own.
class World::Calls final : public EventSink {
 public:
  explicit Calls(Engine& engine) : EventSink(0x1), engine_(engine) {}
  void add(Instant at, std::function<void()> call) {
    const uint64_t id = next_++;
    waiting_.emplace(id, std::move(call));
    engine_.push(at, *this, id, 0);
  }
  void on_event(uint64_t id, uint64_t) override {
    auto node = waiting_.extract(id);
    node.mapped()();
  }

 private:
  Engine& engine_;
  uint64_t next_ = 1;
  std::map<uint64_t, std::function<void()>> waiting_;
};

World::World(uint64_t seed, const Knobs& knobs, std::shared_ptr<StackPool> stacks)
    : stacks_(stacks ? std::move(stacks) : std::make_shared<StackPool>(StackPool::default_stack_size())),
      engine_(seed), knobs_(knobs), net_(engine_, knobs_.net), calls_(std::make_unique<Calls>(engine_)),
      replay_token_(fmt::format("seed {}", seed)) {}

std::unique_ptr<World> World::drawn(uint64_t seed, std::shared_ptr<StackPool> stacks) {
  // The knobs are drawn on a tape of their own with the same seed: streams do not touch each other.
  Engine first(seed);
  return std::make_unique<World>(seed, Knobs::drawn(first.tape), std::move(stacks));
}

World::~World() {
  const Running here(*this);
  for (size_t i = nodes_.size(); i-- > 0;) nodes_[i]->die(Machine::Death::kProcess);
}

bool World::step() {
  if (failure_) return false;
  if (!engine_.run_one()) return false;
  settle();
  if (engine_.events_at_this_instant() > knobs_.events_per_instant_max)
    fail_run(fmt::format("livelock: {} events at {} ns and time does not move", engine_.events_at_this_instant(),
                         now().ns));
  if (engine_.events() > knobs_.events_max) fail_run(fmt::format("{} events and no end", engine_.events()));
  return true;
}

// What a slice asked for and could not be done while it ran.
void World::settle() {
  if (!stop_pending_) return;
  stop_pending_ = false;
  for (const auto& node : nodes_) {
    if (!node->stop_requested || node->state == NodeState::kDown) continue;
    stops_.push_back({NodeId{node->number}, now(), node->stop_reason});
    if (engine_.trace.telling())
      engine_.trace.tell(static_cast<int32_t>(node->number), fmt::format("stops: {}", node->stop_reason));
    node->die(Machine::Death::kProcess);
    if (on_stop_) on_stop_(NodeId{node->number});
  }
}

void World::run_to(Instant at) {
  const Running here(*this);
  settle();
  while (engine_.next_time() <= at)
    if (!step()) return;
  engine_.advance_to(at);
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Running here(*this);
  settle();
  const Instant end = now() + limit;
  for (;;) {
    if (done()) return true;
    if (engine_.next_time() > end || !step()) break;
  }
  if (!failure_ && engine_.next_time() > end) engine_.advance_to(end);
  return done();
}

void World::spawn(NodeId node, std::string fiber, std::function<void(Task&, Runtime&)> body) {
  nodes_[node.value]->spawn(0, std::move(fiber), std::move(body));
}

bool World::run_fiber(NodeId node, std::function<void(Task&, Runtime&)> body, Duration limit) {
  // On the heap: the fiber may outlive this call.
  const auto ended = std::make_shared<bool>(false);
  spawn(node, "run_fiber", [ended, run = std::move(body)](Task& task, Runtime& runtime) {
    run(task, runtime);
    *ended = true;
  });
  const uint64_t life = incarnation(node);
  run_until([&] { return *ended || !up(node) || incarnation(node) != life; }, limit);
  return *ended;
}

void World::at(Instant when, std::function<void()> what) { calls_->add(when, std::move(what)); }

bool World::defer(std::function<void()> call) {
  if (!in_slice_) return false;
  at(now(), std::move(call));
  return true;
}

NodeId World::add_node(NodeOptions options) {
  const auto number = node_count();
  if (options.name.empty()) options.name = fmt::format("n{}", number + 1);
  nodes_.push_back(std::make_unique<Machine>(*this, number, options.name, options.shards, options.disks,
                                          options.disk.value_or(knobs_.disk)));
  nodes_.back()->errors_fail = options.errors_fail;
  const uint32_t known = net_.add_node(options.name, nodes_.back()->clock);
  CHECK(known == number, "the network and the world number nodes alike");
  return NodeId{number};
}

void World::start(NodeId node, NodeMain main) {
  if (in_slice_) {
    at(now(), [this, node, m = std::move(main)] { start(node, m); });
    return;
  }
  const Running here(*this);
  nodes_[node.value]->main = std::move(main);
  nodes_[node.value]->start();
}

void World::restart(NodeId node) {
  if (defer([this, node] { restart(node); })) return;
  const Running here(*this);
  nodes_[node.value]->die(Machine::Death::kProcess);
  nodes_[node.value]->start();
}

void World::kill(NodeId node) {
  if (defer([this, node] { kill(node); })) return;
  const Running here(*this);
  nodes_[node.value]->die(Machine::Death::kProcess);
}

void World::power_cut(NodeId node) {
  if (defer([this, node] { power_cut(node); })) return;
  const Running here(*this);
  Machine& n = *nodes_[node.value];
  if (n.state != NodeState::kDown) {
    n.die(Machine::Death::kPower);
    return;
  }
  // The process is dead already; its page cache was still there.
  net_.power_cut(node.value);
  for (const auto& disk : n.disks) disk->power_cut();
  engine_.trace.add(TraceKind::kNode, n.number, 3, n.incarnation);
}

void World::power_cut_all() {
  for (uint32_t i = 0; i < node_count(); ++i) power_cut(NodeId{i});
}

void World::wipe(NodeId node, std::optional<uint32_t> which) {
  if (defer([this, node, which] { wipe(node, which); })) return;
  power_cut(node);
  for (uint32_t i = 0; i < disk_count(node); ++i) {
    if (which && *which != i) continue;
    disk(node, i).wipe();
    engine_.trace.add(TraceKind::kNode, node.value, 6, i);
  }
  if (engine_.trace.telling())
    engine_.trace.tell(static_cast<int32_t>(node.value), which ? fmt::format("disk {} wiped", *which) : std::string("disk wiped"));
}

void World::pause(NodeId node) { nodes_[node.value]->pause(); }
void World::resume(NodeId node) { nodes_[node.value]->resume(); }
void World::slow(NodeId node, uint32_t factor) { nodes_[node.value]->slow_factor = factor == 0 ? 1 : factor; }

void World::jump_clock(NodeId node, Duration by) {
  nodes_[node.value]->clock.jump_wall(by);
  engine_.trace.add(TraceKind::kClock, node.value, 1, static_cast<uint64_t>(by.ns));
}

void World::set_clock_drift(NodeId node, int32_t ppm) {
  nodes_[node.value]->set_drift(ppm);
  engine_.trace.add(TraceKind::kClock, node.value, 2, static_cast<uint64_t>(static_cast<int64_t>(ppm)));
}

void World::block(NodeId from, NodeId to) { net_.block(from.value, to.value); }
void World::unblock(NodeId from, NodeId to) { net_.unblock(from.value, to.value); }

void World::isolate(NodeId node) {
  for (uint32_t i = 0; i < node_count(); ++i) {
    if (i == node.value) continue;
    net_.block(node.value, i);
    net_.block(i, node.value);
  }
}

void World::heal() {
  if (defer([this] { heal(); })) return;
  net_.heal();
  for (const auto& node : nodes_) {
    for (const auto& disk : node->disks) disk->heal();
    node->slow_factor = 1;
    node->set_drift(0);
    node->resume();
  }
}

void World::fail_run(std::string why) {
  if (!failure_) failure_ = std::move(why);
}

bool World::fault_point(std::string_view point) {
  if (!knobs_.fault_points) return false;
  auto at = points_.find(point);
  if (at == points_.end()) {
    Stream& draws = engine_.tape.stream({.kind = StreamKind::kFaultPoint, .name = std::string(point)});
    const bool enabled = draws.hits(1, 4, "fault point is on");
    at = points_.emplace(std::string(point), FaultPoint{&draws, enabled}).first;
  }
  if (!at->second.enabled || !at->second.draws->hits(1, 4, "fault point fires")) return false;
  ++fired_[std::string(point)];
  return true;
}

}  // namespace taffrail::sim
