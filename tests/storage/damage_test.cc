// Goal: damage is told from a torn tail, reported by file and place, contained to what it hit, and never
// turned into deletion. Method: write, close or crash, spoil chosen bytes, open again.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "storage/inspect.h"
#include "storage/segment.h"
#include "storage/support/test_world.h"
#include "storage/wal_format.h"
#include "storage/wal_scan.h"

namespace taffrail {
namespace {

StoreOptions roomy() {
  StoreOptions options = tiny_options();
  options.wal_first_segment_bytes = 64 << 10;
  options.wal_group_bytes_max = 64 << 10;
  return options;
}

std::vector<std::string> wal_files(const TestWorld& world) {
  std::vector<std::string> found;
  for (const std::string& path : world.disk.paths())
    if (path.ends_with(".wal")) found.push_back(path);
  return found;
}

std::vector<std::string> segment_files(const TestWorld& world, int n) {
  std::vector<std::string> found;
  for (const std::string& path : world.disk.paths())
    if (path.find(test_key(n).text()) != std::string::npos && path.ends_with(".log")) found.push_back(path);
  return found;
}

// The row of the `nth` frame of a kind for log `n` in any write-ahead segment.
struct Found {
  std::string file;
  InspectRow row;
};
std::vector<Found> frames(TestWorld& world, std::string_view kind, std::optional<int> n) {
  std::vector<Found> found;
  for (const std::string& file : wal_files(world)) {
    EXPECT_TRUE(world.run([&](Task& task) {
      const auto report = inspect_file(task, world.disk, file, SIZE_MAX);
      ASSERT_TRUE(report.has_value()) << report.error().text();
      for (const InspectRow& row : report->rows)
        if (row.kind == kind && (!n || row.log == test_key(*n))) found.push_back({file, row});
    }));
  }
  return found;
}

// Two logs, five groups each, one entry a group.
void write_ten_groups(TestWorld& world, const StoreOptions& options = roomy()) {
  ASSERT_TRUE(world.open(options));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* a = *world.store->create_log(test_key(0));
    Log* b = *world.store->create_log(test_key(1));
    for (int i = 0; i < 5; ++i)
      for (Log* log : {a, b})
        ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 100)));
  }));
}

TEST(Damage, BelowAMarkIsReportedAndKeptAndHitsOneLogOnly) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(false);
  const Found hit = frames(world, "entry", 0).at(2);
  const std::string before = world.disk.contents(hit.file);
  world.disk.spoil(hit.file, hit.row.position + kWalFrameHeaderSize + 5);
  const std::string spoiled = world.disk.contents(hit.file);
  ASSERT_NE(before, spoiled);

  for (int restart = 0; restart < 2; ++restart) {
    ASSERT_TRUE(world.open(roomy()));
    const RecoveryReport& report = world.store->recovery();
    Log* a = world.store->find_log(test_key(0));
    EXPECT_EQ(a->last_index(), LogIndex(2));
    EXPECT_TRUE(a->possibly_longer());
    EXPECT_TRUE(a->hard_state_doubtful());
    EXPECT_FALSE(world.store->find_log(test_key(1))->possibly_longer());
    EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(5));
    if (restart == 0) {
      ASSERT_EQ(report.damage.size(), 1u);
      EXPECT_EQ(report.damage[0].file, hit.file);
      EXPECT_EQ(report.damage[0].position, hit.row.position);
      EXPECT_EQ(report.damage[0].log, test_key(0));
      EXPECT_EQ(report.logs[0].known_last, (EntryId{LogIndex(5), Term(1)}));
      ASSERT_EQ(report.set_aside.size(), 1u);
    } else {
      EXPECT_TRUE(report.damage.empty());  // Said once; the flag stays.
    }
    // The damaged file is kept, byte for byte.
    EXPECT_EQ(world.disk.contents("shard-0/damaged/" + hit.file.substr(hit.file.rfind('/') + 1)), spoiled);
    world.crash(true);
  }
  ASSERT_TRUE(world.open(roomy()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* a = world.store->find_log(test_key(0));
    ASSERT_TRUE(world.store->wal().wait_durable(task, a->settle()));
  }));
  world.crash(true);
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_FALSE(world.store->find_log(test_key(0))->possibly_longer());
}

