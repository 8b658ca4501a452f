// Goal: a batch is what Kafka's documentation says it is, and an in-place fill keeps it one.
// Method: known bytes, built batches read back, and batches cut or bent in one place each.
#include "record/batch.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/crc32c.h"
#include "record/builder.h"
#include "record/records.h"

namespace taffrail {
namespace {

// One record k/v at 1700000000000, no producer; CRC from Kafka's own library.
std::string known_batch() {
  return from_hex(
      "0000000000000000"
      "0000003a"
      "ffffffff"
      "02"
      "e99b8dd8"
      "0000"
      "00000000"
      "0000018bcfe56800"
      "0000018bcfe56800"
      "ffffffffffffffff"
      "ffff"
      "ffffffff"
      "00000001"
      "10"
      "00"
      "00"
      "00"
      "02"
      "6b"
      "02"
      "76"
      "00");
}

std::string bent(std::string bytes, size_t at, char value) {
  bytes[at] = value;
  return bytes;
}

TEST(BatchView, ReadsAKnownBatch) {
  const std::string bytes = known_batch();
  const BatchView batch = *BatchView::parse(as_bytes(bytes));
  EXPECT_TRUE(batch.check_crc());
  EXPECT_EQ(batch.header(), (BatchHeader{.length = 58,
                                         .crc = 0xe99b8dd8,
                                         .base_timestamp = 1700000000000,
                                         .max_timestamp = 1700000000000,
                                         .record_count = 1}));
  EXPECT_EQ(batch.codec(), Codec::kNone);
  EXPECT_FALSE(batch.has_producer());
  EXPECT_EQ(batch.last_sequence(), kNoSequence);
}

TEST(BatchBuilder, WritesTheKnownBatch) {
  BatchBuilder builder;
  builder.add(1700000000000, "k", "v");
  EXPECT_EQ(to_hex(builder.finish()), to_hex(as_bytes(known_batch())));
}

TEST(BatchBuilder, RecordsThatACodecMakesNoSmallerStayAsTheyAre) {
  for (const size_t size : {size_t{1}, size_t{5'000}}) {
    BatchBuilder builder({.codec = Codec::kGzip, .only_if_smaller = true});
    builder.add(1, "k", std::string(size, 'x'));
    const size_t plain = builder.size_bytes();
    const Slice bytes = builder.finish();
    EXPECT_LE(bytes.size(), plain);
    EXPECT_EQ(BatchView::parse(bytes)->codec(), size == 1 ? Codec::kNone : Codec::kGzip);
  }
}

TEST(BatchView, RefusesWhatCannotBeABatch) {
  const std::string good = known_batch();
  const auto code_of = [](std::string_view bytes) {
    return BatchView::parse(as_bytes(bytes)).error().code;
  };
  EXPECT_EQ(code_of(""), Errc::kOutOfRange);
  EXPECT_EQ(code_of(good.substr(0, good.size() - 1)), Errc::kOutOfRange);
  EXPECT_EQ(code_of(bent(good, 16, 0)), Errc::kUnsupported);
  EXPECT_EQ(code_of(bent(good, 16, 1)), Errc::kUnsupported);
  EXPECT_EQ(code_of(bent(good, 16, 3)), Errc::kCorrupt);
  EXPECT_EQ(code_of(bent(good, 11, 48)), Errc::kCorrupt) << "a length shorter than the header";
  EXPECT_EQ(code_of(bent(good, 8, '\x80')), Errc::kCorrupt) << "a negative length";
  EXPECT_EQ(code_of(bent(good, 23, '\x80')), Errc::kCorrupt) << "a negative offset delta";
  EXPECT_EQ(code_of(bent(good, 57, '\x80')), Errc::kCorrupt) << "a negative count";
}

TEST(BatchView, OffsetsPastTheEndOfTheirRangeAreRefused) {
  std::string bytes = known_batch();
  const MutableBytes raw(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  set_base_offset(raw, Offset(INT64_MAX - 1));
  EXPECT_TRUE(BatchView::parse(raw).has_value());
  set_base_offset(raw, Offset(INT64_MAX));
  EXPECT_EQ(BatchView::parse(raw).error().code, Errc::kCorrupt);
}

TEST(BatchFills, TouchNothingElseAndKeepTheCrc) {
  BatchBuilder builder({.codec = Codec::kLz4,
                        .producer_id = ProducerId(9),
                        .producer_epoch = ProducerEpoch(2),
                        .base_sequence = Sequence(5)});
  builder.add(100, "a", "1");
  builder.add(90, "b", "2");
  const Slice bytes = builder.finish();
  const BatchHeader before = BatchView::parse(bytes)->header();

  set_base_offset(bytes.mutable_view(), Offset(77));
  set_leader_epoch(bytes.mutable_view(), 3);
  const BatchView batch = *BatchView::parse(bytes);
  EXPECT_TRUE(batch.check_crc());
  BatchHeader expected = before;
  expected.base_offset = 77;
  expected.leader_epoch = 3;
  EXPECT_EQ(batch.header(), expected);
  EXPECT_EQ(batch.last_offset(), Offset(78));
  EXPECT_EQ(batch.last_sequence(), Sequence(6));

  set_log_append_time(bytes.mutable_view(), 5000);
  EXPECT_TRUE(batch.check_crc());
  EXPECT_NE(batch.crc(), before.crc);
  EXPECT_EQ(batch.timestamp_type(), TimestampType::kLogAppendTime);
  RecordWalk records = *RecordWalk::open(batch);
  EXPECT_EQ((*records.next())->timestamp, 5000);
  EXPECT_EQ((*records.next())->timestamp, 5000);
}

TEST(BatchWalk, StopsQuietlyBeforeAPartOfABatch) {
  const std::string two = known_batch() + known_batch();
  for (size_t cut = known_batch().size(); cut < two.size(); ++cut) {
    BatchWalk walk(as_bytes(two).first(cut));
    EXPECT_TRUE(walk.next()->has_value());
    EXPECT_FALSE(walk.next()->has_value()) << cut;
    EXPECT_EQ(walk.position(), known_batch().size());
    EXPECT_EQ(walk.rest().size(), cut - known_batch().size());
  }
  BatchWalk whole(as_bytes(two));
  EXPECT_TRUE(whole.next()->has_value());
  EXPECT_TRUE(whole.next()->has_value());
  EXPECT_FALSE(whole.next()->has_value());
}

TEST(BatchWalk, NamesThePlaceOfDamage) {
  const std::string bytes = known_batch() + bent(known_batch(), 16, 9);
  BatchWalk walk(as_bytes(bytes));
  EXPECT_TRUE(walk.next()->has_value());
  EXPECT_EQ(walk.next().error().text(), "corrupt: at byte 70: batch magic 9");
}

TEST(RecordWalk, KeepsNullsEmptyValuesAndHeaders) {
  BatchBuilder builder({.base_offset = Offset(10)});
  const std::vector<RecordHeader> headers = {
      {as_bytes("h"), as_bytes("1")}, {as_bytes("h"), std::nullopt}, {as_bytes(""), as_bytes("")}};
  builder.add(5, std::nullopt, std::nullopt);
  builder.add_at(4, 3, as_bytes(""), as_bytes(""), headers);
  const Slice bytes = builder.finish();
  RecordWalk records = *RecordWalk::open(*BatchView::parse(bytes));

  const RecordView first = **records.next();
  EXPECT_FALSE(first.key.has_value());
  EXPECT_FALSE(first.value.has_value());
  EXPECT_EQ(first.timestamp, 5);
  RecordView second = **records.next();
  EXPECT_EQ(second.offset, Offset(14));
  EXPECT_EQ(second.timestamp, 3);
  EXPECT_EQ(second.key->size(), 0u);
  EXPECT_EQ(second.headers.left(), 3);
  EXPECT_EQ(as_text(*second.headers.next()->value), "1");
  EXPECT_FALSE(second.headers.next()->value.has_value());
  EXPECT_TRUE(second.headers.next()->key.empty());
  EXPECT_FALSE(second.headers.next().has_value());
  EXPECT_FALSE(records.next()->has_value());
}

TEST(RecordWalk, ABatchThatCompactionEmptiedHasNoRecords) {
  BatchBuilder builder({.producer_id = ProducerId(1),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = Sequence(0),
                        .last_offset_delta = 9});
  const Slice bytes = builder.finish();
  EXPECT_EQ(bytes.size(), BatchLayout::kHeaderSize);
  const BatchView batch = *BatchView::parse(bytes);
  EXPECT_EQ(batch.next_offset(), Offset(10));
  EXPECT_FALSE(RecordWalk::open(batch)->next()->has_value());
}

TEST(RecordWalk, ACountThatCannotBeIsRefusedBeforeAnythingIsRead) {
  std::string bytes = known_batch();
  bytes[57] = 0x7f;
  EXPECT_EQ(RecordWalk::open(*BatchView::parse(as_bytes(bytes))).error().code, Errc::kCorrupt);
}

TEST(FindByTimestamp, FirstRecordThatIsLateEnough) {
  BatchBuilder builder({.codec = Codec::kZstd, .base_offset = Offset(100)});
  for (const int64_t t : {10, 30, 20, 30}) builder.add(t, "k", "v");
  const Slice bytes = builder.finish();
  const BatchView batch = *BatchView::parse(bytes);
  EXPECT_EQ(*find_by_timestamp(batch, 0, Offset(0)), (TimestampedOffset{Offset(100), 10}));
  EXPECT_EQ(*find_by_timestamp(batch, 11, Offset(0)), (TimestampedOffset{Offset(101), 30}));
  EXPECT_EQ(*find_by_timestamp(batch, 11, Offset(102)), (TimestampedOffset{Offset(102), 20}));
  EXPECT_EQ(*find_by_timestamp(batch, 31, Offset(0)), std::nullopt);
  EXPECT_EQ(*find_by_timestamp(batch, 0, Offset(104)), std::nullopt);
  EXPECT_EQ(*find_max_timestamp(batch), (TimestampedOffset{Offset(101), 30}));
}

TEST(Sequence, WrapsFromTheLastToZero) {
  constexpr int32_t kMax = INT32_MAX;
  EXPECT_EQ(increment(Sequence(kMax), 0), Sequence(kMax));
  EXPECT_EQ(increment(Sequence(kMax), 1), Sequence(0));
  EXPECT_EQ(increment(Sequence(kMax - 2), 5), Sequence(2));
  EXPECT_EQ(increment(Sequence(kMax - 1), 1), Sequence(kMax));
  EXPECT_EQ(increment(Sequence(5), kMax), Sequence(4));
  EXPECT_EQ(increment(Sequence(1), kMax), Sequence(0));
  EXPECT_EQ(decrement(Sequence(0), 1), Sequence(kMax));
  EXPECT_EQ(decrement(Sequence(2), 5), Sequence(2147483645));
  EXPECT_EQ(decrement(Sequence(kMax), kMax), Sequence(0));
}

}  // namespace
}  // namespace taffrail
