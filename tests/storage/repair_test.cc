// Goal: a hole in a committed log is filled with what another replica holds, durably, beside what is
// damaged; nothing else fills it; and a log whose beginnings are lost starts over in doubt. Method: two
// stores with the same entries; one is spoiled, and given pieces of the other's.
#include <gtest/gtest.h>

#include "record/builder.h"
#include "storage/inspect.h"
#include "storage/support/test_world.h"

namespace taffrail {
namespace {

constexpr int kEntries = 60;

Entry kafka_batch(LogIndex index, Term term, Offset base) {
  BatchBuilder builder({.base_offset = base, .leader_epoch = static_cast<int32_t>(term.value)});
  builder.add(1000 + base.value, "key", std::string(300, 'v'));
  Entry entry;
  entry.payload = builder.finish();
  entry.meta = {.index = index, .term = term, .kind = EntryKind::kBatch, .base_offset = base, .offset_count = 1,
                .max_timestamp = 1000 + base.value};
  return entry;
}

Entry entry_at(int64_t index) { return kafka_batch(LogIndex(index), Term(index <= 30 ? 1 : 2), Offset(index - 1)); }

StoreOptions small() {
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 64 << 10;
  options.wal_group_bytes_max = 64 << 10;
  return options;
}

std::vector<std::string> files_of_log(const TestWorld& world, std::string_view ending) {
  std::vector<std::string> found;
  for (const std::string& path : world.disk.paths())
    if (path.find("/logs/") != std::string::npos && path.ends_with(ending)) found.push_back(path);
  return found;
}

// Sixty committed entries of two terms, all in segments.
void write_log(TestWorld& world) {
  ASSERT_TRUE(world.open(small()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    for (int64_t i = 1; i <= kEntries; ++i) {
      const Entry entry = entry_at(i);
      log->append(std::span(&entry, 1));
    }
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    log->set_committed(LogIndex(kEntries));
    ASSERT_TRUE(world.store->checkpoint(task));
  }));
  world.close();
}

// The log with its second segment's file gone, and the hole that leaves.
Log* open_with_a_hole(TestWorld& world, std::pair<LogIndex, LogIndex>& hole) {
  write_log(world);
  const std::string file = files_of_log(world, ".log").at(1);
  EXPECT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.disk.remove(task, file)); }));
  EXPECT_TRUE(world.open(small()));
  Log* log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->holes().size(), 1u);
  hole = log->holes().at(0);
  return log;
}

std::vector<Entry> entries(LogIndex first, LogIndex end) {
  std::vector<Entry> out;
  for (LogIndex i = first; i < end; ++i) out.push_back(entry_at(i.value));
  return out;
}

void expect_whole(TestWorld& world, Log* log) {
  EXPECT_TRUE(log->holes().empty());
  ASSERT_TRUE(world.run([&](Task& task) {
    for (int64_t i = 1; i <= kEntries; ++i) {
      const auto read = log->read_entries(task, LogIndex(i), 1, 1);
      ASSERT_TRUE(read.has_value()) << read.error().text();
      EXPECT_EQ(read->front().meta, entry_at(i).meta);
      EXPECT_EQ(read->front().payload.view().size(), entry_at(i).payload.view().size());
      const auto batches = log->read_batches(task, Offset(i - 1), Offset(kEntries), 1);
      ASSERT_TRUE(batches.has_value()) << "offset " << i - 1 << ": " << batches.error().text();
      ASSERT_EQ(batches->size(), 1u);
      EXPECT_EQ(BatchView::parse(batches->front())->base_offset(), Offset(i - 1));
      const auto timed = log->find_batch_by_time(task, 1000 + i - 1, Offset(kEntries));
      ASSERT_TRUE(timed.has_value() && timed->has_value());
      EXPECT_EQ((*timed)->meta.index, LogIndex(i));
      EXPECT_EQ(log->term_at(LogIndex(i)), entry_at(i).meta.term);
    }
  }));
}

TEST(Repair, FillsAHoleInPiecesAndKeepsItOverAPowerCut) {
  TestWorld world;
  std::pair<LogIndex, LogIndex> hole;
  Log* log = open_with_a_hole(world, hole);
  ASSERT_GT(hole.second - hole.first, 2);
  const LogIndex middle = hole.first + 2;
  ASSERT_TRUE(world.run([&](Task& task) {
    ASSERT_TRUE(log->fill_hole(task, entries(hole.first, middle)));
    EXPECT_EQ(log->holes(), (std::vector{std::pair(middle, hole.second)}));
    EXPECT_EQ(log->read_entries(task, middle, 1, 1).error().code, Errc::kCorrupt);
    ASSERT_TRUE(log->fill_hole(task, entries(middle, hole.second)));
  }));
  expect_whole(world, log);
  for (int restart = 0; restart < 2; ++restart) {
    world.crash(true);
    ASSERT_TRUE(world.open(small()));
    expect_whole(world, world.store->find_log(test_key(0)));
  }
}

