// Goal: room for answers is given as memory_budget.h says: in order, half of it to those who are not known to take answers, and
// those who hold it and read nothing are cut off. Method: a budget, and fibers that ask for room by hand.
#include "net/memory_budget.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/support/loop_net.h"

namespace taffrail {
namespace {

using Reservation = MemoryBudget::Reservation;

struct Peer final : MemoryBudget::Holder {
  Instant waits_since() const override { return since; }
  void break_off(std::string why) override { said = std::move(why); }
  Instant since = Instant::never();
  std::string said;
};

struct Asked {
  std::optional<Result<Reservation>> got;
  ByteCount bytes() const { return got && *got ? (**got).bytes() : 0; }
};

struct BudgetTest : testing::Test {
  ~BudgetTest() override {
    scope.cancel();
    runtime.run([&](Task& task) { scope.join(task); });
    for (Asked& one : asked) one.got.reset();
    EXPECT_EQ(budget.used(), 0u);
  }
  Asked& ask(ByteCount wanted, bool takes_answers, Duration limit = 100_s) {
    return ask(MemoryBudget::records(wanted, takes_answers), limit);
  }
  Asked& ask(MemoryBudget::Room wanted, Duration limit = 100_s) {
    Asked& one = asked.emplace_back();
    runtime.spawn(scope, "ask", [&, wanted, limit](Task& task) { one.got = budget.reserve(task, wanted, runtime.now() + limit); });
    runtime.settle();
    return one;
  }

