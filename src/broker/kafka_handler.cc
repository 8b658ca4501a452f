#include "broker/kafka_handler.h"

#include <fmt/core.h>

#include <array>
#include <type_traits>

#include "base/plant.h"
#include "broker/handlers.h"
#include "broker/quotas.h"
#include "net/memory_budget.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "runtime/log.h"
#include "runtime/work_meter.h"

namespace taffrail {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

constexpr std::array kServed = {
    ApiKey::kProduce, ApiKey::kFetch, ApiKey::kListOffsets, ApiKey::kMetadata, ApiKey::kOffsetCommit,
    ApiKey::kOffsetFetch, ApiKey::kFindCoordinator, ApiKey::kJoinGroup, ApiKey::kHeartbeat,
    ApiKey::kLeaveGroup, ApiKey::kSyncGroup, ApiKey::kDescribeGroups, ApiKey::kListGroups,
    ApiKey::kApiVersions, ApiKey::kCreateTopics, ApiKey::kDeleteTopics, ApiKey::kDeleteRecords,
    ApiKey::kInitProducerId, ApiKey::kOffsetForLeaderEpoch, ApiKey::kDescribeConfigs, ApiKey::kAlterConfigs,
    ApiKey::kDescribeLogDirs, ApiKey::kCreatePartitions, ApiKey::kDeleteGroups, ApiKey::kElectLeaders,
    ApiKey::kIncrementalAlterConfigs, ApiKey::kAlterPartitionReassignments,
    ApiKey::kListPartitionReassignments, ApiKey::kOffsetDelete, ApiKey::kDescribeClientQuotas,
    ApiKey::kAlterClientQuotas, ApiKey::kDescribeQuorum, ApiKey::kUpdateFeatures, ApiKey::kDescribeCluster,
    ApiKey::kDescribeProducers, ApiKey::kUnregisterBroker, ApiKey::kConsumerGroupHeartbeat,
    ApiKey::kConsumerGroupDescribe, ApiKey::kListConfigResources, ApiKey::kDescribeTopicPartitions,
    ApiKey::kAddRaftVoter, ApiKey::kRemoveRaftVoter, ApiKey::kDescribeAcls,
    ApiKey::kDescribeUserScramCredentials};

class KafkaHandler final : public RequestHandler {
 public:
  explicit KafkaHandler(BrokerContext& broker) : broker_(broker) {}
  Begun begin(Task& task, ConnectionInfo& connection, Slice frame) override;
  Duration turn_away_for(Task& task, const ConnectionInfo& connection) override;

 private:
  /// What a request used up.
  struct Use {
    int64_t bytes = 0;
    Duration work;
  };
  template <class Message, class Handler>
  Begun run(ConnectionInfo& connection, const protocol::RequestFrame& frame, Handler handler);
  template <class Message, class Handler>
  handlers::Outcome<typename Message::Response> where_there_is_room(ConnectionInfo& connection, const protocol::RequestFrame& frame,
                                                                    Handler handler, handlers::Outcome<typename Message::Response> made);
  template <class Message>
  Begun run_with_quotas(ConnectionInfo& connection, const protocol::RequestFrame& frame, Duration work,
                        handlers::Outcome<typename Message::Response> outcome);
  template <class Message>
  void charge(Task& task, ConnectionInfo& connection, Use used, int16_t version, std::optional<typename Message::Response>& response);
  template <class Response>
  Chain answer(int32_t correlation_id, const Response& response, int16_t version);
  Begun unknown_api_versions(const protocol::RequestFrame& frame);

