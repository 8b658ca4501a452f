#include "sim/sim_net.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "base/check.h"
#include "runtime/sync.h"

namespace taffrail::sim {

struct SimNet::Link {
  Link(Stream& s, bool within_a_node) : draws(s), near(within_a_node) {}
  Stream& draws;
  bool near;
  uint32_t blocks = 0;
  uint32_t factor = 1;
  uint64_t writes = 0;
  Instant free_at{};  // When the bytes handed to it so far have left.
};

struct SimNet::Segment {
  Kind kind;
  Instant at;
  Slice data;
};

// One end of a connection, and what is on its way to it.
struct SimNet::Side {
  uint32_t node = 0;
  State state = State::kOpen;
  bool held = false;   // Somebody has a handle, or will accept one.
  bool fin = false;    // The peer ended in order.
  bool reset = false;
  Endpoint local;

  std::deque<Segment> coming;
  Instant last_arrival{};
  bool stalled = false;

  std::deque<Slice> arrived;
  size_t consumed_of_first = 0;
  uint64_t readable_bytes = 0;
  uint64_t credit_owed = 0;    // Read, and the peer does not know it yet.
  uint64_t credit_stalled = 0; // On its way to this side when the link was blocked.
  uint64_t in_window = 0;      // Sent by this side, not known to be read.

  WaitQueue readable;
  WaitQueue writable;
};

struct SimNet::Conn {
  uint64_t id = 0;
  bool black_hole = false;
  int last_writer = -1;
  Side sides[2];
};

struct SimNet::Pending {
  uint32_t from = 0;
  uint32_t to = 0;
  Endpoint local;
  Endpoint target;
  uint32_t tries = 0;
  bool refused = false;
  Conn* conn = nullptr;
  WaitQueue answered;
};

struct SimNet::Machine {
  std::string name;
  const MachineClock* clock = nullptr;
  Stream* draws = nullptr;
  bool powered = true;
  bool cut_off = true;
  uint64_t life = 0;
  uint16_t next_port = 40'000;
  std::map<uint16_t, std::vector<SimListener*>> listeners;  // Of each shard that listens there, in order of asking.
  std::vector<std::unique_ptr<NodeNet>> nets;               // By shard.
};

class SimNet::NodeNet final : public Net {
 public:
  NodeNet(SimNet& net, uint32_t node, uint32_t shard) : net_(net), node_(node), shard_(shard) {}
  Result<std::unique_ptr<Listener>> listen(Task& task, const Endpoint& at) override;
  Result<std::unique_ptr<Connection>> connect(Task& task, const Endpoint& to, Instant deadline) override;

 private:
  bool is_me(const std::string& host) const {
    return host.empty() || host == "0.0.0.0" || host == "::" || host == "localhost" || host == "127.0.0.1" ||
           host == "::1" || host == net_.machines_[node_]->name;
  }
  SimNet& net_;
  uint32_t node_;
  uint32_t shard_;
};

class SimNet::SimListener final : public Listener {
 public:
  SimListener(SimNet& net, uint32_t node, uint32_t shard, uint16_t port)
      : net_(net), machine_(*net.machines_[node]), life_(machine_.life), shard_(shard), at_{machine_.name, port} {
    machine_.listeners[port].push_back(this);
  }
  ~SimListener() override { close(); }
  Result<std::unique_ptr<Connection>> accept(Task& task) override;
  Endpoint local() const override { return at_; }
  void close() override;
  bool full() const { return backlog_.size() >= net_.knobs_.backlog; }
  uint32_t shard() const { return shard_; }
  void offer(Conn& conn) {
    backlog_.push_back(conn.id);
    acceptors_.notify_one();
  }

