// The network between simulated machines: byte streams over directed links that delay, split, hold
// back and lose, behind runtime/net.h.
//
// A connection is one stream each way. Bytes leave in segments; a segment takes the link's latency and
// its share of the bandwidth, and segments of one direction never overtake each other, while other
// connections' may. What meets a blocked link is not lost: it is sent again after the link heals, as TCP
// would. What was not read by the peer counts against the window, and a full window makes writers wait.
// Shards of one process may listen at the same port: which of them gets a connection is drawn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/net.h"
#include "sim/clock.h"
#include "sim/engine.h"
#include "sim/knobs.h"

namespace taffrail::sim {

struct NetStats {
  uint64_t connects = 0;   ///< Made.
  uint64_t refused = 0;
  uint64_t resets = 0;     ///< Connections of which a side was told "reset".
  uint64_t segments = 0;   ///< Delivered.
  uint64_t bytes = 0;      ///< Delivered.
  uint64_t turns = 0;      ///< A side wrote after the other had: two turns are a round trip.
  uint64_t held = 0;       ///< Segments that met a blocked link, a vanished peer or a black hole.
  uint64_t slowed = 0;     ///< Segments sent over a slowed link.
};

class SimNet final : public EventSink {
 public:
  SimNet(Engine& engine, const NetKnobs& knobs);
  ~SimNet() override;

  /// The next machine, reachable as `name`; its number is what the other calls take. `clock` is the
  /// machine's and stays where it is; deadlines are read by it.
  uint32_t add_node(std::string name, const MachineClock& clock);
  /// The network as one shard of the processes of that machine sees it.
  Net& of(uint32_t node, uint32_t shard);

  // What happens to machines. Called from outside fibers, before those of the node are unwound.

  void process_started(uint32_t node);
  /// The kernel closes the sockets; peers hear of it as soon as a link carries it.
  void process_died(uint32_t node);
  /// The machine is gone without a word: peers notice by their own deadlines only.
  void power_cut(uint32_t node);
  /// The process said that it stops: nothing it writes from now on leaves.
  void cut_off(uint32_t node);

  // What happens to links. Blocks nest: a link carries again when each was taken back.

  void block(uint32_t from, uint32_t to);
  void unblock(uint32_t from, uint32_t to);
  bool blocked(uint32_t from, uint32_t to) const;
  /// Latency times `factor` and bandwidth divided by it; 1 is normal.
  void slow(uint32_t from, uint32_t to, uint32_t factor);
  /// Connections between the two end: one side, drawn, hears it now; the other with it or when it writes.
  /// Returns how many.
  uint32_t reset_connections(uint32_t a, uint32_t b, Stream& draws);
  /// Present connections between the two carry nothing any more, and nobody is told. Returns how many.
  uint32_t black_hole(uint32_t a, uint32_t b);
  /// Unblocks and speeds up every link. Black holes stay: those connections are lost.
  void heal();

  const NetStats& stats() const { return stats_; }
  /// Calls of write() with which one machine sent to the other, over all their connections: what the bytes cost
  /// in system calls. Exact, so that tests assert it.
  uint64_t writes(uint32_t from, uint32_t to) const;
  size_t connection_count() const { return connections_.size(); }

  void on_event(uint64_t a, uint64_t b) override;

 private:
  struct Link;
  struct Side;
  struct Conn;
  struct Segment;
  struct Pending;
  struct Machine;
  class NodeNet;
  class SimConnection;
  class SimListener;
  enum class Kind : uint8_t { kData, kFin, kReset };
  enum class State : uint8_t { kOpen, kClosed, kVanished };
  enum class What : uint8_t { kDeliver = 1, kCredit, kSyn, kSynAck, kRefused };

  Link& link(uint32_t from, uint32_t to);
  Instant carry(Link& l, uint64_t bytes);
  void push(Instant at, What what, uint64_t id, uint64_t arg);
  void send(Conn& conn, int to, Kind kind, Slice data);
  void deliver(Conn& conn, int to);
  void credit(Conn& conn, int to, uint64_t amount);
  void on_syn(uint64_t id);
  void on_syn_ack(uint64_t id, uint64_t conn_id);
  void drop_syn(Pending& pending, uint64_t id);
  void reset_side(Conn& conn, int side);
  void close_side(Conn& conn, int side);
  void retransmit(Conn& conn, int to);
  void retransmit_over(uint32_t from, uint32_t to);
  void release(Conn& conn, int side);
  Conn* find(uint64_t id);
  void leave(uint32_t node, bool vanished);

  Engine& engine_;
  NetKnobs knobs_;
  NetStats stats_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<uint64_t, std::unique_ptr<Link>> links_;         // By from << 32 | to.
  std::map<uint64_t, std::unique_ptr<Conn>> connections_;
  std::map<uint64_t, Pending*> pending_;                    // On the stacks of those who connect.
  uint64_t next_id_ = 1;
};

}  // namespace taffrail::sim