  BrokerContext& broker_;
};

// Encoding what this broker itself made cannot fail for a version that it advertises. Should it fail all
// the same, a request must not be able to end the broker: this one gets no answer, and the log says which.
template <class Response>
Chain KafkaHandler::answer(int32_t correlation_id, const Response& response, int16_t version) {
  Result<protocol::Chain> chain = protocol::encode_response(correlation_id, response, version);
  if (!chain) {
    broker_.runtime().log().error("kafka", "an answer could not be encoded: {}", chain.error().text());
    return {};
  }
  return std::move(chain->pieces);
}

// A fetch that brings more than its client may have at once would silence it for longer than it need be (KIP-13).
void fit_quota(const ClusterSettings& settings, const ConnectionInfo& connection, protocol::FetchRequest& message) {
  const auto limit = find_quota(settings, QuotaKind::kFetch, connection.client_id);
  if (!limit) return;
  message.max_bytes = static_cast<int32_t>(std::min<int64_t>(message.max_bytes, window_of(*limit)));
  message.min_bytes = std::min(message.min_bytes, message.max_bytes);
}

template <class Message, class... Others>
constexpr bool kIsOneOf = (std::is_same_v<Message, Others> || ...);

// Requests of a few bytes whose answers are as large as the cluster is, and which change nothing: they may be asked twice.
template <class Message>
constexpr bool kTells =
    kIsOneOf<Message, protocol::MetadataRequest, protocol::DescribeClusterRequest, protocol::DescribeTopicPartitionsRequest,
             protocol::DescribeConfigsRequest, protocol::DescribeLogDirsRequest, protocol::DescribeGroupsRequest,
             protocol::ListGroupsRequest, protocol::ConsumerGroupDescribeRequest, protocol::OffsetFetchRequest,
             protocol::DescribeProducersRequest, protocol::ListPartitionReassignmentsRequest, protocol::DescribeQuorumRequest,
             protocol::DescribeClientQuotasRequest, protocol::ListConfigResourcesRequest>;

template <class Response>
std::optional<Response> wait_for(Task& task, handlers::Outcome<Response>& outcome) {
  if (auto* later = std::get_if<typename handlers::Outcome<Response>::Later>(&outcome.value)) return (*later)(task);
  if (auto* now = std::get_if<Response>(&outcome.value)) return std::move(*now);
  return std::nullopt;
}

// Ten thousand may ask and take nothing. An answer for which there is no room is let go, and made anew when there is.
template <class Message, class Handler>
handlers::Outcome<typename Message::Response> KafkaHandler::where_there_is_room(
    ConnectionInfo& connection, const protocol::RequestFrame& frame, Handler handler,
    handlers::Outcome<typename Message::Response> made) {
  using Outcome = handlers::Outcome<typename Message::Response>;
  const int16_t version = frame.header.request_api_version;
  const auto room_for = [&connection, version](const typename Message::Response& response) {
    return MemoryBudget::telling(protocol::encoded_size(response, version).value_or(0), connection.takes_answers);
  };
  std::optional<MemoryBudget::Room> wanted;
  if (const auto* now = std::get_if<typename Message::Response>(&made.value)) {
    wanted = room_for(*now);
    // From now on it counts with its connection.
    if (wanted->most <= MemoryBudget::kFree || broker_.memory().try_reserve(*wanted)) return made;
    made = Outcome::none();
  }
  return Outcome::later([this, &connection, version, room_for, handler, body = frame.body, made = std::move(made), wanted,
                         room = MemoryBudget::Reservation{}](Task& task) mutable -> std::optional<typename Message::Response> {
    MemoryBudget& memory = broker_.memory();
    if (!wanted) {
      std::optional<typename Message::Response> response = wait_for(task, made);
      if (!response) return response;
      wanted = room_for(*response);
      if (wanted->most <= MemoryBudget::kFree || PLANT("N66")) return response;  // N66: what tells of the cluster needs no room.
      if (auto now = memory.try_reserve(*wanted)) {
        room = *std::move(now);
        return response;
      }
    }
    Result<MemoryBudget::Reservation> later = memory.reserve(task, *wanted, broker_.runtime().now() + MemoryBudget::kPatience);
    Result<Message> message = protocol::decode<Message>(body, version);
    if (!later || !message) {
      connection.close_because = fmt::format("there was no room for an answer of {} bytes", wanted->most);
      return std::nullopt;
    }
    room = *std::move(later);
    Outcome again = handler(handlers::Request{broker_, connection, version}, *std::move(message));
    return wait_for(task, again);
  });
}

template <class Message, class Handler>
Begun KafkaHandler::run(ConnectionInfo& connection, const protocol::RequestFrame& frame, Handler handler) {
  using Response = typename Message::Response;
  const int16_t version = frame.header.request_api_version;
  const int32_t correlation_id = frame.header.correlation_id;
  const ClusterSettings& settings = broker_.controller().image().settings();
  const bool counted = !settings.quotas.empty();
  const Instant began = counted ? broker_.runtime().fine_now() : Instant{};
  Result<Message> message = protocol::decode<Message>(frame.body, version);
  if (!message)
    return Begun::close(fmt::format("{} v{} could not be decoded: {}", frame.api->name, version, message.error().text()));
  if constexpr (std::is_same_v<Message, protocol::FetchRequest>)
    if (counted) fit_quota(settings, connection, *message);
  handlers::Outcome<Response> outcome = handler(handlers::Request{broker_, connection, version}, *std::move(message));
  if (!outcome.close_because.empty()) return Begun::close(std::move(outcome.close_because));
  if constexpr (kTells<Message>) outcome = where_there_is_room<Message>(connection, frame, handler, std::move(outcome));
  if (counted) return run_with_quotas<Message>(connection, frame, broker_.runtime().fine_now() - began, std::move(outcome));
  if (auto* now = std::get_if<Response>(&outcome.value)) return Begun::now(answer(correlation_id, *now, version));
  if (auto* later = std::get_if<typename handlers::Outcome<Response>::Later>(&outcome.value))
    return Begun::later([this, correlation_id, version, finish = std::move(*later)](Task& task) mutable {
      const std::optional<Response> response = finish(task);
      return response ? answer(correlation_id, *response, version) : Chain{};
    });
  return Begun::nothing();
}

// What a request used is known once it is answered. The answer goes at once and says for how long the client shall be
// quiet (KIP-219); until then the connection is not heard, whether the client keeps to it or not.
template <class Message>
Begun KafkaHandler::run_with_quotas(ConnectionInfo& connection, const protocol::RequestFrame& frame, Duration work,
                                    handlers::Outcome<typename Message::Response> outcome) {
  using Response = typename Message::Response;
  const Use begun{static_cast<int64_t>(frame.body.size()), work};
  return Begun::later([this, &connection, begun, outcome = std::move(outcome), correlation_id = frame.header.correlation_id,
                       version = frame.header.request_api_version](Task& task) mutable {
    std::optional<Response> response;
    Use used = begun;
    if (auto* now = std::get_if<Response>(&outcome.value)) response = std::move(*now);
    if (auto* later = std::get_if<typename handlers::Outcome<Response>::Later>(&outcome.value)) {
      WorkMeter meter(broker_.runtime(), task);
      response = (*later)(task);
      used.work = used.work + meter.worked();
    }
    if (task.cancelled()) return Chain{};
    charge<Message>(task, connection, used, version, response);
    return response ? answer(correlation_id, *response, version) : Chain{};
  });
}

template <class Message>
void KafkaHandler::charge(Task& task, ConnectionInfo& connection, Use used, int16_t version,
                          std::optional<typename Message::Response>& response) {
  Duration throttle;
  if constexpr (requires { response->throttle_time_ms; })
    if (response) throttle = Duration::from_ms(response->throttle_time_ms);  // The handler's own.
  const auto use = [&](QuotaKind kind, int64_t amount) {
    const auto limit = find_quota(broker_.controller().image().settings(), kind, connection.client_id);
    if (limit) throttle = std::max(throttle, take_quota(task, broker_, *limit, {amount}).throttle);
  };
  if constexpr (std::is_same_v<Message, protocol::ProduceRequest>) use(QuotaKind::kProduce, used.bytes);
  if constexpr (std::is_same_v<Message, protocol::FetchRequest>)
    if (response) use(QuotaKind::kFetch, static_cast<int64_t>(protocol::encoded_size(*response, version).value_or(0)));
  const Duration elsewhere = std::exchange(connection.worked_elsewhere, Duration{});
  use(QuotaKind::kRequest, (used.work + elsewhere).ns);
  // Told in milliseconds: what is shorter is none.
  if (throttle.ms() <= 0) return;
  connection.muted_until = std::max(connection.muted_until, broker_.runtime().now() + throttle);
  if constexpr (requires { response->throttle_time_ms; })
    if (response) response->throttle_time_ms = static_cast<int32_t>(std::min<int64_t>(throttle.ms(), INT32_MAX));
}

Duration KafkaHandler::turn_away_for(Task& task, const ConnectionInfo& connection) {
  const auto limit = find_connection_quota(broker_.controller().image().settings(), connection.peer.host);
  return limit ? take_quota(task, broker_, *limit, {1}).throttle : Duration{};
}

// A client that is newer than the broker learns from the v0 answer what the broker speaks (KIP-511).
Begun KafkaHandler::unknown_api_versions(const protocol::RequestFrame& frame) {
  protocol::ApiVersionsResponse response;
  response.error_code = ErrorCode::kUnsupportedVersion;
  for (const ApiKey key : kServed) {
    const protocol::ApiInfo& api = protocol::api_of(key);
    response.api_keys.push_back({static_cast<int16_t>(key), api.advertised.min, api.advertised.max, {}});
  }
  return Begun::now(answer(frame.header.correlation_id, response, 0));
}

Begun KafkaHandler::begin(Task& task, ConnectionInfo& connection, Slice frame) {
  (void)task;
  Result<protocol::RequestFrame> decoded = protocol::decode_request_header(frame);
  if (!decoded) return Begun::close(fmt::format("its request header: {}", decoded.error().text()));
  const protocol::RequestFrame& request = *decoded;
  const int16_t version = request.header.request_api_version;
  connection.client_id = request.header.client_id.value_or("");
  const bool served = std::find(kServed.begin(), kServed.end(), request.api->key) != kServed.end();
  const bool in_range = version >= request.api->defined.min && version <= std::min(request.api->defined.max, request.api->advertised.max);
  if (request.api->key == ApiKey::kApiVersions && !in_range) return unknown_api_versions(request);
  if (!served || !in_range)
    return Begun::close(fmt::format("{} v{} is not served here", request.api->name, version));

  namespace h = handlers;
  namespace p = protocol;
  switch (request.api->key) {
    case ApiKey::kProduce: return run<p::ProduceRequest>(connection, request, h::produce_on_shards);
    case ApiKey::kFetch: return run<p::FetchRequest>(connection, request, h::fetch_in_session);
    case ApiKey::kListOffsets: return run<p::ListOffsetsRequest>(connection, request, h::list_offsets_on_shards);
    case ApiKey::kMetadata: return run<p::MetadataRequest>(connection, request, h::metadata);
    case ApiKey::kFindCoordinator: return run<p::FindCoordinatorRequest>(connection, request, h::find_coordinator);
    case ApiKey::kOffsetCommit: return run<p::OffsetCommitRequest>(connection, request, h::offset_commit);
    case ApiKey::kOffsetFetch: return run<p::OffsetFetchRequest>(connection, request, h::offset_fetch);
    case ApiKey::kJoinGroup: return run<p::JoinGroupRequest>(connection, request, h::join_group);
    case ApiKey::kHeartbeat: return run<p::HeartbeatRequest>(connection, request, h::heartbeat);
    case ApiKey::kLeaveGroup: return run<p::LeaveGroupRequest>(connection, request, h::leave_group);
    case ApiKey::kSyncGroup: return run<p::SyncGroupRequest>(connection, request, h::sync_group);
    case ApiKey::kDescribeGroups: return run<p::DescribeGroupsRequest>(connection, request, h::describe_groups);
    case ApiKey::kListGroups: return run<p::ListGroupsRequest>(connection, request, h::list_groups);
    case ApiKey::kDeleteGroups: return run<p::DeleteGroupsRequest>(connection, request, h::delete_groups);
    case ApiKey::kConsumerGroupHeartbeat:
      return run<p::ConsumerGroupHeartbeatRequest>(connection, request, h::consumer_group_heartbeat);
    case ApiKey::kConsumerGroupDescribe:
      return run<p::ConsumerGroupDescribeRequest>(connection, request, h::consumer_group_describe);
    case ApiKey::kOffsetDelete: return run<p::OffsetDeleteRequest>(connection, request, h::offset_delete);
    case ApiKey::kApiVersions: return run<p::ApiVersionsRequest>(connection, request, h::api_versions);
    case ApiKey::kCreateTopics: return run<p::CreateTopicsRequest>(connection, request, h::create_topics);
    case ApiKey::kDeleteTopics: return run<p::DeleteTopicsRequest>(connection, request, h::delete_topics);
    case ApiKey::kDeleteRecords: return run<p::DeleteRecordsRequest>(connection, request, h::delete_records_on_shards);
    case ApiKey::kInitProducerId: return run<p::InitProducerIdRequest>(connection, request, h::init_producer_id);
    case ApiKey::kOffsetForLeaderEpoch:
      return run<p::OffsetForLeaderEpochRequest>(connection, request, h::offset_for_leader_epoch_on_shards);
    case ApiKey::kDescribeConfigs: return run<p::DescribeConfigsRequest>(connection, request, h::describe_configs);
    case ApiKey::kAlterConfigs: return run<p::AlterConfigsRequest>(connection, request, h::alter_configs);
    case ApiKey::kDescribeLogDirs: return run<p::DescribeLogDirsRequest>(connection, request, h::describe_log_dirs);
    case ApiKey::kCreatePartitions: return run<p::CreatePartitionsRequest>(connection, request, h::create_partitions);
    case ApiKey::kIncrementalAlterConfigs:
      return run<p::IncrementalAlterConfigsRequest>(connection, request, h::incremental_alter_configs);
    case ApiKey::kElectLeaders: return run<p::ElectLeadersRequest>(connection, request, h::elect_leaders);
    case ApiKey::kAlterPartitionReassignments:
      return run<p::AlterPartitionReassignmentsRequest>(connection, request, h::alter_partition_reassignments);
    case ApiKey::kListPartitionReassignments:
      return run<p::ListPartitionReassignmentsRequest>(connection, request, h::list_partition_reassignments);
    case ApiKey::kDescribeCluster: return run<p::DescribeClusterRequest>(connection, request, h::describe_cluster);
    case ApiKey::kDescribeProducers:
      return run<p::DescribeProducersRequest>(connection, request, h::describe_producers_on_shards);
    case ApiKey::kDescribeTopicPartitions:
      return run<p::DescribeTopicPartitionsRequest>(connection, request, h::describe_topic_partitions);
    case ApiKey::kDescribeAcls: return run<p::DescribeAclsRequest>(connection, request, h::describe_acls);
    case ApiKey::kDescribeUserScramCredentials:
      return run<p::DescribeUserScramCredentialsRequest>(connection, request, h::describe_user_scram_credentials);
    case ApiKey::kDescribeClientQuotas:
      return run<p::DescribeClientQuotasRequest>(connection, request, h::describe_client_quotas);
    case ApiKey::kAlterClientQuotas: return run<p::AlterClientQuotasRequest>(connection, request, h::alter_client_quotas);
    case ApiKey::kDescribeQuorum: return run<p::DescribeQuorumRequest>(connection, request, h::describe_quorum);
    case ApiKey::kUpdateFeatures: return run<p::UpdateFeaturesRequest>(connection, request, h::update_features);
    case ApiKey::kUnregisterBroker: return run<p::UnregisterBrokerRequest>(connection, request, h::unregister_broker);
    case ApiKey::kListConfigResources: return run<p::ListConfigResourcesRequest>(connection, request, h::list_config_resources);
    case ApiKey::kAddRaftVoter: return run<p::AddRaftVoterRequest>(connection, request, h::add_raft_voter);
    case ApiKey::kRemoveRaftVoter: return run<p::RemoveRaftVoterRequest>(connection, request, h::remove_raft_voter);
    default: break;
  }
  return Begun::close(fmt::format("{} is not served here", request.api->name));
}

}  // namespace

namespace handlers {
std::span<const protocol::ApiKey> served_apis() { return kServed; }
}  // namespace handlers

std::unique_ptr<RequestHandler> make_kafka_handler(BrokerContext& context) {
  return std::make_unique<KafkaHandler>(context);
}

}  // namespace taffrail
