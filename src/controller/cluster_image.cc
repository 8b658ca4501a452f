#include "controller/cluster_image.h"

#include <fmt/core.h>

#include <algorithm>

#include "consensus/configuration.h"
#include "controller/commands.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr uint8_t kFormat = 1;
// With partitions that were moved. An image without any is written as it always was.
constexpr uint8_t kFormatOfMoves = 2;
// With settings, behind a list of moves that may be empty.
constexpr uint8_t kFormatOfSettings = 3;
// With brokers of several directories; else as the one before.
constexpr uint8_t kFormatOfDirectories = 4;
constexpr size_t kBrokerBytes = 20 + 8 + 6 + 4 + 1;
constexpr size_t kTopicBytes = 16 + 4 + 4 + 4;
constexpr size_t kReplicaBytes = 4 + 16;
constexpr size_t kMovesBytes = 16 + 4 + 4 * 4;

using Brokers = std::map<BrokerId, BrokerRecord>;

// Every partition has replicas, each on the disk where its broker keeps it, no two on one broker.
bool well_placed(const PartitionKey& key, const std::vector<ReplicaId>& replicas, const Brokers& brokers) {
  if (replicas.empty()) return false;
  std::vector<BrokerId> nodes;
  nodes.reserve(replicas.size());
  for (const ReplicaId& replica : replicas) {
    const auto it = brokers.find(replica.node);
    if (it == brokers.end() || it->second.replica_of(key) != replica) return false;
    nodes.push_back(replica.node);
  }
  std::sort(nodes.begin(), nodes.end());
  return std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end();
}

// The partitions of `topic` from number `first` on.
bool well_placed(const TopicId& topic, size_t first, const std::vector<PartitionRecord>& partitions, const Brokers& brokers) {
  for (size_t i = 0; i < partitions.size(); ++i)
    if (!well_placed({topic, static_cast<int32_t>(first + i)}, partitions[i].replicas, brokers)) return false;
  return true;
}

bool holds(const std::vector<ReplicaId>& replicas, const ReplicaId& replica) {
  return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

// Every step of a move leaves at least what is needed to take the next, or to go back: nobody who may be a member of the
// Raft group is forgotten before the group has done without it.
void start_move(PartitionRecord& partition, std::vector<ReplicaId> to, LogIndex index) {
  const std::vector<ReplicaId> before = partition.everywhere();
  if (partition.founders.empty()) partition.founders = partition.replicas;
  if (partition.original.empty()) partition.original = partition.replicas;
  for (const ReplicaId& replica : to)
    if (!holds(before, replica)) partition.joined[replica] = index.value;
  partition.leaving.clear();
  for (const ReplicaId& replica : before)
    if (!holds(to, replica)) partition.leaving.push_back(replica);
  std::sort(partition.leaving.begin(), partition.leaving.end());
  partition.replicas = std::move(to);
  partition.revision = index.value;
}

bool was_moved(const PartitionRecord& partition) { return !partition.founders.empty(); }

void write_replicas(ByteWriter& out, const std::vector<ReplicaId>& replicas) {
  out.u32(static_cast<uint32_t>(replicas.size()));
  for (const ReplicaId& replica : replicas) write_replica(out, replica);
}

std::vector<ReplicaId> read_replicas(ByteReader& in) {
  std::vector<ReplicaId> replicas;
  const uint32_t count = read_count(in, kReplicaBytes);
  for (uint32_t i = 0; i < count; ++i) replicas.push_back(read_replica(in));
  return replicas;
}

void write_moves(ByteWriter& out, const PartitionRecord& partition) {
  write_replicas(out, partition.founders);
  write_replicas(out, partition.original);
  write_replicas(out, partition.leaving);
  out.u32(static_cast<uint32_t>(partition.joined.size()));
  for (const auto& [replica, revision] : partition.joined) {
    write_replica(out, replica);
    out.i64(revision);
  }
}

// False if that cannot come of any records.
bool read_moves(ByteReader& in, PartitionRecord& partition) {
  partition.founders = read_replicas(in);
  partition.original = read_replicas(in);
  partition.leaving = read_replicas(in);
  const uint32_t count = read_count(in, kReplicaBytes + 8);
  bool good = !partition.founders.empty() && (partition.leaving.empty() || partition.moving());
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const ReplicaId replica = read_replica(in);
    const int64_t revision = in.i64();
    good = good && revision > 0 && (partition.joined.empty() || partition.joined.rbegin()->first < replica) &&
           (holds(partition.replicas, replica) || holds(partition.leaving, replica));
    partition.joined[replica] = revision;
  }
  for (size_t i = 0; i < partition.leaving.size(); ++i)
    good = good && !holds(partition.replicas, partition.leaving[i]) &&
           (i == 0 || partition.leaving[i - 1] < partition.leaving[i]);
  return good && in.ok();
}

