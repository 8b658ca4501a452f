// Fetch: what is there is answered at once if it is enough; otherwise the request watches its partitions
// until it is, or until its time is over. Sessions (fetch_sessions.h) have completed the request before.
//
// Where replica.selector.class says so, a leader sends a consumer that names its rack to a replica there, and replicas
// that do not lead answer consumers up to what they know to be committed (KIP-392).
#include <algorithm>
#include <optional>

#include "base/plant.h"
#include "broker/handlers.h"
#include "net/memory_budget.h"

namespace taffrail::handlers {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

constexpr ByteCount kBatchUsually = 1_MiB;  // max.message.bytes, unless somebody changed it.
constexpr std::string_view kSelectorConfig = "replica.selector.class";

/// One fetch and where it has got to.
class Fetch {
 public:
  Fetch(const Request& request, FetchRequest message)
      : broker_(request.broker), listener_(request.connection.listener), version_(request.version),
        takes_answers_(request.connection.takes_answers), hurry_(request.hurry), message_(std::move(message)) {
    if (hurry_ != nullptr) hurry_->waiting = &watch_;
  }
  ~Fetch() {
    if (hurry_ != nullptr) hurry_->waiting = nullptr;
    unwatch();
  }
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  /// True if waiting cannot make the answer better: enough bytes, an error, nobody to wait for.
  bool is_enough();
  /// With its room for as long as it lives: at once where there is some, or little is asked for; otherwise in its turn. If
  /// that has not come by `deadline` there are no records in it, and the client is told to come back later.
  FetchResponse answer_in_turn(Task& task, Instant deadline);
  Result<> wait(Task& task, Instant deadline) { return watch_.wait(task, deadline); }
  void watch();
  void unwatch();
  const FetchRequest& message() const { return message_; }

 private:
  struct Found {
    Partition* replica = nullptr;
    std::optional<Fault> fault;
    ErrorCode error = ErrorCode::kNone;
    PartitionKey key;
    bool follows = false;             ///< It answers although another replica leads.
    BrokerId nearer = kNoBroker;      ///< It leads, and the client shall read there instead.
  };
  struct Readable {
    ByteCount about = 0;  ///< As far as it is known without reading.
    ByteCount most = 0;   ///< As much as may be answered.
  };
  Readable readable();
  FetchResponse answer(Task& task, ByteCount most, bool at_least_one);
  Found find(const FetchRequest::Topic& topic, const FetchRequest::Partition& partition);
  bool may_read_anywhere() const;
  BrokerId nearer_replica(const Partition& leader) const;
  void answer_partition(Task& task, const FetchRequest::Topic& topic, const FetchRequest::Partition& partition,
                        FetchResponse::Partition& out, ByteCount& left, FetchResponse& response);
  void name_leader(const PartitionKey& key, FetchResponse::Partition& out, FetchResponse& response);

