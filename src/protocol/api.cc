#include "protocol/api.h"

#include "base/check.h"

namespace taffrail::protocol {
namespace {

constexpr int16_t kNever = Api::kNever;

// As of Kafka 4.4: key, name, versions that are defined, versions that are advertised, first
// flexible version of request and response. Rows stand at their key. The empty ones are
// ZooKeeper's, withdrawn.
constexpr ApiInfo kApis[] = {
    {ApiKey::kProduce, "Produce", {3, 13}, {0, 13}, 9, 9},
    {ApiKey::kFetch, "Fetch", {4, 18}, {4, 18}, 12, 12},
    {ApiKey::kListOffsets, "ListOffsets", {1, 11}, {1, 11}, 6, 6},
    {ApiKey::kMetadata, "Metadata", {0, 13}, {0, 13}, 9, 9},
    {ApiKey::kLeaderAndIsr, "LeaderAndIsr", {}, {}, 4, 4},
    {ApiKey::kStopReplica, "StopReplica", {}, {}, 2, 2},
    {ApiKey::kUpdateMetadata, "UpdateMetadata", {}, {}, 6, 6},
    {ApiKey::kControlledShutdown, "ControlledShutdown", {}, {}, 3, 3},
    {ApiKey::kOffsetCommit, "OffsetCommit", {2, 10}, {2, 10}, 8, 8},
    {ApiKey::kOffsetFetch, "OffsetFetch", {1, 10}, {1, 10}, 6, 6},
    {ApiKey::kFindCoordinator, "FindCoordinator", {0, 6}, {0, 6}, 3, 3},
    {ApiKey::kJoinGroup, "JoinGroup", {0, 9}, {0, 9}, 6, 6},
    {ApiKey::kHeartbeat, "Heartbeat", {0, 4}, {0, 4}, 4, 4},
    {ApiKey::kLeaveGroup, "LeaveGroup", {0, 5}, {0, 5}, 4, 4},
    {ApiKey::kSyncGroup, "SyncGroup", {0, 5}, {0, 5}, 4, 4},
    {ApiKey::kDescribeGroups, "DescribeGroups", {0, 6}, {0, 6}, 5, 5},
    {ApiKey::kListGroups, "ListGroups", {0, 5}, {0, 5}, 3, 3},
    {ApiKey::kSaslHandshake, "SaslHandshake", {0, 1}, {0, 1}, kNever, kNever},
    {ApiKey::kApiVersions, "ApiVersions", {0, 5}, {0, 5}, 3, 3},
    {ApiKey::kCreateTopics, "CreateTopics", {2, 7}, {2, 7}, 5, 5},
    {ApiKey::kDeleteTopics, "DeleteTopics", {1, 6}, {1, 6}, 4, 4},
    {ApiKey::kDeleteRecords, "DeleteRecords", {0, 2}, {0, 2}, 2, 2},
    {ApiKey::kInitProducerId, "InitProducerId", {0, 6}, {0, 5}, 2, 2},
    {ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", {2, 4}, {2, 4}, 4, 4},
    {ApiKey::kAddPartitionsToTxn, "AddPartitionsToTxn", {0, 5}, {0, 5}, 3, 3},
    {ApiKey::kAddOffsetsToTxn, "AddOffsetsToTxn", {0, 4}, {0, 4}, 3, 3},
    {ApiKey::kEndTxn, "EndTxn", {0, 5}, {0, 5}, 3, 3},
    {ApiKey::kWriteTxnMarkers, "WriteTxnMarkers", {1, 2}, {1, 2}, 1, 1},
    {ApiKey::kTxnOffsetCommit, "TxnOffsetCommit", {0, 6}, {0, 6}, 3, 3},
    {ApiKey::kDescribeAcls, "DescribeAcls", {1, 3}, {1, 3}, 2, 2},
    {ApiKey::kCreateAcls, "CreateAcls", {1, 3}, {1, 3}, 2, 2},
    {ApiKey::kDeleteAcls, "DeleteAcls", {1, 3}, {1, 3}, 2, 2},
    {ApiKey::kDescribeConfigs, "DescribeConfigs", {1, 4}, {1, 4}, 4, 4},
    {ApiKey::kAlterConfigs, "AlterConfigs", {0, 2}, {0, 2}, 2, 2},
    {ApiKey::kAlterReplicaLogDirs, "AlterReplicaLogDirs", {1, 2}, {1, 2}, 2, 2},
    {ApiKey::kDescribeLogDirs, "DescribeLogDirs", {1, 5}, {1, 5}, 2, 2},
    {ApiKey::kSaslAuthenticate, "SaslAuthenticate", {0, 2}, {0, 2}, 2, 2},
    {ApiKey::kCreatePartitions, "CreatePartitions", {0, 3}, {0, 3}, 2, 2},
    {ApiKey::kCreateDelegationToken, "CreateDelegationToken", {1, 3}, {1, 3}, 2, 2},
    {ApiKey::kRenewDelegationToken, "RenewDelegationToken", {1, 2}, {1, 2}, 2, 2},
    {ApiKey::kExpireDelegationToken, "ExpireDelegationToken", {1, 2}, {1, 2}, 2, 2},
    {ApiKey::kDescribeDelegationToken, "DescribeDelegationToken", {1, 3}, {1, 3}, 2, 2},
    {ApiKey::kDeleteGroups, "DeleteGroups", {0, 3}, {0, 3}, 2, 2},
    {ApiKey::kElectLeaders, "ElectLeaders", {0, 2}, {0, 2}, 2, 2},
    {ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", {0, 1}, {0, 1}, 1, 1},
    {ApiKey::kAlterPartitionReassignments, "AlterPartitionReassignments", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kListPartitionReassignments, "ListPartitionReassignments", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kOffsetDelete, "OffsetDelete", {0, 0}, {0, 0}, kNever, kNever},
    {ApiKey::kDescribeClientQuotas, "DescribeClientQuotas", {0, 1}, {0, 1}, 1, 1},
    {ApiKey::kAlterClientQuotas, "AlterClientQuotas", {0, 1}, {0, 1}, 1, 1},
    {ApiKey::kDescribeUserScramCredentials, "DescribeUserScramCredentials", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kAlterUserScramCredentials, "AlterUserScramCredentials", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kVote, "Vote", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kBeginQuorumEpoch, "BeginQuorumEpoch", {0, 1}, {0, 1}, 1, 1},
    {ApiKey::kEndQuorumEpoch, "EndQuorumEpoch", {0, 1}, {0, 1}, 1, 1},
    {ApiKey::kDescribeQuorum, "DescribeQuorum", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kAlterPartition, "AlterPartition", {2, 3}, {2, 3}, 0, 0},
    {ApiKey::kUpdateFeatures, "UpdateFeatures", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kEnvelope, "Envelope", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kFetchSnapshot, "FetchSnapshot", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kDescribeCluster, "DescribeCluster", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kDescribeProducers, "DescribeProducers", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kBrokerRegistration, "BrokerRegistration", {0, 4}, {0, 4}, 0, 0},
    {ApiKey::kBrokerHeartbeat, "BrokerHeartbeat", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kUnregisterBroker, "UnregisterBroker", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kDescribeTransactions, "DescribeTransactions", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kListTransactions, "ListTransactions", {0, 2}, {0, 2}, 0, 0},
    {ApiKey::kAllocateProducerIds, "AllocateProducerIds", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kConsumerGroupDescribe, "ConsumerGroupDescribe", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kControllerRegistration, "ControllerRegistration", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kGetTelemetrySubscriptions, "GetTelemetrySubscriptions", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kPushTelemetry, "PushTelemetry", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kAssignReplicasToDirs, "AssignReplicasToDirs", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kListConfigResources, "ListConfigResources", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kDescribeTopicPartitions, "DescribeTopicPartitions", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kShareGroupHeartbeat, "ShareGroupHeartbeat", {1, 1}, {1, 1}, 0, 0},
    {ApiKey::kShareGroupDescribe, "ShareGroupDescribe", {1, 1}, {1, 1}, 0, 0},
    {ApiKey::kShareFetch, "ShareFetch", {1, 2}, {1, 2}, 0, 0},
    {ApiKey::kShareAcknowledge, "ShareAcknowledge", {1, 2}, {1, 2}, 0, 0},
    {ApiKey::kAddRaftVoter, "AddRaftVoter", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kRemoveRaftVoter, "RemoveRaftVoter", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kUpdateRaftVoter, "UpdateRaftVoter", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kInitializeShareGroupState, "InitializeShareGroupState", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kReadShareGroupState, "ReadShareGroupState", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kWriteShareGroupState, "WriteShareGroupState", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kDeleteShareGroupState, "DeleteShareGroupState", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kReadShareGroupStateSummary, "ReadShareGroupStateSummary", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kStreamsGroupHeartbeat, "StreamsGroupHeartbeat", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kStreamsGroupDescribe, "StreamsGroupDescribe", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kDescribeShareGroupOffsets, "DescribeShareGroupOffsets", {0, 1}, {0, 1}, 0, 0},
    {ApiKey::kAlterShareGroupOffsets, "AlterShareGroupOffsets", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kDeleteShareGroupOffsets, "DeleteShareGroupOffsets", {0, 0}, {0, 0}, 0, 0},
    {ApiKey::kStreamsGroupTopologyDescriptionUpdate,
     "StreamsGroupTopologyDescriptionUpdate",
     {0, 0},
     {0, 0},
     0,
     0},
    {ApiKey::kUnregisterController, "UnregisterController", {0, 0}, {0, 0}, 0, 0},
};

constexpr bool rows_stand_at_their_key() {
  int16_t key = 0;
  for (const ApiInfo& api : kApis) {
    if (static_cast<int16_t>(api.key) != key++) return false;
  }
  return true;
}
static_assert(rows_stand_at_their_key());

}  // namespace

std::span<const ApiInfo> all_apis() { return kApis; }

const ApiInfo* find_api(int16_t key) {
  if (key < 0 || static_cast<size_t>(key) >= std::size(kApis)) return nullptr;
  const ApiInfo& api = kApis[key];
  return api.defined.empty() ? nullptr : &api;
}

const ApiInfo& api_of(ApiKey key) {
  const ApiInfo* api = find_api(static_cast<int16_t>(key));
  CHECK(api != nullptr, "an API that exists");
  return *api;
}

std::string_view api_name(int16_t key) {
  const ApiInfo* api = find_api(key);
  return api == nullptr ? "unknown" : api->name;
}

}  // namespace taffrail::protocol
