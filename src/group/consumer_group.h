// A consumer group (KIP-848), as its coordinator leads it: the group's assignment is made here, and each member is brought
// towards it by its own heartbeats, one step at a time.
//
//    group epoch ------ subscriptions, members or topics changed -----> +1
//    target epoch ----- assign(): the target of everybody is made anew --> = group epoch
//    member epoch ----- reconcile(): this member has what it is to have --> = target epoch
//
//                       has some to give up            gave them up, others still hold some of its own
//    a member:  Stable ---------------------> Unrevoked -------------------------------> Unreleased
//                 ^                              |  gave them up                             |  they are free
//                 +------------------------------+-------------------------------------------+
//
// Nobody gets a partition before whoever had it has said that it stopped (I-G1): what is held, or to be given up, stands in
// the log. Pure: time is an argument, and what is to happen comes out as Effects. A decision changes the state at once, by
// the very records that it puts into Effects; undo() takes them back if they cannot be appended. Sessions are not recorded:
// a new leader gives every member that it knows a fresh one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "group/classic_group.h"
#include "group/consumer_state.h"
#include "group/effects.h"
#include "group/options.h"
#include "group/topics.h"

namespace taffrail::group {

class ConsumerGroup {
 public:
  using Request = protocol::ConsumerGroupHeartbeatRequest;
  using Response = protocol::ConsumerGroupHeartbeatResponse;
  using Meta = protocol::ConsumerGroupMemberMetadataValue;
  using Current = protocol::ConsumerGroupCurrentMemberAssignmentValue;

  struct Beat : Call {
    const Request& request;  ///< Checked, and with a member's id.
    std::string client_id;
    std::string client_host;
  };

  /// `options` and `topics` outlive it. Every member of `stored` gets a fresh session from `now` on.
  ConsumerGroup(std::string id, const Options& options, const Topics& topics, ConsumerState stored, Instant now);

  /// The expression was checked, too: it may refuse, but only before it changes anything.
  void heartbeat(const Beat& beat, Effects& out);

  // Of members that speak the classic protocol, in consumer_classic.cc. The request's session timeout was checked.
  void join(const ClassicGroup::JoinCall& call, Effects& out);
  void sync(const Call& call, const protocol::SyncGroupRequest& request, Effects& out);
  void heartbeat(const Call& call, const protocol::HeartbeatRequest& request, Effects& out);
  /// One code per member, in order.
  std::vector<protocol::ErrorCode> leave(const Call& call, const std::vector<protocol::LeaveGroupRequest::Member>& members, Effects& out);
  /// Out of nothing: the members of what was a classic group until now.
  void adopt(const ConsumerState& state, Instant now, Effects& out);
  /// The classic group that this one could be, for nobody speaks the newer protocol any more.
  std::optional<protocol::GroupMetadataValue> as_classic(WallTime wall) const;

  /// Whether a member of that epoch may commit offsets of these partitions (I-G3); epoch -1 and no name: an administrator.
  protocol::ErrorCode check_commit(int16_t version, int32_t epoch, const std::string& member, const std::vector<TopicPartition>& of) const;
  /// Whether it may ask for them; no name and a negative epoch: anybody.
  protocol::ErrorCode check_fetch(const std::optional<std::string>& member, int32_t epoch) const;

  /// Whatever is due.
  void on_time(Instant now, WallTime wall, Effects& out);
  /// When on_time() has something to do at the latest; a heartbeat without a record moves it only to later.
  Instant next_deadline() const;
  /// Takes back what `undo` was made for; members that come back by it get a fresh session.
  void undo(const std::vector<Record>& undo, Instant now);
  /// The group is no more.
  void remove(Effects& out);

  bool exists() const { return state_.epoch.has_value(); }
  size_t size() const { return state_.members.size(); }
  std::string_view state_name() const;
  protocol::ConsumerGroupDescribeResponse::DescribedGroup describe() const;
  /// Names that somebody reads, by name or by expression.
  std::set<std::string> subscribed_topics() const;
  const ConsumerState& state() const { return state_; }
  /// Who has a partition, or is giving it up. Nothing: nobody.
  const std::string* holder_of(const TopicId& topic, int32_t partition) const;

 private:
  enum MemberState : int8_t { kStable = 0, kUnrevoked = 1, kUnreleased = 2 };

  // consumer_group.cc
  void emit(Record record, Effects& out);
  void apply(const Record& record);
  void hold(const std::string& member, const HeldList& list, bool held);
  const Meta& meta_of(const std::string& member) const;
  const Current& current_of(const std::string& member) const;
  int32_t epoch() const { return state_.epoch ? state_.epoch->epoch : 1; }
  int32_t target_epoch() const { return state_.target_epoch ? state_.target_epoch->assignment_epoch : 1; }
  protocol::ErrorCode identify(const Beat& beat, std::string& replaced) const;
  protocol::ErrorCode check_epoch(const Request& request) const;
  void leave(const Beat& beat, Effects& out);
  void replace(const std::string& old_id, const std::string& id, Effects& out);
  void remove_members(const std::vector<std::string>& ids, WallTime wall, Effects& out);
  void restart_session(const std::string& member, Instant now);

  // consumer_classic.cc
  bool is_classic(const std::string& member) const;
  bool has_classic(const std::string& besides) const;
  std::set<std::string> common_protocols(const std::string& without) const;
  protocol::ErrorCode check_classic(const std::string& member, const std::optional<std::string>& instance, int32_t generation) const;
  void ask_to_rejoin(const std::string& member, Instant now);

  // consumer_assignment.cc
  std::set<std::string> names_of(const Meta& meta) const;
  std::set<TopicId> topics_of(const Meta& meta) const;
  bool is_used(const std::string& expression) const;
  void drop_unused(const std::string& expression, Effects& out);
  bool resolve(const std::string& expression, WallTime wall, Effects& out);
  void refresh(bool bump, Instant now, WallTime wall, Effects& out);
  std::string_view preferred_assignor() const;
  void assign_if_due(WallTime wall, Effects& out);
  void reconcile(const std::string& member, const std::optional<PartitionSet>& owned, bool resubscribed, Instant now, Effects& out);
  Current next_of(const std::string& member, const std::optional<PartitionSet>& owned) const;
  Current without_unsubscribed(const std::string& member, const std::optional<PartitionSet>& owned) const;

  std::string id_;
  const Options& options_;
  const Topics& topics_;
  ConsumerState state_;
  // What follows from `state_`.
  std::map<std::pair<TopicId, int32_t>, std::string> holders_;
  std::map<std::string, std::string> instances_;  ///< Which member each is.
  // What is known here alone.
  std::map<std::string, Instant> session_ends_;
  std::map<std::string, std::pair<int32_t, Instant>> revocation_ends_;  ///< Of the epoch; past it the member is out.
  std::map<std::string, Instant> rejoin_ends_;  ///< Of classic members: until when each has to join again, or to sync.
  std::map<std::string, int> unconfirmed_;  ///< Members that have not said that they own what they were told: how often they are told it yet.
  int64_t seen_version_ = -1;                                           ///< Of the topics.
  int64_t matched_version_ = -1;                                        ///< That expressions were matched against.
  Instant matched_;
};

}  // namespace taffrail::group
