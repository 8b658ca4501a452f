// Goal: the disk forgets exactly what runtime/disk.h says a crash may undo, never what was synced, and
// each fault does what its name says. Method: write, cut the power at drawn moments, look; over seeds,
// both that what must hold always does and that what may happen sometimes does.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <string>

#include "runtime/sync.h"
#include "sim/world.h"

namespace taffrail::sim {
namespace {

std::string block(char c, size_t size = kPageBytes) { return std::string(size, c); }

std::string read_whole(Task& task, Disk& disk, std::string_view path) {
  const Result<std::string> got = read_file(task, disk, path, 1_GiB);
  return got ? *got : "<" + got.error().text() + ">";
}

class OneNode : public testing::Test {
 protected:
  void begin(uint64_t seed, const Knobs& knobs = {}) {
    world.reset();
    world = std::make_unique<World>(seed, knobs);
    node = world->add_node();
    world->start(node);
  }
  void run(std::function<void(Task&, Disk&)> body) {
    EXPECT_TRUE(world->run_fiber(node, [&](Task& task, Runtime& rt) { body(task, rt.disk()); }, 600_s));
  }
  void restart_after_power_cut() {
    world->power_cut(node);
    world->restart(node);
  }
  std::unique_ptr<World> world;
  NodeId node;
};

using SimDiskTest = OneNode;

TEST_F(SimDiskTest, WhatWasSyncedSurvivesAndWhatWasNotMayBeLostWholeTornOrKept) {
  std::map<std::string, int> fates;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    begin(seed);
    run([](Task& task, Disk& disk) {
      const auto file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a') + block('b'))));
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(disk.sync_directory(task, ""));
      ASSERT_TRUE(file->write_at(task, kPageBytes, as_bytes(block('B') + block('c'))));
    });
    restart_after_power_cut();
    run([&](Task& task, Disk& disk) {
      const std::string got = read_whole(task, disk, "f");
      ASSERT_GE(got.size(), 2 * kPageBytes);
      EXPECT_EQ(got.substr(0, kPageBytes), block('a')) << "synced and not written since";
      const std::string second = got.substr(kPageBytes, kPageBytes);
      for (size_t i = 0; i < kPageBytes; i += kTearBytes) {
        const std::string sector = second.substr(i, kTearBytes);
        EXPECT_TRUE(sector == block('b', kTearBytes) || sector == block('B', kTearBytes)) << "a sector is whole";
      }
      ++fates[second == block('b') ? "lost" : second == block('B') ? "kept" : "torn"];
      const bool shrunk = got.size() < 3 * kPageBytes;
      ++fates[shrunk ? "size undone" : got.substr(2 * kPageBytes) == block('c') ? "appended" : "append lost"];
    });
  }
  for (const char* fate : {"lost", "kept", "torn", "size undone", "appended", "append lost"})
    EXPECT_GT(fates[fate], 10) << fate;
}

TEST_F(SimDiskTest, AKillKeepsThePageCacheAndALaterPowerCutDoesNot) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    begin(seed);
    run([](Task& task, Disk& disk) {
      const auto file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes("only in memory")));
    });
    world->kill(node);
    EXPECT_TRUE(world->disk(node).image().has_unsynced());
    world->restart(node);
    run([](Task& task, Disk& disk) { EXPECT_EQ(read_whole(task, disk, "f"), "only in memory"); });
    restart_after_power_cut();
    EXPECT_FALSE(world->disk(node).image().has_unsynced());
    run([&](Task& task, Disk& disk) { lost = lost || read_whole(task, disk, "f") != "only in memory"; });
  }
  EXPECT_TRUE(lost);
}

