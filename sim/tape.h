// The choice tape: every decision that a world leaves open is drawn here, from a stream of its own, so
// that a new draw in one place shifts no other (docs/simulation.md, "The tape").
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "sim/trace.h"

namespace taffrail::sim {

/// Whose decisions a stream takes. The numbers are part of every seed's meaning: append only.
enum class StreamKind : uint8_t {
  kKnobs = 1,       ///< What the world is like: sizes, latencies, which faults may happen.
  kWorkload = 2,    ///< a: client.
  kLink = 3,        ///< a: from node, b: to node.
  kDisk = 4,        ///< a: node.
  kClock = 5,       ///< a: node.
  kScheduler = 6,   ///< a: node, b: shard. Which fiber runs, how long it takes.
  kOrder = 7,       ///< Which of several events at one instant comes first.
  kNode = 8,        ///< a: node, b: shard. What Runtime::random() gives.
  kFaultPoint = 9,  ///< name: the point.
  kFaultPlan = 10,  ///< The expansion of a profile into faults.
  kFault = 11,      ///< a: the fault's id. What it hits, within its parameters.
  kSocket = 12,     ///< a: node. Partial reads and the like.
  kTest = 13,       ///< For whoever drives the world.
};

struct StreamId {
  StreamKind kind = StreamKind::kTest;
  uint32_t a = 0;
  uint32_t b = 0;
  std::string name = {};
  auto operator<=>(const StreamId&) const = default;
  /// "link/1/2", "fault_point/partition.flush_early".
  std::string text() const;
};

/// One decision as it was taken. Choices are arranged so that 0 is the harmless one where there is
/// such a thing: a shrinker pulls values towards it.
struct Choice {
  uint64_t stream = 0;  ///< Key of the stream.
  uint64_t index = 0;   ///< How many were drawn from it before.
  uint64_t bound = 0;   ///< 0: all 64 bits.
  uint64_t value = 0;
  const char* label = "";  ///< A literal; what the decision was about.
};

class Tape;

class Stream final : public Random {
 public:
  /// All 64 bits.
  uint64_t next() override { return take(0, "random"); }
  /// Uniform in [0, bound); 0, without a draw, if bound is 0 or 1. `label` is a literal.
  [[nodiscard]] uint64_t draw(uint64_t bound, const char* label) {
    return bound <= 1 ? 0 : take(bound, label);
  }
  /// Uniform in [low, high], both included.
  [[nodiscard]] int64_t draw_between(int64_t low, int64_t high, const char* label) {
    return high <= low ? low : low + static_cast<int64_t>(draw(static_cast<uint64_t>(high - low) + 1, label));
  }
  /// True in `numerator` of `denominator` cases; false is the value 0.
  [[nodiscard]] bool hits(uint64_t numerator, uint64_t denominator, const char* label) {
    return numerator > 0 && draw(denominator, label) >= denominator - std::min(numerator, denominator);
  }
  uint64_t key() const { return key_; }

 private:
  friend class Tape;
  Stream(Tape& tape, uint64_t key) : tape_(tape), key_(key) {}
  uint64_t take(uint64_t bound, const char* label);
  Tape& tape_;
  uint64_t key_;
  uint64_t index_ = 0;
};

class Tape {
 public:
  /// Choices are hashed into `trace`, which outlives the tape.
  Tape(uint64_t seed, Trace& trace) : seed_(seed), trace_(trace) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  uint64_t seed() const { return seed_; }
  /// The one stream of that id; lives as long as the tape.
  Stream& stream(const StreamId& id);
  static uint64_t key_of(uint64_t seed, const StreamId& id);

  /// Keeps every choice from now on.
  void record(bool on) { recording_ = on; }
  const std::vector<Choice>& choices() const { return choices_; }
  /// The `index`-th draw of the stream gives `value`, cut to the bound that is then asked for.
  void force(uint64_t stream_key, uint64_t index, uint64_t value) { forced_[{stream_key, index}] = value; }
  /// Every stream used so far, by key.
  const std::map<uint64_t, StreamId>& names() const { return names_; }

 private:
  friend class Stream;
  uint64_t seed_;
  Trace& trace_;
  bool recording_ = false;
  std::map<uint64_t, std::unique_ptr<Stream>> streams_;
  std::map<uint64_t, StreamId> names_;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> forced_;
  std::vector<Choice> choices_;
};

inline uint64_t Stream::take(uint64_t bound, const char* label) {
  const uint64_t index = index_++;
  uint64_t value = mix64(key_, index);
  if (bound != 0) value = static_cast<uint64_t>((static_cast<unsigned __int128>(value) * bound) >> 64);
  if (!tape_.forced_.empty()) [[unlikely]] {
    const auto at = tape_.forced_.find({key_, index});
    if (at != tape_.forced_.end()) value = bound == 0 ? at->second : std::min(at->second, bound - 1);
  }
  tape_.trace_.add(TraceKind::kChoice, 0, key_, value);
  if (tape_.recording_) [[unlikely]] tape_.choices_.push_back({key_, index, bound, value, label});
  return value;
}

}  // namespace taffrail::sim
