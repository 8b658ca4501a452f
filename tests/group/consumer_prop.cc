// Goal: whatever members of a consumer group do, in whatever order, whatever answers get lost, and however often the
// leadership moves or appends fail, no partition is two members' at once, and once all are calm every one has its owner.
// Method: members that join, leave, go silent, change their minds and miss answers, drawn from a number, against a
// coordinator whose log is committed late, refused or lost, while topics come, grow and go.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "group/support/consumer.h"

namespace taffrail::group::test {
namespace {

struct Client : Consumer {
  PartitionSet in_use = {};  ///< What it has, and what it has not said that it gave up.
};

class ConsumerStory {
 public:
  explicit ConsumerStory(uint64_t seed) : bench(seed, options(seed)), random(seed ^ 0x9e3779b9) {
    for (const char* topic : {"a", "b", "c"}) bench.topics.set(topic, static_cast<int32_t>(1 + random.below(5)));
    members.resize(5);
    for (size_t i = 0; i < members.size(); ++i) {
      start(members[i], i);
      if (i == 4) members[i].instance = "i4";
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      check();
    }
    calm_down();
    check_log();
  }

 private:
  static Options options(uint64_t seed) {
    Options options = consumer_options();
    if (seed % 2 == 0) options.consumer_assignment_interval = 1_s;
    options.consumer_regex_interval = 1_s;
    return options;
  }

  void start(Client& m, size_t number) {
    m.id = "m" + std::to_string(number) + "-" + std::to_string(++processes);
    m.epoch = 0;
    m.owned.clear();
    m.in_use.clear();
    m.tells = true;
    m.topics.clear();
    m.regex.reset();
    if (random.chance(1, 5)) m.regex = "[ab]|d.*";
    for (const char* topic : {"a", "b", "c", "d"})
      if (random.chance(2, 3)) m.topics.push_back(topic);
    m.assignor.reset();
    if (random.chance(1, 3)) m.assignor = random.chance(1, 2) ? "range" : "uniform";
  }

  size_t number_of(const Client& m) const { return static_cast<size_t>(&m - members.data()); }

  void beat(Client& m, bool all = false) {
    const bool proves = m.epoch == 0 || all || m.tells;
    m.token = bench.beat(m.epoch == 0 || all ? m.full() : m.brief());
    // It says so only of what it has stopped reading.
    if (proves) m.in_use = m.owned;
    asked[number_of(m)] = m.token;
  }

  void hear(Client& m) {
    const auto it = asked.find(number_of(m));
    if (it == asked.end() || !bench.answered(it->second)) return;
    m.token = it->second;
    asked.erase(it);
    (void)m.hear(bench);
    if (m.epoch == 0) m.in_use.clear();
    for (const auto& [topic, partitions] : m.owned) {
      auto& list = m.in_use[topic];
      std::vector<int32_t> both;
      std::set_union(list.begin(), list.end(), partitions.begin(), partitions.end(), std::back_inserter(both));
      list = both;
    }
  }

  void step() {
    Client& m = members[random.below(members.size())];
    const uint64_t what = random.below(100);
    if (what < 60) {
      // One request of a member at a time; an answer may get lost, and then it asks again.
      if (asked.contains(number_of(m)) && random.chance(3, 4)) return hear(m);
      asked.erase(number_of(m));
      beat(m);
      if (random.chance(9, 10)) hear(m);
    } else if (what < 64) {
      if (asked.contains(number_of(m)) || m.epoch == 0) return;
      m.topics = {random.chance(1, 2) ? "a" : "b", "c"};
      beat(m, true);
      hear(m);
    } else if (what < 68) {
      if (asked.contains(number_of(m))) return;
      (void)m.leave(bench, m.instance && random.chance(1, 2) ? Consumer::Request::kLeaveForAWhile : Consumer::Request::kLeave);
      start(m, number_of(m));
    } else if (what < 70) {
      asked.erase(number_of(m));
      start(m, number_of(m));  // It died; another process comes in its place.
    } else if (what < 78) {
      bench.pass(Duration::from_ms(static_cast<int64_t>(random.below(random.chance(1, 4) ? 50'000 : 2'000))));
    } else if (what < 82) {
      const char* topics[] = {"a", "b", "c", "d"};
      const char* topic = topics[random.below(4)];
      if (random.chance(1, 3)) {
        if (bench.topics.find(topic)) bench.topics.drop(topic);
      } else {
        const auto known = bench.topics.find(topic);
        bench.topics.set(topic, (known ? known->partitions : 0) + 1);
      }
    } else if (what < 88) {
      const int32_t epoch = m.epoch - (random.chance(1, 3) ? 1 : 0);
      const auto known = bench.topics.find("a");
      if (!known) return;
      bench.commit_all();
      const auto partition = static_cast<int32_t>(random.below(static_cast<uint64_t>(known->partitions)));
      auto request = committing("g", m.id, epoch, 1, partition);
      request.items[0].at.topic = "a";
      const Token token = bench.commit(request);
      bench.commit_all();
      const auto reply = bench.get<OffsetsReply>(token);
      if (!bench.answered(token) || reply.error != ErrorCode::kNone || reply.items[0] != ErrorCode::kNone) return;
      // I-G3: of a member that speaks as of an earlier epoch, only of what it has had all along.
      const StoredGroup* stored = bench.table.find("g");
      if (stored == nullptr || stored->consumers.members.empty()) return;
      const auto& now = stored->consumers.members.at(m.id).current;
      RC_ASSERT(now.has_value());
      if (epoch == now->member_epoch) return;
      RC_ASSERT(holds(*now, known->id, partition));
    } else if (what < 93) {
      bench.commit_all();
    } else if (what < 96) {
      bench.commits_at_once = !bench.commits_at_once;
    } else if (what < 98) {
      bench.refuse_appends = random.chance(1, 2) ? ErrorCode::kNone : ErrorCode::kCoordinatorNotAvailable;
    } else {
      asked.clear();
      bench.fail_over();
    }
  }