  BrokerContext& broker_;
  std::string listener_;
  int16_t version_;
  bool takes_answers_;
  Hurry* hurry_;
  FetchRequest message_;
  FetchWatch watch_;
  std::vector<PartitionKey> watched_;
  bool at_least_one_ = true;
  bool has_records_ = false;  ///< Until then a batch comes even if it is past every limit (KIP-74).
  MemoryBudget::Reservation room_;
};

Fetch::Found Fetch::find(const FetchRequest::Topic& topic, const FetchRequest::Partition& partition) {
  Found found;
  const bool by_id = version_ >= 13;
  const TopicRecord* record = resolve_topic(broker_, topic.topic, topic.topic_id, by_id);
  if (record == nullptr || partition.partition < 0 ||
      static_cast<size_t>(partition.partition) >= record->partitions.size()) {
    found.error = record == nullptr ? unknown_topic(by_id) : ErrorCode::kUnknownTopicOrPartition;
    return found;
  }
  found.key = {record->id, partition.partition};
  found.replica = broker_.find_partition(found.key);
  if (found.replica == nullptr) {
    found.error = ErrorCode::kNotLeaderOrFollower;
    return found;
  }
  found.fault = found.replica->check_leader(partition.current_leader_epoch);
  // Without a leader it would not notice what it misses.
  found.follows = found.fault && found.fault->what == PartitionFault::kNotLeader && may_read_anywhere() &&
                  found.replica->leader() != kNoBroker && found.replica->leader() != broker_.id();
  if (found.fault && !found.follows) found.error = error_of(*found.fault);
  if (!found.fault) found.nearer = nearer_replica(*found.replica);
  return found;
}

bool Fetch::may_read_anywhere() const {
  if (version_ < 11 || message_.replica_id != kNoBroker || message_.replica_state.replica_id != kNoBroker) return false;
  const ClusterImage& image = broker_.controller().image();
  const auto is_set = [](const ConfigMap& configs) { return configs.contains(kSelectorConfig); };
  return is_set(image.settings().configs_of(broker_.id())) || is_set(image.cluster_configs());
}

// Of several in the client's rack each partition has its own, so that they share the work.
BrokerId Fetch::nearer_replica(const Partition& leader) const {
  if (message_.rack_id.empty() || !may_read_anywhere()) return kNoBroker;
  const ClusterImage& image = broker_.controller().image();
  const std::vector<BrokerId> alive = broker_.alive_brokers();
  std::vector<BrokerId> near;
  for (const BrokerId id : leader.in_sync()) {
    const BrokerRecord* record = image.find_broker(id);
    if (record == nullptr || record->rack != message_.rack_id || !std::binary_search(alive.begin(), alive.end(), id)) continue;
    if (id == broker_.id()) return kNoBroker;
    near.push_back(id);
  }
  if (near.empty()) return kNoBroker;
  return near[static_cast<size_t>(leader.key().partition) % near.size()];
}

void Fetch::watch() {
  for (const auto& topic : message_.topics)
    for (const auto& partition : topic.partitions) {
      const Found found = find(topic, partition);
      if (found.replica == nullptr) continue;
      found.replica->watch(watch_);
      watched_.push_back(found.key);
    }
}

void Fetch::unwatch() {
  for (const PartitionKey& key : watched_)
    if (Partition* replica = broker_.find_partition(key)) replica->unwatch(watch_);
  watched_.clear();
}

bool Fetch::is_enough() {
  if (hurry_ != nullptr && hurry_->due) return true;
  ByteCount bytes = 0;
  for (const auto& topic : message_.topics)
    for (const auto& partition : topic.partitions) {
      const Found found = find(topic, partition);
      if (found.error != ErrorCode::kNone || found.nearer != kNoBroker) return true;
      const ReadView view = found.replica->view();
      if (partition.fetch_offset < view.log_start) return true;
      if (partition.fetch_offset > view.log_end && !found.follows) return true;
      bytes += std::min<ByteCount>(found.replica->readable_bytes(partition.fetch_offset),
                                   static_cast<ByteCount>(std::max(partition.partition_max_bytes, 1)));
    }
  return bytes >= static_cast<ByteCount>(std::max(message_.min_bytes, 0));
}

void Fetch::name_leader(const PartitionKey& key, FetchResponse::Partition& out, FetchResponse& response) {
  if (version_ < 12) return;
  if (out.error_code != ErrorCode::kNotLeaderOrFollower && out.error_code != ErrorCode::kFencedLeaderEpoch) return;
  const auto [leader, epoch] = leader_of(broker_, key);
  if (leader == kNoBroker || leader == broker_.id()) return;
  const auto address = address_of(broker_, leader, listener_);
  if (!address) return;
  out.current_leader = {leader, epoch, {}};
  if (version_ < 16) return;
  for (const auto& node : response.node_endpoints)
    if (node.node_id == leader) return;
  response.node_endpoints.push_back(
      {leader, address->host, address->port, broker_.controller().image().find_broker(leader)->rack, {}});
}

void Fetch::answer_partition(Task& task, const FetchRequest::Topic& topic, const FetchRequest::Partition& partition,
                             FetchResponse::Partition& out, ByteCount& left, FetchResponse& response) {
  out.partition_index = partition.partition;
  out.high_watermark = kNoOffset;
  const Found found = find(topic, partition);
  out.error_code = found.error;
  if (found.error != ErrorCode::kNone) {
    if (found.key != PartitionKey{}) name_leader(found.key, out, response);
    return;
  }
  // Everything in this part of the answer is of one moment.
  const ReadView view = found.replica->view();
  if (found.nearer != kNoBroker) {
    out.preferred_read_replica = found.nearer;
    out.high_watermark = view.high_watermark;
    out.last_stable_offset = view.last_stable;
    out.log_start_offset = view.log_start;
    return;
  }
  // The leader may have told of what has not come here yet.
  if (found.follows && partition.fetch_offset > view.high_watermark && !PLANT("M54")) {
    out.error_code = ErrorCode::kOffsetNotAvailable;
    return;
  }
  const bool committed_only = message_.isolation_level == protocol::IsolationLevel::kReadCommitted;
  if (committed_only) out.aborted_transactions.emplace();
  const ByteCount max = std::min(left, static_cast<ByteCount>(std::max(partition.partition_max_bytes, 0)));
  Faulty<std::vector<Slice>> batches = found.replica->read(task, partition.fetch_offset, view, max, at_least_one_ && !has_records_);
  if (!batches) {
    out.error_code = error_of(batches.error());
    if (out.error_code == ErrorCode::kOffsetOutOfRange) {
      out.high_watermark = view.high_watermark;
      out.log_start_offset = view.log_start;
    }
    return;
  }
  out.high_watermark = view.high_watermark;
  out.last_stable_offset = view.last_stable;
  out.log_start_offset = view.log_start;
  for (Slice& batch : *batches) out.records.add(std::move(batch));
  left -= std::min<ByteCount>(left, out.records.size_bytes());
  has_records_ = has_records_ || out.records.size_bytes() > 0;
}

Fetch::Readable Fetch::readable() {
  Readable sum;
  for (const auto& topic : message_.topics)
    for (const auto& partition : topic.partitions) {
      const Found found = find(topic, partition);
      if (found.error != ErrorCode::kNone || found.nearer != kNoBroker) continue;
      const ByteCount bytes = found.replica->readable_bytes(partition.fetch_offset);
      if (bytes == 0) continue;
      sum.about += bytes;
      sum.most += static_cast<ByteCount>(std::max(partition.partition_max_bytes, 0));
    }
  // The first batch comes whatever its size is.
  sum.most = std::max(kBatchUsually, std::min({sum.most, kFetchAnswerMax, static_cast<ByteCount>(std::max(message_.max_bytes, 0))}));
  return sum;
}

FetchResponse Fetch::answer_in_turn(Task& task, Instant deadline) {
  // It may be one of ten thousand that read nothing.
  std::optional<Patience> patience;
  if (!takes_answers_) patience.emplace(task);
  MemoryBudget& memory = broker_.memory();
  const Readable found = readable();
  std::optional<MemoryBudget::Reservation> room = memory.try_reserve(MemoryBudget::records(found.most, takes_answers_));
  if (!room && found.about <= MemoryBudget::kFree) {
    FetchResponse little = answer(task, MemoryBudget::kFree, false);
    if (has_records_ || found.about == 0) return little;
  }
  if (!room) {
    Result<MemoryBudget::Reservation> later = memory.reserve(task, MemoryBudget::records(found.most, takes_answers_), deadline);
    if (!later) {
      FetchResponse without = answer(task, 0, false);
      without.throttle_time_ms = static_cast<int32_t>(MemoryBudget::kPatience.ms());
      return without;
    }
    room = *std::move(later);
  }
  room_ = *std::move(room);
  return answer(task, room_.bytes(), true);
}

FetchResponse Fetch::answer(Task& task, ByteCount most, bool at_least_one) {
  FetchResponse response;
  at_least_one_ = at_least_one;
  ByteCount left = std::min({most, kFetchAnswerMax, static_cast<ByteCount>(std::max(message_.max_bytes, 0))});
  for (const auto& topic : message_.topics) {
    FetchResponse::Topic& topic_out = response.responses.emplace_back();
    topic_out.topic = topic.topic;
    topic_out.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions)
      answer_partition(task, topic, partition, topic_out.partitions.emplace_back(), left, response);
  }
  return response;
}

}  // namespace

Outcome<FetchResponse> fetch(const Request& request, FetchRequest message) {
  BrokerContext& broker = request.broker;
  const Instant deadline = deadline_in(broker.runtime(), message.max_wait_ms);
  auto fetch = std::make_unique<Fetch>(request, std::move(message));
  return Outcome<FetchResponse>::later([&broker, deadline, fetch = std::move(fetch)](Task& task) mutable {
    while (!fetch->is_enough() && broker.runtime().now() < deadline) {
      // Registered anew each time: replicas come and go while this waits.
      fetch->watch();
      const bool enough = fetch->is_enough();
      const Result<> woken = enough ? Result<>{} : fetch->wait(task, deadline);
      fetch->unwatch();
      if (enough || !woken) break;
    }
    return fetch->answer_in_turn(task, broker.runtime().now() + MemoryBudget::kPatience);
  });
}

}  // namespace taffrail::handlers
