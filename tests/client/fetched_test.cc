// Goal: from the bytes of a fetch answer exactly the records that an application may see.
// Method: batches built by hand, whole, cut off, damaged, compressed, transactional.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/fetched.h"
#include "client/record.h"
#include "record/builder.h"

namespace taffrail::client {
namespace {

using testing::ElementsAre;

std::string make(BatchOptions options, std::initializer_list<const char*> values) {
  BatchBuilder builder(options);
  for (const char* v : values) builder.add(1000, "k", v);
  return std::string(as_text(builder.finish().view()));
}

std::string marker(Offset at, ProducerId producer, int16_t type) {
  BatchBuilder builder({.base_offset = at, .producer_id = producer, .producer_epoch = ProducerEpoch(0),
                        .transactional = true, .control = true});
  ByteWriter key, value;
  key.i16(0);
  key.i16(type);
  value.i16(0);
  value.i32(1);
  builder.add(1000, key.view(), value.view());
  return std::string(as_text(builder.finish().view()));
}

std::vector<std::string> values(const Fetched& fetched) {
  std::vector<std::string> all;
  for (const auto& r : fetched.records) all.push_back(*r.value);
  return all;
}

TEST(Fetched, SkipsWhatLiesBeforeThePositionInItsBatch) {
  const std::string bytes = make({.base_offset = Offset(10), .leader_epoch = 3}, {"a", "b", "c"});
  const auto got = read_fetched(as_bytes(bytes), Offset(11), {});
  ASSERT_TRUE(got);
  EXPECT_THAT(values(*got), ElementsAre("b", "c"));
  EXPECT_EQ(got->next, Offset(13));
  EXPECT_EQ(got->leader_epoch, 3);
  EXPECT_EQ(got->records[0].offset, Offset(11));
}

TEST(Fetched, EveryCodecReadsTheSame) {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    const std::string bytes = make({.codec = codec, .base_offset = Offset(0)}, {"a", "b"});
    const auto got = read_fetched(as_bytes(bytes), Offset(0), {});
    ASSERT_TRUE(got) << codec_name(codec);
    EXPECT_THAT(values(*got), ElementsAre("a", "b"));
  }
}

TEST(Fetched, LeavesABatchThatWasCutOffForTheNextFetch) {
  const std::string first = make({.base_offset = Offset(0)}, {"a"});
  const std::string second = make({.base_offset = Offset(1)}, {"b"});
  for (size_t kept = 0; kept < second.size(); ++kept) {
    const std::string bytes = first + second.substr(0, kept);
    const auto got = read_fetched(as_bytes(bytes), Offset(0), {});
    ASSERT_TRUE(got) << kept << ": " << got.error().text();
    EXPECT_EQ(got->next, Offset(1));
  }
}

TEST(Fetched, DamageIsAnErrorOnlyOnceItIsNext) {
  const std::string first = make({.base_offset = Offset(0)}, {"a"});
  std::string second = make({.base_offset = Offset(1)}, {"b"});
  second.back() ^= 1;
  const std::string bytes = first + second;
  const auto got = read_fetched(as_bytes(bytes), Offset(0), {});
  ASSERT_TRUE(got);
  EXPECT_EQ(got->next, Offset(1));
  const auto bad = read_fetched(as_bytes(bytes), Offset(1), {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::kCorrupt);
}

TEST(Fetched, LeavesOutWhatWasAbortedAndAllMarkers) {
  const auto part = [](int64_t offset, int64_t producer, const char* v) {
    return make({.base_offset = Offset(offset), .producer_id = ProducerId(producer),
                 .producer_epoch = ProducerEpoch(0), .base_sequence = Sequence(0), .transactional = true},
                {v});
  };
  // Producer 1 aborts its first transaction and commits its second; producer 2 commits throughout.
  const std::string bytes = part(0, 1, "aborted") + part(1, 2, "kept") + marker(Offset(2), ProducerId(1), 0) +
                            part(3, 1, "second") + marker(Offset(4), ProducerId(1), 1) +
                            marker(Offset(5), ProducerId(2), 1) +
                            make({.base_offset = Offset(6)}, {"plain"});
  const std::vector<AbortedRange> aborted{{ProducerId(1), Offset(0)}};
  const auto committed = read_fetched(as_bytes(bytes), Offset(0), aborted);
  ASSERT_TRUE(committed);
  EXPECT_THAT(values(*committed), ElementsAre("kept", "second", "plain"));
  EXPECT_EQ(committed->next, Offset(7));
  const auto all = read_fetched(as_bytes(bytes), Offset(0), {});
  ASSERT_TRUE(all);
  EXPECT_THAT(values(*all), ElementsAre("aborted", "kept", "second", "plain"));
}

// The vectors of the Java client.
TEST(Partitioner, AgreesWithJavas) {
  EXPECT_EQ(murmur2(""), 0x106e08d9u);
  EXPECT_EQ(murmur2("a"), 0xa2d0b27cu);
  EXPECT_EQ(murmur2("abc"), 0x1c94221bu);
  EXPECT_EQ(murmur2("kafka"), 0xd067cf64u);
  EXPECT_EQ(murmur2("foobar"), 0xd0e47bbeu);
  EXPECT_EQ(murmur2(std::string("\xff\x80\x00\xfe\x81", 5)), 0x655f9600u);
  EXPECT_EQ(partition_of_key("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 7), 3);
}

}  // namespace
}  // namespace taffrail::client
