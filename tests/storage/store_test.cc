// Goal: what a reader should know of a store, by example: what is durable when, what it costs, what a
// restart keeps. Method: a store with tiny segments on a disk that forgets.
#include <gtest/gtest.h>

#include "storage/support/test_world.h"

namespace taffrail {
namespace {

#define OK(...)                                                        \
  ({                                                                   \
    auto&& ok_result = (__VA_ARGS__);                                  \
    EXPECT_TRUE(ok_result.has_value()) << ok_result.error().text();    \
    *std::move(ok_result);                                             \
  })

TEST(Store, AnEmptyOneOpensAndOpensAgain) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().fresh);
  world.close();
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_FALSE(world.store->recovery().fresh);
  EXPECT_TRUE(world.store->recovery().damage.empty());
}

TEST(Store, WhatWasWaitedForSurvivesAPowerCut) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    log->save_hard_state({Term(3), ReplicaId{BrokerId(2), Uuid{1, 1}}});
    append_batches(*log, Term(3), 5, 100);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    EXPECT_EQ(log->durable_index(), LogIndex(5));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  Log* log = world.store->find_log(test_key(0));
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(log->last(), (EntryId{LogIndex(5), Term(3)}));
  EXPECT_EQ(log->next_offset(), Offset(5));
  EXPECT_EQ(log->hard_state().term, Term(3));
  EXPECT_EQ(log->hard_state().vote, (ReplicaId{BrokerId(2), Uuid{1, 1}}));
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto entries = OK(log->read_entries(task, LogIndex(1), 1 << 20, 100));
    ASSERT_EQ(entries.size(), 5u);
    EXPECT_EQ(entries[4].payload, batch_entry(LogIndex(5), Term(3), Offset(4), 1, 100).payload);
  }));
}

StoreOptions tiny_wal(uint32_t segment_bytes) {
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = options.wal_segment_bytes = segment_bytes;
  return options;
}

// What waits to leave the write-ahead log must not fill the disk, nor be read again because it has left memory.
TEST(Store, TheWriteAheadLogWaitsForSegmentsThatAreBehind) {
  TestWorld world;
  StoreOptions options = tiny_wal(16384);
  options.arena_bytes = 8192;
  ASSERT_TRUE(world.open(options));
  world.disk.hold_segments = true;
  Log* log = nullptr;
  ASSERT_TRUE(world.run([&](Task&) { log = OK(world.store->create_log(test_key(0))); }));
  const auto groups = [&](int count) {
    const Instant begin = world.runtime().now();
    EXPECT_TRUE(world.run([&](Task& task) {
      for (int i = 0; i < count; ++i) {
        ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 1000)));
        log->set_committed(log->last_index());
      }
    }));
    return world.runtime().now() - begin;
  };
  EXPECT_EQ(groups(1), 0_ms);
  // Memory holds seven of them.
  EXPECT_GE(groups(20), 20_ms * 12);
  groups(70);
  ASSERT_GT(world.store->wal().segments_held(), 5u);
  EXPECT_GE(groups(10), 200_ms * 10);
  world.disk.release_segments();
  world.pass(1_s);
  for (int i = 0; i < 30 && world.store->wal().segments_held() > 4; ++i) {
    EXPECT_LE(groups(1), 20_ms);
    world.pass(1_s);
  }
  EXPECT_LE(world.store->wal().segments_held(), 4u);
}

// A follower that catches up is given more at a time than a segment holds, and each turn of the oldest segment lets a group
// through: a disk was filled by a log of 1.2 GiB, which nothing could shorten then.
TEST(Store, AWriteAheadLogThatIsTooLongGrowsSlowly) {
  TestWorld world;
  StoreOptions options = tiny_wal(16384);
  options.wal_group_bytes_max = 1 << 20;
  ASSERT_TRUE(world.open(options));
  world.disk.hold_segments = true;
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    const Wal& wal = world.store->wal();
    const auto write = [&](int batches) {
      const Instant begin = world.runtime().now();
      EXPECT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), batches, 1000)));
      log->set_committed(log->last_index());
      return world.runtime().now() - begin;
    };
    while (wal.segments_held() < 8) write(1);
    EXPECT_GE(write(300), 10_s) << "an eighth of a segment at a time";
    EXPECT_LE(write(1), 200_ms) << "and what is small goes as before";
  }));
  world.disk.release_segments();
  world.pass(1_s);
  EXPECT_LE(world.store->wal().segments_held(), 5u) << "all that is too much goes, not one with each group";
}

