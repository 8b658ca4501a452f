// Goal: each mistake that storage was seen to invite has a story that tells when somebody makes it.
// Method: a story ends with "" if all is well. Every one is run on the right code; with TAFFRAIL_PLANTS
// also on the code with its mistake planted, where it must not end so. S04, S07 and S16 are found by the
// law of recovery_prop.cc.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/plant.h"
#include "storage/segment.h"
#include "storage/support/test_world.h"

namespace taffrail {
namespace {

StoreOptions roomy() {
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 64 << 10;
  return options;
}

// S01: a failed sync is retried, and the second success is taken for durability (fsyncgate).
std::string failed_sync() {
  TestWorld world;
  if (!world.open(roomy())) return "no store";
  bool promised = false;
  world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    if (!world.store->wal().wait_durable(task, log->last_sequence())) return;
    world.disk.fail_syncs = 1;
    promised = world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 100)).has_value();
  });
  world.crash(true);
  if (!world.open(roomy())) return "no store";
  return promised && world.store->find_log(test_key(0))->last_index() < LogIndex(1) ? "I-D1: acknowledged and lost" : "";
}

// S03: a snapshot gets its name before its content is durable.
std::string snapshot_and_power_cut() {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    TestWorld world(seed);
    if (!world.open(roomy())) return "no store";
    world.run([&](Task& task) {
      Log* log = *world.store->create_log(test_key(0));
      append_batches(*log, Term(1), 3, 100);
      for (int64_t i = 1; i <= 2; ++i)
        (void)log->save_snapshot(task, {{LogIndex(i), Term(1)}, Offset(i), Slice(std::string(9000, 's'))});
    });
    world.crash(true);
    if (!world.open(roomy())) return "no store";
    std::string problem;
    world.run([&](Task& task) {
      const auto read = world.store->find_log(test_key(0))->read_snapshot(task);
      if (!read || read->last.index != LogIndex(2)) problem = "I-S7: a saved snapshot is gone";
    });
    if (!problem.empty()) return problem;
  }
  return "";
}

// S08: whatever checksum is bad, the log is cut there.
std::string rot_in_the_middle() {
  TestWorld world;
  if (!world.open(roomy())) return "no store";
  world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    for (int i = 0; i < 5; ++i) (void)world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 600));
  });
  world.crash(false);
  // Some byte of the third payload: the newest segment holds one group each 1024 bytes from the log's birth on.
  std::string file;
  for (const std::string& path : world.disk.paths())
    if (path.find("/wal/") != std::string::npos && world.disk.contents(path).size() == (64u << 10)) file = path;
  const std::string payload(as_text(batch_entry(LogIndex(3), Term(1), Offset(2), 1, 600).payload.view()));
  const size_t at = world.disk.contents(file).find(payload);
  if (at == std::string::npos) return "the payload is not where it is looked for";
  world.disk.spoil(file, at + 300);
  if (!world.open(roomy())) return "no store";
  const bool said = !world.store->recovery().damage.empty() && world.store->find_log(test_key(0))->possibly_longer();
  return said ? "" : "I-D1: damage was taken for the end";
}

// S09: a snapshot that does not decode is taken for an empty one.
std::string rotten_snapshot() {
  TestWorld world;
  if (!world.open(roomy())) return "no store";
  std::string problem;
  world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    append_batches(*log, Term(1), 1, 100);
    (void)log->save_snapshot(task, {{LogIndex(1), Term(1)}, Offset(1), Slice("state")});
    world.disk.spoil("shard-0/logs/" + test_key(0).text() + "/snapshot", 60);
    const auto read = log->read_snapshot(task);
    if (read) problem = "I-R7: a rotten snapshot was read as if it were good";
  });
  return problem;
}

// S18: a chunk that did not fit counts as written, and the log goes on behind it.
std::string half_a_chunk() {
  TestWorld world;
  StoreOptions options = tiny_options();
  options.wal_segment_bytes = 64 << 10;
  if (!world.open(options)) return "no store";
  world.pass(1_s);
  Log* log = *world.store->create_log(test_key(0));
  world.run([&](Task& task) {
    (void)world.store->wal().wait_durable(task, append_batches(*log, Term(1), 10, 300));
    world.disk.room = 700;
    log->set_committed(LogIndex(10));
  });
  world.pass(1_s);
  world.disk.room = UINT64_MAX;
  world.run([&](Task& task) { (void)world.store->checkpoint(task); });
  world.pass(1_s);
  world.crash(false);
  if (!world.open(options)) return "no store";
  log = world.store->find_log(test_key(0));
  return log->last_index() == LogIndex(10) && log->holes().empty() && world.store->recovery().damage.empty() ? "" : "I-S1: acknowledged and lost";
}

