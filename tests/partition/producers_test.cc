// Goal: a producer's batch is appended once, whatever is sent again, and a leader decides on what its uncommitted
// entries will make of the table without ever mixing them into what is committed. Method: the table alone.
#include "partition/producers.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "record/builder.h"

namespace taffrail {
namespace {

using Kind = ProducerVerdict::Kind;

Slice batch(int64_t producer, int16_t epoch, int32_t sequence, int32_t count = 1, int64_t base = 0) {
  BatchBuilder builder({.base_offset = Offset(base), .producer_id = ProducerId(producer),
                        .producer_epoch = ProducerEpoch(epoch), .base_sequence = Sequence(sequence)});
  for (int32_t i = 0; i < count; ++i) builder.add(1000 + i, "k", "v");
  return builder.finish();
}
EntryId at(int64_t index, int64_t term = 1) { return {LogIndex(index), Term(term)}; }

struct Table : ProducerTable {
  ProducerVerdict check(const Slice& bytes) const { return ProducerTable::check(*BatchView::parse(bytes)); }
  void apply(const Slice& bytes, EntryId entry) { ProducerTable::apply(*BatchView::parse(bytes), entry); }
  void speculate(const Slice& bytes, EntryId entry) { ProducerTable::speculate(*BatchView::parse(bytes), entry); }
};

TEST(Producers, WhoIsUnknownMayBeginAnywhereAndGoesOnByOnes) {
  Table table;
  EXPECT_EQ(table.check(batch(1, 0, 77)).kind, Kind::kAppend);
  table.apply(batch(1, 0, 77, 3, 100), at(1));
  EXPECT_EQ(table.check(batch(1, 0, 80)).kind, Kind::kAppend);
  EXPECT_EQ(table.check(batch(1, 0, 81)).kind, Kind::kOutOfOrder);
  EXPECT_EQ(table.check(batch(1, 0, 79)).kind, Kind::kOutOfOrder);
  EXPECT_EQ(table.check(batch(2, 0, 5)).kind, Kind::kAppend) << "another's";
}

TEST(Producers, TheLastFiveAreRememberedWithTheirPlaces) {
  Table table;
  for (int32_t i = 0; i < 7; ++i) table.apply(batch(1, 0, i * 2, 2, i * 10), at(i + 1));
  for (int32_t i = 0; i < 7; ++i) {
    const ProducerVerdict verdict = table.check(batch(1, 0, i * 2, 2));
    EXPECT_EQ(verdict.kind, i < 2 ? Kind::kOutOfOrder : Kind::kDuplicate) << i;
    if (i < 2) continue;
    EXPECT_EQ(verdict.original.base_offset, Offset(i * 10));
    EXPECT_EQ(verdict.original.entry, at(i + 1));
    EXPECT_EQ(verdict.original.timestamp, 1001);
  }
  // Half of one, or one and a half, was never sent.
  EXPECT_EQ(table.check(batch(1, 0, 12, 1)).kind, Kind::kOutOfOrder);
  EXPECT_EQ(table.check(batch(1, 0, 10, 4)).kind, Kind::kOutOfOrder);
}

TEST(Producers, SequencesWrapToZero) {
  Table table;
  table.apply(batch(1, 0, INT32_MAX - 1, 2), at(1));
  EXPECT_EQ(table.check(batch(1, 0, 0)).kind, Kind::kAppend);
  EXPECT_EQ(table.check(batch(1, 0, 1)).kind, Kind::kOutOfOrder);
  table.apply(batch(1, 0, 0), at(2));
  EXPECT_EQ(table.check(batch(1, 0, INT32_MAX - 1, 2)).kind, Kind::kDuplicate);
  // And inside of a batch.
  table.apply(batch(2, 0, INT32_MAX, 3), at(3));
  EXPECT_EQ(table.check(batch(2, 0, 2)).kind, Kind::kAppend);
}

TEST(Producers, EpochsFenceAndBeginAtZero) {
  Table table;
  table.apply(batch(1, 4, 10), at(1));
  EXPECT_EQ(table.check(batch(1, 3, 11)).kind, Kind::kStaleEpoch);
  EXPECT_EQ(table.check(batch(1, 5, 11)).kind, Kind::kOutOfOrder);
  EXPECT_EQ(table.check(batch(1, 5, 0)).kind, Kind::kAppend);
  table.apply(batch(1, 5, 0), at(2));
  EXPECT_EQ(table.check(batch(1, 4, 10)).kind, Kind::kStaleEpoch) << "what it had is forgotten with its epoch";
  EXPECT_EQ(table.applied().at(ProducerId(1)).count(), 1u);
}

TEST(Producers, SpeculationIsDecidedOnAndLeavesNothingBehindWhenItIsDropped) {
  Table table;
  table.apply(batch(1, 0, 0), at(1));
  const ProducerTable committed = table;
  table.speculate(batch(1, 0, 1), at(2));
  table.speculate(batch(1, 1, 0), at(3));
  table.speculate(batch(2, 0, 9), at(4));
  EXPECT_EQ(table.check(batch(1, 0, 2)).kind, Kind::kStaleEpoch);
  EXPECT_EQ(table.check(batch(1, 1, 0)).kind, Kind::kDuplicate) << "its original is not committed: the answer waits for it";
  EXPECT_EQ(table.check(batch(2, 0, 11)).kind, Kind::kOutOfOrder);
  EXPECT_EQ(table.applied(), committed.applied());
  EXPECT_EQ(table.encode(), committed.encode()) << "a snapshot is of what is committed";
  table.drop_speculation();
  EXPECT_EQ(table.check(batch(1, 0, 1)).kind, Kind::kAppend);
  EXPECT_EQ(table.check(batch(2, 0, 11)).kind, Kind::kAppend);
}

TEST(Producers, AppliedStateCatchesUpWithSpeculation) {
  Table table;
  for (int32_t i = 0; i < 3; ++i) table.speculate(batch(1, 0, i), at(i + 1));
  for (int32_t i = 0; i < 3; ++i) {
    table.apply(batch(1, 0, i), at(i + 1));
    EXPECT_EQ(table.check(batch(1, 0, 3)).kind, Kind::kAppend) << i;
    EXPECT_EQ(table.check(batch(1, 0, 2)).kind, Kind::kDuplicate) << i;
  }
  // A new leader's entries stand where the old one's speculation stood: the applied table is theirs alone.
  table.speculate(batch(1, 0, 3), at(4));
  table.drop_speculation();
  table.apply(batch(1, 0, 3, 2), at(4, 2));
  EXPECT_EQ(table.check(batch(1, 0, 5)).kind, Kind::kAppend);
}

TEST(Producers, AnExpiryTakesOnlyWhoWroteNothingSince) {
  Table table;
  table.apply(batch(1, 0, 0), at(1));
  table.apply(batch(2, 0, 0), at(2));
  table.apply(batch(2, 0, 1), at(3));
  table.apply_expiry(ProducerId(1), at(1));
  table.apply_expiry(ProducerId(2), at(2));
  table.apply_expiry(ProducerId(3), at(3));
  EXPECT_FALSE(table.applied().contains(ProducerId(1)));
  EXPECT_TRUE(table.applied().contains(ProducerId(2)));
  EXPECT_EQ(table.check(batch(1, 0, 55)).kind, Kind::kAppend) << "forgotten: it may begin anywhere";
}

TEST(Producers, ControlBatchesAndBatchesOfNobodyChangeNothing) {
  Table table;
  BatchBuilder nobody;
  nobody.add(-1, "k", "v");
  table.apply(nobody.finish(), at(1));
  BatchBuilder control({.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .control = true});
  control.add(-1, "k", "v");
  table.apply(control.finish(), at(2));
  EXPECT_EQ(table.size(), 0u);
}

TEST(Producers, ASnapshotThatIsNotWholeIsAnError) {
  Table table;
  for (int32_t i = 0; i < 6; ++i) table.apply(batch(1 + i % 2, 0, i / 2), at(i + 1));
  const Slice whole = table.encode();
  for (size_t size = 0; size < whole.size(); ++size) {
    ProducerTable other;
    EXPECT_FALSE(other.decode(whole.view().first(size)).has_value()) << size;
    EXPECT_EQ(other.size(), 0u) << "half a table was taken";
  }
  ProducerTable longer;
  EXPECT_FALSE(longer.decode(as_bytes(std::string(as_text(whole)) + "x")).has_value());
  std::string newer(as_text(whole));
  newer[1] = 99;
  EXPECT_EQ(ProducerTable().decode(as_bytes(newer)).error().code, Errc::kUnsupported);
  std::string lying(as_text(whole));
  lying.replace(2, 4, "\x7f\xff\xff\xff");
  EXPECT_FALSE(ProducerTable().decode(as_bytes(lying)).has_value());
}

// For every run of batches, speculated first or not, dropped in between or not: what is applied is what a replay of
// the committed ones gives, and a snapshot of it comes back as it was.
RC_GTEST_PROP(Producers, LiveIsReplayed, (uint64_t key)) {
  CounterRandom random(key);
  Table live;
  Table replayed;
  int64_t index = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::pair<Slice, EntryId>> tail;
    for (uint64_t n = random.below(6); n > 0; --n) {
      const auto producer = random.between(1, 3);
      const auto epoch = static_cast<int16_t>(random.below(2));
      const auto sequence = static_cast<int32_t>(random.below(4));
      const auto count = static_cast<int32_t>(1 + random.below(3));
      Slice bytes = batch(producer, epoch, sequence, count);
      if (live.check(bytes).kind != Kind::kAppend) continue;
      const EntryId entry = at(++index, round + 1);
      live.speculate(bytes, entry);
      tail.push_back({bytes, entry});
    }
    // Some prefix of it is committed; with the rest goes a step-down, or the next round's speculation on top.
    const size_t committed = random.below(tail.size() + 1);
    for (size_t i = 0; i < committed; ++i) {
      live.apply(tail[i].first, tail[i].second);
      replayed.apply(tail[i].first, tail[i].second);
    }
    if (committed < tail.size()) {
      index = committed == 0 ? index - static_cast<int64_t>(tail.size()) : tail[committed - 1].second.index.value;
      live.drop_speculation();
    }
    RC_ASSERT(live.applied() == replayed.applied());
  }
  ProducerTable back;
  RC_ASSERT(back.decode(live.encode()).has_value());
  RC_ASSERT(back.applied() == live.applied());
}

}  // namespace
}  // namespace taffrail
