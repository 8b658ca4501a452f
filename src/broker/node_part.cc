#include "broker/node_part.h"

#include <fmt/core.h>

#include "base/check.h"
#include "base/plant.h"
#include "broker/shard_count.h"

namespace taffrail {

NodePart::NodePart(Runtime& runtime, NodeConfig config, std::shared_ptr<NodeShards> shards)
    : runtime_(runtime), config_(std::move(config)), peers_(runtime, Remote<NodeHome>(ShardId(0), shards->home)),
      view_(runtime, Remote<NodeHome>(ShardId(0), shards->home)), shard_(runtime, config_, peers_),
      alive_{config_.id} {
  CHECK(runtime.shard() != ShardId(0), "the node itself lives on shard 0");
  NodeShards::Arrived arrived{door_.from(runtime.shard()), shard_.remote()};
  runtime.post(ShardId(0), [shards = std::move(shards), shard = runtime.shard(), arrived = std::move(arrived)] {
    shards->parts[shard] = arrived;
    shards->changed.notify_all();
  });
}

Result<NodeIdentity> NodePart::prepare_directory(Task& task, const ClusterId& cluster) {
  auto lock = runtime_.disk().lock(task, "lock");
  if (!lock && lock.error().code == Errc::kBusy) return fail(lock.error(), "it is in use by another process");
  if (!lock) return std::unexpected(lock.error());
  lock_ = *std::move(lock);
  directory_ = TRY(load_identity(task, runtime_, config_.id));
  if (!directory_.cluster.is_zero() && !cluster.is_zero() && directory_.cluster != cluster && !PLANT("M59"))
    return fail(Errc::kInvalid, fmt::format("it belongs to cluster {}, and the node's first data directory to {}. Give the node its own "
                                            "directories", directory_.cluster.text(), cluster.text()));
  TRY(match_shards(task, runtime_, directory_, store_options(config_, directory_, runtime_.shard())));
  return directory_;
}

Result<> NodePart::keep_cluster(Task& task, const ClusterId& cluster) {
  if (directory_.cluster == cluster) return {};
  directory_.cluster = cluster;
  return save_identity(task, runtime_, directory_);
}

Result<> NodePart::open(Task& task, const NodeIdentity& identity, const std::string& failed, BrokerShard::Look look) {
  if (failed.empty()) return shard_.open(task, identity, std::move(look));
  shard_.go_without_directory({Errc::kIo, failed});
  return {};
}

void NodePart::join(const ClusterId& id, ClusterImage image, std::vector<Remote<BrokerShard>> shards) {
  view_.set_image(std::move(image));
  shard_.join(id, view_, [this] { return alive_; }, std::move(shards));
}

void NodePart::set_alive(std::vector<BrokerId> alive, BrokerId leader) {
  alive_ = std::move(alive);
  view_.set_leader(leader);
}

void NodePart::apply(ByteView records, LogIndex index) {
  view_.apply(records, index);
  shard_.on_applied();
}

void NodePart::set_image(ClusterImage image) {
  view_.set_image(std::move(image));
  shard_.on_applied();
}

void NodePart::on_link(BrokerId node, bool up, NodeShape shape) {
  peers_.note_link(node, up, shape);
  shard_.on_link(node, up);
}

void NodePart::serve_log(std::string_view service, Slice body, Question<Result<Chain>>::Answer answer) {
  if (stopped_) return answer.give(runtime_, fail(Errc::kUnavailable, "this shard has stopped"));
  runtime_.spawn(scope_, "node/log", [this, service, body = std::move(body), answer = std::move(answer)](Task& task) {
    Result<Chain> made = fail(Errc::kUnavailable, "this shard is starting");
    if (shard_.driver() != nullptr) made = shard_.driver()->serve(task, service, body);
    answer.give(runtime_, std::move(made));
  });
}

void NodePart::stop(Question<Result<>>::Answer answer) {
  stopped_ = true;
  runtime_.spawn(stopping_, "node/part/stop", [this, answer = std::move(answer)](Task& task) {
    scope_.cancel();
    scope_.join(task);
    shard_.stop_partitions(task);
    shard_.stop_raft(task);
    shard_.close(task);
    lock_.reset();
    answer.give(runtime_, Result<>{});
  });
}

}  // namespace taffrail