bool well_formed(const TopicRecord& topic, const Brokers& brokers) {
  return !topic.id.is_zero() && topic.id != kMetadataPartition.topic && !bad_topic_name(topic.name) &&
         !topic.partitions.empty() && well_placed(topic.id, 0, topic.partitions, brokers);
}

// A record was decided for one index, and that is where it stands: the entry's own index is the revision.
void set_revision(std::vector<PartitionRecord>& partitions, size_t from, LogIndex index) {
  for (size_t i = from; i < partitions.size(); ++i) partitions[i].revision = index.value;
}

}  // namespace

std::vector<ReplicaId> PartitionRecord::everywhere() const {
  std::vector<ReplicaId> all = replicas;
  all.insert(all.end(), leaving.begin(), leaving.end());
  return all;
}

int64_t PartitionRecord::joined_at(const ReplicaId& replica) const {
  const auto it = joined.find(replica);
  return it == joined.end() ? 0 : it->second;
}

bool ClusterImage::apply(const MetadataRecord& record, LogIndex index) {
  return std::visit([&](const auto& r) { return apply_one(r, index); }, record);
}

bool ClusterImage::apply_one(const RegisterBroker& record, LogIndex index) {
  const BrokerRecord& broker = record.broker;
  if (broker.replica.node.value < 0) return false;
  if (broker.more_disks.size() >= kDirectoriesMax) return false;
  const auto it = brokers_.find(broker.replica.node);
  // Another disk is another replica, and holds nothing of what the old one held: every partition of the old one moves.
  if (it != brokers_.end() && (it->second.replica != broker.replica || it->second.more_disks != broker.more_disks)) {
    for (auto& [id, topic] : topics_) {
      for (size_t p = 0; p < topic.partitions.size(); ++p) {
        PartitionRecord& partition = topic.partitions[p];
        const PartitionKey key{id, static_cast<int32_t>(p)};
        const ReplicaId gone = it->second.replica_of(key);
        const ReplicaId now = broker.replica_of(key);
        if (gone == now || !holds(partition.replicas, gone)) continue;
        std::vector<ReplicaId> to = partition.replicas;
        std::replace(to.begin(), to.end(), gone, now);
        start_move(partition, std::move(to), index);
      }
    }
  }
  brokers_.insert_or_assign(broker.replica.node, broker);
  settings_.unregistered.erase(broker.replica.node);
  return true;
}

bool ClusterImage::apply_one(const UnregisterBroker& record, LogIndex) {
  if (!brokers_.contains(record.broker) || has_replicas_on(record.broker)) return false;
  brokers_.erase(record.broker);
  settings_.brokers.erase(record.broker);
  settings_.votes.erase(record.broker);
  settings_.unregistered.insert(record.broker);
  return true;
}

bool ClusterImage::apply_one(const SetMetadataVote& record, LogIndex) {
  if (!brokers_.contains(record.broker)) return false;
  if (record.vote) settings_.votes[record.broker] = *record.vote;
  else settings_.votes.erase(record.broker);
  return true;
}

bool ClusterImage::apply_one(const SetFeature& record, LogIndex index) {
  if (record.name.empty() || record.level < 0) return false;
  settings_.features[record.name] = record.level;
  settings_.features_revision = index.value;
  return true;
}

bool ClusterImage::apply_one(const SetBrokerConfigs& record, LogIndex) {
  if (!brokers_.contains(record.broker)) return false;
  if (record.configs.empty()) settings_.brokers.erase(record.broker);
  else settings_.brokers[record.broker] = record.configs;
  return true;
}

bool ClusterImage::apply_one(const SetGroupConfigs& record, LogIndex) {
  if (record.group.empty()) return false;
  if (record.configs.empty()) settings_.groups.erase(record.group);
  else settings_.groups[record.group] = record.configs;
  return true;
}

bool ClusterImage::apply_one(const SetQuotas& record, LogIndex index) {
  if (!well_formed(record.entity)) return false;
  if (record.values.empty()) settings_.quotas.erase(record.entity);
  else settings_.quotas[record.entity] = record.values;
  settings_.quotas_revision = index.value;
  return true;
}

