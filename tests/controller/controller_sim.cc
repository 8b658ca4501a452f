// Goal: what the controller answered is true on every broker, whatever happens to its leaders.
// Method: three controllers over the real driver, log and links in a simulated world. Leaders are killed,
// cut off and left behind; then everything heals, and the images must be equal and hold what was promised.
// A failing seed is printed with its scope; the same number runs it again.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "controller/support/controller_group.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;

CreateTopicsCommand create_topic(std::string name, int32_t partitions = 2) {
  return {{{.name = std::move(name), .partition_count = partitions, .replication_factor = 2}}, false};
}

TEST(ControllerSim, ACommandReachesTheLeaderFromAnywhereAndIsAppliedWhereItWasAsked) {
  sim::World world(1);
  ControllerGroup group(world, 3);
  group.await_leader();
  group.register_all();
  for (uint32_t n = 0; n < 3; ++n) {
    const std::string name = "t" + std::to_string(n);
    const auto reply = group.ask(n, create_topic(name));
    ASSERT_TRUE(reply.has_value()) << reply.error().text();
    EXPECT_EQ(reply->items[0].error, ErrorCode::kNone);
    const TopicRecord* topic = group.controller(n)->image().find_topic(name);
    ASSERT_NE(topic, nullptr);
    EXPECT_EQ(topic->id, reply->items[0].topic);
    EXPECT_GT(group.process(n)->applied_calls, 0u);
    // A refusal is as binding, and reaches the asker's image no later.
    const auto again = group.ask((n + 1) % 3, create_topic(name));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->items[0].error, ErrorCode::kTopicAlreadyExists);
    EXPECT_NE(group.controller((n + 1) % 3)->image().find_topic(name), nullptr);
  }
  group.expect_converged();
}

// Many ask at once, the leader is killed in the middle, and comes back.
void kill_the_leader_while_topics_are_created(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  sim::World world(seed);
  ControllerGroup group(world, 3);
  group.await_leader();
  ASSERT_NO_FATAL_FAILURE(group.register_all());

  struct Outcome {
    std::string name;
    ItemReply item;
  };
  std::vector<Outcome> answered;
  std::vector<std::pair<int64_t, int64_t>> producer_ids;
  size_t asking = 0;
  for (uint32_t n = 0; n < 3; ++n) {
    ++asking;
    world.spawn(ControllerGroup::node(n), "test/asker", [&, n](Task& task, Runtime& runtime) {
      for (int i = 0; i < 20; ++i) {
        Controller* c = group.controller(n);
        if (c == nullptr) return;
        const std::string name = "t-" + std::to_string(n) + "-" + std::to_string(i);
        const auto reply = c->submit(task, create_topic(name), runtime.now() + 20_s);
        if (reply) answered.push_back({name, reply->items.at(0)});
        const auto ids = c->submit(task, AllocateProducerIdsCommand{BrokerId(static_cast<int32_t>(n) + 1)},
                                   runtime.now() + 20_s);
        if (ids) producer_ids.emplace_back(ids->first_producer_id, ids->producer_id_count);
      }
      --asking;
    });
  }
  sim::Stream& draws = world.stream(sim::StreamKind::kTest);
  world.run_for(Duration::from_ms(draws.draw_between(0, 25, "moment")));
  const uint32_t victim = group.await_leader();
  if (draws.hits(1, 2, "kill")) {
    world.kill(ControllerGroup::node(victim));
  } else {
    world.power_cut(ControllerGroup::node(victim));
  }
  // The two others finish by themselves.
  ASSERT_TRUE(world.run_until([&] { return asking <= 1; }, 120_s)) << "no progress without the old leader";
  ASSERT_NO_FATAL_FAILURE(group.expect_converged());

  const ClusterImage& image = group.controller(0)->image();
  for (const Outcome& outcome : answered) {
    const TopicRecord* topic = image.find_topic(outcome.name);
    ASSERT_NE(topic, nullptr) << outcome.name << " was acknowledged and is gone";
    if (outcome.item.error == ErrorCode::kNone) {
      EXPECT_EQ(topic->id, outcome.item.topic);
      EXPECT_EQ(topic->partitions.size(), 2u);
    } else {
      EXPECT_EQ(outcome.item.error, ErrorCode::kTopicAlreadyExists) << outcome.item.message;
    }
  }
  EXPECT_GE(answered.size(), 40u);
  // I-T8: no producer id is handed out twice.
  std::sort(producer_ids.begin(), producer_ids.end());
  for (size_t i = 1; i < producer_ids.size(); ++i)
    EXPECT_GE(producer_ids[i].first, producer_ids[i - 1].first + producer_ids[i - 1].second);
}

