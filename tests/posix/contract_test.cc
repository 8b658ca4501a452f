// Goal: the real world keeps the contracts of the seam. Method: the scripts that every world is put
// through, here on epoll, loopback and a real directory; over IPv4, IPv6 and a name.
#include <gtest/gtest.h>

#include "posix/support/world.h"
#include "support/disk_contract.h"
#include "support/net_contract.h"

namespace taffrail::posix {
namespace {

class DiskContract : public testing::TestWithParam<contract::DiskScript> {};

TEST_P(DiskContract, Holds) {
  TestWorld().run([&](Task& task, Shard& shard) { GetParam().run(task, shard.runtime); });
}
INSTANTIATE_TEST_SUITE_P(Posix, DiskContract, testing::ValuesIn(contract::disk_scripts()),
                         [](const auto& test) { return test.param.claim; });

class NetContract : public testing::TestWithParam<contract::NetScript> {};

TEST_P(NetContract, HoldsOnIPv4) {
  TestWorld().run(
      [&](Task& task, Shard& shard) { GetParam().run(task, shard.runtime, "127.0.0.1"); });
}
TEST_P(NetContract, HoldsByName) {
  TestWorld().run(
      [&](Task& task, Shard& shard) { GetParam().run(task, shard.runtime, "localhost"); });
}
TEST_P(NetContract, HoldsOnIPv6) {
  TestWorld().run([&](Task& task, Shard& shard) {
    if (!shard.runtime.net().listen(task, {"::1", 0})) return;  // A machine without IPv6.
    GetParam().run(task, shard.runtime, "::1");
  });
}
INSTANTIATE_TEST_SUITE_P(Posix, NetContract, testing::ValuesIn(contract::net_scripts()),
                         [](const auto& test) { return test.param.claim; });

}  // namespace
}  // namespace taffrail::posix
