#include "client/producer.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "client/produce_batch.h"
#include "protocol/init_producer_id.h"
#include "protocol/produce.h"

namespace taffrail::client {

using protocol::ErrorCode;

struct Producer::Partition {
  explicit Partition(TopicPartition t, Backoff b) : to(std::move(t)), pause(b) {}

  TopicPartition to;
  /// Not settled, in the order of send(): what was sent before, then what waits, then one that is open.
  std::deque<std::shared_ptr<Batch>> queue;
  uint32_t in_flight = 0;
  /// An attempt failed: nothing is sent until nothing is in flight, and `resume_at` has come.
  bool recovering = false;
  Instant resume_at;
  Backoff pause;
  /// A batch with a sequence was given up: what follows needs a new epoch.
  bool hole = false;
  std::optional<std::pair<ProducerId, ProducerEpoch>> identity;
  Sequence next{0};
  /// The leader has taken a batch of this identity. A broker that knows nothing of a producer takes any
  /// sequence as its first: were several on their way and the first refused, the second would be taken
  /// and the first could only follow it.
  bool established = false;

  /// Kept while batches are on their way, so that those behind do not overtake them through another.
  std::shared_ptr<KafkaConnection> connection;
  LeaderView leader;
  WaitQueue changed;
};

namespace {

// Whether a broker that answers so may have written the batch, or may still: everything that is not
// known to be said before the append.
bool may_have_written(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kInconsistentTopicId:
    case ErrorCode::kLeaderNotAvailable:
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kInvalidTopicException:
    case ErrorCode::kRecordListTooLarge:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kInvalidRequiredAcks:
    case ErrorCode::kTopicAuthorizationFailed:
    case ErrorCode::kClusterAuthorizationFailed:
    case ErrorCode::kInvalidTimestamp:
    case ErrorCode::kUnsupportedVersion:
    case ErrorCode::kInvalidRequest:
    case ErrorCode::kUnsupportedForMessageFormat:
    case ErrorCode::kPolicyViolation:
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kProducerFenced:
    case ErrorCode::kInvalidTxnState:
    case ErrorCode::kUnknownProducerId:
    case ErrorCode::kUnsupportedCompressionType:
    case ErrorCode::kInvalidRecord: return false;
    default: return true;
  }
}

}  // namespace

Producer::Producer(Cluster& cluster, ProducerOptions options, ClientObserver* observer)
    : cluster_(cluster), runtime_(cluster.runtime()), options_(options), observer_(observer) {
  CHECK(!options_.idempotent || options_.acks == -1, "idempotence needs acks -1");
  CHECK(options_.in_flight_max > 0);
  // Brokers remember five batches per producer: a sixth could not be told from a repetition.
  if (options_.idempotent) options_.in_flight_max = std::min(options_.in_flight_max, 5u);
}

Producer::~Producer() = default;

Producer::Partition& Producer::partition_of(const TopicPartition& to) {
  auto& place = partitions_[to];
  if (!place) {
    place = std::make_unique<Partition>(to, cluster_.backoff());
    runtime_.spawn(scope_, "client/produce " + to.text(),
                   [this, p = place.get()](Task& task) { run_partition(task, *p); });
  }
  return *place;
}

int32_t Producer::choose_partition(const std::string& topic, const Record& record, int32_t count) {
  if (record.key) return partition_of_key(*record.key, count);
  const auto [place, fresh] = sticky_.try_emplace(topic, 0);
  if (fresh || place->second >= count)
    place->second = static_cast<int32_t>(runtime_.random().below(static_cast<uint64_t>(count)));
  return place->second;
}

std::shared_ptr<Producer::Batch> Producer::batch_for(Partition& p, size_t record_bytes) {
  if (!p.queue.empty() && p.queue.back()->state == Batch::kOpen) {
    Batch& open = *p.queue.back();
    if (open.builder.size_bytes() + record_bytes <= options_.batch_bytes) return p.queue.back();
    open.state = Batch::kWaiting;
    sticky_.erase(p.to.topic);
  }
  const Instant now = runtime_.now();
  auto batch = std::make_shared<Batch>(p.to, options_.codec, &scratch_);
  batch->send_at = now + options_.linger;
  batch->expires = now + options_.delivery_timeout;
  p.queue.push_back(batch);
  p.changed.notify_all();
  return batch;
}

