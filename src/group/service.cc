#include "group/service.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/plant.h"

namespace taffrail::group {

using protocol::ErrorCode;

namespace {

/// A batch takes no more records past this: many offsets that expire at once are not one message that is too large.
constexpr size_t kBatchBytes = 256 << 10;

/// What the log's refusals are to members (Kafka maps them so, too).
ErrorCode error_of(PartitionFault fault) {
  switch (fault) {
    case PartitionFault::kNotLeader:
    case PartitionFault::kDeleted:
    case PartitionFault::kStorage: return ErrorCode::kNotCoordinator;
    case PartitionFault::kBatch: return ErrorCode::kUnknownServerError;
    default: return ErrorCode::kCoordinatorNotAvailable;
  }
}

}  // namespace

Service::Service(Runtime& runtime, Partition& partition, const Options& options, const Topics& topics)
    : runtime_(runtime), partition_(partition), options_(options), topics_(topics) {}
Service::~Service() = default;

void Service::stop(Task& task) {
  stopped_ = true;
  close();
  scope_.cancel();
  scope_.join(task);
}

std::shared_ptr<Asked> Service::ask(int16_t version, Answer kind, const std::function<Effects(Call)>& decide) {
  auto asked = std::make_shared<Asked>();
  asked->answer = std::move(kind);
  if (coordinator_ == nullptr) {
    const bool opening = is_opening() && broken_.empty();
    // A member that is heard while its coordinator begins has done nothing wrong.
    if (!opening || !std::holds_alternative<protocol::HeartbeatResponse>(asked->answer))
      refuse(asked->answer, opening ? ErrorCode::kCoordinatorLoadInProgress : ErrorCode::kNotCoordinator);
    asked->done.set();
    return asked;
  }
  const Token token = next_token_++;
  asked_[token] = asked;
  carry_out(decide({token, version, runtime_.now(), runtime_.wall_now()}));
  hurry_clock();
  return asked;
}

std::shared_ptr<Asked> Service::join(int16_t version, const protocol::JoinGroupRequest& request, const std::string& client_id,
                                     const std::string& client_host) {
  protocol::JoinGroupResponse kind;
  kind.member_id = request.member_id;
  return ask(version, std::move(kind), [&](Call call) { return coordinator_->join(call, request, client_id, client_host); });
}

std::shared_ptr<Asked> Service::sync(int16_t version, const protocol::SyncGroupRequest& request) {
  return ask(version, protocol::SyncGroupResponse{}, [&](Call call) { return coordinator_->sync(call, request); });
}

std::shared_ptr<Asked> Service::heartbeat(int16_t version, const protocol::HeartbeatRequest& request) {
  return ask(version, protocol::HeartbeatResponse{}, [&](Call call) { return coordinator_->heartbeat(call, request); });
}

std::shared_ptr<Asked> Service::leave(int16_t version, const protocol::LeaveGroupRequest& request) {
  return ask(version, protocol::LeaveGroupResponse{}, [&](Call call) { return coordinator_->leave(call, request); });
}

std::shared_ptr<Asked> Service::commit(int16_t version, const CommitRequest& request) {
  return ask(version, OffsetsReply{}, [&](Call call) { return coordinator_->commit(call, request); });
}

std::shared_ptr<Asked> Service::fetch(int16_t version, const FetchRequest& request) {
  return ask(version, FetchReply{}, [&](Call call) { return coordinator_->fetch(call, request); });
}

std::shared_ptr<Asked> Service::consumer_heartbeat(int16_t version, const protocol::ConsumerGroupHeartbeatRequest& request,
                                                   const std::string& client_id, const std::string& client_host) {
  protocol::ConsumerGroupHeartbeatResponse kind;
  kind.member_id = request.member_id;
  return ask(version, std::move(kind), [&](Call call) { return coordinator_->consumer_heartbeat(call, request, client_id, client_host); });
}

std::shared_ptr<Asked> Service::consumer_describe(int16_t version, const std::string& group) {
  protocol::ConsumerGroupDescribeResponse::DescribedGroup kind;
  kind.group_id = group;
  return ask(version, std::move(kind), [&](Call call) { return coordinator_->consumer_describe(call, group); });
}

std::shared_ptr<Asked> Service::describe(int16_t version, const std::string& group) {
  protocol::DescribeGroupsResponse::Group kind;
  kind.group_id = group;
  return ask(version, std::move(kind), [&](Call call) { return coordinator_->describe(call, group); });
}

std::shared_ptr<Asked> Service::remove(int16_t version, const std::string& group) {
  protocol::DeleteGroupsResponse::Deleted kind;
  kind.group_id = group;
  return ask(version, std::move(kind), [&](Call call) { return coordinator_->remove(call, group); });
}

std::shared_ptr<Asked> Service::forget(int16_t version, const ForgetRequest& request) {
  return ask(version, OffsetsReply{}, [&](Call call) { return coordinator_->forget(call, request); });
}

std::optional<std::vector<protocol::ListGroupsResponse::Group>> Service::list() const {
  if (coordinator_ == nullptr) return std::nullopt;
  return coordinator_->list();
}

void Service::forget_topic(const std::string& name, const TopicId& id) {
  if (coordinator_ == nullptr) return;
  const uint64_t reign = reign_;
  for (Effects& effects : coordinator_->forget_topic(name, id)) {
    carry_out(std::move(effects));
    if (reign != reign_) return;
  }
}

void Service::carry_out(Effects effects) {
  if (!effects.records.empty()) {
    const uint64_t reign = reign_;
    const auto place = append(effects.records);
    // Whoever ended the leadership has answered everybody.
    if (reign != reign_ || coordinator_ == nullptr) return;
    if (place) {
      coordinator_->appended(effects, *place);
    } else {
      for (Reply& reply : effects.replies) {
        refuse(reply.answer, place.error());
        answer(reply.to, std::move(reply.answer));
      }
      effects.replies.clear();
      Effects after = coordinator_->refused(effects, runtime_.now(), runtime_.wall_now());
      // What follows from a refusal appends nothing that could be refused again without end: members have to join.
      for (Reply& reply : after.replies) answer(reply.to, std::move(reply.answer));
      return;
    }
  }
  const LogIndex gate = coordinator_->depends_on(effects.group);
  for (Reply& reply : effects.replies) {
    if (gate <= applied_.index) answer(reply.to, std::move(reply.answer));
    else due_.emplace(gate, Due{reply.to, std::move(reply.answer), runtime_.now() + options_.commit_timeout});
  }
}

std::expected<LogIndex, ErrorCode> Service::append(const std::vector<Record>& records) {
  LogIndex last;
  std::vector<Record> some;
  size_t bytes = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto [key, value] = encode(records[i]);
    bytes += key.size() + (value ? value->size() : 0);
    some.push_back(records[i]);
    if (bytes < kBatchBytes && i + 1 < records.size()) continue;
    const Faulty<Appended> appended = partition_.append(batch_of(some, runtime_.wall_now().ms), Acks::kAll, true);
    if (!appended) {
      // What stands in the log is not what was decided: it is decided anew on what the log says.
      if (last != LogIndex{}) {
        torn_ = last;
        close();
      }
      return std::unexpected(error_of(appended.error().what));
    }
    last = appended->entry.index;
    some.clear();
    bytes = 0;
  }
  return last;
}