TEST_F(SimDiskTest, ANameIsUndoneUnlessItsDirectoryWasSynced) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    begin(seed);
    run([](Task& task, Disk& disk) {
      ASSERT_TRUE(disk.make_directory(task, "d"));
      ASSERT_TRUE(replace_file(task, disk, "d/kept", as_bytes("old")));
      ASSERT_TRUE(replace_file(task, disk, "d/doomed", as_bytes("x")));
      ASSERT_TRUE(disk.sync_directory(task, ""));
      const auto file = *disk.open(task, "d/kept.new", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes("new")));
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(disk.rename(task, "d/kept.new", "d/kept"));
      ASSERT_TRUE(disk.remove(task, "d/doomed"));
    });
    restart_after_power_cut();
    run([&](Task& task, Disk& disk) {
      const std::string kept = read_whole(task, disk, "d/kept");
      EXPECT_TRUE(kept == "old" || kept == "new") << kept;  // Never nothing, never half.
      ++seen[kept];
      ++seen[*disk.exists(task, "d/doomed") ? "remove undone" : "remove kept"];
      if (*disk.exists(task, "d/kept.new")) {
        EXPECT_EQ(kept, "old");
        ++seen["rename undone"];
      }
    });
  }
  for (const char* what : {"old", "new", "remove undone", "remove kept", "rename undone"}) EXPECT_GT(seen[what], 10) << what;
}

TEST_F(SimDiskTest, ReplaceFileIsAtomicWhereverThePowerGoes) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    begin(seed);
    int finished = 0;
    world->spawn(node, "writer", [&](Task& task, Runtime& rt) {
      for (int i = 1; i < 100; ++i) {
        if (!replace_file(task, rt.disk(), "meta", as_bytes(block('a', 9000) + std::to_string(i)))) return;
        finished = i;
      }
    });
    world->run_for(Duration{static_cast<int64_t>(seed) * 37'000});
    const int durable = finished;
    restart_after_power_cut();
    run([&](Task& task, Disk& disk) {
      const std::string got = read_whole(task, disk, "meta");
      if (durable == 0 && got.starts_with("<")) return;
      ASSERT_EQ(got.substr(0, 9000), block('a', 9000)) << "seed " << seed;
      const int version = std::stoi(got.substr(9000));
      EXPECT_TRUE(version == durable || version == durable + 1) << version << " after " << durable;
    });
  }
}

TEST_F(SimDiskTest, AFailedSyncForgetsAndTheNextOneSaysAllIsWell) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    begin(seed);
    run([&](Task& task, Disk& disk) {
      const auto file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('-', 2 * kPageBytes))));
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(disk.sync_directory(task, ""));
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('x', 2 * kPageBytes))));
      world->disk(node).fail_syncs(1);
      EXPECT_EQ(file->sync(task).error().code, Errc::kIo);
      EXPECT_TRUE(file->sync(task)) << "the pages count as clean";
      EXPECT_EQ(read_whole(task, disk, "f"), block('x', 2 * kPageBytes)) << "the cache still shows them";
    });
    restart_after_power_cut();
    run([&](Task& task, Disk& disk) { lost += read_whole(task, disk, "f") == block('x', 2 * kPageBytes) ? 0 : 1; });
    EXPECT_EQ(world->disk(node).faults().failed_syncs, 1u);
  }
  EXPECT_GT(lost, 10);
}

TEST_F(SimDiskTest, ASyncCoversWhatWasWrittenBeforeItBegan) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    begin(seed);
    run([&](Task& task, Disk& disk) {
      const std::shared_ptr<File> file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(disk.sync_directory(task, ""));
      ASSERT_TRUE(file->write_at(task, 0, as_bytes("first")));
      Scope scope;
      // One sync is under way when another begins: the second does not return before the first.
      bool first_done = false;
      world->runtime(node).spawn(scope, "sync", [&](Task& inner) {
        ASSERT_TRUE(file->sync(inner));
        first_done = true;
      });
      world->runtime(node).scheduler().yield(task);
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(world->runtime(node).sleep_for(task, 10_ms));
      EXPECT_TRUE(first_done);
      scope.join(task);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes("other")));
    });
    restart_after_power_cut();
    run([&](Task& task, Disk& disk) {
      const std::string got = read_whole(task, disk, "f");
      EXPECT_TRUE(got == "first" || got == "other") << got;
    });
  }
}