// Its term would be guessed, and who compares it see another history (S86).
TEST(Repair, ALogDoesNotStartBehindAnEntryThatDoesNotRead) {
  TestWorld world;
  std::pair<LogIndex, LogIndex> hole;
  Log* log = open_with_a_hole(world, hole);
  const EntryId before = log->prefix();
  const auto refused = log->set_log_start(Offset(hole.second.value - 1), hole.second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_EQ(log->prefix(), before);
  EXPECT_EQ(log->start_offset(), Offset(0)) << "all of it or nothing";
  // Behind one that reads it may, the hole in front of it or not.
  ASSERT_TRUE(log->set_log_start(Offset(hole.first.value - 1), hole.first));
  ASSERT_TRUE(log->set_log_start(Offset(hole.second.value), hole.second + 1));
  EXPECT_EQ(log->prefix(), entry_at(hole.second.value).meta.id());
  EXPECT_TRUE(log->holes().empty());
}

TEST(Repair, WhoVotesIsKnownThoughTheSegmentsAreLost) {
  TestWorld world;
  ASSERT_TRUE(world.open(small()));
  std::vector<Entry> all;
  Offset next;
  for (int64_t i = 1; i <= kEntries; ++i) {
    Entry entry = kafka_batch(LogIndex(i), Term(1), next);
    if (i % 10 == 4) {
      entry.meta = {.index = LogIndex(i), .term = Term(1), .kind = EntryKind::kConfig, .base_offset = next};
      entry.payload = Slice(std::string_view("voters of " + std::to_string(i)));
    }
    next = entry.meta.next_offset();
    all.push_back(std::move(entry));
  }
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    for (const Entry& entry : all) log->append(std::span(&entry, 1));
    log->set_committed(LogIndex(kEntries));
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    ASSERT_TRUE(world.store->checkpoint(task));
    // Entry 4 is in force at the beginning now.
    ASSERT_TRUE(world.store->wal().wait_durable(task, *log->set_log_start(Offset(6), LogIndex(8))));
  }));
  world.close();
  for (const std::string& file : files_of_log(world, ".log"))
    ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.disk.remove(task, file)); }));
  ASSERT_TRUE(world.open(small()));
  Log* log = world.store->find_log(test_key(0));
  ASSERT_EQ(log->holes(), (std::vector{std::pair(LogIndex(8), LogIndex(kEntries + 1))}));
  ASSERT_EQ(log->configs().size(), 2u);
  EXPECT_EQ(log->configs()[0].payload, all[3].payload);
  EXPECT_EQ(log->configs()[1].payload, all[53].payload);
  // Those between come back with what is filled in.
  ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(log->fill_hole(task, std::span(all).subspan(7))); }));
  EXPECT_EQ(log->configs().size(), 6u);
  world.crash(true);
  ASSERT_TRUE(world.open(small()));
  EXPECT_TRUE(world.store->find_log(test_key(0))->holes().empty());
  EXPECT_EQ(world.store->find_log(test_key(0))->configs().size(), 6u);
}

TEST(Repair, TakesNothingThatIsNotWhatLayThere) {
  TestWorld world;
  std::pair<LogIndex, LogIndex> hole;
  Log* log = open_with_a_hole(world, hole);
  const auto refused = [&](std::vector<Entry> given, std::string_view what) {
    ASSERT_TRUE(world.run([&](Task& task) {
      const Result<> filled = log->fill_hole(task, given);
      ASSERT_FALSE(filled.has_value()) << what;
      EXPECT_EQ(filled.error().code, Errc::kInvalid) << what;
    }));
  };
  refused(entries(hole.first + 1, hole.second), "not the beginning of the hole");
  refused(entries(hole.first, hole.second + 1), "past its end");
  std::vector<Entry> given = entries(hole.first, hole.second);
  given.erase(given.begin() + 1);
  refused(given, "a gap");
  given = entries(hole.first, hole.second);
  given[1].meta.base_offset = given[1].meta.base_offset + 1;
  refused(given, "offsets that jump");
  given = entries(hole.first, hole.second);
  given[0].meta.term = Term(9);
  refused(given, "a term that falls again");
  given = entries(hole.first, hole.second);
  const Slice payload = given[0].payload;
  given[0].payload = Slice::make(payload.size(), [&](MutableBytes bytes) {
    std::copy(payload.view().begin(), payload.view().end(), bytes.begin());
    bytes[bytes.size() - 1] ^= 1;
  });
  refused(given, "a batch that was changed");
  EXPECT_TRUE(files_of_log(world, ".patch").empty());
  EXPECT_EQ(log->holes().size(), 1u);
}