void Service::answer(Token to, Answer answer) {
  const auto it = asked_.find(to);
  if (it == asked_.end()) return;
  it->second->answer = std::move(answer);
  it->second->done.set();
  asked_.erase(it);
}

void Service::apply(const BatchView& batch, EntryId entry) {
  if (!broken_.empty()) return;
  const Result<> applied = table_.apply(batch);
  if (applied) return;
  broken_ = applied.error().text();
  runtime_.log().error("group", "{}-{}: entry {} is not understood: {}. Its groups are not served here", partition_.topic_name(),
                       partition_.key().partition, entry.index.value, broken_);
}

void Service::on_applied(EntryId entry) {
  applied_ = entry;
  open_or_close();
  if (coordinator_ == nullptr) return;
  coordinator_->applied(entry.index);
  while (!due_.empty() && due_.begin()->first <= entry.index) {
    Due due = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    answer(due.to, std::move(due.answer));
  }
}

void Service::on_leadership() { open_or_close(); }

Result<> Service::load(ByteView bytes) {
  table_ = TRY(Table::load(bytes));
  broken_.clear();
  return {};
}

void Service::open_or_close() {
  if (coordinator_ != nullptr && (!partition_.is_leader() || partition_.epoch() != term_ || !broken_.empty())) close();
  if (coordinator_ != nullptr || !broken_.empty() || stopped_ || is_torn()) return;
  if (!partition_.leads_with_all_applied() && !(PLANT("G06") && partition_.is_leader())) return;
  term_ = partition_.epoch();
  applied_ = partition_.applied();
  coordinator_ = std::make_unique<Coordinator>(table_, options_, topics_, runtime_.random(), runtime_.now());
  coordinator_->applied(applied_.index);
  const uint64_t reign = ++reign_;
  clock_next_ = Instant::never();
  runtime_.spawn(scope_, "group/clock", [this, reign](Task& task) { run_clock(task, reign); });
}

void Service::close() {
  if (coordinator_ == nullptr) return;
  coordinator_.reset();
  ++reign_;
  due_.clear();
  for (auto& [token, asked] : std::exchange(asked_, {})) {
    refuse(asked->answer, ErrorCode::kNotCoordinator);
    asked->done.set();
  }
  clock_wake_.notify_all();
}

void Service::hurry_clock() {
  if (coordinator_ == nullptr) return;
  Instant next = coordinator_->next_deadline();
  if (!due_.empty()) next = std::min(next, runtime_.now() + options_.commit_timeout);
  if (next < clock_next_) clock_wake_.notify_all();
}

void Service::give_up_late(Instant now) {
  for (auto it = due_.begin(); it != due_.end();) {
    const auto next = std::next(it);
    if (it->second.until <= now) {
      // It may still be committed: asking again finds out.
      refuse(it->second.answer, ErrorCode::kCoordinatorNotAvailable);
      answer(it->second.to, std::move(it->second.answer));
      due_.erase(it);
    }
    it = next;
  }
}

void Service::run_clock(Task& task, uint64_t reign) {
  Instant check = runtime_.now() + options_.retention_check;
  while (!task.cancelled() && reign == reign_) {
    const Instant now = runtime_.now();
    give_up_late(now);
    for (Effects& effects : coordinator_->on_time(now, runtime_.wall_now())) {
      carry_out(std::move(effects));
      if (reign != reign_) return;
    }
    if (check <= now) {
      check = now + options_.retention_check;
      for (Effects& effects : coordinator_->expire(runtime_.wall_now())) {
        carry_out(std::move(effects));
        if (reign != reign_) return;
      }
    }
    Instant next = std::min(check, coordinator_->next_deadline());
    for (const auto& [index, due] : due_) next = std::min(next, due.until);
    // Moments that are over already were dealt with above as far as they can be.
    clock_next_ = std::max(next, now + 1_ms);
    const Result<> woken = clock_wake_.wait(task, clock_next_);
    if (!woken && woken.error().code == Errc::kCancelled) return;
  }
}

}  // namespace taffrail::group
