#include "net/peers.h"

#include <fmt/core.h>

#include <map>

#include "base/check.h"
#include "net/peer_inbound.h"
#include "net/peer_link.h"
#include "net/peer_wire.h"

namespace taffrail {

namespace {

constexpr Duration kAcceptPause = 100_ms;
constexpr Duration kTellAgain = 60_s;
/// Strangers included: brokers are few, and each has one link and a few calls here.
constexpr size_t kInboundMax = 10'000;

}  // namespace

struct Peers::State {
  PeerContext context;
  std::unique_ptr<Listener> listener;
  bool stopped = false;
  std::map<BrokerId, std::unique_ptr<PeerLink>> links;
  std::map<BrokerId, std::unique_ptr<PeerLink>> retired;  // Forgotten, with fibers that are ending.
  uint64_t next_inbound = 1;
  std::map<uint64_t, std::unique_ptr<PeerInbound>> inbound;
  std::string told;  // The last refusal that was logged, and when.
  Instant told_at{};
  Scope scope;

  void accept_all(Task& task);
  void take_in(std::unique_ptr<Connection> socket);
  void attend(Task& task, uint64_t id, PeerInbound& connection);
  void supersede(uint64_t by, const PeerInbound& connection);
  void tell_gone(uint64_t id, const PeerInbound& connection);
  void tell_refused(const PeerInbound& connection, const Error& error);
  void sweep();
  PeerLink* link(BrokerId node);
};

void Peers::State::accept_all(Task& task) {
  Logger& log = context.runtime.log();
  for (;;) {
    Result<std::unique_ptr<Connection>> socket = listener->accept(task);
    if (socket) {
      take_in(std::move(*socket));
      continue;
    }
    if (socket.error().code != Errc::kUnavailable) {
      if (!task.cancelled()) log.error("peers", "accepts no more: {}", socket.error().text());
      return;
    }
    if (!context.runtime.sleep_for(task, kAcceptPause)) return;
  }
}

void Peers::State::take_in(std::unique_ptr<Connection> socket) {
  if (inbound.size() >= kInboundMax) return;  // Closes it.
  const uint64_t id = next_inbound++;
  auto owned = std::make_unique<PeerInbound>(context, id, std::move(socket));
  PeerInbound* connection = owned.get();
  inbound.emplace(id, std::move(owned));
  context.runtime.spawn(scope, connection->name(), [this, id, connection](Task& task) {
    attend(task, id, *connection);
    inbound.erase(id);
  });
}

void Peers::State::attend(Task& task, uint64_t id, PeerInbound& connection) {
  if (const Result<> greeted = connection.greet(task); greeted) {
    supersede(id, connection);
    // Whoever dials is up: our own link to it need not wait for its turn, which may be a second away.
    if (PeerLink* back = connection.is_link() ? link(connection.peer().replica.node) : nullptr) back->hurry();
    connection.run(task);
    tell_gone(id, connection);
  } else if (greeted.error().code != Errc::kClosed && greeted.error().code != Errc::kCancelled) {
    tell_refused(connection, greeted.error());
  }
  connection.finish(task);
}

// A node has one link to us. What an older one still holds was lost when that broke at its other end,
// and must not be read after what comes by the new one.
void Peers::State::supersede(uint64_t by, const PeerInbound& connection) {
  if (!connection.is_link()) return;
  for (auto& [id, other] : inbound) {
    if (id != by && other->is_link() && other->peer().replica.node == connection.peer().replica.node)
      other->close("a newer connection of the same node took its place");
  }
}

void Peers::State::tell_gone(uint64_t id, const PeerInbound& connection) {
  const BrokerId node = connection.peer().replica.node;
  if (stopped || !connection.is_link() || !context.peers.on_sender_gone) return;
  for (const auto& [other_id, other] : inbound)
    if (other_id > id && other->is_link() && other->peer().replica.node == node) return;
  context.peers.on_sender_gone(node);
}

// A node that is refused comes again every second: one line a minute, or when the reason is another.
void Peers::State::tell_refused(const PeerInbound& connection, const Error& error) {
  const Instant now = context.runtime.now();
  std::string text = fmt::format("{}: {}", connection.endpoint().host, error.text());
  if (text == told && now < told_at + kTellAgain) return;
  told = std::move(text);
  told_at = now;
  context.runtime.log().warn("peers", "refused {}: {}", connection.endpoint().text(), error.text());
}

void Peers::State::sweep() {
  std::erase_if(retired, [](const auto& item) { return item.second->ended(); });
}

PeerLink* Peers::State::link(BrokerId node) {
  const auto found = links.find(node);
  return found == links.end() ? nullptr : found->second.get();
}

Peers::Peers(Runtime& runtime, PeerOptions options)
    : state_(new State{{runtime, options, *this, {}, {}, 1}, {}, false, {}, {}, 1, {}, {}, {}, {}}) {}

Peers::~Peers() = default;

Result<> Peers::start(Task& task, const Endpoint& at, const PeerIdentity& self) {
  State& state = *state_;
  CHECK(state.listener == nullptr && !state.stopped, "peers start once");
  state.context.self = self;
  state.listener = TRY(state.context.runtime.net().listen(task, at));
  state.context.runtime.spawn(state.scope, "peers/accept", [&state](Task& inner) { state.accept_all(inner); });
  for (auto& [node, link] : state.links) link->start();
  return {};
}

Endpoint Peers::local() const {
  return state_->listener == nullptr ? Endpoint{} : state_->listener->local();
}

void Peers::stop(Task& task) {
  State& state = *state_;
  state.stopped = true;
  if (state.listener != nullptr) state.listener->close();
  state.scope.cancel();
  for (auto& [node, link] : state.links) link->stop();
  for (auto& [node, link] : state.retired) link->stop();
  state.scope.join(task);
  // Nothing is added to either map any more, and only sweep(), which nobody calls now, takes away.
  for (auto& [node, link] : state.links) link->join(task);
  for (auto& [node, link] : state.retired) link->join(task);
  state.links.clear();
  state.retired.clear();
}

void Peers::set_identity(const PeerIdentity& self) {
  state_->context.self = self;
  for (auto& [node, link] : state_->links) link->drop_if_stranger();
  for (auto& [id, connection] : state_->inbound) {
    if (std::string why = cluster_mismatch(self, connection->peer()); !why.empty())
      connection->close(std::move(why));
  }
}

const PeerIdentity& Peers::identity() const { return state_->context.self; }

void Peers::set_address(BrokerId node, const Endpoint& at) {
  State& state = *state_;
  if (state.stopped) return;
  state.sweep();
  std::unique_ptr<PeerLink>& place = state.links[node];
  if (place != nullptr && place->at() == at) return;
  std::unique_ptr<PeerLink> before = std::move(place);
  if (const auto old = state.retired.find(node); old != state.retired.end()) {
    CHECK(before == nullptr, "a node has one link, or the rest of one");
    before = std::move(old->second);
    state.retired.erase(old);
  }
  if (before != nullptr) before->stop();
  place = std::make_unique<PeerLink>(state.context, node, at, std::move(before));
  if (state.listener != nullptr) place->start();
}

void Peers::forget(BrokerId node) {
  State& state = *state_;
  if (state.stopped) return;
  state.sweep();
  const auto found = state.links.find(node);
  if (found == state.links.end()) return;
  found->second->stop();
  state.retired[node] = std::move(found->second);
  state.links.erase(found);
  state.sweep();
}

void Peers::send(BrokerId to, PeerKind kind, Chain parts) {
  if (PeerLink* link = state_->link(to)) link->send(kind, std::move(parts));
}

bool Peers::connected(BrokerId node) const {
  const PeerLink* link = state_->link(node);
  return link != nullptr && link->up();
}

NodeShape Peers::shape_of(BrokerId node) const {
  const PeerLink* link = state_->link(node);
  return link == nullptr ? NodeShape() : link->peer_shape();
}

ByteCount Peers::queued(BrokerId node) const {
  const PeerLink* link = state_->link(node);
  return link == nullptr ? 0 : link->queued();
}

Result<Slice> Peers::call(Task& task, BrokerId to, std::string_view service, Chain body, Instant deadline) {
  PeerLink* link = state_->link(to);
  if (link == nullptr) return fail(Errc::kClosed, fmt::format("no link to node {}", to.value));
  const PeerLink::CallTicket ticket = TRY(link->begin_call(service, std::move(body)));
  const Result<> settled = ticket.call->settled.wait(task, deadline);
  if (ticket.call->answer) return std::move(*ticket.call->answer);
  // The link may be another one by now, or none.
  link = state_->link(to);
  if (link != nullptr) link->end_call(ticket.id);
  return std::unexpected(settled.error());
}

Result<Slice> Peers::call_address(Task& task, const Endpoint& to, std::string_view service, Chain body,
                                  Instant deadline) {
  constexpr uint64_t kOnlyCall = 1;
  PeerIdentity who;
  const auto stream = TRY(dial_peer(task, state_->context, to, kNoBroker, deadline, who));
  ByteWriter head;
  const Slice call = encode_call_head(kOnlyCall, service);
  const size_t size = 1 + call.size() + chain_size(body);
  if (size > state_->context.options.frame_size_max)
    return fail(Errc::kTooLarge, fmt::format("a call of {} bytes", size));
  head.u32(static_cast<uint32_t>(size));
  head.u8(static_cast<uint8_t>(PeerKind::kCall));
  head.bytes(call);
  TRY(stream->write(task, Slice(head.view()), deadline));
  for (const Slice& part : body) TRY(stream->write(task, part, deadline));
  const Slice frame = TRY(stream->read(task, deadline));
  if (frame.empty() || frame.view()[0] != static_cast<uint8_t>(PeerKind::kAnswer))
    return fail(Errc::kCorrupt, fmt::format("{} did not answer the call", to.text()));
  const Slice answer = frame.sub(1, frame.size() - 1);
  AnswerHead outcome = TRY(decode_answer_head(answer));
  if (!outcome.outcome) return std::unexpected(std::move(outcome.outcome.error()));
  return answer.sub(outcome.size, answer.size() - outcome.size);
}

void Peers::serve(std::string name, PeerService service) {
  CHECK(!name.empty(), "a service has a name");
  state_->context.services.insert_or_assign(std::move(name), std::move(service));
}

}  // namespace taffrail