bool ClusterImage::has_replicas_on(BrokerId id) const {
  const auto there = [id](const ReplicaId& replica) { return replica.node == id; };
  for (const auto& [topic_id, topic] : topics_)
    for (const PartitionRecord& partition : topic.partitions)
      if (std::any_of(partition.replicas.begin(), partition.replicas.end(), there) ||
          std::any_of(partition.leaving.begin(), partition.leaving.end(), there))
        return true;
  return false;
}

bool ClusterImage::apply_one(const MovePartition& record, LogIndex index) {
  PartitionRecord* partition = partition_at({record.topic, record.partition});
  if (partition == nullptr || !well_placed({record.topic, record.partition}, record.replicas, brokers_)) return false;
  start_move(*partition, record.replicas, index);
  return true;
}

bool ClusterImage::apply_one(const FinishMove& record, LogIndex) {
  PartitionRecord* partition = partition_at({record.topic, record.partition});
  if (partition == nullptr || !partition->moving() || partition->revision != record.revision) return false;
  for (const ReplicaId& gone : partition->leaving) partition->joined.erase(gone);
  partition->original.clear();
  partition->leaving.clear();
  return true;
}

bool ClusterImage::apply_one(const CreateTopic& record, LogIndex index) {
  if (!well_formed(record.topic, brokers_)) return false;
  if (topics_.contains(record.topic.id) || names_.contains(record.topic.name)) return false;
  TopicRecord topic = record.topic;
  set_revision(topic.partitions, 0, index);
  names_.emplace(topic.name, topic.id);
  topics_.emplace(topic.id, std::move(topic));
  return true;
}

bool ClusterImage::apply_one(const DeleteTopic& record, LogIndex) {
  const auto it = topics_.find(record.topic);
  if (it == topics_.end()) return false;
  names_.erase(it->second.name);
  topics_.erase(it);
  return true;
}

bool ClusterImage::apply_one(const AddPartitions& record, LogIndex index) {
  const auto it = topics_.find(record.topic);
  if (it == topics_.end() || record.partitions.empty()) return false;
  std::vector<PartitionRecord>& partitions = it->second.partitions;
  const size_t before = partitions.size();
  if (!well_placed(record.topic, before, record.partitions, brokers_)) return false;
  partitions.insert(partitions.end(), record.partitions.begin(), record.partitions.end());
  set_revision(partitions, before, index);
  return true;
}

bool ClusterImage::apply_one(const SetConfigs& record, LogIndex) {
  if (record.topic.is_zero()) {
    cluster_configs_ = record.configs;
    return true;
  }
  const auto it = topics_.find(record.topic);
  if (it == topics_.end()) return false;
  it->second.configs = record.configs;
  return true;
}

bool ClusterImage::apply_one(const AllocateProducerIds& record, LogIndex) {
  if (!brokers_.contains(record.broker) || record.count <= 0) return false;
  int64_t next = 0;
  if (__builtin_add_overflow(next_producer_id_, record.count, &next)) return false;
  next_producer_id_ = next;
  return true;
}

const TopicRecord* ClusterImage::find_topic(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : find_topic(it->second);
}

const TopicRecord* ClusterImage::find_topic(const TopicId& id) const {
  const auto it = topics_.find(id);
  return it == topics_.end() ? nullptr : &it->second;
}

const PartitionRecord* ClusterImage::find_partition(const PartitionKey& key) const {
  const TopicRecord* topic = find_topic(key.topic);
  if (topic == nullptr || key.partition < 0 || static_cast<size_t>(key.partition) >= topic->partitions.size()) return nullptr;
  return &topic->partitions[static_cast<size_t>(key.partition)];
}

PartitionRecord* ClusterImage::partition_at(const PartitionKey& key) {
  return const_cast<PartitionRecord*>(find_partition(key));
}

const BrokerRecord* ClusterImage::find_broker(BrokerId id) const {
  const auto it = brokers_.find(id);
  return it == brokers_.end() ? nullptr : &it->second;
}

// As apply() would have let them become.
bool ClusterImage::settings_fit() const {
  const auto registered = [this](const auto& of) { return brokers_.contains(of.first); };
  return !settings_.empty() && std::all_of(settings_.brokers.begin(), settings_.brokers.end(), registered) &&
         std::all_of(settings_.votes.begin(), settings_.votes.end(), registered) &&
         std::none_of(settings_.unregistered.begin(), settings_.unregistered.end(),
                      [this](BrokerId id) { return brokers_.contains(id); });
}

