// The members of one classic group, as its coordinator leads them (Kafka protocol guide, "Group Membership API").
//
//            first member joins            everybody (re)joined, or time is up
//    Empty ---------------------> Preparing -----------------------------------> Completing
//      ^   join() prepare()        ^  |  ^     complete_join()                       |
//      |                           |  |  | somebody joins, leaves or is lost         | the leader's
//      +---------------------------|--+  +-------------------------------------------+ assignment:
//          nobody is left          |                prepare()                        | sync()
//                                  +----------------------------- Stable <-----------+
//
// Pure: time is an argument, and what is to happen comes out as Effects. A generation is recorded before anybody is
// told of it, so that none is given out twice over a failover (I-G7); its assignment is recorded before a member gets
// it. Sessions are not recorded: a new leader gives every member that it knows a fresh one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/units.h"
#include "group/consumer_state.h"
#include "group/effects.h"
#include "group/options.h"
#include "group/topics.h"

namespace taffrail::group {

class ClassicGroup {
 public:
  enum class State : uint8_t { kEmpty, kPreparing, kCompleting, kStable };

  struct JoinCall : Call {
    const protocol::JoinGroupRequest& request;
    std::string client_id;
    std::string client_host;
    Random& random;
  };

  /// `options` outlives it. `stored`: as the log has it; every member gets a fresh session from `now` on.
  ClassicGroup(std::string id, const Options& options, const protocol::GroupMetadataValue* stored, Instant now);

  /// The request's group id and session timeout were checked.
  void join(const JoinCall& call, Effects& out);
  void sync(const Call& call, const protocol::SyncGroupRequest& request, Effects& out);
  void heartbeat(const Call& call, const protocol::HeartbeatRequest& request, Effects& out);
  /// One code per member, in order.
  std::vector<protocol::ErrorCode> leave(const Call& call, const std::vector<protocol::LeaveGroupRequest::Member>& members,
                                         Effects& out);
  /// Whether offsets may be committed under that generation and name (I-G3); a member's session starts anew.
  protocol::ErrorCode check_commit(Instant now, int32_t generation, const std::string& member,
                                   const std::optional<std::string>& instance);

  /// Whatever is due.
  void on_time(Instant now, WallTime wall, Effects& out);
  /// When on_time() has something to do at the latest; a heartbeat moves it only to later.
  Instant next_deadline() const;
  /// The records of a step could not be appended, and those who waited were told so.
  void step_failed(Effects::Step step, Instant now, WallTime wall, Effects& out);

  // classic_migration.cc
  /// Everybody who waits is told that.
  void send_back(protocol::ErrorCode why, Effects& out);
  /// The same members in a consumer group; nothing if what they tell each other is not understood.
  std::optional<ConsumerState> as_consumers(const Topics& topics) const;

  State state() const { return state_; }
  std::string_view state_name() const;
  int32_t generation() const { return generation_; }
  const std::string& protocol_type() const { return protocol_type_; }
  const std::string& protocol() const { return protocol_; }
  size_t size() const { return members_.size(); }
  /// No member, nor one that was given an id to join with, and nothing under way.
  bool is_idle() const { return state_ == State::kEmpty && members_.empty() && pending_.empty(); }
  int64_t state_since_ms() const { return state_since_ms_; }
  protocol::DescribeGroupsResponse::Group describe() const;
  /// Topics that members of a `consumer` group want; nothing where their metadata is not understood.
  std::optional<std::set<std::string>> subscribed_topics() const;
  /// As it is recorded in this state: with a leader and assignments only once there is an assignment.
  protocol::GroupMetadataValue value() const;

 private:
  struct Member {
    std::optional<std::string> instance;
    std::string client_id;
    std::string client_host;
    Duration rebalance_timeout;
    Duration session_timeout;
    std::vector<std::pair<std::string, Slice>> protocols;
    Slice assignment;
    std::optional<Token> join;  ///< Parked.
    std::optional<Token> sync;  ///< Parked.
    bool synced = false;          ///< In this generation.
    bool fresh = false;           ///< Its first join has not been answered.
    Instant session_end;
    /// A parked request shows that somebody is there, but for a first join, which anybody may have sent.
    bool is_waiting() const { return !fresh && (join || sync); }
  };
  using Members = std::map<std::string, Member>;

  // classic_join.cc
  protocol::ErrorCode check_protocols(const protocol::JoinGroupRequest& request) const;
  bool has_room_for(const std::string& member) const;
  void join_new(const JoinCall& call, Effects& out);
  void join_known(const JoinCall& call, Effects& out);
  void replace_static(const JoinCall& call, const std::string& old_id, Effects& out);
  void add(const JoinCall& call, std::string id, Effects& out);
  void rejoin(const JoinCall& call, Members::iterator member, Effects& out);
  static void describe_to(const JoinCall& call, Member& member);
  void prepare_or_complete(Instant now, WallTime wall, Effects& out);
  void prepare(Instant now, WallTime wall, Effects& out);
  void complete_if_all_joined(Instant now, WallTime wall, Effects& out);
  void complete_join(Instant now, WallTime wall, Effects& out);
  std::string select_protocol() const;
  std::set<std::string> common_protocols() const;
  protocol::JoinGroupResponse joined(const std::string& id) const;
  static protocol::JoinGroupResponse refused(const std::string& id, protocol::ErrorCode why);

  // classic_group.cc
  void set_state(State state, WallTime wall);
  Members::iterator find_instance(const std::string& instance);
  protocol::ErrorCode check_member(const std::string& id, const std::optional<std::string>& instance, int32_t generation);
  void remove(Members::iterator member, Effects& out);
  void removed_some(Instant now, WallTime wall, Effects& out);
  void drop_parked(Member& member, const std::string& id, protocol::ErrorCode why, Effects& out);
  Duration rebalance_timeout() const;
  bool all_synced() const;
  Slice metadata_of(const Member& member) const;
  protocol::SyncGroupResponse synced(const Member& member) const;
  void restart_session(Member& member, Instant now) { member.session_end = now + member.session_timeout; }
  void record(bool assigned, Effects::Step step, Effects& out) const;

  std::string id_;
  const Options& options_;
  State state_ = State::kEmpty;
  int32_t generation_ = 0;
  std::string protocol_type_;
  std::string protocol_;  ///< Selected; empty while nobody is a member.
  std::string leader_;
  int64_t state_since_ms_ = -1;
  Members members_;
  std::map<std::string, Instant> pending_;  ///< Ids that were given out and not used yet, and until when they hold.

  Instant join_end_ = Instant::never();  ///< Preparing: when it completes without those who are missing.
  bool first_join_ = false;              ///< Preparing for the first generation: everybody waits for late comers.
  bool late_comer_ = false;              ///< Somebody joined during the current wait.
  Duration wait_{};                      ///< The current wait,
  Duration wait_left_{};                 ///< and what later ones may take.
  Instant sync_end_ = Instant::never();  ///< When those who have not synced are removed.
};

}  // namespace taffrail::group
