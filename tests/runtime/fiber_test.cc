// Goal: fibers wait, wake, are cancelled and unwound as scheduler.h and sync.h promise. Method: a bare
// scheduler, run by hand, with a clock that is a number.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/log.h"
#include "runtime/net.h"
#include "runtime/scheduler.h"
#include "runtime/sync.h"

namespace taffrail {
namespace {

struct Loop : Scheduler {
  Instant clock{};
  void run() {
    for (;;) {
      while (run_one()) {
      }
      if (next_deadline() == Instant::never()) return;
      clock = next_deadline();
      fire_timers(clock);
    }
  }
};

TEST(Scheduler, RunsInOrderAndSleepsInOrderOfDeadline) {
  Loop loop;
  Scope scope;
  std::string story;
  for (const auto& fiber : std::vector<std::pair<char, int64_t>>{{'a', 30}, {'b', 10}, {'c', 20}}) {
    loop.spawn(scope, std::string(1, fiber.first), [&, fiber](Task& task) {
      story += fiber.first;
      ASSERT_TRUE(loop.sleep_until(task, Instant{fiber.second}).has_value());
      story += fiber.first;
    });
  }
  loop.run();
  EXPECT_EQ(story, "abcbca");
  EXPECT_TRUE(scope.empty());
}

TEST(Scheduler, AFinishedFiberGivesItsStackBack) {
  Loop loop;
  Scope scope;
  int ran = 0;
  for (int i = 0; i < 1000; ++i) {
    loop.spawn(scope, "f", [&](Task&) { ++ran; });
    loop.run();
  }
  EXPECT_EQ(ran, 1000);
  EXPECT_EQ(loop.fiber_count(), 0u);
}

TEST(Scope, CancelReachesEveryWaitAndJoinWaitsForAll) {
  Loop loop;
  Scope scope;
  Scope outer;
  WaitQueue never;
  int cancelled = 0;
  for (int i = 0; i < 3; ++i) {
    loop.spawn(scope, "waiter", [&](Task& task) {
      const Result<> got = never.wait(task);
      if (!got && got.error().code == Errc::kCancelled) ++cancelled;
      EXPECT_TRUE(task.cancelled());
      EXPECT_EQ(never.wait(task).error().code, Errc::kCancelled);  // And every later wait too.
    });
  }
  bool joined = false;
  loop.spawn(outer, "owner", [&](Task& task) {
    EXPECT_TRUE(loop.sleep_until(task, Instant{5}).has_value());
    scope.cancel();
    scope.join(task);
    joined = true;
    EXPECT_EQ(cancelled, 3);
  });
  loop.run();
  EXPECT_TRUE(joined);
}

TEST(WaitQueue, ADeadlineIsKTimedOut) {
  Loop loop;
  Scope scope;
  WaitQueue queue;
  loop.spawn(scope, "w", [&](Task& task) {
    EXPECT_EQ(queue.wait(task, Instant{100}).error().code, Errc::kTimedOut);
    EXPECT_EQ(loop.clock, Instant{100});
  });
  loop.run();
}

TEST(WaitQueue, WaitThroughIsNotInterrupted) {
  Loop loop;
  Scope scope;
  WaitQueue queue;
  bool done = false;
  loop.spawn(scope, "w", [&](Task& task) {
    queue.wait_through(task);
    done = true;
  });
  loop.run();
  scope.cancel();
  loop.run();
  EXPECT_FALSE(done);
  queue.notify_all();
  loop.run();
  EXPECT_TRUE(done);
}

TEST(Channel, IsBoundedAndDrainsAfterClose) {
  Loop loop;
  Scope scope;
  Channel<int> channel(2);
  std::vector<int> got;
  loop.spawn(scope, "producer", [&](Task& task) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(channel.push(task, i).has_value());
      EXPECT_LE(channel.size(), 2u);
    }
    channel.close();
  });
  loop.spawn(scope, "consumer", [&](Task& task) {
    for (;;) {
      const Result<int> item = channel.pop(task);
      if (!item) {
        EXPECT_EQ(item.error().code, Errc::kClosed);
        return;
      }
      got.push_back(*item);
    }
  });
  loop.run();
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(Mutex, OneAtATime) {
  Loop loop;
  Scope scope;
  Mutex mutex;
  int inside = 0;
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    loop.spawn(scope, "m", [&](Task& task) {
      const Result<Mutex::Lock> lock = mutex.lock(task);
      ASSERT_TRUE(lock.has_value());
      EXPECT_EQ(++inside, 1);
      EXPECT_TRUE(loop.sleep_until(task, loop.clock + 10_ns).has_value());
      --inside;
      ++done;
    });
  }
  loop.run();
  EXPECT_EQ(done, 3);
}

// A crash: every stack unwinds, the youngest first, and destructors run on the way.
TEST(Scheduler, UnwindsChildrenBeforeOwners) {
  Loop loop;
  Scope root;
  std::string story;
  struct Mark {
    std::string& story;
    char name;
    ~Mark() { story += name; }
  };
  WaitQueue never;
  loop.spawn(root, "owner", [&](Task& task) {
    const Mark mark{story, 'o'};
    Scope children;
    loop.spawn(children, "child", [&](Task& inner) {
      const Mark child{story, 'c'};
      (void)never.wait(inner);
      story += '!';  // Never: the wait does not return.
    });
    (void)never.wait(task);
    story += '!';
  });
  loop.run();
  loop.spawn(root, "unborn", [&](Task&) { story += '!'; });
  loop.unwind_all();
  EXPECT_EQ(story, "co");
  EXPECT_TRUE(root.empty());
}

TEST(Escaped, AClientCannotForgeALine) {
  EXPECT_EQ(escaped("a\nb\x1b[31m\"\xff"), "a\\x0ab\\x1b[31m\\x22\\xff");
  EXPECT_EQ(escaped(std::string(300, 'x')).size(), 259u);
}

TEST(Endpoint, ParsesWhatItPrints) {
  for (const char* text : {"localhost:9092", "[::1]:0", "10.0.0.1:65535", ":9092"})
    EXPECT_EQ(Endpoint::parse(text)->text(), text);
  for (const char* text : {"localhost", "localhost:", "localhost:65536", "::1:9092", "a:9x"})
    EXPECT_FALSE(Endpoint::parse(text).has_value()) << text;
}

}  // namespace
}  // namespace taffrail
