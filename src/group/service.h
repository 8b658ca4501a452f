// One replica of one partition of __consumer_offsets: applies its records wherever it is, and, where it leads, runs the
// coordinator of its groups: appends what that decides, and answers once it is committed.
//
//   handler --> Coordinator: Effects --> Partition::append --> [Raft] --> apply --> the handler's fiber wakes
//
// A leadership begins once all that earlier ones committed is applied: one round trip after the election, and no
// loading, because a follower has applied it already. It ends with everything that was not committed: those who wait
// are told NOT_COORDINATOR, and ask the next one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "group/coordinator.h"
#include "group/table.h"
#include "partition/partition.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail::group {

/// A request that was decided, and whose answer comes. Lives on when the service is gone.
struct Asked {
  Event done;
  Answer answer;
};

class Service final : public StateMachine {
 public:
  /// All outlive it.
  Service(Runtime& runtime, Partition& partition, const Options& options, const Topics& topics);
  ~Service() override;
  /// Nobody is waiting any more. Before the partition's stop().
  void stop(Task& task);

  // Requests are decided in the order of these calls. None waits.
  std::shared_ptr<Asked> join(int16_t version, const protocol::JoinGroupRequest& request, const std::string& client_id,
                              const std::string& client_host);
  std::shared_ptr<Asked> sync(int16_t version, const protocol::SyncGroupRequest& request);
  std::shared_ptr<Asked> heartbeat(int16_t version, const protocol::HeartbeatRequest& request);
  std::shared_ptr<Asked> leave(int16_t version, const protocol::LeaveGroupRequest& request);
  std::shared_ptr<Asked> commit(int16_t version, const CommitRequest& request);
  /// Whether what fetch() told before this call was the last word then: no other broker may have begun to coordinate.
  bool confirm(Task& task, Instant deadline) { return !partition_.confirm_leads(task, deadline).has_value(); }
  std::shared_ptr<Asked> fetch(int16_t version, const FetchRequest& request);
  std::shared_ptr<Asked> describe(int16_t version, const std::string& group);
  std::shared_ptr<Asked> consumer_heartbeat(int16_t version, const protocol::ConsumerGroupHeartbeatRequest& request,
                                            const std::string& client_id, const std::string& client_host);
  std::shared_ptr<Asked> consumer_describe(int16_t version, const std::string& group);
  std::shared_ptr<Asked> remove(int16_t version, const std::string& group);
  std::shared_ptr<Asked> forget(int16_t version, const ForgetRequest& request);
  /// Of the groups that are led here; nothing if they are not known yet.
  std::optional<std::vector<protocol::ListGroupsResponse::Group>> list() const;

  /// The topic is gone for certain. Where this replica leads, offsets of it go, too.
  void forget_topic(const std::string& name, const TopicId& id);

  /// Whether this replica leads, and is still reading what earlier leaders committed.
  bool is_opening() const { return coordinator_ == nullptr && partition_.is_leader(); }
  /// For checkers.
  const Table& table() const { return table_; }
  const Partition& partition() const { return partition_; }
  const Coordinator* coordinator() const { return coordinator_.get(); }

  // StateMachine.
  void apply(const BatchView& batch, EntryId entry) override;
  void on_applied(EntryId entry) override;
  void on_leadership() override;
  Slice save() const override { return table_.save(); }
  Result<> load(ByteView bytes) override;

 private:
  struct Due {
    Token to = 0;
    Answer answer;
    Instant until;
  };
  std::shared_ptr<Asked> ask(int16_t version, Answer kind, const std::function<Effects(Call)>& decide);
  void carry_out(Effects effects);
  /// The place of the last record, or why nothing of it stands in the log for certain.
  std::expected<LogIndex, protocol::ErrorCode> append(const std::vector<Record>& records);
  void answer(Token to, Answer answer);
  bool is_torn() const { return partition_.epoch() == term_ && partition_.applied().index < torn_; }
  void open_or_close();
  void close();
  void run_clock(Task& task, uint64_t reign);
  void give_up_late(Instant now);
  void hurry_clock();

  Runtime& runtime_;
  Partition& partition_;
  const Options& options_;
  const Topics& topics_;
  Table table_;
  std::string broken_;  ///< Why the table is not what the log says; then nothing is led here.
  EntryId applied_;
  LogIndex torn_;  ///< In this term only a part of a decision was appended, up to here: what comes next waits until that is applied.
  std::unique_ptr<Coordinator> coordinator_;  ///< Of this leadership, once it has begun.
  Term term_;
  uint64_t reign_ = 0;
  Token next_token_ = 1;
  std::map<Token, std::shared_ptr<Asked>> asked_;
  std::multimap<LogIndex, Due> due_;
  bool stopped_ = false;
  Instant clock_next_ = Instant::never();  ///< What the clock waits for.
  WaitQueue clock_wake_;
  Scope scope_;
};

}  // namespace taffrail::group
