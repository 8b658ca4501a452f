// Goal: a broker refuses what Kafka refuses, with the same error, and looks no deeper than it has
// to. Method: one acceptable batch, and for each rule a batch that breaks just that one.
#include "record/validate.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "record/builder.h"

namespace taffrail {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

Slice batch_of(BatchOptions options, int records = 3, int64_t timestamp = kNow) {
  BatchBuilder builder(options);
  for (int i = 0; i < records; ++i) builder.add(timestamp, "key", "value");
  return builder.finish();
}

ValidateOptions at_now() { return {.now_ms = kNow}; }

// Puts `value` at `at`, and the CRC right again.
Slice with(const Slice& batch, size_t at, uint8_t value) {
  const Slice copy(batch.view());
  copy.mutable_view()[at] = value;
  ByteWriter crc;
  crc.u32(crc32c(copy.view().subspan(BatchLayout::kAttributes)));
  std::memcpy(copy.mutable_view().data() + BatchLayout::kCrc, crc.view().data(), 4);
  return copy;
}

BatchFault fault_of(ByteView bytes, const ValidateOptions& options = at_now()) {
  const auto accepted = validate_produced(bytes, options);
  EXPECT_FALSE(accepted.has_value());
  return accepted ? BatchFault{} : accepted.error().fault;
}

TEST(ValidateProduced, TakesAGoodBatchOfEveryCodec) {
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    ValidateOptions options = at_now();
    options.check_records = true;
    const Slice bytes = batch_of({.codec = codec});
    const auto accepted = validate_produced(bytes, options);
    ASSERT_TRUE(accepted.has_value()) << accepted.error().message;
    EXPECT_EQ(accepted->record_count(), 3);
  }
}

TEST(ValidateProduced, WantsExactlyOneWholeBatch) {
  const Slice one = batch_of({});
  const std::string two = std::string(as_text(one)) + std::string(as_text(one));
  EXPECT_EQ(fault_of({}), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(as_bytes(two)), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(one.view().first(one.size() - 1)), BatchFault::kInvalidRecord);
}

TEST(ValidateProduced, DoesNotTakeOldMessageFormats) {
  EXPECT_EQ(fault_of(with(batch_of({}), BatchLayout::kMagic, 1)), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(with(batch_of({}), BatchLayout::kMagic, 0)), BatchFault::kInvalidRecord);
}

TEST(ValidateProduced, AFlippedBitIsCorrupt) {
  const Slice bytes = batch_of({});
  bytes.mutable_view().back() ^= 1;
  EXPECT_EQ(fault_of(bytes), BatchFault::kCorrupt);
}

TEST(ValidateProduced, SizeIsThatOfTheBatchAsItArrived) {
  const Slice bytes = batch_of({});
  ValidateOptions options = at_now();
  options.max_size_bytes = bytes.size();
  EXPECT_TRUE(validate_produced(bytes, options).has_value());
  options.max_size_bytes = bytes.size() - 1;
  EXPECT_EQ(fault_of(bytes, options), BatchFault::kTooLarge);
}

TEST(ValidateProduced, CodecsThatAreNotAllowed) {
  ValidateOptions before_v7 = at_now();
  before_v7.allow_zstd = false;
  EXPECT_EQ(fault_of(batch_of({.codec = Codec::kZstd}), before_v7),
            BatchFault::kUnsupportedCompression);
  for (const uint8_t number : {5, 6, 7})
    EXPECT_EQ(fault_of(with(batch_of({}), BatchLayout::kAttributes + 1, number)),
              BatchFault::kUnsupportedCompression);
}

TEST(ValidateProduced, OffsetsCountTheRecords) {
  EXPECT_EQ(fault_of(batch_of({}, 0)), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(batch_of({.last_offset_delta = 5})), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(batch_of({.base_offset = Offset(1)})), BatchFault::kInvalidRecord);
}

TEST(ValidateProduced, WhatOnlyBrokersMayWrite) {
  EXPECT_EQ(fault_of(batch_of({.control = true})), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(batch_of({.delete_horizon_ms = kNow})), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(batch_of(
                {.timestamp_type = TimestampType::kLogAppendTime, .max_timestamp_ms = kNow})),
            BatchFault::kInvalidTimestamp);
}

TEST(ValidateProduced, AProducerCountsItsRecords) {
  EXPECT_EQ(fault_of(batch_of({.producer_id = ProducerId(4), .producer_epoch = ProducerEpoch(0)})),
            BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(batch_of({.transactional = true})), BatchFault::kInvalidRecord);
  EXPECT_TRUE(validate_produced(batch_of({.producer_id = ProducerId(4),
                                          .producer_epoch = ProducerEpoch(0),
                                          .base_sequence = Sequence(0),
                                          .transactional = true}),
                                at_now()));
}