  using Current = ConsumerGroupCurrentMemberAssignmentValue;
  static bool holds(const Current& current, const TopicId& topic, int32_t partition) {
    for (const auto* list : {&current.assigned_partitions, &current.partitions_pending_revocation})
      for (const auto& t : *list)
        if (t.topic_id == topic && std::find(t.partitions.begin(), t.partitions.end(), partition) != t.partitions.end()) return true;
    return false;
  }

  // I-G1, and I-G7.
  void check() {
    const StoredGroup* stored = bench.table.find("g");
    if (stored == nullptr) return;
    const ConsumerState& state = stored->consumers;
    std::map<std::pair<TopicId, int32_t>, std::string> held;
    for (const auto& [id, member] : state.members) {
      if (!member.current) continue;
      for (const auto* list : {&member.current->assigned_partitions, &member.current->partitions_pending_revocation})
        for (const auto& topic : *list)
          for (const int32_t partition : topic.partitions) {
            const bool first = held.emplace(std::pair{topic.topic_id, partition}, id).second;
            RC_ASSERT(first);
          }
    }
    for (const Client& m : members) {
      const auto it = state.members.find(m.id);
      if (it == state.members.end() || !it->second.current || m.epoch == 0) continue;
      const Current& current = *it->second.current;
      if (m.epoch != current.member_epoch && m.epoch != current.previous_member_epoch) continue;
      for (const auto& [topic, partitions] : m.in_use)
        for (const int32_t partition : partitions) RC_ASSERT(holds(current, topic, partition));
    }
    if (!state.epoch) return;
    RC_ASSERT(state.epoch->epoch >= highest);
    highest = state.epoch->epoch;
    if (state.target_epoch) RC_ASSERT(state.target_epoch->assignment_epoch <= highest);
  }

  // With everybody there and nothing in the way, each partition that is read has one owner, who knows it.
  void calm_down() {
    bench.refuse_appends = ErrorCode::kNone;
    bench.commits_at_once = true;
    bench.commit_all();
    asked.clear();
    bench.pass(100_s);  // Who died is out by then.
    for (int round = 0; round < 40; ++round) {
      for (Client& m : members) {
        beat(m);
        hear(m);
      }
      bench.pass(1_s);
      check();
    }
    RC_ASSERT(bench.consumer_describe("g").group_state == "Stable");
    const ConsumerState& state = bench.table.find("g")->consumers;
    RC_ASSERT(state.members.size() == members.size());
    std::set<std::pair<TopicId, int32_t>> wanted, owned;
    for (const Client& m : members) {
      const auto& member = state.members.at(m.id);
      RC_ASSERT(set_of(held_of(member.current->assigned_partitions, 0)) == m.owned);
      std::set<std::string> names(m.topics.begin(), m.topics.end());
      if (m.regex) names.insert(state.regexes.at(*m.regex).topics.begin(), state.regexes.at(*m.regex).topics.end());
      for (const std::string& name : names)
        if (const auto topic = bench.topics.find(name))
          for (int32_t p = 0; p < topic->partitions; ++p) wanted.insert({topic->id, p});
      for (const auto& [topic, partitions] : m.owned) {
        RC_ASSERT(names.contains(bench.topics.find(topic)->name));
        for (const int32_t p : partitions) owned.insert({topic, p});
      }
    }
    RC_ASSERT(owned == wanted);
  }

  // I-G5.
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
    for (const Record& record : bench.log) {
      const auto [key, value] = encode(record);
      const auto back = decode(key, value ? std::optional<ByteView>(value->view()) : std::nullopt);
      RC_ASSERT(back.has_value());
      RC_ASSERT(back->has_value());
      RC_ASSERT(**back == record);
    }
  }

  Bench bench;
  CounterRandom random;
  std::vector<Client> members;
  std::map<size_t, Token> asked;
  uint64_t processes = 0;
  int32_t highest = 0;
};

RC_GTEST_PROP(ConsumerGroups, NobodyHasWhatAnotherHasAndInTheEndSomebodyHasIt, (uint64_t seed)) { ConsumerStory(seed).run(300); }

}  // namespace
}  // namespace taffrail::group::test
