#include "sim/knobs.h"

#include "sim/tape.h"

namespace taffrail::sim {
namespace {

// A power of two times `low`, up to `low * 2^steps`, and something on top: sizes and times whose order
// of magnitude is what varies.
uint64_t magnitude(Stream& s, uint64_t low, uint64_t steps, const char* label) {
  const uint64_t power = s.draw(steps + 1, label);
  const uint64_t base = low << power;
  return base + s.draw(base, label);
}

Delay delay(Stream& s, Duration low, uint64_t steps, const char* label) {
  const auto base = static_cast<int64_t>(magnitude(s, static_cast<uint64_t>(low.ns), steps, label));
  const auto spread = static_cast<int64_t>(s.draw(4, label));
  return {Duration{base}, Duration{base * spread}};
}

}  // namespace

Knobs Knobs::drawn(Tape& tape) {
  Stream& s = tape.stream({.kind = StreamKind::kKnobs});
  Knobs k;
  k.net.latency = delay(s, 20_us, 9, "net.latency");
  k.net.loopback = delay(s, 5_us, 3, "net.loopback");
  k.net.bytes_per_second = magnitude(s, 4'000'000, 9, "net.bandwidth");
  k.net.window_bytes = static_cast<uint32_t>(magnitude(s, 4096, 8, "net.window"));
  k.net.segment_bytes = static_cast<uint32_t>(magnitude(s, 512, 8, "net.segment"));
  k.net.split_per_mille = s.hits(1, 4, "net.split") ? 500 : 50;
  k.net.short_read_per_mille = s.hits(1, 4, "net.short_read") ? 500 : 50;
  k.disk.read = delay(s, 10_us, 6, "disk.read");
  k.disk.write = delay(s, 2_us, 5, "disk.write");
  k.disk.sync = delay(s, 50_us, 9, "disk.sync");
  k.disk.names = delay(s, 5_us, 6, "disk.names");
  k.disk.bytes_per_second = magnitude(s, 30'000'000, 6, "disk.bandwidth");
  k.disk.writeback_per_mille = s.hits(1, 4, "disk.writeback") ? 600 : 60;
  k.cpu.slice = delay(s, 500_ns, 3, "cpu.slice");
  k.cpu.post = delay(s, 500_ns, 5, "cpu.post");
  k.clock.drift_ppm_max = s.hits(1, 4, "clock.drift") ? 50'000 : 100;
  k.clock.wall_offset_max = s.hits(1, 4, "clock.offset") ? 5_min : 50_ms;
  k.fault_points = s.hits(1, 2, "fault_points");
  k.disk.removal = delay(s, 10_us, 11, "disk.removal");
  return k;
}

}  // namespace taffrail::sim
