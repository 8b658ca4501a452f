// For every batch that can be built, reading gives back what was put in; and whatever is then done
// to its bytes, reading ends in an answer or an error, within its limits.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "base/varint.h"
#include "record/builder.h"
#include "record/records.h"
#include "record/support/batch_body.h"

namespace taffrail {
namespace {

struct OwnedRecord {
  int32_t offset_delta = 0;
  int64_t timestamp = 0;
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

std::string text_of(Random& random) {
  std::string text(random.below(random.chance(1, 10) ? 3000 : 20), '\0');
  for (char& c : text) c = static_cast<char>('a' + random.below(4));
  return text;
}
std::optional<std::string> maybe_text(Random& random) {
  if (random.chance(1, 4)) return {};
  return text_of(random);
}
std::optional<ByteView> view_of(const std::optional<std::string>& text) {
  if (!text) return {};
  return as_bytes(*text);
}

std::vector<OwnedRecord> records_of(Random& random) {
  std::vector<OwnedRecord> records(random.below(20));
  int32_t delta = 0;
  for (OwnedRecord& r : records) {
    r.offset_delta = delta;
    delta += 1 + static_cast<int32_t>(random.chance(1, 5) ? random.below(1000) : 0);
    r.timestamp = random.between(-1, 100'000);
    r.key = maybe_text(random);
    r.value = maybe_text(random);
    r.headers.resize(random.chance(1, 3) ? random.below(4) : 0);
    for (auto& [key, value] : r.headers) {
      key = text_of(random);
      value = maybe_text(random);
    }
  }
  return records;
}

Slice build(const std::vector<OwnedRecord>& records, BatchOptions options) {
  BatchBuilder builder(options);
  for (const OwnedRecord& r : records) {
    std::vector<RecordHeader> headers;
    for (const auto& [key, value] : r.headers) headers.push_back({as_bytes(key), view_of(value)});
    builder.add_at(r.offset_delta, r.timestamp, view_of(r.key), view_of(r.value), headers);
  }
  return builder.finish();
}

bool same(const std::optional<ByteView>& a, const std::optional<std::string>& b) {
  return a.has_value() == b.has_value() && (!a || as_text(*a) == *b);
}

RC_GTEST_PROP(Records, ComeBackAsTheyWereAdded, (uint64_t key)) {
  CounterRandom random(key);
  const auto records = records_of(random);
  BatchOptions options{.codec = static_cast<Codec>(random.below(5))};
  options.base_offset = Offset(random.between(0, 1'000'000'000'000));
  const Slice bytes = build(records, options);
  const BatchView batch = *BatchView::parse(bytes);
  RC_ASSERT(batch.check_crc());
  RC_ASSERT(batch.record_count() == static_cast<int32_t>(records.size()));

  RecordWalk walk = *RecordWalk::open(batch);
  for (const OwnedRecord& r : records) {
    RecordView seen = **walk.next();
    RC_ASSERT(seen.offset == options.base_offset + r.offset_delta);
    RC_ASSERT(seen.timestamp == r.timestamp);
    RC_ASSERT(same(seen.key, r.key) && same(seen.value, r.value));
    for (const auto& [name, value] : r.headers) {
      const auto header = seen.headers.next();
      RC_ASSERT(as_text(header->key) == name && same(header->value, value));
    }
    RC_ASSERT(!seen.headers.next());
  }
  RC_ASSERT(!walk.next()->has_value());
}

RC_GTEST_PROP(Records, MutatedBatchesEndInAnAnswer, (uint64_t key)) {
  CounterRandom random(key);
  const Slice bytes = build(records_of(random), {.codec = static_cast<Codec>(random.below(5))});
  std::vector<uint8_t> bent(bytes.view().begin(), bytes.view().end());
  for (uint64_t edits = random.below(8); edits > 0; --edits) {
    const size_t at = random.below(bent.size());
    bent[at] = static_cast<uint8_t>(random.next());
  }
  if (random.chance(1, 4)) bent.resize(random.below(bent.size()));
  exercise_batch(bent);
}

RC_GTEST_PROP(Varint, ComesBack, (int64_t v, int32_t w)) {
  ByteWriter out;
  write_varint(out, v);
  write_varint(out, w);
  write_uvarint(out, static_cast<uint32_t>(w));
  RC_ASSERT(out.size() == varint_size(v) + varint_size(w) + uvarint_size(static_cast<uint32_t>(w)));
  ByteReader in(out.view());
  RC_ASSERT(read_varint64(in) == v);
  RC_ASSERT(read_varint32(in) == w);
  RC_ASSERT(read_uvarint32(in) == static_cast<uint32_t>(w));
  RC_ASSERT(in.done());
}

TEST(Varint, KnownVectors) {
  const auto hex_of = [](int64_t v) {
    ByteWriter out;
    write_varint(out, v);
    return to_hex(out.view());
  };
  EXPECT_EQ(hex_of(-1), "01");
  EXPECT_EQ(hex_of(300), "d804");
  EXPECT_EQ(hex_of(-65), "8101");
  EXPECT_EQ(hex_of(INT32_MIN), "ffffffff0f");
  EXPECT_EQ(hex_of(INT64_MAX), "feffffffffffffffff01");
  EXPECT_EQ(hex_of(1700000000000), "80a0abfef962");
}

TEST(Varint, OneWithoutAnEndSpoilsTheReader) {
  const std::string bytes = from_hex("ffffffffffff");
  ByteReader in(as_bytes(bytes));
  read_uvarint32(in);
  EXPECT_FALSE(in.ok());
}

TEST(Varint, OverLongFormsAreRead) {
  const std::string bytes = from_hex("8100");
  ByteReader in(as_bytes(bytes));
  EXPECT_EQ(read_uvarint32(in), 1u);
  EXPECT_TRUE(in.done());
}

}  // namespace
}  // namespace taffrail
