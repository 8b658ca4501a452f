// Goal: for every run of operations, every step at which the node may stop, and every way the disk may
// lose or tear what was in flight: recovery comes to a state that the log once had (W2), not older than
// what was called durable (W3), finds no damage where there was none, and comes to the same when it is
// itself interrupted (I-S7). Between crashes, reads across memory, write-ahead log and segments equal a
// model in memory (I-S1).
// Method: random operations on a few logs with segments of a few KiB, against a vector of entries; every
// state of every log is remembered with its sequence.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "base/plant.h"
#include "storage/support/test_world.h"

namespace taffrail {
namespace {

struct Model {
  EntryId prefix;
  Offset start;
  Offset prefix_offset;
  std::vector<Entry> entries;
  LogHardState hard;
  LogIndex committed;

  EntryId last() const { return entries.empty() ? prefix : entries.back().meta.id(); }
  Offset next() const { return entries.empty() ? prefix_offset : entries.back().meta.next_offset(); }
};

bool same_entries(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Entry& x, const Entry& y) {
    return x.meta == y.meta && x.payload == y.payload;
  });
}

std::string describe(const LogHardState& hard, EntryId prefix, EntryId last, Offset start, const std::vector<Entry>& entries) {
  return "term " + std::to_string(hard.term.value) + (hard.vote ? "v" : "") + ", prefix " + std::to_string(prefix.index.value) + "/" +
         std::to_string(prefix.term.value) + ", last " + std::to_string(last.index.value) + "/" + std::to_string(last.term.value) +
         ", start " + std::to_string(start.value) + ", " + std::to_string(entries.size()) + " entries";
}

class Story {
 public:
  // What really happened: a law that is never put to the test holds too.
  struct Seen {
    int recoveries = 0;
    int interrupted = 0;
    int torn = 0;
    int possibly_longer = 0;
    int truncations = 0;
    int recycled = 0;
    int segments = 0;
  };

  Story(uint64_t seed, StoreOptions options, Seen& to) : seen(to), world(seed), options_(std::move(options)), random_(mix64(seed, 77)) {}

  // Opens and compares every log with what it may be. Empty: all is well.
  std::string open_and_compare() {
    compared_ = false;
    if (!world.open(options_)) return world.disk.stopped() ? "" : "the store does not open";
    const RecoveryReport& report = world.store->recovery();
    ++seen.recoveries;
    seen.torn += report.torn_bytes > 0;
    for (const LogRecovery& log : report.logs) seen.possibly_longer += log.possibly_longer;
    if (!report.damage.empty()) return "damage where there was none: " + report.damage.front().text();
    for (auto& [n, states] : history_) {
      Log* log = world.store->find_log(test_key(n));
      if (log == nullptr) {
        if (durable_ >= states.begin()->first) return "a log is gone";
        continue;
      }
      std::vector<Entry> held;
      std::string problem;
      const bool ended = world.run([&](Task& task) {
        const auto read = log->read_entries(task, log->first_index(), 1 << 30, SIZE_MAX);
        if (read) held = *read;
        if (!read) problem = read.error().text();
      });
      if (!ended) return "";
      if (!problem.empty()) return problem;
      // Which of its states is it?
      std::optional<WalSequence> found;
      for (const auto& [sequence, state] : states) {
        const auto next = states.upper_bound(sequence);
        if (next != states.end() && next->first <= durable_) continue;  // Older than what was durable.
        if (state.hard == log->hard_state() && state.prefix == log->prefix() && state.start == log->start_offset() &&
            state.next() == log->next_offset() && same_entries(state.entries, held))
          found = sequence;
      }
      if (!found) {
        std::string text = "log " + std::to_string(n) + " is in no state that it may be in: it is " +
                           describe(log->hard_state(), log->prefix(), log->last(), log->start_offset(), held) +
                           "\n durable is " + std::to_string(durable_.value) + ", and it was";
        for (const auto& [sequence, s] : states)
          text += "\n  at " + std::to_string(sequence.value) + ": " + describe(s.hard, s.prefix, s.last(), s.start, s.entries);
        return text;
      }
      const Model now = states[*found];
      // What lies in segments is committed; Raft knows no more at start.
      models_[n] = now;
      models_[n].committed = log->committed();
    }
    // From here on these are the only states: recovery has made them durable.
    durable_ = world.store->wal().durable();
    for (auto it = history_.begin(); it != history_.end();) {
      if (world.store->find_log(test_key(it->first)) == nullptr) {
        models_.erase(it->first);
        it = history_.erase(it);
        continue;
      }
      it->second.clear();
      it->second[durable_] = models_[it->first];
      ++it;
    }
    compared_ = true;
    return "";
  }

  void remember(int n, WalSequence at) { history_[n][at] = models_[n]; }

