// Goal: the client library's members and administrators of groups work against real brokers: members share, take over, and
// read on where others stopped; what an operator sees and sets is so. Method: simulated brokers; every member in a fiber
// of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/support/broker_world.h"
#include "client/group_admin.h"
#include "client/group_member.h"

namespace taffrail::test {
namespace {

using client::GroupAdmin;
using client::GroupMember;
using client::GroupMemberOptions;
using client::TopicPartition;
using testing::ElementsAre;
using testing::SizeIs;

NodeConfig with_groups() {
  NodeConfig config = small_config();
  config.groups.offsets_partitions = 4;
  config.groups.initial_rebalance_delay = 100_ms;
  config.groups.session_timeout_min = 1_s;
  return config;
}

GroupMemberOptions member_options() {
  GroupMemberOptions options;
  options.group = "g";
  options.topics = {"t"};
  options.session_timeout = 2_s;
  options.rebalance_timeout = 5_s;
  options.heartbeat_interval = 300_ms;
  return options;
}

/// One member, until it is told to stop; it commits what it reads.
struct Reader {
  bool stop = false;
  bool leave = true;
  bool over = false;
  size_t records = 0;
  std::set<TopicPartition> owned;

  void start(BrokerWorld& w, const std::string& name) {
    w.world.spawn(w.cluster.client(1), name, [this, &w](Task& task, Runtime& runtime) {
      client::Cluster cluster(runtime, w.cluster.bootstrap());
      {
        GroupMember member(cluster, member_options());
        while (!stop) {
          const auto polled = member.poll(task, runtime.now() + 200_ms);
          owned = member.owned();
          if (!polled) continue;
          std::map<TopicPartition, Offset> read;
          for (const auto& part : *polled) {
            records += part.records.size();
            read[part.from] = part.position;
          }
          EXPECT_TRUE(member.commit(task, read, runtime.now() + 5_s).has_value());
        }
        const bool left = !leave || member.leave(task, runtime.now() + 5_s).has_value();
        EXPECT_TRUE(left);
        member.close(task);
      }
      cluster.close(task);
      over = true;
    });
  }
};

TEST(GroupMembers, ShareTakeOverAndReadOn) {
  BrokerWorld w(1, 3, with_groups());
  w.create_topic("t", 4, 3);
  const auto write = [&](int count) {
    for (int32_t p = 0; p < 4; ++p)
      w.run([&](Wire& wire) {
        for (int i = 0; i < count; ++i) wire.produce("t", batch_of({"v"}), -1, 8, p);
      }, w.leader_of("t", p));
  };
  write(10);
  Reader a, b;
  a.start(w, "a");
  b.start(w, "b");
  ASSERT_TRUE(w.world.run_until([&] { return a.records + b.records == 40 && a.owned.size() == 2 && b.owned.size() == 2; }, 60_s));
  // One leaves: the other has it all at once. One dies: after its session.
  a.stop = true;
  ASSERT_TRUE(w.world.run_until([&] { return a.over && b.owned.size() == 4; }, 20_s));
  Reader c;
  c.start(w, "c");
  ASSERT_TRUE(w.world.run_until([&] { return b.owned.size() == 2 && c.owned.size() == 2; }, 20_s));
  b.leave = false;
  b.stop = true;
  ASSERT_TRUE(w.world.run_until([&] { return b.over && c.owned.size() == 4; }, 20_s));
  write(5);
  ASSERT_TRUE(w.world.run_until([&] { return a.records + b.records + c.records == 60; }, 20_s)) << "every record once";
  c.stop = true;
  ASSERT_TRUE(w.world.run_until([&] { return c.over; }, 20_s));
}

TEST(GroupAdministration, SeesAndMovesWhatIsCommitted) {
  BrokerWorld w(2, 3, with_groups());
  w.create_topic("t", 2, 3);
  Reader reader;
  w.run([&](Wire& wire) {
    client::Cluster cluster(wire.runtime(), w.cluster.bootstrap());
    GroupAdmin admin(cluster);
    const auto until = [&] { return wire.runtime().now() + 20_s; };
    const auto none = admin.describe(wire.task(), "g", until());
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, Errc::kNotFound);
    EXPECT_TRUE(admin.committed(wire.task(), "g", until())->empty());
    reader.start(w, "reader");
    for (int i = 0; i < 200 && reader.owned.size() < 2; ++i) (void)wire.runtime().sleep_for(wire.task(), 100_ms);
    const auto described = admin.describe(wire.task(), "g", until());
    ASSERT_TRUE(described.has_value()) << described.error().text();
    EXPECT_EQ(described->state, "Stable");
    EXPECT_EQ(described->protocol, "range");
    ASSERT_THAT(described->members, SizeIs(1));
    EXPECT_THAT(described->members[0].partitions, ElementsAre(TopicPartition{"t", 0}, TopicPartition{"t", 1}));
    const std::map<TopicPartition, Offset> places{{{"t", 0}, Offset(7)}, {{"t", 1}, Offset(8)}};
    EXPECT_EQ(admin.set_offsets(wire.task(), "g", places, until()).error().code, Errc::kBusy);
    EXPECT_EQ(admin.remove(wire.task(), "g", until()).error().code, Errc::kBusy);
    reader.stop = true;
    for (int i = 0; i < 200 && !reader.over; ++i) (void)wire.runtime().sleep_for(wire.task(), 100_ms);
    EXPECT_TRUE(admin.set_offsets(wire.task(), "g", places, until()).has_value());
    const auto committed = admin.committed(wire.task(), "g", until());
    ASSERT_TRUE(committed.has_value());
    EXPECT_EQ(committed->at({"t", 1}).offset, Offset(8));
    EXPECT_EQ(admin.set_offsets(wire.task(), "g", {{{"none", 0}, Offset(1)}}, until()).error().code, Errc::kNotFound);
    const auto listed = admin.list(wire.task(), until());
    ASSERT_TRUE(listed.has_value());
    ASSERT_THAT(*listed, SizeIs(1));
    EXPECT_EQ(listed->at(0).state, "Empty");
    EXPECT_TRUE(admin.remove(wire.task(), "g", until()).has_value());
    EXPECT_EQ(admin.remove(wire.task(), "g", until()).error().code, Errc::kNotFound);
    cluster.close(wire.task());
  });
}

}  // namespace
}  // namespace taffrail::test