// Whoever took it for the end of the file would lose the other log, too.
TEST(Damage, APageThatCannotBeReadCostsNoMoreThanWhatStandsThere) {
  TestWorld world;
  ASSERT_TRUE(world.open(roomy()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* a = *world.store->create_log(test_key(0));
    Log* b = *world.store->create_log(test_key(1));
    for (int i = 0; i < 3; ++i)
      for (Log* log : {a, b}) ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 1, 9'000)));
  }));
  world.crash(false);
  const Found hit = frames(world, "entry", 0).at(1);
  world.disk.unreadable = hit.file;
  world.disk.unreadable_at = hit.row.position + 4'500;  // Of this entry alone: none of its neighbours' lies in the page.
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_FALSE(world.store->recovery().damage.empty());
  EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(1));
  EXPECT_TRUE(world.store->find_log(test_key(0))->possibly_longer());
  EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(3));
  EXPECT_FALSE(world.store->find_log(test_key(1))->possibly_longer());
}

TEST(Damage, OfTheLastGroupIsPossiblyLongerUnlessAMarkFollowed) {
  for (const bool marked : {false, true}) {
    TestWorld world;
    write_ten_groups(world);
    if (marked) world.pass(10_s);
    world.crash(false);
    const Found hit = frames(world, "entry", 1).at(4);
    world.disk.spoil(hit.file, hit.row.position + kWalFrameHeaderSize + 5);
    ASSERT_TRUE(world.open(roomy()));
    const RecoveryReport& report = world.store->recovery();
    EXPECT_EQ(report.damage.size(), marked ? 1u : 0u);
    EXPECT_EQ(report.torn_bytes > 0, !marked);
    EXPECT_TRUE(world.store->find_log(test_key(1))->possibly_longer());
    EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(4));
    EXPECT_FALSE(world.store->find_log(test_key(0))->possibly_longer());
  }
}

TEST(Damage, OfTheLastHeaderConcernsEveryLog) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(false);
  const Found hit = frames(world, "group", std::nullopt).back();
  world.disk.spoil(hit.file, hit.row.position + 20);
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  EXPECT_TRUE(world.store->find_log(test_key(0))->possibly_longer());
  EXPECT_TRUE(world.store->find_log(test_key(1))->possibly_longer());
  EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(5));
  EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(4));
}

TEST(Damage, OfAHeaderInTheMiddleIsDamage) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(false);
  const auto groups = frames(world, "group", std::nullopt);
  const Found hit = groups.at(groups.size() - 3);
  world.disk.spoil(hit.file, hit.row.position + 20);
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_FALSE(world.store->recovery().damage.empty());
  EXPECT_FALSE(world.store->recovery().set_aside.empty());
  EXPECT_TRUE(world.store->find_log(test_key(0))->possibly_longer());
  EXPECT_TRUE(world.store->find_log(test_key(1))->possibly_longer());
}

// The header of another shard's segment, of shard 0 or not, over ours: a page that went astray, and no file from elsewhere.
TEST(Damage, OnlyAHeaderOfAnotherShardIsDamage) {
  for (const auto& [own, other] : {std::pair(0U, 1U), std::pair(1U, 0U), std::pair(1U, 2U)}) {
    TestWorld world;
    StoreOptions options = roomy();
    options.owner.shard = own;
    write_ten_groups(world, options);
    world.crash(false);
    const std::string file = wal_files(world).front();
    std::string bytes = world.disk.contents(file);
    WalSegmentHeader header = *parse_wal_segment_header(as_bytes(bytes).first(kWalBlock), file);
    ASSERT_EQ(header.owner.shard, own);
    header.owner.shard = other;
    const std::string astray = encode_wal_segment_header(header);
    bytes.replace(0, astray.size(), astray);
    world.disk.overwrite(file, bytes);
    ASSERT_TRUE(world.open(options)) << own << " " << other;
    EXPECT_FALSE(world.store->recovery().damage.empty());
    EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(5));
    EXPECT_EQ(world.store->find_log(test_key(1))->last_index(), LogIndex(5));
  }
}

// Over the only one there is, too: what is another shard's is never read as ours.
TEST(Damage, TheOnlySegmentMayBeAnotherShardsNow) {
  for (const auto& [own, other] : {std::pair(0U, 1U), std::pair(1U, 0U), std::pair(1U, 2U)}) {
    StoreOptions ours = roomy();
    ours.owner.shard = own;
    StoreOptions theirs = roomy();
    theirs.owner.shard = other;
    TestWorld world;
    TestWorld neighbour;
    write_ten_groups(world, ours);
    write_ten_groups(neighbour, theirs);
    world.crash(false);
    neighbour.crash(false);
    const std::vector<std::string> files = wal_files(world);
    world.disk.overwrite(files[0], neighbour.disk.contents(files[0]));
    ASSERT_TRUE(world.run([&](Task& task) {
      for (size_t i = 1; i < files.size(); ++i) EXPECT_TRUE(world.runtime().disk().remove(task, files[i]));
    }));
    ASSERT_TRUE(world.open(ours)) << own << " " << other;
    EXPECT_FALSE(world.store->recovery().damage.empty()) << own << " " << other;
    EXPECT_TRUE(world.store->logs().empty()) << own << " " << other;
  }
}