// However much comes, there is a turn for the oldest segment of the write-ahead log.
TEST(Store, TheWriteAheadLogIsLetGoUnderLoad) {
  TestWorld world;
  StoreOptions options = tiny_wal(65536);
  options.wal_group_bytes_max = 65536;
  ASSERT_TRUE(world.open(options));
  size_t most = 0;
  ASSERT_TRUE(world.run([&](Task& task) {
    std::vector<Log*> logs;
    for (int i = 0; i < 3; ++i) logs.push_back(OK(world.store->create_log(test_key(i))));
    for (int i = 0; i < 900; ++i) {
      for (Log* log : logs) append_batches(*log, Term(1), 2, 1000);
      ASSERT_TRUE(world.store->wal().wait_durable(task, world.store->wal().last()));
      for (Log* log : logs) log->set_committed(log->last_index());
      most = std::max(most, world.store->wal().segments_held());
    }
  }));
  // Of 83 that were written.
  EXPECT_LE(most, 16u);
}

TEST(Store, OneAppendCostsOneWriteAndOneSync) {
  TestWorld world;
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 1 << 20;
  ASSERT_TRUE(world.open(options));
  world.pass(800_ms);  // The next segment is prepared by now.
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    const WalStats before = world.store->wal().stats();
    const uint64_t writes = world.disk.writes;
    const uint64_t syncs = world.disk.syncs;
    ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 100)));
    EXPECT_EQ(world.store->wal().stats().writes, before.writes + 1);
    EXPECT_EQ(world.store->wal().stats().syncs, before.syncs + 1);
    EXPECT_EQ(world.disk.writes, writes + 1);
    EXPECT_EQ(world.disk.syncs, syncs + 1);
  }));
}

TEST(Store, AThousandAppendsThatArriveDuringASyncShareTheNextOne) {
  TestWorld world;
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 4 << 20;
  options.wal_group_bytes_max = 1 << 20;
  ASSERT_TRUE(world.open(options));
  ASSERT_TRUE(world.run([&](Task& task) {
    std::vector<Log*> logs;
    for (int i = 0; i < 100; ++i) logs.push_back(OK(world.store->create_log(test_key(i))));
    Wal& wal = world.store->wal();
    ASSERT_TRUE(wal.wait_durable(task, wal.last()));
    const uint64_t syncs = wal.stats().syncs;
    world.disk.hold_syncs = true;
    append_batches(*logs[0], Term(1), 1, 100);
    for (int i = 0; i < 20; ++i) task.scheduler().yield(task);  // The first is on its way.
    for (int i = 0; i < 1000; ++i) append_batches(*logs[static_cast<size_t>(i) % 100], Term(1), 1, 100);
    EXPECT_LT(wal.durable(), wal.last());
    world.disk.release_syncs();
    ASSERT_TRUE(wal.wait_durable(task, wal.last()));
    EXPECT_EQ(wal.stats().syncs, syncs + 2);
    EXPECT_EQ(wal.stats().writes, wal.stats().syncs);
  }));
}

TEST(Store, AnIdleOneWritesOneClosingMark) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
  }));
  const uint64_t marks = world.store->wal().stats().marks;
  world.pass(10_s);
  EXPECT_EQ(world.store->wal().stats().marks, marks + 1);
  world.pass(100_s);
  EXPECT_EQ(world.store->wal().stats().marks, marks + 1);
}

TEST(Store, AFailedSyncIsFinalAndSaidOnce) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    world.disk.fail_syncs = 1;
    const WalSequence lost = append_batches(*log, Term(1), 1, 100);
    EXPECT_EQ(world.store->wal().wait_durable(task, lost).error().code, Errc::kIo);
    EXPECT_FALSE(world.stopped_because.empty());
    EXPECT_TRUE(world.store->failed());
    // The disk works again; the log does not believe it.
    EXPECT_EQ(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 100)).error().code, Errc::kIo);
    EXPECT_EQ(log->durable_index(), LogIndex(0));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(0));
}

TEST(Store, TruncateAndAShorterAppendSurviveACrashAsTheyWere) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = OK(world.store->create_log(test_key(0)));
    append_batches(*log, Term(1), 8, 50);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    OK(log->truncate_from(LogIndex(4)));
    append_batches(*log, Term(2), 2, 50);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = world.store->find_log(test_key(0));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  EXPECT_EQ(log->last(), (EntryId{LogIndex(5), Term(2)}));
  EXPECT_EQ(log->term_at(LogIndex(3)), Term(1));
  EXPECT_EQ(log->term_at(LogIndex(4)), Term(2));
  EXPECT_EQ(log->next_offset(), Offset(5));
}

