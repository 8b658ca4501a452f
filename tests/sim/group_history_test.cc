// Goal: the checker of groups calls what must not be by its name, and nothing else. Method: hand-made histories, each with
// the one thing wrong that a coordinator could do, beside the same without it.
#include "sim/checkers/group_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace taffrail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using Heard = GroupHistory::Heard;
using Outcome = GroupHistory::Outcome;
using Who = GroupHistory::Who;

GroupHistory::Span at(int64_t asked, int64_t heard) { return {Instant{asked}, Instant{heard}}; }
Who who(const std::string& member, int32_t generation) { return {member, {}, generation}; }
/// Each in a process of its own.
Who fixed(const std::string& member, int32_t generation, uint64_t process = 0) {
  return {member, "i", generation, process != 0 ? process : static_cast<uint64_t>(member[0])};
}

TEST(GroupHistory, OneOwnerPerGeneration) {
  GroupHistory good;
  good.assigned(who("a", 1), {0, 1});
  good.assigned(who("b", 1), {2});
  good.assigned(who("b", 2), {0, 1, 2});
  EXPECT_THAT(good.check(), IsEmpty());
  GroupHistory bad = good;
  bad.assigned(who("a", 2), {1});
  EXPECT_THAT(bad.check(), ElementsAre(StartsWith("I-G1")));
  GroupHistory again;  // A static member is given its own once more, under its new id.
  again.assigned(fixed("a", 1), {0});
  again.assigned(fixed("b", 1), {0});
  EXPECT_THAT(again.check(), IsEmpty());
}

