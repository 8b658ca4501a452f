// The outgoing side of one pair of nodes: dials, greets, sends, and dials again.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/peer_stream.h"
#include "net/peers.h"

namespace taffrail {

/// What a node's links and inbound connections share. Outlives them.
struct PeerContext {
  Runtime& runtime;
  const PeerOptions options;
  Peers& peers;  ///< For its callbacks.
  PeerIdentity self;
  std::map<std::string, PeerService, std::less<>> services;
  uint64_t next_call = 1;  ///< Ids of calls are not used twice, whatever becomes of their link.
};

/// Calls of one link, or services running for one connection, at a time; further ones are kBusy.
inline constexpr size_t kPeerCallsMax = 1024;

/// Dials and greets; what comes back is a stream that both sides agreed to. `meant` kNoBroker: whoever
/// is there. Errors: as Net::connect; kRefused with the reason, by them or by us; kCorrupt, kUnsupported.
Result<std::unique_ptr<PeerStream>> dial_peer(Task& task, PeerContext& context, const Endpoint& to,
                                              BrokerId meant, Instant deadline, PeerIdentity& who);

/// One node at one address; an address that changed is another link, which takes the place of this one.
///
///        start()          greeted: on_link(up)
///   idle -------> dialling --------------------> up
///                    ^                            | it broke, or drop(): on_link(down)
///                    +---- pause, then again -----+        stop(): ends in any state
class PeerLink {
 public:
  /// `before`: the link that this one replaces; what it has to say is said before this one begins.
  PeerLink(PeerContext& context, BrokerId node, Endpoint at, std::unique_ptr<PeerLink> before);

  void start();
  /// Ends without waiting; destroy when ended().
  void stop() { scope_.cancel(); }
  void join(Task& task) { scope_.join(task); }
  bool ended() const { return scope_.empty(); }

  const Endpoint& at() const { return at_; }
  bool up() const;
  /// Of the node at its end, as it last greeted.
  NodeShape peer_shape() const { return peer_shape_; }
  ByteCount queued() const;
  /// Queues; loses the message unless the link is up.
  void send(PeerKind kind, Chain parts);
  /// Breaks what is up; it will be dialled again.
  void drop(std::string why);
  /// The node is there, most likely: where the next dial waits for its time, that is redial_min from now at the latest.
  void hurry();
  /// Drops the link if the node at its end belongs to another cluster than ours.
  void drop_if_stranger();

  /// One call. What it leaves in the link is taken away by end_call().
  struct Call {
    std::optional<Result<Slice>> answer;
    Event settled;
  };
  struct CallTicket {
    uint64_t id = 0;
    /// Shared, for a crash may end the asking fiber before the link or after it.
    std::shared_ptr<Call> call;
  };
  /// Errors: kClosed, kBusy, kTooLarge.
  Result<CallTicket> begin_call(std::string_view service, Chain body);
  void end_call(uint64_t id);

 private:
  // What lives from one greeting to the next break.
  struct Session {
    std::unique_ptr<PeerStream> stream;
    PeerIdentity peer;
    std::map<uint64_t, std::shared_ptr<Call>> calls;
    Scope scope;
  };

  void run(Task& task);
  Result<> dial(Task& task);
  void converse(Task& task);
  std::string read_answers(Task& task);
  Result<> on_frame(const Slice& frame);
  void end_session(Task& task, std::string why);
  void tell_failure(const Error& error);
  Result<> pause(Task& task, Duration& next);

  PeerContext& context_;
  BrokerId node_;
  Endpoint at_;
  std::string name_;  // "peers/3".
  std::unique_ptr<PeerLink> before_;
  std::unique_ptr<Session> session_;
  NodeShape peer_shape_;
  std::string last_failure_;
  WaitQueue pause_over_;
  Scope scope_;
};

}  // namespace taffrail