TEST(ValidateProduced, TimestampsNearTheClock) {
  ValidateOptions options = at_now();
  EXPECT_TRUE(validate_produced(batch_of({}, 1, kNow + options.after_max_ms), options));
  EXPECT_EQ(fault_of(batch_of({}, 1, kNow + options.after_max_ms + 1)),
            BatchFault::kInvalidTimestamp);
  EXPECT_EQ(fault_of(batch_of({}, 1, INT64_MAX)), BatchFault::kInvalidTimestamp);
  EXPECT_TRUE(validate_produced(batch_of({}, 1, 0), options));
  EXPECT_TRUE(validate_produced(batch_of({}, 1, -1), options)) << "no timestamp";
  options.before_max_ms = 10;
  EXPECT_EQ(fault_of(batch_of({}, 1, kNow - 11), options), BatchFault::kInvalidTimestamp);
  EXPECT_TRUE(validate_produced(batch_of({}, 1, kNow - 10), options));
  options.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_TRUE(validate_produced(batch_of({}, 1, INT64_MAX), options));
}

TEST(ValidateProduced, NamesEachRecordWithoutAKey) {
  BatchBuilder builder({.codec = Codec::kGzip});
  builder.add(kNow, "k", "v");
  builder.add(kNow, std::nullopt, as_bytes("v"));
  builder.add(kNow, as_bytes(""), as_bytes("v"));
  builder.add(kNow, std::nullopt, as_bytes("v"));
  const Slice bytes = builder.finish();
  EXPECT_TRUE(validate_produced(bytes, at_now()).has_value());

  ValidateOptions compacted = at_now();
  compacted.require_keys = true;
  const auto refused = validate_produced(bytes, compacted);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().fault, BatchFault::kInvalidRecord);
  ASSERT_EQ(refused.error().records.size(), 2u);
  EXPECT_EQ(refused.error().records[0].index, 1);
  EXPECT_EQ(refused.error().records[1].index, 3);
}

TEST(ValidateProduced, LooksIntoCompressedRecordsOnlyWhenAsked) {
  // A payload that begins like its codec's and is nothing, under a correct CRC.
  const Slice zstd = batch_of({.codec = Codec::kZstd});
  const Slice lying = with(zstd, zstd.size() - 1, zstd.view().back() ^ 0xff);
  const Slice worse = with(lying, BatchLayout::kRecords + 5, 0xff);
  EXPECT_TRUE(validate_produced(worse, at_now()).has_value());
  ValidateOptions options = at_now();
  options.check_records = true;
  EXPECT_EQ(fault_of(worse, options), BatchFault::kInvalidRecord);
}

TEST(ValidateProduced, APayloadThatCannotBeItsCodecsIsRefusedUnread) {
  for (const uint8_t codec : {1, 3, 4})
    EXPECT_EQ(fault_of(with(batch_of({}), BatchLayout::kAttributes + 1, codec)), BatchFault::kInvalidRecord)
        << int{codec};
}

TEST(ValidateProduced, LinkedLz4BlocksAreRefusedUnread) {
  // Kafka refuses them too, having decompressed: its Java reader wants the flag, whatever the blocks do.
  const Slice good = batch_of({.codec = Codec::kLz4});
  ASSERT_TRUE(validate_produced(good, at_now()).has_value());
  const size_t flags = BatchLayout::kRecords + 4;
  const auto refused = validate_produced(with(good, flags, good.view()[flags] & ~0x20), at_now());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().fault, BatchFault::kInvalidRecord);
  EXPECT_NE(refused.error().message.find("linked blocks"), std::string::npos) << refused.error().message;
}

TEST(ValidateProduced, PlainRecordsAreCountedAndFillTheBatch) {
  const Slice three = batch_of({});
  const auto counted = [&](uint8_t count) {
    return with(with(three, BatchLayout::kRecordCount + 3, count), BatchLayout::kLastOffsetDelta + 3,
                static_cast<uint8_t>(count - 1));
  };
  EXPECT_TRUE(validate_produced(counted(3), at_now()).has_value());
  EXPECT_EQ(fault_of(counted(2)), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(counted(4)), BatchFault::kInvalidRecord);
  EXPECT_EQ(fault_of(with(three, BatchLayout::kRecords, 0x7f)), BatchFault::kInvalidRecord) << "a negative length";
  EXPECT_EQ(fault_of(with(three, BatchLayout::kRecords, 0x7e)), BatchFault::kInvalidRecord) << "a length past the end";
  // Length, attributes, timestamp delta, and then the offset delta of the first record.
  EXPECT_EQ(fault_of(with(three, BatchLayout::kRecords + 3, 2)), BatchFault::kInvalidRecord);
}

}  // namespace
}  // namespace taffrail
