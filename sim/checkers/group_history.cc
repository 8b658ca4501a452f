#include "sim/checkers/group_history.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

namespace taffrail {
namespace {

// Of an assignment it is known when it was heard: it was asked for not much earlier.
constexpr Duration kAnswerMax = 2_s;

}  // namespace

void GroupHistory::commit(Span when, Who who, int32_t partition, Offset offset, Outcome outcome) {
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
  look_up_times();
  check_generations(out);
  check_owners(out);
  check_fencing(out);
  check_beats(out);
  check_offsets(out);
  return out;
}

// I-G1: the assignments of one generation are disjoint.
void GroupHistory::check_owners(std::vector<std::string>& out) const {
  std::map<std::pair<int32_t, int32_t>, const Assignment*> owners;
  for (const Assignment& a : assignments_)
    for (const int32_t partition : a.partitions) {
      const auto [it, fresh] = owners.emplace(std::pair(a.who.generation, partition), &a);
      const Assignment& other = *it->second;
      if (fresh || other.who.place() == a.who.place()) continue;
      if (may_have_ended(std::min(a.heard, other.heard) - kAnswerMax, std::max(a.heard, other.heard))) continue;
      out.push_back(fmt::format("I-G1 one owner: in generation {} partition {} belongs to {} and to {}", a.who.generation, partition,
                                other.who.place(), a.who.place()));
    }
}

// Whether an earlier question found what was committed after `commit`: whatever put it there, that was over by then.
bool GroupHistory::came_before_a_find(const Commit& commit, const Read& read) const {
  if (commit.outcome != Outcome::kStored) return false;
  for (size_t i = 0; i < reads_.size(); ++i) {
    const Read& other = reads_[i];
    if (other.partition != commit.partition || other.offset == kNoOffset || other.when.heard >= read.when.asked) continue;
    if (may_be_from_[i] > commit.when.heard) return true;
  }
  return false;
}

bool GroupHistory::was_found(const Read& read) const {
  return std::any_of(reads_.begin(), reads_.end(), [&](const Read& other) {
    return other.partition == read.partition && other.offset != kNoOffset && other.when.heard < read.when.asked;
  });
}

// I-G2, and with it I-R13: a question finds the last commit that was acknowledged, or that was found before, or a later one. A commit
// is later than another if it was asked after the other was heard of; one whose answer was never heard may have been stored at any
// later moment.
void GroupHistory::check_offsets(std::vector<std::string>& out) const {
  for (const Read& read : reads_) {
    std::vector<const Commit*> last;  // Acknowledged before the question, and not followed by another such one.
    std::vector<const Commit*> before;
    for (const Commit& c : commits_)
      if (c.partition == read.partition && c.outcome == Outcome::kStored && c.when.heard < read.when.asked) before.push_back(&c);
    const auto overtaken = [&](const Commit& c) {
      if (c.outcome != Outcome::kStored) return false;
      // From the end: long histories have such a one there. What takes long to find out is asked last.
      const bool followed = std::any_of(before.rbegin(), before.rend(), [&](const Commit* later) { return later->when.asked > c.when.heard; });
      const auto found_none = [&](const Read& other) {
        return other.partition == c.partition && other.offset == kNoOffset && other.when.asked > c.when.heard && other.when.heard < read.when.asked;
      };
      return followed || std::any_of(reads_.begin(), reads_.end(), found_none) || came_before_a_find(c, read);
    };
    bool explained = read.offset == kNoOffset && ((before.empty() && !was_found(read)) || may_have_expired(read));
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

// Whoever joins or commits was a member at some moment between the question and the answer. The last that was asked first.
void GroupHistory::look_up_times() const {
  memberships_.clear();
  stored_.clear();
  for (const Join& join : joins_) memberships_.push_back(join.when);
  for (const Commit& c : commits_) {
    if (c.outcome != Outcome::kStored) continue;
    memberships_.push_back(c.when);
    stored_.push_back(c.when.asked);
  }
  std::sort(memberships_.begin(), memberships_.end(), [](const Span& a, const Span& b) { return a.asked > b.asked; });
  std::sort(stored_.begin(), stored_.end());
  may_be_from_.assign(reads_.size(), Instant::never());
  for (size_t i = 0; i < reads_.size(); ++i)
    for (const Commit& c : commits_)
      if (c.partition == reads_[i].partition && c.offset == reads_[i].offset && c.outcome != Outcome::kRefused &&
          c.when.asked < reads_[i].when.heard)
        may_be_from_[i] = std::min(may_be_from_[i], c.when.asked);
}

// The last membership that was asked before `at`: later ones were heard later, too.
std::vector<GroupHistory::Span>::const_iterator GroupHistory::asked_before(Instant at) const {
  return std::partition_point(memberships_.begin(), memberships_.end(), [&](const Span& member) { return member.asked >= at; });
}

// I-G6: whether an offset that was committed when `last` says may have had its time at `until`: the group was without
// members for as long as fits between two moments at which it had some, or after the last.
bool GroupHistory::had_its_time(Instant last, Instant until) const {
  if (epochs_) return until - last >= *kept_;
  Instant next = until;  // The first that was heard of those that were asked later.
  for (auto at = asked_before(until); at != memberships_.end() && at->asked >= last; ++at) {
    const Span& member = *at;
    if (next - member.asked >= *kept_) return true;
    next = std::min(next, member.heard);
  }
  return next - last >= *kept_;
}

bool GroupHistory::may_have_expired(const Read& read) const {
  if (!kept_) return false;
  Instant last{};
  for (const Commit& c : commits_)
    if (c.partition == read.partition && c.outcome == Outcome::kStored && c.when.heard < read.when.asked) last = std::max(last, c.when.asked);
  return had_its_time(last, read.when.heard);
}

// Whether what was told at `from` and what was told at `to` may be of two groups of one name: at some moment the first had
// no member, and no offset any more.
bool GroupHistory::may_have_ended(Instant from, Instant to) const {
  if (!kept_) return false;
  const auto offsets_may_be_gone = [&](Instant empty, Instant at) {
    const auto behind = std::upper_bound(stored_.begin(), stored_.end(), empty);
    return behind == stored_.begin() || had_its_time(*std::prev(behind), at);
  };
  Instant next = to;
  for (auto at = asked_before(to); at != memberships_.end() && at->asked >= from; ++at) {
    const Span& member = *at;
    if (member.asked < next && offsets_may_be_gone(member.asked, next)) return true;
    next = std::min(next, member.heard);
  }
  return from < next && offsets_may_be_gone(from, next);
}

// I-G3, I-G4: once somebody has been told of a later generation, or has taken an instance's place, nothing that was
// asked afterwards under the earlier one is stored. Of heartbeats nothing follows: a coordinator that is cut off answers
// them until it notices, and they change nothing.
void GroupHistory::check_fencing(std::vector<std::string>& out) const {
  for (const Commit& c : commits_) {
    if (c.outcome != Outcome::kStored) continue;
    if (epochs_) check_epoch(c, out);
    for (const Join& join : joins_) {
      if (epochs_ || join.when.heard >= c.when.asked || join.who.generation <= c.who.generation) continue;
      if (may_have_ended(join.when.asked, c.when.heard)) continue;
      out.push_back(fmt::format("I-G3 fencing: a commit of {} in generation {} was stored after {} had been told of generation {}",
                                c.who.member, c.who.generation, join.who.member, join.who.generation));
      break;
    }
    if (!c.who.instance) continue;
    Instant own{};  // When this process last took the place: whoever came after that fences it.
    for (const Join& join : joins_)
      if (join.who.process == c.who.process && join.when.heard <= c.when.asked) own = std::max(own, join.when.heard);
    for (const Join& join : joins_) {
      const bool other = join.who.instance == c.who.instance && join.who.process != c.who.process;
      if (!other || join.when.asked <= own || join.when.heard >= c.when.asked) continue;
      out.push_back(fmt::format("I-G4 static ids: a commit of {} was stored after {} had taken instance {}", c.who.member,
                                join.who.member, *c.who.instance));
      break;
    }
  }
}

// I-G3 where epochs are each member's own: what a member was told to have, and did not hear that it lost, it does not commit
// once somebody else has been given it in a later epoch.
void GroupHistory::check_epoch(const Commit& commit, std::vector<std::string>& out) const {
  const auto has = [&](const Assignment& a) {
    return std::find(a.partitions.begin(), a.partitions.end(), commit.partition) != a.partitions.end();
  };
  const Assignment* last = nullptr;
  for (const Assignment& a : assignments_)
    if (a.who.member == commit.who.member && a.heard <= commit.when.asked && (last == nullptr || a.heard >= last->heard)) last = &a;
  if (last == nullptr || !has(*last)) return;
  for (const Assignment& a : assignments_) {
    const bool later = a.who.generation > commit.who.generation && a.heard < commit.when.asked;
    if (!later || a.who.place() == commit.who.place() || !has(a)) continue;
    if (may_have_ended(a.heard - kAnswerMax, commit.when.heard)) continue;
    out.push_back(fmt::format("I-G3 fencing: a commit of {} in epoch {} of partition {} was stored after {} had been given it in epoch {}",
                              commit.who.member, commit.who.generation, commit.partition, a.who.member, a.who.generation));
    return;
  }
}

// I-G3 of heartbeats where epochs are each member's own: who speaks of an epoch before its last one is fenced; who missed one
// answer is not, when it says what it owns and nothing of its own is on the way besides.
void GroupHistory::check_beats(std::vector<std::string>& out) const {
  std::map<std::string, std::vector<const Beat*>> by_member;
  for (const Beat& b : beats_)
    if (!b.again) by_member[b.who.member].push_back(&b);
  for (const auto& [member, beats] : by_member) {
    const Beat* last = nullptr;    // That was well, since it joined.
    const Beat* missed = nullptr;  // After that.
    bool late = false;  // Earlier ones whose answers were not heard may still come.
    for (const Beat* b : beats) {
      if (b->who.generation <= 0) {
        last = missed = nullptr;
        late = false;
      }
      if (b->heard == Heard::kUnknown) {
        late = late || missed != nullptr || last == nullptr;
        missed = b;
        continue;
      }
      const bool one_way = last != nullptr && missed != nullptr && last->link == b->link && missed->link == b->link;
      if (b->heard == Heard::kFenced && one_way && !late && b->owns && b->who.generation == last->told)
        out.push_back(fmt::format("I-G3 fencing: {} missed one answer in epoch {}, and was fenced", member, b->who.generation));
      if (missed != nullptr) late = true;
      missed = nullptr;
      last = b->heard == Heard::kWell ? b : nullptr;
    }
  }
  for (const Beat& b : beats_) {
    if (!b.again || b.heard != Heard::kWell) continue;
    std::set<int32_t> later;
    bool anew = false;
    bool told = false;
    for (const Beat* own : by_member[b.who.member]) {
      if (own->when.asked > b.when.heard) break;
      anew = anew || (told && own->who.generation <= 0);
      told = told || own->told == b.who.generation;
      if (told && own->when.heard < b.when.asked && own->told > b.who.generation) later.insert(own->told);
    }
    if (!anew && later.size() > 1)
      out.push_back(fmt::format("I-G3 fencing: what {} said in epoch {} was heard again, after it had been told of epoch {}", b.who.member,
                                b.who.generation, *later.rbegin()));
  }
}

// I-G7: generations rise, and each is one set of members under one leader.
void GroupHistory::check_generations(std::vector<std::string>& out) const {
  std::map<int32_t, const Join*> leaders;
  for (const Join& join : joins_) {
    if (!join.leads) continue;
    const auto [it, fresh] = leaders.emplace(join.who.generation, &join);
    const Join& other = *it->second;
    if (fresh || other.who.place() == join.who.place()) continue;
    if (may_have_ended(std::min(join.when.asked, other.when.asked), std::max(join.when.heard, other.when.heard))) continue;
    out.push_back(fmt::format("I-G7 generations: generation {} is led by {} and by {}", join.who.generation, other.who.place(), join.who.place()));
  }
  std::vector<const Join*> by_answer;
  for (const Join& join : joins_) by_answer.push_back(&join);
  std::sort(by_answer.begin(), by_answer.end(), [](const Join* a, const Join* b) { return a->when.heard < b->when.heard; });
  for (const Join& join : joins_)
    for (const Join* earlier : by_answer) {
      if (earlier->when.heard >= join.when.asked) break;
      if (earlier->who.generation <= join.who.generation || may_have_ended(earlier->when.asked, join.when.heard)) continue;
      out.push_back(fmt::format("I-G7 generations: {} joined generation {} after {} had joined {}", join.who.member, join.who.generation,
                                earlier->who.member, earlier->who.generation));
      break;
    }
}

}  // namespace taffrail
