// Random numbers by counter: value = mix(key, counter). Drawing more in one place moves no other.
#pragma once

#include <cstdint>

namespace taffrail {

/// A well-mixed 64-bit value of two; the finaliser of SplitMix64 (Steele, Lea, Flood 2014) twice.
constexpr uint64_t mix64(uint64_t key, uint64_t counter) {
  uint64_t z = key + 0x9e3779b97f4a7c15ULL * (counter + 1);
  for (int round = 0; round < 2; ++round) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    z += key;
  }
  return z;
}

/// A source of random numbers. One draw per statement: the order in which a compiler evaluates
/// arguments is not fixed, and the same seed must give the same history everywhere.
class Random {
 public:
  virtual ~Random() = default;
  /// All 64 bits.
  [[nodiscard]] virtual uint64_t next() = 0;
  /// Uniform in [0, bound); 0 if bound is 0.
  [[nodiscard]] uint64_t below(uint64_t bound) {
    const unsigned __int128 wide = static_cast<unsigned __int128>(next()) * bound;
    return static_cast<uint64_t>(wide >> 64);
  }
  /// Uniform in [low, high], both included.
  [[nodiscard]] int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  /// True in `numerator` of `denominator` cases.
  [[nodiscard]] bool chance(uint64_t numerator, uint64_t denominator) {
    return below(denominator) < numerator;
  }
};

/// The stream of a key, from its first number on.
class CounterRandom final : public Random {
 public:
  explicit CounterRandom(uint64_t key) : key_(key) {}
  uint64_t next() override { return mix64(key_, counter_++); }
  uint64_t drawn() const { return counter_; }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace taffrail
