// Goal: one heartbeat between two nodes stands for all groups that they share, costs next to
// nothing while nothing changes, and never leaves a follower believing in a leader that is gone.
// Method: a sender and a receiver, connected by hand.
#include "consensus/heartbeat.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace taffrail {
namespace {

PartitionKey group(int n) { return {Uuid{1, 2}, n}; }
Listing listing(int n, int64_t term) {
  return {group(n), Term(term), ReplicaId{BrokerId(1), DiskId{5, 5}}};
}

struct Pair {
  HeartbeatSender sender;
  HeartbeatReceiver receiver;
  Instant now{1};

  HeartbeatReceiver::Heard beat() {
    now = now + 1_ms;
    HeartbeatReceiver::Heard heard = receiver.on_heartbeat(sender.next(now), now);
    sender.on_answer(heard.answer);
    return heard;
  }
};

TEST(Heartbeat, TheListIsSentUntilItIsConfirmedAndAgainWhenItChanges) {
  Pair p;
  p.sender.lead(listing(1, 3));
  p.sender.lead(listing(2, 4));
  EXPECT_TRUE(p.sender.next(p.now).list.has_value()) << "nobody has confirmed anything";
  const auto first = p.beat();
  EXPECT_EQ(first.fresh, (std::vector{listing(1, 3), listing(2, 4)}));
  EXPECT_FALSE(p.sender.next(p.now).list.has_value()) << "the receiver has it";

  const auto second = p.beat();
  EXPECT_TRUE(second.fresh.empty());
  EXPECT_EQ(p.receiver.heard(group(1), Term(3)), p.now);

  p.sender.lead(listing(1, 5));
  EXPECT_EQ(p.beat().fresh, std::vector{listing(1, 5)});
  EXPECT_EQ(p.receiver.heard(group(1), Term(3)), std::nullopt) << "that term is over";
}

TEST(Heartbeat, AGroupThatIsNoLongerLedIsAbsent) {
  Pair p;
  p.sender.lead(listing(1, 3));
  p.sender.lead(listing(2, 3));
  p.beat();
  p.sender.drop(group(1));
  EXPECT_EQ(p.beat().absent, std::vector{group(1)});
  EXPECT_EQ(p.receiver.heard(group(1), Term(3)), std::nullopt);
  EXPECT_TRUE(p.receiver.heard(group(2), Term(3)).has_value());
  p.sender.drop(group(2));
  EXPECT_EQ(p.beat().absent, std::vector{group(2)}) << "an empty list is a list";
}

TEST(Heartbeat, AReceiverThatForgotAsksForTheList) {
  Pair p;
  p.sender.lead(listing(1, 3));
  p.beat();
  p.receiver = HeartbeatReceiver();
  const auto heard = p.beat();
  EXPECT_TRUE(heard.answer.need_list);
  EXPECT_TRUE(heard.fresh.empty());
  EXPECT_EQ(p.receiver.heard(group(1), Term(3)), std::nullopt)
      << "it does not know of whom it heard";
  EXPECT_EQ(p.beat().fresh, std::vector{listing(1, 3)});
}

TEST(Heartbeat, ALostAnswerOnlyMeansThatTheListComesAgain) {
  Pair p;
  p.sender.lead(listing(1, 3));
  p.receiver.on_heartbeat(p.sender.next(p.now), p.now);
  const auto again = p.beat();
  EXPECT_TRUE(again.fresh.empty()) << "known already";
  EXPECT_FALSE(again.answer.need_list);
}

TEST(Heartbeat, AnOvertakenHeartbeatChangesNothing) {
  Pair p;
  p.sender.lead(listing(1, 3));
  const Heartbeat old = p.sender.next(p.now);
  p.sender.drop(group(1));
  p.sender.lead(listing(2, 3));
  p.beat();
  const auto late = p.receiver.on_heartbeat(old, p.now);
  EXPECT_TRUE(late.fresh.empty());
  EXPECT_TRUE(late.absent.empty());
  EXPECT_EQ(p.receiver.find(group(1)), nullptr);
  EXPECT_NE(p.receiver.find(group(2)), nullptr);
}

TEST(Heartbeat, AListThatIsNotWhatItsDigestSaysIsNotTaken) {
  Pair p;
  p.sender.lead(listing(1, 3));
  Heartbeat wrong = p.sender.next(p.now);
  wrong.list->front().term = Term(9);
  const auto heard = p.receiver.on_heartbeat(wrong, p.now);
  EXPECT_TRUE(heard.fresh.empty());
  EXPECT_TRUE(heard.answer.need_list);
}

TEST(Heartbeat, WhatIsRefusedIsToldUntilItIsListedAnew) {
  Pair p;
  p.sender.lead(listing(1, 3));
  p.beat();
  p.receiver.refuse(group(1));
  p.receiver.refuse(group(7));  // Never listed: nobody asked.
  EXPECT_EQ(p.beat().answer.refused, std::vector{group(1)});
  p.sender.lead(listing(1, 4));
  EXPECT_TRUE(p.beat().answer.refused.empty());
  p.receiver.refuse(group(1));
  p.receiver.follow(group(1));
  EXPECT_TRUE(p.beat().answer.refused.empty());
}

TEST(Heartbeat, AnAnswerSpeaksForTheTimeAtWhichItsQuestionWasSent) {
  Pair p;
  const Heartbeat first = p.sender.next(Instant{10});
  const Heartbeat second = p.sender.next(Instant{20});
  const auto answer_1 = p.receiver.on_heartbeat(first, Instant{30}).answer;
  const auto answer_2 = p.receiver.on_heartbeat(second, Instant{30}).answer;
  EXPECT_EQ(p.sender.on_answer(answer_2), Instant{20});
  EXPECT_EQ(p.sender.on_answer(answer_1), std::nullopt) << "a later one was answered before";
}

}  // namespace
}  // namespace taffrail