TEST_F(SimDiskTest, AZeroFilledFileCostsNoMemoryButRoomOnTheDisk) {
  Knobs knobs;
  knobs.disk.capacity_bytes = 100_MiB;
  begin(1, knobs);
  run([&](Task& task, Disk& disk) {
    const auto file = *disk.open(task, "f", OpenMode::kCreate);
    const std::string zeros(1_MiB, '\0');
    for (uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(file->write_at(task, i << 20, as_bytes(zeros)));
    EXPECT_EQ((*disk.space(task)).free, 36_MiB);
    ASSERT_TRUE(file->sync(task));
    EXPECT_EQ(world->disk(node).stats().synced_bytes, 0u);
    EXPECT_EQ(file->allocate(task, 101_MiB).error().code, Errc::kNoSpace);
    const auto other = *disk.open(task, "g", OpenMode::kCreate);
    EXPECT_EQ(other->write_at(task, 40_MiB, as_bytes("x")).error().code, Errc::kNoSpace);
    ASSERT_TRUE(disk.remove(task, "f"));
    ASSERT_TRUE(disk.sync_directory(task, ""));
  });
  run([&](Task& task, Disk& disk) { EXPECT_EQ((*disk.space(task)).free, 100_MiB); });
}

TEST_F(SimDiskTest, ArmedFaultsHitTheNextCallsAndAreCounted) {
  begin(3);
  run([&](Task& task, Disk& disk) {
    SimDisk& sim = world->disk(node);
    const auto file = *disk.open(task, "f", OpenMode::kCreate);
    ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a', 8 * kPageBytes))));
    ASSERT_TRUE(file->sync(task));
    std::string into(8 * kPageBytes, '?');
    const MutableBytes bytes{reinterpret_cast<uint8_t*>(into.data()), into.size()};

    sim.fail_reads(1);
    EXPECT_EQ(file->read_at(task, 0, bytes).error().code, Errc::kIo);
    EXPECT_TRUE(file->read_at(task, 0, bytes));

    sim.fail_writes(1);
    EXPECT_EQ(file->write_at(task, 0, as_bytes("zzz")).error().code, Errc::kIo);
    EXPECT_TRUE(file->write_at(task, 0, as_bytes("aaa")));

    sim.limit_space(0);
    EXPECT_EQ(file->write_at(task, 8 * kPageBytes, as_bytes("x")).error().code, Errc::kNoSpace);
    EXPECT_TRUE(file->write_at(task, 0, as_bytes("aaa"))) << "what is there can be overwritten";
    sim.unlimit_space();
    ASSERT_TRUE(file->sync(task));

    Stream& draws = world->stream(StreamKind::kTest);
    ASSERT_TRUE(sim.rot(3, draws));
    ASSERT_TRUE(file->read_at(task, 0, bytes));
    EXPECT_GE(std::count_if(into.begin(), into.end(), [](char c) { return c != 'a'; }), 1);
    EXPECT_LE(std::count_if(into.begin(), into.end(), [](char c) { return c != 'a'; }),
              static_cast<std::ptrdiff_t>(3 * sim.faults().rotten_pages));

    ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a', 8 * kPageBytes))));
    ASSERT_TRUE(file->sync(task));
    ASSERT_TRUE(sim.spoil(draws));
    EXPECT_EQ(file->read_at(task, 0, bytes).error().code, Errc::kIo);
    ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('b', 8 * kPageBytes)))) << "writing mends";
    EXPECT_TRUE(file->read_at(task, 0, bytes));

    const Instant stuck_until = world->now() + 2_s;
    sim.stick_syncs(stuck_until);
    ASSERT_TRUE(file->sync(task));
    EXPECT_GE(world->now(), stuck_until);
  });
  const DiskFaultStats& faults = world->disk(node).faults();
  EXPECT_EQ(faults.failed_reads, 2u);
  EXPECT_EQ(faults.failed_writes, 1u);
  EXPECT_EQ(faults.full, 1u);
  EXPECT_GE(faults.rotten_pages, 1u);
  EXPECT_EQ(faults.stuck_syncs, 1u);
}

