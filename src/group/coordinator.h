// The groups of one partition of __consumer_offsets, as its leader decides about them.
//
//     request --> decide --> append --> [Raft] --> Table::apply --> reply
//
// Decisions are made on what the log will say once all that was appended is committed: the table of what is applied,
// and over it the offsets that this leader has appended since. What is appended and then lost goes with the leadership,
// and this object with it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "group/classic_group.h"
#include "group/consumer_group.h"
#include "group/effects.h"
#include "group/options.h"
#include "group/table.h"
#include "protocol/list_groups.h"
#include "protocol/offset_commit.h"

namespace taffrail::group {

/// An OffsetCommit whose topics were looked up.
struct CommitRequest {
  struct Item {
    TopicPartition at;
    protocol::OffsetCommitValue value;  ///< Offset, epoch, metadata, topic id; the times are filled in.
    protocol::ErrorCode error = protocol::ErrorCode::kNone;  ///< Refused before it came here.
  };
  std::string group;
  int32_t generation = -1;
  std::string member;
  std::optional<std::string> instance;
  int64_t retention_ms = -1;
  std::vector<Item> items;
};

/// Which offsets are asked for: those of `wanted`, or all that there are. Members of consumer groups say who they are.
struct FetchRequest {
  std::string group;
  std::optional<std::vector<TopicPartition>> wanted;
  std::optional<std::string> member = {};
  int32_t epoch = -1;
};

/// What is asked to be forgotten; an item refused before it came here has its error.
struct ForgetRequest {
  std::string group;
  std::vector<std::pair<TopicPartition, protocol::ErrorCode>> items;
};

class Coordinator {
 public:
  /// All that the log held of its groups when the leadership began is in `table`, which outlives this and goes on to
  /// change by what is applied.
  Coordinator(const Table& table, const Options& options, const Topics& topics, Random& random, Instant now);

  Effects join(const Call& call, const protocol::JoinGroupRequest& request, const std::string& client_id,
               const std::string& client_host);
  Effects sync(const Call& call, const protocol::SyncGroupRequest& request);
  Effects heartbeat(const Call& call, const protocol::HeartbeatRequest& request);
  Effects leave(const Call& call, const protocol::LeaveGroupRequest& request);
  Effects commit(const Call& call, const CommitRequest& request);
  Effects fetch(const Call& call, const FetchRequest& request);
  Effects describe(const Call& call, const std::string& group);
  Effects consumer_heartbeat(const Call& call, protocol::ConsumerGroupHeartbeatRequest request, const std::string& client_id,
                             const std::string& client_host);
  Effects consumer_describe(const Call& call, const std::string& group);
  Effects remove(const Call& call, const std::string& group);
  Effects forget(const Call& call, const ForgetRequest& request);
  std::vector<protocol::ListGroupsResponse::Group> list() const;

  /// Sessions, rebalances: whatever is due.
  std::vector<Effects> on_time(Instant now, WallTime wall);
  /// When on_time() is wanted next; never() if nothing is under way.
  Instant next_deadline() const;
  /// Offsets whose time is over, and groups that nothing is left of (I-G6).
  std::vector<Effects> expire(WallTime wall);

  /// A topic is gone for certain, and with it what was read of it; not what was read of another topic of that name.
  std::vector<Effects> forget_topic(const std::string& name, const TopicId& id);

  /// The records of `effects` stand in the log, the last of them at `index`.
  void appended(const Effects& effects, LogIndex index);
  /// They do not, and whoever waited for them was told so.
  Effects refused(const Effects& effects, Instant now, WallTime wall);
  /// The table holds all up to `index`.
  void applied(LogIndex index);
  /// What a reply about this group waits for: the last of its records.
  LogIndex depends_on(const std::string& group) const;

 private:
  struct Pending {
    std::optional<protocol::OffsetCommitValue> value;  ///< None: forgotten.
    LogIndex index;
  };
  struct Live {
    std::unique_ptr<ClassicGroup> classic;     ///< Idle while it is a consumer group,
    std::unique_ptr<ConsumerGroup> consumer;  ///< which it may never have been.
    std::unique_ptr<ClassicGroup> former;     ///< What it was, until it stands in the log that it is a consumer group.
    std::map<TopicPartition, Pending> offsets;  ///< Appended, and not applied yet.
    bool stored = false;                        ///< The log has a state of the group, or will have.
    LogIndex until;                             ///< Its last record.
    Instant look = Instant::never();            ///< Its place in `deadlines_`.
    /// Null unless it is a consumer group.
    ConsumerGroup* consumers() const { return consumer != nullptr && consumer->exists() ? consumer.get() : nullptr; }
    size_t members() const { return consumers() != nullptr ? consumer->size() : classic->size(); }
    bool is_idle() const { return classic->is_idle() && (consumers() == nullptr || consumer->size() == 0); }
  };
  using Groups = std::map<std::string, Live, std::less<>>;

  bool is_unwritten(const std::string& group, const Live& live) const;
  /// Null if there is no such group.
  Live* find(const std::string& group);
  Live& find_or_make(const std::string& group, Instant now = {});
  /// A consumer group that has only members of the classic protocol left is a classic group, where that is allowed.
  void downgrade_if_due(const std::string& group, Live& live, Instant now, WallTime wall, Effects& out);
  static protocol::ErrorCode check(const Call& call, const protocol::ConsumerGroupHeartbeatRequest& request);
  bool exists(const std::string& group, const Live& live) const;
  /// The offsets that the log will have.
  std::map<TopicPartition, protocol::OffsetCommitValue> offsets(const std::string& group, const Live& live) const;
  const protocol::OffsetCommitValue* find_offset(const std::string& group, const Live& live, const TopicPartition& at) const;
  /// Ends a decision: looks again when the group's clock runs, and drops what the table can make again.
  void settle(const std::string& group, const Effects& decided);
  void schedule(const std::string& group, Live& live);
  std::vector<TopicPartition> expired(const StoredGroup& stored, const Live* live, WallTime wall) const;

  const Table& table_;
  const Options& options_;
  const Topics& topics_;
  Random& random_;
  Groups groups_;  ///< Those with members, or with something under way.
  std::set<std::pair<Instant, std::string>> deadlines_;
  std::deque<std::pair<LogIndex, std::string>> written_;
  LogIndex applied_;
};

}  // namespace taffrail::group