TEST(ControllerSim, WhatWasAcknowledgedOutlivesTheLeaderThatSaidIt) {
  for (uint64_t seed = 1; seed <= 25 && !testing::Test::HasFailure(); ++seed)
    kill_the_leader_while_topics_are_created(seed);
}

TEST(ControllerSim, ALeaderThatIsCutOffAcknowledgesNothing) {
  for (uint64_t seed = 1; seed <= 10 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    ControllerGroup group(world, 3);
    const uint32_t old = group.await_leader();
    ASSERT_NO_FATAL_FAILURE(group.register_all());
    const uint32_t other = (old + 1) % 3;
    world.isolate(ControllerGroup::node(old));

    // It decides, on what it knows; nobody hears of it.
    Result<ControllerReply> lonely = fail(Errc::kInvalid);
    world.spawn(ControllerGroup::node(old), "test/lonely", [&](Task& task, Runtime& runtime) {
      lonely = group.controller(old)->submit(task, create_topic("t", 7), runtime.now() + 6_s);
    });
    world.run_for(10_ms);
    const auto reply = group.ask(other, create_topic("t", 3), 20_s);
    ASSERT_TRUE(reply.has_value()) << reply.error().text();
    EXPECT_EQ(reply->items[0].error, ErrorCode::kNone);
    world.run_for(10_s);
    EXPECT_FALSE(lonely.has_value());
    EXPECT_TRUE(lonely.error().code == Errc::kTimedOut || lonely.error().code == Errc::kUnavailable)
        << lonely.error().text();
    EXPECT_EQ(group.controller(old)->image().find_topic("t"), nullptr);

    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    EXPECT_EQ(group.controller(old)->image().find_topic("t")->partitions.size(), 3u);
  }
}

TEST(ControllerSim, WhoeverIsCutOffAndComesBackLearnsWhatBecameOfItsCommand) {
  // The link heals before the deadline: the old leader's entry lost, its command is decided anew, and the
  // answer is the one of the history that won.
  sim::World world(3);
  ControllerGroup group(world, 3);
  const uint32_t old = group.await_leader();
  group.register_all();
  world.isolate(ControllerGroup::node(old));
  Result<ControllerReply> lonely = fail(Errc::kInvalid);
  world.spawn(ControllerGroup::node(old), "test/lonely", [&](Task& task, Runtime& runtime) {
    lonely = group.controller(old)->submit(task, create_topic("t", 7), runtime.now() + 60_s);
  });
  world.run_for(10_ms);
  const auto reply = group.ask((old + 1) % 3, create_topic("t", 3), 20_s);
  ASSERT_TRUE(reply.has_value()) << reply.error().text();
  world.heal();
  ASSERT_TRUE(world.run_until([&] { return lonely.has_value(); }, 60_s));
  EXPECT_EQ(lonely->items[0].error, ErrorCode::kTopicAlreadyExists);
  group.expect_converged();
}

TEST(ControllerSim, AllPowerIsLostAndNothingThatWasAcknowledged) {
  for (uint64_t seed = 1; seed <= 5 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    ControllerGroup group(world, 3, {.snapshot_every = 7});
    group.await_leader();
    ASSERT_NO_FATAL_FAILURE(group.register_all());
    std::map<std::string, TopicId> made;
    for (int i = 0; i < 20; ++i) {
      const std::string name = "t" + std::to_string(i);
      const auto reply = group.ask(static_cast<uint32_t>(i) % 3, create_topic(name));
      ASSERT_TRUE(reply.has_value()) << reply.error().text();
      made[name] = reply->items[0].topic;
    }
    world.power_cut_all();
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    for (const auto& [name, id] : made) {
      const TopicRecord* topic = group.controller(0)->image().find_topic(name);
      ASSERT_NE(topic, nullptr) << name;
      EXPECT_EQ(topic->id, id);
    }
  }
}

TEST(ControllerSim, WhoeverWasAwayForLongIsGivenASnapshot) {
  for (uint64_t seed = 1; seed <= 5 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    ControllerGroup group(world, 3, {.snapshot_every = 5});
    const uint32_t leader = group.await_leader();
    ASSERT_NO_FATAL_FAILURE(group.register_all());
    const uint32_t away = (leader + 1) % 3;
    const uint32_t stays = (leader + 2) % 3;
    const LogIndex seen = group.process(away)->store->find_log(kMetadataPartition)->last_index();
    world.kill(ControllerGroup::node(away));
    for (int i = 0; i < 30; ++i) {
      const auto reply = group.ask(stays, create_topic("t" + std::to_string(i)), 20_s);
      ASSERT_TRUE(reply.has_value()) << reply.error().text();
    }
    // Both others have let go of what it would need next.
    ASSERT_GT(group.process(leader)->store->find_log(kMetadataPartition)->first_index(), seen + 1);
    ASSERT_GT(group.process(stays)->store->find_log(kMetadataPartition)->first_index(), seen + 1);
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    EXPECT_EQ(group.controller(away)->image().topics().size(), 30u);
    // And what it was given survives a restart of its own.
    world.power_cut(ControllerGroup::node(away));
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
  }
}

