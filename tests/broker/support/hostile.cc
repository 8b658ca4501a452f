#include "broker/support/hostile.h"

namespace taffrail::test {

using namespace protocol;

namespace {

constexpr int32_t kCorrelation = 1;

template <class Request>
std::string body_of(const Request& request, int16_t version) {
  const auto body = encode(request, version);
  EXPECT_TRUE(body.has_value()) << body.error().text();
  return body ? std::string(as_text(body->flat())) : std::string();
}

}  // namespace

std::string hostile_body(ApiKey key, int16_t version) {
  switch (key) {
    case ApiKey::kProduce: return body_of(produce_request("elsewhere", 0, batch_of({"a"}), 1, {1, 2}), version);
    case ApiKey::kFetch: return body_of(fetch_request("good", 0, 0, {1, 2}), version);
    case ApiKey::kListOffsets: {
      ListOffsetsRequest r;
      r.topics.push_back({"good", {{0, -1, -1, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kMetadata: {
      MetadataRequest r;
      r.topics.emplace();
      r.topics->push_back({{}, "good", {}});
      return body_of(r, version);
    }
    case ApiKey::kFindCoordinator: {
      FindCoordinatorRequest r;
      if (version < 4) r.key = "group";
      else r.coordinator_keys = {"group"};
      return body_of(r, version);
    }
    case ApiKey::kApiVersions: {
      ApiVersionsRequest r;
      if (version >= 3) r.client_software_name = r.client_software_version = "test";
      return body_of(r, version);
    }
    case ApiKey::kCreateTopics: {
      CreateTopicsRequest r;
      r.validate_only = true;
      r.timeout_ms = 1000;
      r.topics.push_back({"made", 1, 1, {}, {{"retention.ms", "1", {}}}, {}});
      r.topics.push_back({"made2", -1, -1, {{0, {BrokerId(1)}, {}}}, {}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDeleteTopics: {
      DeleteTopicsRequest r;
      r.timeout_ms = 1000;
      if (version < 6) r.topic_names = {"elsewhere"};
      else r.topics.push_back({"elsewhere", {}, {}});
      return body_of(r, version);
    }
    case ApiKey::kInitProducerId: return body_of(InitProducerIdRequest{}, version);
    case ApiKey::kOffsetForLeaderEpoch: {
      OffsetForLeaderEpochRequest r;
      r.topics.push_back({"good", {{0, -1, 1, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeConfigs: {
      DescribeConfigsRequest r;
      r.resources.push_back({ConfigResourceType::kTopic, "good", std::vector<std::string>{"retention.ms"}, {}});
      return body_of(r, version);
    }
    case ApiKey::kCreatePartitions: {
      CreatePartitionsRequest r;
      r.timeout_ms = 1000;
      r.validate_only = true;
      r.topics.push_back({"good", 2, std::vector<CreatePartitionsRequest::Assignment>{{{BrokerId(1)}, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kIncrementalAlterConfigs: {
      IncrementalAlterConfigsRequest r;
      r.validate_only = true;
      r.resources.push_back({ConfigResourceType::kTopic, "good", {{"retention.ms", AlterConfigOp::kSet, "1000", {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeCluster: return body_of(DescribeClusterRequest{}, version);
    case ApiKey::kDescribeTopicPartitions: {
      DescribeTopicPartitionsRequest r;
      r.topics.push_back({"good", {}});
      r.cursor = TopicPartitionsCursor{"good", 0, {}};
      return body_of(r, version);
    }
    case ApiKey::kJoinGroup: {
      JoinGroupRequest r;
      // Refused at once, twice over: a join that is taken is answered when others have come.
      r.session_timeout_ms = 1;
      r.protocol_type = "consumer";
      r.protocols.push_back({"range", Slice("subscription"), {}});
      return body_of(r, version);
    }
    case ApiKey::kSyncGroup: {
      SyncGroupRequest r;
      r.group_id = "group";
      r.member_id = "member";
      r.assignments.push_back({"member", Slice("assignment"), {}});
      return body_of(r, version);
    }
    case ApiKey::kHeartbeat: return body_of(HeartbeatRequest{"group", 1, "member", {}, {}}, version);
    case ApiKey::kLeaveGroup: {
      LeaveGroupRequest r;
      r.group_id = "group";
      if (version < 3) r.member_id = "member";
      else r.members.push_back({"member", {}, {}, {}});
      return body_of(r, version);
    }
    case ApiKey::kOffsetCommit: {
      OffsetCommitRequest r;
      r.group_id = "group";
      r.topics.push_back({version < 10 ? "good" : "", {}, {{0, Offset(1), -1, "note", {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kOffsetFetch: {
      OffsetFetchRequest r;
      if (version < 8) {
        r.group_id = "group";
        r.topics->push_back({"good", {0}, {}});
      } else {
        r.groups.push_back({"group", {}, -1, {{{version < 10 ? "good" : "", {}, {0}, {}}}}, {}});
      }
      return body_of(r, version);
    }
    case ApiKey::kOffsetDelete: {
      OffsetDeleteRequest r;
      r.group_id = "group";
      r.topics.push_back({"good", {{0, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeGroups: {
      DescribeGroupsRequest r;
      r.groups = {"group"};
      return body_of(r, version);
    }
    case ApiKey::kListGroups: {
      ListGroupsRequest r;
      if (version >= 4) r.states_filter = {"Stable"};
      if (version >= 5) r.types_filter = {"classic"};
      return body_of(r, version);
    }
    case ApiKey::kDeleteGroups: {
      DeleteGroupsRequest r;
      r.groups_names = {"group"};
      return body_of(r, version);
    }
    case ApiKey::kConsumerGroupHeartbeat: {
      ConsumerGroupHeartbeatRequest r;
      r.group_id = "consumers";
      r.member_id = "member";
      r.rack_id = "rack";
      r.rebalance_timeout_ms = 1000;
      r.subscribed_topic_names = {"good"};
      if (version >= 1) r.subscribed_topic_regex = "go+d";
      r.server_assignor = "range";
      r.topic_partitions = {std::vector<AssignedTopic>{}};
      return body_of(r, version);
    }
    case ApiKey::kConsumerGroupDescribe: {
      ConsumerGroupDescribeRequest r;
      r.group_ids = {"consumers", "group"};
      return body_of(r, version);
    }
    case ApiKey::kDeleteRecords: {
      DeleteRecordsRequest r;
      r.topics.push_back({"good", {{0, Offset(0), {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kElectLeaders: {
      ElectLeadersRequest r;
      r.topic_partitions.emplace().push_back({"good", {0}, {}});
      return body_of(r, version);
    }
    case ApiKey::kAlterPartitionReassignments: {
      AlterPartitionReassignmentsRequest r;
      r.topics.push_back({"good", {{0, std::vector{BrokerId(77)}, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kListPartitionReassignments: {
      ListPartitionReassignmentsRequest r;
      r.topics.emplace().push_back({"good", {0}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeProducers: {
      DescribeProducersRequest r;
      r.topics.push_back({"good", {0}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeLogDirs: {
      DescribeLogDirsRequest r;
      r.topics.emplace().push_back({"good", {0}, {}});
      return body_of(r, version);
    }
    case ApiKey::kAlterConfigs: {
      AlterConfigsRequest r;
      r.validate_only = true;
      r.resources.push_back({ConfigResourceType::kTopic, "good", {{"retention.ms", "1000", {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeClientQuotas: {
      DescribeClientQuotasRequest r;
      r.components.push_back({"client-id", QuotaMatch::kExact, "client", {}});
      return body_of(r, version);
    }
    case ApiKey::kAlterClientQuotas: {
      AlterClientQuotasRequest r;
      r.validate_only = true;
      r.entries.push_back({{{"client-id", "client", {}}}, {{"producer_byte_rate", 1e9, false, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeQuorum: {
      DescribeQuorumRequest r;
      r.topics.push_back({"__cluster_metadata", {{0, {}}}, {}});
      return body_of(r, version);
    }
    case ApiKey::kUpdateFeatures: {
      UpdateFeaturesRequest r;
      r.timeout_ms = 1000;
      r.feature_updates.push_back({"group.version", 9, false, FeatureUpgradeType::kUpgrade, {}});
      return body_of(r, version);
    }
    case ApiKey::kDescribeAcls: {
      DescribeAclsRequest r;
      r.resource_name_filter = "t";
      return body_of(r, version);
    }
    case ApiKey::kDescribeUserScramCredentials: {
      DescribeUserScramCredentialsRequest r;
      r.users->push_back({"u", {}});
      return body_of(r, version);
    }
    case ApiKey::kUnregisterBroker: {
      UnregisterBrokerRequest r;
      r.broker_id = BrokerId(77);
      return body_of(r, version);
    }
    case ApiKey::kListConfigResources: {
      ListConfigResourcesRequest r;
      if (version >= 1) r.resource_types = {ConfigResourceType::kTopic, ConfigResourceType::kGroup};
      return body_of(r, version);
    }
    case ApiKey::kAddRaftVoter: {
      AddRaftVoterRequest r;
      r.cluster_id = "another";
      r.voter_id = BrokerId(77);
      r.listeners.push_back({"PLAINTEXT", "host", 9092, {}});
      return body_of(r, version);
    }
    case ApiKey::kRemoveRaftVoter: {
      RemoveRaftVoterRequest r;
      r.cluster_id = "another";
      r.voter_id = BrokerId(77);
      return body_of(r, version);
    }
    default: ADD_FAILURE() << "no body for " << static_cast<int>(key); return {};
  }
}

std::string hostile_frame_start(ApiKey key, int16_t version, std::string_view body) {
  ByteWriter out;
  out.i16(static_cast<int16_t>(key));
  out.i16(version);
  out.i32(kCorrelation);
  out.i16(-1);
  if (api_of(key).request_header_version(version) >= 2) out.u8(0);
  out.bytes(as_bytes(body));
  return out.take();
}

Slice hostile_frame(ApiKey key, int16_t version, std::string_view body) {
  return Slice(hostile_frame_start(key, version, body));
}

bool still_answers(Wire& wire) {
  constexpr int32_t kProbe = 0x12345678;
  ByteWriter probe;
  probe.i16(static_cast<int16_t>(ApiKey::kApiVersions));
  probe.i16(0);
  probe.i32(kProbe);
  probe.i16(-1);
  wire.send_frame(probe.view());
  for (;;) {
    const auto frame = wire.receive(60_s);
    if (!frame) return false;
    if (ByteReader(*frame).i32() == kProbe) return true;
  }
}

}  // namespace taffrail::test
