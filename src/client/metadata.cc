#include "client/metadata.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/metadata.h"

namespace taffrail::client {
namespace {

using protocol::ErrorCode;

Duration waiting_time(Runtime& runtime, Duration min, Duration max, int attempt) {
  const Duration full = std::min(max, min * (int64_t{1} << std::min(attempt, 20)));
  return {runtime.random().between(full.ns / 2, full.ns)};
}

TopicView view_of(const protocol::MetadataResponse::Topic& t) {
  TopicView view;
  view.name = t.name.value_or("");
  view.id = t.topic_id;
  view.internal = t.is_internal;
  view.error = t.error_code;
  for (const auto& p : t.partitions) {
    PartitionView& part = view.partitions.emplace_back();
    part.index = p.partition_index;
    part.leader = p.leader_id;
    part.leader_epoch = p.leader_epoch;
    part.error = p.error_code;
    part.replicas = p.replica_nodes;
    part.in_sync = p.isr_nodes;
  }
  std::sort(view.partitions.begin(), view.partitions.end(),
            [](const PartitionView& a, const PartitionView& b) { return a.index < b.index; });
  return view;
}

// Whether asking again may help, with or without auto-creation.
bool comes_by_waiting(ErrorCode error, bool create) {
  if (error == ErrorCode::kUnknownTopicOrPartition) return create;
  return protocol::is_retriable(error);
}

}  // namespace

const PartitionView* TopicView::find(int32_t partition) const {
  for (const PartitionView& p : partitions)
    if (p.index == partition) return &p;
  return nullptr;
}

Duration Backoff::next() { return waiting_time(runtime_, min_, max_, attempt_++); }

Cluster::Cluster(Runtime& runtime, ClusterOptions options)
    : runtime_(runtime), options_(std::move(options)) {}

Cluster::~Cluster() = default;

void Cluster::close(Task& task) {
  for (auto& [at, slot] : slots_) {
    if (!slot.connection) continue;
    slot.connection->close(task);
    slot.connection.reset();
  }
}

const TopicView* Cluster::find_topic(const std::string& name) const {
  const auto known = topics_.find(name);
  return known == topics_.end() ? nullptr : &known->second.view;
}

std::vector<Endpoint> Cluster::candidates() {
  std::vector<Endpoint> all;
  for (const auto& [id, broker] : brokers_) all.push_back(broker.at);
  for (const Endpoint& at : options_.bootstrap)
    if (std::find(all.begin(), all.end(), at) == all.end()) all.push_back(at);
  if (all.size() > 1) {
    const uint64_t first = runtime_.random().below(all.size());
    std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
  }
  // One that is connected answers soonest, one that could not be reached lately may take as long again to fail.
  const auto rank = [this](const Endpoint& at) {
    const auto slot = slots_.find(at);
    if (slot == slots_.end()) return 0;
    return slot->second.connection && slot->second.connection->is_open() ? -1 : slot->second.failures;
  };
  std::multimap<int, Endpoint> by_rank;
  for (const Endpoint& at : all) by_rank.emplace(rank(at), at);
  std::vector<Endpoint> ordered;
  for (const auto& [of, at] : by_rank) ordered.push_back(at);
  return ordered;
}

Result<std::shared_ptr<KafkaConnection>> Cluster::connect_to(Task& task, const Endpoint& at,
                                                             Instant deadline) {
  Slot& slot = slots_[at];
  const auto lock = TRY(slot.dialing.lock(task, deadline));
  if (slot.connection && slot.connection->is_open()) return slot.connection;
  if (slot.connection) {
    slot.connection->close(task);
    slot.connection.reset();
  }
  if (slot.not_before > deadline)
    return fail(Errc::kTimedOut, fmt::format("{} was refused lately", at.text()));
  if (slot.not_before > runtime_.now()) TRY(runtime_.sleep_until(task, slot.not_before));
  auto dialled = KafkaConnection::dial(task, runtime_, at, options_.connection, deadline);
  if (!dialled) {
    slot.not_before = runtime_.now() + waiting_time(runtime_, options_.backoff_min,
                                                    options_.backoff_max, slot.failures++);
    return dialled;
  }
  slot.failures = 0;
  slot.connection = *dialled;
  return dialled;
}

Result<std::shared_ptr<KafkaConnection>> Cluster::connect(Task& task, BrokerId broker,
                                                          Instant deadline) {
  const auto known = brokers_.find(broker);
  if (known == brokers_.end())
    return fail(Errc::kNotFound, fmt::format("broker {} is not known", broker.value));
  const Endpoint at = known->second.at;
  return connect_to(task, at, deadline);
}

namespace {
constexpr Duration kDialMin = 1_s;  // Of one among several that are tried.
}  // namespace

Result<std::shared_ptr<KafkaConnection>> Cluster::connect_any(Task& task, Instant deadline) {
  Backoff pause = backoff();
  for (;;) {
    std::optional<Error> last;
    const std::vector<Endpoint> all = candidates();
    for (size_t i = 0; i < all.size(); ++i) {
      // Those that do not answer at all leave time for the others.
      const Duration share = std::max((deadline - runtime_.now()) / static_cast<int64_t>(all.size() - i), kDialMin);
      auto connected = connect_to(task, all[i], std::min(deadline, runtime_.now() + share));
      if (connected) return connected;
      if (connected.error().code == Errc::kCancelled) return connected;
      last = connected.error();
      if (runtime_.now() >= deadline) break;
    }
    const Instant next = runtime_.now() + pause.next();
    if (next >= deadline)
      return fail(Errc::kUnavailable, fmt::format("no broker can be reached: {}", last->text()));
    TRY(runtime_.sleep_until(task, next));
  }
}

Result<protocol::MetadataResponse> Cluster::ask(Task& task, const std::vector<std::string>* topics,
                                                bool create, Instant deadline) {
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = create;
  if (topics == nullptr) {
    request.topics.reset();
  } else {
    request.topics.emplace();
    for (const std::string& name : *topics) request.topics->emplace_back().name = name;
  }
  Backoff pause = backoff();
  for (;;) {
    const auto connection = TRY(connect_any(task, deadline));
    auto answer = connection->call(task, request, deadline);
    if (answer) return answer;
    const Errc why = answer.error().code;
    if (why != Errc::kClosed && why != Errc::kTimedOut) return answer;
    const Instant next = runtime_.now() + pause.next();
    if (next >= deadline) return answer;
    TRY(runtime_.sleep_until(task, next));
  }
}

void Cluster::keep(const protocol::MetadataResponse& answer) {
  // An empty list comes from a broker that does not know its cluster yet: what is known is better.
  if (!answer.brokers.empty()) {
    std::map<BrokerId, BrokerView> brokers;
    for (const auto& b : answer.brokers) {
      const Endpoint at{b.host, static_cast<uint16_t>(b.port)};
      brokers[b.node_id] = {b.node_id, at, b.rack};
    }
    brokers_ = std::move(brokers);
  }
  controller_ = answer.controller_id;
  if (answer.cluster_id) cluster_id_ = *answer.cluster_id;
}

TopicView Cluster::keep_topic(TopicView view) {
  Known& known = topics_[view.name];
  // Brokers learn at different times. One that lags must not send us back to a leader that a newer
  // epoch has replaced; a topic that was deleted and made again starts over.
  if (known.view.id == view.id) {
    for (PartitionView& p : view.partitions) {
      const PartitionView* old = known.view.find(p.index);
      if (old == nullptr || old->leader_epoch <= p.leader_epoch) continue;
      p.leader = old->leader;
      p.leader_epoch = old->leader_epoch;
      p.error = old->error;
    }
  }
  known = {view, runtime_.now(), round_, false};
  return view;
}

Result<> Cluster::refresh(Task& task, const std::vector<std::string>& topics, Instant deadline,
                          bool create) {
  const uint64_t asked_after = round_;
  const auto lock = TRY(refreshing_.lock(task, deadline));
  // Another fiber asked for the same while this one waited for its turn.
  const bool fresh = !topics.empty() && std::all_of(topics.begin(), topics.end(), [&](const auto& t) {
    const auto known = topics_.find(t);
    return known != topics_.end() && known->second.round > asked_after && !known->second.stale;
  });
  if (fresh) return {};
  const auto answer = TRY(ask(task, &topics, create, deadline));
  ++round_;
  keep(answer);
  for (const auto& t : answer.topics) keep_topic(view_of(t));
  return {};
}

Result<std::vector<TopicView>> Cluster::list_topics(Task& task, Instant deadline) {
  const auto answer = TRY(ask(task, nullptr, false, deadline));
  ++round_;
  keep(answer);
  std::vector<TopicView> all;
  for (const auto& t : answer.topics) all.push_back(keep_topic(view_of(t)));
  std::sort(all.begin(), all.end(),
            [](const TopicView& a, const TopicView& b) { return a.name < b.name; });
  return all;
}

Result<> Cluster::know(Task& task, const std::string& name, Instant deadline, bool create) {
  Backoff pause = backoff();
  for (;;) {
    const auto known = topics_.find(name);
    const bool usable = known != topics_.end() && !known->second.stale &&
                        known->second.view.error == ErrorCode::kNone &&
                        runtime_.now() - known->second.at < options_.metadata_age_max;
    if (usable) return {};
    TRY(refresh(task, {name}, deadline, create));
    const TopicView* now = find_topic(name);
    if (now == nullptr) return fail(Errc::kNotFound, fmt::format("topic {}: no answer names it", name));
    if (now->error == ErrorCode::kNone) return {};
    const Error error = kafka_error(now->error, "topic " + name);
    const Instant next = runtime_.now() + pause.next();
    if (!comes_by_waiting(now->error, create) || next >= deadline) return std::unexpected(error);
    TRY(runtime_.sleep_until(task, next));
  }
}

Result<TopicView> Cluster::topic(Task& task, const std::string& name, Instant deadline, bool create) {
  TRY(know(task, name, deadline, create));
  return *find_topic(name);
}

Result<int32_t> Cluster::partition_count(Task& task, const std::string& name, Instant deadline, bool create) {
  TRY(know(task, name, deadline, create));
  return static_cast<int32_t>(find_topic(name)->partitions.size());
}

Result<LeaderView> Cluster::leader(Task& task, const TopicPartition& of, Instant deadline,
                                   bool create) {
  Backoff pause = backoff();
  for (;;) {
    TRY(know(task, of.topic, deadline, create));
    const TopicView& view = *find_topic(of.topic);  // Until the next wait.
    const PartitionView* partition = view.find(of.partition);
    if (partition == nullptr)
      return fail(Errc::kNotFound, fmt::format("topic {} has {} partitions, there is no {}", of.topic,
                                               view.partitions.size(), of.partition));
    if (partition->leader != kNoBroker && brokers_.contains(partition->leader))
      return LeaderView{partition->leader, partition->leader_epoch, view.id};
    const int32_t epoch = partition->leader_epoch;
    const Instant next = runtime_.now() + pause.next();
    if (next >= deadline)
      return fail(Errc::kTimedOut, fmt::format("partition {} has no leader", of.text()));
    TRY(runtime_.sleep_until(task, next));
    forget_leader(of, epoch);
  }
}

void Cluster::forget_leader(const TopicPartition& of, int32_t epoch) {
  const auto known = topics_.find(of.topic);
  if (known == topics_.end()) return;
  const PartitionView* partition = known->second.view.find(of.partition);
  // Somebody else was told already and knows better by now.
  if (partition != nullptr && partition->leader_epoch > epoch) return;
  known->second.stale = true;
}

bool Cluster::learn_leader(const TopicPartition& of, BrokerId leader, int32_t epoch) {
  const auto known = topics_.find(of.topic);
  if (known == topics_.end() || !brokers_.contains(leader)) return false;
  for (PartitionView& p : known->second.view.partitions) {
    if (p.index != of.partition) continue;
    if (p.leader_epoch >= epoch) return false;
    p.leader = leader;
    p.leader_epoch = epoch;
    return true;
  }
  return false;
}

void Cluster::learn_broker(BrokerId id, Endpoint at, std::optional<std::string> rack) {
  brokers_[id] = {id, std::move(at), std::move(rack)};
}

}  // namespace taffrail::client
