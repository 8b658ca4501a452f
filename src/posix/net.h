// Listeners and connecting, on TCP.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "posix/address.h"
#include "posix/connection.h"
#include "posix/loop.h"
#include "runtime/net.h"

namespace taffrail::posix {

class PosixListener;
class PosixNet;

/// Which shards of a node listen together. Each shard of a node may listen at the same endpoint:
/// they share one socket, and what arrives there goes to them in turn, however busy each of them
/// is. (Left to the kernel, the first idle shard would get nearly every connection.) Any thread.
class ListenerGroups {
 public:
  struct Member {
    Loop* loop;
    PosixNet* net;
    uint64_t listener;  ///< Names a listener of `net`: an answer may come after it has gone.
  };
  struct Group {
    Fd socket;
    Endpoint at;
    std::vector<Member> members;
    size_t next = 0;
  };

  /// A duplicate of the socket at `address`, bound by the first who asks, and membership.
  /// Errors: as Net::listen; kBusy also if this shard listens there already.
  Result<Fd> join(const Address& address, const std::string& congestion, Member member,
                  std::shared_ptr<Group>& out);
  void leave(const std::shared_ptr<Group>& group, const Member& member);
  /// Whose turn it is.
  Member take_turn(Group& group);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<Group>> groups_;
};

class PosixNet final : public Net {
 public:
  /// `congestion`: TCP's congestion control, "" for the system's. All references outlive this.
  PosixNet(Loop& loop, ListenerGroups& groups, std::string congestion);
  ~PosixNet() override;

  /// An empty host listens on all addresses, IPv4 and IPv6. Names that resolve to several addresses
  /// get the first that can be bound.
  Result<std::unique_ptr<Listener>> listen(Task& task, const Endpoint& at) override;
  /// Tries the addresses of a name one after the other, each with a share of the time that is left.
  Result<std::unique_ptr<Connection>> connect(Task& task, const Endpoint& to,
                                              Instant deadline) override;

 private:
  friend class PosixListener;
  Result<std::unique_ptr<Connection>> connect_one(Task& task, const Address& address,
                                                  Instant deadline);
  /// Gives an accepted connection to a listener of this shard; drops it if that has gone.
  void deliver(uint64_t listener, Fd fd, const Endpoint& peer);

  Loop& loop_;
  ListenerGroups& groups_;
  const std::string congestion_;
  Resolver resolver_;
  std::map<uint64_t, PosixListener*> listeners_;
  uint64_t next_listener_ = 1;
};

}  // namespace taffrail::posix
