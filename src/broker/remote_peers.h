// The links to other brokers, and group 0, as a shard without them sees them: through shard 0.
#pragma once

#include <map>
#include <vector>

#include "broker/guests.h"
#include "controller/cluster_view.h"
#include "controller/controller.h"
#include "net/peers.h"
#include "runtime/remote.h"

namespace taffrail {

/// What shard 0 has for the others. Lives there.
struct NodeHome {
  NodeHome(Runtime& r, Peers& p, std::shared_ptr<NodeHome*> way) : runtime(r), peers(p), guests(r), door(*this, std::move(way)) {}
  Runtime& runtime;
  Peers& peers;
  Controller* controller = nullptr;  ///< Null before it is made, and after it has stopped.
  Guests guests;
  Door<NodeHome> door;
};

class RemotePeers final : public PeerChannel {
 public:
  RemotePeers(Runtime& runtime, Remote<NodeHome> home) : runtime_(runtime), home_(std::move(home)) {}

  /// Leaves with everything else that is sent during this round of the loop, in one message to shard 0.
  void send(BrokerId to, PeerKind kind, Chain parts) override;
  bool connected(BrokerId node) const override;
  NodeShape shape_of(BrokerId node) const override;
  Result<Slice> call(Task& task, BrokerId to, std::string_view service, Chain body, Instant deadline) override;

  /// As shard 0 tells.
  void note_link(BrokerId node, bool up, NodeShape shape) { links_[node] = {up, shape}; }

 private:
  struct Outgoing {
    BrokerId to;
    PeerKind kind;
    Chain parts;
  };
  struct Link {
    bool up = false;
    NodeShape shape;
  };
  void flush();

  Runtime& runtime_;
  const Remote<NodeHome> home_;
  std::map<BrokerId, Link> links_;
  std::vector<Outgoing> outbox_;
  uint64_t next_call_ = 0;
  Door<RemotePeers> door_{*this};
};

/// A copy of group 0's image, kept by applying what shard 0 applied.
class RemoteView final : public ClusterView {
 public:
  RemoteView(Runtime& runtime, Remote<NodeHome> home) : runtime_(runtime), home_(std::move(home)) {}

  const ClusterImage& image() const override { return image_; }
  BrokerId leader() const override { return leader_; }
  Result<ControllerReply> submit(Task& task, const ControllerCommand& command, Instant deadline) override;

  void set_image(ClusterImage image) { image_ = std::move(image); }
  void set_leader(BrokerId leader) { leader_ = leader; }
  /// The payload of an entry that shard 0 has applied to the same image.
  void apply(ByteView records, LogIndex index);

 private:
  Runtime& runtime_;
  const Remote<NodeHome> home_;
  ClusterImage image_;
  BrokerId leader_ = kNoBroker;
  uint64_t next_submit_ = 0;
};

}  // namespace taffrail
