// ElectLeaders: leaderships go to the first replica of each partition, by hand of whoever leads now.
#include <fmt/core.h>

#include <algorithm>

#include "broker/handlers.h"
#include "controller/setting_keys.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

constexpr int8_t kPreferred = 0;
constexpr int8_t kUnclean = 1;
constexpr Duration kLook = 50_ms;
constexpr Duration kElectionPatience = 10_s;

using PartitionResult = protocol::ElectLeadersResponse::Partition;

PartitionResult refused(int32_t partition, ErrorCode error, std::string message) {
  return {partition, error, std::move(message), {}};
}

// What a minority holds is never made the truth by asking for a leader. But a replica that may have lost the end of its
// log votes for nobody who might hold less, and where those that held more are gone, nobody comes: the operator says
// that it shall go on without.
PartitionResult elect_unclean(Task& task, BrokerContext& broker, const PartitionKey& key, const std::vector<BrokerId>& replicas,
                              Instant deadline) {
  const auto leader = [&] { return key == kMetadataPartition ? broker.controller().leader() : leader_of(broker, key).first; };
  if (leader() != kNoBroker) return refused(key.partition, ErrorCode::kElectionNotNeeded, "The partition has a leader.");
  const std::vector<BrokerId> alive = broker.alive_brokers();
  size_t gave_up = 0;
  std::string why;
  for (const BrokerId replica : replicas) {
    if (!std::binary_search(alive.begin(), alive.end(), replica)) continue;
    const Result<> done = broker.give_up_doubts(task, key, replica, std::min(deadline, broker.runtime().now() + kElectionPatience));
    if (done) ++gave_up;
    else why += fmt::format(" Broker {}: {}.", replica.value, done.error().message);
  }
  if (gave_up == 0)
    return refused(key.partition, ErrorCode::kEligibleLeadersNotAvailable,
                   fmt::format("No replica waits for an operator's word, and a majority has to be alive.{}", why));
  for (const Instant end = std::min(deadline, broker.runtime().now() + kElectionPatience); leader() == kNoBroker;) {
    if (broker.runtime().now() >= end || !broker.runtime().sleep_for(task, kLook))
      return refused(key.partition, ErrorCode::kRequestTimedOut, fmt::format("Nobody was elected yet; a majority has to be alive.{}", why));
  }
  return {key.partition, ErrorCode::kNone, std::nullopt, {}};
}

PartitionResult elect(Task& task, BrokerContext& broker, const std::string& name, int32_t partition, int8_t type,
                      Instant deadline) {
  std::vector<BrokerId> replicas;
  if (type == kUnclean && name == kMetadataTopic && partition == 0) {
    for (const auto& [id, record] : broker.controller().image().brokers()) replicas.push_back(id);
    return elect_unclean(task, broker, kMetadataPartition, replicas, deadline);
  }
  const TopicRecord* topic = broker.controller().image().find_topic(std::string_view(name));
  const PartitionKey key{topic == nullptr ? TopicId{} : topic->id, partition};
  const PartitionRecord* record = broker.controller().image().find_partition(key);
  if (record == nullptr)
    return refused(partition, ErrorCode::kUnknownTopicOrPartition, "This server does not host this topic-partition.");
  const BrokerId preferred = record->replicas.front().node;
  const BrokerId leader = leader_of(broker, key).first;
  if (type == kUnclean) {
    for (const ReplicaId& replica : record->replicas) replicas.push_back(replica.node);
    return elect_unclean(task, broker, key, replicas, deadline);
  }
  if (leader == preferred)
    return refused(partition, ErrorCode::kElectionNotNeeded, "Leader election not needed for topic partition.");
  const std::vector<BrokerId> alive = broker.alive_brokers();
  if (leader == kNoBroker || !std::binary_search(alive.begin(), alive.end(), preferred) ||
      !takes_replicas(broker.controller().image(), preferred))
    return refused(partition, ErrorCode::kPreferredLeaderNotAvailable,
                   fmt::format("Broker {}, the preferred leader, cannot take over now.", preferred.value));
  const Result<> done = broker.hand_over(task, key, leader, preferred, deadline);
  if (done) return {partition, ErrorCode::kNone, std::nullopt, {}};
  if (done.error().code == Errc::kTimedOut && broker.runtime().now() >= deadline)
    return refused(partition, ErrorCode::kRequestTimedOut, done.error().text());
  return refused(partition, ErrorCode::kPreferredLeaderNotAvailable, done.error().text());
}

protocol::ElectLeadersResponse unknown_type(const protocol::ElectLeadersRequest& message) {
  protocol::ElectLeadersResponse response;
  response.error_code = ErrorCode::kInvalidRequest;
  if (!message.topic_partitions) return response;
  for (const auto& topic : *message.topic_partitions) {
    auto& out = response.replica_election_results.emplace_back();
    out.topic = topic.topic;
    for (const int32_t partition : topic.partitions)
      out.partition_result.push_back(refused(partition, ErrorCode::kInvalidRequest, "There is no such type of election."));
  }
  return response;
}

}  // namespace

Outcome<protocol::ElectLeadersResponse> elect_leaders(const Request& request, protocol::ElectLeadersRequest message) {
  if (message.election_type < kPreferred || message.election_type > kUnclean) return unknown_type(message);
  const bool all = !message.topic_partitions.has_value();
  if (all) {
    message.topic_partitions.emplace();
    for (const auto& [name, id] : request.broker.controller().image().names()) {
      auto& topic = message.topic_partitions->emplace_back();
      topic.topic = name;
      const size_t count = request.broker.controller().image().find_topic(id)->partitions.size();
      for (size_t p = 0; p < count; ++p) topic.partitions.push_back(static_cast<int32_t>(p));
    }
  }
  return Outcome<protocol::ElectLeadersResponse>::later([&broker = request.broker, all, message = std::move(message)](Task& task) {
    const Instant deadline = deadline_in(broker.runtime(), message.timeout_ms);
    protocol::ElectLeadersResponse response;
    for (const auto& topic : *message.topic_partitions) {
      protocol::ElectLeadersResponse::Topic out;
      out.topic = topic.topic;
      for (const int32_t partition : topic.partitions) {
        PartitionResult result = elect(task, broker, topic.topic, partition, message.election_type, deadline);
        // Whoever asks for all of them is told of those that something was to be done for, as Kafka does it.
        if (!all || result.error_code != ErrorCode::kElectionNotNeeded) out.partition_result.push_back(std::move(result));
      }
      if (!all || !out.partition_result.empty()) response.replica_election_results.push_back(std::move(out));
    }
    return response;
  });
}

}  // namespace taffrail::handlers
