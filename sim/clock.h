// A node's clocks: wrong by a rate and an offset, in whole numbers only.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace taffrail::sim {

/// Elapses at (1,000,000 + ppm) / 1,000,000 of the world's time. The monotonic reading never jumps and
/// never goes back; the wall reading may be set.
class MachineClock {
 public:
  static constexpr int32_t kDriftMax = 500'000;  ///< In parts per million.

  MachineClock(Instant mono_start, int64_t wall_start_ns, int32_t ppm)
      : mono_{mono_start}, wall_ahead_ns_(wall_start_ns - mono_start.ns), ppm_(clamp(ppm)) {}

  Instant mono(Instant world) const {
    const int64_t elapsed = world.ns - since_.ns;
    // The narrow division is many times cheaper, and nearly always enough.
    if (elapsed < kNarrow) return mono_ + Duration{elapsed * (kMillion + ppm_) / kMillion};
    return mono_ + Duration{static_cast<int64_t>(wide(elapsed) * (kMillion + ppm_) / kMillion)};
  }
  /// The first moment of the world at which mono() is `at` or later.
  Instant world_at(Instant at) const {
    if (at == Instant::never()) return at;
    if (at <= mono_) return since_;
    if (at.ns - mono_.ns < kNarrow) {
      const int64_t rate = kMillion + ppm_;
      return since_ + Duration{((at.ns - mono_.ns) * kMillion + rate - 1) / rate};
    }
    const Wide rate = kMillion + ppm_;
    const Wide elapsed = (wide(at.ns) - mono_.ns) * kMillion;
    const Wide world = since_.ns + (elapsed + rate - 1) / rate;
    return world >= Instant::never().ns ? Instant::never() : Instant{static_cast<int64_t>(world)};
  }
  WallTime wall(Instant world) const {
    const int64_t ns = mono(world).ns + wall_ahead_ns_;
    return {ns >= 0 ? ns / 1'000'000 : -((-ns + 999'999) / 1'000'000)};
  }
  void set_drift(Instant world, int32_t ppm) {
    mono_ = mono(world);
    since_ = world;
    ppm_ = clamp(ppm);
  }
  void jump_wall(Duration by) { wall_ahead_ns_ += by.ns; }
  int32_t drift_ppm() const { return ppm_; }

 private:
  __extension__ using Wide = __int128;
  static constexpr int64_t kMillion = 1'000'000;
  static constexpr int64_t kNarrow = INT64_MAX / (kMillion + kDriftMax) - 1;  // 1.7 hours, times a rate.
  static Wide wide(int64_t v) { return v; }
  static int32_t clamp(int32_t ppm) { return ppm > kDriftMax ? kDriftMax : ppm < -kDriftMax ? -kDriftMax : ppm; }

  Instant mono_;             // The monotonic reading at `since_`.
  Instant since_{};          // World time of the last change of rate.
  int64_t wall_ahead_ns_;
  int32_t ppm_;
};

}  // namespace taffrail::sim
