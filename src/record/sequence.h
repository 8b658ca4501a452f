// Arithmetic of a producer's sequence numbers: they run from 0 to 2^31-1 and then start again at 0.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/ids.h"

namespace taffrail {

inline constexpr Sequence kNoSequence{-1};

/// The sequence `count` records after `from`. `count` is not negative; `from` is not kNoSequence.
inline Sequence increment(Sequence from, int32_t count) {
  CHECK(from.value >= 0 && count >= 0);
  return Sequence(static_cast<int32_t>(
      (static_cast<uint32_t>(from.value) + static_cast<uint32_t>(count)) & 0x7fffffffu));
}

/// The sequence `count` records before `from`; the inverse of increment().
inline Sequence decrement(Sequence from, int32_t count) {
  CHECK(from.value >= 0 && count >= 0);
  return Sequence(static_cast<int32_t>(
      (static_cast<uint32_t>(from.value) - static_cast<uint32_t>(count)) & 0x7fffffffu));
}

}  // namespace taffrail
