// A connection that another node dialled: its greeting is judged, its messages are handed up, its calls
// are answered.
#pragma once

#include <memory>
#include <string>

#include "net/peer_link.h"
#include "net/peer_stream.h"
#include "net/peer_wire.h"
#include "net/peers.h"

namespace taffrail {

class PeerInbound {
 public:
  PeerInbound(PeerContext& context, uint64_t id, std::unique_ptr<Connection> socket);

  /// Reads and judges the greeting, and answers it. Errors: nothing more is to be done with this one.
  Result<> greet(Task& task);
  /// Everything after the greeting. Ends when the connection does.
  void run(Task& task);
  /// Ends every fiber of this connection but the caller's.
  void finish(Task& task);

  const PeerIdentity& peer() const { return peer_; }
  /// Greeted, and for this node by name: a link, and not a single call.
  bool is_link() const { return is_link_; }
  void close(std::string why) { stream_.close(std::move(why)); }
  const std::string& name() const { return name_; }
  Endpoint endpoint() const { return stream_.peer(); }

 private:
  std::string refusal(const Greeting& hello) const;
  Result<> on_frame(Slice frame);
  void tell_end(std::string_view why);
  Result<> on_call(const Slice& body);
  void answer(uint64_t id, Result<Chain> outcome);

  PeerContext& context_;
  std::string name_;  // "peers/from/17".
  PeerStream stream_;
  PeerIdentity peer_;
  bool is_link_ = false;
  size_t calls_ = 0;
  Scope scope_;
};

}  // namespace taffrail