Result<Delivery> Producer::send(Task& task, const std::string& topic,
                                std::optional<int32_t> partition, Record record, uint64_t id,
                                Instant deadline) {
  if (closed_) return fail(Errc::kClosed, "the producer was closed");
  const Instant known_by = std::min(deadline, runtime_.now() + options_.delivery_timeout);
  const int32_t count = TRY(cluster_.partition_count(task, topic, known_by, options_.create_topics));
  if (count == 0) return fail(Errc::kUnavailable, fmt::format("topic {} has no partitions", topic));
  if (partition && (*partition < 0 || *partition >= count))
    return fail(Errc::kInvalid, fmt::format("topic {} has {} partitions, there is no {}", topic,
                                            count, *partition));

  const size_t bytes = Batch::record_bytes(record);
  while (!closed_ && buffered_ > 0 && buffered_ + bytes > options_.buffer_bytes)
    TRY(room_.wait(task, deadline));
  if (closed_) return fail(Errc::kClosed, "the producer was closed");

  const TopicPartition to{topic, partition ? *partition : choose_partition(topic, record, count)};
  Partition& p = partition_of(to);
  const auto batch = batch_for(p, bytes);
  buffered_ += bytes;
  ++counts_.sent;
  if (observer_ != nullptr) observer_->on_send(id, to, record);
  batch->add(record, record.timestamp_ms.value_or(runtime_.wall_now().ms), id, bytes);
  if (batch->builder.size_bytes() >= options_.batch_bytes) {
    batch->state = Batch::kWaiting;
    sticky_.erase(topic);
    p.changed.notify_all();
  }
  Delivery delivery;
  delivery.batch_ = batch;
  delivery.index_ = batch->builder.record_count() - 1;
  return delivery;
}

void Producer::run_partition(Task& task, Partition& p) {
  while (!task.cancelled()) {
    give_up_expired(p);
    const Result<> sent = send_ready(task, p);
    if (!sent && sent.error().code == Errc::kCancelled) return;
    if (!sent) {
      // Nobody to send to. What waits may expire meanwhile, with this as its reason.
      for (const auto& batch : p.queue) batch->last_error = sent.error();
      const Errc code = sent.error().code;
      const bool hopeless =
          code == Errc::kNotFound || code == Errc::kInvalid || code == Errc::kRefused;
      while (hopeless && p.in_flight == 0 && !p.queue.empty()) give_up(p, p.queue.front(), sent.error());
      p.recovering = true;
      p.resume_at = runtime_.now() + p.pause.next();
    }
    if (next_event(p) <= runtime_.now()) continue;
    const Result<> woken = p.changed.wait(task, next_event(p));
    if (!woken && woken.error().code == Errc::kCancelled) return;
  }
}

uint32_t Producer::window(const Partition& p) const {
  return options_.idempotent && !p.established ? 1 : options_.in_flight_max;
}

Instant Producer::next_event(const Partition& p) const {
  const auto waiting = std::find_if(p.queue.begin(), p.queue.end(), [](const auto& b) {
    return b->state != Batch::kInFlight;
  });
  if (waiting == p.queue.end()) return Instant::never();
  const Instant expires = (*waiting)->expires;
  if (p.recovering) return p.in_flight > 0 ? expires : std::min(expires, p.resume_at);
  if (p.in_flight >= window(p)) return expires;
  // As send_ready(): the answers that will not come put the partition into recovery.
  if (p.in_flight > 0 && !p.connection->is_open()) return expires;
  return (*waiting)->state == Batch::kOpen ? std::min(expires, (*waiting)->send_at) : runtime_.now();
}