Slice ClusterImage::encode() const {
  std::vector<PartitionKey> moved;
  for (const auto& [id, topic] : topics_)
    for (size_t p = 0; p < topic.partitions.size(); ++p)
      if (was_moved(topic.partitions[p])) moved.push_back({id, static_cast<int32_t>(p)});
  ByteWriter out;
  const bool disks = std::any_of(brokers_.begin(), brokers_.end(), [](const auto& b) { return !b.second.more_disks.empty(); });
  const bool plain = settings_.empty() && !disks;
  out.u8(disks ? kFormatOfDirectories : !plain ? kFormatOfSettings : moved.empty() ? kFormat : kFormatOfMoves);
  out.i64(next_producer_id_);
  write_configs(out, cluster_configs_);
  out.u32(static_cast<uint32_t>(brokers_.size()));
  for (const auto& [id, broker] : brokers_) {
    write_broker(out, broker);
    if (disks) write_disks(out, broker.more_disks);
  }
  out.u32(static_cast<uint32_t>(topics_.size()));
  for (const auto& [id, topic] : topics_) write_topic(out, topic);
  if (plain && moved.empty()) return Slice(out.view());
  out.u32(static_cast<uint32_t>(moved.size()));
  for (const PartitionKey& key : moved) {
    write_uuid(out, key.topic);
    out.i32(key.partition);
    write_moves(out, *find_partition(key));
  }
  if (!plain) write_settings(out, settings_);
  return Slice(out.view());
}

Result<ClusterImage> ClusterImage::decode(ByteView bytes) {
  ByteReader in(bytes);
  const uint8_t format = TRY(read_format(in, kFormat, kFormatOfDirectories, "cluster image"));
  ClusterImage image;
  image.next_producer_id_ = in.i64();
  image.cluster_configs_ = read_configs(in);

  bool has_disks = false;
  const uint32_t brokers = read_count(in, kBrokerBytes);
  for (uint32_t i = 0; i < brokers && in.ok(); ++i) {
    BrokerRecord broker = read_broker(in);
    if (format == kFormatOfDirectories) broker.more_disks = read_disks(in);
    has_disks = has_disks || !broker.more_disks.empty();
    const BrokerId id = broker.replica.node;
    if (in.ok() && (id.value < 0 || (i > 0 && id <= image.brokers_.rbegin()->first)))
      return fail(Errc::kCorrupt, fmt::format("cluster image: broker {} is out of place", id.value));
    image.brokers_.emplace_hint(image.brokers_.end(), id, std::move(broker));
  }
  const uint32_t topics = read_count(in, kTopicBytes);
  for (uint32_t i = 0; i < topics && in.ok(); ++i) {
    TopicRecord topic = read_topic(in);
    if (!in.ok()) break;
    // Held to what apply() holds records to: no image is reached by a snapshot that records cannot reach.
    const TopicId id = topic.id;
    const bool ascends = i == 0 || id > image.topics_.rbegin()->first;
    if (!ascends || !well_formed(topic, image.brokers_) || !image.names_.emplace(topic.name, id).second)
      return fail(Errc::kCorrupt, fmt::format("cluster image: topic {} contradicts the rest", id.text()));
    image.topics_.emplace_hint(image.topics_.end(), id, std::move(topic));
  }
  const uint32_t moved = format != kFormat ? read_count(in, kMovesBytes) : 0;
  if (format == kFormatOfMoves && in.ok() && moved == 0)
    return fail(Errc::kCorrupt, "cluster image: no partition was moved, which its format says");
  std::optional<PartitionKey> last;
  for (uint32_t i = 0; i < moved && in.ok(); ++i) {
    PartitionKey key;
    key.topic = read_uuid(in);
    key.partition = in.i32();
    PartitionRecord* partition = image.partition_at(key);
    const bool ascends = !last || *last < key;
    if (in.ok() && (!ascends || partition == nullptr || !read_moves(in, *partition)))
      return fail(Errc::kCorrupt, fmt::format("cluster image: the moves of {} contradict the rest", key.text()));
    last = key;
  }
  if (format == kFormatOfDirectories && in.ok() && !has_disks)
    return fail(Errc::kCorrupt, "cluster image: no broker has several directories, which its format says");
  if (format >= kFormatOfSettings && in.ok()) {
    image.settings_ = read_settings(in);
    // Of the format of directories they may be none.
    if (in.ok() && !(image.settings_.empty() && has_disks) && !image.settings_fit())
      return fail(Errc::kCorrupt, "cluster image: its settings contradict the rest");
  }
  if (!in.done() || image.next_producer_id_ < 0)
    return fail(Errc::kCorrupt, fmt::format("cluster image: {} bytes are not one", bytes.size()));
  return image;
}

}  // namespace taffrail
