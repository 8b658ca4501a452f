// One handler per API. A handler takes a decoded request and either has its answer at once, or gives a
// function that will (Begun::later), run in a fiber of its own while the connection goes on.
#pragma once

#include <expected>
#include <functional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/plant.h"
#include "broker/context.h"
#include "broker/hurry.h"
#include "net/server.h"
#include "partition/partition.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

namespace taffrail::handlers {

/// What every handler is given.
struct Request {
  BrokerContext& broker;
  ConnectionInfo& connection;
  int16_t version = 0;
  Hurry* hurry = nullptr;  ///< Of a long poll that is a part of another; outlives its answer.
};

/// An answer, now or after waiting; or none (acks=0); or a reason to close the connection, which what comes later
/// leaves in ConnectionInfo.
template <class Response>
struct Outcome {
  using Later = std::move_only_function<std::optional<Response>(Task&)>;
  std::variant<Response, Later, std::monostate> value;
  std::string close_because;

  Outcome(Response response) : value(std::move(response)) {}  // NOLINT: an answer is an outcome.
  static Outcome later(Later finish) {
    Outcome o{std::monostate{}};
    o.value = std::move(finish);
    return o;
  }
  static Outcome none() { return Outcome{std::monostate{}}; }
  static Outcome close(std::string why) {
    Outcome o{std::monostate{}};
    o.close_because = std::move(why);
    return o;
  }