TEST(Store, WhatIsCommittedIsNeverCut) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  append_batches(*log, Term(1), 5, 50);
  log->set_committed(LogIndex(3));
  EXPECT_EQ(log->truncate_from(LogIndex(3)).error().code, Errc::kInvalid);
  EXPECT_EQ(log->last_index(), LogIndex(5));
  OK(log->truncate_from(LogIndex(4)));
  EXPECT_EQ(log->last_index(), LogIndex(3));
}

TEST(Store, CommittedEntriesMoveToSegmentsAndTheWriteAheadLogStaysSmall) {
  TestWorld world;
  const StoreOptions options = tiny_options();
  ASSERT_TRUE(world.open(options));
  Log* log = OK(world.store->create_log(test_key(0)));
  Log* quiet = OK(world.store->create_log(test_key(1)));
  append_batches(*quiet, Term(1), 1, 20);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(world.run([&](Task& task) {
      ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 300)));
      log->set_committed(log->last_index());
    }));
  }
  world.pass(1_s);
  EXPECT_LE(world.store->wal().segments_held(), 3u);
  // Zeros are written once, not again for every segment that is begun.
  EXPECT_LE(world.store->wal().stats().segments_made, 6u);
  EXPECT_GT(world.store->wal().stats().segments_recycled, 10u);
  EXPECT_GT(log->segments().size(), 3u);
  EXPECT_LE(world.store->cached_bytes(), options.arena_bytes);
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto batches = OK(log->read_batches(task, Offset(0), log->next_offset(), 1 << 20));
    EXPECT_EQ(batches.size(), 200u);
    const auto entries = OK(quiet->read_entries(task, LogIndex(1), 1000, 10));
    EXPECT_EQ(entries.size(), 1u);
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(options));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->last_index(), LogIndex(200));
  EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(1));
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto entries = OK(log->read_entries(task, LogIndex(1), 1 << 20, 1000));
    ASSERT_EQ(entries.size(), 200u);
    for (const Entry& entry : entries)
      EXPECT_EQ(entry.payload, batch_entry(entry.meta.index, Term(1), entry.meta.base_offset, 1, 300).payload);
  }));
}

TEST(Store, ReadBatchesKeepsItsPromises) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  const Entry three = batch_entry(LogIndex(1), Term(1), Offset(0), 3, 100);
  log->append(std::span(&three, 1));
  Entry noop;
  noop.meta = {.index = LogIndex(2), .term = Term(2), .kind = EntryKind::kNoop, .base_offset = Offset(3)};
  log->append(std::span(&noop, 1));
  append_batches(*log, Term(2), 4, 100);
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto count = [&](int64_t from, int64_t end, ByteCount max) {
      return OK(log->read_batches(task, Offset(from), Offset(end), max)).size();
    };
    EXPECT_EQ(count(0, 7, 10000), 5u);
    EXPECT_EQ(count(2, 7, 10000), 5u);   // The first batch begins before.
    EXPECT_EQ(count(3, 7, 10000), 4u);
    EXPECT_EQ(count(0, 7, 1), 1u);       // At least one.
    EXPECT_EQ(count(0, 7, 250), 2u);
    EXPECT_EQ(count(0, 2, 10000), 0u);   // No batch that reaches past the end.
    EXPECT_EQ(count(7, 7, 100), 0u);
    EXPECT_EQ(log->read_batches(task, Offset(8), Offset(9), 1).error().code, Errc::kOutOfRange);
    EXPECT_EQ(log->read_batches(task, Offset(-1), Offset(9), 1).error().code, Errc::kOutOfRange);
    EXPECT_EQ(log->epoch_end_offset(Term(1)), (std::pair(Term(1), Offset(3))));
    EXPECT_EQ(log->epoch_end_offset(Term(9)), (std::pair(Term(2), Offset(7))));
    EXPECT_EQ(log->epoch_end_offset(Term(0)), std::nullopt);
    const auto hit = OK(log->find_batch_by_time(task, 1004, Offset(7)));
    ASSERT_TRUE(hit.has_value());
    EXPECT_EQ(hit->meta.base_offset, Offset(4));
    EXPECT_FALSE(OK(log->find_batch_by_time(task, 1006, Offset(6))).has_value());
    EXPECT_FALSE(OK(log->find_batch_by_time(task, 5000, Offset(7))).has_value());
  }));
}

