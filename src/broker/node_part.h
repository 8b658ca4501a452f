// A broker on a machine with several shards: the node itself lives on shard 0 (broker/node.h), a part of it on each
// of the others. They find each other in a NodeShards, and are driven by shard 0 through messages.
//
//   shard 0: Node                        shard 1..: NodePart
//     start: waits for all parts  <------  constructor
//            open, join, bind, ... ------>  each in a fiber there, answered with a Result
//     stop:  stop  ---------------------->  the same
//            release -------------------->  wait_released() returns
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/node_config.h"
#include "broker/remote_peers.h"
#include "broker/shard.h"
#include "runtime/remote.h"

namespace taffrail {

class NodePart;

/// Where the shards of one start of a node meet: made before any of them runs, and given to all. Only shard 0
/// looks at `parts`; the others post.
struct NodeShards {
  struct Arrived {
    Remote<NodePart> part;
    Remote<BrokerShard> shard;
  };
  /// The way to shard 0, for whom the others hold it before there is anybody.
  const std::shared_ptr<NodeHome*> home = std::make_shared<NodeHome*>(nullptr);
  std::map<ShardId, Arrived> parts;  ///< Of the shards from 1 on.
  WaitQueue changed;
};

class NodePart {
 public:
  /// `runtime` is not that of shard 0; `config` is what the node is given.
  NodePart(Runtime& runtime, NodeConfig config, std::shared_ptr<NodeShards> shards);

  /// Until the node on shard 0 has stopped, or did not start: only then may the part go.
  void wait_released(Task& task) { released_.wait_through(task); }

  // From shard 0, in messages.

  /// Runs `what` in a fiber of the part.
  template <class R = void>
  void run(std::function<Result<R>(Task&, NodePart&)> what, typename Question<Result<R>>::Answer answer) {
    if (stopped_) return answer.give(runtime_, fail(Errc::kUnavailable, "this shard has stopped"));
    runtime_.spawn(scope_, "node/part", [this, what = std::move(what), answer = std::move(answer)](Task& task) {
      Result<R> done = what(task, *this);
      answer.give(runtime_, std::move(done));
    });
  }
  /// On the first shard of each data directory but the node's first: who this directory is, and its logs on as many shards
  /// as the node has. `cluster`: that of the node, if it is known; the directory must be of the same. Errors: kIo if the
  /// disk fails; of load_identity() and match_shards().
  Result<NodeIdentity> prepare_directory(Task& task, const ClusterId& cluster);
  /// Writes down which cluster the directory is of, if that was not known. Errors: as save_identity().
  Result<> keep_cluster(Task& task, const ClusterId& cluster);
  /// `identity`: the node's, with the disk of this shard's directory; `failed`: why there is none.
  Result<> open(Task& task, const NodeIdentity& identity, const std::string& failed, BrokerShard::Look look);
  void join(const ClusterId& id, ClusterImage image, std::vector<Remote<BrokerShard>> shards);
  void set_alive(std::vector<BrokerId> alive, BrokerId leader);
  void apply(ByteView records, LogIndex index);
  void set_image(ClusterImage image);
  void on_link(BrokerId node, bool up, NodeShape shape);
  /// Ends everything but what BrokerShard::stop_serving() ended already.
  void stop(Question<Result<>>::Answer answer);
  /// A call of RaftDriver::kServices about a group of this shard.
  void serve_log(std::string_view service, Slice body, Question<Result<Chain>>::Answer answer);
  void release() { released_.set(); }

  BrokerShard& shard() { return shard_; }

 private:
  Runtime& runtime_;
  const NodeConfig config_;
  RemotePeers peers_;
  RemoteView view_;
  NodeIdentity directory_;                ///< As prepare_directory() found it.
  std::unique_ptr<DirectoryLock> lock_;   ///< Of the directory, on its first shard.
  BrokerShard shard_;
  std::vector<BrokerId> alive_;
  bool stopped_ = false;
  Event released_;
  Door<NodePart> door_{*this};
  Scope stopping_;
  Scope scope_;
};

}  // namespace taffrail
