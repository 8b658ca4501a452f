#include "controller/commands.h"

#include <fmt/core.h>

#include "base/plant.h"
#include "controller/decide.h"

namespace taffrail {

using protocol::ErrorCode;

Decision decide_register_broker(const ClusterImage& image, const RegisterBrokerCommand& command) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  const ReplicaId& replica = command.broker.replica;
  if (replica.node.value < 0) {
    reply.error = ErrorCode::kInvalidRegistration;
    reply.message = fmt::format("A broker's id is 0 or more, not {}.", replica.node.value);
    return out;
  }
  const BrokerRecord* known = image.find_broker(replica.node);
  if (known != nullptr && known->replica != replica) {
    reply.error = ErrorCode::kDuplicateBrokerRegistration;
    reply.message = fmt::format("Broker {} is registered with disk {}, and this one has disk {}: two brokers share an "
                                "id, or its disk was replaced.",
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
  Decision operator()(const RegisterBrokerCommand& c) const { return decide_register_broker(image, c); }
  Decision operator()(const AllocateProducerIdsCommand& c) const { return decide_allocate_producer_ids(image, c); }
};

}  // namespace

Decision decide(const ClusterImage& image, const ControllerCommand& command, const DecisionContext& context) {
  return std::visit(Decide{image, context}, command);
}

}  // namespace taffrail