  std::string step() {
    const int n = static_cast<int>(random_.below(3));
    Log* log = world.store->find_log(test_key(n));
    if (log == nullptr) {
      log = *world.store->create_log(test_key(n));
      models_[n] = {};
      remember(n, log->last_sequence());
      return "";
    }
    Model& m = models_[n];
    switch (random_.below(12)) {
      case 0: case 1: case 2: case 3: {
        std::vector<Entry> entries;
        const uint64_t count = 1 + random_.below(4);
        const Term term = std::max(m.last().term, Term(1)) + static_cast<int64_t>(random_.below(8) == 0);
        for (uint64_t i = 0; i < count; ++i) {
          const int32_t offsets = static_cast<int32_t>(random_.below(4));
          const uint64_t size = random_.chance(1, 10) ? 1500 : random_.below(200);
          Entry entry = batch_entry(m.last().index + 1, term, m.next(), offsets, size);
          if (offsets == 0) {
            entry.meta.kind = random_.chance(1, 3) ? EntryKind::kConfig : EntryKind::kCommand;
            entry.meta.max_timestamp = -1;
          }
          entries.push_back(entry);
          m.entries.push_back(entry);
          // Every single entry may be the last that arrived.
          if (i + 1 < count) history_[n][world.store->wal().last() + (i + 1)] = m;
        }
        remember(n, log->append(entries));
        break;
      }
      case 4: {
        if (m.last().index <= m.committed) break;
        const LogIndex from = m.committed + 1 + static_cast<int64_t>(
            random_.below(static_cast<uint64_t>(m.last().index - m.committed)));
        while (!m.entries.empty() && m.last().index >= from) m.entries.pop_back();
        const auto cut = log->truncate_from(from);
        ++seen.truncations;
        if (!cut) return cut.error().text();
        remember(n, *cut);
        break;
      }
      case 5: {
        m.hard = {Term(m.hard.term.value + 1), std::nullopt};
        if (random_.chance(1, 2)) m.hard.vote = ReplicaId{BrokerId(1), Uuid{1, 2}};
        remember(n, log->save_hard_state(m.hard));
        break;
      }
      case 6: case 7: {
        // Raft commits what is durable at a majority; here it stands for a durable entry.
        m.committed = std::max(m.committed, std::min(log->durable_index(), m.last().index));
        log->set_committed(m.committed);
        break;
      }
      case 8: {
        if (m.committed <= m.prefix.index || random_.chance(1, 2)) break;
        const LogIndex first = m.prefix.index + 1 +
            static_cast<int64_t>(random_.below(static_cast<uint64_t>(m.committed - m.prefix.index) + 1));
        while (!m.entries.empty() && m.entries.front().meta.index < first) {
          m.prefix = m.entries.front().meta.id();
          m.prefix_offset = m.entries.front().meta.next_offset();
          m.entries.erase(m.entries.begin());
        }
        m.start = std::max(m.start, m.prefix_offset);
        const auto moved = log->set_log_start(m.start, first);
        if (!moved) return moved.error().text();
        remember(n, *moved);
        break;
      }
      case 9: return compare_reads(n, *log);
      default: {
        world.run([&](Task& task) {
          const Result<> done = random_.chance(1, 6) ? world.store->checkpoint(task)
                                                     : world.store->wal().wait_durable(task, log->last_sequence());
          (void)done;  // Stopped in the middle: judged after the restart.
        });
        break;
      }
    }
    return "";
  }

  std::string compare_reads(int n, Log& log) {
    const Model& m = models_[n];
    if (log.last() != m.last() || log.next_offset() != m.next()) return "the end differs";
    std::string problem;
    world.run([&](Task& task) {
      const LogIndex from = log.first_index() + static_cast<int64_t>(random_.below(m.entries.size() + 1));
      const auto entries = log.read_entries(task, from, 1 + random_.below(3000), 1 + random_.below(10));
      if (!entries) return void(problem = entries.error().text());
      for (size_t i = 0; i < entries->size(); ++i) {
        const Entry& want = m.entries[static_cast<size_t>(from - log.first_index()) + i];
        if ((*entries)[i].meta != want.meta || (*entries)[i].payload != want.payload) problem = "an entry differs";
      }
      if (entries->empty() != (from == log.last_index() + 1)) problem = "too few entries";
      const Offset begin = log.start_offset() +
          static_cast<int64_t>(random_.below(static_cast<uint64_t>(log.next_offset() - log.start_offset()) + 1));
      const Offset end = begin + static_cast<int64_t>(random_.below(20));
      const ByteCount max = 1 + random_.below(2000);
      const auto batches = log.read_batches(task, begin, end, max);
      if (!batches) return void(problem = batches.error().text());
      std::vector<Slice> want;
      ByteCount bytes = 0;
      for (const Entry& e : m.entries) {
        if (e.meta.kind != EntryKind::kBatch || e.meta.next_offset() <= begin) continue;
        if (e.meta.next_offset() > end || (bytes > 0 && bytes + e.payload.size() > max)) break;
        bytes += e.payload.size();
        want.push_back(e.payload);
      }
      if (*batches != want) problem = "batches differ";
      for (const Entry& e : m.entries)
        if (log.term_at(e.meta.index) != e.meta.term) problem = "a term differs";
      const int64_t when = 1000 + static_cast<int64_t>(random_.below(300));
      const auto hit = log.find_batch_by_time(task, when, log.next_offset());
      if (!hit) return void(problem = hit.error().text());
      const auto first = std::find_if(m.entries.begin(), m.entries.end(), [&](const Entry& e) {
        return e.meta.kind == EntryKind::kBatch && e.meta.max_timestamp >= when && e.meta.next_offset() > m.start;
      });
      if (hit->has_value() != (first != m.entries.end()) || (*hit && (*hit)->meta != first->meta))
        problem = "the time index differs";
    });
    return problem;
  }

