// Goal: fibers wait, wake, are cancelled and unwound as scheduler.h and sync.h promise. Method: a bare
// scheduler, run by hand, with a clock that is a number.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
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

uintptr_t page_of(const void* at) { return reinterpret_cast<uintptr_t>(at) & -static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)); }

bool is_resident(uintptr_t page) {
  unsigned char resident = 0;
  EXPECT_EQ(mincore(reinterpret_cast<void*>(page), 1, &resident), 0);
  return (resident & 1) != 0;
}

// Returns the page it stands on, deep below its caller.
[[gnu::noinline]] uintptr_t go_deep(int calls) {
  volatile char filler[1024];
  memset(const_cast<char*>(filler), 'x', sizeof filler);
  const uintptr_t found = calls == 0 ? page_of(__builtin_frame_address(0)) : go_deep(calls - 1);
  return filler[1] == 'x' ? found : 0;
}

TEST(Scheduler, AQuietFiberGivesBackTheDepthsOfItsStack) {
  Loop loop;
  Scope scope;
  std::vector<uintptr_t> deep(3);
  std::vector<std::string> kept(3);
  WaitQueue queue;
  for (int i = 0; i < 3; ++i) {
    loop.spawn(scope, "f", [&, i](Task& task) {
      const std::string mine = "what fiber " + std::to_string(i) + " keeps on its stack";
      deep[i] = go_deep(20);
      ASSERT_TRUE(queue.wait(task).has_value());
      kept[i] = mine;
      deep[i] = go_deep(20);
      ASSERT_TRUE(queue.wait(task).has_value());
    });
  }
  loop.run();
  for (const uintptr_t page : deep) EXPECT_TRUE(is_resident(page));

  // Those that ran since the last look are let be, and a look may be made in parts.
  EXPECT_TRUE(loop.trim_stacks(2));
  EXPECT_FALSE(loop.trim_stacks(2));
  for (const uintptr_t page : deep) EXPECT_TRUE(is_resident(page));
  EXPECT_FALSE(loop.trim_stacks(100));
  for (const uintptr_t page : deep) EXPECT_FALSE(is_resident(page));

  queue.notify_all();
  loop.run();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(kept[i], "what fiber " + std::to_string(i) + " keeps on its stack");
  EXPECT_FALSE(loop.trim_stacks(100));
  for (const uintptr_t page : deep) EXPECT_TRUE(is_resident(page));

  // Fibers may end while a look is half done.
  EXPECT_TRUE(loop.trim_stacks(1));
  queue.notify_all();
  loop.run();
  EXPECT_TRUE(scope.empty());
  EXPECT_FALSE(loop.trim_stacks(1));
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