 private:
  explicit Outcome(std::monostate) : value(std::monostate{}) {}
};

/// The APIs that this broker serves, ascending: what ApiVersions says and what is dispatched.
std::span<const protocol::ApiKey> served_apis();

// Each in <name>.cc.
Outcome<protocol::ApiVersionsResponse> api_versions(const Request&, const protocol::ApiVersionsRequest&);
Outcome<protocol::MetadataResponse> metadata(const Request&, protocol::MetadataRequest);
Outcome<protocol::ProduceResponse> produce(const Request&, protocol::ProduceRequest);
/// In fetch_sessions.cc; the one below it is a fetch of everything that is asked for.
Outcome<protocol::FetchResponse> fetch_in_session(const Request&, protocol::FetchRequest);
Outcome<protocol::FetchResponse> fetch(const Request&, protocol::FetchRequest);
Outcome<protocol::ListOffsetsResponse> list_offsets(const Request&, protocol::ListOffsetsRequest);
Outcome<protocol::OffsetForLeaderEpochResponse> offset_for_leader_epoch(const Request&, const protocol::OffsetForLeaderEpochRequest&);
Outcome<protocol::FindCoordinatorResponse> find_coordinator(const Request&, protocol::FindCoordinatorRequest);
Outcome<protocol::InitProducerIdResponse> init_producer_id(const Request&, const protocol::InitProducerIdRequest&);
Outcome<protocol::CreateTopicsResponse> create_topics(const Request&, protocol::CreateTopicsRequest);
Outcome<protocol::DeleteTopicsResponse> delete_topics(const Request&, protocol::DeleteTopicsRequest);
Outcome<protocol::CreatePartitionsResponse> create_partitions(const Request&, protocol::CreatePartitionsRequest);
Outcome<protocol::DescribeConfigsResponse> describe_configs(const Request&, protocol::DescribeConfigsRequest);
Outcome<protocol::IncrementalAlterConfigsResponse> incremental_alter_configs(const Request&, protocol::IncrementalAlterConfigsRequest);
Outcome<protocol::AlterConfigsResponse> alter_configs(const Request&, protocol::AlterConfigsRequest);
Outcome<protocol::DeleteRecordsResponse> delete_records(const Request&, protocol::DeleteRecordsRequest);
Outcome<protocol::DescribeLogDirsResponse> describe_log_dirs(const Request&, protocol::DescribeLogDirsRequest);
Outcome<protocol::DescribeProducersResponse> describe_producers(const Request&, protocol::DescribeProducersRequest);
Outcome<protocol::AlterPartitionReassignmentsResponse> alter_partition_reassignments(const Request&, protocol::AlterPartitionReassignmentsRequest);
Outcome<protocol::ListPartitionReassignmentsResponse> list_partition_reassignments(const Request&, const protocol::ListPartitionReassignmentsRequest&);
Outcome<protocol::ElectLeadersResponse> elect_leaders(const Request&, protocol::ElectLeadersRequest);
Outcome<protocol::DescribeClusterResponse> describe_cluster(const Request&, const protocol::DescribeClusterRequest&);
Outcome<protocol::DescribeTopicPartitionsResponse> describe_topic_partitions(const Request&, const protocol::DescribeTopicPartitionsRequest&);

// Of what operators set, in quorum.cc, api_versions.cc, configs.cc and client_quotas.cc.
Outcome<protocol::DescribeQuorumResponse> describe_quorum(const Request&, protocol::DescribeQuorumRequest);
Outcome<protocol::AddRaftVoterResponse> add_raft_voter(const Request&, protocol::AddRaftVoterRequest);
Outcome<protocol::RemoveRaftVoterResponse> remove_raft_voter(const Request&, const protocol::RemoveRaftVoterRequest&);
Outcome<protocol::UnregisterBrokerResponse> unregister_broker(const Request&, const protocol::UnregisterBrokerRequest&);
Outcome<protocol::UpdateFeaturesResponse> update_features(const Request&, const protocol::UpdateFeaturesRequest&);
Outcome<protocol::ListConfigResourcesResponse> list_config_resources(const Request&, const protocol::ListConfigResourcesRequest&);
Outcome<protocol::DescribeAclsResponse> describe_acls(const Request&, const protocol::DescribeAclsRequest&);
Outcome<protocol::DescribeUserScramCredentialsResponse> describe_user_scram_credentials(const Request&, const protocol::DescribeUserScramCredentialsRequest&);
Outcome<protocol::DescribeClientQuotasResponse> describe_client_quotas(const Request&, const protocol::DescribeClientQuotasRequest&);
Outcome<protocol::AlterClientQuotasResponse> alter_client_quotas(const Request&, protocol::AlterClientQuotasRequest);

// Of groups, in members.cc, group_offsets.cc and group_admin.cc; each finds the shard of its group by itself.
Outcome<protocol::JoinGroupResponse> join_group(const Request&, protocol::JoinGroupRequest);
Outcome<protocol::SyncGroupResponse> sync_group(const Request&, protocol::SyncGroupRequest);
Outcome<protocol::HeartbeatResponse> heartbeat(const Request&, protocol::HeartbeatRequest);
Outcome<protocol::LeaveGroupResponse> leave_group(const Request&, protocol::LeaveGroupRequest);
Outcome<protocol::OffsetCommitResponse> offset_commit(const Request&, protocol::OffsetCommitRequest);
Outcome<protocol::OffsetFetchResponse> offset_fetch(const Request&, protocol::OffsetFetchRequest);
Outcome<protocol::OffsetDeleteResponse> offset_delete(const Request&, protocol::OffsetDeleteRequest);
Outcome<protocol::DescribeGroupsResponse> describe_groups(const Request&, protocol::DescribeGroupsRequest);
Outcome<protocol::ListGroupsResponse> list_groups(const Request&, protocol::ListGroupsRequest);
Outcome<protocol::DeleteGroupsResponse> delete_groups(const Request&, protocol::DeleteGroupsRequest);
Outcome<protocol::ConsumerGroupHeartbeatResponse> consumer_group_heartbeat(const Request&, protocol::ConsumerGroupHeartbeatRequest);
Outcome<protocol::ConsumerGroupDescribeResponse> consumer_group_describe(const Request&, protocol::ConsumerGroupDescribeRequest);

// The same for partitions that live on several shards, in split.cc: each shard answers for its own, and the answers
// are joined in the order of the question.
Outcome<protocol::ProduceResponse> produce_on_shards(const Request&, protocol::ProduceRequest);
Outcome<protocol::FetchResponse> fetch_on_shards(const Request&, protocol::FetchRequest);
Outcome<protocol::ListOffsetsResponse> list_offsets_on_shards(const Request&, protocol::ListOffsetsRequest);
Outcome<protocol::OffsetForLeaderEpochResponse> offset_for_leader_epoch_on_shards(const Request&, protocol::OffsetForLeaderEpochRequest);
Outcome<protocol::DeleteRecordsResponse> delete_records_on_shards(const Request&, protocol::DeleteRecordsRequest);
Outcome<protocol::DescribeProducersResponse> describe_producers_on_shards(const Request&, protocol::DescribeProducersRequest);

// What several of them need, in common.cc.

/// Kafka's code for what a partition answered.
protocol::ErrorCode error_of(const Fault& fault);
/// A topic as a request named it: by id from some version on, by name before.
const TopicRecord* resolve_topic(BrokerContext& broker, const std::string& name, const TopicId& id, bool by_id);
protocol::ErrorCode unknown_topic(bool by_id);
/// The replica of a partition on this shard, or what whoever asked for it is told.
std::expected<Partition*, protocol::ErrorCode> find_replica(BrokerContext& broker, const std::string& topic, int32_t partition);
/// Where a broker listens for those who came in on `listener`; nothing if it has no such listener.
std::optional<Endpoint> address_of(BrokerContext& broker, BrokerId id, const std::string& listener);
/// Leader and epoch as this broker has heard, if the leader is alive; kNoBroker otherwise.
std::pair<BrokerId, int32_t> leader_of(BrokerContext& broker, const PartitionKey& key);
/// A deadline from a client's timeout in ms: negative is now, and none lies past a day.
Instant deadline_in(Runtime& runtime, int64_t timeout_ms);

/// fetch.max.bytes.
inline constexpr ByteCount kFetchAnswerMax = 57'671'680;

/// What is asked for twice is told once, where the first stood: a request of a few KiB may not make an answer of GiB.
template <class T, class Key>
void drop_repeated(std::vector<T>& asked, Key key) {
  std::set<std::decay_t<std::invoke_result_t<Key, const T&>>> seen;
  std::erase_if(asked, [&](const T& one) { return !seen.insert(key(one)).second && !PLANT("N67"); });
}

/// The error of a controller call that did not get through.
protocol::ErrorCode error_of_submit(const Error& error);
/// The reply's items, one for each of `count` things asked; a call that did not get through fails them all.
std::vector<ItemReply> items_of(const Result<ControllerReply>& reply, size_t count);
/// What an answer says beside the error code.
std::optional<std::string> message_of(const ItemReply& item);
/// Whether the cluster runs consumer groups whose assignments the coordinator makes (group.version).
bool serves_consumer_groups(BrokerContext& broker);

}  // namespace taffrail::handlers