// A whole one among ours went astray page by page; where all are somebody else's, somebody copied them.
TEST(Damage, ASegmentOfAnotherShardIsDamageUnlessAllAre) {
  StoreOptions ours = tiny_options();
  StoreOptions theirs = ours;
  theirs.owner.shard = 1;
  TestWorld world;
  TestWorld other;
  write_ten_groups(world, ours);
  write_ten_groups(other, theirs);
  world.crash(false);
  other.crash(false);
  const std::vector<std::string> files = wal_files(world);
  ASSERT_EQ(files, wal_files(other));
  ASSERT_GE(files.size(), 2u);
  world.disk.overwrite(files[0], other.disk.contents(files[0]));
  ASSERT_TRUE(world.open(ours));
  EXPECT_FALSE(world.store->recovery().damage.empty());
  for (int n : {0, 1}) EXPECT_TRUE(world.store->find_log(test_key(n))->possibly_longer()) << n;
  TestWorld copied;
  write_ten_groups(copied, ours);
  copied.crash(false);
  for (const std::string& file : files) copied.disk.overwrite(file, other.disk.contents(file));
  ASSERT_TRUE(copied.run([&](Task& task) {
    const auto opened = Store::open(task, copied.runtime(), ours);
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find("was it copied here?"), std::string::npos) << opened.error().message;
  }));
}

// Its group went with a frame before it: what it said to lie in segments is taken from the write-ahead log after all.
TEST(Damage, WhatATornStateSaidIsNotBelieved) {
  TestWorld world;
  ASSERT_TRUE(world.open(roomy()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 3, 100)));
  }));
  world.crash(false);
  const WalOwner owner = roomy().owner;
  const Found last = frames(world, "group", std::nullopt).back();
  std::string bytes = world.disk.contents(last.file);
  const uint64_t number = *parse_wal_file_name(last.file.substr(last.file.rfind('/') + 1));
  const uint64_t at = wal_round_up(last.row.position + last.row.size_bytes);
  const auto before = parse_wal_group_header(owner, number, last.row.position, as_bytes(bytes).subspan(last.row.position));
  ASSERT_TRUE(before.has_value());

  LogState state;
  state.flushed = {LogIndex(3), Term(1)};
  state.flushed_offset = Offset(3);
  const Entry fourth = batch_entry(LogIndex(4), Term(1), Offset(3), 1, 100);
  std::vector<WalFrame> group(2);
  group[0] = {.kind = FrameKind::kEntry, .key = test_key(0), .meta = fourth.meta, .payload = fourth.payload, .payload_crc = 0, .original = {}, .slot = 0, .sequence = {}};
  group[1] = {.kind = FrameKind::kState, .key = test_key(0), .meta = {}, .payload = Slice(encode_log_state(state)), .payload_crc = 0, .original = {}, .slot = 0, .sequence = {}};
  const std::string list = encode_wal_logs({test_key(0)});
  ByteWriter body;
  body.bytes(as_bytes(list));
  for (size_t i = 0; i < group.size(); ++i) {
    group[i].sequence = group[i].original = before->next + i;
    group[i].payload_crc = crc32c(group[i].payload.view()) + (i == 0 ? 1 : 0);  // The entry did not arrive whole.
    encode_wal_frame_header(body, owner, number, group[i]);
    body.bytes(group[i].payload.view());
  }
  const WalGroupHeader header{.segment = number, .position = at, .first = before->next, .next = before->next + 2, .durable = before->next - 1,
                              .floor = before->floor, .frame_count = 2, .log_count = 1, .frames_size = body.size() - list.size(),
                              .list_crc = crc32c(as_bytes(list))};
  bytes.replace(at, kWalGroupHeaderSize, encode_wal_group_header(owner, header));
  bytes.replace(at + kWalGroupHeaderSize, body.size(), reinterpret_cast<const char*>(body.view().data()), body.size());
  world.disk.overwrite(last.file, bytes);

  ASSERT_TRUE(world.open(roomy()));
  Log* log = world.store->find_log(test_key(0));
  ASSERT_EQ(log->last_index(), LogIndex(3));
  EXPECT_TRUE(log->possibly_longer());
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto entries = log->read_entries(task, LogIndex(1), 1 << 20, 10);
    ASSERT_TRUE(entries.has_value()) << entries.error().text();
    ASSERT_EQ(entries->size(), 3u);
    for (const Entry& entry : *entries)
      EXPECT_EQ(entry.payload, batch_entry(entry.meta.index, Term(1), entry.meta.base_offset, 1, 100).payload);
  }));
}

