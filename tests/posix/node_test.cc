// Goal: shards run, talk to each other, are timed and end as node.h and runtime.h say. Method:
// nodes of one to three shards in this process; what ends a process is watched from outside (death
// tests).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "posix/support/world.h"

namespace taffrail::posix {
namespace {

TEST(Node, EveryShardRunsItsMainOnce) {
  TestWorld world;
  world.options.shards = 3;
  std::array<std::atomic<int>, 3> ran{};
  world.run([&](Task&, Shard& shard) {
    EXPECT_EQ(shard.runtime.shard_count(), 3u);
    ++ran[shard.runtime.shard().value];
  });
  for (const auto& count : ran) EXPECT_EQ(count.load(), 1);
}

// Each message wakes a loop that sleeps, and carries a number that only the two shards in turn
// touch: under the thread sanitizer that is the proof that post() orders what it should.
TEST(Node, MessagesGoBackAndForth) {
  TestWorld world;
  world.options.shards = 2;
  constexpr int kRounds = 2000;
  int ball = 0;
  world.run([&](Task& task, Shard& shard) {
    if (shard.runtime.shard().value != 0) return;  // Goes on answering messages all the same.
    struct Game {
      Runtime& runtime;
      int& ball;
      Event over;
      void serve() {
        runtime.post(ShardId(1), [this] {
          ++ball;
          runtime.post(ShardId(0), [this] {
            if (++ball == 2 * kRounds) {
              over.set();
            } else {
              serve();
            }
          });
        });
      }
    } game{shard.runtime, ball, {}};
    game.serve();
    EXPECT_TRUE(game.over.wait(task).has_value());
    EXPECT_GE(shard.runtime.counters().messages, uint64_t{kRounds});
  });
  EXPECT_EQ(ball, 2 * kRounds);
}

TEST(Node, MessagesBetweenTwoShardsKeepTheirOrder) {
  TestWorld world;
  world.options.shards = 2;
  std::vector<int> got;
  world.run([&](Task& task, Shard& shard) {
    if (shard.runtime.shard().value != 0) return;
    Event done;
    for (int i = 0; i < 10'000; ++i)
      shard.runtime.post(ShardId(1), [&got, i] { got.push_back(i); });
    Runtime& runtime = shard.runtime;
    runtime.post(ShardId(1), [&] { runtime.post(ShardId(0), [&] { done.set(); }); });
    EXPECT_TRUE(done.wait(task).has_value());
  });
  ASSERT_EQ(got.size(), 10'000u);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST(Node, AMessageToOneselfRunsLater) {
  TestWorld().run([](Task& task, Shard& shard) {
    Event ran;
    shard.runtime.post(ShardId(0), [&] { ran.set(); });
    EXPECT_FALSE(ran.is_set());
    EXPECT_TRUE(ran.wait(task).has_value());
  });
}

TEST(Node, BothShardsUseTheirDisksAtOnce) {
  TestWorld world;
  world.options.shards = 2;
  world.run([](Task& task, Shard& shard) {
    const std::string name = "file-" + std::to_string(shard.runtime.shard().value);
    const auto file = shard.runtime.disk().open(task, name, OpenMode::kCreate);
    ASSERT_TRUE(file.has_value());
    for (uint64_t i = 0; i < 50; ++i) {
      EXPECT_TRUE((*file)->write_at(task, i * 4, as_bytes("abcd")).has_value());
      EXPECT_TRUE((*file)->sync(task).has_value());
    }
    EXPECT_EQ(shard.runtime.counters().disk_syncs, 50u);
    EXPECT_EQ(shard.runtime.counters().disk_bytes_written, 200u);
  });
}

TEST(Node, SleepersWakeInOrderAndNotEarly) {
  TestWorld().run([](Task& task, Shard& shard) {
    Scope scope;
    std::string story;
    const Instant start = shard.runtime.now();
    for (const int ms : {6, 2, 4}) {
      shard.runtime.spawn(scope, "sleeper", [&, ms](Task& inner) {
        const Instant until = start + Duration::from_ms(ms);
        EXPECT_TRUE(shard.runtime.sleep_until(inner, until).has_value());
        EXPECT_GE(shard.runtime.now(), until);
        story += std::to_string(ms);
      });
    }
    scope.join(task);
    EXPECT_EQ(story, "246");
    EXPECT_GT(shard.runtime.wall_now().ms, 1'600'000'000'000);
  });
}

// With polling allowed the loop may not sleep at all; what it does is the same.
TEST(Node, PollingChangesNothingButTheCost) {
  TestWorld world;
  world.options.shards = 2;
  world.options.poll_before_sleep = 20_us;
  world.run([](Task& task, Shard& shard) {
    EXPECT_TRUE(shard.runtime.sleep_for(task, 2_ms).has_value());
    Event done;
    Runtime& runtime = shard.runtime;
    const ShardId other(1 - runtime.shard().value);
    const ShardId self = runtime.shard();
    runtime.post(other, [&, self] { runtime.post(self, [&] { done.set(); }); });
    EXPECT_TRUE(done.wait(task).has_value());
    const auto file =
        runtime.disk().open(task, "f" + std::to_string(self.value), OpenMode::kCreate);
    EXPECT_TRUE(file.has_value() && (*file)->sync(task));
  });
}

TEST(Node, RandomNumbersDifferBetweenShardsAndRuns) {
  TestWorld world;
  world.options.shards = 2;
  std::array<uint64_t, 4> drawn{};
  for (size_t run = 0; run < 2; ++run)
    world.run([&](Task&, Shard& shard) {
      drawn[run * 2 + shard.runtime.shard().value] = shard.runtime.random().next();
    });
  std::sort(drawn.begin(), drawn.end());
  EXPECT_EQ(std::unique(drawn.begin(), drawn.end()), drawn.end());
}

TEST(Node, ASignalStopsEveryShard) {
  TestWorld world;
  world.options.shards = 2;
  world.options.handle_signals = true;
  std::atomic<int> stopped = 0;
  world.run([&](Task& task, Shard& shard) {
    if (shard.runtime.shard().value == 0) kill(getpid(), SIGTERM);
    EXPECT_TRUE(shard.stop.wait(task).has_value());
    EXPECT_FALSE(task.cancelled());  // There is time to wind down.
    ++stopped;
  });
  EXPECT_EQ(stopped.load(), 2);
}

TEST(Node, ASignalCancelsWhereThatIsWanted) {
  TestWorld world;
  world.options.handle_signals = true;
  world.options.cancel_on_signal = true;
  world.run([&](Task& task, Shard& shard) {
    kill(getpid(), SIGINT);
    EXPECT_EQ(shard.runtime.sleep_until(task, Instant::never()).error().code, Errc::kCancelled);
    EXPECT_TRUE(shard.stop.is_set());
  });
}

TEST(Node, StopsOnRequestFromAnyThread) {
  request_stop();  // Nobody runs: nothing happens.
  TestWorld().run([&](Task& task, Shard& shard) {
    request_stop();
    EXPECT_TRUE(shard.stop.wait(task).has_value());
  });
}

TEST(Node, AMissingDataDirectoryIsMade) {
  TestWorld world;
  world.options.data_dirs[0] += "/deep/down";
  world.run([](Task& task, Shard& shard) {
    EXPECT_TRUE(shard.runtime.disk().list(task, "").has_value());
  });
  EXPECT_TRUE(std::filesystem::is_directory(world.directory.path() + "/deep/down"));
  std::ofstream(world.directory.path() + "/file") << "x";
  world.options.data_dirs = {world.directory.path() + "/file"};
  EXPECT_EQ(run_node(world.options, [](Task&, Shard&) {}).error().code, Errc::kIo);
}

TEST(Node, ALockNamesItsHolder) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto held = shard.runtime.disk().lock(task, "lock");
    ASSERT_TRUE(held.has_value());
    const auto refused = shard.runtime.disk().lock(task, "lock");
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("process " + std::to_string(getpid())),
              std::string::npos)
        << refused.error().message;
  });
}

