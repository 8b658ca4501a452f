// Commands and replies as bytes, between the broker that was asked and the leader of group 0. Both ends
// check: a command that does not decode is refused, and a reply that does not is an error of the call.
#include <fmt/core.h>

#include <bit>

#include "consensus/configuration.h"
#include "controller/commands.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr uint8_t kFormat = 1;
// Of replies that tell of the quorum.
constexpr uint8_t kFormatOfQuorum = 2;

// Between brokers of different versions: never renumbered. docs/formats.md, "Controller commands".
enum class Kind : uint8_t {
  kCreateTopics = 1,
  kDeleteTopics = 2,
  kCreatePartitions = 3,
  kAlterConfigs = 4,
  kRegisterBroker = 5,
  kAllocateProducerIds = 6,
  kMovePartitions = 7,
  kFinishMove = 8,
  kDescribeQuorum = 9,
  kUnregisterBroker = 10,
  kUpdateFeatures = 11,
  kChangeVoter = 12,
  kAlterQuotas = 13,
  kRegisterBrokerOfDirectories = 14,
};

// The least that an element takes, for read_count().
constexpr size_t kNewTopicBytes = 4 + 4 + 2 + 4 + 4;
constexpr size_t kAssignmentBytes = 4 + 4;
constexpr size_t kWhichBytes = 1 + 16;
constexpr size_t kWiderTopicBytes = 4 + 4 + 1;
constexpr size_t kChangeBytes = 4 + 1 + 1;
constexpr size_t kResourceBytes = 1 + 4 + 4;
constexpr size_t kMoveBytes = 4 + 4 + 1;
constexpr size_t kUpdateBytes = 4 + 2 + 1;
constexpr size_t kEntityPartBytes = 4 + 1;
constexpr size_t kQuotaChangeBytes = 4 + 8 + 1;
constexpr size_t kQuotaEntryBytes = 4 + 4;
constexpr size_t kMemberBytes = 4 + 16 + 1 + 3 * 8;
constexpr size_t kItemBytes = 2 + 4 + 4 + 16 + 4 + 2;

template <class T, class Write>
void write_list(ByteWriter& out, const std::vector<T>& list, Write write) {
  out.u32(static_cast<uint32_t>(list.size()));
  for (const T& element : list) write(out, element);
}

template <class T, class Read>
std::vector<T> read_list(ByteReader& in, size_t element_bytes, Read read) {
  std::vector<T> list;
  const uint32_t count = read_count(in, element_bytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) list.push_back(read(in));
  return list;
}

void write_broker_ids(ByteWriter& out, const std::vector<BrokerId>& ids) {
  write_list(out, ids, [](ByteWriter& o, BrokerId id) { o.i32(id.value); });
}
std::vector<BrokerId> read_broker_ids(ByteReader& in) {
  return read_list<BrokerId>(in, 4, [](ByteReader& i) { return BrokerId(i.i32()); });
}

Kind write_body(ByteWriter& out, const CreateTopicsCommand& command) {
  write_flag(out, command.validate_only);
  write_list(out, command.topics, [](ByteWriter& o, const NewTopic& topic) {
    o.sized(topic.name);
    o.i32(topic.partition_count);
    o.i16(topic.replication_factor);
    write_list(o, topic.assignments, [](ByteWriter& w, const auto& assignment) {
      w.i32(assignment.first);
      write_broker_ids(w, assignment.second);
    });
    write_configs(o, topic.configs);
  });
  return Kind::kCreateTopics;
}

CreateTopicsCommand read_create_topics(ByteReader& in) {
  CreateTopicsCommand command;
  command.validate_only = read_flag(in);
  command.topics = read_list<NewTopic>(in, kNewTopicBytes, [](ByteReader& i) {
    NewTopic topic;
    topic.name = i.sized_text();
    topic.partition_count = i.i32();
    topic.replication_factor = i.i16();
    using Assignment = std::pair<int32_t, std::vector<BrokerId>>;
    topic.assignments = read_list<Assignment>(i, kAssignmentBytes, [](ByteReader& r) {
      Assignment assignment;
      assignment.first = r.i32();
      assignment.second = read_broker_ids(r);
      return assignment;
    });
    topic.configs = read_configs(i);
    return topic;
  });
  return command;
}

Kind write_body(ByteWriter& out, const DeleteTopicsCommand& command) {
  write_list(out, command.topics, [](ByteWriter& o, const DeleteTopicsCommand::Which& which) {
    write_optional_text(o, which.name);
    write_uuid(o, which.id);
  });
  return Kind::kDeleteTopics;
}