// Ten groups, and the file ends behind one in the middle: what is left reads well to its end. The file.
std::string cut_between_groups(TestWorld& world) {
  write_ten_groups(world);
  world.crash(false);
  const Found last = frames(world, "group", std::nullopt).at(6);
  world.disk.overwrite(last.file, world.disk.contents(last.file).substr(0, last.row.position));
  return last.file;
}

void expect_both_in_doubt(TestWorld& world) {
  ASSERT_EQ(world.store->logs().size(), 2u);
  for (Log* log : world.store->logs()) {
    EXPECT_TRUE(log->possibly_longer());
    EXPECT_TRUE(log->hard_state_doubtful());
  }
}

TEST(Damage, AFileThatIsCutShortIsDamageAlsoBetweenGroups) {
  TestWorld world;
  cut_between_groups(world);
  ASSERT_TRUE(world.open(roomy()));
  ASSERT_FALSE(world.store->recovery().damage.empty());
  EXPECT_NE(world.store->recovery().damage.front().text().find("cut short"), std::string::npos);
  expect_both_in_doubt(world);
}

// What its header said of its length went with the header.
TEST(Damage, AFileThatIsCutShortIsDamageAlsoWithoutItsHeader) {
  TestWorld world;
  world.disk.spoil(cut_between_groups(world), 9);
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_FALSE(world.store->recovery().damage.empty());
  expect_both_in_doubt(world);
}

// What the last mark of the segment before says of it. Nothing behind the newest one could.
TEST(Damage, TheNewestSegmentIsMissedByTheOneBefore) {
  enum class Loss { kFile, kAllButItsHeader, kAll, kGroups };
  for (const Loss loss : {Loss::kFile, Loss::kAllButItsHeader, Loss::kAll, Loss::kGroups}) {
    TestWorld world;
    write_ten_groups(world, tiny_options());
    world.crash(false);
    const std::string newest = frames(world, "group", std::nullopt).back().file;
    ASSERT_LT(frames(world, "end", std::nullopt).back().file, newest);
    const std::string bytes = world.disk.contents(newest);
    ASSERT_TRUE(world.run([&](Task& task) {
      if (loss != Loss::kFile) return;
      ASSERT_TRUE(world.disk.remove(task, newest));
      ASSERT_TRUE(world.disk.sync_directory(task, "shard-0/wal"));
    }));
    if (loss == Loss::kAllButItsHeader) world.disk.overwrite(newest, bytes.substr(0, kWalBlock));
    if (loss == Loss::kAll) world.disk.overwrite(newest, "");
    // As it was when the one before was full: that is no damage.
    if (loss == Loss::kGroups) world.disk.overwrite(newest, bytes.substr(0, kWalBlock) + std::string(bytes.size() - kWalBlock, '\0'));
    ASSERT_TRUE(world.open(tiny_options()));
    const std::vector<Damage>& damage = world.store->recovery().damage;
    ASSERT_EQ(damage.empty(), loss == Loss::kGroups) << static_cast<int>(loss);
    if (!damage.empty()) {
      EXPECT_EQ(damage.back().file, newest);
    }
    ASSERT_EQ(world.store->logs().size(), 2u);
    for (Log* log : world.store->logs()) {
      EXPECT_EQ(log->possibly_longer(), loss != Loss::kGroups) << static_cast<int>(loss);
      EXPECT_EQ(log->hard_state_doubtful(), loss != Loss::kGroups) << static_cast<int>(loss);
    }
  }
}