TEST(Node, DiskErrorsNameOperationPathAndReason) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto missing = shard.runtime.disk().open(task, "wal/7", OpenMode::kRead);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().message, "open wal/7: No such file or directory");
    EXPECT_TRUE(shard.runtime.disk().make_directory(task, "wal").has_value());
    EXPECT_EQ(shard.runtime.disk().open(task, "wal", OpenMode::kRead).error().code, Errc::kIo);
    const auto file = shard.runtime.disk().open(task, "f", OpenMode::kCreate);
    ASSERT_TRUE(file.has_value());
    const auto beyond = (*file)->write_at(task, uint64_t{1} << 63, as_bytes("x"));
    EXPECT_EQ(beyond.error().code, Errc::kIo);
  });
}

TEST(Node, WhatThePageCacheHoldsIsReadAtOnce) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto file = shard.runtime.disk().open(task, "f", OpenMode::kCreate);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->write_at(task, 0, as_bytes(std::string(9000, 'x'))).has_value());
    std::vector<uint8_t> into(10'000);
    EXPECT_EQ((*file)->read_at(task, 0, into).value_or(0),
              9000u);  // Short: the end is asked for, too.
    EXPECT_EQ((*file)->read_at(task, 0, MutableBytes(into).first(9000)).value_or(0), 9000u);
    EXPECT_EQ(shard.runtime.counters().disk_reads, 2u);
    EXPECT_EQ(shard.runtime.counters().disk_bytes_read, 18'000u);
  });
}

using NodeDeathTest = testing::Test;

TEST(NodeDeathTest, StopNodeEndsTheProcessAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        TestWorld world;
        world.options.shards = 2;
        world.run([](Task& task, Shard& shard) {
          if (shard.runtime.shard().value == 1)
            shard.runtime.stop_node("sync wal/1: Input/output error");
          (void)shard.runtime.sleep_until(task, Instant::never());
        });
      },
      testing::ExitedWithCode(70),
      "level=error shard=1 component=node msg=\"stopping at once: sync wal/1");
}

TEST(NodeDeathTest, ASecondSignalDoesNotWait) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        TestWorld world;
        world.options.handle_signals = true;
        world.run([](Task& task, Shard& shard) {
          kill(getpid(), SIGTERM);
          EXPECT_TRUE(shard.stop.wait(task).has_value());
          // Hangs, and does not even let its loop run.
          kill(getpid(), SIGTERM);
          for (volatile bool hung = true; hung;) {
          }
        });
      },
      testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace taffrail::posix
