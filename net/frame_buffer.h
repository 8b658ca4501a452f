// Bytes of a stream on their way to being frames: a big-endian u32 length, then that many bytes. No I/O:
// the owner reads into room(), says how much came, and takes what is whole.
//
// Memory follows what was received, never what was announced (a length costs an attacker four bytes). Three sizes, by what the stream does:
//
//   nothing    a quiet stream: the next bytes go into a few bytes inside the object;
//   shared     small frames lie side by side in one buffer and are handed out as pieces of it; its
//              size follows how full the reads are;
//   its own    a frame larger than that grows by doubling as its bytes arrive, and once 1 MiB came has
//              address space for the rest. What one earlier frame of this stream really brought, up to
//              kCreditMax, is taken at once: a producer that sends 1 MiB again and again has no byte
//              copied twice.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace taffrail {

class FrameBuffer {
 public:
  static constexpr size_t kSharedMin = 2048;
  static constexpr size_t kSharedMax = 256 * 1024;
  static constexpr size_t kCreditMax = 1024 * 1024;

  explicit FrameBuffer(uint32_t frame_size_max) : frame_size_max_(frame_size_max) {}

  /// Where the next bytes of the stream go; never empty. Valid until the next call. To be asked for
  /// when next() has said that no whole frame is left.
  MutableBytes room();
  /// The first `count` bytes of the last room() are the stream's next.
  void filled(size_t count);

  /// The next whole frame without its length, sharing the buffer; empty if its end is not here yet. The
  /// frame may be kept as long as wished. Errors: kInvalid (a length that is negative as Kafka reads it),
  /// kTooLarge; the stream is useless then.
  Result<std::optional<Slice>> next();

  /// Another limit for what is to come: a stranger may send less than a friend.
  void set_frame_size_max(uint32_t frame_size_max) { frame_size_max_ = frame_size_max; }
  /// Gives the memory back unless part of a frame is in it.
  void shrink();
  /// Bytes received and not yet handed out.
  size_t pending() const { return end_ - begin_; }
  /// Bytes of memory held, not counting what frames that were handed out keep alive, nor pages of a large buffer that nothing
  /// has come for yet.
  size_t capacity() const;

 private:
  size_t wanted() const;
  size_t earned() const;
  bool has_good_room() const;
  void make_room();

  uint32_t frame_size_max_;
  size_t shared_size_ = kSharedMin;
  size_t credit_ = 0;    ///< The largest frame so far, at most kCreditMax.
  Slice buffer_;
  size_t begin_ = 0;     ///< Of what was not handed out yet, in buffer_.
  size_t end_ = 0;       ///< Of what was received.
  bool quiet_ = true;
  std::array<uint8_t, 64> few_{};
};

}  // namespace taffrail
