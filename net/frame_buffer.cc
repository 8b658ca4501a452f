#include "net/frame_buffer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/plant.h"

namespace taffrail {

namespace {

constexpr size_t kLengthSize = 4;
constexpr size_t kLarge = 1u << 20;

uint32_t length_at(const uint8_t* bytes) {
  uint32_t length = 0;
  std::memcpy(&length, bytes, kLengthSize);
  return __builtin_bswap32(length);
}

}  // namespace

// Bytes that must lie behind one another for the next frame to be whole, as far as is known.
size_t FrameBuffer::wanted() const {
  if (pending() < kLengthSize) return kLengthSize;
  return kLengthSize + length_at(buffer_.data() + begin_);
}

// What the stream has earned for its next frame before more of it arrives.
size_t FrameBuffer::earned() const {
  const size_t whole = wanted();
  // The last step of a large frame is exact: nothing is read behind it, so that who keeps the frame
  // keeps nothing else.
  return whole <= shared_size_ ? shared_size_ : std::min(whole, std::max(shared_size_, credit_));
}

MutableBytes FrameBuffer::room() {
  if (buffer_.empty()) {
    if (quiet_) return few_;
    // After a large frame another is likely: few bytes of it will have to move to its own buffer.
    buffer_ = Slice::make(kSharedMin, [](MutableBytes) {});
  }
  if (pending() == 0 && (buffer_.unique() || PLANT("N03"))) begin_ = end_ = 0;
  if (!has_good_room()) make_room();
  CHECK(end_ < buffer_.size(), "room for at least one byte");
  return buffer_.mutable_view().subspan(end_);
}

bool FrameBuffer::has_good_room() const {
  const size_t left = buffer_.size() - end_;
  if (left == 0) return false;
  // Between frames, what is left of a shared buffer may be too little to be worth a read.
  if (pending() < kLengthSize) return left >= kSharedMin / 4;
  if (wanted() <= buffer_.size() - begin_) return true;
  // A large frame that grows: first fill what it has.
  return begin_ == 0 && buffer_.size() >= earned();
}

void FrameBuffer::make_room() {
  const size_t kept = pending();
  // Pages of a large buffer cost nothing before they are written to, and a copy of it holds others up.
  const size_t capacity = std::max(earned(), kept < kLarge ? std::min(wanted(), 2 * kept) : wanted());
  if (begin_ > 0 && buffer_.unique() && buffer_.size() == capacity) {
    // Nobody else reads it: the same buffer once more, from its start.
    const MutableBytes all = buffer_.mutable_view();
    std::memmove(all.data(), all.data() + begin_, kept);
  } else {
    const Slice old = std::move(buffer_);
    buffer_ = Slice::make(capacity, [&](MutableBytes fresh) {
      if (kept > 0) std::memcpy(fresh.data(), old.data() + begin_, kept);
    });
  }
  begin_ = 0;
  end_ = kept;
}

void FrameBuffer::filled(size_t count) {
  if (count == 0) return;
  if (buffer_.empty()) {
    CHECK(count <= few_.size(), "no more came than there was room");
    quiet_ = false;
    buffer_ = Slice::make(kSharedMin, [&](MutableBytes fresh) {
      std::memcpy(fresh.data(), few_.data(), count);
    });
    begin_ = 0;
    end_ = count;
    return;
  }
  CHECK(count <= buffer_.size() - end_, "no more came than there was room");
  end_ += count;
  // The read could have brought more: the next shared buffer is larger.
  if (end_ == buffer_.size() && buffer_.size() == shared_size_ && count >= shared_size_ / 2)
    shared_size_ = std::min(shared_size_ * 4, kSharedMax);
}

Result<std::optional<Slice>> FrameBuffer::next() {
  if (pending() < kLengthSize) return std::nullopt;
  const uint32_t length = length_at(buffer_.data() + begin_);
  if (length > static_cast<uint32_t>(INT32_MAX))
    return fail(Errc::kInvalid, fmt::format("a frame announces {} bytes", static_cast<int32_t>(length)));
  if (length > frame_size_max_)
    return fail(Errc::kTooLarge,
                fmt::format("a frame announces {} bytes, the limit is {}", length, frame_size_max_));
  if (pending() - kLengthSize < length) return std::nullopt;

  Slice frame = buffer_.sub(begin_ + kLengthSize, length);
  begin_ += kLengthSize + length;
  credit_ = std::max<size_t>(credit_, std::min<size_t>(kLengthSize + length, kCreditMax));
  // A frame that had the buffer to itself takes it along.
  if (begin_ == end_ && buffer_.size() > shared_size_) {
    buffer_ = Slice();
    begin_ = end_ = 0;
  }
  return frame;
}

size_t FrameBuffer::capacity() const { return buffer_.size() <= 2 * kLarge ? buffer_.size() : std::max(end_, 2 * kLarge); }

void FrameBuffer::shrink() {
  if (pending() > 0) return;
  buffer_ = Slice();
  begin_ = end_ = 0;
  shared_size_ = kSharedMin;
  credit_ = 0;
  quiet_ = true;
}

}  // namespace taffrail