  std::string run(int lives, int steps) {
    for (int life = 0; life < lives; ++life) {
      if (random_.chance(1, 2)) world.disk.stop_at = world.disk.steps + 1 + random_.below(120);
      std::string problem = open_and_compare();
      if (!problem.empty()) return problem;
      for (int i = 0; i < steps && !world.disk.stopped() && world.store; ++i) {
        problem = step();
        if (!problem.empty() && !world.disk.stopped()) return problem;
        if (random_.chance(1, 20)) world.pass(2_s);
        if (world.store->failed()) return "the store failed";
      }
      seen.interrupted += !world.store;
      if (world.store) {
        seen.recycled += static_cast<int>(world.store->wal().stats().segments_recycled);
        for (Log* log : world.store->logs()) seen.segments += static_cast<int>(log->segments().size());
      }
      // Stopped before the comparison was done: the new sequences mean nothing to the old history.
      if (world.store && compared_) durable_ = std::max(durable_, world.store->wal().durable());
      world.crash(random_.chance(2, 3));
    }
    // Undisturbed at last, and complete.
    return open_and_compare();
  }

  Seen& seen;
  TestWorld world;

 private:
  StoreOptions options_;
  CounterRandom random_;
  std::map<int, Model> models_;
  std::map<int, std::map<WalSequence, Model>> history_;
  WalSequence durable_;
  bool compared_ = false;
};

std::string tell(uint64_t seed, Story::Seen& seen) {
  StoreOptions options = tiny_options();
  CounterRandom knobs(mix64(seed, 5));
  if (knobs.chance(1, 3)) options.wal_segment_bytes = 16384;
  if (knobs.chance(1, 3)) options.arena_bytes = 0;
  if (knobs.chance(1, 3)) options.chunk_bytes = 200;
  if (knobs.chance(1, 3)) options.wal_segments_kept = 1;
  if (knobs.chance(1, 3)) options.segment_bytes = 100;
  Story story(seed, options, seen);
  return story.run(6, 60);
}

std::string tell(uint64_t seed) {
  Story::Seen seen;
  return tell(seed, seen);
}

TEST(Recovery, KeepsAStateTheLogHadAndAllThatWasSynced) {
  Story::Seen seen;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const std::string problem = tell(seed, seen);
    ASSERT_EQ(problem, "") << "seed " << seed;
  }
  EXPECT_GT(seen.recoveries, 1000);
  EXPECT_GT(seen.interrupted, 50);
  EXPECT_GT(seen.torn, 20);
  EXPECT_GT(seen.possibly_longer, 20);
  EXPECT_GT(seen.truncations, 1000);
  EXPECT_GT(seen.recycled, 300);
  EXPECT_GT(seen.segments, 1000);
}

// 177, and the last but one: an index that an earlier segment of that name left behind passed for the new one's. 2781: while
// files of a moved start went, the start moved on, and more went than was durable. 4018: of a start that was cut short half was
// found by the next. The last: an index of chunks that a start had cut away, and of the same length as those that came instead.
TEST(Recovery, HoldsWhereItDidNot) {
  for (const uint64_t seed : {177ULL, 2781ULL, 4018ULL, 243872122864827ULL, 33480272230479202ULL}) EXPECT_EQ(tell(seed), "") << "seed " << seed;
}

RC_GTEST_PROP(Recovery, HoldsForAnySeed, (uint64_t seed)) { RC_ASSERT(tell(seed) == ""); }

#ifdef TAFFRAIL_PLANTS
// Each planted bug of the write path is found by the law above, within so many seeds.
class Planted : public testing::TestWithParam<const char*> {};
TEST_P(Planted, IsFoundByTheLaw) {
  select_plant(GetParam());
  bool found = false;
  for (uint64_t seed = 1; seed <= 300 && !found; ++seed) found = !tell(seed).empty();
  select_plant("");
  EXPECT_TRUE(found);
}
INSTANTIATE_TEST_SUITE_P(Storage, Planted, testing::Values("S04", "S07", "S16"));
#endif

}  // namespace
}  // namespace taffrail
