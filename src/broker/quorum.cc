// DescribeQuorum, AddRaftVoter, RemoveRaftVoter and UnregisterBroker: who replicates the cluster's metadata, and who is
// in the cluster at all. The leader of group 0 knows; who is asked here asks it.
#include <fmt/core.h>

#include <algorithm>

#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::DescribeQuorumRequest;
using protocol::DescribeQuorumResponse;
using protocol::ErrorCode;

namespace {

constexpr Duration kPatience = 30_s;
constexpr Duration kLook = 100_ms;

bool asks_for_metadata(const DescribeQuorumRequest& message) {
  return message.topics.size() == 1 && message.topics[0].topic_name == kMetadataTopic &&
         message.topics[0].partitions.size() == 1 && message.topics[0].partitions[0].partition_index == 0;
}

DescribeQuorumResponse unknown_partitions(const DescribeQuorumRequest& message) {
  DescribeQuorumResponse response;
  for (const auto& topic : message.topics) {
    auto& out = response.topics.emplace_back();
    out.topic_name = topic.topic_name;
    for (const auto& partition : topic.partitions) {
      auto& state = out.partitions.emplace_back();
      state.partition_index = partition.partition_index;
      state.error_code = ErrorCode::kUnknownTopicOrPartition;
    }
  }
  return response;
}

DescribeQuorumResponse described(BrokerContext& broker, const QuorumView& quorum, int16_t version) {
  DescribeQuorumResponse response;
  auto& topic = response.topics.emplace_back();
  topic.topic_name = kMetadataTopic;
  auto& partition = topic.partitions.emplace_back();
  partition.leader_id = quorum.leader;
  partition.leader_epoch = static_cast<int32_t>(quorum.epoch);
  partition.high_watermark = quorum.committed_end;
  for (const QuorumView::Member& member : quorum.members) {
    auto& out = (member.voter ? partition.current_voters : partition.observers).emplace_back();
    out.replica_id = member.replica.node;
    if (version >= 2) out.replica_directory_id = member.replica.disk;
    out.log_end_offset = member.end;
    out.last_fetch_timestamp = member.contact_ms;
    out.last_caught_up_timestamp = member.caught_up_ms;
    const BrokerRecord* record = broker.controller().image().find_broker(member.replica.node);
    if (version < 2 || record == nullptr || !member.voter) continue;
    auto& node = response.nodes.emplace_back();
    node.node_id = member.replica.node;
    for (const auto& [name, at] : record->listeners) node.listeners.push_back({name, at.host, at.port, {}});
  }
  return response;
}

Result<QuorumView> ask(Task& task, BrokerContext& broker, Instant deadline) {
  ControllerReply reply = TRY(broker.controller().submit(task, DescribeQuorumCommand{}, deadline));
  if (!reply.quorum) return fail(Errc::kCorrupt, "the controller's answer does not fit the request");
  return *std::move(reply.quorum);
}

// The vote is recorded; then the members change, one step after the other.
template <class Response>
Response change_voter(Task& task, BrokerContext& broker, const ChangeVoterCommand& command, bool wait, Instant deadline) {
  Response response;
  const ItemReply item = items_of(broker.controller().submit(task, command, deadline), 1).front();
  response.error_code = item.error;
  response.error_message = message_of(item);
  while (wait && response.error_code == ErrorCode::kNone) {
    const Result<QuorumView> quorum = ask(task, broker, deadline);
    if (quorum && quorum->is_voter(command.replica.node) == command.vote) break;
    if (!broker.runtime().sleep_for(task, kLook)) break;
    if (broker.runtime().now() < deadline) continue;
    response.error_code = ErrorCode::kRequestTimedOut;
    response.error_message = "The vote is recorded, and the members have not changed yet.";
  }
  return response;
}

/// Who asks believes to be in another cluster.
template <class Response>
std::optional<Response> wrong_cluster(BrokerContext& broker, const std::optional<std::string>& cluster) {
  if (!cluster || *cluster == broker.cluster().text()) return std::nullopt;
  Response response;
  response.error_code = ErrorCode::kInconsistentClusterId;
  response.error_message = "The clusterId in the request does not match that found on the server";
  return response;
}

/// Nobody can be called so.
template <class Response>
Response invalid(const char* why) {
  Response response;
  response.error_code = ErrorCode::kInvalidRequest;
  response.error_message = why;
  return response;
}

}  // namespace

Outcome<DescribeQuorumResponse> describe_quorum(const Request& request, DescribeQuorumRequest message) {
  if (!asks_for_metadata(message)) return unknown_partitions(message);
  return Outcome<DescribeQuorumResponse>::later([&broker = request.broker, version = request.version](Task& task) {
    const Result<QuorumView> quorum = ask(task, broker, broker.runtime().now() + kPatience);
    if (quorum) return described(broker, *quorum, version);
    DescribeQuorumResponse response;
    response.error_code = error_of_submit(quorum.error());
    response.error_message = quorum.error().message;
    return response;
  });
}

Outcome<protocol::AddRaftVoterResponse> add_raft_voter(const Request& request, protocol::AddRaftVoterRequest message) {
  using Response = protocol::AddRaftVoterResponse;
  if (auto wrong = wrong_cluster<Response>(request.broker, message.cluster_id)) return *std::move(wrong);
  if (message.voter_id.value < 0) return invalid<Response>("Add voter request has an invalid voter id.");
  if (message.voter_directory_id.is_zero()) return invalid<Response>("Add voter request has an empty directory id.");
  if (message.listeners.empty()) return invalid<Response>("Add voter request does not say where the voter listens.");
  return Outcome<Response>::later([&broker = request.broker, message = std::move(message)](Task& task) {
    const ChangeVoterCommand command{{message.voter_id, message.voter_directory_id}, true};
    return change_voter<Response>(task, broker, command, message.ack_when_committed, deadline_in(broker.runtime(), message.timeout_ms));
  });
}

Outcome<protocol::RemoveRaftVoterResponse> remove_raft_voter(const Request& request, const protocol::RemoveRaftVoterRequest& message) {
  using Response = protocol::RemoveRaftVoterResponse;
  if (auto wrong = wrong_cluster<Response>(request.broker, message.cluster_id)) return *std::move(wrong);
  if (message.voter_id.value < 0) return invalid<Response>("Remove voter request has an invalid voter id.");
  const ChangeVoterCommand command{{message.voter_id, message.voter_directory_id}, false};
  return Outcome<Response>::later([&broker = request.broker, command](Task& task) {
    return change_voter<Response>(task, broker, command, /*wait=*/true, broker.runtime().now() + kPatience);
  });
}

Outcome<protocol::UnregisterBrokerResponse> unregister_broker(const Request& request,
                                                              const protocol::UnregisterBrokerRequest& message) {
  return Outcome<protocol::UnregisterBrokerResponse>::later([&broker = request.broker, id = message.broker_id](Task& task) {
    protocol::UnregisterBrokerResponse response;
    const UnregisterBrokerCommand command{id, false};
    const ItemReply item = items_of(broker.controller().submit(task, command, broker.runtime().now() + kPatience), 1).front();
    response.error_code = item.error;
    response.error_message = message_of(item);
    return response;
  });
}

}  // namespace taffrail::handlers
