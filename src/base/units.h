// Time and size with their units in the type. Nanoseconds in 64 bits reach 292 years.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>

namespace taffrail {

struct Duration {
  int64_t ns = 0;
  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration d) const { return {ns + d.ns}; }
  constexpr Duration operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator*(int64_t n) const { return {ns * n}; }
  constexpr Duration operator/(int64_t n) const { return {ns / n}; }
  constexpr int64_t ms() const { return ns / 1'000'000; }
  static constexpr Duration from_ms(int64_t ms) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 1'000'000;
    return {(ms > kMax ? kMax : ms < -kMax ? -kMax : ms) * 1'000'000};
  }
};

/// A moment of a node's monotonic clock. Means nothing to another node, nor after a restart.
struct Instant {
  int64_t ns = 0;
  constexpr auto operator<=>(const Instant&) const = default;
  /// Saturates: a client's timeout of 2^63-1 ms is "never", not yesterday.
  constexpr Instant operator+(Duration d) const {
    int64_t sum = 0;
    if (__builtin_add_overflow(ns, d.ns, &sum)) sum = d.ns > 0 ? INT64_MAX : INT64_MIN;
    return {sum};
  }
  constexpr Instant operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(Instant t) const { return {ns - t.ns}; }
  static constexpr Instant never() { return {std::numeric_limits<int64_t>::max()}; }
};

/// Milliseconds since 1970, as Kafka's timestamps are. May jump either way: for timestamps and
/// retention only, never for a timeout (I-K1).
struct WallTime {
  int64_t ms = 0;
  constexpr auto operator<=>(const WallTime&) const = default;
};

using ByteCount = uint64_t;

inline namespace literals {
constexpr Duration operator""_ns(unsigned long long n) { return {static_cast<int64_t>(n)}; }
constexpr Duration operator""_us(unsigned long long n) { return {static_cast<int64_t>(n) * 1'000}; }
constexpr Duration operator""_ms(unsigned long long n) { return {static_cast<int64_t>(n) * 1'000'000}; }
constexpr Duration operator""_s(unsigned long long n) { return {static_cast<int64_t>(n) * 1'000'000'000}; }
constexpr Duration operator""_min(unsigned long long n) { return {static_cast<int64_t>(n) * 60'000'000'000}; }
constexpr ByteCount operator""_B(unsigned long long n) { return n; }
constexpr ByteCount operator""_KiB(unsigned long long n) { return n << 10; }
constexpr ByteCount operator""_MiB(unsigned long long n) { return n << 20; }
constexpr ByteCount operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

}  // namespace taffrail
