// Goal: payloads of all clients decompress, ours read anywhere, and bombs do not go off.
// Method: bytes that Kafka's own library wrote, round trips, and streams that promise too much.
#include "record/compression.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <snappy.h>

#include "base/random.h"

namespace taffrail {
namespace {

constexpr Codec kAll[] = {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

std::string decompressed(Codec codec, std::string_view hex) {
  const auto bytes = decompress(codec, as_bytes(from_hex(hex)));
  return bytes ? std::string(as_text(*bytes)) : bytes.error().text();
}

TEST(Decompress, WhatKafkasLibraryWrote) {
  const std::string hello = "hello hello hello hello";
  EXPECT_EQ(decompressed(Codec::kGzip, "1f8b08000000000000ffcb48cdc9c957c8402701e3513d8d17000000"),
            hello);
  EXPECT_EQ(decompressed(Codec::kSnappy,
                         "82534e41505059000000000100000001"
                         "0000000b171468656c6c6f20420600"),
            hello);
  EXPECT_EQ(decompressed(Codec::kSnappy, "171468656c6c6f20420600"), hello);
  EXPECT_EQ(decompressed(Codec::kLz4,
                         "04224d186040820f000000"
                         "6868656c6c6f2006005068656c6c6f00000000"),
            hello);
  EXPECT_EQ(decompressed(Codec::kZstd, "28b52ffd00586400003068656c6c6f200100994b11010000"), hello);
}

TEST(Decompress, EmptyPayloads) {
  EXPECT_EQ(decompressed(Codec::kGzip, "1f8b08000000000000ff03000000000000000000"), "");
  EXPECT_EQ(decompressed(Codec::kSnappy, "82534e41505059000000000100000001"), "");
  EXPECT_EQ(decompressed(Codec::kLz4, "04224d1860408200000000"), "");
  EXPECT_EQ(decompressed(Codec::kZstd, "28b52ffd2000010000"), "");
}

TEST(Decompress, LinkedLz4BlocksAreRefusedAsJavaWould) {
  EXPECT_EQ(decompress(Codec::kLz4, as_bytes(from_hex("04224d184040c000000000"))).error().code,
            Errc::kUnsupported);
}

TEST(Decompress, AZstdWindowPastTheLimitIsRefused) {
  // Window descriptor 0x88 is 2^27, 0x90 is 2^28; then one raw block of a single byte.
  EXPECT_EQ(decompressed(Codec::kZstd, "28b52ffd008809000061"), "a");
  EXPECT_EQ(decompress(Codec::kZstd, as_bytes(from_hex("28b52ffd009009000061"))).error().code,
            Errc::kCorrupt);
}

TEST(Decompress, ASnappyLengthIsNotBelieved) {
  // One raw block that promises 4 GiB less a byte; and a block in a frame that does.
  EXPECT_EQ(decompress(Codec::kSnappy, as_bytes(from_hex("ffffffff0f00"))).error().code,
            Errc::kCorrupt);
}

TEST(Decompress, AWholeBombStopsAtTheLimit) {
  const std::string zeros(8 << 20, '\0');
  for (const Codec codec : kAll) {
    const Slice small = compress(codec, as_bytes(zeros));
    const auto bytes = decompress(codec, small, {.max_bytes = 1 << 20});
    ASSERT_FALSE(bytes.has_value()) << codec_name(codec);
    EXPECT_EQ(bytes.error().code, Errc::kTooLarge) << codec_name(codec);
    EXPECT_TRUE(decompress(codec, small, {.max_bytes = zeros.size()}).has_value())
        << codec_name(codec) << " exactly at its limit";
    EXPECT_FALSE(decompress(codec, small, {.max_bytes = zeros.size() - 1}).has_value())
        << codec_name(codec) << " one byte past its limit";
  }
}

// Records without a pattern of their own, and such that shrink to nothing.
std::string mixed(size_t size) {
  CounterRandom random(7);
  std::string out;
  while (out.size() < size) out += random.next() % 2 == 0 ? std::string(1000, 'z') : std::to_string(random.next());
  out.resize(size);
  return out;
}

TEST(Codec, WhatIsLargeIsDoneInPieces) {
  const std::string whole = mixed(3 << 20);
  for (const Codec codec : kAll) {
    if (codec == Codec::kNone) continue;
    SCOPED_TRACE(codec_name(codec));
    size_t pauses = 0;
    CodecLimits limits;
    limits.keep_going = [&] { return ++pauses > 0; };
    const auto packed = compress_within(codec, as_bytes(whole), limits);
    ASSERT_TRUE(packed.has_value()) << packed.error().text();
    EXPECT_GE(pauses, 40u);
    EXPECT_EQ(*packed, compress(codec, as_bytes(whole)));
    pauses = 0;
    const auto back = decompress(codec, *packed, limits);
    ASSERT_TRUE(back.has_value()) << back.error().text();
    EXPECT_EQ(as_text(*back), whole);
    EXPECT_GE(pauses, 20u);

    limits.keep_going = [&] { return --pauses > 10; };
    EXPECT_EQ(decompress(codec, *packed, limits).error().code, Errc::kCancelled);
    EXPECT_EQ(compress_within(codec, as_bytes(whole), limits).error().code, Errc::kCancelled);
  }
}

// Librdkafka's way: one block, and nothing around it.
TEST(Codec, ARawSnappyBlockIsDoneInPiecesToo) {
  const std::string whole(2 << 20, 'y');
  std::string packed;
  snappy::Compress(whole.data(), whole.size(), &packed);
  size_t pauses = 0;
  CodecLimits limits;
  limits.keep_going = [&] { return ++pauses > 0; };
  const auto back = decompress(Codec::kSnappy, as_bytes(packed), limits);
  ASSERT_TRUE(back.has_value()) << back.error().text();
  EXPECT_EQ(as_text(*back), whole);
  EXPECT_GE(pauses, 20u);
  limits.keep_going = [] { return false; };
  EXPECT_EQ(decompress(Codec::kSnappy, as_bytes(packed), limits).error().code, Errc::kCancelled);
}

TEST(Codec, WhatComesToMoreThanItsLimitIsNotGiven) {
  const std::string whole = mixed(1 << 20);
  for (const Codec codec : kAll) {
    SCOPED_TRACE(codec_name(codec));
    const size_t size = compress(codec, as_bytes(whole)).size();
    EXPECT_TRUE(compress_within(codec, as_bytes(whole), {.max_bytes = size}).has_value());
    EXPECT_EQ(compress_within(codec, as_bytes(whole), {.max_bytes = size - 1}).error().code, Errc::kTooLarge);
  }
}

TEST(Codec, NamesAreTheWordsOfCompressionType) {
  for (const Codec codec : kAll) EXPECT_EQ(codec_named(codec_name(codec)), codec);
  EXPECT_EQ(codec_named("lzma"), std::nullopt);
}

RC_GTEST_PROP(Compression, RoundTripsAndCutsAreErrors, (uint64_t key)) {
  CounterRandom random(key);
  // A mix of runs and noise, up to a few blocks of every codec.
  std::string text;
  const uint64_t pieces = random.below(40);
  for (uint64_t i = 0; i < pieces; ++i) {
    const uint64_t size = random.below(6000);
    if (random.chance(1, 2)) {
      text.append(size, static_cast<char>(random.next()));
    } else {
      for (uint64_t k = 0; k < size; ++k) text.push_back(static_cast<char>(random.next()));
    }
  }
  for (const Codec codec : kAll) {
    const Slice packed = compress(codec, as_bytes(text));
    const auto back = decompress(codec, packed);
    RC_ASSERT(back.has_value());
    RC_ASSERT(as_text(*back) == text);
    if (codec == Codec::kNone || packed.empty()) continue;
    const size_t cut = random.below(packed.size());
    const auto cut_short = decompress(codec, packed.sub(0, cut));
    // Snappy's frames may end between blocks, and only there.
    RC_ASSERT(!cut_short || codec == Codec::kSnappy);
  }
}

}  // namespace
}  // namespace taffrail