TEST(Damage, AStoreThatWasOpenBeforeIsNotNewWithoutItsLog) {
  TestWorld world;
  write_ten_groups(world);
  world.close();
  ASSERT_TRUE(world.run([&](Task& task) {
    for (const std::string& file : wal_files(world)) ASSERT_TRUE(world.disk.remove(task, file));
    ASSERT_TRUE(world.disk.sync_directory(task, "shard-0/wal"));
  }));
  StoreOptions options = roomy();
  options.used_before = true;
  for (int start = 0; start < 2; ++start) {
    // What says so stands there twice.
    ASSERT_TRUE(world.run([&](Task& task) { EXPECT_EQ(world.disk.remove(task, "shard-0/damaged/logs-lost").has_value(), start > 0); }));
    ASSERT_TRUE(world.open(options));
    EXPECT_FALSE(world.store->recovery().fresh);
    EXPECT_EQ(world.store->recovery().damage.empty(), start > 0) << start;
    EXPECT_TRUE((*world.store->create_log(test_key(start), Store::Past::kPossible))->possibly_longer()) << start;
    world.close();
  }
}

// Not damage: a shard that never had a log. What is made there later is made without doubt.
TEST(Damage, AStoreWithoutLogsIsWhole) {
  TestWorld world;
  ASSERT_TRUE(world.open(roomy()));
  world.close();
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(world.open(roomy()));
    EXPECT_FALSE((*world.store->create_log(test_key(start), Store::Past::kPossible))->possibly_longer());
    ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.store->remove_log(task, test_key(start))); }));
    world.close();
  }
}

TEST(Damage, ZerosBehindTheLastGroupAreACleanEnd) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(true);
  ASSERT_TRUE(world.open(roomy()));
  EXPECT_TRUE(world.store->recovery().damage.empty());
  EXPECT_EQ(world.store->recovery().torn_bytes, 0u);
  for (Log* log : world.store->logs()) EXPECT_FALSE(log->possibly_longer());
}

// Segments of log 0 with sixty entries, all checkpointed.
void write_segments(TestWorld& world) {
  ASSERT_TRUE(world.open(roomy()));
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(0));
    append_batches(*log, Term(1), 30, 300);
    append_batches(*log, Term(2), 30, 300);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    log->set_committed(LogIndex(60));
    ASSERT_TRUE(world.store->checkpoint(task));
  }));
}

TEST(Segments, ABadBatchIsAnErrorThatNamesItAndTheRestIsServed) {
  TestWorld world;
  write_segments(world);
  world.close();
  const std::string file = segment_files(world, 0).at(1);
  InspectReport report;
  ASSERT_TRUE(world.run([&](Task& task) { report = *inspect_file(task, world.disk, file, SIZE_MAX); }));
  const auto entry = std::find_if(report.rows.begin(), report.rows.end(), [](const InspectRow& r) { return r.kind == "entry"; });
  world.disk.spoil(file, entry->position + 7);
  ASSERT_TRUE(world.open(roomy()));
  Log* log = world.store->find_log(test_key(0));
  EXPECT_EQ(log->last_index(), LogIndex(60));
  EXPECT_FALSE(log->possibly_longer());  // A committed hole costs no vote.
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto bad = log->read_entries(task, entry->meta.index, 1, 1);
    ASSERT_FALSE(bad.has_value());
    EXPECT_EQ(bad.error().code, Errc::kCorrupt);
    EXPECT_NE(bad.error().message.find(file), std::string::npos);
    EXPECT_TRUE(log->read_entries(task, entry->meta.index + 1, 1, 1).has_value());
    EXPECT_EQ(log->read_batches(task, entry->meta.base_offset, Offset(60), 1).error().code, Errc::kCorrupt);
    // What stands before it is served.
    const auto before = log->read_batches(task, entry->meta.base_offset - 2, Offset(60), 1 << 20);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(before->size(), 2u);
    const auto scrubbed = log->scrub(task, LogIndex(0), SIZE_MAX);
    ASSERT_TRUE(scrubbed.has_value());
    EXPECT_EQ(scrubbed->next, log->first_index()) << "it reached the end";
    EXPECT_EQ(scrubbed->bad, 0u) << "what is known to be a hole is not found again";
    EXPECT_EQ(log->holes().size(), 1u);
  }));
}

