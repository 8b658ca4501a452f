// Goal: the vocabulary does what its comments say. Method: known vectors, and laws on random input.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/units.h"

namespace taffrail {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Errc::kInvalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) { return TRY(half(TRY(half(n)))); }

TEST(Result, TryCarriesTheErrorHome) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().text(), "invalid: odd");
  EXPECT_EQ(fail(quarter(6).error(), "quarter of 6").error().text(), "invalid: quarter of 6: odd");
}

TEST(Crc32c, KnownVector) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c_portable(as_bytes("123456789")), 0xe3069283u);
}

RC_GTEST_PROP(Crc32c, InstructionAndTableAgreeAndContinue, (uint64_t key)) {
  const size_t size = *rc::gen::inRange<size_t>(0, 10000);
  CounterRandom random(key);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.next());
  const size_t cut = *rc::gen::inRange<size_t>(0, size + 1);
  const ByteView all = as_bytes(bytes);
  RC_ASSERT(crc32c(all) == crc32c_portable(all));
  RC_ASSERT(crc32c(all.subspan(cut), crc32c(all.first(cut))) == crc32c(all));
}

RC_GTEST_PROP(Uuid, TextParsesBack, (uint64_t high, uint64_t low)) {
  const Uuid id{high, low};
  RC_ASSERT(id.text().size() == 22u);
  RC_ASSERT(Uuid::parse(id.text()) == id);
}

TEST(Uuid, KafkasOwnSpelling) {
  // The metadata topic's id, as Kafka's tools print it.
  EXPECT_EQ(kMetadataPartition.topic.text(), "AAAAAAAAAAAAAAAAAAAAAQ");
}

TEST(Slice, SharesAndOutlivesItsParent) {
  Slice piece;
  {
    const Slice whole("hello world");
    piece = whole.sub(6, 5);
    EXPECT_EQ(piece.data(), whole.data() + 6);
  }
  EXPECT_EQ(as_text(piece), "world");
  EXPECT_EQ(piece.pinned_size(), 11u);
}

TEST(ByteReader, PastTheEndIsZeroAndNotOk) {
  ByteWriter w;
  w.u16(0x0102);
  w.sized("abc");
  ByteReader r(w.view());
  EXPECT_EQ(r.u16(), 0x0102);
  EXPECT_EQ(r.sized_text(), "abc");
  EXPECT_TRUE(r.done());
  EXPECT_EQ(r.u32(), 0u);
  EXPECT_FALSE(r.ok());
}

TEST(ByteReader, ALyingLengthTakesNothing) {
  ByteWriter w;
  w.u32(0xffffffff);
  ByteReader r(w.view());
  EXPECT_TRUE(r.sized().empty());
  EXPECT_FALSE(r.ok());
}

TEST(Instant, FarDeadlinesSaturate) {
  EXPECT_EQ(Instant{1000} + Duration::from_ms(INT64_MAX), Instant{1000} + Duration::from_ms(INT64_MAX));
  EXPECT_GT(Instant{1000} + Duration::from_ms(INT64_MAX), Instant{1000});
  EXPECT_EQ((Instant{5} + Duration{INT64_MAX}), Instant::never());
}

}  // namespace
}  // namespace taffrail