DeleteTopicsCommand read_delete_topics(ByteReader& in) {
  DeleteTopicsCommand command;
  command.topics = read_list<DeleteTopicsCommand::Which>(in, kWhichBytes, [](ByteReader& i) {
    DeleteTopicsCommand::Which which;
    which.name = read_optional_text(i);
    which.id = read_uuid(i);
    return which;
  });
  return command;
}

Kind write_body(ByteWriter& out, const CreatePartitionsCommand& command) {
  write_flag(out, command.validate_only);
  write_list(out, command.topics, [](ByteWriter& o, const CreatePartitionsCommand::Topic& topic) {
    o.sized(topic.name);
    o.i32(topic.count);
    write_flag(o, topic.assignments.has_value());
    if (topic.assignments) write_list(o, *topic.assignments, write_broker_ids);
  });
  return Kind::kCreatePartitions;
}

CreatePartitionsCommand read_create_partitions(ByteReader& in) {
  CreatePartitionsCommand command;
  command.validate_only = read_flag(in);
  command.topics = read_list<CreatePartitionsCommand::Topic>(in, kWiderTopicBytes, [](ByteReader& i) {
    CreatePartitionsCommand::Topic topic;
    topic.name = i.sized_text();
    topic.count = i.i32();
    if (read_flag(i)) topic.assignments = read_list<std::vector<BrokerId>>(i, 4, read_broker_ids);
    return topic;
  });
  return command;
}

Kind write_body(ByteWriter& out, const AlterConfigsCommand& command) {
  write_flag(out, command.validate_only);
  write_list(out, command.resources, [](ByteWriter& o, const AlterConfigsCommand::Resource& resource) {
    o.i8(resource.type);
    o.sized(resource.name);
    write_list(o, resource.changes, [](ByteWriter& w, const AlterConfigsCommand::Change& change) {
      w.sized(change.name);
      w.i8(static_cast<int8_t>(change.op));
      write_optional_text(w, change.value);
    });
  });
  return Kind::kAlterConfigs;
}

AlterConfigsCommand read_alter_configs(ByteReader& in) {
  using Op = AlterConfigsCommand::Op;
  AlterConfigsCommand command;
  command.validate_only = read_flag(in);
  command.resources = read_list<AlterConfigsCommand::Resource>(in, kResourceBytes, [](ByteReader& i) {
    AlterConfigsCommand::Resource resource;
    resource.type = i.i8();
    resource.name = i.sized_text();
    resource.changes = read_list<AlterConfigsCommand::Change>(i, kChangeBytes, [](ByteReader& r) {
      AlterConfigsCommand::Change change;
      change.name = r.sized_text();
      const int8_t op = r.i8();
      if (op < static_cast<int8_t>(Op::kSet) || op > static_cast<int8_t>(Op::kDeleteAll)) spoil(r);
      change.op = static_cast<Op>(op);
      change.value = read_optional_text(r);
      return change;
    });
    return resource;
  });
  return command;
}

Kind write_body(ByteWriter& out, const RegisterBrokerCommand& command) {
  write_broker(out, command.broker);
  if (command.broker.more_disks.empty()) return Kind::kRegisterBroker;
  write_disks(out, command.broker.more_disks);
  return Kind::kRegisterBrokerOfDirectories;
}

Kind write_body(ByteWriter& out, const AllocateProducerIdsCommand& command) {
  out.i32(command.broker.value);
  return Kind::kAllocateProducerIds;
}

Kind write_body(ByteWriter& out, const MovePartitionsCommand& command) {
  write_flag(out, command.may_change_count);
  write_list(out, command.partitions, [](ByteWriter& o, const MovePartitionsCommand::Partition& partition) {
    o.sized(partition.topic);
    o.i32(partition.partition);
    write_flag(o, partition.replicas.has_value());
    if (partition.replicas) write_broker_ids(o, *partition.replicas);
  });
  return Kind::kMovePartitions;
}

MovePartitionsCommand read_move_partitions(ByteReader& in) {
  MovePartitionsCommand command;
  command.may_change_count = read_flag(in);
  command.partitions = read_list<MovePartitionsCommand::Partition>(in, kMoveBytes, [](ByteReader& i) {
    MovePartitionsCommand::Partition partition;
    partition.topic = i.sized_text();
    partition.partition = i.i32();
    if (read_flag(i)) partition.replicas = read_broker_ids(i);
    return partition;
  });
  return command;
}