TEST(Segments, ABadChunkHeaderOrAMissingFileLeavesAHole) {
  for (const int what : {0, 1, 2, 3}) {
    TestWorld world;
    write_segments(world);
    world.close();
    const std::string file = segment_files(world, 0).at(1);
    const std::string index = file.substr(0, file.size() - 4) + ".idx";
    if (what == 0 || what == 3) world.disk.spoil(index, 30);
    if (what == 0) world.disk.spoil(file, kSegmentHeaderSize + 40);
    if (what == 1) world.disk.spoil(file, 20);
    if (what == 3) world.disk.spoil(file, kSegmentHeaderSize + 5);  // Its format.
    if (what == 2) {
      ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.disk.remove(task, file)); }));
    }
    ASSERT_TRUE(world.open(roomy()));
    EXPECT_FALSE(world.store->recovery().damage.empty());
    Log* log = world.store->find_log(test_key(0));
    ASSERT_EQ(log->holes().size(), 1u);
    const auto [first, next] = log->holes()[0];
    ASSERT_TRUE(world.run([&](Task& task) {
      EXPECT_EQ(log->read_entries(task, first, 1, 1).error().code, Errc::kCorrupt);
      EXPECT_EQ(log->term_at(first), std::nullopt);
      for (const LogIndex near : {first - 1, next}) {
        const auto read = log->read_entries(task, near, 1, 1);
        EXPECT_TRUE(read.has_value()) << read.error().text();
      }
      EXPECT_EQ(log->read_batches(task, Offset(first.value - 1), Offset(60), 1).error().code, Errc::kCorrupt);
    }));
    // What is damaged is kept.
    EXPECT_EQ(segment_files(world, 0).at(1) == file, what != 2);
    EXPECT_EQ(log->last(), (EntryId{LogIndex(60), Term(2)}));
    append_batches(*log, Term(3), 20, 300);
    log->set_committed(log->last_index());
    ASSERT_TRUE(world.run([&](Task& task) { ASSERT_TRUE(world.store->checkpoint(task)); }));
    world.crash(true);
    ASSERT_TRUE(world.open(roomy()));
    EXPECT_EQ(world.store->find_log(test_key(0))->last_index(), LogIndex(80));
  }
}

TEST(Segments, AChunkOfAnotherLogNeverReadsAsGood) {
  TestWorld world;
  write_segments(world);
  ASSERT_TRUE(world.run([&](Task& task) {
    Log* log = *world.store->create_log(test_key(1));
    append_batches(*log, Term(1), 30, 300);
    append_batches(*log, Term(2), 30, 300);
    ASSERT_TRUE(world.store->wal().wait_durable(task, log->last_sequence()));
    log->set_committed(LogIndex(60));
    ASSERT_TRUE(world.store->checkpoint(task));
  }));
  world.close();
  // A whole file of log 1, behind log 0's own header: every checksum in it is right.
  const std::string mine = segment_files(world, 0).at(1);
  const std::string other = segment_files(world, 1).at(1);
  ASSERT_EQ(mine.substr(mine.rfind('/')), other.substr(other.rfind('/')));
  const std::string bytes = world.disk.contents(mine).substr(0, kSegmentHeaderSize) +
                            world.disk.contents(other).substr(kSegmentHeaderSize);
  world.disk.overwrite(mine, bytes);
  ASSERT_TRUE(world.open(roomy()));
  Log* log = world.store->find_log(test_key(0));
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto read = log->read_entries(task, log->segments().at(1).first_index, 1, 1);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, Errc::kCorrupt);
  }));
}

TEST(Segments, AnIndexBuiltAnewEqualsTheOldOne) {
  TestWorld world;
  write_segments(world);
  const auto look = [&] {
    std::vector<std::vector<ChunkRef>> all;
    EXPECT_TRUE(world.run([&](Task& task) {
      for (const std::string& file : segment_files(world, 0)) {
        std::vector<Damage> damage;
        const size_t slash = file.rfind('/');
        const auto segment = Segment::open(task, world.disk, test_key(0), file.substr(0, slash),
                                           *Segment::parse_file_name(file.substr(slash + 1)), 0, damage);
        ASSERT_TRUE(segment.has_value());
        EXPECT_TRUE(damage.empty());
        all.push_back((*segment)->chunks());
        EXPECT_TRUE((*segment)->scrub(task)->empty());
      }
    }));
    return all;
  };
  world.close();
  const auto with_index = look();
  int indexes = 0;
  for (const std::string& path : world.disk.paths()) {
    if (!path.ends_with(".idx")) continue;
    ++indexes;
    if (indexes % 2 == 0) world.disk.spoil(path, world.disk.contents(path).size() / 2);
    if (indexes % 2 == 1) world.disk.overwrite(path, "");
  }
  EXPECT_GT(indexes, 2);
  EXPECT_EQ(look(), with_index);
}

