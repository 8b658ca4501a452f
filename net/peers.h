// Links between brokers: one connection per pair and direction, dialled by the sender, over which
// everything that one node has to tell another travels in batches: Raft messages of all groups, heartbeats,
// leaderships, and calls with an answer.
//
// A link starts with a greeting (docs/formats.md) that names format version, cluster,
// node and disk; a link to another cluster, or to another node than was meant, is refused and logged.
// Messages keep their order while a link lives. When it breaks, what was queued or in flight is lost, and
// both sides are told: the protocols above ask again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/peer_channel.h"

namespace taffrail {

struct PeerOptions {
  ByteCount queue_max = 64_MiB;      ///< Per link; past it, messages are dropped and the link is reset.
  uint32_t frame_size_max = 104'857'600;
  Duration dial_timeout = 2_s;
  Duration redial_min = 50_ms;       ///< Doubles up to the maximum, with jitter.
  Duration redial_max = 1_s;
  /// A link that takes no bytes for this long is given up, and so is one on which the other side does
  /// not answer: a quiet link is asked for a sign of life.
  Duration stall_max = 5_s;
};

class Peers final : public PeerChannel {
 public:
  Peers(Runtime& runtime, PeerOptions options);
  ~Peers() override;

  /// Listens for other brokers. Errors: as Net::listen.
  Result<> start(Task& task, const Endpoint& at, const PeerIdentity& self);
  Endpoint local() const;
  void stop(Task& task);

  /// Changes what later greetings say; existing links of another cluster are dropped.
  void set_identity(const PeerIdentity& self);
  const PeerIdentity& identity() const;

  /// Where `node` is to be found. Starts a link, or moves it when the address changed.
  void set_address(BrokerId node, const Endpoint& at);
  void forget(BrokerId node);

  void send(BrokerId to, PeerKind kind, Chain parts) override;
  bool connected(BrokerId node) const override;
  NodeShape shape_of(BrokerId node) const override;
  /// Bytes queued towards `node` and not yet handed to the transport.
  ByteCount queued(BrokerId node) const;

  Result<Slice> call(Task& task, BrokerId to, std::string_view service, Chain body, Instant deadline) override;
  /// A call towards an address whose node is not known yet: a connection of its own.
  Result<Slice> call_address(Task& task, const Endpoint& to, std::string_view service, Chain body,
                             Instant deadline);

  /// Called for each message, in order, on the reading fiber: must not wait.
  std::function<void(const PeerIdentity& from, PeerKind kind, Slice body)> on_message;
  /// The outgoing link to a node came up or broke (forget() and stop() break it too): after each "up"
  /// there is one "down" before the next. On the link's fiber: must not wait.
  std::function<void(BrokerId node, bool up)> on_link;
  /// The connection by which a node sends to this one ended, and it has no newer one: all that it sent has
  /// been read, and nothing comes until it dials again. Not after stop(). Must not wait.
  std::function<void(BrokerId node)> on_sender_gone;
  void serve(std::string name, PeerService service);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
