// Filling holes: what was committed and cannot be read here is asked of the other replicas.
#include <fmt/core.h>

#include "base/check.h"
#include "base/plant.h"
#include "consensus/driver_state.h"

namespace taffrail {
namespace {

constexpr ByteCount kPieceBytes = 1_MiB;
constexpr size_t kPieceEntries = 1000;
constexpr size_t kMetaBytes = 8 + 8 + 1 + 8 + 4 + 8 + 4;  // Of an entry in an answer, without its payload.

}  // namespace

Result<LogView> view_of(const Log& log, const Configuration& bootstrap) {
  Configuration at_prefix = bootstrap;
  std::map<LogIndex, Configuration> later;
  for (const Entry& entry : log.configs()) {
    Configuration configuration = TRY(decode_configuration(entry.payload));
    if (entry.meta.index <= log.prefix().index) {
      at_prefix = std::move(configuration);
    } else {
      later.emplace(entry.meta.index, std::move(configuration));
    }
  }
  LogView view(log.prefix(), std::move(at_prefix));
  const auto& runs = log.term_runs();
  for (size_t i = 0; i < runs.size(); ++i) {
    const LogIndex end = i + 1 < runs.size() ? runs[i + 1].first : log.last_index() + 1;
    // Where a hole hides the beginning, its entries count to the first term that is known.
    const LogIndex from = i == 0 ? log.first_index() : std::max(runs[i].first, log.first_index());
    for (LogIndex index = from; index < end; ++index) {
      const auto it = later.find(index);
      if (it == later.end()) {
        view.append({index, runs[i].term});
      } else {
        view.append({index, runs[i].term}, it->second);
      }
    }
  }
  // A run that is first seen in a hole, or behind it, began somewhere in there. The last entry's term is known.
  LogIndex known;
  for (const auto& [first, end] : log.holes())
    for (const auto& run : runs)
      if (first <= run.first && run.first <= end && log.term_at(first - 1) != run.term)
        known = std::max(known, std::min(run.first, log.committed()));
  if (known > log.prefix().index) view.hide_terms_below(known);
  return view;
}

// Terms and memberships that were hidden are known again. A log that a snapshot is just replacing is not Raft's: it will be
// told of that.
void DriverState::learn_what_was_hidden(RaftGroup::State& g) {
  if (!g.log.holes().empty() || !g.quarantine.empty()) return;
  Result<LogView> view = view_of(g.log, g.bootstrap);
  if (view && view->last() == g.raft.log().last() && *view != g.raft.log()) g.raft.on_repaired(*std::move(view), runtime.now());
}

Result<std::pair<EntryId, Slice>> RaftDriver::ask_for_snapshot(Task& task, const PartitionKey& key, const Log& log,
                                                               const Configuration& bootstrap) {
  DriverState& d = *state_;
  const LogView view = TRY(view_of(log, bootstrap));
  for (const ReplicaId& member : view.configuration().members()) {
    if (member == d.self || !d.peers.connected(member.node)) continue;
    Result<std::pair<EntryId, Slice>> answer = d.call_for_snapshot(task, member.node, key, 2_s);
    if (answer || answer.error().code == Errc::kCancelled) return answer;
  }
  return fail(Errc::kUnavailable, "none of the replicas that can be reached leads");
}

void DriverState::run_repairs(Task& task) {
  while (!task.cancelled()) {
    if (holed.empty()) {
      if (!repair_wake.wait(task)) return;
      continue;
    }
    bool any = false;
    const std::set<PartitionKey> round = holed;
    for (const PartitionKey& key : round) {
      if (task.cancelled()) return;
      any = repair(task, key) || any;
    }
    // Nobody could help: the others may be away, or behind.
    if (!any && !runtime.sleep_for(task, options.election_timeout_min)) return;
  }
}

// One piece of the first hole; true if it was filled, or nothing is left to fill.
bool DriverState::repair(Task& task, const PartitionKey& key) {
  RaftGroup::State* g = find(key);
  if (g == nullptr || g->log.holes().empty()) {
    if (g != nullptr) {
      learn_what_was_hidden(*g);
      runtime.log().info("raft", "{}: nothing is missing here any more", key.text());
    }
    holed.erase(key);
    return true;
  }
  const uint64_t incarnation = g->incarnation;
  const auto [first, end] = g->log.holes().front();
  ByteWriter question;
  write_key(question, key);
  question.i64(first.value);
  question.i64(end.value);
  for (const ReplicaId& member : g->raft.configuration().members()) {
    if (member == self || !peers.connected(member.node)) continue;
    const Result<Slice> answer = peers.call(task, member.node, "entries", {Slice(question.view())}, runtime.now() + 10_s);
    g = find(key, incarnation);
    if (g == nullptr) return true;
    if (!answer) {
      if (answer.error().code == Errc::kCancelled) return false;
      if (answer.error().code == Errc::kOutOfRange && g->raft.leader() == member && !PLANT("R66") && skip_to_start(task, *g, member)) return true;
      if (find(key, incarnation) == nullptr) return true;
      continue;
    }
    ByteReader in(*answer);
    std::vector<Entry> entries;
    while (in.ok() && in.left() >= kMetaBytes) {
      Entry entry;
      entry.meta.index = LogIndex(in.i64());
      entry.meta.term = Term(in.i64());
      entry.meta.kind = static_cast<EntryKind>(in.u8());
      entry.meta.base_offset = Offset(in.i64());
      entry.meta.offset_count = in.i32();
      entry.meta.max_timestamp = in.i64();
      const ByteView payload = in.sized();
      if (!in.ok()) break;
      entry.payload = Slice(payload);
      entries.push_back(std::move(entry));
    }
    Result<> filled = fail(Errc::kCorrupt, "the answer is cut short");
    if (in.done() && !entries.empty()) {
      const GroupUse use(g->uses);
      filled = g->log.fill_hole(task, entries);
    }
    if (find(key, incarnation) == nullptr) return true;
    if (filled) {
      ++repaired;
      learn_what_was_hidden(*g);
      // Whoever waits to read it may: what comes behind it may be missing, too, and is only known once that is read.
      if (!PLANT("R74")) g->events.on_commit(g->raft.commit(), g->commit_offset);
      // Whoever could not be sent what was missing here was given up until now.
      if (g->raft.role() == Role::kLeader)
        for (const Progress& p : g->raft.progress()) want_append(key, p.replica);
      runtime.log().info("raft", "{}: entries {} to {} were repaired from broker {}", key.text(), first.value,
                         entries.back().meta.index.value, member.node.value);
      return true;
    }
    runtime.log().warn("raft", "{}: entries from {} on could not be repaired from broker {}: {}", key.text(),
                       first.value, member.node.value, filled.error().text());
    if (filled.error().code == Errc::kCancelled) return false;
  }
  return false;
}

// What is missing here is gone there, below the start that the leader's log has by now. So the start moves here, too, and
// what the partition was by then comes with it. What stands behind it stays: it was committed here as there.
bool DriverState::skip_to_start(Task& task, RaftGroup::State& asked, const ReplicaId& leader) {
  if (asked.fetching_snapshot || stopping) return false;
  const PartitionKey key = asked.key;
  const uint64_t incarnation = asked.incarnation;
  asked.fetching_snapshot = true;
  Result<std::pair<EntryId, Slice>> answer = call_for_snapshot(task, leader.node, key, 30_s);
  RaftGroup::State* g = find(key, incarnation);
  if (g == nullptr) return true;
  Result<> installed = answer ? Result<>() : std::unexpected(answer.error());
  if (installed) {
    const EntryId last = answer->first;
    const GroupUse use(g->uses);
    if (last.index <= g->log.prefix().index || last.index > g->raft.commit()) installed = fail(Errc::kUnavailable, "it begins elsewhere");
    else installed = g->events.on_snapshot(task, last, g->raft.log().configuration_at(last.index), std::move(answer->second));
    g = find(key, incarnation);
    if (g == nullptr) return true;
  }
  g->fetching_snapshot = false;
  if (!installed) {
    runtime.log().warn("raft", "{}: what is missing here is gone at broker {}, and its snapshot was not taken: {}", key.text(),
                       leader.node.value, installed.error().text());
    return false;
  }
  ++repaired;
  owner->dropped_prefix(key, g->log.prefix().index);
  runtime.log().info("raft", "{}: what was missing here is gone at broker {}; the log begins at entry {} now", key.text(),
                     leader.node.value, g->log.first_index().value);
  return true;
}

// Committed entries only: of others nobody knows yet that they stay. Errors: kOutOfRange if the log begins behind them.
Result<Chain> DriverState::serve_entries(Task& task, Slice body) {
  ByteReader in(body);
  const PartitionKey key = read_key(in);
  const LogIndex first(in.i64());
  const LogIndex end(in.i64());
  if (!in.done() || end <= first) return fail(Errc::kCorrupt, "a question for entries");
  RaftGroup::State* g = find(key);
  if (g == nullptr || !g->quarantine.empty()) return fail(Errc::kNotFound, key.text());
  if (first < g->log.first_index()) return fail(Errc::kOutOfRange, "the log begins later");
  const LogIndex last = std::min(g->raft.commit(), end - 1);
  if (last < first) return fail(Errc::kUnavailable, "not committed here");
  const size_t most = std::min(kPieceEntries, static_cast<size_t>(last - first) + 1);
  const GroupUse use(g->uses);
  const std::vector<Entry> entries = TRY(g->log.read_entries(task, first, kPieceBytes, most));
  if (entries.empty()) return fail(Errc::kUnavailable, "not here");
  Chain parts;
  parts.reserve(2 * entries.size());
  for (const Entry& entry : entries) {
    ByteWriter head;
    head.i64(entry.meta.index.value);
    head.i64(entry.meta.term.value);
    head.u8(static_cast<uint8_t>(entry.meta.kind));
    head.i64(entry.meta.base_offset.value);
    head.i32(entry.meta.offset_count);
    head.i64(entry.meta.max_timestamp);
    head.u32(static_cast<uint32_t>(entry.payload.size()));
    parts.push_back(Slice(head.view()));
    if (!entry.payload.empty()) parts.push_back(entry.payload);
  }
  return parts;
}

}  // namespace taffrail