TEST(Inspect, ShowsWhatIsThereAndWritesNothing) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(false);
  const uint64_t steps = world.disk.steps;
  EXPECT_EQ(frames(world, "entry", 0).size(), 5u);
  EXPECT_EQ(frames(world, "entry", 1).size(), 5u);
  EXPECT_EQ(world.disk.steps, steps);
  ASSERT_TRUE(world.run([&](Task& task) {
    EXPECT_EQ(inspect_file(task, world.disk, "shard-0/nothing", 1).error().code, Errc::kInvalid);
    EXPECT_EQ(inspect_file(task, world.disk, wal_segment_path("shard-0", 99), 1).error().code, Errc::kNotFound);
    EXPECT_TRUE(inspect_file(task, world.disk, wal_files(world).front(), 1)->truncated);
  }));
}

// Whatever the bytes are: opening ends, nothing crashes, and what is read back is what was written.
TEST(Damage, RandomlySpoiledFilesNeverCrashAndNeverLie) {
  uint64_t reported = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    TestWorld world(seed);
    CounterRandom random(mix64(seed, 3));
    const auto write = [&] {
      ASSERT_TRUE(world.open(tiny_options()));
      for (int n = 0; n < 3; ++n) {
        Log* log = *world.store->create_log(test_key(n));
        for (int i = 0; i < 10; ++i) {
          ASSERT_TRUE(world.run([&](Task& task) {
            ASSERT_TRUE(world.store->wal().wait_durable(task, append_batches(*log, Term(1), 2, 150)));
            if (i < 7) log->set_committed(log->last_index());
          }));
        }
      }
      world.pass(1_s);
    };
    write();
    world.crash(false);
    const std::vector<std::string> paths = world.disk.paths();
    const uint64_t hits = 1 + random.below(4);
    for (uint64_t i = 0; i < hits; ++i) {
      const std::string& path = paths[random.below(paths.size())];
      std::string bytes = world.disk.contents(path);
      if (bytes.empty()) continue;
      const uint64_t at = random.below(bytes.size());
      switch (random.below(5)) {
        case 0: world.disk.spoil(path, at, static_cast<uint8_t>(1 + random.below(255))); break;
        case 1: world.disk.overwrite(path, bytes.substr(0, at)); break;
        case 2: bytes.replace(at / 512 * 512, 512, std::string(512, '\0')); world.disk.overwrite(path, bytes); break;
        case 3: {
          const uint64_t from = random.below(bytes.size()) / 512 * 512;
          bytes.replace(at / 512 * 512, 512, std::string(bytes, from, 512));
          world.disk.overwrite(path, bytes);
          break;
        }
        default: {
          std::string& b = bytes;
          const uint64_t count = std::min<uint64_t>(b.size() - at, random.below(64));
          for (uint64_t k = 0; k < count; ++k) b[at + k] = static_cast<char>(random.next());
          world.disk.overwrite(path, b);
        }
      }
    }
    ASSERT_TRUE(world.open(tiny_options())) << "seed " << seed;
    reported += world.store->recovery().damage.size();
    for (Log* log : world.store->logs()) {
      ASSERT_TRUE(world.run([&](Task& task) {
        for (LogIndex i = log->first_index(); i <= log->last_index(); ++i) {
          const auto read = log->read_entries(task, i, 1, 1);
          if (!read) {
            EXPECT_EQ(read.error().code, Errc::kCorrupt) << read.error().text();
            continue;
          }
          ASSERT_EQ(read->size(), 1u);
          const Entry want = batch_entry(i, Term(1), Offset(i.value - 1), 1, 150);
          EXPECT_EQ((*read)[0].meta, want.meta) << "seed " << seed;
          EXPECT_EQ((*read)[0].payload, want.payload) << "seed " << seed;
        }
        EXPECT_TRUE(log->last_index() == LogIndex(20) || log->possibly_longer())
            << "seed " << seed << " lost the end of a log and did not say so";
      }));
    }
    EXPECT_TRUE(world.store->logs().size() == 3 || !world.store->recovery().damage.empty()) << "seed " << seed;
  }
  EXPECT_GT(reported, 50u);
}