// S20: checksums leave out the address, and a write that went astray reads as good.
std::string astray() {
  TestWorld world;
  if (!world.open(roomy())) return "no store";
  world.run([&](Task& task) {
    for (int n = 0; n < 2; ++n) {
      Log* log = *world.store->create_log(test_key(n));
      append_batches(*log, Term(1), 3, n == 0 ? 300 : 299);
      (void)world.store->wal().wait_durable(task, log->last_sequence());
      log->set_committed(LogIndex(3));
    }
    (void)world.store->checkpoint(task);
  });
  world.close();
  const std::string name = Segment::file_name(LogIndex(1));
  const std::string mine = "shard-0/logs/" + test_key(0).text() + "/" + name;
  const std::string other = "shard-0/logs/" + test_key(1).text() + "/" + name;
  world.disk.overwrite(mine, world.disk.contents(mine).substr(0, kSegmentHeaderSize) +
                                 world.disk.contents(other).substr(kSegmentHeaderSize));
  if (!world.open(roomy())) return "no store";
  std::string problem;
  world.run([&](Task& task) {
    const auto read = world.store->find_log(test_key(0))->read_entries(task, LogIndex(1), 1, 1);
    if (read && read->front().payload.size() != 300) problem = "I-S1: another log's bytes";
  });
  return problem;
}

// S13: while files below the log's start go the start moves on, and more of them go before that is durable.
std::string start_that_moves_on() {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    TestWorld world(seed);
    if (!world.open(tiny_options())) return "no store";
    Log* log = *world.store->create_log(test_key(0));
    append_batches(*log, Term(1), 60, 300);
    log->set_committed(LogIndex(60));
    world.run([&](Task& task) { (void)world.store->checkpoint(task); });
    const auto segments = log->segments();
    if (segments.size() < 4) return "too few segments";
    const auto begin_at = [&](size_t i) {
      (void)log->set_log_start(Offset(segments[i].first_index.value - 1), segments[i].first_index);
    };
    bool moved = false;
    world.disk.on_remove = [&] {
      if (std::exchange(moved, true)) return;
      world.disk.hold_syncs = true;
      begin_at(3);
    };
    begin_at(1);
    world.pass(1_s);
    if (!moved) return "nothing went";
    world.crash(true);
    world.disk.on_remove = [] {};
    world.disk.hold_syncs = false;
    if (!world.open(tiny_options())) return "no store";
    if (!world.store->find_log(test_key(0))->holes().empty()) return "I-S6: files went before the new start was durable";
  }
  return "";
}

struct Tale {
  const char* plant;
  std::string (*tell)();
};
class Story : public testing::TestWithParam<Tale> {};

TEST_P(Story, EndsWellOnTheRightCode) { EXPECT_EQ(GetParam().tell(), ""); }

#ifdef TAFFRAIL_PLANTS
// In a process of its own: some mistakes end at a CHECK.
TEST_P(Story, EndsBadlyWithItsMistakePlanted) {
  const auto tell = [] {
    select_plant(GetParam().plant);
    const std::string end = GetParam().tell();
    std::fprintf(stderr, "%s\n", end.c_str());
    std::exit(end.empty() ? 0 : 1);
  };
  EXPECT_EXIT(tell(), [](int status) { return status != 0; }, "");
}
#endif

INSTANTIATE_TEST_SUITE_P(Storage, Story,
                         testing::Values(Tale{"S01", failed_sync}, Tale{"S03", snapshot_and_power_cut},
                                         Tale{"S08", rot_in_the_middle}, Tale{"S09", rotten_snapshot}, Tale{"S13", start_that_moves_on},
                                         Tale{"S18", half_a_chunk}, Tale{"S20", astray}),
                         [](const auto& one) { return one.param.plant; });

}  // namespace
}  // namespace taffrail