TEST_F(SimDiskTest, LostAndMisdirectedPagesAreFoundOnlyByLooking) {
  for (const bool astray : {false, true}) {
    begin(5);
    run([&](Task& task, Disk& disk) {
      const auto file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('-', 16 * kPageBytes))));
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(file->write_at(task, 2 * kPageBytes, as_bytes(block('x'))));
      if (astray) world->disk(node).misdirect_pages(1);
      else world->disk(node).lose_pages(1);
      ASSERT_TRUE(file->sync(task)) << "the disk says that all is well";
      const std::string got = read_whole(task, disk, "f");
      EXPECT_EQ(got.substr(2 * kPageBytes, kPageBytes), block('-'));
      EXPECT_EQ(std::count(got.begin(), got.end(), 'x'), astray ? kPageBytes : 0);
    });
  }
}

TEST_F(SimDiskTest, CountsAreExact) {
  begin(6);
  run([&](Task& task, Disk& disk) {
    const auto file = *disk.open(task, "f", OpenMode::kCreate);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a', 100))));
    ASSERT_TRUE(file->sync(task));
    ASSERT_TRUE(disk.sync_directory(task, ""));
  });
  const DiskStats& stats = world->disk(node).stats();
  EXPECT_EQ(stats.writes, 5u);
  EXPECT_EQ(stats.written_bytes, 500u);
  EXPECT_EQ(stats.syncs, 1u);
  EXPECT_EQ(stats.directory_syncs, 1u);
  EXPECT_EQ(stats.synced_bytes, kPageBytes);
}

TEST_F(SimDiskTest, AKillDuringAWriteLeavesABeginningOfIt) {
  std::map<bool, int> whole;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Knobs knobs;
    knobs.disk.write = {1_s, {}};
    begin(seed, knobs);
    world->spawn(node, "writer", [](Task& task, Runtime& rt) {
      const auto file = *rt.disk().open(task, "f", OpenMode::kCreate);
      (void)file->write_at(task, 0, as_bytes(block('x', 10'000)));
      ADD_FAILURE() << "the process died first";
    });
    world->run_for(100_ms);
    world->restart(node);
    run([&](Task& task, Disk& disk) {
      const std::string got = read_whole(task, disk, "f");
      EXPECT_EQ(got, block('x', got.size()));
      ++whole[got.size() == 10'000];
    });
  }
  EXPECT_GT(whole[false], 10);
}

TEST_F(SimDiskTest, AFileThatWasTakenStaysSoThroughAPowerCut) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    begin(seed);
    run([](Task& task, Disk& disk) {
      const auto file = *disk.open(task, "f", OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a', 3 * kPageBytes))));
      ASSERT_TRUE(file->sync(task));
      ASSERT_TRUE(disk.sync_directory(task, ""));
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(block('a', 3 * kPageBytes))));
    });
    world->kill(node);
    Stream& draws = world->stream(StreamKind::kTest);
    EXPECT_EQ(world->disk(node).truncate_file(draws), "f");
    uint64_t left = 0;
    for (int cut = 0; cut < 2; ++cut) {
      world->restart(node);
      run([&](Task& task, Disk& disk) {
        const std::string got = read_whole(task, disk, "f");
        EXPECT_EQ(got, block('a', got.size()));
        EXPECT_LT(got.size(), 3 * kPageBytes);
        EXPECT_TRUE(cut == 0 || got.size() == left);
        left = got.size();
      });
      world->power_cut(node);
    }
    const auto deleted = world->disk(node).delete_file(draws);
    EXPECT_EQ(deleted.has_value(), left > 0) << "what is empty is not looked at";
    world->power_cut(node);
    EXPECT_TRUE(world->disk(node).image().files().empty());
    EXPECT_EQ(world->disk(node).faults().taken_files, left > 0 ? 2u : 1u);
  }
}

TEST_F(SimDiskTest, AWipedDiskIsEmpty) {
  begin(1);
  run([](Task& task, Disk& disk) { ASSERT_TRUE(replace_file(task, disk, "f", as_bytes("x"))); });
  world->wipe(node);
  world->restart(node);
  run([](Task& task, Disk& disk) { EXPECT_TRUE(disk.list(task, "")->empty()); });
}

}  // namespace
}  // namespace taffrail::sim
