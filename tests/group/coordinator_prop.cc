// Goal: whatever clients do, in whatever order, and however often the leadership moves or appends fail, a group keeps
// its promises. Method: members that join, sync, commit, leave, go silent and speak with old generations, drawn from a
// number, against a coordinator whose log is committed late, refused or lost; every answer is held against what earlier
// answers said, and the log against the state that it left.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "group/support/bench.h"

namespace taffrail::group::test {
namespace {

/// What clients were told, and what follows from it.
class Witness {
 public:
  /// I-G7: a generation is one set of members under one leader, and later ones have higher numbers.
  void joined(const JoinGroupResponse& answer) {
    // A static member that comes back has another id, and leads on.
    const std::string leader = answer.leader.starts_with("i") ? answer.leader.substr(0, 2) : answer.leader;
    const auto [it, fresh] = leaders_.emplace(answer.generation_id, leader);
    RC_ASSERT(it->second == leader);
    if (fresh) RC_ASSERT(leaders_.rbegin()->first == answer.generation_id);
  }
  /// I-G3: nothing that belongs to an earlier generation is accepted after a later one was told.
  void accepted(int32_t generation, int32_t newest_when_asked) const {
    if (generation >= 0) RC_ASSERT(generation >= newest_when_asked);
  }
  int32_t newest() const { return leaders_.empty() ? -1 : leaders_.rbegin()->first; }

 private:
  std::map<int32_t, std::string> leaders_;
};

struct Asked {
  enum Kind { kJoin, kSync, kBeat, kCommit } kind = kJoin;
  size_t who = 0;
  Member as;  ///< As it was then.
  int32_t newest = -1;
  int64_t offset = 0;
};

class Story {
 public:
  explicit Story(uint64_t seed) : bench(seed), random(seed ^ 0x5bd1e995) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      hear();
    }
    bench.refuse_appends = ErrorCode::kNone;
    bench.commit_all();
    hear();
    check_log();
  }

 private:
  void ask(Token token, Asked asked) { asked_.emplace(token, std::move(asked)); }

