// Goal: each thing that a client must never see is found, by its name, and what is merely
// unfortunate is not. Method: histories made by hand, each with one mistake in it.
#include "sim/checkers/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace taffrail {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

const HistoryKey kAt{"orders", 0};
const HistoryKey kElsewhere{"orders", 1};
constexpr uint32_t kWriter = 1;
constexpr uint32_t kReader = 7;

History::Seen seen(int64_t offset, uint64_t id) { return {Offset(offset), id}; }

/// Records 10, 11 and 12 at offsets 0, 1 and 2: acknowledged, read once, and there at the end.
struct Told {
  History history;

  explicit Told(WriterPromise promise = {}) {
    history.writer(kWriter, promise);
    for (uint64_t i = 0; i < 3; ++i) acked(10 + i, static_cast<int64_t>(i));
  }
  void acked(uint64_t id, int64_t offset, const HistoryKey& to = kAt) {
    history.sent(id, kWriter, to);
    history.settled(id, History::Outcome::kAcked, Offset(offset), Instant{});
  }
  void poll(int64_t from, int64_t next, std::vector<History::Seen> records, int64_t watermark = 100,
            const HistoryKey& at = kAt) {
    history.polled({kReader, at, Offset(from), Offset(next), std::move(records), Offset(watermark),
                    Offset(0), Instant{}});
  }
  void finally(std::vector<History::Seen> records, int64_t start = 0, int64_t end = 3) {
    history.final_read(kAt, std::move(records), Offset(start), Offset(end));
  }
  void finally_all() { finally({seen(0, 10), seen(1, 11), seen(2, 12)}); }
};

TEST(History, NothingIsWrongWithWhatIsRight) {
  Told told;
  told.poll(0, 2, {seen(0, 10), seen(1, 11)});
  told.poll(2, 3, {seen(2, 12)}, 3);
  told.finally_all();
  EXPECT_THAT(told.history.check(true), ElementsAre());
}

TEST(History, OneOffsetWithTwoRecordsIsInconsistent) {
  Told told;
  told.history.sent(13, kWriter, kAt);
  told.poll(2, 3, {seen(2, 13)});
  EXPECT_THAT(told.history.check(false), ElementsAre(StartsWith("inconsistent-offsets: ")));
}

TEST(History, AnOffsetThatIsThereIsNotOutOfRange) {
  Told told;
  told.poll(0, 2, {seen(0, 10), seen(1, 11)}, 2);
  told.history.reset(kReader, kAt, Offset(2));
  told.finally_all();
  EXPECT_THAT(told.history.check(true), ElementsAre(StartsWith("out-of-range: ")));
}

TEST(History, AnOffsetBelowTheStartOrBehindWhatIsCommittedIsOutOfRange) {
  Told told;
  told.poll(0, 2, {seen(0, 10), seen(1, 11)}, 2);
  told.history.reset(kReader, kAt, Offset(3));
  told.history.reset(kReader, kAt, Offset(1));
  told.history.reset(kReader, kAt);
  told.finally({seen(2, 12)}, 2);
  EXPECT_THAT(told.history.check(true), ElementsAre());
}

TEST(History, ARecordAtTwoOffsetsIsADuplicateIfItsWriterIsIdempotent) {
  Told told;
  told.finally({seen(0, 10), seen(1, 11), seen(2, 12), seen(3, 12)}, 0, 4);
  EXPECT_THAT(told.history.check(false), ElementsAre(StartsWith("duplicate: ")));
  Told plain({.acks_all = true, .idempotent = false});
  plain.finally({seen(0, 10), seen(1, 11), seen(2, 12), seen(3, 12)}, 0, 4);
  EXPECT_THAT(plain.history.check(true), ElementsAre());
}

TEST(History, AnAcknowledgedRecordThatIsNotThereIsALostWrite) {
  Told told;
  told.finally({seen(0, 10), seen(2, 12)});
  EXPECT_THAT(told.history.check(true), ElementsAre(StartsWith("lost-write: record 11 ")));
  Told hasty({.acks_all = false, .idempotent = false});
  hasty.finally({seen(0, 10)}, 0, 1);
  EXPECT_THAT(hasty.history.check(true), ElementsAre()) << "acks=1 promises less";
}

TEST(History, WhatRetentionTookIsNotLost) {
  Told told;
  told.poll(0, 3, {seen(0, 10), seen(1, 11), seen(2, 12)});
  told.finally({seen(2, 12)}, 2, 3);
  EXPECT_THAT(told.history.check(true), ElementsAre());
}

TEST(History, ARecordThatIsNotWhereItWasAcknowledgedIsAWrongAck) {
  Told told;
  told.acked(13, 4);
  told.finally({seen(0, 10), seen(1, 11), seen(2, 12), seen(3, 13)}, 0, 5);
  EXPECT_THAT(told.history.check(true),
              ::testing::Contains(StartsWith("wrong-ack: record 13 was acknowledged at 4 ")));
}

TEST(History, AReadOfWhatFailedIsG1a) {
  Told told;
  told.history.sent(13, kWriter, kAt);
  told.history.settled(13, History::Outcome::kFailed, kNoOffset, Instant{});
  told.finally({seen(0, 10), seen(1, 11), seen(2, 12), seen(3, 13)}, 0, 4);
  EXPECT_THAT(told.history.check(true), ElementsAre(StartsWith("G1a: ")));
}