Result<> Producer::send_ready(Task& task, Partition& p) {
  for (;;) {
    if (p.recovering) {
      if (p.in_flight > 0 || runtime_.now() < p.resume_at) return {};
      close_hole(p);
      p.recovering = false;
      p.connection.reset();
    }
    const auto at = std::find_if(p.queue.begin(), p.queue.end(), [](const auto& b) {
      return b->state != Batch::kInFlight;
    });
    if (at == p.queue.end() || p.in_flight >= window(p)) return {};
    const std::shared_ptr<Batch> batch = *at;
    if (batch->state == Batch::kOpen && runtime_.now() < batch->send_at) return {};

    // Both wait, and answers may arrive meanwhile: then look again from the start.
    if (options_.idempotent && !p.identity) {
      TRY(identify(task, p, batch->expires));
      continue;
    }
    if (!p.connection || !p.connection->is_open()) {
      if (p.in_flight > 0) return {};  // Their answers say so too, and lead to recovery.
      TRY(find_leader(task, p, batch->expires));
      continue;
    }
    transmit(p, batch);
  }
}

Result<> Producer::find_leader(Task& task, Partition& p, Instant deadline) {
  p.leader = TRY(cluster_.leader(task, p.to, deadline, options_.create_topics));
  auto connection = cluster_.connect(task, p.leader.broker, deadline);
  if (!connection) {
    // A leader that cannot be reached may have been replaced. kRefused here is no verdict on the topic.
    cluster_.forget_leader(p.to, p.leader.epoch);
    const Error& why = connection.error();
    return fail(why.code == Errc::kCancelled ? why.code : Errc::kUnavailable, why.message);
  }
  p.connection = *std::move(connection);
  return {};
}

Result<> Producer::identify(Task& task, Partition& p, Instant deadline) {
  const auto lock = TRY(identifying_.lock(task, deadline));
  if (!identity_) {
    const auto connection = TRY(cluster_.connect_any(task, deadline));
    protocol::InitProducerIdRequest request;
    request.transaction_timeout_ms = 60'000;
    const auto answer =
        TRY(connection->call(task, request, deadline));
    if (answer.error_code != ErrorCode::kNone)
      return std::unexpected(kafka_error(answer.error_code, "InitProducerId"));
    identity_ = {answer.producer_id, answer.producer_epoch};
  }
  p.identity = identity_;
  // A later epoch of a producer that is known begins at 0.
  p.next = identity_->second == ProducerEpoch(0) ? options_.first_sequence : Sequence(0);
  p.established = false;
  return {};
}

void Producer::transmit(Partition& p, const std::shared_ptr<Batch>& batch) {
  if (options_.idempotent && batch->sequence == kNoSequence) {
    batch->sequence = p.next;
    batch->finish(p.identity->first, p.identity->second, p.next);
    p.next = increment(p.next, batch->count());
  } else if (!options_.idempotent) {
    batch->finish(kNoProducer, ProducerEpoch(-1), kNoSequence);
  }

  protocol::ProduceRequest request;
  request.acks = options_.acks;
  request.timeout_ms = static_cast<int32_t>(
      std::min<int64_t>(options_.request_timeout.ms(), INT32_MAX));
  auto& topic = request.topic_data.emplace_back();
  topic.name = p.to.topic;
  topic.topic_id = p.leader.topic_id;
  auto& part = topic.partition_data.emplace_back();
  part.index = p.to.partition;
  part.records = protocol::Records(batch->bytes);

  // Version 13 names topics by id only.
  const int16_t version_max = p.leader.topic_id.is_zero() ? 12 : INT16_MAX;
  const auto version = p.connection->version_of(protocol::ApiKey::kProduce, version_max);
  if (!version) return give_up(p, batch, version.error());
  auto pending = p.connection->submit(request, *version, options_.acks != 0);
  if (!pending) return retry(p, batch, pending.error());

  batch->state = Batch::kInFlight;
  if (batch->attempts++ > 0) ++counts_.retries;
  ++counts_.requests;
  ++p.in_flight;
  const Instant deadline = runtime_.now() + options_.request_timeout;
  // The fiber holds the connection: the pool may replace it before the answer is given up.
  runtime_.spawn(scope_, "client/answer " + p.to.text(),
                 [this, &p, batch, pending = *pending, connection = p.connection, deadline](Task& t) {
                   Result<protocol::ProduceResponse> answer = protocol::ProduceResponse();
                   if (options_.acks == 0) {
                     const Result<> sent = pending->done.wait(t, deadline);
                     if (!sent) answer = std::unexpected(sent.error());
                     else if (!pending->frame) answer = std::unexpected(pending->frame.error());
                   } else {
                     answer = connection->receive<protocol::ProduceResponse>(t, *pending, deadline);
                   }
                   --p.in_flight;
                   batch->state = Batch::kWaiting;
                   on_answer(p, batch, answer);
                   p.changed.notify_all();
                 });
}

