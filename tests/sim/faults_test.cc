// Goal: a profile gives a list of faults within its budget, the list survives print and parse, and the
// nemesis does to the world what each line says and undoes it in time. Method: expansion over seeds;
// single faults against a small cluster; a register replicated by majority that must survive all of it.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/sync.h"
#include "sim/nemesis.h"

namespace taffrail::sim {
namespace {

std::vector<Fault> expanded(const Profile& profile, uint64_t seed) {
  Engine engine(seed);
  return expand(profile, engine.tape);
}

TEST(Faults, PrintAndParseAreInverse) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto faults = expanded({.run = RunKind::kAny, .brokers = 5, .clients = 2}, seed);
    const Result<std::vector<Fault>> parsed = parse_faults(print_faults(faults));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().text();
    EXPECT_EQ(*parsed, faults);
  }
  const auto edited = parse_faults("# a story\n\nfault 2 one_way nodes=1,3 at=1500ms for=2s\n");
  ASSERT_TRUE(edited.has_value());
  EXPECT_EQ((*edited)[0].text(), "fault 2 one_way nodes=1,3 at=1500ms for=2s");
}

TEST(Faults, WhatIsNotALineIsRefusedByNumber) {
  for (const char* bad : {"fault", "fault x kill nodes=1 at=0s", "fault 1 sneeze nodes=1 at=0s", "fault 1 kill at=0s",
                          "fault 1 kill nodes=0 at=0s", "fault 1 kill nodes=1 at=5", "fault 1 kill nodes=1 when=0s",
                          "fault 1 one_way nodes=1 at=0s", "fault 1 kill nodes=1 at=99999999999s"}) {
    const auto got = parse_faults(std::string("# first\n") + bad);
    ASSERT_FALSE(got.has_value()) << bad;
    EXPECT_NE(got.error().message.find("line 2"), std::string::npos);
  }
}

TEST(Faults, ASurvivableRunDamagesAMinorityOfDisks) {
  std::set<FaultKind> seen;
  size_t without_kills = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Profile profile{.run = RunKind::kSurvivable, .brokers = 5, .clients = 1};
    std::set<uint32_t> damaged;
    bool kills = false;
    for (const Fault& fault : expanded(profile, seed)) {
      seen.insert(fault.kind);
      kills = kills || fault.kind == FaultKind::kKill;
      EXPECT_LE(fault.at, profile.heal_at);
      if (Profile::damages(fault.kind)) damaged.insert(fault.nodes.at(0));
    }
    EXPECT_LE(damaged.size(), 2u);
    without_kills += kills ? 0 : 1;
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(FaultKind::kHealCore) + 2) << "every kind but heal_core, and what an operator does";
  EXPECT_GT(without_kills, 150u) << "swarm: most runs lack most kinds";
}

// Some of them strike at another time, and that is all.
TEST(Faults, WhatAnOperatorDoesChangesNoFault) {
  std::set<FaultKind> seen;
  size_t of_four = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Profile profile{.run = RunKind::kSurvivable, .brokers = 5, .replicas = 3, .clients = 1};
    const auto timeless = [](std::vector<Fault> faults) {
      for (Fault& fault : faults) fault.at = Instant{};
      std::ranges::sort(faults, {}, &Fault::id);
      return faults;
    };
    const std::vector<Fault> before = expanded(profile, seed);
    Trace unused;
    Tape tape(seed, unused);
    std::vector<Fault> after = expand(profile, tape);
    add_changes(profile, 3, tape, after);
    EXPECT_EQ(after.back().kind, FaultKind::kHeal);
    EXPECT_GT(after.size(), before.size());
    std::erase_if(after, [&](const Fault& f) {
      const bool change = f.kind == FaultKind::kMove || f.kind == FaultKind::kElect || f.kind == FaultKind::kRetire;
      if (change) seen.insert(f.kind);
      EXPECT_TRUE(!change || (f.amount >= 0 && f.amount < 3));
      EXPECT_LT(f.at, f.kind == FaultKind::kHeal ? Instant::never() : profile.heal_at);
      const size_t to = std::set<uint32_t>(f.nodes.begin(), f.nodes.end()).size();
      EXPECT_TRUE(f.kind != FaultKind::kMove || to == 3 || to == 4) << to;
      of_four += f.kind == FaultKind::kMove && to == 4 ? 1 : 0;
      return change;
    });
    EXPECT_EQ(timeless(after), timeless(before));
  }
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_GT(of_four, 10u);
}

