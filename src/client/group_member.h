// A member of a consumer group: joins, takes the partitions that it is given, reads them from where the group has
// committed, and tells the coordinator that it is alive. Kafka's classic protocol, with the `range` assignor: all of a
// generation is given back before the next one is joined.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/consumer.h"
#include "client/coordinator_link.h"
#include "client/group_assignment.h"
#include "client/metadata.h"
#include "protocol/errors.h"
#include "runtime/sync.h"

namespace taffrail::protocol {
struct ConsumerGroupHeartbeatRequest;
}

namespace taffrail::client {

struct GroupMemberOptions {
  std::string group;
  std::vector<std::string> topics;
  std::optional<std::string> instance = {};  ///< group.instance.id: a static member.
  Duration session_timeout = 10_s;
  Duration rebalance_timeout = 60_s;
  Duration heartbeat_interval = 3_s;
  Duration request_timeout = 30_s;  ///< Of anything but a join, which takes as long as the others need.
  ConsumerOptions consumer = {};    ///< `reset` says where to begin without a commit.
};

/// Who it is, as the coordinator knows it.
struct GroupPlace {
  std::string member;
  std::optional<std::string> instance;
  int32_t generation = -1;
};

/// Told of every question to the coordinator and its answer, for checkers. `asked` is what mark() gave when the question
/// went out.
class GroupObserver {
 public:
  virtual ~GroupObserver() = default;
  virtual int64_t mark() { return 0; }
  virtual void on_joined(int64_t, const GroupPlace&, const std::string& leader) { (void)leader; }
  virtual void on_assigned(const GroupPlace&, const std::vector<TopicPartition>&) {}
  /// No code: no answer came, and it may have been stored or not.
  virtual void on_commit(int64_t, const GroupPlace&, const TopicPartition&, Offset, std::optional<protocol::ErrorCode>) {}
  /// A heartbeat of the newer protocol, over its `link`th connection, and the epoch that it was told; no code: the answer was not heard.
  virtual void on_beat(int64_t, const protocol::ConsumerGroupHeartbeatRequest&, uint64_t link, std::optional<protocol::ErrorCode>, int32_t epoch) { (void)link, (void)epoch; }
  /// What the group had committed; kNoOffset: nothing.
  virtual void on_committed(int64_t, const TopicPartition&, Offset) {}
};

/// For one fiber at a time.
class GroupMember {
 public:
  /// `cluster` and the observers outlive it.
  GroupMember(Cluster& cluster, GroupMemberOptions options, GroupObserver* observer = nullptr, ClientObserver* reads = nullptr);
  /// close() first.
  ~GroupMember();

  /// Joins if it is no member, or if its group begins anew, which takes as long as the slowest member; then reads until
  /// `deadline`, as Consumer::poll(). Coordinators that move or are away are waited out.
  /// Errors: kFenced (another process has its instance id), kInvalid (the group will not have it), as Consumer::poll().
  Result<std::vector<Polled>> poll(Task& task, Instant deadline);
  /// Stores how far it has read. Errors: kFenced (it is no member of this generation any more: the partitions are
  /// somebody else's), kUnavailable, kTimedOut (unknown whether it was stored), as kafka_error().
  Result<> commit(Task& task, const std::map<TopicPartition, Offset>& offsets, Instant deadline);
  const std::set<TopicPartition>& owned() const { return owned_; }
  const GroupPlace& place() const { return place_; }
  /// Where the next read of an owned partition begins; kNoOffset while that is not known.
  Offset position(const TopicPartition& of) const { return consumer_.position(of); }
  /// Tells the others at once; without it they wait for the end of the session. close() still follows.
  Result<> leave(Task& task, Instant deadline);
  /// Ends its fibers and connections.
  void close(Task& task);

  /// Called before partitions are given back: the last moment to commit them.
  std::function<void(Task&)> before_giving_back;
  /// No heartbeats while set: a process that hangs.
  bool silent = false;

 private:
  Result<> join(Task& task);
  Result<bool> join_once(Task& task);
  Result<bool> take_assignment(Task& task, const std::map<std::string, Slice>& given);
  Result<std::map<std::string, Slice>> assign_all(Task& task, const std::vector<GroupMemberView>& members);
  Result<> begin_reading(Task& task, const std::vector<TopicPartition>& partitions);
  void give_back(Task& task);
  void run_heartbeats(Task& task);

  Cluster& cluster_;
  Runtime& runtime_;
  GroupMemberOptions options_;
  GroupObserver none_;
  GroupObserver& observer_;
  CoordinatorLink link_;
  Consumer consumer_;
  GroupPlace place_;
  std::set<TopicPartition> owned_;
  bool rejoin_ = true;  ///< Before the next read.
  bool joining_ = false;
  bool fenced_ = false;
  bool beating_ = false;
  WaitQueue beat_;
  Scope scope_;
};

}  // namespace taffrail::client
