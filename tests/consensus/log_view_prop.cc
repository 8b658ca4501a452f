// Goal: a LogView answers like the whole log would, whatever was done to it.
// Method: random operations on a LogView and on a plain list of terms; all answers are compared.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "consensus/invariants.h"
#include "consensus/log_view.h"
#include "consensus/quorum.h"

namespace taffrail {
namespace {

ReplicaId voter(int n) { return {BrokerId(n), DiskId{}}; }
Configuration of_voters(int n) { return {.voters = {voter(n)}}; }

// Terms of entries first.., behind a prefix.
struct Model {
  EntryId prefix;
  std::vector<Term> terms;
  std::vector<std::pair<LogIndex, int>> memberships = {{LogIndex(0), 0}};

  LogIndex last() const { return prefix.index + static_cast<int64_t>(terms.size()); }
  std::optional<Term> term_at(LogIndex index) const {
    if (index == prefix.index) return prefix.term;
    if (index < prefix.index || index > last()) return std::nullopt;
    return terms[static_cast<size_t>(index - prefix.index - 1)];
  }
};

struct Both {
  LogView view{EntryId{}, of_voters(0)};
  Model model;

  void append(Random& random) {
    const Term term = *model.term_at(model.last()) + static_cast<int64_t>(random.below(4) / 2);
    const EntryId id{model.last() + 1, term};
    model.terms.push_back(term);
    if (random.chance(1, 5)) {
      const int n = static_cast<int>(random.below(100));
      model.memberships.emplace_back(id.index, n);
      view.append(id, of_voters(n));
    } else {
      view.append(id);
    }
  }
  void truncate(Random& random) {
    if (model.terms.empty()) return;
    const uint64_t keep = random.below(model.terms.size());
    const LogIndex from = model.prefix.index + 1 + static_cast<int64_t>(keep);
    model.terms.resize(keep);
    while (model.memberships.size() > 1 && model.memberships.back().first >= from) {
      model.memberships.pop_back();
    }
    view.truncate_from(from);
  }
  void drop(Random& random) {
    const uint64_t count = random.below(model.terms.size() + 1);
    const LogIndex index = model.prefix.index + static_cast<int64_t>(count);
    model.prefix = {index, *model.term_at(index)};
    model.terms.erase(model.terms.begin(), model.terms.begin() + static_cast<ptrdiff_t>(count));
    while (model.memberships.size() > 1 && model.memberships[1].first <= index) {
      model.memberships.erase(model.memberships.begin());
    }
    view.drop_prefix(index);
  }
  void change(Random& random) {
    const uint64_t what = random.below(12);
    if (what < 9) return append(random);
    what < 11 ? truncate(random) : drop(random);
  }
};

RC_GTEST_PROP(LogView, AnswersLikeTheWholeLog, (uint64_t key)) {
  CounterRandom random(key);
  Both both;
  for (int step = 0; step < 80; ++step) {
    both.change(random);
    const LogView& view = both.view;
    const Model& model = both.model;
    RC_ASSERT(view.last().index == model.last());
    for (int64_t i = -1; i <= model.last().value + 2; ++i) {
      RC_ASSERT(view.term_at(LogIndex(i)) == model.term_at(LogIndex(i)));
    }
    RC_ASSERT(view.configuration() == of_voters(model.memberships.back().second));
    for (LogIndex i = view.prefix().index; i <= view.last().index; ++i) {
      int in_force = -1;
      for (const auto& [index, n] : model.memberships) {
        if (index <= i || in_force < 0) in_force = n;
      }
      RC_ASSERT(view.configuration_at(i) == of_voters(in_force));
    }
    // Runs are what they say: ascending, each of a term of its own.
    for (size_t i = 1; i < view.runs().size(); ++i) {
      RC_ASSERT(view.runs()[i - 1].first < view.runs()[i].first);
      RC_ASSERT(view.runs()[i - 1].term < view.runs()[i].term);
    }
  }
}

RC_GTEST_PROP(LogView, AHintLeadsToWhereTwoLogsAgree, (uint64_t key)) {
  // Two logs that share a beginning: leader and follower. Exchanging hints ends at a shared entry,
  // in no more rounds than there are terms.
  CounterRandom random(key);
  Both leader;
  const uint64_t shared = random.below(10);
  for (uint64_t i = 0; i < shared; ++i) leader.append(random);
  Both follower = leader;
  const uint64_t a = random.below(20);
  const uint64_t b = random.below(20);
  // Terms in which either led, never both: odd ones and even ones.
  Term base = leader.view.last().term;
  const auto grow = [&](LogView& log, uint64_t count, int64_t parity) {
    Term term = base + (2 - base.value % 2) + parity;
    for (uint64_t i = 0; i < count; ++i) {
      const int64_t later = random.chance(1, 3) ? 2 : 0;
      term += later;
      log.append({log.last().index + 1, term});
    }
  };
  grow(leader.view, a, 0);
  grow(follower.view, b, 1);

  EntryId prev = leader.view.last();
  int rounds = 0;
  while (!follower.view.contains(prev)) {
    const auto at = leader.view.shared_below(follower.view.hint_for(prev, LogIndex(0)));
    RC_ASSERT(at.has_value());
    RC_ASSERT(*at < prev.index);
    prev = leader.view.at(*at);
    RC_ASSERT(++rounds <= 25);
  }
  RC_ASSERT(rounds <= static_cast<int>(leader.view.runs().size() + follower.view.runs().size()));
  RC_ASSERT(prev.index.value == static_cast<int64_t>(shared));
}

RC_GTEST_PROP(LogView, TheFirstDifferenceIsTheFirst, (uint64_t key)) {
  CounterRandom random(key);
  Both a;
  for (int i = 0; i < 15; ++i) a.append(random);
  Both b = a;
  for (int i = 0; i < 10; ++i) a.change(random);
  for (int i = 0; i < 10; ++i) b.change(random);
  std::optional<LogIndex> expected;
  const LogIndex end = std::min(a.model.last(), b.model.last());
  for (LogIndex i = std::max(a.model.prefix.index, b.model.prefix.index); i <= end; ++i) {
    if (a.model.term_at(i) != b.model.term_at(i)) {
      expected = i;
      break;
    }
  }
  RC_ASSERT(first_difference(a.view, b.view) == expected);
}

TEST(Quorum, NobodyIsNoMajority) {
  const auto everybody = [](const ReplicaId&) { return true; };
  EXPECT_FALSE(quorum_of(Configuration{}, everybody));
  EXPECT_TRUE(quorum_of(of_voters(1), everybody));
}

RC_GTEST_PROP(Quorum, TheQuorumValueIsTheHighestThatAQuorumReached, (uint64_t key)) {
  CounterRandom random(key);
  Configuration configuration;
  std::vector<int> values(9);
  for (int n = 0; n < 9; ++n) {
    values[static_cast<size_t>(n)] = static_cast<int>(random.below(6));
    if (n == 0 || random.chance(1, 2)) configuration.voters.push_back(voter(n));
    if (random.chance(1, 4)) configuration.old_voters.push_back(voter(n));
  }
  const auto value_of = [&](const ReplicaId& r) {
    return values[static_cast<size_t>(r.node.value)];
  };
  const int value = quorum_value<int>(configuration, -1, value_of);
  const auto reached = [&](int v) {
    return quorum_of(configuration, [&](const ReplicaId& r) { return value_of(r) >= v; });
  };
  RC_ASSERT(reached(value));
  RC_ASSERT(!reached(value + 1));
}

TEST(Quorum, JointMembershipsBridgeWhatDisjointOnesDoNot) {
  const Configuration old{.voters = {voter(1), voter(2), voter(3)}};
  const Configuration next{.voters = {voter(4), voter(5), voter(6)}};
  const Configuration joint{.voters = next.voters, .old_voters = old.voters};
  EXPECT_FALSE(quorums_meet(old, next));
  EXPECT_TRUE(quorums_meet(old, joint));
  EXPECT_TRUE(quorums_meet(joint, next));
  EXPECT_TRUE(quorums_meet(old, old));
}

}  // namespace
}  // namespace taffrail
