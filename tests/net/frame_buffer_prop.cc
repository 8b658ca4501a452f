// Goal: frames come out of a stream as they went in, however it was cut, and memory follows what was
// received. Method: random frames and cuts; some frames are kept alive, so that buffers are shared and
// recycled in every order.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "net/frame_buffer.h"

namespace taffrail {
namespace {

std::string framed(std::string_view body) {
  ByteWriter out;
  out.sized(body);
  return out.take();
}

/// Gives `bytes` to `buffer` in reads of at most `read_max`, and every frame to `take`.
template <class Take>
void feed(FrameBuffer& buffer, std::string_view bytes, size_t read_max, Take&& take) {
  while (!bytes.empty()) {
    for (;;) {
      const auto frame = buffer.next();
      ASSERT_TRUE(frame.has_value()) << frame.error().text();
      if (!*frame) break;
      take(**frame);
    }
    const MutableBytes room = buffer.room();
    ASSERT_FALSE(room.empty());
    const size_t count = std::min({room.size(), bytes.size(), read_max});
    std::copy_n(bytes.begin(), count, room.begin());
    buffer.filled(count);
    bytes.remove_prefix(count);
  }
  for (;;) {
    const auto frame = buffer.next();
    ASSERT_TRUE(frame.has_value());
    if (!*frame) break;
    take(**frame);
  }
}

RC_GTEST_PROP(FrameBuffer, GivesBackTheFramesHoweverTheStreamIsCut, ()) {
  const auto count = *rc::gen::inRange<size_t>(1, 20);
  std::vector<std::string> sent;
  std::string stream;
  for (size_t i = 0; i < count; ++i) {
    const auto exponent = *rc::gen::inRange(0, 18);
    const auto size = *rc::gen::inRange<size_t>(0, (size_t{1} << exponent) + 1);
    std::string body(size, '\0');
    for (size_t b = 0; b < size; ++b) body[b] = static_cast<char>(mix64(i, b));
    stream += framed(body);
    sent.push_back(std::move(body));
  }
  const auto cut = *rc::gen::inRange(0, 19);
  const auto keep = *rc::gen::inRange<size_t>(1, 4);

  FrameBuffer buffer(1 << 20);
  std::vector<Slice> kept;
  size_t at = 0;
  feed(buffer, stream, size_t{1} << cut, [&](const Slice& frame) {
    RC_ASSERT(at < sent.size());
    RC_ASSERT(as_text(frame) == sent[at]);
    // A frame that was handed out is never written over: it is compared again at the end.
    kept.push_back(at % keep == 0 ? frame : Slice());
    ++at;
  });
  RC_ASSERT(at == sent.size());
  RC_ASSERT(buffer.pending() == 0u);
  for (size_t i = 0; i < kept.size(); i += keep) RC_ASSERT(as_text(kept[i]) == sent[i]);
}

RC_GTEST_PROP(FrameBuffer, HoldsNoMoreThanTheStreamHasEarned, ()) {
  const auto announced = *rc::gen::inRange<uint32_t>(100'000, 100'000'000);
  const auto step = *rc::gen::inRange<size_t>(1, 40'000);
  FrameBuffer buffer(104'857'600);
  ByteWriter head;
  head.u32(announced);
  size_t received = 0;
  feed(buffer, as_text(head.view()), step, [](const Slice&) {});
  for (int i = 0; i < 50; ++i) {
    RC_ASSERT(!*buffer.next());
    const MutableBytes room = buffer.room();
    const size_t count = std::min({room.size(), step, announced - received - 1});
    if (count == 0) break;
    std::fill_n(room.begin(), count, uint8_t{1});
    buffer.filled(count);
    received += count;
    RC_ASSERT(buffer.capacity() <= FrameBuffer::kSharedMin + 4 * (received + 4));
  }
}

TEST(FrameBuffer, RefusesALengthThatLies) {
  for (const auto& [length, code] : {std::pair{0xffffffffu, Errc::kInvalid}, {0x80000000u, Errc::kInvalid},
                                     {1001u, Errc::kTooLarge}, {0x7fffffffu, Errc::kTooLarge}}) {
    FrameBuffer buffer(1000);
    ByteWriter head;
    head.u32(length);
    std::ranges::copy(head.view(), buffer.room().begin());
    buffer.filled(4);
    EXPECT_EQ(buffer.next().error().code, code) << length;
  }
}

TEST(FrameBuffer, HoldsNothingBeforeTheFirstByteAndAfterShrink) {
  FrameBuffer buffer(1000);
  (void)buffer.room();
  EXPECT_EQ(buffer.capacity(), 0u);
  size_t frames = 0;
  feed(buffer, framed(std::string(500, 'a')), 1000, [&](const Slice&) { ++frames; });
  EXPECT_EQ(frames, 1u);
  EXPECT_GT(buffer.capacity(), 0u);
  buffer.shrink();
  EXPECT_EQ(buffer.capacity(), 0u);

  // Half a frame is kept.
  const std::string whole = framed("abcdef");
  feed(buffer, whole.substr(0, 7), 1000, [](const Slice&) {});
  buffer.shrink();
  std::string got;
  feed(buffer, whole.substr(7), 1000, [&](const Slice& frame) { got = as_text(frame); });
  EXPECT_EQ(got, "abcdef");
}

TEST(FrameBuffer, SmallFramesOfOneReadShareABuffer) {
  FrameBuffer buffer(1000);
  std::string stream;
  for (int i = 0; i < 20; ++i) stream += framed("0123456789");
  feed(buffer, framed("first"), 1000, [](const Slice&) {});
  std::vector<Slice> frames;
  feed(buffer, stream, 1000, [&](const Slice& frame) { frames.push_back(frame); });
  ASSERT_EQ(frames.size(), 20u);
  for (size_t i = 1; i < frames.size(); ++i) EXPECT_EQ(frames[i].data(), frames[i - 1].data() + 14);
}

TEST(FrameBuffer, ALargeFrameKeepsNothingElseAlive) {
  FrameBuffer buffer(10'000'000);
  const std::string stream = framed(std::string(1'000'000, 'x')) + framed("next") + framed(std::string(2'000'000, 'y'));
  std::vector<Slice> frames;
  feed(buffer, stream, SIZE_MAX, [&](const Slice& frame) { frames.push_back(frame); });
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].pinned_size(), 1'000'004u);
  EXPECT_LE(frames[1].pinned_size(), FrameBuffer::kSharedMax);
  EXPECT_EQ(frames[2].pinned_size(), 2'000'004u);
}

// What a producer of large batches costs: one small read that shows the length, and one for the rest.
TEST(FrameBuffer, EqualLargeFramesNeedTwoReadsEachAndAlmostNoCopy) {
  FrameBuffer buffer(10'000'000);
  const std::string frame = framed(std::string(900'000, 'x'));
  feed(buffer, frame, SIZE_MAX, [](const Slice&) {});
  for (int round = 0; round < 3; ++round) {
    std::string_view rest = frame;
    int reads = 0;
    while (!rest.empty()) {
      ASSERT_FALSE(*buffer.next());
      const MutableBytes room = buffer.room();
      const size_t count = std::min(room.size(), rest.size());
      std::copy_n(rest.begin(), count, room.begin());
      buffer.filled(count);
      rest.remove_prefix(count);
      ++reads;
    }
    ASSERT_TRUE(*buffer.next());
    EXPECT_EQ(reads, 2);
  }
}

TEST(FrameBuffer, ABufferThatNobodyKeepsIsUsedAgain) {
  FrameBuffer buffer(1000);
  feed(buffer, framed("first"), 1000, [](const Slice&) {});
  const uint8_t* place = buffer.room().data();
  for (int i = 0; i < 1000; ++i) {
    feed(buffer, framed("0123456789"), 1000, [](const Slice&) {});
    EXPECT_EQ(buffer.room().data(), place);
  }
}

}  // namespace
}  // namespace taffrail