// KIP-848: members are in epochs of their own, and what one had all along it may commit in an old one.
TEST(GroupHistory, EpochsAreEachMembersOwn) {
  GroupHistory good;
  good.tell_of_epochs();
  good.joined(at(1, 2), who("a", 2), false);
  good.assigned(who("a", 2), {0, 1}, Instant{2});
  good.joined(at(3, 4), who("b", 3), false);
  good.assigned(who("b", 3), {1}, Instant{6});
  good.commit(at(7, 8), who("a", 2), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(good.check(), IsEmpty());
  GroupHistory bad = good;
  bad.commit(at(7, 8), who("a", 2), 1, Offset(1), Outcome::kStored);
  EXPECT_THAT(bad.check(), ElementsAre(StartsWith("I-G3")));
  GroupHistory knew = good;  // Who knows that it lost it was not fenced by an epoch.
  knew.assigned(who("a", 2), {0}, Instant{5});
  knew.commit(at(7, 8), who("a", 2), 1, Offset(1), Outcome::kStored);
  EXPECT_THAT(knew.check(), IsEmpty());
}

TEST(GroupHistory, WhatWasAcknowledgedLastIsFound) {
  GroupHistory h;
  h.commit(at(1, 2), who("a", 1), 0, Offset(10), Outcome::kStored);
  h.commit(at(3, 4), who("a", 1), 0, Offset(20), Outcome::kStored);
  h.commit(at(5, 9), who("a", 1), 0, Offset(30), Outcome::kUnknown);
  h.commit(at(5, 9), who("a", 1), 0, Offset(40), Outcome::kRefused);
  const auto after = [&](int64_t asked, int64_t offset) {
    GroupHistory with = h;
    with.found(at(asked, asked + 1), 0, Offset(offset));
    return with.check();
  };
  EXPECT_THAT(after(10, 20), IsEmpty());
  EXPECT_THAT(after(10, 30), IsEmpty()) << "nobody knows, and it may be";
  EXPECT_THAT(after(10, 10), ElementsAre(StartsWith("I-G2"))) << "an older one";
  EXPECT_THAT(after(10, 40), ElementsAre(StartsWith("I-G2"))) << "one that was refused";
  EXPECT_THAT(after(10, 25), ElementsAre(StartsWith("I-G2"))) << "one that nobody sent";
  EXPECT_THAT(after(10, -1), ElementsAre(StartsWith("I-G2"))) << "nothing";
  EXPECT_THAT(after(3, 10), IsEmpty()) << "asked while the second was on its way";
  EXPECT_THAT(after(0, -1), IsEmpty());
  GroupHistory back = h;  // Committed again, lower: as a seek does.
  back.commit(at(11, 12), who("a", 1), 0, Offset(5), Outcome::kStored);
  back.found(at(13, 14), 0, Offset(5));
  EXPECT_THAT(back.check(), IsEmpty());
}

// Offsets that expire after ten.
// Of a commit whose answer was not heard it is not known whether it was stored; once it was found, it was.
TEST(GroupHistory, WhatWasFoundIsNotFollowedByWhatWasBefore) {
  GroupHistory h;
  h.commit(at(1, 2), who("a", 1), 0, Offset(10), Outcome::kStored);
  h.commit(at(3, 4), who("a", 1), 0, Offset(20), Outcome::kUnknown);
  h.found(at(5, 6), 0, Offset(10));
  h.found(at(7, 8), 0, Offset(20));
  h.found(at(9, 10), 0, Offset(20));
  EXPECT_THAT(h.check(), IsEmpty());
  GroupHistory back = h;
  back.found(at(11, 12), 0, Offset(10));
  EXPECT_THAT(back.check(), ElementsAre(StartsWith("I-G2")));
  GroupHistory gone = h;
  gone.found(at(11, 12), 0, kNoOffset);
  EXPECT_THAT(gone.check(), ElementsAre(StartsWith("I-G2")));
  GroupHistory beside = h;  // Asked while the other was not heard yet.
  beside.found(at(9, 12), 0, Offset(20));
  beside.found(at(6, 12), 0, Offset(10));
  EXPECT_THAT(beside.check(), IsEmpty());
  GroupHistory first;
  first.commit(at(1, 2), who("a", 1), 0, Offset(10), Outcome::kUnknown);
  first.found(at(3, 4), 0, kNoOffset);
  first.found(at(5, 6), 0, Offset(10));
  EXPECT_THAT(first.check(), IsEmpty());
  first.found(at(7, 8), 0, kNoOffset);
  EXPECT_THAT(first.check(), ElementsAre(StartsWith("I-G2")));
}

// KIP-848: a member that missed an answer may go on from the epoch before.
TEST(GroupHistory, WhoMissedOneAnswerIsNotFenced) {
  const auto beat = [](int64_t asked, int32_t epoch, Heard heard, int32_t told = -1) {
    return GroupHistory::Beat{.when = at(asked, asked + 1), .who = who("a", epoch), .told = told, .heard = heard, .owns = true, .link = 1};
  };
  GroupHistory h;
  h.beat(beat(1, 0, Heard::kWell, 4));
  h.beat(beat(3, 4, Heard::kWell, 4));
  h.beat(beat(5, 4, Heard::kUnknown));
  GroupHistory goes_on = h;
  goes_on.beat(beat(7, 4, Heard::kWell, 5));
  EXPECT_THAT(goes_on.check(), IsEmpty());
  GroupHistory fenced = h;
  fenced.beat(beat(7, 4, Heard::kFenced));
  EXPECT_THAT(fenced.check(), ElementsAre(StartsWith("I-G3")));
  GroupHistory twice = h;
  twice.beat(beat(7, 4, Heard::kUnknown));
  twice.beat(beat(9, 4, Heard::kFenced));
  EXPECT_THAT(twice.check(), IsEmpty());
  GroupHistory silent = h;
  silent.beat({.when = at(7, 8), .who = who("a", 4), .heard = Heard::kFenced, .link = 1});
  EXPECT_THAT(silent.check(), IsEmpty());
  GroupHistory elsewhere = h;
  elsewhere.beat({.when = at(7, 8), .who = who("a", 4), .heard = Heard::kFenced, .owns = true, .link = 2});
  EXPECT_THAT(elsewhere.check(), IsEmpty());
  GroupHistory late = h;
  late.beat(beat(7, 4, Heard::kWell, 5));
  late.beat(beat(9, 5, Heard::kUnknown));
  late.beat(beat(11, 5, Heard::kFenced));
  EXPECT_THAT(late.check(), IsEmpty());
}

TEST(GroupHistory, WhatWasSaidTwoEpochsAgoIsNotHeard) {
  const auto beat = [](int64_t asked, int32_t epoch, int32_t told) {
    return GroupHistory::Beat{.when = at(asked, asked + 1), .who = who("a", epoch), .told = told, .heard = Heard::kWell, .owns = true};
  };
  const auto again = [](int64_t asked, int32_t epoch, Heard heard) {
    return GroupHistory::Beat{.when = at(asked, asked + 1), .who = who("a", epoch), .heard = heard, .owns = true, .again = true};
  };
  GroupHistory h;
  h.beat(beat(1, 0, 4));
  h.beat(beat(3, 4, 5));
  GroupHistory one = h;
  one.beat(again(7, 4, Heard::kWell));
  EXPECT_THAT(one.check(), IsEmpty());
  h.beat(beat(5, 5, 6));
  GroupHistory refused = h;
  refused.beat(again(7, 4, Heard::kFenced));
  EXPECT_THAT(refused.check(), IsEmpty());
  GroupHistory heard = h;
  heard.beat(again(7, 4, Heard::kWell));
  EXPECT_THAT(heard.check(), ElementsAre(StartsWith("I-G3")));
  GroupHistory anew = h;  // It may be in its first epochs again.
  anew.beat(again(7, 4, Heard::kWell));
  anew.beat(beat(6, 0, 3));
  EXPECT_THAT(anew.check(), IsEmpty());
}

TEST(GroupHistory, WhatHadItsTimeMayBeGone) {
  GroupHistory h;
  h.offsets_expire(Duration{10});
  h.joined(at(1, 2), who("a", 1), true);
  h.commit(at(3, 4), who("a", 1), 0, Offset(10), Outcome::kStored);
  const auto after = [&](GroupHistory copy, int64_t asked, int64_t found) {
    copy.found(at(asked, asked + 1), 0, Offset(found));
    return copy.check();
  };
  EXPECT_THAT(after(h, 12, -1), IsEmpty()) << "nobody was heard of since 3";
  EXPECT_THAT(after(h, 11, -1), ElementsAre(StartsWith("I-G2")));
  EXPECT_THAT(after(h, 30, 10), IsEmpty()) << "nobody has looked yet";
  GroupHistory member = h;  // Somebody was there at some moment from 6 to 9.
  member.joined(at(6, 9), who("b", 2), true);
  EXPECT_THAT(after(member, 14, -1), ElementsAre(StartsWith("I-G2")));
  EXPECT_THAT(after(member, 15, -1), IsEmpty());
  GroupHistory many = h;  // Never away for long enough.
  for (int64_t t = 5; t < 50; t += 5) many.joined(at(t, t + 1), who("b", static_cast<int32_t>(t)), true);
  EXPECT_THAT(after(many, 51, -1), ElementsAre(StartsWith("I-G2")));
  GroupHistory anew = h;  // It is another one that is gone.
  anew.commit(at(20, 21), who("c", 3), 0, Offset(4), Outcome::kStored);
  EXPECT_THAT(after(anew, 22, -1), ElementsAre(StartsWith("I-G2")));
  GroupHistory back = h;
  back.found(at(20, 21), 0, kNoOffset);
  EXPECT_THAT(after(back, 22, -1), IsEmpty());
  EXPECT_THAT(after(back, 22, 10), ElementsAre(StartsWith("I-G2"))) << "what is gone stays gone";
  GroupHistory epochs = many;  // Of a consumer group offsets count from their commit.
  epochs.tell_of_epochs();
  EXPECT_THAT(after(epochs, 51, -1), IsEmpty());
}

TEST(GroupHistory, AGroupThatIsForgottenBeginsAnew) {
  const auto then = [](int64_t asked, bool expire, bool commits) {
    GroupHistory h;
    if (expire) h.offsets_expire(Duration{10});
    if (commits) h.commit(at(1, 2), who("a", 5), 0, Offset(10), Outcome::kStored);
    h.joined(at(3, 4), who("a", 5), true);
    h.joined(at(asked, asked + 1), who("b", 1), true);
    return h.check();
  };
  EXPECT_THAT(then(12, true, true), IsEmpty());
  EXPECT_THAT(then(11, true, true), ElementsAre(StartsWith("I-G7")));
  EXPECT_THAT(then(12, false, true), ElementsAre(StartsWith("I-G7")));
  EXPECT_THAT(then(5, true, false), IsEmpty()) << "without an offset there is nothing to wait for";
  GroupHistory h;  // Its offset was gone before the last members came.
  h.offsets_expire(Duration{10});
  h.commit(at(1, 2), who("a", 5), 0, Offset(10), Outcome::kStored);
  h.joined(at(14, 15), who("b", 6), true);
  h.joined(at(17, 18), who("c", 1), true);
  EXPECT_THAT(h.check(), IsEmpty());
}

TEST(GroupHistory, NothingOfAnEarlierGenerationIsAccepted) {
  GroupHistory h;
  h.joined(at(1, 2), who("a", 1), true);
  h.joined(at(3, 6), who("b", 2), true);
  h.commit(at(5, 8), who("a", 1), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(h.check(), IsEmpty()) << "asked before anybody was told of the next";
  GroupHistory late = h;
  late.commit(at(7, 8), who("a", 1), 0, Offset(2), Outcome::kRefused);
  EXPECT_THAT(late.check(), IsEmpty());
  late.commit(at(7, 8), who("a", 1), 0, Offset(2), Outcome::kStored);
  EXPECT_THAT(late.check(), ElementsAre(StartsWith("I-G3")));
}

TEST(GroupHistory, WhoseInstanceWasTakenIsOut) {
  GroupHistory h;
  h.joined(at(1, 2), fixed("a", 1), true);
  h.joined(at(3, 4), fixed("b", 1), true);
  h.commit(at(3, 5), fixed("a", 1), 0, Offset(1), Outcome::kStored);
  h.commit(at(6, 7), fixed("b", 1), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(h.check(), IsEmpty());
  GroupHistory late = h;
  late.commit(at(5, 6), fixed("a", 1), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(late.check(), ElementsAre(StartsWith("I-G4")));
  GroupHistory back = h;  // It takes its place again.
  back.joined(at(8, 9), fixed("c", 1, 'a'), false);
  back.commit(at(10, 11), fixed("c", 1, 'a'), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(back.check(), IsEmpty());
  GroupHistory same;  // One id for two.
  same.joined(at(1, 2), fixed("a", 1, 1), true);
  same.joined(at(3, 4), fixed("a", 1, 2), true);
  same.commit(at(5, 6), fixed("a", 1, 1), 0, Offset(1), Outcome::kStored);
  EXPECT_THAT(same.check(), ElementsAre(StartsWith("I-G4")));
}

TEST(GroupHistory, GenerationsRise) {
  GroupHistory h;
  h.joined(at(1, 2), who("a", 1), true);
  h.joined(at(3, 4), who("a", 2), true);
  h.joined(at(3, 5), who("b", 2), false);
  EXPECT_THAT(h.check(), IsEmpty());
  GroupHistory back = h;
  back.joined(at(6, 7), who("c", 1), false);
  EXPECT_THAT(back.check(), ElementsAre(StartsWith("I-G7")));
  GroupHistory twice = h;
  twice.joined(at(6, 7), who("c", 2), true);
  EXPECT_THAT(twice.check(), ElementsAre(StartsWith("I-G7")));
}

}  // namespace
}  // namespace taffrail