// DeleteRecords names any offset: where reading starts, an entry may have begun before.
TEST(Store, WhereReadingStartsWithinAnEntryTheLogBeginsWithAllOfIt) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  for (int i = 0; i < 12; ++i) {
    Entry entry;
    entry.meta = {.index = log->last_index() + 1, .term = Term(1), .kind = EntryKind::kBatch, .base_offset = log->next_offset(), .offset_count = 3};
    entry.payload = Slice(std::string_view(std::string(300, 'x')));
    log->append(std::span(&entry, 1));
  }
  log->set_committed(LogIndex(12));
  ASSERT_TRUE(world.run([&](Task& task) {
    // In a segment, and out of memory; only a synced one is vouched for.
    ASSERT_TRUE(world.store->checkpoint(task));
    const EntryMeta meta = OK(log->read_meta(task, LogIndex(5)));
    EXPECT_EQ(meta.base_offset, Offset(12));
    ASSERT_TRUE(world.store->wal().wait_durable(task, OK(log->set_log_start(Offset(14), LogIndex(5), meta.base_offset))));
  }));
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(log->start_offset(), Offset(14));
    EXPECT_EQ(log->first_index(), LogIndex(5));
    EXPECT_EQ(log->last_index(), LogIndex(12));
    ASSERT_TRUE(world.run([&](Task& task) { EXPECT_EQ(OK(log->read_entries(task, LogIndex(5), 1 << 20, 100)).size(), 8u); }));
    world.crash(true);
    ASSERT_TRUE(world.open(tiny_options()));
    EXPECT_TRUE(world.store->recovery().damage.empty());
    log = world.store->find_log(test_key(0));
  }
}

TEST(Store, ANewLogStartUnlinksWholeSegmentsAndOnlyThose) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  append_batches(*log, Term(1), 60, 300);
  log->set_committed(LogIndex(60));
  ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.store->checkpoint(task)); }));
  const auto before = log->segments();
  ASSERT_GT(before.size(), 3u);
  const LogIndex inside = before[2].first_index + 1;
  EXPECT_EQ(log->set_log_start(Offset(100), LogIndex(70)).error().code, Errc::kInvalid);
  OK(log->set_log_start(Offset(inside.value - 1), inside));
  world.pass(1_s);
  EXPECT_EQ(log->segments().size(), before.size() - 2);
  EXPECT_EQ(log->first_index(), inside);
  EXPECT_EQ(log->term_at(inside - 1), Term(1));
  EXPECT_EQ(log->term_at(inside - 2), std::nullopt);
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->first_index(), inside);
  EXPECT_EQ(log->start_offset(), Offset(inside.value - 1));
  EXPECT_EQ(log->segments().size(), before.size() - 2);
  ASSERT_TRUE(world.run([&](Task& task) {
    EXPECT_EQ(log->read_entries(task, inside - 1, 1, 1).error().code, Errc::kOutOfRange);
    EXPECT_EQ(OK(log->read_entries(task, inside, 1 << 20, 1000)).size(), static_cast<size_t>(61 - inside.value));
    // Everything may go.
    OK(log->set_log_start(log->next_offset(), log->last_index() + 1));
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->prefix(), (EntryId{LogIndex(60), Term(1)}));
  EXPECT_EQ(log->next_offset(), Offset(60));
  append_batches(*log, Term(2), 40, 300);
  log->set_committed(log->last_index());
  ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.store->checkpoint(task)); }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(100));
}

