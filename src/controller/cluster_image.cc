#include "controller/cluster_image.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/commands.h"
#include "controller/encoding.h"

namespace taffrail {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kBrokerBytes = 20 + 8 + 6 + 4 + 1;
constexpr size_t kTopicBytes = 16 + 4 + 4 + 4;

using Brokers = std::map<BrokerId, BrokerRecord>;

// Every partition has replicas, each on a disk that is registered, no two on one broker.
bool well_placed(const std::vector<PartitionRecord>& partitions, const Brokers& brokers) {
  for (const PartitionRecord& partition : partitions) {
    if (partition.replicas.empty()) return false;
    std::vector<BrokerId> nodes;
    nodes.reserve(partition.replicas.size());
    for (const ReplicaId& replica : partition.replicas) {
      const auto it = brokers.find(replica.node);
      if (it == brokers.end() || it->second.replica != replica) return false;
      nodes.push_back(replica.node);
    }
    std::sort(nodes.begin(), nodes.end());
    if (std::adjacent_find(nodes.begin(), nodes.end()) != nodes.end()) return false;
  }
  return true;
}

bool well_formed(const TopicRecord& topic, const Brokers& brokers) {
  return !topic.id.is_zero() && topic.id != kMetadataPartition.topic && !bad_topic_name(topic.name) &&
         !topic.partitions.empty() && well_placed(topic.partitions, brokers);
}

// A record was decided for one index, and that is where it stands: the entry's own index is the revision.
void set_revision(std::vector<PartitionRecord>& partitions, size_t from, LogIndex index) {
  for (size_t i = from; i < partitions.size(); ++i) partitions[i].revision = index.value;
}

}  // namespace

bool ClusterImage::apply(const MetadataRecord& record, LogIndex index) {
  return std::visit([&](const auto& r) { return apply_one(r, index); }, record);
}

bool ClusterImage::apply_one(const RegisterBroker& record, LogIndex) {
  const BrokerRecord& broker = record.broker;
  if (broker.replica.node.value < 0) return false;
  const auto it = brokers_.find(broker.replica.node);
  // Another disk is another replica: its partitions would be taken for ones that hold data.
  if (it != brokers_.end() && it->second.replica != broker.replica) return false;
  brokers_.insert_or_assign(broker.replica.node, broker);
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
  if (!well_placed(record.partitions, brokers_)) return false;
  std::vector<PartitionRecord>& partitions = it->second.partitions;
  const size_t before = partitions.size();
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

const BrokerRecord* ClusterImage::find_broker(BrokerId id) const {
  const auto it = brokers_.find(id);
  return it == brokers_.end() ? nullptr : &it->second;
}

Slice ClusterImage::encode() const {
  ByteWriter out;
  out.u8(kFormat);
  out.i64(next_producer_id_);
  write_configs(out, cluster_configs_);
  out.u32(static_cast<uint32_t>(brokers_.size()));
  for (const auto& [id, broker] : brokers_) write_broker(out, broker);
  out.u32(static_cast<uint32_t>(topics_.size()));
  for (const auto& [id, topic] : topics_) write_topic(out, topic);
  return Slice(out.view());
}

Result<ClusterImage> ClusterImage::decode(ByteView bytes) {
  ByteReader in(bytes);
  TRY(read_format(in, kFormat, "cluster image"));
  ClusterImage image;
  image.next_producer_id_ = in.i64();
  image.cluster_configs_ = read_configs(in);

  const uint32_t brokers = read_count(in, kBrokerBytes);
  for (uint32_t i = 0; i < brokers && in.ok(); ++i) {
    BrokerRecord broker = read_broker(in);
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
  if (!in.done() || image.next_producer_id_ < 0)
    return fail(Errc::kCorrupt, fmt::format("cluster image: {} bytes are not one", bytes.size()));
  return image;
}

}  // namespace taffrail