TEST(History, ARecordWhoseFateIsUnknownMayBeThereOrNot) {
  Told there;
  there.history.sent(13, kWriter, kAt);
  there.history.settled(13, History::Outcome::kUnknown, kNoOffset, Instant{});
  there.finally({seen(0, 10), seen(1, 11), seen(2, 12), seen(3, 13)}, 0, 4);
  EXPECT_THAT(there.history.check(true), ElementsAre());
  Told absent;
  absent.history.sent(13, kWriter, kAt);
  absent.history.settled(13, History::Outcome::kUnknown, kNoOffset, Instant{});
  absent.finally_all();
  EXPECT_THAT(absent.history.check(true), ElementsAre());
}

TEST(History, ARecordNobodySentOrSentElsewhereIsAPhantom) {
  Told nobody;
  nobody.poll(3, 4, {seen(3, 99)});
  EXPECT_THAT(nobody.history.check(false), ElementsAre(StartsWith("phantom: ")));
  Told elsewhere;
  elsewhere.acked(13, 0, kElsewhere);
  elsewhere.poll(3, 4, {seen(3, 13)});
  EXPECT_THAT(elsewhere.history.check(false),
              ElementsAre(StartsWith("phantom: record 13 was sent to orders-1 ")));
}

TEST(History, ARecordAboveItsAnswersWatermarkIsAnEarlyRead) {
  Told told;
  told.poll(0, 3, {seen(0, 10), seen(1, 11), seen(2, 12)}, 2);
  EXPECT_THAT(told.history.check(false), ElementsAre(StartsWith("early-read: ")));
}

TEST(History, AReaderThatGoesOnFurtherAheadOrBackSkipsOrRepeats) {
  Told ahead;
  ahead.poll(0, 1, {seen(0, 10)});
  ahead.poll(2, 3, {seen(2, 12)});
  EXPECT_THAT(ahead.history.check(false), ElementsAre(StartsWith("poll-skip: ")));
  Told back;
  back.poll(0, 2, {seen(0, 10), seen(1, 11)});
  back.poll(1, 3, {seen(1, 11), seen(2, 12)});
  EXPECT_THAT(back.history.check(false), ElementsAre(StartsWith("nonmonotonic-poll: ")));
  Told reset;
  reset.poll(0, 2, {seen(0, 10), seen(1, 11)});
  reset.history.reset(kReader, kAt);
  reset.poll(0, 3, {seen(0, 10), seen(1, 11), seen(2, 12)});
  EXPECT_THAT(reset.history.check(false), ElementsAre()) << "it was told to begin anew";
}

TEST(History, APollWithoutARecordThatLiesOnItsWaySkipsIt) {
  Told between;
  between.poll(0, 3, {seen(0, 10), seen(2, 12)});
  between.finally_all();
  EXPECT_THAT(between.history.check(true), ElementsAre(StartsWith("poll-skip: ")));
  Told behind;
  behind.poll(0, 3, {seen(0, 10), seen(1, 11)});
  behind.finally_all();
  EXPECT_THAT(behind.history.check(true), ElementsAre(StartsWith("poll-skip: ")));
}

TEST(History, APollThatIsNotInOrderIsSaidSo) {
  Told told;
  told.poll(0, 3, {seen(1, 11), seen(0, 10)});
  EXPECT_THAT(told.history.check(false), ElementsAre(StartsWith("int-nonmonotonic-poll: ")));
}

TEST(History, WhatAReaderSawAndIsGoneIsARegress) {
  // Sent with acks=1, so that it is no lost write; but it was shown.
  Told told({.acks_all = false, .idempotent = false});
  told.poll(0, 3, {seen(0, 10), seen(1, 11), seen(2, 12)});
  told.finally({seen(0, 10), seen(1, 11)}, 0, 2);
  EXPECT_THAT(told.history.check(true),
              ElementsAre(StartsWith("regress: reader 7 of orders-0 came to 3"),
                          StartsWith("regress: reader 7 of orders-0 was given record 12")));
}

TEST(History, AnIdempotentWritersRecordsOutOfOrderAreSaidSo) {
  Told told;
  told.acked(13, 4);
  told.acked(14, 3);
  EXPECT_THAT(told.history.check(false), ElementsAre(StartsWith("nonmonotonic-send: ")));
}

TEST(History, AnIdempotentWriterThatIsToldThatItLeftSomethingOut) {
  for (const bool idempotent : {true, false}) {
    Told told({.acks_all = true, .idempotent = idempotent});
    told.history.sent(13, kWriter, kAt);
    told.history.settled(13, History::Outcome::kFailed, kNoOffset, Instant{});
    told.history.out_of_order(13);
    told.finally_all();
    // Where disks may have lost what was acknowledged, it is no wonder.
    EXPECT_THAT(told.history.check(false), ElementsAre());
    const auto found = told.history.check(true);
    if (idempotent) EXPECT_THAT(found, ElementsAre(StartsWith("out-of-order: record 13 ")));
    else EXPECT_THAT(found, ElementsAre());
  }
}

TEST(History, WhatWasDeletedIsGone) {
  for (const int64_t start : {1, 2}) {
    Told told;
    told.history.deleted(kAt, Offset(2));
    told.history.deleted(kAt, Offset(1));
    std::vector<History::Seen> left = {seen(1, 11), seen(2, 12)};
    left.erase(left.begin(), left.begin() + (start - 1));
    told.finally(std::move(left), start);
    const auto found = told.history.check(true);
    if (start == 1) EXPECT_THAT(found, ElementsAre(StartsWith("lost-delete: ")));
    else EXPECT_THAT(found, ElementsAre());
  }
}

}  // namespace
}  // namespace taffrail