void Producer::on_answer(Partition& p, const std::shared_ptr<Batch>& batch,
                         const Result<protocol::ProduceResponse>& answer) {
  if (options_.acks == 0) {
    batch->may_be_in_log = true;
    if (answer) return give_up(p, batch, {Errc::kUnavailable, "acks=0: nobody was asked"});
    p.recovering = true;
    p.resume_at = runtime_.now() + p.pause.next();
    cluster_.forget_leader(p.to, p.leader.epoch);
    return give_up(p, batch, answer.error());
  }
  if (!answer) {
    batch->may_be_in_log = true;
    return retry(p, batch, answer.error());
  }
  for (const auto& node : answer->node_endpoints)
    cluster_.learn_broker(node.node_id, {node.host, static_cast<uint16_t>(node.port)},
                          node.rack);
  for (const auto& topic : answer->responses) {
    for (const auto& part : topic.partition_responses) {
      if (part.index != p.to.partition) continue;
      if (part.error_code == ErrorCode::kNone) return acknowledge(p, batch, part.base_offset);
      cluster_.learn_leader(p.to, part.current_leader.leader_id, part.current_leader.leader_epoch);
      return on_refused(p, batch, part.error_code, part.error_message.value_or(""));
    }
  }
  batch->may_be_in_log = true;
  retry(p, batch, {Errc::kCorrupt, "the answer leaves the partition out"});
}

void Producer::on_refused(Partition& p, const std::shared_ptr<Batch>& batch, ErrorCode code,
                          std::string_view message) {
  Error why = kafka_error(code, message);
  // It is in the log already; the broker has forgotten where.
  if (code == ErrorCode::kDuplicateSequenceNumber) return acknowledge(p, batch, kNoOffset);
  if (may_have_written(code)) batch->may_be_in_log = true;
  // One behind another that is unsettled, or was given up, was refused for that one's sake.
  if (code == ErrorCode::kOutOfOrderSequenceNumber && (p.hole || p.queue.front() != batch))
    return retry(p, batch, std::move(why));
  if (code == ErrorCode::kInvalidProducerEpoch || code == ErrorCode::kProducerFenced ||
      code == ErrorCode::kUnknownProducerId) {
    // The broker knows this id otherwise than we do: only a fresh one helps.
    if (p.identity && identity_ == p.identity) identity_.reset();
    p.identity.reset();
    return give_up(p, batch, why);
  }
  if (protocol::is_retriable(code)) return retry(p, batch, std::move(why));
  give_up(p, batch, why);
}

void Producer::retry(Partition& p, const std::shared_ptr<Batch>& batch, Error why) {
  batch->last_error = std::move(why);
  cluster_.forget_leader(p.to, p.leader.epoch);
  if (p.recovering) return;
  p.recovering = true;
  p.resume_at = runtime_.now() + p.pause.next();
}