TEST(Faults, ARunOfAnyFaultsMayDamageThemAll) {
  size_t most = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::set<uint32_t> damaged;
    for (const Fault& fault : expanded({.run = RunKind::kAny, .faults_max = 60}, seed))
      if (Profile::damages(fault.kind)) damaged.insert(fault.nodes.at(0));
    most = std::max(most, damaged.size());
  }
  EXPECT_EQ(most, 3u);
}

TEST(Faults, ALivenessRunEndsWithAMajorityHealed) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto faults = expanded({.run = RunKind::kLiveness, .brokers = 5}, seed);
    EXPECT_EQ(faults.back().kind, FaultKind::kHealCore);
    EXPECT_GE(faults.back().nodes.size(), 3u);
  }
}

class Cluster : public testing::Test {
 protected:
  void release(std::string_view scenario) {
    const auto faults = parse_faults(scenario);
    ASSERT_TRUE(faults.has_value()) << faults.error().text();
    for (int i = 0; i < 3; ++i) {
      nodes.push_back(world.add_node());
      world.start(nodes.back(), [](Runtime& rt) -> std::shared_ptr<void> {
        // Something to fail: a sync every 10 ms.
        auto scope = std::make_shared<Scope>();
        rt.spawn(*scope, "writer", [&rt](Task& task) {
          for (;;) {
            if (!replace_file(task, rt.disk(), "f", as_bytes("x")) && !task.cancelled()) rt.stop_node("the disk failed");
            if (!rt.sleep_for(task, 10_ms)) return;
          }
        });
        return scope;
      });
    }
    nemesis = std::make_unique<Nemesis>(world, nodes, *faults, Nemesis::Options{});
    nemesis->release();
  }
  World world{1};
  std::vector<NodeId> nodes;
  std::unique_ptr<Nemesis> nemesis;
};

TEST_F(Cluster, ANodeThatWasKilledComesBackInTime) {
  release("fault 1 kill nodes=2 at=1s for=2s\nfault 2 power_cut nodes=2 at=2s for=3s\n");
  world.run_for(1500_ms);
  EXPECT_FALSE(world.up(nodes[1]));
  world.run_for(3_s);
  EXPECT_FALSE(world.up(nodes[1])) << "the second fault still holds it down";
  world.run_for(1_s);
  EXPECT_TRUE(world.up(nodes[1]));
  EXPECT_EQ(nemesis->took_effect(FaultKind::kKill), 1u);
  EXPECT_EQ(nemesis->took_effect(FaultKind::kPowerCut), 0u) << "it had no process to lose";
}

TEST_F(Cluster, PartitionsBlockWhatTheySayAndEnd) {
  release("fault 1 bridge nodes=1,2 at=1s for=1s\nfault 2 one_way nodes=3,1 at=3s for=1s\nfault 3 isolate nodes=2 at=5s for=1s\n");
  const auto blocked = [&] {
    std::string out;
    for (uint32_t a = 0; a < 3; ++a)
      for (uint32_t b = 0; b < 3; ++b)
        if (world.net().blocked(a, b)) out += fmt::format("{}{} ", a + 1, b + 1);
    return out;
  };
  world.run_for(1500_ms);
  EXPECT_EQ(blocked(), "23 32 ");
  world.run_for(1_s);
  EXPECT_EQ(blocked(), "");
  world.run_for(1_s);
  EXPECT_EQ(blocked(), "31 ");
  world.run_for(2_s);
  EXPECT_EQ(blocked(), "12 21 23 32 ");
  world.run_for(1_s);
  EXPECT_EQ(blocked(), "");
}

TEST_F(Cluster, AProcessThatStopsOverItsDiskIsStartedAgain) {
  release("fault 1 sync_fail nodes=1 amount=1 at=1s\nfault 2 disk_slow nodes=2 at=1s for=1s amount=50\n");
  world.run_for(10_s);
  EXPECT_EQ(world.stops().size(), 1u);
  EXPECT_EQ(world.incarnation(nodes[0]), 2u);
  EXPECT_TRUE(world.up(nodes[0]));
  EXPECT_EQ(nemesis->took_effect(FaultKind::kSyncFail), 1u);
  EXPECT_GT(nemesis->took_effect(FaultKind::kDiskSlow), 0u);
  EXPECT_EQ(nemesis->summary().find("kill"), std::string::npos);
}

