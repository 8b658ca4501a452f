// Goal: assignments are those that Apache Kafka 4.3 makes, where its order of members does not matter; complete, even and
// sticky in general. Method: the stories that were computed with Kafka's own assignors, told step by step; and laws over
// groups drawn from a number.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "group/assignor.h"

namespace taffrail::group {
namespace {

/// Topics are letters, and their ids in the order of the alphabet.
TopicId id_of(char topic) { return Uuid{1, static_cast<uint64_t>(topic)}; }

class Stage {
 public:
  explicit Stage(std::map<char, int32_t> topics) {
    for (const auto& [topic, partitions] : topics) {
      topics_[id_of(topic)] = partitions;
      names_[id_of(topic)] = topic;
    }
  }
  void subscribe(const std::string& member, const std::string& topics) {
    auto& ids = subscriptions_[member];
    ids.clear();
    for (const char topic : topics) ids.insert(id_of(topic));
    members_[member].topics = &ids;
  }
  void make_static(const std::string& member, const std::string& instance) { members_[member].instance = instance; }
  void leave(const std::string& member) { members_.erase(member); }
  /// "A0 A1 B2" by member.
  std::map<std::string, std::string> assign(const std::string& assignor = "uniform") {
    std::map<std::string, std::string> out;
    for (const auto& [member, set] : group::assign(assignor, members_, topics_)) {
      members_[member].had = set;
      std::string& text = out[member];
      for (const auto& [topic, partitions] : set)
        for (const int32_t partition : partitions) text += (text.empty() ? "" : " ") + std::string(1, names_.at(topic)) + std::to_string(partition);
    }
    return out;
  }

 private:
  AssignorTopics topics_;
  std::map<TopicId, char> names_;
  std::map<std::string, std::set<TopicId>> subscriptions_;
  AssignorMembers members_;
};

using Shares = std::map<std::string, std::string>;

TEST(Uniform, MembersComeAndGoAndLittleMoves) {
  Stage stage({{'A', 3}, {'B', 3}});
  stage.subscribe("m1", "AB");
  stage.subscribe("m2", "AB");
  EXPECT_EQ(stage.assign(), (Shares{{"m1", "A0 A1 A2"}, {"m2", "B0 B1 B2"}}));
  stage.subscribe("m3", "AB");
  EXPECT_EQ(stage.assign(), (Shares{{"m1", "A0 A1"}, {"m2", "B0 B1"}, {"m3", "A2 B2"}}));
  stage.leave("m2");
  EXPECT_EQ(stage.assign(), (Shares{{"m1", "A0 A1 B0"}, {"m3", "A2 B1 B2"}}));
}

TEST(Uniform, TheOddOnesGoToWhoHasThem) {
  Stage stage({{'C', 7}});
  for (const char* m : {"m1", "m2", "m3"}) stage.subscribe(m, "C");
  EXPECT_EQ(stage.assign(), (Shares{{"m1", "C0 C1"}, {"m2", "C2 C3"}, {"m3", "C4 C5 C6"}}));
  stage.subscribe("m4", "C");
  EXPECT_EQ(stage.assign(), (Shares{{"m1", "C0 C1"}, {"m2", "C2 C3"}, {"m3", "C4 C5"}, {"m4", "C6"}}));
}

TEST(Uniform, SubscriptionsMayDiffer) {
  Stage two({{'A', 3}, {'B', 3}});
  two.subscribe("m1", "A");
  two.subscribe("m2", "AB");
  two.subscribe("m3", "B");
  EXPECT_EQ(two.assign(), (Shares{{"m1", "A0 A2"}, {"m2", "A1 B2"}, {"m3", "B0 B1"}}));
  Stage uneven({{'D', 4}, {'E', 1}});
  uneven.subscribe("m1", "DE");
  uneven.subscribe("m2", "D");
  uneven.subscribe("m3", "D");
  EXPECT_EQ(uneven.assign(), (Shares{{"m1", "D0 E0"}, {"m2", "D1 D3"}, {"m3", "D2"}}));
}

TEST(Range, EachTopicIsCutInPieces) {
  Stage stage({{'A', 3}, {'B', 3}});
  stage.subscribe("m1", "AB");
  stage.subscribe("m2", "AB");
  EXPECT_EQ(stage.assign("range"), (Shares{{"m1", "A0 A1 B0 B1"}, {"m2", "A2 B2"}}));
  Stage small({{'A', 3}});
  for (const char* m : {"m1", "m2", "m3", "m4"}) small.subscribe(m, "A");
  EXPECT_EQ(small.assign("range"), (Shares{{"m1", "A0"}, {"m2", "A1"}, {"m3", "A2"}, {"m4", ""}}));
}

TEST(Range, StaticMembersComeFirst) {
  Stage stage({{'A', 1}});
  stage.subscribe("a", "A");
  stage.subscribe("x", "A");
  stage.make_static("x", "z");
  EXPECT_EQ(stage.assign("range"), (Shares{{"a", ""}, {"x", "A0"}}));
}

/// A group with a past: what members had may be anything, of topics that are gone, or of others.
struct Group {
  AssignorTopics topics;
  std::map<std::string, std::set<TopicId>> subscriptions;
  AssignorMembers members;