TEST(Repair, AReadThatMeetsDamageMakesAHoleAndTellsOfIt) {
  TestWorld world;
  write_log(world);
  const std::string file = files_of_log(world, ".log").at(0);
  InspectReport report;
  ASSERT_TRUE(world.run([&](Task& task) { report = *inspect_file(task, world.disk, file, SIZE_MAX); }));
  const auto row = std::find_if(report.rows.begin(), report.rows.end(), [](const InspectRow& r) { return r.kind == "entry"; });
  const LogIndex bad = row->meta.index;
  world.disk.spoil(file, row->position + 70);
  ASSERT_TRUE(world.open(small()));
  Log* log = world.store->find_log(test_key(0));
  int told = 0;
  world.store->on_hole([&](const PartitionKey& key) { told += key == test_key(0) ? 1 : 0; });
  EXPECT_TRUE(log->holes().empty());  // The index beside it vouches for the headers; payloads are read when asked for.
  ASSERT_TRUE(world.run([&](Task& task) {
    EXPECT_EQ(log->read_entries(task, bad, 1, 1).error().code, Errc::kCorrupt);
    EXPECT_EQ(log->read_entries(task, bad, 1, 1).error().code, Errc::kCorrupt);
    EXPECT_EQ(told, 1);
    ASSERT_EQ(log->holes().size(), 1u);
    const auto [first, end] = log->holes().front();
    EXPECT_LE(first, bad);
    EXPECT_LT(bad, end);
    ASSERT_TRUE(log->fill_hole(task, entries(first, end)));
  }));
  expect_whole(world, log);
}

TEST(Repair, APatchThatRotsIsAHoleAgain) {
  TestWorld world;
  std::pair<LogIndex, LogIndex> hole;
  Log* log = open_with_a_hole(world, hole);
  ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(log->fill_hole(task, entries(hole.first, hole.second))); }));
  world.close();
  const std::string patch = files_of_log(world, ".patch").at(0);
  world.disk.spoil(patch, world.disk.contents(patch).size() - 3);
  ASSERT_TRUE(world.open(small()));
  log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->holes(), std::vector{hole});
  EXPECT_TRUE(files_of_log(world, ".patch").empty());
}

TEST(Repair, AnUnreadablePageIsDamageLikeAnyOther) {
  TestWorld world;
  write_log(world);
  const std::string file = files_of_log(world, ".log").at(1);
  world.disk.unreadable = file;
  ASSERT_TRUE(world.open(small()));
  Log* log = world.store->find_log(test_key(0));
  EXPECT_FALSE(log->holes().empty());
  EXPECT_EQ(log->last_index(), LogIndex(kEntries));
  EXPECT_FALSE(log->possibly_longer());
}

TEST(Repair, ALogThatDamageMayHaveTakenIsMadeAgainInDoubt) {
  for (const bool damaged : {false, true}) {
    TestWorld world;
    write_log(world);
    if (damaged)
      for (const std::string& path : world.disk.paths())
        if (path.ends_with(".wal")) world.disk.overwrite(path, std::string(world.disk.contents(path).size(), 'x'));
    ASSERT_TRUE(world.open(small()));
    EXPECT_EQ(world.store->find_log(test_key(0)) == nullptr, damaged);
    for (int restart = 0; restart < 2; ++restart) {
      ASSERT_TRUE(world.run([&](Task&) {
        Log* fresh = *world.store->create_log(test_key(10 + restart), Store::Past::kNone);
        EXPECT_FALSE(fresh->possibly_longer());
        Log* old = *world.store->create_log(test_key(20 + restart), Store::Past::kPossible);
        EXPECT_EQ(old->possibly_longer(), damaged);
        EXPECT_EQ(old->hard_state_doubtful(), damaged);
      }));
      world.close();
      ASSERT_TRUE(world.open(small()));
    }
    if (!damaged) continue;
    // What is left of it is kept.
    const auto paths = world.disk.paths();
    EXPECT_TRUE(std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
      return path.starts_with("shard-0/damaged/" + test_key(0).text());
    }));
  }
}

}  // namespace
}  // namespace taffrail
