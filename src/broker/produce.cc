// Produce: in order, each partition's batch is checked and appended; then, in a fiber of its own, the
// request waits for its acknowledgements while the connection's next one is appended.
#include <fmt/core.h>

#include <map>

#include "broker/handlers.h"
#include "broker/internal_topics.h"

namespace taffrail::handlers {

using protocol::ErrorCode;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

namespace {

struct Waiting {
  size_t topic = 0;
  size_t partition = 0;
  PartitionKey key;
  Appended appended;
  std::shared_ptr<PendingAppend> pending;  ///< Its turn to be appended has not come yet; then `appended` says nothing.
};

void refuse(ProduceResponse::Partition& out, const Fault& fault) {
  out.error_code = error_of(fault);
  if (!fault.message.empty()) out.error_message = fault.message;
  for (const BatchRefusal::OfRecord& record : fault.batch.records)
    out.record_errors.push_back({record.index, record.message, {}});
}

void tell(ProduceResponse::Partition& out, const Appended& appended) {
  out.base_offset = appended.base_offset;
  out.log_append_time_ms = appended.append_time_ms;
  out.log_start_offset = appended.log_start;
}

// KIP-951: who does not lead says who does, so that the client need not ask.
void name_leader(BrokerContext& broker, const std::string& listener, int16_t version, const PartitionKey& key,
                 ProduceResponse::Partition& out, ProduceResponse& response) {
  if (version < 10) return;
  if (out.error_code != ErrorCode::kNotLeaderOrFollower && out.error_code != ErrorCode::kFencedLeaderEpoch) return;
  const auto [leader, epoch] = leader_of(broker, key);
  if (leader == kNoBroker || leader == broker.id()) return;
  const auto address = address_of(broker, leader, listener);
  if (!address) return;
  out.current_leader = {leader, epoch, {}};
  for (const auto& node : response.node_endpoints)
    if (node.node_id == leader) return;
  const BrokerRecord* record = broker.controller().image().find_broker(leader);
  response.node_endpoints.push_back({leader, address->host, address->port, record->rack, {}});
}

}  // namespace

Outcome<ProduceResponse> produce(const Request& request, ProduceRequest message) {
  BrokerContext& broker = request.broker;
  const bool by_id = request.version >= 13;
  const bool known_acks = message.acks == 0 || message.acks == 1 || message.acks == -1;
  const auto acks = static_cast<Acks>(message.acks);
  ProduceResponse response;
  std::vector<Waiting> waiting;
  bool failed = false;
  bool any_pending = false;
  for (ProduceRequest::Topic& topic : message.topic_data) {
    ProduceResponse::Topic& topic_out = response.responses.emplace_back();
    topic_out.name = topic.name;
    topic_out.topic_id = topic.topic_id;
    for (ProduceRequest::Partition& partition : topic.partition_data) {
      ProduceResponse::Partition& out = topic_out.partition_responses.emplace_back();
      out.index = partition.index;
      if (!known_acks) {
        out.error_code = ErrorCode::kInvalidRequiredAcks;
        continue;
      }
      if (message.transactional_id) {
        out.error_code = ErrorCode::kInvalidTxnState;
        out.error_message = "this broker does not serve transactions";
        failed = true;
        continue;
      }
      const TopicRecord* record = resolve_topic(broker, topic.name, topic.topic_id, by_id);
      const bool exists = record != nullptr && partition.index >= 0 &&
                          static_cast<size_t>(partition.index) < record->partitions.size();
      if (!exists) {
        out.error_code = record == nullptr ? unknown_topic(by_id) : ErrorCode::kUnknownTopicOrPartition;
        failed = true;
        continue;
      }
      if (is_internal_topic(record->name)) {
        out.error_code = ErrorCode::kInvalidTopicException;
        out.error_message = "brokers alone write into this topic";
        failed = true;
        continue;
      }
      const PartitionKey key{record->id, partition.index};
      Partition* replica = broker.find_partition(key);
      if (replica == nullptr) {
        out.error_code = ErrorCode::kNotLeaderOrFollower;
        name_leader(broker, request.connection.listener, request.version, key, out, response);
        failed = true;
        continue;
      }
      auto begun = replica->begin_append(partition.records.flat(), acks, request.version >= 7);
      Waiting one{response.responses.size() - 1, topic_out.partition_responses.size() - 1, key, {}, {}};
      if (auto* pending = std::get_if<std::shared_ptr<PendingAppend>>(&begun)) {
        one.pending = std::move(*pending);
        any_pending = true;
      } else if (auto& appended = std::get<Faulty<Appended>>(begun); appended) {
        one.appended = *appended;
        tell(out, *appended);
      } else {
        refuse(out, appended.error());
        name_leader(broker, request.connection.listener, request.version, key, out, response);
        failed = true;
        continue;
      }
      waiting.push_back(std::move(one));
    }
  }
  constexpr const char* kNotAppended = "a produce request with acks=0 could not be appended";
  if (known_acks && acks == Acks::kNone) {
    // Nobody hears an answer; a closed connection is how such a producer learns that something is wrong.
    if (failed) return Outcome<ProduceResponse>::close(kNotAppended);
    if (!any_pending) return Outcome<ProduceResponse>::none();
    return Outcome<ProduceResponse>::later([waiting = std::move(waiting), &connection = request.connection](Task& task) {
      for (const Waiting& w : waiting)
        if (w.pending && w.pending->done.wait(task) && !*w.pending->result) connection.close_because = kNotAppended;
      return std::optional<ProduceResponse>();
    });
  }
  if (waiting.empty()) return response;
  const Instant deadline = deadline_in(broker.runtime(), message.timeout_ms);
  return Outcome<ProduceResponse>::later([&broker, acks, deadline, listener = request.connection.listener, version = request.version,
                                          waiting = std::move(waiting), response = std::move(response)](Task& task) mutable {
    for (Waiting& w : waiting) {
      ProduceResponse::Partition& out = response.responses[w.topic].partition_responses[w.partition];
      std::optional<Fault> fault;
      if (w.pending && !w.pending->done.wait(task, deadline)) fault = Fault{PartitionFault::kTimedOut, {}, {}};
      else if (w.pending && !*w.pending->result) fault = w.pending->result->error();
      if (w.pending && !fault) {
        w.appended = **w.pending->result;
        tell(out, w.appended);
      }
      // The replica may have been closed during an earlier wait.
      Partition* replica = broker.find_partition(w.key);
      if (!fault && replica == nullptr) fault = Fault{PartitionFault::kNotLeader, {}, {}};
      if (!fault) fault = replica->wait_acknowledged(task, w.appended, acks, deadline);
      if (!fault) continue;
      refuse(out, *fault);
      out.base_offset = kNoOffset;
      out.log_append_time_ms = -1;
      name_leader(broker, listener, version, w.key, out, response);
    }
    return std::move(response);
  });
}

}  // namespace taffrail::handlers
