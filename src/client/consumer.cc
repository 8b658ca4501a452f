#include "client/consumer.h"

#include <fmt/core.h>

#include <algorithm>

#include "client/fetched.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "protocol/offset_for_leader_epoch.h"

namespace taffrail::client {

using protocol::ErrorCode;

struct Consumer::Partition {
  Partition(TopicPartition t, Backoff b) : from(std::move(t)), pause(b) {}

  TopicPartition from;
  uint64_t generation = 0;  ///< New with each assign(): answers to older questions are dropped.
  StartAt start;            ///< Where to begin, while `position` is kNoOffset.
  Offset position = kNoOffset;
  Offset high_watermark = kNoOffset;
  int32_t read_epoch = -1;    ///< Of the batch before `position`; -1: none was read.
  int32_t leader_epoch = -1;  ///< The leadership under which `position` was last known to be good.
  bool fetching = false;
  bool queued = false;  ///< Ready, but its broker has another fetch on its way: an arrival wakes us.
  Instant resume_at;
  Backoff pause;
  /// The place that was lost, and why, until the new one is known.
  std::optional<std::pair<Offset, Error>> lost;
};

struct Consumer::Fetch {
  struct Asked {
    TopicPartition from;
    TopicId topic_id;
    uint64_t generation = 0;
    Offset position;
    int32_t leader_epoch = -1;
  };
  BrokerId broker = kNoBroker;
  std::vector<Asked> asked;  ///< All that is to be read there, whether or not this request had to name it.
  bool whole = true;         ///< It named everything.
  Result<protocol::FetchResponse> answer = protocol::FetchResponse();
};

namespace {

/// One partition's leader that does not answer must not hold back the others for long.
constexpr Duration kAttempt = 500_ms;

// Says nothing of what was asked for, only that it has to be asked for anew.
bool is_about_the_session(ErrorCode code) {
  return code == ErrorCode::kFetchSessionIdNotFound || code == ErrorCode::kInvalidFetchSessionEpoch ||
         code == ErrorCode::kFetchSessionTopicIdError;
}

}  // namespace

Consumer::Consumer(Cluster& cluster, ConsumerOptions options, ClientObserver* observer)
    : cluster_(cluster), runtime_(cluster.runtime()), options_(options), observer_(observer) {}

Consumer::~Consumer() = default;

void Consumer::close(Task& task) {
  scope_.cancel();
  scope_.join(task);
}

Consumer::Partition* Consumer::find(const TopicPartition& of) const {
  const auto place = partitions_.find(of);
  return place == partitions_.end() ? nullptr : place->second.get();
}

void Consumer::assign(const TopicPartition& from, StartAt at) {
  auto made = std::make_unique<Partition>(from, cluster_.backoff());
  made->generation = ++generation_;
  made->start = at;
  if (at.kind == StartAt::kOffset) made->position = Offset(at.value);
  partitions_[from] = std::move(made);
}

void Consumer::unassign(const TopicPartition& from) { partitions_.erase(from); }

Offset Consumer::position(const TopicPartition& of) const {
  const Partition* p = find(of);
  return p == nullptr ? kNoOffset : p->position;
}

Offset Consumer::high_watermark(const TopicPartition& of) const {
  const Partition* p = find(of);
  return p == nullptr ? kNoOffset : p->high_watermark;
}

Result<std::vector<Polled>> Consumer::poll(Task& task, Instant deadline) {
  for (;;) {
    std::vector<Polled> out;
    while (!arrived_.empty() && !postponed_) {
      const auto fetch = std::move(arrived_.front());
      arrived_.erase(arrived_.begin());
      const Result<> taken = take(*fetch, out);
      if (!taken) postponed_ = taken.error();
    }
    if (!out.empty()) return out;
    if (postponed_) {
      Error error = *std::move(postponed_);
      postponed_.reset();
      return std::unexpected(std::move(error));
    }
    TRY(prepare(task));
    if (!arrived_.empty()) continue;
    if (runtime_.now() >= deadline) return out;
    Instant next = deadline;
    for (const auto& [from, p] : partitions_)
      if (!p->fetching && !p->queued) next = std::min(next, std::max(p->resume_at, runtime_.now() + 1_ms));
    const Result<> woken = arrival_.wait(task, next);
    if (!woken && woken.error().code == Errc::kCancelled) return std::unexpected(woken.error());
  }
}

// Brings every partition as far as it can go without its next records: a place to read from that its
// leader agrees with, and a fetch on its way.
Result<> Consumer::prepare(Task& task) {
  std::map<BrokerId, std::vector<Partition*>> ready;
  for (const auto& [from, place] : partitions_) {
    Partition& p = *place;
    p.queued = false;
    if (p.fetching || p.resume_at > runtime_.now()) continue;
    const Instant deadline = runtime_.now() + kAttempt;
    const auto leader = cluster_.leader(task, from, deadline);
    Result<> prepared = {};
    if (!leader) prepared = std::unexpected(leader.error());
    else if (p.position == kNoOffset) prepared = find_start(task, p, *leader, deadline);
    else if (leader->epoch > p.leader_epoch) prepared = validate(task, p, *leader, deadline);
    if (!prepared) {
      p.resume_at = runtime_.now() + p.pause.next();
      const Errc why = prepared.error().code;
      const bool final = why == Errc::kCancelled || why == Errc::kNotFound || why == Errc::kInvalid ||
                         why == Errc::kOutOfRange || why == Errc::kRefused;
      if (final) return prepared;
      cluster_.forget_leader(from, leader ? leader->epoch : p.leader_epoch);
      continue;
    }
    p.queued = on_their_way_.contains(leader->broker);
    if (p.position != kNoOffset && !p.queued) ready[leader->broker].push_back(&p);
  }
  for (const auto& [broker, partitions] : ready) {
    auto connection = cluster_.connect(task, broker, runtime_.now() + kAttempt);
    if (connection) {
      start_fetch(*connection, broker, partitions);
      continue;
    }
    if (connection.error().code == Errc::kCancelled) return std::unexpected(connection.error());
    for (Partition* p : partitions) doubt(*p, p->leader_epoch);
  }
  return {};
}

Result<> Consumer::find_start(Task& task, Partition& p, const LeaderView& leader, Instant deadline) {
  protocol::ListOffsetsRequest request;
  request.isolation_level = options_.isolation;
  auto& topic = request.topics.emplace_back();
  topic.name = p.from.topic;
  auto& part = topic.partitions.emplace_back();
  part.partition_index = p.from.partition;
  part.current_leader_epoch = leader.epoch;
  part.timestamp = p.start.kind == StartAt::kTime    ? p.start.value
                   : p.start.kind == StartAt::kStart ? protocol::ListOffsetsTimestamp::kEarliest
                                                     : protocol::ListOffsetsTimestamp::kLatest;
  const auto connection = cluster_.connect(task, leader.broker, deadline);
  // Refused by a broker that is down is no verdict on the topic.
  if (!connection)
    return fail(connection.error().code == Errc::kCancelled ? Errc::kCancelled : Errc::kUnavailable,
                connection.error().message);
  const auto answer = TRY((*connection)->call(task, request, deadline));
  if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
    return fail(Errc::kCorrupt, "ListOffsets answers something else than was asked");
  const auto& found = answer.topics[0].partitions[0];
  if (found.error_code != ErrorCode::kNone) {
    const Error why = kafka_error(found.error_code, p.from.text());
    const bool waits = protocol::is_retriable(found.error_code);
    return fail(waits ? Errc::kUnavailable : why.code, why.message);
  }
  if (found.offset == kNoOffset && p.start.kind == StartAt::kTime) {
    // Nothing is that young: what comes next will be.
    p.start = StartAt::end();
    return find_start(task, p, leader, deadline);
  }
  p.position = found.offset;
  p.leader_epoch = leader.epoch;
  p.pause.reset();
  if (p.lost && observer_ != nullptr)
    observer_->on_reset(p.from, p.lost->first, p.position, p.lost->second);
  p.lost.reset();
  return {};
}

// A new leader may lack what an old one gave away, if the log was allowed to lose it (KIP-320): then
// reading on at the same number would skip other records in silence.
Result<> Consumer::validate(Task& task, Partition& p, const LeaderView& leader, Instant deadline) {
  if (p.read_epoch < 0 || p.read_epoch == leader.epoch) {
    p.leader_epoch = leader.epoch;
    return {};
  }
  protocol::OffsetForLeaderEpochRequest request;
  request.replica_id = kNoBroker;
  auto& topic = request.topics.emplace_back();
  topic.topic = p.from.topic;
  auto& part = topic.partitions.emplace_back();
  part.partition = p.from.partition;
  part.current_leader_epoch = leader.epoch;
  part.leader_epoch = p.read_epoch;
  const auto connection = cluster_.connect(task, leader.broker, deadline);
  if (!connection)
    return fail(connection.error().code == Errc::kCancelled ? Errc::kCancelled : Errc::kUnavailable,
                connection.error().message);
  const auto answer = TRY((*connection)->call(task, request, deadline));
  if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
    return fail(Errc::kCorrupt, "OffsetForLeaderEpoch answers something else than was asked");
  const auto& end = answer.topics[0].partitions[0];
  if (end.error_code != ErrorCode::kNone)
    return fail(Errc::kUnavailable, kafka_error(end.error_code, p.from.text()).message);
  p.pause.reset();
  p.leader_epoch = leader.epoch;
  if (end.end_offset >= p.position) return {};
  const Error why{Errc::kOutOfRange,
                  fmt::format("{}: the log of epoch {} now ends at {}, and was read up to {}",
                              p.from.text(), p.read_epoch, end.end_offset.value, p.position.value)};
  if (end.end_offset == kNoOffset)
    return lose_place(p, options_.reset == ResetTo::kEnd ? StartAt::end() : StartAt::start(), why);
  if (options_.reset == ResetTo::kFail) return std::unexpected(why);
  if (observer_ != nullptr) observer_->on_reset(p.from, p.position, end.end_offset, why);
  p.position = end.end_offset;
  p.read_epoch = end.leader_epoch;
  return {};
}

Result<> Consumer::lose_place(Partition& p, StartAt then, const Error& why) {
  if (options_.reset == ResetTo::kFail) return std::unexpected(why);
  p.lost = {p.position, why};
  p.position = kNoOffset;
  p.read_epoch = -1;
  p.start = then;
  return {};
}

void Consumer::doubt(Partition& p, int32_t epoch) {
  cluster_.forget_leader(p.from, epoch);
  p.resume_at = runtime_.now() + p.pause.next();
}

void Consumer::start_fetch(const std::shared_ptr<KafkaConnection>& connection, BrokerId broker,
                           const std::vector<Partition*>& partitions) {
  auto fetch = std::make_shared<Fetch>();
  fetch->broker = broker;
  protocol::FetchRequest request;
  request.max_wait_ms = static_cast<int32_t>(options_.wait_max.ms());
  request.min_bytes = options_.min_bytes;
  request.max_bytes = options_.max_bytes;
  request.isolation_level = options_.isolation;
  bool all_have_ids = true;
  for (Partition* p : partitions) {
    const TopicView* view = cluster_.find_topic(p->from.topic);
    const TopicId id = view == nullptr ? TopicId() : view->id;
    all_have_ids = all_have_ids && !id.is_zero();
    // Partitions are in order of topic, so that those of one topic stand together.
    if (request.topics.empty() || request.topics.back().topic != p->from.topic) {
      auto& topic = request.topics.emplace_back();
      topic.topic = p->from.topic;
      topic.topic_id = id;
    }
    auto& part = request.topics.back().partitions.emplace_back();
    part.partition = p->from.partition;
    part.current_leader_epoch = p->leader_epoch;
    part.fetch_offset = p->position;
    part.partition_max_bytes = options_.partition_max_bytes;
    fetch->asked.push_back({p->from, id, p->generation, p->position, p->leader_epoch});
  }
  const auto version = connection->version_of(protocol::ApiKey::kFetch, all_have_ids ? INT16_MAX : 12);
  Result<std::shared_ptr<PendingAnswer>> pending = std::shared_ptr<PendingAnswer>();
  if (version) {
    sessions_[broker].shorten(request, *version);
    fetch->whole = request.session_epoch <= 0;
    pending = connection->submit(request, *version);
  } else {
    pending = std::unexpected(version.error());
  }
  if (!pending) {
    for (Partition* p : partitions) doubt(*p, p->leader_epoch);
    return;
  }
  for (Partition* p : partitions) p->fetching = true;
  on_their_way_[broker] = fetch;
  const Instant deadline = runtime_.now() + options_.wait_max + options_.request_timeout;
  runtime_.spawn(scope_, "client/fetch", [this, fetch, connection, pending = *pending, deadline](Task& t) {
    fetch->answer = connection->receive<protocol::FetchResponse>(t, *pending, deadline);
    arrived_.push_back(fetch);
    arrival_.notify_all();
  });
}

Result<> Consumer::take(const Fetch& fetch, std::vector<Polled>& out) {
  on_their_way_.erase(fetch.broker);
  FetchSession& session = sessions_[fetch.broker];
  if (fetch.answer) session.hear(*fetch.answer);
  const bool answered = fetch.answer && fetch.answer->error_code == ErrorCode::kNone;
  const bool asked_in_vain = fetch.answer && !fetch.whole && is_about_the_session(fetch.answer->error_code);
  for (const auto& asked : fetch.asked) {
    Partition* p = find(asked.from);
    if (p != nullptr && p->generation == asked.generation) p->fetching = false;
  }
  std::optional<Error> first_error;
  if (fetch.answer)
    for (const auto& node : fetch.answer->node_endpoints)
      cluster_.learn_broker(node.node_id, {node.host, static_cast<uint16_t>(node.port)}, node.rack);
  for (const auto& asked : fetch.asked) {
    Partition* p = find(asked.from);
    if (p == nullptr || p->generation != asked.generation) continue;
    const protocol::FetchResponse::Partition* part = nullptr;
    if (answered) {
      for (const auto& topic : fetch.answer->responses) {
        if (topic.topic_id.is_zero() ? topic.topic != asked.from.topic
                                     : topic.topic_id != asked.topic_id)
          continue;
        for (const auto& candidate : topic.partitions)
          if (candidate.partition_index == asked.from.partition) part = &candidate;
      }
    }
    if (part != nullptr) {
      const Result<> taken = take_partition(*p, asked.position, asked.leader_epoch, *part, out);
      if (!taken && !first_error) first_error = taken.error();
      continue;
    }
    if (asked_in_vain) continue;
    // Whole answers tell of everything: of what they leave out nothing was told.
    const Offset told = session.high_watermark(asked.from.topic, asked.topic_id, asked.from.partition);
    if (!answered || told == kNoOffset) {
      doubt(*p, asked.leader_epoch);
      continue;
    }
    // No news is as good as an answer without records. Whoever was assigned anew has not heard the watermark yet.
    p->pause.reset();
    p->high_watermark = told;
  }
  if (first_error) return std::unexpected(*std::move(first_error));
  return {};
}

Result<> Consumer::take_partition(Partition& p, Offset asked, int32_t asked_epoch,
                                  const protocol::FetchResponse::Partition& part,
                                  std::vector<Polled>& out) {
  const ErrorCode code = part.error_code;
  if (code == ErrorCode::kOffsetOutOfRange) {
    const Error why = kafka_error(
        code, fmt::format("{} at {}: the log begins at {} and can be read up to {}", p.from.text(),
                          asked.value, part.log_start_offset.value, part.high_watermark.value));
    const StartAt then = options_.reset == ResetTo::kEnd ? StartAt::end() : StartAt::start();
    const Result<> moved = lose_place(p, then, why);
    if (!moved) p.resume_at = runtime_.now() + p.pause.next();
    return moved;
  }
  if (code != ErrorCode::kNone) {
    cluster_.learn_leader(p.from, part.current_leader.leader_id, part.current_leader.leader_epoch);
    doubt(p, asked_epoch);
    if (protocol::is_retriable(code)) return {};
    return std::unexpected(kafka_error(code, p.from.text()));
  }

  std::vector<AbortedRange> aborted;
  if (options_.isolation == protocol::IsolationLevel::kReadCommitted && part.aborted_transactions)
    for (const auto& a : *part.aborted_transactions) aborted.push_back({a.producer_id, a.first_offset});
  auto fetched = read_fetched(part.records.flat(), asked, aborted, &scratch_);
  if (!fetched) {
    p.resume_at = runtime_.now() + p.pause.next();
    return fail(fetched.error(), p.from.text());
  }
  p.pause.reset();
  p.position = fetched->next;
  p.high_watermark = part.high_watermark;
  if (fetched->leader_epoch >= 0) p.read_epoch = fetched->leader_epoch;
  if (observer_ != nullptr)
    observer_->on_poll(p.from, asked, fetched->next, fetched->records, part.high_watermark,
                       part.log_start_offset);
  if (!fetched->records.empty())
    out.push_back({p.from, std::move(fetched->records), part.high_watermark, p.position});
  return {};
}

}  // namespace taffrail::client