TEST_F(Cluster, WhoseFileIsTakenIsDownMeanwhile) {
  release("fault 1 delete nodes=1 at=1s for=1s\nfault 2 truncate nodes=2 at=1s for=1s\n");
  world.run_for(1500_ms);
  EXPECT_FALSE(world.up(nodes[0]));
  EXPECT_FALSE(world.up(nodes[1]));
  EXPECT_TRUE(world.disk(nodes[0]).image().files().empty());
  world.run_for(1_s);
  EXPECT_TRUE(world.up(nodes[0]));
  EXPECT_TRUE(world.up(nodes[1]));
  EXPECT_EQ(nemesis->took_effect(FaultKind::kDelete), 1u);
  EXPECT_EQ(nemesis->took_effect(FaultKind::kTruncate), 1u);
}

TEST_F(Cluster, AHealedCoreRunsAndTheOthersMayBeGone) {
  release("fault 1 power_cut_all at=1s\nfault 2 split nodes=1 at=1s for=9s\nfault 3 heal_core nodes=1,2 at=5s amount=1\n");
  world.run_for(4_s);
  for (const NodeId node : nodes) EXPECT_FALSE(world.up(node));
  world.run_for(10_s);
  EXPECT_TRUE(nemesis->healed());
  EXPECT_EQ(nemesis->core(), (std::vector<NodeId>{nodes[0], nodes[1]}));
  EXPECT_TRUE(world.up(nodes[0]));
  EXPECT_TRUE(world.up(nodes[1]));
  EXPECT_FALSE(world.up(nodes[2]));
  EXPECT_FALSE(world.net().blocked(0, 1));
}

TEST_F(Cluster, ARestartStormKillsAgainAndAgain) {
  release("fault 1 restart_storm nodes=1 at=1s for=100ms amount=5\n");
  world.run_for(3_s);
  EXPECT_EQ(nemesis->took_effect(FaultKind::kRestartStorm), 5u);
  EXPECT_EQ(world.incarnation(nodes[0]), 6u);
}

// --- A toy that must survive -----------------------------------------------------------------------

// A counter that only grows, kept on each of three disks; a writer raises it on a majority, synced.
class Register {
 public:
  explicit Register(Runtime& rt) : rt_(rt) {
    rt.spawn(scope_, "register", [this](Task& task) { (void)serve(task); });
  }

 private:
  Result<> serve(Task& task) {
    // What is read may be in the page cache only: made durable before anybody is told.
    const auto old = read_file(task, rt_.disk(), "value", 100);
    if (!old && old.error().code != Errc::kNotFound) return stop();
    if (old) value_ = static_cast<uint8_t>((*old)[0]);
    if (!store(task)) return stop();
    const auto listener = TRY(rt_.net().listen(task, {"", 9000}));
    for (;;) {
      std::shared_ptr<Connection> c = TRY(listener->accept(task));
      rt_.spawn(scope_, "peer", [this, c](Task& inner) { (void)talk(inner, *c); });
    }
  }
  Result<> talk(Task& task, Connection& c) {
    for (;;) {
      uint8_t asked = 0;
      if (TRY(c.read(task, {&asked, 1})) == 0) return {};
      {
        // Held across the write: an answer speaks of what is on the disk.
        const auto lock = TRY(mutex_.lock(task));
        if (asked > value_) {
          value_ = asked;
          if (!store(task)) return stop();
        }
      }
      TRY(c.write(task, Slice(ByteView(&value_, 1))));
    }
  }
  Result<> store(Task& task) { return replace_file(task, rt_.disk(), "value", ByteView(&value_, 1)); }
  Result<> stop() {
    rt_.stop_node("the disk failed");
    return fail(Errc::kIo);
  }
  Runtime& rt_;
  uint8_t value_ = 0;
  Mutex mutex_;
  Scope scope_;
};

Result<uint8_t> tell(Task& task, Runtime& rt, size_t node, uint8_t value) {
  const auto c = TRY(rt.net().connect(task, {fmt::format("n{}", node + 1), 9000}, rt.now() + 300_ms));
  TRY(c->write(task, Slice(ByteView(&value, 1)), rt.now() + 300_ms));
  uint8_t back = 0;
  if (TRY(c->read(task, {&back, 1}, rt.now() + 300_ms)) == 0) return fail(Errc::kClosed);
  return back;
}

