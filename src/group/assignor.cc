#include "group/assignor.h"

#include <algorithm>
#include <deque>
#include <tuple>
#include <utility>

namespace taffrail::group {
namespace {

struct One {
  TopicId topic;
  int32_t partition = 0;
  auto operator<=>(const One&) const = default;
};

void give(PartitionSet& to, const One& one) {
  auto& list = to[one.topic];
  list.insert(std::lower_bound(list.begin(), list.end(), one.partition), one.partition);
}

size_t count(const PartitionSet& set) {
  size_t all = 0;
  for (const auto& [topic, partitions] : set) all += partitions.size();
  return all;
}

bool same_topics(const AssignorMembers& members) {
  const std::set<TopicId>* first = nullptr;
  for (const auto& [id, member] : members) {
    if (first == nullptr) first = member.topics;
    if (member.topics != first && *member.topics != *first) return false;
  }
  return true;
}

/// What members keep of what they had: of topics that they read still, partitions that exist, and each for one of them.
class Kept {
 public:
  Kept(const AssignorMembers& members, const AssignorTopics& topics) : topics_(topics) {
    for (const auto& [id, member] : members) {
      PartitionSet& kept = out[id];
      for (const auto& [topic, partitions] : member.had) {
        const auto it = topics.find(topic);
        if (it == topics.end() || !member.topics->contains(topic)) continue;
        for (const int32_t partition : partitions)
          if (partition < it->second && taken_.insert({topic, partition}).second) kept[topic].push_back(partition);
      }
    }
  }
  /// By topic, then number.
  std::deque<One> unassigned() const {
    std::deque<One> rest;
    for (const auto& [topic, partitions] : topics_)
      for (int32_t p = 0; p < partitions; ++p)
        if (!taken_.contains({topic, p})) rest.push_back({topic, p});
    return rest;
  }

  Assignment out;

 private:
  const AssignorTopics& topics_;
  std::set<One> taken_;
};

// Everybody reads the same: each gets the quota, and some one more.
Assignment uniform_for_all(const AssignorMembers& members, const AssignorTopics& topics) {
  AssignorTopics read;
  for (const auto& [topic, partitions] : topics)
    if (members.begin()->second.topics->contains(topic)) read.emplace(topic, partitions);
  size_t total = 0;
  for (const auto& [topic, partitions] : read) total += static_cast<size_t>(partitions);
  const size_t quota = total / members.size();
  size_t extra = total % members.size();
  size_t left = members.size();

  Kept kept(members, read);
  std::deque<One> rest = kept.unassigned();
  std::vector<std::pair<std::string, size_t>> short_of;
  for (const auto& [id, member] : members) {
    size_t room = quota + (extra > 0 ? 1 : 0);
    const bool one_more = extra > 0;
    if (one_more) --extra;
    PartitionSet slim;
    for (auto& [topic, partitions] : kept.out[id]) {
      for (const int32_t partition : partitions) {
        if (room == 0) {
          rest.push_back({topic, partition});
          continue;
        }
        slim[topic].push_back(partition);
        --room;
      }
    }
    kept.out[id] = std::move(slim);
    // The one more is for those who have it already, as long as there are enough of them to come.
    if (one_more && room > 0 && left > extra + 1) {
      --room;
      ++extra;
    }
    --left;
    if (room > 0) short_of.push_back({id, room});
  }
  for (const auto& [id, room] : short_of) {
    for (size_t i = 0; i < room && !rest.empty(); ++i) {
      give(kept.out[id], rest.front());
      rest.pop_front();
    }
  }
  return std::move(kept.out);
}

/// Members by how much they have, for subscriptions that differ.
class Loads {
 public:
  explicit Loads(const Assignment& assignment) {
    for (const auto& [id, set] : assignment) load_[id] = count(set);
  }
  size_t of(const std::string& id) const { return load_.at(id); }
  void add(const std::string& id) { ++load_.at(id); }
  void move(const std::string& from, const std::string& to) {
    --load_.at(from);
    ++load_.at(to);
  }
  bool less(const std::string& a, const std::string& b) const { return std::pair(of(a), a) < std::pair(of(b), b); }

