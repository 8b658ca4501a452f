// DeleteRecords and DescribeProducers: what a partition's leader is asked about its log besides its records.
#include <fmt/core.h>

#include "broker/handlers.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

void delete_from(Task& task, BrokerContext& broker, const std::string& name, Instant deadline,
                 const protocol::DeleteRecordsRequest::Partition& asked, protocol::DeleteRecordsResponse::Partition& out) {
  out.partition_index = asked.partition_index;
  const auto replica = find_replica(broker, name, asked.partition_index);
  if (!replica) {
    out.error_code = replica.error();
    return;
  }
  // Compaction alone decides what such a topic forgets.
  if (!(*replica)->config().deleted) {
    out.error_code = ErrorCode::kPolicyViolation;
    return;
  }
  const Faulty<Offset> low = (*replica)->delete_records(task, asked.offset, deadline);
  if (low) out.low_watermark = *low;
  else out.error_code = error_of(low.error());
}

}  // namespace

Outcome<protocol::DeleteRecordsResponse> delete_records(const Request& request, protocol::DeleteRecordsRequest message) {
  return Outcome<protocol::DeleteRecordsResponse>::later([&broker = request.broker, message = std::move(message)](Task& task) {
    const Instant deadline = deadline_in(broker.runtime(), message.timeout_ms);
    protocol::DeleteRecordsResponse response;
    for (const auto& topic : message.topics) {
      auto& topic_out = response.topics.emplace_back();
      topic_out.name = topic.name;
      for (const auto& partition : topic.partitions)
        delete_from(task, broker, topic.name, deadline, partition, topic_out.partitions.emplace_back());
    }
    return response;
  });
}

Outcome<protocol::DescribeProducersResponse> describe_producers(const Request& request,
                                                                protocol::DescribeProducersRequest message) {
  protocol::DescribeProducersResponse response;
  for (const auto& topic : message.topics) {
    auto& topic_out = response.topics.emplace_back();
    topic_out.name = topic.name;
    for (const int32_t partition : topic.partition_indexes) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = partition;
      const auto replica = find_replica(request.broker, topic.name, partition);
      if (bad_topic_name(topic.name)) {
        out.error_code = ErrorCode::kInvalidTopicException;
      } else if (!replica) {
        out.error_code = replica.error();
      } else if (const auto fault = (*replica)->check_leader(-1)) {
        out.error_code = error_of(*fault);
      } else {
        for (const Partition::ProducerView& producer : (*replica)->producers())
          out.active_producers.push_back({producer.id, producer.epoch.value, producer.last_sequence.value,
                                          producer.last_timestamp, -1, kNoOffset, {}});
      }
    }
  }
  return response;
}

}  // namespace taffrail::handlers