 private:
  SimNet& net_;
  Machine& machine_;
  uint64_t life_;
  uint32_t shard_;
  Endpoint at_;
  bool closed_ = false;
  std::deque<uint64_t> backlog_;
  WaitQueue acceptors_;
};

class SimNet::SimConnection final : public Connection {
 public:
  SimConnection(SimNet& net, Conn& conn, int side)
      : net_(net), conn_(conn), side_(side), machine_(*net.machines_[conn.sides[side].node]), life_(machine_.life) {}
  ~SimConnection() override {
    close();
    net_.release(conn_, side_);
  }
  Result<size_t> read(Task& task, MutableBytes into, Instant deadline) override;
  Result<> write(Task& task, std::span<const Slice> parts, Instant deadline) override;
  Result<> send_file(Task& task, File& file, uint64_t position, uint64_t count, Instant deadline) override;
  void close() override {
    // A process that is gone has no say any more: its kernel closed, or the power went.
    if (life_ == machine_.life) net_.close_side(conn_, side_);
  }
  Endpoint peer() const override { return conn_.sides[1 - side_].local; }
  Endpoint local() const override { return conn_.sides[side_].local; }

 private:
  Side& me() { return conn_.sides[side_]; }
  SimNet& net_;
  Conn& conn_;
  int side_;
  Machine& machine_;
  uint64_t life_;
};

// --- Machines and links ----------------------------------------------------------------------------

SimNet::SimNet(Engine& engine, const NetKnobs& knobs) : EventSink(0x10000), engine_(engine), knobs_(knobs) {}

SimNet::~SimNet() = default;

uint32_t SimNet::add_node(std::string name, const MachineClock& clock) {
  const auto node = static_cast<uint32_t>(machines_.size());
  auto machine = std::make_unique<Machine>();
  machine->name = std::move(name);
  machine->clock = &clock;
  machine->draws = &engine_.tape.stream({.kind = StreamKind::kSocket, .a = node});
  machines_.push_back(std::move(machine));
  return node;
}

Net& SimNet::of(uint32_t node, uint32_t shard) {
  auto& nets = machines_[node]->nets;
  while (nets.size() <= shard) nets.push_back(std::make_unique<NodeNet>(*this, node, static_cast<uint32_t>(nets.size())));
  return *nets[shard];
}

SimNet::Link& SimNet::link(uint32_t from, uint32_t to) {
  auto& slot = links_[static_cast<uint64_t>(from) << 32 | to];
  if (!slot) slot = std::make_unique<Link>(engine_.tape.stream({.kind = StreamKind::kLink, .a = from, .b = to}), from == to);
  return *slot;
}

uint64_t SimNet::writes(uint32_t from, uint32_t to) const {
  const auto it = links_.find(static_cast<uint64_t>(from) << 32 | to);
  return it == links_.end() ? 0 : it->second->writes;
}

bool SimNet::blocked(uint32_t from, uint32_t to) const {
  const auto at = links_.find(static_cast<uint64_t>(from) << 32 | to);
  return at != links_.end() && at->second->blocks > 0;
}

void SimNet::block(uint32_t from, uint32_t to) { ++link(from, to).blocks; }

void SimNet::unblock(uint32_t from, uint32_t to) {
  Link& l = link(from, to);
  if (l.blocks > 0 && --l.blocks == 0) retransmit_over(from, to);
}

void SimNet::slow(uint32_t from, uint32_t to, uint32_t factor) { link(from, to).factor = std::max(1u, factor); }

void SimNet::heal() {
  for (auto& [key, l] : links_) {
    l->factor = 1;
    if (l->blocks == 0) continue;
    l->blocks = 0;
    retransmit_over(static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key));
  }
}

