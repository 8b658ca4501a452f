#include "controller/commands.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "controller/decide.h"

namespace taffrail {

using protocol::ErrorCode;

Decision decide_register_broker(const ClusterImage& image, const RegisterBrokerCommand& command,
                                const DecisionContext& context) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  const ReplicaId& replica = command.broker.replica;
  if (replica.node.value < 0) {
    reply.error = ErrorCode::kInvalidRegistration;
    reply.message = fmt::format("A broker's id is 0 or more, not {}.", replica.node.value);
    return out;
  }
  const BrokerRecord* known = image.find_broker(replica.node);
  const auto& alive = context.alive_disks;
  const bool other_lives = known != nullptr && known->replica != replica &&
                           std::find(alive.begin(), alive.end(), known->replica) != alive.end();
  if (other_lives) {
    reply.error = ErrorCode::kDuplicateBrokerRegistration;
    reply.message = fmt::format("Broker {} is alive with disk {}, and this one has disk {}: two brokers share an "
                                "id.",
                                replica.node.value, known->replica.disk.text(), replica.disk.text());
    return out;
  }
  if (known == nullptr || *known != command.broker) out.records.push_back(RegisterBroker{command.broker});
  return out;
}

Decision decide_allocate_producer_ids(const ClusterImage& image, const AllocateProducerIdsCommand& command) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  if (image.find_broker(command.broker) == nullptr) {
    reply.error = ErrorCode::kBrokerIdNotRegistered;
    reply.message = fmt::format("Broker {} is not registered.", command.broker.value);
    return out;
  }
  if (image.next_producer_id() > INT64_MAX - kProducerIdBlock) {
    reply.error = ErrorCode::kUnknownServerError;
    reply.message = "Exhausted all producer ids.";
    return out;
  }
  out.reply.first_producer_id = image.next_producer_id();
  out.reply.producer_id_count = kProducerIdBlock;
  if (!PLANT("M31")) out.records.push_back(AllocateProducerIds{command.broker, kProducerIdBlock});
  return out;
}

namespace {

struct Decide {
  const ClusterImage& image;
  const DecisionContext& context;

  Decision operator()(const CreateTopicsCommand& c) const { return decide_create_topics(image, c, context); }
  Decision operator()(const DeleteTopicsCommand& c) const { return decide_delete_topics(image, c); }
  Decision operator()(const CreatePartitionsCommand& c) const { return decide_create_partitions(image, c, context); }
  Decision operator()(const AlterConfigsCommand& c) const { return decide_alter_configs(image, c, context); }
  Decision operator()(const RegisterBrokerCommand& c) const { return decide_register_broker(image, c, context); }
  Decision operator()(const AllocateProducerIdsCommand& c) const { return decide_allocate_producer_ids(image, c); }
  Decision operator()(const MovePartitionsCommand& c) const { return decide_move_partitions(image, c); }
  Decision operator()(const FinishMoveCommand& c) const { return decide_finish_move(image, c); }
  Decision operator()(const DescribeQuorumCommand&) const {
    Decision out;
    out.reply.items.emplace_back();
    out.reply.quorum = context.quorum;
    return out;
  }
  Decision operator()(const UnregisterBrokerCommand& c) const { return decide_unregister_broker(image, c, context); }
  Decision operator()(const UpdateFeaturesCommand& c) const { return decide_update_features(image, c); }
  Decision operator()(const ChangeVoterCommand& c) const { return decide_change_voter(image, c, context); }
  Decision operator()(const AlterQuotasCommand& c) const { return decide_alter_quotas(image, c); }
};

}  // namespace

bool QuorumView::is_voter(BrokerId id) const {
  return std::any_of(members.begin(), members.end(),
                     [id](const Member& member) { return member.voter && member.replica.node == id; });
}

Decision decide(const ClusterImage& image, const ControllerCommand& command, const DecisionContext& context) {
  return std::visit(Decide{image, context}, command);
}

}  // namespace taffrail
