// Goal: a batch in another codec is the same batch: the same records at the same offsets, of the same producer.
// Method: batches with everything that a header may say, from every codec to every other.
#include "record/recompress.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "record/builder.h"
#include "record/records.h"

namespace taffrail {
namespace {

constexpr Codec kAll[] = {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

struct Read {
  Offset offset;
  int64_t timestamp;
  std::string key, value, header;
  bool operator==(const Read&) const = default;
};

std::vector<Read> records_of(const BatchView& batch) {
  std::vector<Read> out;
  auto walk = RecordWalk::open(batch);
  EXPECT_TRUE(walk.has_value());
  while (walk) {
    auto record = walk->next();
    EXPECT_TRUE(record.has_value());
    if (!record || !*record) break;
    RecordView& r = **record;
    const auto header = r.headers.next();
    out.push_back({r.offset, r.timestamp, std::string(r.key ? as_text(*r.key) : "null"),
                   std::string(r.value ? as_text(*r.value) : "null"), std::string(header ? as_text(header->key) : "")});
  }
  return out;
}

Slice rich_batch(Codec codec) {
  BatchBuilder builder({.codec = codec, .base_offset = Offset(900), .leader_epoch = 4, .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(2), .base_sequence = Sequence(INT32_MAX - 1),
                        .transactional = true, .last_offset_delta = 9});
  const RecordHeader header{as_bytes("h"), std::nullopt};
  builder.add(1000, "a", std::string(300, 'x'));
  builder.add(3000, as_bytes("b"), std::nullopt, std::span(&header, 1));
  builder.add_at(7, 2000, std::nullopt, as_bytes("c"));  // A hole before it, and another behind.
  return builder.finish();
}

TEST(Recompress, OnlyTheCodecChanges) {
  for (const Codec from : kAll) {
    const Slice before = rich_batch(from);
    const BatchView old = *BatchView::parse(before);
    for (const Codec to : kAll) {
      const auto after = recompress(old, to);
      ASSERT_TRUE(after.has_value()) << after.error().text();
      const auto batch = BatchView::parse(*after);
      ASSERT_TRUE(batch.has_value()) << batch.error().text();
      EXPECT_EQ(batch->size_bytes(), after->size());
      EXPECT_TRUE(batch->check_crc());
      EXPECT_EQ(batch->codec(), to);
      BatchHeader expected = old.header();
      expected.length = batch->header().length;
      expected.crc = batch->header().crc;
      expected.attributes = static_cast<uint16_t>((expected.attributes & ~BatchAttributes::kCodecMask) | static_cast<uint16_t>(to));
      EXPECT_EQ(batch->header(), expected);
      EXPECT_EQ(records_of(*batch), records_of(old));
    }
  }
}

TEST(Recompress, ThereAndBackIsTheSameBytes) {
  const Slice plain = rich_batch(Codec::kNone);
  for (const Codec codec : kAll) {
    const auto packed = recompress(*BatchView::parse(plain), codec);
    ASSERT_TRUE(packed.has_value());
    const auto back = recompress(*BatchView::parse(*packed), Codec::kNone);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, plain) << codec_name(codec);
  }
}

TEST(Recompress, WhatDoesNotDecompressIsAnErrorAndABombStopsAtItsLimit) {
  BatchBuilder builder({.codec = Codec::kGzip});
  builder.add(-1, "k", std::string(1 << 20, '\0'));
  const Slice bomb = builder.finish();
  const BatchView batch = *BatchView::parse(bomb);
  const auto stopped = recompress(batch, Codec::kNone, {.max_bytes = 64 << 10});
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().code, Errc::kTooLarge);

  bomb.mutable_view()[BatchLayout::kRecords + 12] ^= 0xff;
  const auto broken = recompress(batch, Codec::kNone);
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code, Errc::kCorrupt);

  bomb.mutable_view()[BatchLayout::kAttributes + 1] = 7;
  EXPECT_EQ(recompress(batch, Codec::kNone).error().code, Errc::kUnsupported);
}

}  // namespace
}  // namespace taffrail
