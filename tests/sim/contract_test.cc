// Goal: what runtime/disk.h and runtime/net.h promise holds in a simulated world, as it does in the real
// one. Method: the scripts that both worlds share, each under a plain world and under drawn ones.
#include <gtest/gtest.h>

#include "sim/world.h"
#include "support/disk_contract.h"
#include "support/net_contract.h"

namespace taffrail::sim {
namespace {

class DiskContract : public testing::TestWithParam<contract::DiskScript> {};
class NetContract : public testing::TestWithParam<contract::NetScript> {};

void in_worlds(uint64_t drawn, const std::function<void(Task&, Runtime&)>& script) {
  for (uint64_t seed = 0; seed <= drawn; ++seed) {
    const auto world = seed == 0 ? std::make_unique<World>(0) : World::drawn(seed);
    const NodeId node = world->add_node();
    world->start(node);
    EXPECT_TRUE(world->run_fiber(node, script, 3600_s)) << "seed " << seed;
    EXPECT_FALSE(world->failure().has_value());
    if (testing::Test::HasFailure()) return;
  }
}

TEST_P(DiskContract, Holds) { in_worlds(12, GetParam().run); }
TEST_P(NetContract, Holds) {
  in_worlds(3, [](Task& task, Runtime& runtime) { GetParam().run(task, runtime, "n1"); });
}

INSTANTIATE_TEST_SUITE_P(Simulated, DiskContract, testing::ValuesIn(contract::disk_scripts()),
                         [](const auto& i) { return std::string(i.param.claim); });
INSTANTIATE_TEST_SUITE_P(Simulated, NetContract, testing::ValuesIn(contract::net_scripts()),
                         [](const auto& i) { return std::string(i.param.claim); });

}  // namespace
}  // namespace taffrail::sim
