// Goal: whatever is asked of whatever cluster, a decision can be carried out and means what it says.
// Method: laws over random commands, each decided on the image that the ones before it left.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "controller/commands.h"
#include "controller/support/random_cluster.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;

size_t items_of(const ControllerCommand& command) {
  struct Count {
    size_t operator()(const CreateTopicsCommand& c) const { return c.topics.size(); }
    size_t operator()(const DeleteTopicsCommand& c) const { return c.topics.size(); }
    size_t operator()(const CreatePartitionsCommand& c) const { return c.topics.size(); }
    size_t operator()(const AlterConfigsCommand& c) const { return c.resources.size(); }
    size_t operator()(const RegisterBrokerCommand&) const { return 1; }
    size_t operator()(const AllocateProducerIdsCommand&) const { return 1; }
    size_t operator()(const MovePartitionsCommand& c) const { return c.partitions.size(); }
    size_t operator()(const FinishMoveCommand&) const { return 1; }
    size_t operator()(const DescribeQuorumCommand&) const { return 1; }
    size_t operator()(const UnregisterBrokerCommand&) const { return 1; }
    size_t operator()(const UpdateFeaturesCommand& c) const { return c.updates.size(); }
    size_t operator()(const ChangeVoterCommand&) const { return 1; }
    size_t operator()(const AlterQuotasCommand& c) const { return c.entries.size(); }
  };
  return std::visit(Count{}, command);
}

bool validates_only(const ControllerCommand& command) {
  return std::visit([](const auto& c) {
    if constexpr (requires { c.validate_only; }) return c.validate_only;
    return false;
  }, command);
}

// For every sequence of commands: each item is answered once; the records apply, also after a trip
// through bytes; a refusal has a reason; validate_only changes nothing; and the same random numbers give
// the same decision.
RC_GTEST_PROP(Decide, CanBeCarriedOut, (uint64_t key)) {
  RandomCluster cluster(key);
  ClusterImage image;
  for (int i = 0; i < 4; ++i) (void)image.apply(RegisterBroker{cluster.broker()}, LogIndex(i + 1));
  LogIndex next(5);
  int64_t ids_given = 0;
  for (int i = 0; i < 60; ++i) {
    const ControllerCommand command = cluster.command(image);
    const uint64_t seed = cluster.random().next();
    CounterRandom random(seed);
    CounterRandom again(seed);
    DecisionContext context{cluster.alive(image), next, 3, &random};
    context.quorum = cluster.quorum(image);
    const Decision decision = decide(image, command, context);
    context.random = &again;
    const Decision twin = decide(image, command, context);
    RC_ASSERT(twin.records == decision.records);
    RC_ASSERT(twin.reply == decision.reply);

    // Of features all are changed or none: after an error the one item says it.
    const bool refused_whole = std::holds_alternative<UpdateFeaturesCommand>(command) && decision.reply.items.size() == 1 &&
                               decision.reply.items[0].error != ErrorCode::kNone;
    RC_ASSERT(refused_whole || decision.reply.items.size() == items_of(command));
    size_t successes = 0;
    for (const ItemReply& item : decision.reply.items) {
      RC_ASSERT((item.error == ErrorCode::kNone) == item.message.empty());
      successes += item.error == ErrorCode::kNone ? 1 : 0;
    }
    RC_ASSERT(decision.records.size() <= successes);
    if (validates_only(command)) {
      RC_ASSERT(decision.records.empty());
    }
    if (decision.reply.first_producer_id >= 0) {
      RC_ASSERT(decision.reply.first_producer_id == ids_given);
      ids_given += decision.reply.producer_id_count;
    }
    const auto decoded = decode_records(encode_records(decision.records));
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == decision.records);
    for (const MetadataRecord& record : *decoded) RC_ASSERT(image.apply(record, next));
    if (!decision.records.empty()) ++next;
  }

  // A topic that was never touched has as many replicas of each partition. No two topics whose names only '.' and '_' tell apart, and every revision is an index that was decided.
  std::set<std::string> unified;
  for (const auto& [name, id] : image.names()) {
    std::string one = name;
    std::replace(one.begin(), one.end(), '.', '_');
    RC_ASSERT(unified.insert(one).second);
    const auto& partitions = image.find_topic(id)->partitions;
    const bool moved = std::any_of(partitions.begin(), partitions.end(), [](const auto& p) { return !p.founders.empty(); });
    for (const PartitionRecord& partition : partitions) {
      RC_ASSERT(partition.revision < next.value);
      if (!moved) RC_ASSERT(partition.replicas.size() == image.find_topic(id)->partitions[0].replicas.size());
    }
  }
}

// For every command and reply: bytes give back what went in, and damaged bytes never crash.
RC_GTEST_PROP(CommandBytes, DecodeToWhatWasEncoded, (uint64_t key)) {
  RandomCluster cluster(key);
  ClusterImage image;
  for (int i = 0; i < 4; ++i) (void)image.apply(RegisterBroker{cluster.broker()}, LogIndex(i + 1));
  for (int i = 0; i < 20; ++i) {
    const ControllerCommand command = cluster.command(image);
    const Slice bytes = encode_command(command);
    const auto decoded = decode_command(bytes);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->index() == command.index());
    RC_ASSERT(encode_command(*decoded) == bytes);

    CounterRandom random(cluster.random().next());
    const DecisionContext context{cluster.alive(image), LogIndex(9), 1, &random};
    const ControllerReply reply = decide(image, command, context).reply;
    const auto replied = decode_reply(encode_reply(reply));
    RC_ASSERT(replied.has_value());
    RC_ASSERT(*replied == reply);

    std::string bad(as_text(bytes));
    const size_t at = cluster.below(bad.size());
    bad[at] = static_cast<char>(cluster.below(256));
    if (const auto mutated = decode_command(as_bytes(bad))) {
      RC_ASSERT(equal(encode_command(*mutated), as_bytes(bad)));
    }
    const size_t kept = cluster.below(bytes.size());
    RC_ASSERT(!decode_command(bytes.view().first(kept)).has_value());
  }
}

}  // namespace
}  // namespace taffrail