TEST(ControllerSim, WhoseSnapshotRottedTakesTheLeaders) {
  for (uint64_t seed = 1; seed <= 5 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    ControllerGroup group(world, 3, {.snapshot_every = 5});
    const uint32_t hurt = (group.await_leader() + 1) % 3;
    ASSERT_NO_FATAL_FAILURE(group.register_all());
    const auto fill = [&](const std::string& prefix) {
      for (int i = 0; i < 12; ++i)
        ASSERT_TRUE(group.ask((hurt + 1) % 3, create_topic(prefix + std::to_string(i)), 20_s).has_value());
    };
    const auto rot = [&] {
      ASSERT_TRUE(world.run_fiber(ControllerGroup::node(hurt), [&](Task& task, Runtime& runtime) {
        const Log& log = *group.process(hurt)->store->find_log(kMetadataPartition);
        ASSERT_GT(log.first_index(), LogIndex(1));
        const std::string path = "shard-0/logs/" + kMetadataPartition.text() + "/snapshot";
        const auto file = runtime.disk().open(task, path, OpenMode::kOpenOrCreate);
        ASSERT_TRUE(file.has_value() && (*file)->write_at(task, 40, as_bytes("rot")) && (*file)->sync(task));
      }));
      world.kill(ControllerGroup::node(hurt));
    };
    ASSERT_NO_FATAL_FAILURE(fill("a"));
    ASSERT_NO_FATAL_FAILURE(rot());
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    // It saves its own again, and what rots there is found as well.
    ASSERT_NO_FATAL_FAILURE(fill("b"));
    world.kill(ControllerGroup::node(hurt));
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    ASSERT_NO_FATAL_FAILURE(rot());
    // Nobody can do without it now: it votes, and leaves it to the other to lead.
    const uint32_t other = (hurt + 1) % 3;
    world.kill(ControllerGroup::node((hurt + 2) % 3));
    world.restart(ControllerGroup::node(hurt));
    ASSERT_TRUE(world.run_until([&] { return group.controller(hurt) != nullptr && group.controller(other)->is_leader(); }, 60_s));
    ASSERT_NO_FATAL_FAILURE(group.expect_converged());
    EXPECT_EQ(group.controller(hurt)->image().topics().size(), 24u);
  }
}

TEST(ControllerSim, WithoutAMajorityACommandEndsAtItsDeadlineAndNotLater) {
  sim::World world(4);
  ControllerGroup group(world, 3);
  const uint32_t leader = group.await_leader();
  group.register_all();
  world.kill(ControllerGroup::node((leader + 1) % 3));
  world.kill(ControllerGroup::node((leader + 2) % 3));
  const Instant before = world.now();
  const auto reply = group.ask(leader, create_topic("t"), 5_s);
  ASSERT_FALSE(reply.has_value());
  EXPECT_TRUE(reply.error().code == Errc::kTimedOut || reply.error().code == Errc::kUnavailable);
  EXPECT_GE(world.now() - before, 4900_ms);
  EXPECT_LE(world.now() - before, 5500_ms);
}

TEST(ControllerSim, StopEndsWhatWaitsAndLeavesNothingBehind) {
  sim::World world(5);
  ControllerGroup group(world, 3);
  const uint32_t leader = group.await_leader();
  group.register_all();
  world.kill(ControllerGroup::node((leader + 1) % 3));
  world.kill(ControllerGroup::node((leader + 2) % 3));
  Result<ControllerReply> waiting = fail(Errc::kInvalid);
  world.spawn(ControllerGroup::node(leader), "test/waiting", [&](Task& task, Runtime& runtime) {
    waiting = group.controller(leader)->submit(task, create_topic("t"), runtime.now() + 600_s);
  });
  world.run_for(100_ms);
  bool stopped = false;
  ASSERT_TRUE(world.run_fiber(ControllerGroup::node(leader), [&](Task& task, Runtime&) {
    group.process(leader)->stop(task);
    stopped = true;
  }));
  EXPECT_TRUE(stopped);
  ASSERT_FALSE(waiting.has_value());
  EXPECT_EQ(waiting.error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace taffrail
