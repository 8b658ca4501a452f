#include "consensus/log_view.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace taffrail {

LogView::LogView(EntryId prefix, Configuration at_prefix) : prefix_(prefix), last_(prefix.index) {
  configurations_.push_back({prefix.index, std::move(at_prefix)});
}

EntryId LogView::last() const {
  if (last_ == prefix_.index) return prefix_;
  return {last_, runs_.back().term};
}

std::optional<Term> LogView::term_at(LogIndex index) const {
  if (index < known_from() || index > last_) return std::nullopt;
  return run_at(index);
}

Term LogView::run_at(LogIndex index) const {
  if (index == prefix_.index) return prefix_.term;
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                      [](LogIndex i, const Run& run) { return i < run.first; });
  return std::prev(after)->term;
}

void LogView::hide_terms_below(LogIndex index) {
  CHECK(index <= last_, "the last entry's term is known");
  hidden_below_ = index;
}

EntryId LogView::at(LogIndex index) const {
  const std::optional<Term> term = term_at(index);
  CHECK(term.has_value(), "the log knows the entry that is asked for");
  return {index, *term};
}

void LogView::append(EntryId id) {
  CHECK(id.index == last_ + 1, "entries continue the log");
  CHECK(id.term >= last().term, "terms never fall along a log");
  if (runs_.empty() || runs_.back().term != id.term) runs_.push_back({id.index, id.term});
  last_ = id.index;
}

void LogView::append(EntryId id, Configuration configuration) {
  append(id);
  configurations_.push_back({id.index, std::move(configuration)});
}

void LogView::truncate_from(LogIndex from) {
  CHECK(from > prefix_.index, "I-R12 what a snapshot covers is not cut");
  if (from > last_) return;
  last_ = from - 1;
  while (!runs_.empty() && runs_.back().first >= from) runs_.pop_back();
  while (configurations_.size() > 1 && configurations_.back().index >= from) {
    configurations_.pop_back();
  }
}

void LogView::drop_prefix(LogIndex index) {
  if (index <= prefix_.index) return;
  CHECK(index <= last_, "what is dropped is held");
  const EntryId prefix{index, run_at(index)};
  // The last run that starts at or before the first entry that stays; it now starts there.
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index + 1,
                                      [](LogIndex i, const Run& run) { return i < run.first; });
  if (after != runs_.begin()) runs_.erase(runs_.begin(), std::prev(after));
  if (index == last_) {
    runs_.clear();
  } else {
    runs_.front().first = index + 1;
  }
  // The membership in force at the prefix stays, as that of the prefix.
  while (configurations_.size() > 1 && configurations_[1].index <= index) {
    configurations_.erase(configurations_.begin());
  }
  prefix_ = prefix;
}

void LogView::reset(EntryId prefix, Configuration at_prefix) {
  prefix_ = prefix;
  last_ = prefix.index;
  hidden_below_ = {};
  runs_.clear();
  configurations_.clear();
  configurations_.push_back({prefix.index, std::move(at_prefix)});
}

EntryId LogView::hint_for(EntryId missing, LogIndex floor) const {
  floor = std::max(floor, prefix_.index);
  LogIndex index = std::min(missing.index, last_);
  while (index > floor) {
    const EntryId here = at(index);
    if (here.term <= missing.term) return here;
    // All of this run has too high a term: go on below it.
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                        [](LogIndex i, const Run& run) { return i < run.first; });
    index = std::prev(after)->first - 1;
  }
  return at(std::min(std::max(index, floor), last_));
}

std::optional<LogIndex> LogView::shared_below(EntryId hint) const {
  LogIndex index = std::min(hint.index, last_);
  while (index >= known_from()) {
    if (at(index).term <= hint.term) return index;
    if (index == prefix_.index) break;
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                        [](LogIndex i, const Run& run) { return i < run.first; });
    index = std::prev(after)->first - 1;
  }
  return std::nullopt;
}

const Configuration& LogView::configuration_at(LogIndex index) const {
  CHECK(index >= prefix_.index, "memberships below the prefix are forgotten");
  const auto after = std::upper_bound(configurations_.begin(), configurations_.end(), index,
                                      [](LogIndex i, const Membership& m) { return i < m.index; });
  return after == configurations_.begin() ? configurations_.front().value : std::prev(after)->value;
}

bool LogView::is_voter_since(LogIndex index, const ReplicaId& replica) const {
  for (size_t i = configurations_.size(); i-- > 0;) {
    if (configurations_[i].value.is_voter(replica)) return true;
    if (configurations_[i].index <= index) return false;
  }
  return false;
}

std::optional<LogIndex> first_difference(const LogView& a, const LogView& b) {
  const LogIndex end = std::min(a.last().index, b.last().index);
  LogIndex index = std::max(a.known_from(), b.known_from());
  // Compared where either starts a run: between those places neither changes.
  const auto ra = a.runs();
  const auto rb = b.runs();
  size_t i = 0;
  size_t j = 0;
  while (index <= end) {
    while (i < ra.size() && ra[i].first <= index) ++i;
    while (j < rb.size() && rb[j].first <= index) ++j;
    if ((i == 0 ? a.prefix().term : ra[i - 1].term) != (j == 0 ? b.prefix().term : rb[j - 1].term)) return index;
    LogIndex next = end + 1;
    if (i < ra.size()) next = std::min(next, ra[i].first);
    if (j < rb.size()) next = std::min(next, rb[j].first);
    index = next;
  }
  return std::nullopt;
}

}  // namespace taffrail