struct Toy {
  uint8_t acknowledged = 0;
  uint8_t read_back = 0;
  uint64_t events = 0;
  Hash128 hash;
  std::string effects;
};

Toy toy_run(uint64_t seed) {
  const auto world = World::drawn(seed);
  std::vector<NodeId> machines;
  for (int i = 0; i < 3; ++i) {
    machines.push_back(world->add_node());
    world->start(machines.back(), [](Runtime& rt) { return std::make_shared<Register>(rt); });
  }
  const NodeId client = world->add_node();
  machines.push_back(client);
  world->start(client);
  Profile profile{.brokers = 3, .clients = 1, .heal_at = Instant{} + 10_s};
  profile.damage = false;  // A toy: it has no answer to a wiped disk.
  Nemesis nemesis(*world, machines, expand(profile, world->tape()), {.brokers = 3});
  nemesis.release();

  Toy toy;
  world->spawn(client, "writer", [&](Task& task, Runtime& rt) {
    for (uint8_t next = 1; next < 200; ++next) {
      int yes = 0;
      for (size_t node = 0; node < 3; ++node) yes += tell(task, rt, node, next).has_value() ? 1 : 0;
      if (yes >= 2) toy.acknowledged = next;
      (void)rt.sleep_for(task, 40_ms);
    }
  });
  world->run_for(10_s);
  world->power_cut_all();
  for (const NodeId machine : machines) world->restart(machine);
  world->run_for(10_s);
  world->run_fiber(client, [&](Task& task, Runtime& rt) {
    for (size_t node = 0; node < 3; ++node) toy.read_back = std::max(toy.read_back, tell(task, rt, node, 0).value_or(0));
  });
  EXPECT_FALSE(world->failure().has_value()) << *world->failure();
  toy.events = world->events();
  toy.hash = world->hash();
  toy.effects = nemesis.summary();
  return toy;
}

// Sanitizers make a run twenty times as slow; what they look for shows in fewer of them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TAFFRAIL_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TAFFRAIL_SLOW 1
#endif
#endif
#ifdef TAFFRAIL_SLOW
constexpr uint64_t kRuns = 100;
#else
constexpr uint64_t kRuns = 1000;
#endif

TEST(Toy, WhatAMajoritySyncedSurvivesAThousandSeeds) {
  uint64_t events = 0;
  uint64_t acknowledged = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    const Toy toy = toy_run(seed);
    ASSERT_GE(toy.read_back, toy.acknowledged) << "seed " << seed << ": " << toy.effects;
    events += toy.events;
    acknowledged += toy.acknowledged;
  }
  EXPECT_GT(acknowledged, 50 * kRuns) << "no empty runs";
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("  %d runs of 20 s: %.2f ms each, %.2f M events/s, %.0fx real time\n", static_cast<int>(kRuns),
              seconds * 1000 / kRuns, static_cast<double>(events) / seconds / 1e6, 20.0 * kRuns / seconds);
}

// The line it prints is the same for every compiler, level and sanitizer: a matrix of builds compares it.
TEST(Toy, TheSameSeedAlwaysTakesTheSamePath) {
  uint64_t all = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Hash128 hash = toy_run(seed).hash;
    EXPECT_EQ(toy_run(seed).hash, hash) << seed;
    all = mix64(mix64(all, hash.high), hash.low);
  }
  std::printf("  the path of 30 seeds: %016llx\n", static_cast<unsigned long long>(all));
}

TEST(Bench, EventsOfABareWorld) {
  World world(1);
  const NodeId node = world.add_node();
  world.start(node);
  for (int i = 0; i < 10; ++i) {
    world.spawn(node, "sleeper", [](Task& task, Runtime& rt) {
      while (rt.sleep_for(task, 50_us)) {
      }
    });
  }
  const auto begin = std::chrono::steady_clock::now();
  world.run_for(5_s);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("  a bare world: %.2f M events/s\n", static_cast<double>(world.events()) / seconds / 1e6);
  EXPECT_GT(world.events(), 100'000u);
}

}  // namespace
}  // namespace taffrail::sim