TEST(Store, ASnapshotReplacesWhatItCoversOrEverything) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  append_batches(*log, Term(1), 10, 300);
  log->set_committed(LogIndex(6));
  Entry config;
  config.meta = {.index = LogIndex(4), .term = Term(1), .kind = EntryKind::kConfig, .base_offset = Offset(4)};
  config.payload = Slice("voters");
  ASSERT_TRUE(world.run([&](Task& task) {
    // Held: the log goes on behind it.
    ASSERT_TRUE(log->install_snapshot(task, {{LogIndex(7), Term(1)}, Offset(7), Slice("seven")}, Offset(2), config));
    EXPECT_EQ(log->last_index(), LogIndex(10));
    EXPECT_EQ(log->first_index(), LogIndex(8));
    // Not held: it starts anew.
    ASSERT_TRUE(log->install_snapshot(task, {{LogIndex(30), Term(4)}, Offset(25), Slice("thirty")}, Offset(12), config));
    EXPECT_EQ(log->last(), (EntryId{LogIndex(30), Term(4)}));
    EXPECT_EQ(log->next_offset(), Offset(25));
    // Older: ignored.
    ASSERT_TRUE(log->install_snapshot(task, {{LogIndex(9), Term(1)}, Offset(9), Slice("old")}, Offset(2), config));
    append_batches(*log, Term(4), 2, 100);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->prefix(), (EntryId{LogIndex(30), Term(4)}));
  EXPECT_EQ(log->last_index(), LogIndex(32));
  EXPECT_EQ(log->start_offset(), Offset(12));
  ASSERT_EQ(log->configs().size(), 1u);
  EXPECT_EQ(log->configs()[0].payload, Slice("voters"));
  ASSERT_TRUE(world.run([&](Task& task) { EXPECT_EQ(OK(log->read_snapshot(task)).state, Slice("thirty")); }));
  // A snapshot that rots says so, and is not taken for none.
  world.disk.spoil("shard-0/logs/" + test_key(0).text() + "/snapshot", 50);
  ASSERT_TRUE(world.run([&](Task& task) { EXPECT_EQ(log->read_snapshot(task).error().code, Errc::kCorrupt); }));
  // Nor is one that is gone simply not there: the log says that there is one.
  ASSERT_TRUE(world.run([&](Task& task) {
    OK(world.disk.remove(task, "shard-0/logs/" + test_key(0).text() + "/snapshot"));
    EXPECT_EQ(log->read_snapshot(task).error().code, Errc::kCorrupt);
  }));
}

TEST(Store, ARemovedLogStaysRemovedAndMayComeAgain) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  Log* log = OK(world.store->create_log(test_key(0)));
  EXPECT_EQ(world.store->create_log(test_key(0)).error().code, Errc::kExists);
  append_batches(*log, Term(1), 30, 300);
  log->set_committed(LogIndex(30));
  ASSERT_TRUE(world.run([&](Task& task) {
    ASSERT_TRUE(world.store->checkpoint(task));
    ASSERT_TRUE(world.store->remove_log(task, test_key(0)));
    EXPECT_EQ(world.store->remove_log(task, test_key(0)).error().code, Errc::kNotFound);
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_EQ(world.store->find_log(test_key(0)), nullptr);
  log = OK(world.store->create_log(test_key(0)));
  ASSERT_TRUE(world.run([&](Task& task) {
    ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(5), 2, 10)));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(tiny_options()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  EXPECT_EQ(world.store->find_log(test_key(0))->last(), (EntryId{LogIndex(2), Term(5)}));
}

TEST(Store, AFullDiskDelaysSegmentsAndLosesNothing) {
  TestWorld world;
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 64 << 10;
  ASSERT_TRUE(world.open(options));
  Log* log = OK(world.store->create_log(test_key(0)));
  world.pass(100_ms);
  world.disk.room = 700;
  append_batches(*log, Term(1), 20, 300);
  log->set_committed(LogIndex(20));
  world.pass(3_s);
  EXPECT_FALSE(world.store->failed());
  world.disk.room = UINT64_MAX;
  world.pass(3_s);
  ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.store->checkpoint(task)); }));
  world.crash(true);
  ASSERT_TRUE(world.open(options));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  log = world.store->find_log(test_key(0));
  ASSERT_TRUE(world.run([&](Task& task) {
    EXPECT_EQ(OK(log->read_entries(task, LogIndex(1), 1 << 20, 100)).size(), 20u);
  }));
}

TEST(Store, AFullDiskAtTheStartIsAnErrorAndNotADeadlock) {
  TestWorld world;
  world.disk.room = 1000;
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto opened = Store::open(task, world.runtime(), tiny_options());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Errc::kNoSpace);
  }));
  world.disk.room = UINT64_MAX;
  ASSERT_TRUE(world.open(tiny_options()));
}

TEST(Store, AnotherDisksFilesAreRefusedByName) {
  TestWorld world;
  ASSERT_TRUE(world.open(tiny_options()));
  world.close();
  StoreOptions options = tiny_options();
  options.owner.disk = Uuid{8, 8};
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto opened = Store::open(task, world.runtime(), options);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Errc::kCorrupt);
    EXPECT_NE(opened.error().message.find("belongs to disk"), std::string::npos);
  }));
}

}  // namespace
}  // namespace taffrail