Kind write_body(ByteWriter& out, const FinishMoveCommand& command) {
  write_uuid(out, command.topic);
  out.i32(command.partition);
  out.i64(command.revision);
  return Kind::kFinishMove;
}

FinishMoveCommand read_finish_move(ByteReader& in) {
  FinishMoveCommand command;
  command.topic = read_uuid(in);
  command.partition = in.i32();
  command.revision = in.i64();
  return command;
}

Kind write_body(ByteWriter&, const DescribeQuorumCommand&) { return Kind::kDescribeQuorum; }

Kind write_body(ByteWriter& out, const UnregisterBrokerCommand& command) {
  out.i32(command.broker.value);
  write_flag(out, command.retired);
  return Kind::kUnregisterBroker;
}

UnregisterBrokerCommand read_unregister_broker(ByteReader& in) {
  UnregisterBrokerCommand command;
  command.broker = BrokerId(in.i32());
  command.retired = read_flag(in);
  return command;
}

Kind write_body(ByteWriter& out, const UpdateFeaturesCommand& command) {
  write_flag(out, command.validate_only);
  write_list(out, command.updates, [](ByteWriter& o, const UpdateFeaturesCommand::Update& update) {
    o.sized(update.name);
    o.i16(update.level);
    o.i8(static_cast<int8_t>(update.type));
  });
  return Kind::kUpdateFeatures;
}

UpdateFeaturesCommand read_update_features(ByteReader& in) {
  using Type = UpdateFeaturesCommand::Type;
  UpdateFeaturesCommand command;
  command.validate_only = read_flag(in);
  command.updates = read_list<UpdateFeaturesCommand::Update>(in, kUpdateBytes, [](ByteReader& i) {
    UpdateFeaturesCommand::Update update;
    update.name = i.sized_text();
    update.level = i.i16();
    const int8_t type = i.i8();
    if (type < static_cast<int8_t>(Type::kUpgrade) || type > static_cast<int8_t>(Type::kUnsafeDowngrade)) spoil(i);
    update.type = static_cast<Type>(type);
    return update;
  });
  return command;
}

Kind write_body(ByteWriter& out, const ChangeVoterCommand& command) {
  write_replica(out, command.replica);
  write_flag(out, command.vote);
  return Kind::kChangeVoter;
}

ChangeVoterCommand read_change_voter(ByteReader& in) {
  ChangeVoterCommand command;
  command.replica = read_replica(in);
  command.vote = read_flag(in);
  return command;
}

Kind write_body(ByteWriter& out, const AlterQuotasCommand& command) {
  write_flag(out, command.validate_only);
  write_list(out, command.entries, [](ByteWriter& o, const AlterQuotasCommand::Entry& entry) {
    write_list(o, entry.entity, [](ByteWriter& w, const auto& part) {
      w.sized(part.first);
      write_optional_text(w, part.second);
    });
    write_list(o, entry.changes, [](ByteWriter& w, const AlterQuotasCommand::Change& change) {
      w.sized(change.key);
      w.u64(std::bit_cast<uint64_t>(change.value));
      write_flag(w, change.remove);
    });
  });
  return Kind::kAlterQuotas;
}

AlterQuotasCommand read_alter_quotas(ByteReader& in) {
  AlterQuotasCommand command;
  command.validate_only = read_flag(in);
  command.entries = read_list<AlterQuotasCommand::Entry>(in, kQuotaEntryBytes, [](ByteReader& i) {
    AlterQuotasCommand::Entry entry;
    using Part = std::pair<std::string, std::optional<std::string>>;
    entry.entity = read_list<Part>(i, kEntityPartBytes, [](ByteReader& r) {
      Part part;
      part.first = r.sized_text();
      part.second = read_optional_text(r);
      return part;
    });
    entry.changes = read_list<AlterQuotasCommand::Change>(i, kQuotaChangeBytes, [](ByteReader& r) {
      AlterQuotasCommand::Change change;
      change.key = r.sized_text();
      change.value = std::bit_cast<double>(r.u64());
      change.remove = read_flag(r);
      return change;
    });
    return entry;
  });
  return command;
}

void write_quorum(ByteWriter& out, const QuorumView& quorum) {
  out.i32(quorum.leader.value);
  out.i64(quorum.epoch);
  out.i64(quorum.committed_end);
  write_list(out, quorum.members, [](ByteWriter& o, const QuorumView::Member& member) {
    write_replica(o, member.replica);
    write_flag(o, member.voter);
    o.i64(member.end);
    o.i64(member.contact_ms);
    o.i64(member.caught_up_ms);
  });
}

