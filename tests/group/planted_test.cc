// Goal: each mistake that coordinators were seen to make has a story that tells when somebody makes it here. Method: a
// story ends with "" if all is well. Every one is run on the right code; with TAFFRAIL_PLANTS also on the code with its
// mistake planted, where it must not end so. G06 needs a log that is applied late: whole clusters.
#include <gtest/gtest.h>

#include "base/plant.h"
#include "group/support/consumer.h"

namespace taffrail::group::test {
namespace {

void settle(Bench& bench, Member& m) {
  m.join(bench);
  bench.pass(1_s);
  (void)m.joined(bench);
  m.sync(bench);
}

int64_t committed(Bench& bench) {
  const auto reply = bench.get<FetchReply>(bench.fetch("g", std::vector<TopicPartition>{{"t", 0}}));
  return reply.items.empty() || !reply.items[0].value ? -1 : reply.items[0].value->offset.value;
}

// G03: a member that was away commits under its old generation.
std::string late_commit() {
  Bench bench;
  Member a;
  settle(bench, a);
  const int32_t old = a.generation;
  a.join(bench);
  (void)a.joined(bench);
  a.sync(bench);
  (void)bench.commit(committing("g", a.id, a.generation, 10));
  (void)bench.commit(committing("g", a.id, old, 5));
  return committed(bench) == 10 ? "" : "I-G3: an old generation set an offset back";
}

// G04: two processes with one instance id.
std::string two_of_one_instance() {
  Bench bench;
  Member a;
  a.instance = "i";
  settle(bench, a);
  Member again;
  again.instance = "i";
  again.join(bench);
  (void)again.joined(bench);
  const auto beat = bench.get<HeartbeatResponse>(bench.heartbeat("g", a.id, a.generation, "i"));
  return beat.error_code == ErrorCode::kFencedInstanceId ? "" : "I-G4: who held the instance before goes on";
}

// G05: two commits, and the log is applied.
std::string commit_twice() {
  Bench bench;
  (void)bench.commit(committing("g", "", -1, 1));
  (void)bench.commit(committing("g", "", -1, 2));
  return committed(bench) == 2 ? "" : "I-G2: an acknowledged commit is gone";
}

// G09: a rebalance that lasts longer than offsets are kept.
std::string long_rebalance() {
  Options options = quick_options();
  options.offsets_retention = 1_s;
  Bench bench(1, options);
  Member a, b;
  settle(bench, a);
  (void)bench.commit(committing("g", a.id, a.generation, 5));
  b.join(bench);
  bench.pass(5_s);
  bench.expire();
  return committed(bench) == 5 ? "" : "I-G6: an offset expired while somebody was about to read on";
}

// G19: a member that reads on for longer than offsets are kept, commits nothing new, and leaves.
std::string quiet_member() {
  Options options = quick_options();
  options.offsets_retention = 10_s;
  Bench bench(1, options);
  Member a;
  settle(bench, a);
  (void)bench.commit(committing("g", a.id, a.generation, 5));
  for (int i = 0; i < 12; ++i) {
    bench.pass(1_s);
    (void)bench.heartbeat("g", a.id, a.generation);
  }
  LeaveGroupRequest leave;
  leave.group_id = "g";
  leave.members = {{a.id, {}, {}, {}}};
  (void)bench.leave(leave);
  bench.pass(5_s);
  bench.expire();
  return committed(bench) == 5 ? "" : "I-G6: an offset expired although somebody was there a moment ago";
}

// G14: a commit that was refused is read.
std::string refused_commit() {
  Bench bench;
  bench.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  (void)bench.commit(committing("g", "", -1, 7));
  return committed(bench) == -1 ? "" : "I-G2: a commit that failed is read";
}

// G18: a failover between the end of the join phase and the assignment.
std::string failover_before_assignment() {
  Bench bench;
  Member a, b;
  a.join(bench);
  bench.pass(1_s);
  (void)a.joined(bench);
  bench.fail_over();
  b.join(bench);
  bench.pass(60_s);
  (void)b.joined(bench);
  return b.generation > a.generation ? "" : "I-G7: a generation was given out twice";
}

// G01: a member takes back what it was to give up, and somebody else is to have it after all.
std::string taken_back() {
  Bench bench(1, consumer_options());
  bench.topics.set("t", 4);
  Consumer a{.id = "a"}, b{.id = "b"};
  (void)settle(bench, {&a});
  (void)b.beat(bench);
  (void)a.beat(bench);
  (void)b.leave(bench);
  b.epoch = 0;
  (void)a.beat(bench);
  (void)b.beat(bench);
  return a.owned.size() == 1 && b.owned.empty() ? "" : "I-G1: a partition has two owners";
}

// G02: a member that missed an epoch says what it owns.
std::string owner_of_old() {
  Bench bench(1, consumer_options());
  bench.topics.set("t", 4);
  Consumer a{.id = "a"}, b{.id = "b"}, c{.id = "c"};
  (void)settle(bench, {&a});
  const Consumer before = a;
  (void)settle(bench, {&a, &b});
  (void)settle(bench, {&a, &b, &c});
  Consumer zombie = before;
  zombie.tells = true;
  return zombie.beat(bench) == ErrorCode::kFencedMemberEpoch ? "" : "I-G1: what a member had in an old epoch counts";
}

// G16: the answer with the new epoch is lost.
std::string lost_answer() {
  Bench bench(1, consumer_options());
  bench.topics.set("t", 4);
  Consumer a{.id = "a"};
  (void)settle(bench, {&a});
  bench.topics.set("t", 6);
  Consumer deaf = a;
  (void)deaf.beat(bench);
  a.tells = true;
  return a.beat(bench) == ErrorCode::kNone ? "" : "a member that did nothing wrong starts over";
}

// G22: the last member goes while nothing can be appended.
std::string unwritten_end() {
  Options options = quick_options();
  options.offsets_retention = 100_s;
  Bench bench(1, options);
  Member a;
  settle(bench, a);
  (void)bench.commit(committing("g", a.id, a.generation, 5));
  for (int i = 0; i < 40; ++i) {
    bench.pass(5_s);
    (void)bench.heartbeat("g", a.id, a.generation);
  }
  bench.refuse_appends = ErrorCode::kCoordinatorNotAvailable;
  bench.pass(60_s);
  bench.refuse_appends = ErrorCode::kNone;
  for (int i = 0; i < 2; ++i) bench.expire();
  if (committed(bench) != 5) return "I-G6: offsets of a group that had a member a minute ago are gone";
  bench.pass(60_s);
  bench.expire();
  return committed(bench) == -1 ? "" : "I-G6: offsets of a group without members stay";
}

struct Story {
  const char* plant;
  std::string (*tell)();
};
constexpr Story kStories[] = {{"G01", taken_back},     {"G02", owner_of_old},      {"G16", lost_answer},
                              {"G03", late_commit},  {"G04", two_of_one_instance}, {"G05", commit_twice},
                              {"G09", long_rebalance}, {"G14", refused_commit},    {"G18", failover_before_assignment},
                              {"G19", quiet_member}, {"G22", unwritten_end}};

TEST(PlantedBugs, EveryStoryEndsWellAndTellsItsMistake) {
  for (const Story& story : kStories) {
    EXPECT_EQ(story.tell(), "") << story.plant;
#ifdef TAFFRAIL_PLANTS
    select_plant(story.plant);
    EXPECT_NE(story.tell(), "") << story.plant << " was not found";
    select_plant("");
#endif
  }
}

}  // namespace
}  // namespace taffrail::group::test