void Producer::give_up_expired(Partition& p) {
  for (;;) {
    const auto expired = std::find_if(p.queue.begin(), p.queue.end(), [&](const auto& b) {
      return b->state != Batch::kInFlight && b->expires <= runtime_.now();
    });
    if (expired == p.queue.end()) return;
    const std::shared_ptr<Batch> batch = *expired;
    const std::string reason = batch->last_error ? batch->last_error->text() : "it was never sent";
    give_up(p, batch,
            {Errc::kTimedOut, fmt::format("not delivered to {} in {} s: {}", p.to.text(),
                                          options_.delivery_timeout.ms() / 1000, reason)});
  }
}

// Nothing is in flight. What may be in the log under the old epoch cannot be sent under the new one:
// it could then be there twice. What is certainly not there gets new numbers.
void Producer::close_hole(Partition& p) {
  if (!p.hole) return;
  const auto batches = p.queue;
  for (const auto& batch : batches) {
    if (batch->sequence == kNoSequence) continue;
    if (batch->may_be_in_log)
      give_up(p, batch, batch->last_error.value_or(Error{Errc::kUnavailable, "one before it failed"}));
    else
      batch->sequence = kNoSequence;
  }
  p.hole = false;
  p.next = Sequence(0);
  p.established = false;
  ++counts_.epochs;
  if (!p.identity) return;
  if (p.identity->second.value < INT16_MAX) {
    ++p.identity->second.value;
    return;
  }
  if (identity_ && identity_->first == p.identity->first) identity_.reset();
  p.identity.reset();
}

void Producer::settle(Partition& p, const std::shared_ptr<Batch>& batch) {
  std::erase(p.queue, batch);
  buffered_ -= batch->buffered;
  batch->bytes = {};
  batch->state = Batch::kSettled;
  batch->done.set();
  room_.notify_all();
  p.changed.notify_all();
}

void Producer::acknowledge(Partition& p, const std::shared_ptr<Batch>& batch, Offset base) {
  p.pause.reset();
  p.established = true;
  batch->base = base;
  counts_.acked += batch->ids.size();
  if (observer_ != nullptr) {
    int64_t index = 0;
    for (const uint64_t id : batch->ids) {
      observer_->on_ack(id, p.to, base == kNoOffset ? kNoOffset : base + index);
      ++index;
    }
  }
  settle(p, batch);
}

// By value: what the caller names is often the queue's own pointer, which goes on the way.
void Producer::give_up(Partition& p, std::shared_ptr<Batch> batch, const Error& why) {
  if (batch->sequence != kNoSequence) {
    p.hole = true;
    if (!p.recovering) {
      p.recovering = true;
      p.resume_at = runtime_.now();
    }
  }
  // acks=0 asks for no more than that.
  if (options_.acks == 0 && batch->may_be_in_log && why.code == Errc::kUnavailable)
    batch->base = kNoOffset;
  else
    batch->base = std::unexpected(why);
  (batch->may_be_in_log ? counts_.unknown : counts_.failed) += batch->ids.size();
  if (observer_ != nullptr) {
    for (const uint64_t id : batch->ids) {
      if (batch->may_be_in_log) observer_->on_unknown(id, p.to, why);
      else observer_->on_fail(id, p.to, why);
    }
  }
  settle(p, batch);
}

Result<> Producer::flush(Task& task, Instant deadline) {
  std::vector<std::shared_ptr<Batch>> unsettled;
  for (const auto& [to, p] : partitions_) {
    for (const auto& batch : p->queue) {
      if (batch->state == Batch::kOpen) batch->state = Batch::kWaiting;
      unsettled.push_back(batch);
    }
    p->changed.notify_all();
  }
  for (const auto& batch : unsettled) TRY(batch->done.wait(task, deadline));
  return {};
}

void Producer::close(Task& task) {
  closed_ = true;
  scope_.cancel();
  scope_.join(task);
  for (const auto& [to, p] : partitions_) {
    p->connection.reset();
    while (!p->queue.empty())
      give_up(*p, p->queue.front(), {Errc::kCancelled, "the producer was closed"});
  }
  room_.notify_all();
}

}  // namespace taffrail::client