QuorumView read_quorum(ByteReader& in) {
  QuorumView quorum;
  quorum.leader = BrokerId(in.i32());
  quorum.epoch = in.i64();
  quorum.committed_end = in.i64();
  quorum.members = read_list<QuorumView::Member>(in, kMemberBytes, [](ByteReader& i) {
    QuorumView::Member member;
    member.replica = read_replica(i);
    member.voter = read_flag(i);
    member.end = i.i64();
    member.contact_ms = i.i64();
    member.caught_up_ms = i.i64();
    return member;
  });
  return quorum;
}

std::optional<ControllerCommand> read_body(Kind kind, ByteReader& in) {
  switch (kind) {
    case Kind::kCreateTopics: return read_create_topics(in);
    case Kind::kDeleteTopics: return read_delete_topics(in);
    case Kind::kCreatePartitions: return read_create_partitions(in);
    case Kind::kAlterConfigs: return read_alter_configs(in);
    case Kind::kRegisterBroker: return RegisterBrokerCommand{read_broker(in)};
    case Kind::kRegisterBrokerOfDirectories: {
      RegisterBrokerCommand command{read_broker(in)};
      command.broker.more_disks = read_disks(in);
      if (command.broker.more_disks.empty()) spoil(in);
      return command;
    }
    case Kind::kAllocateProducerIds: return AllocateProducerIdsCommand{BrokerId(in.i32())};
    case Kind::kMovePartitions: return read_move_partitions(in);
    case Kind::kFinishMove: return read_finish_move(in);
    case Kind::kDescribeQuorum: return DescribeQuorumCommand{};
    case Kind::kUnregisterBroker: return read_unregister_broker(in);
    case Kind::kUpdateFeatures: return read_update_features(in);
    case Kind::kChangeVoter: return read_change_voter(in);
    case Kind::kAlterQuotas: return read_alter_quotas(in);
  }
  return std::nullopt;
}

}  // namespace

Slice encode_command(const ControllerCommand& command) {
  ByteWriter body;
  const Kind kind = std::visit([&](const auto& c) { return write_body(body, c); }, command);
  ByteWriter out;
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>(kind));
  out.bytes(body.view());
  return Slice(out.view());
}

Result<ControllerCommand> decode_command(ByteView bytes) {
  ByteReader in(bytes);
  TRY(read_format(in, kFormat, "controller command"));
  const uint8_t kind = in.u8();
  std::optional<ControllerCommand> command = read_body(static_cast<Kind>(kind), in);
  if (!command || !in.done())
    return fail(Errc::kCorrupt, fmt::format("controller command: {} bytes are not one of kind {}", bytes.size(), kind));
  return std::move(*command);
}

Slice encode_reply(const ControllerReply& reply) {
  ByteWriter out;
  out.u8(reply.quorum ? kFormatOfQuorum : kFormat);
  out.i64(reply.first_producer_id);
  out.i64(reply.producer_id_count);
  write_list(out, reply.items, [](ByteWriter& o, const ItemReply& item) {
    o.i16(static_cast<int16_t>(item.error));
    o.sized(item.message);
    o.sized(item.name);
    write_uuid(o, item.topic);
    o.i32(item.partition_count);
    o.i16(item.replication_factor);
  });
  if (reply.quorum) write_quorum(out, *reply.quorum);
  return Slice(out.view());
}

Result<ControllerReply> decode_reply(ByteView bytes) {
  ByteReader in(bytes);
  const uint8_t format = TRY(read_format(in, kFormat, kFormatOfQuorum, "controller reply"));
  ControllerReply reply;
  reply.first_producer_id = in.i64();
  reply.producer_id_count = in.i64();
  reply.items = read_list<ItemReply>(in, kItemBytes, [](ByteReader& i) {
    ItemReply item;
    item.error = static_cast<protocol::ErrorCode>(i.i16());
    item.message = i.sized_text();
    item.name = i.sized_text();
    item.topic = read_uuid(i);
    item.partition_count = i.i32();
    item.replication_factor = i.i16();
    return item;
  });
  if (format == kFormatOfQuorum) reply.quorum = read_quorum(in);
  if (!in.done()) return fail(Errc::kCorrupt, fmt::format("controller reply: {} bytes are not one", bytes.size()));
  return reply;
}

}  // namespace taffrail