  void step() {
    const size_t who = random.below(members.size());
    Member& m = members[who];
    const uint64_t what = random.below(100);
    if (what < 25) {
      ask(bench.join(m.joining("g", random.chance(1, 5) ? std::vector<std::string>{"range", "x"} : std::vector<std::string>{"range"})),
          {Asked::kJoin, who, m, witness.newest()});
    } else if (what < 45) {
      ask(bench.sync(m.syncing()), {Asked::kSync, who, m, witness.newest()});
    } else if (what < 55) {
      ask(bench.heartbeat("g", m.id, m.generation, m.instance), {Asked::kBeat, who, m, witness.newest()});
    } else if (what < 70) {
      Member as = m;
      if (random.chance(1, 4)) as.generation -= 1;
      auto request = committing("g", as.id, as.generation, ++last_offset_);
      request.instance = as.instance;
      ask(bench.commit(request), {Asked::kCommit, who, as, witness.newest(), last_offset_});
    } else if (what < 75) {
      read();
    } else if (what < 78) {
      LeaveGroupRequest leave;
      leave.group_id = "g";
      leave.members = {{m.id, m.instance, {}, {}}};
      (void)bench.leave(leave);
    } else if (what < 80) {
      m.id.clear();  // Another process in its place.
      m.generation = -1;
    } else if (what < 90) {
      bench.pass(Duration::from_ms(static_cast<int64_t>(random.below(random.chance(1, 4) ? 15'000 : 300))));
    } else if (what < 94) {
      bench.commit_all();
    } else if (what < 96) {
      bench.commits_at_once = !bench.commits_at_once;
    } else if (what < 98) {
      bench.refuse_appends = random.chance(1, 2) ? ErrorCode::kNone : ErrorCode::kCoordinatorNotAvailable;
    } else {
      asked_.clear();
      bench.fail_over();
    }
  }

  // I-G2: the last commit that was acknowledged, or a later one, and nothing that nobody sent.
  void read() {
    const int64_t known = acked_;
    const Token token = bench.fetch("g", std::vector<TopicPartition>{{"t", 0}});
    bench.commit_all();
    hear();
    const auto reply = bench.get<FetchReply>(token);
    RC_ASSERT(reply.items.size() == 1u);
    const int64_t found = reply.items[0].value ? reply.items[0].value->offset.value : -1;
    RC_ASSERT(found >= known);
    RC_ASSERT(found <= last_offset_);
  }

  void hear() {
    for (auto it = asked_.begin(); it != asked_.end();) {
      const auto answer = bench.answers.find(it->first);
      if (answer == bench.answers.end()) {
        ++it;
        continue;
      }
      heard(it->second, answer->second);
      it = asked_.erase(it);
    }
  }

  void heard(const Asked& asked, const Answer& answer) {
    Member& m = members[asked.who];
    if (asked.kind == Asked::kJoin) {
      const auto& joined = std::get<JoinGroupResponse>(answer);
      if (joined.error_code == ErrorCode::kNone) {
        // Told twice, or told to one who has gone on: the last one counts.
        if (!joined.skip_assignment) witness.joined(joined);
        m.id = joined.member_id;
        m.generation = joined.generation_id;
        m.leads = joined.leader == m.id;
        m.others.clear();
        for (const auto& member : joined.members) m.others.push_back(member.member_id);
      } else if (joined.error_code == ErrorCode::kMemberIdRequired) {
        m.id = joined.member_id;
      } else if (joined.error_code == ErrorCode::kUnknownMemberId || joined.error_code == ErrorCode::kFencedInstanceId) {
        m.id.clear();
      }
    } else if (asked.kind == Asked::kSync) {
      // I-G1: what one is given was meant for it, in this generation; a static member inherits.
      const auto& synced = std::get<SyncGroupResponse>(answer);
      if (synced.error_code != ErrorCode::kNone) return;
      if (!m.instance && !synced.assignment.empty())
        RC_ASSERT(std::string(as_text(synced.assignment)) == std::to_string(asked.as.generation) + "/" + asked.as.id);
    } else if (asked.kind == Asked::kBeat) {
      if (std::get<HeartbeatResponse>(answer).error_code == ErrorCode::kNone) witness.accepted(asked.as.generation, asked.newest);
    } else {
      const auto& reply = std::get<OffsetsReply>(answer);
      if (reply.error != ErrorCode::kNone || reply.items.at(0) != ErrorCode::kNone) return;
      witness.accepted(asked.as.generation, asked.newest);
      acked_ = std::max(acked_, asked.offset);
    }
  }

  // I-G5: the log, and every legal compaction of it, gives the state that is there.
  void check_log() {
    Table replayed;
    for (const Record& record : bench.log) replayed.apply(record);
    RC_ASSERT(replayed == bench.table);
    std::map<std::string, size_t> last;
    for (size_t i = 0; i < bench.log.size(); ++i) last[to_hex(encode(bench.log[i]).first)] = i;
    Table compacted;
    for (size_t i = 0; i < bench.log.size(); ++i)
      if (last.at(to_hex(encode(bench.log[i]).first)) == i || random.chance(1, 2)) compacted.apply(bench.log[i]);
    RC_ASSERT(compacted == bench.table);
    const auto loaded = Table::load(bench.table.save());
    RC_ASSERT(loaded.has_value());
    RC_ASSERT(*loaded == bench.table);
  }

  Bench bench;
  CounterRandom random;
  Witness witness;
  std::vector<Member> members = [] {
    std::vector<Member> all(5);
    all[3].instance = "i3";
    all[4].instance = "i4";
    return all;
  }();
  std::map<Token, Asked> asked_;
  int64_t last_offset_ = 0;
  int64_t acked_ = -1;
};

RC_GTEST_PROP(Coordinator, KeepsItsPromisesWhateverHappens, (uint64_t seed)) { Story(seed).run(400); }

}  // namespace
}  // namespace taffrail::group::test
