#include "sim/checkers/group_history.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

namespace taffrail {

void GroupHistory::assigned(Span when, Who who, std::vector<int32_t> partitions) {
  accepted_.push_back({when, who, "sync"});
  assignments_.push_back({std::move(who), std::move(partitions)});
}

void GroupHistory::commit(Span when, Who who, int32_t partition, Offset offset, Outcome outcome) {
  if (outcome == Outcome::kStored) accepted_.push_back({when, who, "commit"});
  commits_.push_back({when, std::move(who), partition, offset, outcome});
}

size_t GroupHistory::generations() const {
  std::set<int32_t> all;
  for (const Join& join : joins_) all.insert(join.who.generation);
  return all.size();
}

size_t GroupHistory::commits(Outcome outcome) const {
  return static_cast<size_t>(std::count_if(commits_.begin(), commits_.end(), [&](const Commit& c) { return c.outcome == outcome; }));
}

std::vector<std::string> GroupHistory::check() const {
  std::vector<std::string> out;
  check_generations(out);
  check_owners(out);
  check_fencing(out);
  check_offsets(out);
  return out;
}

// I-G1: the assignments of one generation are disjoint.
void GroupHistory::check_owners(std::vector<std::string>& out) const {
  std::map<std::pair<int32_t, int32_t>, std::string> owners;
  for (const Assignment& a : assignments_)
    for (const int32_t partition : a.partitions) {
      const auto [it, fresh] = owners.emplace(std::pair(a.who.generation, partition), a.who.place());
      if (!fresh && it->second != a.who.place())
        out.push_back(fmt::format("I-G1 one owner: in generation {} partition {} belongs to {} and to {}", a.who.generation, partition,
                                  it->second, a.who.place()));
    }
}

// I-G2: a question finds the last commit that was acknowledged, or a later one. A commit is later than another if it
// was asked after the other was heard of; one whose answer was never heard may have been stored at any later moment.
void GroupHistory::check_offsets(std::vector<std::string>& out) const {
  for (const Read& read : reads_) {
    std::vector<const Commit*> last;  // Acknowledged before the question, and not followed by another such one.
    std::vector<const Commit*> before;
    for (const Commit& c : commits_)
      if (c.partition == read.partition && c.outcome == Outcome::kStored && c.when.heard < read.when.asked) before.push_back(&c);
    const auto overtaken = [&](const Commit& c) {
      return c.outcome == Outcome::kStored &&
             std::any_of(before.begin(), before.end(), [&](const Commit* later) { return later->when.asked > c.when.heard; });
    };
    bool explained = read.offset == kNoOffset && before.empty();
    for (const Commit& c : commits_)
      explained = explained || (c.partition == read.partition && c.offset == read.offset && c.outcome != Outcome::kRefused &&
                                c.when.asked < read.when.heard && !overtaken(c));
    if (explained) continue;
    int64_t newest = -1;
    for (const Commit* c : before) newest = std::max(newest, c->offset.value);
    out.push_back(fmt::format("I-G2 offsets last: partition {} is found committed at {}, which nobody can have stored last; up to {} "
                              "was acknowledged before", read.partition, read.offset.value, newest));
  }
}

// I-G3, I-G4: once somebody has been told of a later generation, or has taken an instance's place, nothing that was
// asked afterwards under the earlier one is accepted.
void GroupHistory::check_fencing(std::vector<std::string>& out) const {
  for (const Accepted& a : accepted_) {
    for (const Join& join : joins_) {
      if (join.when.heard >= a.when.asked) continue;
      if (join.who.generation > a.who.generation) {
        out.push_back(fmt::format("I-G3 fencing: a {} of {} in generation {} was accepted after {} had been told of generation {}", a.what,
                                  a.who.member, a.who.generation, join.who.member, join.who.generation));
        break;
      }
    }
    if (!a.who.instance) continue;
    Instant own = Instant::never();  // When this one's place was asked for: whoever came after that fences it.
    for (const Join& join : joins_)
      if (join.who.member == a.who.member) own = std::min(own, join.when.heard);
    for (const Join& join : joins_) {
      const bool other = join.who.instance == a.who.instance && join.who.member != a.who.member;
      if (!other || join.when.asked <= own || join.when.heard >= a.when.asked) continue;
      out.push_back(fmt::format("I-G4 static ids: a {} of {} was accepted after {} had taken instance {}", a.what, a.who.member,
                                join.who.member, *a.who.instance));
      break;
    }
  }
}

// I-G7: generations rise, and each is one set of members under one leader.
void GroupHistory::check_generations(std::vector<std::string>& out) const {
  std::map<int32_t, std::string> leaders;
  for (const Join& join : joins_) {
    if (!join.leads) continue;
    const auto [it, fresh] = leaders.emplace(join.who.generation, join.who.place());
    if (!fresh && it->second != join.who.place())
      out.push_back(fmt::format("I-G7 generations: generation {} is led by {} and by {}", join.who.generation, it->second, join.who.place()));
  }
  std::vector<const Join*> by_answer;
  for (const Join& join : joins_) by_answer.push_back(&join);
  std::sort(by_answer.begin(), by_answer.end(), [](const Join* a, const Join* b) { return a->when.heard < b->when.heard; });
  for (const Join& join : joins_)
    for (const Join* earlier : by_answer) {
      if (earlier->when.heard >= join.when.asked) break;
      if (earlier->who.generation <= join.who.generation) continue;
      out.push_back(fmt::format("I-G7 generations: {} joined generation {} after {} had joined {}", join.who.member, join.who.generation,
                                earlier->who.member, earlier->who.generation));
      break;
    }
}

}  // namespace taffrail
