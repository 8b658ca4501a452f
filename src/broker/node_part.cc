#include "broker/node_part.h"

#include "base/check.h"

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

void NodePart::run(std::function<Result<>(Task&, NodePart&)> what, Question<Result<>>::Answer answer) {
  if (stopped_) return answer.give(runtime_, fail(Errc::kUnavailable, "this shard has stopped"));
  runtime_.spawn(scope_, "node/part", [this, what = std::move(what), answer = std::move(answer)](Task& task) {
    Result<> done = what(task, *this);
    answer.give(runtime_, std::move(done));
  });
}

Result<> NodePart::open(Task& task, const NodeIdentity& identity, BrokerShard::Look look) {
  return shard_.open(task, identity, std::move(look));
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

void NodePart::on_link(BrokerId node, bool up, uint32_t shards) {
  peers_.note_link(node, up, shards);
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
    answer.give(runtime_, Result<>{});
  });
}

}  // namespace taffrail
