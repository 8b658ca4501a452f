// Goal: a world runs processes as world.h promises: fibers, shards, timers and messages in an order that
// the seed alone decides; processes die without a trace, and come back with what their disk kept.
// Method: small hand-written nodes; the trace hash says whether two runs took the same path.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "runtime/sync.h"
#include "sim/world.h"

namespace taffrail::sim {
namespace {

Slice text(std::string_view s) { return Slice(s); }

// Answers every line of four bytes with the same four bytes.
class EchoServer {
 public:
  explicit EchoServer(Runtime& runtime) : runtime_(runtime) {
    runtime.spawn(scope_, "echo/accept", [this](Task& task) { (void)serve(task); });
  }

 private:
  Result<> serve(Task& task) {
    const auto listener = TRY(runtime_.net().listen(task, {"", 9000}));
    for (;;) {
      std::shared_ptr<Connection> connection = TRY(listener->accept(task));
      runtime_.spawn(scope_, "echo/connection", [connection](Task& inner) {
        uint8_t buffer[64];
        for (;;) {
          const Result<size_t> got = connection->read(inner, buffer);
          if (!got || *got == 0) return;
          if (!connection->write(inner, Slice(ByteView(buffer, *got)))) return;
        }
      });
    }
  }
  Runtime& runtime_;
  Scope scope_;
};

NodeMain echo_main() {
  return [](Runtime& runtime) { return std::make_shared<EchoServer>(runtime); };
}

Result<std::string> ask(Task& task, Runtime& runtime, const std::string& host, std::string_view line) {
  const auto connection = TRY(runtime.net().connect(task, {host, 9000}, runtime.now() + 2_s));
  TRY(connection->write(task, text(line), runtime.now() + 2_s));
  std::string back;
  while (back.size() < line.size()) {
    uint8_t buffer[16];
    const size_t got = TRY(connection->read(task, buffer, runtime.now() + 2_s));
    if (got == 0) return fail(Errc::kClosed);
    back.append(reinterpret_cast<const char*>(buffer), got);
  }
  return back;
}

TEST(World, AnEchoComesBack) {
  World world(1);
  const NodeId server = world.add_node();
  const NodeId client = world.add_node({.name = "client"});
  world.start(server, echo_main());
  world.start(client);
  EXPECT_TRUE(world.run_fiber(client, [](Task& task, Runtime& runtime) {
    EXPECT_EQ(ask(task, runtime, "n1", "ping").value(), "ping");
    EXPECT_EQ(ask(task, runtime, "nowhere", "ping").error().code, Errc::kNotFound);
    EXPECT_EQ(runtime.net().connect(task, {"n1", 1}, Instant::never()).error().code, Errc::kRefused);
  }));
  EXPECT_EQ(world.net().stats().connects, 1u);
}

TEST(World, TimeIsTheNodesOwnAndTimersFollowIt) {
  Knobs knobs;
  knobs.clock.drift_ppm_max = 50'000;
  World world(7, knobs);
  const NodeId a = world.add_node();
  world.start(a);
  const Instant before = world.now();
  EXPECT_TRUE(world.run_fiber(a, [&](Task& task, Runtime& runtime) {
    const Instant start = runtime.now();
    EXPECT_TRUE(runtime.sleep_for(task, 10_s).has_value());
    EXPECT_GE(runtime.now(), start + 10_s);
    EXPECT_LE(runtime.now(), start + 10_s + 1_ms);
  }));
  const Duration took = world.now() - before;
  EXPECT_GE(took, 9_s);
  EXPECT_LE(took, 11_s);
  EXPECT_NE(took / 1'000'000, 10_s / 1'000'000) << "this seed's clock is off";
}

TEST(World, AClockThatChangesItsRateStaysMonotonicAndWakesInTime) {
  World world(3);
  const NodeId a = world.add_node();
  world.start(a);
  Instant last{};
  world.spawn(a, "ticker", [&](Task& task, Runtime& runtime) {
    while (runtime.sleep_for(task, 10_ms)) {
      EXPECT_GT(runtime.now(), last);
      last = runtime.now();
    }
  });
  for (const int32_t ppm : {50'000, -50'000, 0, 300'000}) {
    world.set_clock_drift(a, ppm);
    const Instant from = world.runtime(a).now();
    world.run_for(1_s);
    const Duration elapsed = world.runtime(a).now() - from;
    EXPECT_NEAR(static_cast<double>(elapsed.ns), 1e9 + 1e3 * ppm, 10.0);
    EXPECT_GE(last, world.runtime(a).now() - 11_ms);
  }
  const WallTime wall = world.runtime(a).wall_now();
  world.jump_clock(a, Duration{} - 3600_s);
  EXPECT_EQ(world.runtime(a).wall_now().ms, wall.ms - 3'600'000);
}

// Each shard counts what it got; messages between the same two shards keep their order.
TEST(World, MessagesBetweenTwoShardsKeepTheirOrder) {
  World world(5);
  const NodeId a = world.add_node({.shards = 3});
  std::vector<std::vector<int>> got(3);
  world.start(a, [&](Runtime& runtime) -> std::shared_ptr<void> {
    for (int i = 0; i < 100; ++i)
      runtime.post(ShardId{2}, [&got, i, from = runtime.shard().value] { got[from].push_back(i); });
    return nullptr;
  });
  world.run_for(1_s);
  for (const auto& order : got) {
    ASSERT_EQ(order.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

struct Mark {
  std::string& story;
  char name;
  ~Mark() { story += name; }
};

TEST(World, AKillUnwindsFibersThenDestroysWhatMainMade) {
  std::string story;  // Before the world, whose end is a crash of everything that runs.
  World world(2);
  const NodeId a = world.add_node({.shards = 2});
  struct Holder {
    Holder(Runtime& runtime, std::string& s) : mark{s, static_cast<char>('A' + runtime.shard().value)} {
      runtime.spawn(scope, "f", [&s, &runtime](Task& task) {
        const Mark local{s, static_cast<char>('a' + runtime.shard().value)};
        (void)runtime.sleep_for(task, 3600_s);
        s += '!';
      });
    }
    Mark mark;
    Scope scope;
  };
  world.start(a, [&](Runtime& runtime) { return std::make_shared<Holder>(runtime, story); });
  world.run_for(1_s);
  world.kill(a);
  EXPECT_EQ(story, "baBA");
  EXPECT_FALSE(world.up(a));
  world.restart(a);
  world.run_for(1_s);
  EXPECT_EQ(world.incarnation(a), 2u);
  EXPECT_TRUE(world.up(a));
}

TEST(World, AProcessThatStopsItselfSendsNothingMore) {
  World world(2);
  const NodeId server = world.add_node();
  const NodeId client = world.add_node();
  world.start(server, echo_main());
  world.start(client);
  Result<std::string> answer = "unset";
  world.spawn(client, "stopper", [&](Task& task, Runtime& runtime) {
    const auto connection = runtime.net().connect(task, {"n1", 9000}, Instant::never());
    ASSERT_TRUE(connection.has_value());
    runtime.stop_node("a sync failed");
    EXPECT_EQ((*connection)->write(task, text("late")).error().code, Errc::kClosed);
    EXPECT_EQ(runtime.disk().exists(task, "x").error().code, Errc::kIo);
    (void)runtime.sleep_for(task, 1_s);
    ADD_FAILURE() << "the fiber does not come back";
  });
  world.run_for(5_s);
  EXPECT_FALSE(world.up(client));
  ASSERT_EQ(world.stops().size(), 1u);
  EXPECT_EQ(world.stops()[0].why, "a sync failed");
  EXPECT_EQ(world.stops()[0].node, client);
  EXPECT_EQ(world.net().stats().bytes, 0u);
}

TEST(World, APausedNodeHearsEverythingAfterwards) {
  World world(2);
  const NodeId server = world.add_node();
  const NodeId client = world.add_node();
  world.start(server, echo_main());
  world.start(client);
  world.run_for(10_ms);
  world.pause(server);
  world.after(1_s, [&] { world.resume(server); });
  EXPECT_TRUE(world.run_fiber(client, [&](Task& task, Runtime& runtime) {
    EXPECT_EQ(ask(task, runtime, "n1", "ping").value(), "ping");
    EXPECT_GE(world.now(), Instant{} + 1_s);
  }));
}

TEST(World, ASlowNodeTakesLonger) {
  const auto turns_in_a_second = [](uint32_t factor) {
    World world(4);
    const NodeId a = world.add_node();
    world.start(a);
    world.slow(a, factor);
    uint64_t turns = 0;
    world.spawn(a, "busy", [&](Task& task, Runtime& runtime) {
      for (;; ++turns) runtime.scheduler().yield(task);
    });
    world.run_for(50_ms);
    return turns;
  };
  const uint64_t normal = turns_in_a_second(1);
  const uint64_t slow = turns_in_a_second(100);
  EXPECT_GT(normal, 50 * slow);
  EXPECT_GT(slow, 0u);
}

TEST(World, TimeThatDoesNotMoveIsReported) {
  Knobs knobs;
  knobs.cpu.slice = {};
  World world(4, knobs);
  const NodeId a = world.add_node();
  world.start(a);
  world.spawn(a, "spinner", [&](Task& task, Runtime& runtime) {
    for (;;) runtime.scheduler().yield(task);
  });
  world.run_for(1_s);
  ASSERT_TRUE(world.failure().has_value());
  EXPECT_NE(world.failure()->find("livelock"), std::string::npos);
}

TEST(WorldDeathTest, AFailedCheckTellsHowToRunItAgain) {
  EXPECT_DEATH(
      {
        World world(4242);
        const NodeId a = world.add_node();
        world.start(a);
        world.spawn(a, "f", [](Task&, Runtime&) { CHECK(false, "I-X what must hold"); });
        world.run_for(1_s);
      },
      "I-X what must hold(.|\n)*replay: seed 4242");
}

// --- The same seed, and another --------------------------------------------------------------------

// Three nodes that talk, write, crash and are partitioned.
Hash128 busy_run(uint64_t seed) {
  const auto world = World::drawn(seed);
  std::vector<NodeId> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(world->add_node({.shards = 2}));
  for (const NodeId node : nodes)
    world->start(node, [](Runtime& runtime) -> std::shared_ptr<void> {
      if (runtime.shard().value != 0) return nullptr;
      return std::make_shared<EchoServer>(runtime);
    });
  const NodeId client = world->add_node();
  world->start(client);
  world->spawn(client, "client", [](Task& task, Runtime& runtime) {
    for (int i = 0; i < 20; ++i) {
      const uint64_t host = runtime.random().below(3);
      (void)ask(task, runtime, fmt::format("n{}", host + 1), "ping");
      const auto file = runtime.disk().open(task, fmt::format("f{}", i % 3), OpenMode::kOpenOrCreate);
      if (file) (void)(*file)->write_at(task, static_cast<uint64_t>(i) * 5000, as_bytes("some bytes"));
      if (file && i % 4 == 0) (void)(*file)->sync(task);
    }
  });
  world->after(5_ms, [&] { world->power_cut(nodes[0]); });
  world->after(9_ms, [&] { world->restart(nodes[0]); });
  world->after(12_ms, [&] { world->isolate(nodes[1]); });
  world->after(90_ms, [&] { world->heal(); });
  world->run_for(30_s);
  world->power_cut(client);
  world->trace().add(TraceKind::kNode, 0, world->disk(client).image().durable_digest(), 0);
  return world->hash();
}

TEST(Determinism, TheSameSeedIsTheSameHistoryAndAnotherIsNot) {
  std::vector<Hash128> hashes;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    hashes.push_back(busy_run(seed));
    EXPECT_EQ(busy_run(seed), hashes.back()) << "seed " << seed;
  }
  for (size_t i = 1; i < hashes.size(); ++i) EXPECT_NE(hashes[i], hashes[i - 1]);
}

TEST(Determinism, WhatRanBeforeInTheProcessDoesNotMatter) {
  const Hash128 alone = busy_run(77);
  for (uint64_t other = 100; other < 105; ++other) (void)busy_run(other);
  const auto ballast = std::make_unique<std::vector<std::string>>(1000, std::string(100, 'x'));
  EXPECT_EQ(busy_run(77), alone);
}

TEST(Determinism, TellingTheStoryDoesNotChangeIt) {
  Hash128 hashes[2];
  for (const bool telling : {false, true}) {
    World world(9);
    world.trace().keep_time_line(telling);
    const NodeId server = world.add_node();
    const NodeId client = world.add_node();
    world.start(server, echo_main());
    world.start(client);
    EXPECT_TRUE(world.run_fiber(client, [](Task& task, Runtime& runtime) {
      runtime.log().info("test", "asking {}", 1);
      (void)ask(task, runtime, "n1", "ping");
    }));
    hashes[telling ? 1 : 0] = world.hash();
    if (telling) {
      EXPECT_NE(world.trace().story().find("n2     info test: asking 1"), std::string::npos) << world.trace().story();
    }
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace taffrail::sim