  test::LoopRuntime runtime;
  MemoryBudget budget{runtime, 1_MiB};
  std::deque<Asked> asked;
  Scope scope;
};

TEST_F(BudgetTest, WhoIsNotKnownToTakeAnswersHasHalfOfIt) {
  EXPECT_EQ(ask(400_KiB, false).bytes(), 400_KiB);
  EXPECT_EQ(ask(400_KiB, false).bytes(), 112_KiB) << "what is left of the half";
  EXPECT_FALSE(ask(400_KiB, false).got.has_value());
  EXPECT_EQ(ask(400_KiB, true).bytes(), 400_KiB);
  EXPECT_EQ(ask(400_KiB, true).bytes(), 112_KiB);
  EXPECT_FALSE(ask(1_KiB, true).got.has_value());
  EXPECT_EQ(budget.used(), 1_MiB);
}

// One after another they may pass the limit for as long as somebody sends them.
TEST_F(BudgetTest, SomeAnswersHaveRoomWhateverRequestsHold) {
  Peer giant;
  budget.hold(giant, 100_MiB);
  EXPECT_EQ(ask(200_KiB, true).bytes(), 200_KiB);
  EXPECT_EQ(ask(200_KiB, true).bytes(), MemoryBudget::kGrantMin) << "a quarter of it is for answers";
  EXPECT_FALSE(ask(200_KiB, true).got.has_value());
  EXPECT_EQ(ask(200_KiB, false).bytes(), 128_KiB) << "and of the half of those who are not known";
  EXPECT_FALSE(ask(200_KiB, false).got.has_value());
  // What a reader has not taken yet counts like what is made for it.
  asked[0].got.reset();
  runtime.settle();
  EXPECT_EQ(asked[2].bytes(), 192_KiB);
  Peer reader;
  budget.hold(reader, 256_KiB, 256_KiB, true);
  asked[1].got.reset();
  asked[2].got.reset();
  EXPECT_FALSE(budget.try_reserve(MemoryBudget::records(1, true)).has_value());
  budget.hold(reader, 256_KiB, 0, true);
  EXPECT_TRUE(budget.try_reserve(MemoryBudget::records(1, true)).has_value());
  budget.leave(reader);
  budget.leave(giant);
}

// Who a topic's leader is has to be known by everybody, and is told whole.
TEST_F(BudgetTest, WhatTellsOfTheClusterHasRoomBesideThoseWhoTakeNothing) {
  EXPECT_EQ(ask(512_KiB, false).bytes(), 512_KiB);
  EXPECT_FALSE(ask(1_KiB, false).got.has_value());
  EXPECT_EQ(ask(MemoryBudget::telling(200_KiB, false)).bytes(), 200_KiB);
  EXPECT_EQ(ask(MemoryBudget::telling(200_KiB, false)).bytes(), 200_KiB) << "not less than it needs";
  EXPECT_FALSE(ask(MemoryBudget::telling(5_KiB, false)).got.has_value());
  EXPECT_EQ(ask(MemoryBudget::telling(5_KiB, true)).bytes(), 5_KiB) << "who is known to take answers";
  // Nor does a giant stand in its way, unless much of it is not taken.
  asked[1].got.reset();
  for (Asked& one : asked) one.got.reset();
  runtime.settle();
  for (Asked& one : asked) one.got.reset();
  Peer giant;
  budget.hold(giant, 100_MiB);
  EXPECT_EQ(ask(MemoryBudget::telling(100_KiB, false)).bytes(), 100_KiB);
  Peer deaf;
  budget.hold(deaf, 192_KiB, 192_KiB);
  EXPECT_FALSE(budget.try_reserve(MemoryBudget::telling(5_KiB, false)).has_value());
  budget.leave(deaf);
  EXPECT_TRUE(budget.try_reserve(MemoryBudget::telling(5_KiB, false)).has_value());
  budget.leave(giant);
}

TEST_F(BudgetTest, RoomGoesToThoseWhoWaitInTheirOrder) {
  Asked& first = ask(1_MiB, true);
  Asked& second = ask(600_KiB, true);
  Asked& third = ask(600_KiB, true);
  EXPECT_FALSE(budget.try_reserve(MemoryBudget::records(1, true)).has_value());
  EXPECT_FALSE(second.got.has_value());
  first.got.reset();
  runtime.settle();
  EXPECT_EQ(second.bytes(), 600_KiB);
  EXPECT_EQ(third.bytes(), 424_KiB);
  second.got.reset();
  runtime.settle();
  EXPECT_EQ(budget.used(), 424_KiB);
}

TEST_F(BudgetTest, ALittleIsGivenWhereAlmostNothingIsLeft) {
  Asked& first = ask(1_MiB - 10, true);
  EXPECT_EQ(ask(1_MiB, true).bytes(), MemoryBudget::kGrantMin);
  EXPECT_FALSE(ask(1_MiB, true).got.has_value());
  first.got.reset();
  runtime.settle();
}

TEST_F(BudgetTest, WhoReadsNothingMakesRoomWhenTheWaitIsOver) {
  Peer deaf;
  Peer slow;
  Peer quick;
  budget.hold(deaf, 600_KiB, 600_KiB);
  budget.hold(slow, 300_KiB, 300_KiB);
  budget.hold(quick, 300_KiB, 300_KiB);
  runtime.run_for(MemoryBudget::kPatience);
  deaf.since = Instant{};
  slow.since = Instant{1};
  quick.since = runtime.now() - 1_s;
  Asked& one = ask(100_KiB, false, 4_s);
  runtime.run_for(5_s);
  ASSERT_TRUE(one.got.has_value());
  EXPECT_EQ((*one.got).error().code, Errc::kTimedOut);
  EXPECT_NE(deaf.said.find("others need the memory"), std::string::npos);
  EXPECT_NE(slow.said, "") << "without it there is too little still";
  EXPECT_EQ(quick.said, "") << "and with it there is enough";
  budget.leave(deaf);
  budget.leave(slow);
  budget.leave(slow);
  EXPECT_EQ(ask(100_KiB, false).bytes(), 100_KiB);
  budget.leave(quick);
}

TEST_F(BudgetTest, NobodyIsCutOffWhereThingsMove) {
  Peer peer;
  budget.hold(peer, 500_KiB, 500_KiB);
  peer.since = Instant{};
  runtime.run_for(10_s);
  Asked& first = ask(100_KiB, false);
  Asked& second = ask(100_KiB, false);
  Asked& late = ask(100_KiB, false, 3_s);
  EXPECT_EQ(first.bytes(), 64_KiB) << "the half is not full before";
  EXPECT_FALSE(second.got.has_value());
  budget.hold(peer, 400_KiB, 400_KiB);
  runtime.settle();
  EXPECT_EQ(second.bytes(), 64_KiB);
  runtime.run_for(4_s);
  EXPECT_EQ((*late.got).error().code, Errc::kTimedOut);
  EXPECT_EQ(peer.said, "") << "one of those who waited went on not long ago";
  budget.leave(peer);
}

TEST_F(BudgetTest, ACrowdDoesNotWait) {
  Asked& all = ask(1_MiB, true);
  for (size_t i = 0; i < MemoryBudget::kClaimsMax; ++i) EXPECT_FALSE(ask(1_KiB, true).got.has_value());
  Asked& one_more = ask(1_KiB, true);
  ASSERT_TRUE(one_more.got.has_value());
  EXPECT_EQ((*one_more.got).error().code, Errc::kTimedOut);
  all.got.reset();
  runtime.settle();
  EXPECT_EQ(asked.back().got->has_value(), false);
  EXPECT_EQ(asked[1].bytes(), 1_KiB);
}

}  // namespace
}  // namespace taffrail