// When something of that size, handed to the link now, arrives. Bytes queue for the wire; small things
// that are not bytes (an answer, a window) pay the latency only.
Instant SimNet::carry(Link& l, uint64_t bytes) {
  __extension__ using Wide = unsigned __int128;
  const Delay& latency = l.near ? knobs_.loopback : knobs_.latency;
  const Duration flight{latency.base.ns + l.draws.draw_between(0, latency.jitter.ns, "latency")};
  if (bytes == 0) return engine_.now() + flight * l.factor;
  const auto wire = static_cast<int64_t>(static_cast<Wide>(bytes) * 1'000'000'000 / knobs_.bytes_per_second);
  l.free_at = std::max(l.free_at, engine_.now()) + Duration{wire} * l.factor;
  return l.free_at + flight * l.factor;
}

void SimNet::push(Instant at, What what, uint64_t id, uint64_t arg) {
  engine_.push(at, *this, static_cast<uint64_t>(what) << 56 | id, arg);
}

void SimNet::on_event(uint64_t a, uint64_t b) {
  const uint64_t id = a & ((1ULL << 56) - 1);
  switch (static_cast<What>(a >> 56)) {
    case What::kSyn: return on_syn(id);
    case What::kSynAck: return on_syn_ack(id, b);
    case What::kRefused: {
      const auto at = pending_.find(id);
      if (at == pending_.end()) return;
      at->second->refused = true;
      at->second->answered.notify_all();
      return;
    }
    case What::kDeliver:
      if (Conn* conn = find(id)) deliver(*conn, static_cast<int>(b));
      return;
    case What::kCredit:
      if (Conn* conn = find(id)) credit(*conn, static_cast<int>(b & 1), b >> 1);
      return;
  }
}

SimNet::Conn* SimNet::find(uint64_t id) {
  const auto at = connections_.find(id);
  return at == connections_.end() ? nullptr : at->second.get();
}

// --- Streams ---------------------------------------------------------------------------------------

void SimNet::send(Conn& conn, int to, Kind kind, Slice data) {
  Side& side = conn.sides[to];
  Link& l = link(conn.sides[1 - to].node, side.node);
  if (l.factor > 1) ++stats_.slowed;
  const Instant at = std::max(carry(l, data.size()), side.last_arrival + 1_ns);
  side.last_arrival = at;
  side.coming.push_back({kind, at, std::move(data)});
  push(at, What::kDeliver, conn.id, static_cast<uint64_t>(to));
}

void SimNet::deliver(Conn& conn, int to) {
  Side& side = conn.sides[to];
  Side& from = conn.sides[1 - to];
  if (side.stalled || side.coming.empty() || side.coming.front().at > engine_.now()) return;
  if (conn.black_hole || !machines_[side.node]->powered || blocked(from.node, side.node)) {
    side.stalled = true;
    ++stats_.held;
    return;
  }
  Segment segment = std::move(side.coming.front());
  side.coming.pop_front();
  ++stats_.segments;
  stats_.bytes += segment.data.size();
  engine_.trace.add(TraceKind::kDeliver, side.node, conn.id << 8 | static_cast<uint64_t>(segment.kind) << 1 | to,
                    digest(segment.data.view()));

  if (side.state != State::kOpen || side.reset) {
    // Nobody is there to take it: the kernel says so to whoever still sends.
    if (segment.kind == Kind::kData && !from.reset && from.state == State::kOpen) send(conn, 1 - to, Kind::kReset, {});
    return;
  }
  switch (segment.kind) {
    case Kind::kData:
      side.readable_bytes += segment.data.size();
      side.arrived.push_back(std::move(segment.data));
      break;
    case Kind::kFin:
      side.fin = true;
      break;
    case Kind::kReset:
      reset_side(conn, to);
      break;
  }
  side.readable.notify_all();
}

// The peer has read so much more of what the side `to` sent.
void SimNet::credit(Conn& conn, int to, uint64_t amount) {
  Side& side = conn.sides[to];
  if (conn.black_hole) return;
  if (blocked(conn.sides[1 - to].node, side.node)) {
    side.credit_stalled += amount;
    return;
  }
  side.in_window -= std::min(side.in_window, amount);
  side.writable.notify_all();
}

void SimNet::reset_side(Conn& conn, int which) {
  Side& side = conn.sides[which];
  if (side.reset) return;
  side.reset = true;
  ++stats_.resets;
  // Some kernels give the reader what had arrived, some do not.
  if (machines_[side.node]->draws->draw(2, "a reset discards what had arrived") == 1) {
    side.arrived.clear();
    side.consumed_of_first = 0;
    side.readable_bytes = 0;
  }
  side.readable.notify_all();
  side.writable.notify_all();
}

void SimNet::close_side(Conn& conn, int which) {
  Side& side = conn.sides[which];
  if (side.state != State::kOpen) return;
  side.state = State::kClosed;
  const Side& peer = conn.sides[1 - which];
  if (!side.reset && peer.state == State::kOpen)
    send(conn, 1 - which, side.readable_bytes > 0 ? Kind::kReset : Kind::kFin, {});
  side.readable.notify_all();
  side.writable.notify_all();
}

void SimNet::release(Conn& conn, int which) {
  conn.sides[which].held = false;
  if (!conn.sides[0].held && !conn.sides[1].held) connections_.erase(conn.id);
}

// What waited for a link or a machine is sent again.
void SimNet::retransmit(Conn& conn, int to) {
  Side& side = conn.sides[to];
  if (conn.black_hole) return;
  if (conn.sides[1 - to].state == State::kVanished) {
    side.coming.clear();  // Nobody is left to send it again.
    side.stalled = false;
    return;
  }
  Link& l = link(conn.sides[1 - to].node, side.node);
  const Instant again = engine_.now() + knobs_.retransmit.base +
                        Duration{l.draws.draw_between(0, knobs_.retransmit.jitter.ns, "retransmission")};
  if (side.credit_stalled > 0) {
    const uint64_t amount = std::exchange(side.credit_stalled, 0);
    push(again, What::kCredit, conn.id, amount << 1 | static_cast<uint64_t>(to));
  }
  if (!side.stalled) return;
  side.stalled = false;
  Instant at = again;
  for (Segment& segment : side.coming) {
    segment.at = std::max(segment.at, at);
    at = segment.at + 1_us;
    push(segment.at, What::kDeliver, conn.id, static_cast<uint64_t>(to));
  }
  side.last_arrival = std::max(side.last_arrival, at);
}

void SimNet::retransmit_over(uint32_t from, uint32_t to) {
  for (auto& [id, conn] : connections_)
    for (int side = 0; side < 2; ++side)
      if (conn->sides[side].node == to && conn->sides[1 - side].node == from) retransmit(*conn, side);
}

Result<size_t> SimNet::SimConnection::read(Task& task, MutableBytes into, Instant deadline) {
  CHECK(!into.empty(), "a read of nothing could not tell the end from no news");
  for (;;) {
    Side& side = me();
    if (life_ != machine_.life || side.state != State::kOpen) return fail(Errc::kClosed, "closed");
    if (side.readable_bytes > 0) break;
    if (side.reset) return fail(Errc::kClosed, "connection reset by peer");
    if (side.fin) return size_t{0};
    TRY(side.readable.wait(task, deadline));
  }
  Side& side = me();
  auto count = static_cast<size_t>(std::min<uint64_t>(into.size(), side.readable_bytes));
  if (count > 1 && machine_.draws->hits(net_.knobs_.short_read_per_mille, 1000, "short read"))
    count -= machine_.draws->draw(count, "left for the next read");
  for (size_t done = 0; done < count;) {
    const Slice& first = side.arrived.front();
    const size_t piece = std::min(count - done, first.size() - side.consumed_of_first);
    std::memcpy(into.data() + done, first.data() + side.consumed_of_first, piece);
    done += piece;
    side.consumed_of_first += piece;
    if (side.consumed_of_first == first.size()) {
      side.arrived.pop_front();
      side.consumed_of_first = 0;
    }
  }
  side.readable_bytes -= count;
  side.credit_owed += count;
  if (side.credit_owed >= std::max(1u, net_.knobs_.window_bytes / 4)) {
    const int peer = 1 - side_;
    const Instant at = net_.carry(net_.link(side.node, conn_.sides[peer].node), 0);
    net_.push(at, What::kCredit, conn_.id, std::exchange(side.credit_owed, 0) << 1 | static_cast<uint64_t>(peer));
  }
  return count;
}

Result<> SimNet::SimConnection::write(Task& task, std::span<const Slice> parts, Instant deadline) {
  Side& side = me();
  if (conn_.last_writer != side_) {
    conn_.last_writer = side_;
    ++net_.stats_.turns;
  }
  ++net_.link(side.node, conn_.sides[1 - side_].node).writes;
  for (const Slice& part : parts) {
    for (size_t done = 0; done < part.size();) {
      if (life_ != machine_.life || side.state != State::kOpen || machine_.cut_off) return fail(Errc::kClosed, "closed");
      if (side.reset) return fail(Errc::kClosed, "connection reset by peer");
      const uint64_t window = net_.knobs_.window_bytes;
      if (side.in_window >= window) {
        TRY(side.writable.wait(task, deadline));
        continue;
      }
      size_t piece = std::min<size_t>(part.size() - done, net_.knobs_.segment_bytes);
      piece = static_cast<size_t>(std::min<uint64_t>(piece, window - side.in_window));
      if (piece > 1 && machine_.draws->hits(net_.knobs_.split_per_mille, 1000, "split write"))
        piece -= machine_.draws->draw(piece, "left for the next segment");
      side.in_window += piece;
      net_.send(conn_, 1 - side_, Kind::kData, part.sub(done, piece));
      done += piece;
    }
  }
  return {};
}

Result<> SimNet::SimConnection::send_file(Task& task, File& file, uint64_t position, uint64_t count,
                                          Instant deadline) {
  constexpr uint64_t kPiece = 64 << 10;
  const uint64_t size_now = TRY(file.size(task));
  if (position > size_now || count > size_now - position)
    return fail(Errc::kOutOfRange, fmt::format("{} bytes at {} of a file of {}", count, position, size_now));
  while (count > 0) {
    const uint64_t want = std::min(count, kPiece);
    Result<size_t> got = fail(Errc::kIo);
    // The bytes are taken when there is room to send them, not when the call was made.
    while (me().in_window >= net_.knobs_.window_bytes && me().state == State::kOpen && !me().reset)
      TRY(me().writable.wait(task, deadline));
    const Slice piece = Slice::make(want, [&](MutableBytes into) { got = file.read_at(task, position, into); });
    const size_t size = TRY(std::move(got));
    if (size < want) return fail(Errc::kOutOfRange, fmt::format("the file ends before {}", position + count));
    TRY(write(task, std::span(&piece, 1), deadline));
    position += want;
    count -= want;
  }
  return {};
}

// --- Connecting ------------------------------------------------------------------------------------

Result<std::unique_ptr<Listener>> SimNet::NodeNet::listen(Task&, const Endpoint& at) {
  Machine& machine = *net_.machines_[node_];
  if (machine.cut_off) return fail(Errc::kRefused, "this node is stopping");
  if (!is_me(at.host)) return fail(Errc::kInvalid, fmt::format("{} is not an address of this machine", at.host));
  uint16_t port = at.port;
  while (port == 0) {
    const uint16_t candidate = machine.next_port++;
    if (machine.next_port < 40'000) machine.next_port = 40'000;
    if (!machine.listeners.contains(candidate)) port = candidate;
  }
  const auto there = machine.listeners.find(port);
  if (there != machine.listeners.end())
    for (const SimListener* other : there->second)
      if (other->shard() == shard_) return fail(Errc::kBusy, fmt::format("port {} is in use", port));
  return std::make_unique<SimListener>(net_, node_, shard_, port);
}

Result<std::unique_ptr<Connection>> SimNet::SimListener::accept(Task& task) {
  for (;;) {
    if (closed_ || life_ != machine_.life) return fail(Errc::kClosed, "the listener is closed");
    if (!backlog_.empty()) break;
    TRY(acceptors_.wait(task));
  }
  Conn* conn = net_.find(backlog_.front());
  backlog_.pop_front();
  CHECK(conn != nullptr, "the backlog holds its connections");
  return std::make_unique<SimConnection>(net_, *conn, 1);
}

void SimNet::SimListener::close() {
  if (closed_) return;
  closed_ = true;
  if (life_ == machine_.life) {
    auto& there = machine_.listeners[at_.port];
    std::erase(there, this);
    if (there.empty()) machine_.listeners.erase(at_.port);
  }
  for (const uint64_t id : backlog_) {
    Conn* conn = net_.find(id);
    if (conn == nullptr) continue;
    if (life_ == machine_.life && conn->sides[1].state == State::kOpen) {
      conn->sides[1].state = State::kClosed;
      net_.send(*conn, 0, Kind::kReset, {});
    }
    net_.release(*conn, 1);
  }
  backlog_.clear();
  acceptors_.notify_all();
}

Result<std::unique_ptr<Connection>> SimNet::NodeNet::connect(Task& task, const Endpoint& to, Instant deadline) {
  Machine& machine = *net_.machines_[node_];
  if (machine.cut_off) return fail(Errc::kRefused, "this node is stopping");
  uint32_t target = node_;
  if (!is_me(to.host)) {
    const auto at = std::find_if(net_.machines_.begin(), net_.machines_.end(),
                                 [&](const auto& m) { return m->name == to.host; });
    if (at == net_.machines_.end()) return fail(Errc::kNotFound, fmt::format("{} does not resolve", to.host));
    target = static_cast<uint32_t>(at - net_.machines_.begin());
  }
  struct Registered : Pending {
    Registered(SimNet& n, uint64_t i) : net(n), id(i) { net.pending_[id] = this; }
    ~Registered() {
      net.pending_.erase(id);
      // Answered, but the fiber did not live to take it; leave() has told the other side.
      if (conn != nullptr && !taken) net.release(*conn, 0);
    }
    SimNet& net;
    uint64_t id;
    bool taken = false;
  };
  Registered pending(net_, net_.next_id_++);
  pending.from = node_;
  pending.to = target;
  pending.target = Endpoint{net_.machines_[target]->name, to.port};
  pending.local = Endpoint{machine.name, machine.next_port++};
  if (machine.next_port < 40'000) machine.next_port = 40'000;
  net_.push(net_.carry(net_.link(node_, target), 0), What::kSyn, pending.id, 0);

  const Instant give_up = machine.clock->mono(net_.engine_.now()) + net_.knobs_.connect_timeout;
  const std::string where = pending.target.text();
  while (pending.conn == nullptr) {
    if (pending.refused) {
      ++net_.stats_.refused;
      return fail(Errc::kRefused, fmt::format("{} refuses connections", where));
    }
    const Result<> waited = pending.answered.wait(task, std::min(deadline, give_up));
    if (!waited) return fail(waited.error().code, fmt::format("connecting to {}", where));
  }
  ++net_.stats_.connects;
  pending.taken = true;
  return std::make_unique<SimConnection>(net_, *pending.conn, 0);
}

// Nothing came back: the kernel asks again after 1 s, 2 s, 4 s, ...
void SimNet::drop_syn(Pending& pending, uint64_t id) {
  ++stats_.held;
  push(engine_.now() + 1_s * (1LL << std::min(pending.tries++, 6u)), What::kSyn, id, 0);
}

void SimNet::on_syn(uint64_t id) {
  const auto at = pending_.find(id);
  if (at == pending_.end()) return;
  Pending& pending = *at->second;
  Machine& target = *machines_[pending.to];
  if (blocked(pending.from, pending.to) || !target.powered) return drop_syn(pending, id);
  const auto listener = target.listeners.find(pending.target.port);
  Link& back = link(pending.to, pending.from);
  if (listener == target.listeners.end()) {
    if (blocked(pending.to, pending.from)) return drop_syn(pending, id);
    return push(carry(back, 0), What::kRefused, id, 0);
  }
  if (blocked(pending.to, pending.from)) return drop_syn(pending, id);
  std::vector<SimListener*> open;
  for (SimListener* l : listener->second)
    if (!l->full()) open.push_back(l);
  if (open.empty()) return drop_syn(pending, id);
  const size_t turn = open.size() == 1 ? 0 : target.draws->draw(open.size(), "which shard accepts");

  auto conn = std::make_unique<Conn>();
  conn->id = next_id_++;
  conn->sides[0].node = pending.from;
  conn->sides[0].local = pending.local;
  conn->sides[0].held = true;
  conn->sides[1].node = pending.to;
  conn->sides[1].local = pending.target;
  conn->sides[1].held = true;
  engine_.trace.add(TraceKind::kConnect, pending.from, conn->id, pending.to);
  const Instant answer = carry(back, 0);
  conn->sides[0].last_arrival = answer;  // No byte overtakes the answer.
  push(answer, What::kSynAck, id, conn->id);
  Conn& made = *conn;
  connections_.emplace(made.id, std::move(conn));
  open[turn]->offer(made);
}

void SimNet::on_syn_ack(uint64_t id, uint64_t conn_id) {
  Conn* conn = find(conn_id);
  if (conn == nullptr) return;
  const auto at = pending_.find(id);
  if (at == pending_.end()) {
    // Whoever asked has gone. His kernel says so to the other side, unless it went too.
    if (conn->sides[0].state == State::kOpen) {
      conn->sides[0].state = State::kClosed;
      send(*conn, 1, Kind::kReset, {});
    }
    release(*conn, 0);
    return;
  }
  at->second->conn = conn;
  at->second->answered.notify_all();
}

// --- What happens to machines ----------------------------------------------------------------------

void SimNet::process_started(uint32_t node) {
  Machine& machine = *machines_[node];
  machine.cut_off = false;
  if (machine.powered) return;
  machine.powered = true;
  // What peers sent meanwhile is sent again, and now there is a kernel to say that nobody knows it.
  for (auto& [id, conn] : connections_)
    for (int side = 0; side < 2; ++side)
      if (conn->sides[side].node == node && conn->sides[side].state != State::kOpen) retransmit(*conn, side);
}

void SimNet::cut_off(uint32_t node) { machines_[node]->cut_off = true; }

void SimNet::leave(uint32_t node, bool vanished) {
  Machine& machine = *machines_[node];
  machine.cut_off = true;
  ++machine.life;
  machine.listeners.clear();
  for (auto& [id, conn] : connections_) {
    for (int side = 0; side < 2; ++side) {
      Side& mine = conn->sides[side];
      if (mine.node != node || mine.state != State::kOpen) continue;
      if (vanished) {
        mine.state = State::kVanished;
      } else {
        close_side(*conn, side);
      }
    }
  }
}

void SimNet::process_died(uint32_t node) { leave(node, /*vanished=*/false); }

void SimNet::power_cut(uint32_t node) {
  leave(node, /*vanished=*/true);
  machines_[node]->powered = false;
}

uint32_t SimNet::reset_connections(uint32_t a, uint32_t b, Stream& draws) {
  uint32_t count = 0;
  for (auto& [id, conn] : connections_) {
    const bool between = (conn->sides[0].node == a && conn->sides[1].node == b) ||
                         (conn->sides[0].node == b && conn->sides[1].node == a);
    if (!between || conn->sides[0].reset || conn->sides[1].reset) continue;
    ++count;
    const int first = static_cast<int>(draws.draw(2, "which side is reset"));
    reset_side(*conn, first);
    if (draws.draw(2, "the other side hears only when it writes") == 0) reset_side(*conn, 1 - first);
  }
  return count;
}

uint32_t SimNet::black_hole(uint32_t a, uint32_t b) {
  uint32_t count = 0;
  for (auto& [id, conn] : connections_) {
    const bool between = (conn->sides[0].node == a && conn->sides[1].node == b) ||
                         (conn->sides[0].node == b && conn->sides[1].node == a);
    if (!between || conn->black_hole) continue;
    ++count;
    conn->black_hole = true;
  }
  return count;
}

}  // namespace taffrail::sim
