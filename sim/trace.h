// What happened in a world, as a number: two runs with equal hashes took the same path.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace taffrail::sim {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  constexpr auto operator<=>(const Hash128&) const = default;
  /// 32 hexadecimal digits.
  std::string text() const;
};

/// What an entry of the trace speaks of. The numbers are part of the hash: append, never reorder.
enum class TraceKind : uint8_t {
  kEvent = 1,    ///< The queue handed out an event.
  kChoice = 2,   ///< A stream of the tape was drawn from.
  kDeliver = 3,  ///< Bytes reached a socket.
  kConnect = 4,  ///< A connection was made, refused or cut.
  kWrite = 5,    ///< Bytes reached a page cache.
  kSync = 6,     ///< Pages became durable, or failed to.
  kNames = 7,    ///< A directory changed.
  kNode = 8,     ///< A node started, died, paused.
  kFault = 9,    ///< A fault took effect.
  kClock = 10,   ///< A clock was set.
};

/// A digest of bytes; the same on every machine.
uint64_t digest(ByteView bytes);
uint64_t digest(std::string_view text);

/// A rolling hash over structured fields: never over text for people, addresses or padding. Checkpoints
/// every 1,024 entries let two runs find the first place where they part by bisection.
class Trace {
 public:
  struct Checkpoint {
    uint64_t entries = 0;
    int64_t at_ns = 0;
    Hash128 hash;
    bool operator==(const Checkpoint&) const = default;
  };
  /// One line of the story, for people.
  struct Moment {
    int64_t at_ns = 0;
    int32_t node = -1;  ///< -1: the world itself.
    std::string text;
  };
  static constexpr uint64_t kCheckpointEvery = 1024;
  /// What add() was told, for whoever looks for the place where two runs part.
  struct Entry {
    uint64_t number = 0;
    int64_t at_ns = 0;
    TraceKind kind = TraceKind::kEvent;
    uint32_t who = 0;
    uint64_t a = 0;
    uint64_t b = 0;
    /// "entry 1025 at 0.002000000 s: choice of 0: a 1f b 3". Numbers in hexadecimal.
    std::string text() const;
  };

  void add(TraceKind kind, uint32_t who, uint64_t a, uint64_t b) {
    fold(static_cast<uint64_t>(kind) << 32 | who);
    fold(a);
    fold(b);
    if (entries_ - watch_first_ < watch_count_) watched_.push_back({entries_, at_ns_, kind, who, a, b});
    if (++entries_ % kCheckpointEvery == 0) checkpoints_.push_back({entries_, at_ns_, hash()});
  }
  /// The world's clock moved; later entries happen then.
  void move_to(int64_t at_ns) {
    at_ns_ = at_ns;
    fold(static_cast<uint64_t>(at_ns));
  }
  Hash128 hash() const { return {high_, low_}; }
  uint64_t entries() const { return entries_; }
  const std::vector<Checkpoint>& checkpoints() const { return checkpoints_; }

  /// Keeps so many entries, from that one on.
  void watch(uint64_t first, uint64_t count) {
    watch_first_ = first;
    watch_count_ = count;
  }
  const std::vector<Entry>& watched() const { return watched_; }

  /// The time line costs text, so it is off unless somebody will read it. It is not hashed.
  void keep_time_line(bool on) { telling_ = on; }
  bool telling() const { return telling_; }
  void tell(int32_t node, std::string text);
  const std::vector<Moment>& time_line() const { return time_line_; }
  /// "   12.345678901 n2   killed", one line a moment.
  std::string story() const;

 private:
  // Each step is a bijection of the state for a given word: nothing that was folded in is lost.
  void fold(uint64_t word) {
    low_ = (low_ ^ word) * 0x9fb21c651e98df25ULL;
    low_ ^= low_ >> 32;
    high_ = (high_ << 23 | high_ >> 41) + low_;
    high_ = (high_ ^ word) * 0xd6e8feb86659fd93ULL;
  }
  uint64_t high_ = 0x7461666672616c32ULL;
  uint64_t low_ = 0x6d61737468656164ULL;
  uint64_t entries_ = 0;
  int64_t at_ns_ = 0;
  bool telling_ = false;
  uint64_t watch_first_ = 0;
  uint64_t watch_count_ = 0;
  std::vector<Checkpoint> checkpoints_;
  std::vector<Entry> watched_;
  std::vector<Moment> time_line_;
};

}  // namespace taffrail::sim