  Group(uint64_t seed, bool alike) {
    CounterRandom random(seed);
    const auto topic_count = 1 + random.below(4);
    for (uint64_t t = 0; t < topic_count; ++t) topics[Uuid{1, t}] = static_cast<int32_t>(random.below(9));
    std::set<TopicId> all;
    for (const auto& [topic, partitions] : topics) all.insert(topic);
    const auto member_count = 1 + random.below(6);
    for (uint64_t m = 0; m < member_count; ++m) {
      auto& reads = subscriptions["m" + std::to_string(m)];
      for (const TopicId& topic : all)
        if (alike || random.chance(2, 3)) reads.insert(topic);
    }
    for (auto& [id, reads] : subscriptions) members[id].topics = &reads;
    for (uint64_t i = random.below(30); i > 0; --i) {
      const TopicId topic{1, random.below(5)};
      const auto partition = static_cast<int32_t>(random.below(10));
      const bool taken = std::any_of(members.begin(), members.end(), [&](const auto& m) {
        const auto it = m.second.had.find(topic);
        return it != m.second.had.end() && std::binary_search(it->second.begin(), it->second.end(), partition);
      });
      if (taken) continue;
      auto& list = members["m" + std::to_string(random.below(member_count))].had[topic];
      list.insert(std::lower_bound(list.begin(), list.end(), partition), partition);
    }
  }
  std::map<std::pair<TopicId, int32_t>, std::string> owners(const Assignment& assignment) const {
    std::map<std::pair<TopicId, int32_t>, std::string> out;
    for (const auto& [id, set] : assignment) {
      for (const auto& [topic, partitions] : set) {
        RC_ASSERT(!partitions.empty());
        RC_ASSERT(subscriptions.at(id).contains(topic));
        for (const int32_t p : partitions) {
          RC_ASSERT(p >= 0);
          RC_ASSERT(p < topics.at(topic));
          const bool first = out.emplace(std::pair{topic, p}, id).second;
          RC_ASSERT(first);
        }
      }
    }
    return out;
  }
  size_t wanted() const {
    size_t all = 0;
    for (const auto& [topic, partitions] : topics)
      if (std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& s) { return s.second.contains(topic); }))
        all += static_cast<size_t>(partitions);
    return all;
  }
};

size_t load(const PartitionSet& set) {
  size_t all = 0;
  for (const auto& [topic, partitions] : set) all += partitions.size();
  return all;
}

RC_GTEST_PROP(Assignors, EveryPartitionThatIsReadHasOneOwnerWhoReadsIt, (uint64_t seed, bool alike, bool range)) {
  const Group group(seed, alike);
  const auto owners = group.owners(assign(range ? "range" : "uniform", group.members, group.topics));
  RC_ASSERT(owners.size() == group.wanted());
}

RC_GTEST_PROP(Uniform, WhereAllReadTheSameNobodyHasTwoMoreThanAnother, (uint64_t seed)) {
  const Group group(seed, true);
  size_t least = SIZE_MAX, most = 0;
  for (const auto& [id, set] : assign_uniform(group.members, group.topics)) {
    least = std::min(least, load(set));
    most = std::max(most, load(set));
  }
  RC_ASSERT(most <= least + 1);
}

// As many partitions stay where they are as an even assignment allows: those of each member up to its share.
RC_GTEST_PROP(Uniform, WhereAllReadTheSameAsMuchAsPossibleStays, (uint64_t seed)) {
  const Group group(seed, true);
  const Assignment assignment = assign_uniform(group.members, group.topics);
  const size_t quota = group.wanted() / group.members.size();
  size_t extra = group.wanted() % group.members.size();
  size_t may_stay = 0, stays = 0;
  std::vector<size_t> kept;
  for (const auto& [id, member] : group.members) {
    size_t valid = 0;
    for (const auto& [topic, partitions] : member.had) {
      if (!group.topics.contains(topic)) continue;
      for (const int32_t p : partitions) {
        if (p >= group.topics.at(topic)) continue;
        ++valid;
        const auto it = assignment.at(id).find(topic);
        if (it != assignment.at(id).end() && std::binary_search(it->second.begin(), it->second.end(), p)) ++stays;
      }
    }
    kept.push_back(valid);
  }
  for (const size_t valid : kept) {
    may_stay += std::min(valid, quota);
    if (valid > quota && extra > 0) {
      ++may_stay;
      --extra;
    }
  }
  RC_ASSERT(stays == may_stay);
}

RC_GTEST_PROP(Uniform, WhoIsAskedAgainSaysTheSame, (uint64_t seed, bool alike)) {
  Group group(seed, alike);
  const Assignment first = assign_uniform(group.members, group.topics);
  for (auto& [id, member] : group.members) member.had = first.at(id);
  RC_ASSERT(assign_uniform(group.members, group.topics) == first);
}

}  // namespace
}  // namespace taffrail::group
