// A member of a consumer group by the newer protocol (KIP-848): its heartbeats say what it owns and bring what it is to
// own; poll() goes from one to the other, and gives up before it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "client/consumer.h"
#include "client/coordinator_link.h"
#include "client/group_member.h"
#include "protocol/consumer_group_heartbeat.h"

namespace taffrail::client {

/// For one fiber at a time. What its names mean is as in GroupMember; `generation` of its place is its epoch, 0 while it
/// is no member. Sessions and heartbeats are as the coordinator has them.
class ConsumerMember {
 public:
  /// `cluster` and the observers outlive it.
  ConsumerMember(Cluster& cluster, GroupMemberOptions options, GroupObserver* observer = nullptr, ClientObserver* reads = nullptr);
  /// close() first.
  ~ConsumerMember();

  /// Takes what it was given, then reads until `deadline`. Who holds its instance id is waited for until it is gone.
  /// Errors: kFenced (another process has taken its instance id), kInvalid (the group will not have it), as
  /// Consumer::poll().
  Result<std::vector<Polled>> poll(Task& task, Instant deadline);
  /// Errors: kFenced (it is no member any more, or the partitions are somebody else's), kUnavailable, kTimedOut (unknown
  /// whether it was stored), as kafka_error().
  Result<> commit(Task& task, const std::map<TopicPartition, Offset>& offsets, Instant deadline);
  const std::set<TopicPartition>& owned() const { return owned_; }
  const GroupPlace& place() const { return place_; }
  Offset position(const TopicPartition& of) const { return consumer_.position(of); }
  /// Tells the coordinator: a static member that it will be back, another that it is gone. close() still follows.
  Result<> leave(Task& task, Instant deadline);
  void close(Task& task);

  /// Called before partitions are given up: the last moment to commit them.
  std::function<void(Task&)> before_giving_back;
  /// No heartbeats while set: a process that hangs.
  bool silent = false;
  /// The next answer to a heartbeat is lost on its way.
  bool deaf = false;

 private:
  using Request = protocol::ConsumerGroupHeartbeatRequest;

  void run_heartbeats(Task& task);
  Result<> beat(Task& task);
  Result<std::set<TopicPartition>> named(Task& task, const std::vector<protocol::AssignedTopic>& topics);
  std::vector<protocol::AssignedTopic> told() const;
  void drop_all();
  void end(Errc what, std::string why);
  Result<> take(Task& task);
  Result<> begin_reading(Task& task, const std::set<TopicPartition>& partitions, uint64_t given);

  Cluster& cluster_;
  Runtime& runtime_;
  GroupMemberOptions options_;
  GroupObserver none_;
  GroupObserver& observer_;
  CoordinatorLink link_;
  Consumer consumer_;
  GroupPlace place_;
  std::set<TopicPartition> owned_;
  std::optional<std::set<TopicPartition>> given_;  ///< And not taken yet: until then nothing is told of what it owns.
  uint64_t gifts_ = 0;                             ///< How often something was given, or all was lost.
  std::map<TopicId, std::string> names_;
  Duration interval_;
  bool tell_ = true;  ///< What it owns, with the next heartbeat,
  bool full_ = true;  ///< and all the rest.
  bool lost_ = false;     ///< It is out of the group: what it owns is gone.
  bool leaving_ = false;
  Errc end_ = Errc::kClosed;  ///< Why it goes on no more, if it is something else.
  std::string end_why_;
  bool beating_ = false;
  WaitQueue beat_;
  Scope scope_;
};

}  // namespace taffrail::client
