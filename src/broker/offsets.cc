// ListOffsets, OffsetForLeaderEpoch and InitProducerId.
#include <fmt/core.h>

#include "broker/handlers.h"
#include "net/memory_budget.h"

namespace taffrail::handlers {

using protocol::ErrorCode;
using protocol::ListOffsetsTimestamp;

namespace {

/// The replica, if it leads in the epoch that its client knows.
ErrorCode find_leader(BrokerContext& broker, const std::string& topic, int32_t partition, int32_t epoch, Partition*& out) {
  const auto replica = find_replica(broker, topic, partition);
  if (!replica) return replica.error();
  out = *replica;
  const auto fault = out->check_leader(epoch);
  return fault ? error_of(*fault) : ErrorCode::kNone;
}

void answer(Task& task, BrokerContext& broker, bool takes_answers, int16_t version, const std::string& name,
            const protocol::ListOffsetsRequest::Partition& asked, protocol::ListOffsetsResponse::Partition& out) {
  out.partition_index = asked.partition_index;
  // A search reads a batch.
  MemoryBudget::Reservation room;
  if (asked.timestamp >= 0 || asked.timestamp == ListOffsetsTimestamp::kMaxTimestamp) {
    Result<MemoryBudget::Reservation> later =
        broker.memory().reserve(task, MemoryBudget::records(1_MiB, takes_answers), broker.runtime().now() + 10_s);
    if (!later) {
      out.error_code = ErrorCode::kRequestTimedOut;
      return;
    }
    room = *std::move(later);
  }
  Partition* replica = nullptr;
  out.error_code = find_leader(broker, name, asked.partition_index, asked.current_leader_epoch, replica);
  if (out.error_code != ErrorCode::kNone) return;
  const ReadView view = replica->view();
  // Until the new leader has committed an entry of its own, its watermark may lie below what clients saw.
  // Smaller ones may mean something one day; a time they are not.
  if (asked.timestamp < ListOffsetsTimestamp::kEarliestPendingUpload) {
    out.error_code = ErrorCode::kUnsupportedVersion;
    return;
  }
  // And what was deleted may be there for it.
  const bool earliest = asked.timestamp == ListOffsetsTimestamp::kEarliest || asked.timestamp == ListOffsetsTimestamp::kEarliestLocal;
  if (earliest ? !replica->log_start_is_current() : !replica->high_watermark_is_current()) {
    out.error_code = ErrorCode::kOffsetNotAvailable;
    return;
  }
  const auto place = [&](Offset offset) {
    out.offset = offset;
    if (version >= 4) out.leader_epoch = static_cast<int32_t>(replica->epoch_at(offset).value);
  };
  Faulty<Partition::TimedOffset> found;
  switch (asked.timestamp) {
    case ListOffsetsTimestamp::kLatest: {
      out.offset = view.high_watermark;
      if (version >= 4) out.leader_epoch = static_cast<int32_t>(view.epoch.value);
      return;
    }
    case ListOffsetsTimestamp::kEarliest:
    case ListOffsetsTimestamp::kEarliestLocal: return place(view.log_start);
    // Nothing is tiered: there is no such offset.
    case ListOffsetsTimestamp::kLatestTiered:
    case ListOffsetsTimestamp::kEarliestPendingUpload: return;
    case ListOffsetsTimestamp::kMaxTimestamp: found = replica->find_max_timestamp(task); break;
    default: found = replica->find_by_time(task, asked.timestamp); break;
  }
  if (!found) {
    out.error_code = error_of(found.error());
    return;
  }
  if (found->offset == kNoOffset) return;
  out.offset = found->offset;
  out.timestamp = found->timestamp;
  if (version >= 4) out.leader_epoch = static_cast<int32_t>(found->epoch.value);
}

}  // namespace

Outcome<protocol::ListOffsetsResponse> list_offsets(const Request& request, protocol::ListOffsetsRequest message) {
  return Outcome<protocol::ListOffsetsResponse>::later(
      [&broker = request.broker, takes_answers = request.connection.takes_answers, version = request.version,
       message = std::move(message)](Task& task) {
        protocol::ListOffsetsResponse response;
        for (const auto& topic : message.topics) {
          auto& topic_out = response.topics.emplace_back();
          topic_out.name = topic.name;
          for (const auto& partition : topic.partitions)
            answer(task, broker, takes_answers, version, topic.name, partition, topic_out.partitions.emplace_back());
        }
        return response;
      });
}

Outcome<protocol::OffsetForLeaderEpochResponse> offset_for_leader_epoch(
    const Request& request, const protocol::OffsetForLeaderEpochRequest& message) {
  protocol::OffsetForLeaderEpochResponse response;
  for (const auto& topic : message.topics) {
    auto& topic_out = response.topics.emplace_back();
    topic_out.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition = partition.partition;
      Partition* replica = nullptr;
      out.error_code = find_leader(request.broker, topic.topic, partition.partition, partition.current_leader_epoch, replica);
      if (out.error_code != ErrorCode::kNone) continue;
      const Partition::EpochEnd end = replica->epoch_end(partition.leader_epoch);
      out.leader_epoch = end.epoch;
      out.end_offset = end.end;
    }
  }
  return response;
}

Outcome<protocol::InitProducerIdResponse> init_producer_id(const Request& request,
                                                           const protocol::InitProducerIdRequest& message) {
  protocol::InitProducerIdResponse response;
  const bool half_named = (message.producer_id.value < 0) != (message.producer_epoch.value < 0);
  if (half_named || message.transactional_id == "") {
    response.error_code = ErrorCode::kInvalidRequest;
    return response;
  }
  if (message.transactional_id) {
    response.error_code = ErrorCode::kCoordinatorNotAvailable;
    return response;
  }
  return Outcome<protocol::InitProducerIdResponse>::later([&broker = request.broker](Task& task) {
    protocol::InitProducerIdResponse out;
    const Result<ProducerId> id = broker.new_producer_id(task, broker.runtime().now() + 10_s);
    if (!id) {
      out.error_code = id.error().code == Errc::kTimedOut ? ErrorCode::kRequestTimedOut
                                                          : ErrorCode::kCoordinatorLoadInProgress;
      return out;
    }
    out.producer_id = *id;
    out.producer_epoch = ProducerEpoch(0);
    return out;
  });
}

}  // namespace taffrail::handlers