TEST(WalFormat, RoundTrips) {
  const WalOwner disk{{1, 2}};
  WalGroupHeader header{.segment = 3, .position = 512, .first = WalSequence(7), .next = WalSequence(9),
                        .durable = WalSequence(6), .floor = WalSequence(2), .frame_count = 2, .log_count = 1,
                        .frames_size = 300, .list_crc = 5};
  const std::string bytes = encode_wal_group_header(disk, header);
  EXPECT_EQ(parse_wal_group_header(disk, 3, 512, as_bytes(bytes)), header);
  EXPECT_EQ(parse_wal_group_header(disk, 3, 1024, as_bytes(bytes)), std::nullopt);
  EXPECT_EQ(parse_wal_group_header(disk, 4, 512, as_bytes(bytes)), std::nullopt);
  EXPECT_EQ(parse_wal_group_header({{1, 3}}, 3, 512, as_bytes(bytes)), std::nullopt);
  EXPECT_TRUE(is_older_wal_group(disk, 4, 512, as_bytes(bytes)));
  EXPECT_FALSE(is_older_wal_group(disk, 3, 512, as_bytes(bytes)));
  // Each shard has segments of that number, and in them groups at that place.
  EXPECT_EQ(parse_wal_group_header({{1, 2}, 1}, 3, 512, as_bytes(bytes)), std::nullopt);
  EXPECT_FALSE(is_older_wal_group({{1, 2}, 1}, 4, 512, as_bytes(bytes)));
  const WalSegmentHeader of_shard{.number = 1, .owner = {{1, 2}, 1}, .capacity = 4096};
  EXPECT_EQ(*parse_wal_segment_header(as_bytes(encode_wal_segment_header(of_shard)), "f"), of_shard);

  LogState state;
  state.possibly_longer = true;
  state.hard = {Term(4), ReplicaId{BrokerId(1), Uuid{5, 6}}};
  state.prefix = {LogIndex(10), Term(2)};
  state.prefix_offset = state.start_offset = Offset(8);
  state.flushed = {LogIndex(20), Term(3)};
  state.flushed_offset = Offset(18);
  state.snapshot = EntryId{LogIndex(9), Term(2)};
  state.joined = 77;
  const auto back = decode_log_state(as_bytes(encode_log_state(state)));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->hard, state.hard);
  EXPECT_EQ(back->flushed, state.flushed);
  EXPECT_EQ(back->snapshot, state.snapshot);
  EXPECT_TRUE(back->possibly_longer);
  EXPECT_EQ(back->joined, 77);
  // The formats before: one membership at most, and at first no revision at the end.
  for (const int64_t index : {10, 15}) {
    Entry config;
    config.meta = {.index = LogIndex(index), .term = Term(2), .kind = EntryKind::kConfig, .base_offset = Offset(8)};
    config.payload = Slice("voters");
    state.configs.push_back(config);
  }
  const auto two = decode_log_state(as_bytes(encode_log_state(state)));
  ASSERT_TRUE(two.has_value());
  ASSERT_EQ(two->configs.size(), 2u);
  EXPECT_EQ(two->configs[1].meta, state.configs[1].meta);
  EXPECT_EQ(two->configs[1].payload, Slice("voters"));
  LogState wrong = state;
  std::swap(wrong.configs[0], wrong.configs[1]);
  EXPECT_EQ(decode_log_state(as_bytes(encode_log_state(wrong))).error().code, Errc::kCorrupt);
  state.configs.pop_back();
  std::string older = encode_log_state(state);
  for (const char version : {2, 1}) {
    older[1] = version;
    if (version == 1) older.resize(older.size() - 8);
    const auto read = decode_log_state(as_bytes(older));
    ASSERT_TRUE(read.has_value()) << int{version};
    ASSERT_EQ(read->configs.size(), 1u);
    EXPECT_EQ(read->configs[0].meta.index, LogIndex(10));
    EXPECT_EQ(read->joined, version == 1 ? 0 : 77);
  }
  std::string newer = encode_log_state(state);
  newer[1] = 9;
  EXPECT_EQ(decode_log_state(as_bytes(newer)).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_log_state(as_bytes("short")).error().code, Errc::kUnsupported);
}

TEST(WalFormat, ASegmentOfANewerFormatIsRefusedByName) {
  TestWorld world;
  write_ten_groups(world);
  world.crash(false);
  const std::string file = wal_files(world).front();
  std::string bytes = world.disk.contents(file);
  ByteWriter head;
  head.bytes(as_bytes(bytes).first(4));
  head.u16(3);
  head.bytes(as_bytes(bytes).subspan(6, 34));
  head.u32(crc32c(head.view()));
  bytes.replace(0, head.size(), head.take());
  world.disk.overwrite(file, bytes);
  ASSERT_TRUE(world.run([&](Task& task) {
    const auto opened = Store::open(task, world.runtime(), roomy());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Errc::kUnsupported);
    EXPECT_NE(opened.error().message.find(file), std::string::npos);
  }));
}

}  // namespace
}  // namespace taffrail
