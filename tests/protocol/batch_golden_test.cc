// Goal: batches of Kafka's own library, and payloads as other clients write them, read as its
// reader reads them. Method: every field of the golden rows; what is not compressed is built again
// from them, byte for byte.
#include <gtest/gtest.h>

#include "protocol/support/golden.h"
#include "record/batch.h"
#include "record/builder.h"
#include "record/records.h"
#include "record/validate.h"

namespace taffrail {
namespace {

using nlohmann::json;

std::string hex_or_null(const std::optional<ByteView>& bytes) {
  return bytes ? to_hex(*bytes) : "null";
}
std::string hex_or_null(const json& field) {
  return field.is_null() ? "null" : field.get<std::string>();
}

void check_header(const BatchView& batch, const json& want) {
  const BatchHeader expected{.base_offset = want.at("baseOffset"),
                             .length = want.at("batchLength"),
                             .leader_epoch = want.at("partitionLeaderEpoch"),
                             .magic = want.at("magic"),
                             .crc = want.at("crc"),
                             .attributes = want.at("attributes").at("raw"),
                             .last_offset_delta = want.at("lastOffsetDelta"),
                             .base_timestamp = want.at("baseTimestamp"),
                             .max_timestamp = want.at("maxTimestamp"),
                             .producer_id = want.at("producerId"),
                             .producer_epoch = want.at("producerEpoch"),
                             .base_sequence = want.at("baseSequence"),
                             .record_count = want.at("recordCount")};
  EXPECT_EQ(batch.header(), expected);
  EXPECT_TRUE(batch.check_crc());
  EXPECT_EQ(batch.last_offset().value, want.at("lastOffset"));
  EXPECT_EQ(batch.next_offset().value, want.at("nextOffset"));
  EXPECT_EQ(batch.last_sequence().value, want.at("lastSequence"));
  const json& attributes = want.at("attributes");
  EXPECT_EQ(codec_name(*batch.codec()), attributes.at("codec").get<std::string>());
  EXPECT_EQ(timestamp_type_name(batch.timestamp_type()),
            attributes.at("timestampType").get<std::string>());
  EXPECT_EQ(batch.is_transactional(), attributes.at("transactional"));
  EXPECT_EQ(batch.is_control(), attributes.at("control"));
  EXPECT_EQ(batch.delete_horizon_ms().has_value(), attributes.at("deleteHorizon"));
}

void check_record(const BatchView& batch, RecordView record, const json& want) {
  EXPECT_EQ(record.length, want.at("length"));
  EXPECT_EQ(record.attributes, want.at("attributes"));
  EXPECT_EQ(record.timestamp_delta, want.at("timestampDelta"));
  EXPECT_EQ(record.offset_delta, want.at("offsetDelta"));
  EXPECT_EQ(record.offset.value, want.at("offset"));
  EXPECT_EQ(record.timestamp, want.at("timestamp"));
  const Sequence base = batch.base_sequence();
  EXPECT_EQ(base.value < 0 ? -1 : increment(base, record.offset_delta).value, want.at("sequence"));
  EXPECT_EQ(hex_or_null(record.key), hex_or_null(want.at("key")));
  EXPECT_EQ(hex_or_null(record.value), hex_or_null(want.at("value")));
  for (const json& header : want.at("headers")) {
    const auto seen = record.headers.next();
    ASSERT_TRUE(seen.has_value());
    EXPECT_EQ(to_hex(seen->key), header.at(0).get<std::string>());
    EXPECT_EQ(hex_or_null(seen->value), hex_or_null(header.at(1)));
  }
  EXPECT_FALSE(record.headers.next().has_value());
}

BatchOptions options_of(const BatchView& batch) {
  return {.timestamp_type = batch.timestamp_type(),
          .max_timestamp_ms = batch.max_timestamp(),
          .base_offset = batch.base_offset(),
          .leader_epoch = batch.leader_epoch(),
          .producer_id = batch.producer_id(),
          .producer_epoch = batch.producer_epoch(),
          .base_sequence = batch.base_sequence(),
          .transactional = batch.is_transactional(),
          .control = batch.is_control(),
          .delete_horizon_ms = batch.delete_horizon_ms(),
          .last_offset_delta = batch.last_offset_delta()};
}

void check_batch(const BatchView& batch, const json& want) {
  check_header(batch, want);
  auto walk = RecordWalk::open(batch);
  ASSERT_TRUE(walk.has_value()) << walk.error().text();
  if (want.contains("payloadHex")) {
    EXPECT_EQ(to_hex(walk->payload()), want.at("payloadHex").get<std::string>());
  }

  BatchBuilder builder(options_of(batch));
  for (const json& record : want.at("records")) {
    const auto seen = walk->next();
    ASSERT_TRUE(seen.has_value()) << seen.error().text();
    ASSERT_TRUE(seen->has_value());
    check_record(batch, **seen, record);
    std::vector<RecordHeader> headers;
    HeaderWalk at = (*seen)->headers;
    while (const auto header = at.next()) headers.push_back(*header);
    builder.add_at((*seen)->offset_delta, batch.base_timestamp() + (*seen)->timestamp_delta,
                   (*seen)->key, (*seen)->value, headers);
  }
  const auto end = walk->next();
  ASSERT_TRUE(end.has_value()) << end.error().text();
  EXPECT_FALSE(end->has_value());
  if (batch.codec() == Codec::kNone) {
    EXPECT_EQ(to_hex(builder.finish()), to_hex(batch.bytes()));
  } else {
    const Slice plain = builder.finish();
    EXPECT_EQ(to_hex(BatchView::parse(plain)->payload()), to_hex(walk->payload()));
  }
}

TEST(GoldenBatches, ReadAsKafkasOwnReaderReadsThem) {
  int batches = 0;
  for (const json& row : golden_rows(golden_dir() / "batches.jsonl")) {
    SCOPED_TRACE(row.at("kind").get<std::string>() + " " + row.at("codec").get<std::string>());
    const Slice bytes = slice_of_hex(row.at("hex"));
    if (row.at("kind") == "bad-crc") {
      EXPECT_FALSE(BatchView::parse(bytes)->check_crc());
      EXPECT_EQ(validate_produced(bytes, {}).error().fault, BatchFault::kCorrupt);
      continue;
    }
    BatchWalk walk(bytes);
    for (const json& want : row.at("json")) {
      const auto batch = walk.next();
      ASSERT_TRUE(batch.has_value()) << batch.error().text();
      ASSERT_TRUE(batch->has_value());
      check_batch(**batch, want);
      ++batches;
    }
    EXPECT_FALSE(walk.next()->has_value());
    EXPECT_EQ(walk.rest().empty(), row.at("kind") != "truncated-tail");
  }
  EXPECT_GT(batches, 100);
}

TEST(GoldenBatches, OldMessageFormatsAreRecognisedAndRefused) {
  int rows = 0;
  for (const json& row : golden_rows(golden_dir() / "batches-legacy.jsonl")) {
    const Slice bytes = slice_of_hex(row.at("hex"));
    BatchWalk walk(bytes);
    EXPECT_EQ(walk.next().error().code, Errc::kUnsupported);
    EXPECT_EQ(validate_produced(bytes, {}).error().fault, BatchFault::kInvalidRecord);
    ++rows;
  }
  EXPECT_GT(rows, 10);
}

}  // namespace
}  // namespace taffrail