 private:
  std::map<std::string, size_t> load_;
};

// From the emptiest up, level by level: whoever has reached the next one's level takes turns with it.
void deal(const TopicId& topic, const std::vector<int32_t>& partitions, std::vector<std::string> readers, Assignment& out, Loads& loads) {
  std::sort(readers.begin(), readers.end(), [&](const auto& a, const auto& b) { return loads.less(a, b); });
  size_t level = 1;
  size_t next = 0;
  for (const int32_t partition : partitions) {
    if (next == level) next = 0;
    if (next == 0)
      while (level < readers.size() && loads.of(readers[level]) <= loads.of(readers[0])) ++level;
    give(out[readers[next]], {topic, partition});
    loads.add(readers[next]);
    ++next;
  }
}

// One partition from who has most to who has least, of those that read the topic. False if that helps no more.
bool level_out(const TopicId& topic, const std::vector<std::string>& readers, Assignment& out, Loads& loads) {
  const std::string* most = nullptr;
  const std::string* least = nullptr;
  for (const std::string& id : readers) {
    if (out[id].contains(topic) && (most == nullptr || loads.of(id) > loads.of(*most))) most = &id;
    if (least == nullptr || loads.of(id) < loads.of(*least)) least = &id;
  }
  if (most == nullptr || loads.of(*most) <= loads.of(*least) + 1) return false;
  auto& list = out[*most][topic];
  const int32_t partition = list.back();
  list.pop_back();
  if (list.empty()) out[*most].erase(topic);
  give(out[*least], {topic, partition});
  loads.move(*most, *least);
  return true;
}

Assignment uniform_for_each(const AssignorMembers& members, const AssignorTopics& topics) {
  constexpr int kRounds = 16;
  std::map<TopicId, std::vector<std::string>> readers;
  for (const auto& [id, member] : members)
    for (const TopicId& topic : *member.topics)
      if (topics.contains(topic)) readers[topic].push_back(id);
  AssignorTopics read;
  for (const auto& [topic, who] : readers) read.emplace(topic, topics.at(topic));

  Kept kept(members, read);
  std::map<TopicId, std::vector<int32_t>> rest;
  for (const One& one : kept.unassigned()) rest[one.topic].push_back(one.partition);
  // The hardest first: many partitions for few readers.
  std::vector<TopicId> order;
  for (const auto& [topic, partitions] : rest) order.push_back(topic);
  std::sort(order.begin(), order.end(), [&](const TopicId& a, const TopicId& b) {
    const auto na = static_cast<uint64_t>(read.at(a)) * readers.at(b).size();
    const auto nb = static_cast<uint64_t>(read.at(b)) * readers.at(a).size();
    if (na != nb) return na > nb;
    return std::tuple(readers.at(a).size(), a) < std::tuple(readers.at(b).size(), b);
  });
  Loads loads(kept.out);
  for (const TopicId& topic : order) deal(topic, rest.at(topic), readers.at(topic), kept.out, loads);
  bool moved = true;
  for (int round = 0; round < kRounds && moved; ++round) {
    moved = false;
    for (const auto& [topic, who] : readers)
      while (who.size() > 1 && level_out(topic, who, kept.out, loads)) moved = true;
  }
  return std::move(kept.out);
}

}  // namespace

Assignment assign_uniform(const AssignorMembers& members, const AssignorTopics& topics) {
  if (members.empty()) return {};
  return same_topics(members) ? uniform_for_all(members, topics) : uniform_for_each(members, topics);
}

Assignment assign_range(const AssignorMembers& members, const AssignorTopics& topics) {
  Assignment out;
  for (const auto& [id, member] : members) out[id];
  for (const auto& [topic, partitions] : topics) {
    // Static members first, by their instances: their ids change when they come back.
    std::vector<std::tuple<bool, std::string, std::string>> readers;
    for (const auto& [id, member] : members)
      if (member.topics->contains(topic)) readers.push_back({!member.instance, member.instance.value_or(id), id});
    std::sort(readers.begin(), readers.end());
    const auto n = static_cast<int32_t>(readers.size());
    if (n == 0) continue;
    int32_t next = 0;
    for (int32_t i = 0; i < n; ++i) {
      const int32_t end = next + partitions / n + (i < partitions % n ? 1 : 0);
      for (; next < end; ++next) out[std::get<2>(readers[static_cast<size_t>(i)])][topic].push_back(next);
    }
  }
  return out;
}

Assignment assign(std::string_view assignor, const AssignorMembers& members, const AssignorTopics& topics) {
  return assignor == "range" ? assign_range(members, topics) : assign_uniform(members, topics);
}

}  // namespace taffrail::group
