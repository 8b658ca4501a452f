// Goal: an answer outlives the founding that it began in. What went wrong (seed 605 of an earlier build): a node answers "discover" by a closure over variables of the
// function that founds the cluster. A question that was under way when that function returned read what was gone.
// Method: seeds found a cluster while a third machine asks all of them without pause; every answer is a whole one.
#include <gtest/gtest.h>

#include "broker/founding.h"
#include "net/peers.h"
#include "sim/world.h"

namespace taffrail {
namespace {

constexpr uint16_t kPort = 9093;

struct Seed {
  Seed(Runtime& r, BrokerId id, Endpoint at, std::vector<Endpoint> all) : runtime(r), peers(r, {}) {
    identity.replica = {id, DiskId{5, static_cast<uint64_t>(id.value)}};
    runtime.spawn(scope, "main", [this, at, all](Task& task) {
      if (!peers.start(task, at, {{}, identity.replica, 1})) return;
      if (const auto joined = join_or_found(task, runtime, peers, identity, at, all)) identity = *joined;
      // The stack on which it ran is used again at once, by whatever comes next.
      std::array<volatile uint8_t, 4096> other{};
      for (size_t i = 0; i < other.size(); ++i) other[i] = 0xa5;
      while (runtime.sleep_for(task, 1_s)) {
      }
    });
  }
  Runtime& runtime;
  Peers peers;
  NodeIdentity identity;
  Scope scope;
};

struct Asker {
  explicit Asker(Runtime& r) : peers(r, {}) {}
  Peers peers;
};

TEST(Regression, TheAnswerToDiscoverOutlivesTheFounding) {
  uint64_t answers = 0;
  for (uint64_t seed = 1; seed <= 40 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    std::vector<Endpoint> all;
    for (int i = 0; i < 2; ++i) all.push_back({world.name(world.add_node()), kPort});
    const sim::NodeId other = world.add_node();
    for (uint32_t i = 0; i < 2; ++i)
      world.start(sim::NodeId(i), [&, i](Runtime& runtime) {
        return std::make_shared<Seed>(runtime, BrokerId(static_cast<int32_t>(i) + 1), all[i], all);
      });
    std::shared_ptr<Asker> asker;
    world.start(other, [&](Runtime& runtime) { return asker = std::make_shared<Asker>(runtime); });
    ASSERT_TRUE(world.run_fiber(other, [&](Task& task, Runtime&) {
      ASSERT_TRUE(asker->peers.start(task, {world.name(other), kPort}, {{}, {BrokerId(9), DiskId{5, 9}}, 1}).has_value());
    }));
    for (int fiber = 0; fiber < 16; ++fiber)
      world.spawn(other, "test/asker", [&, fiber](Task& task, Runtime& runtime) {
        while (!task.cancelled()) {
          const Endpoint& to = all[static_cast<size_t>(fiber) % 2];
          const auto body = asker->peers.call_address(task, to, "discover", {}, runtime.now() + 1_s);
          if (!body) {
            if (!runtime.sleep_for(task, 1_ms)) return;
            continue;
          }
          const auto answer = decode_discover(*body);
          ASSERT_TRUE(answer.has_value()) << answer.error().text();
          EXPECT_EQ(answer->internal, to);
          EXPECT_EQ(answer->seeds.size(), 2u);
          EXPECT_EQ(answer->identity.replica.disk.high, 5u);
          ++answers;
        }
      });
    world.run_for(600_ms);
    asker.reset();
  }
  EXPECT_GT(answers, 1000u);
}

}  // namespace
}  // namespace taffrail
