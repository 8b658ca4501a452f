// What a world is like when nothing is wrong: how fast, how large, how regular.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace taffrail::sim {

class Tape;

/// A time that is drawn anew each time: `base` and up to `jitter` more.
struct Delay {
  Duration base{};
  Duration jitter{};
};

struct NetKnobs {
  Delay latency{100_us, 100_us};       ///< One way, between two nodes.
  Delay loopback{10_us, 10_us};        ///< One way, within a node.
  uint64_t bytes_per_second = 1'000'000'000;
  uint32_t window_bytes = 256 << 10;   ///< Sent and not yet read by the peer, per direction.
  uint32_t segment_bytes = 64 << 10;   ///< The largest piece that arrives at once.
  uint32_t split_per_mille = 50;       ///< How often a write is cut at a drawn place.
  uint32_t short_read_per_mille = 50;  ///< How often a read gives less than there is.
  uint32_t backlog = 128;              ///< Connections that wait for accept().
  Duration connect_timeout = 60_s;     ///< When the machine does not answer at all.
  Delay retransmit{200_ms, 1_s};       ///< After a link heals, until what was lost is sent again.
};

struct DiskKnobs {
  Delay read{20_us, 60_us};
  Delay write{5_us, 10_us};
  Delay sync{100_us, 400_us};
  Delay names{10_us, 20_us};           ///< Open, rename, list.
  Delay removal{10_us, 20_us};         ///< Of a file: what it held is given back.
  uint64_t bytes_per_second = 1'000'000'000;
  uint64_t capacity_bytes = 64ULL << 30;
  /// How often a page that is overwritten before its sync was on its way to the disk already.
  uint32_t writeback_per_mille = 100;
};

struct CpuKnobs {
  Delay slice{1_us, 2_us};             ///< What one turn of a fiber takes.
  Delay post{1_us, 10_us};             ///< A message from one shard to another.
};

struct ClockKnobs {
  int32_t drift_ppm_max = 50;          ///< Each node's clock is off by up to that, either way.
  Duration wall_offset_max = 10_ms;
  WallTime wall_start{1'767'225'600'000};  ///< What an exact clock shows when the world begins.
};

struct Knobs {
  NetKnobs net;
  DiskKnobs disk;
  CpuKnobs cpu;
  ClockKnobs clock;
  /// Whether Runtime::fault_point may say yes: each name is on with 1 in 4, and then fires with 1 in 4.
  bool fault_points = false;
  /// Past these the world stops and says so: a livelock, or a run that does not end.
  uint64_t events_per_instant_max = 100'000;
  uint64_t events_max = UINT64_MAX;

  /// Another world for every seed: latencies over four orders of magnitude, small windows, byte-wise
  /// reads, hasty and lazy disks, drift up to 5 %.
  static Knobs drawn(Tape& tape);
};

}  // namespace taffrail::sim
