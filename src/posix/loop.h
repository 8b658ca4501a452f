// One shard's thread: sleeps in epoll until a socket, a timer, a disk or another thread has
// something, then runs the fibers that became ready.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "base/units.h"
#include "posix/counters.h"
#include "posix/fd.h"
#include "posix/large_blocks.h"
#include "runtime/scheduler.h"
#include "runtime/sync.h"

namespace taffrail::posix {

/// Somebody who is told when a descriptor becomes ready.
class Watch {
 public:
  /// `events` as epoll gives them. Runs outside any fiber, before any of this round's: it may wake
  /// fibers, and must not destroy a Watch.
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~Watch() = default;
};

/// Work that another thread does for a fiber, which waits in done.wait_through(). Usually lives on
/// that fiber's stack.
struct Completion {
  Completion* next = nullptr;
  Event done;
};

class Loop final : public Scheduler {
 public:
  /// `poll_before_sleep`: for so long after the last useful round the loop looks again and again
  /// instead of sleeping. Saves the other side the cost of waking it (about 20 us), for the price
  /// of a busy core; zero where cores are shared.
  explicit Loop(Duration poll_before_sleep = {});
  ~Loop() override;

  /// The clock as this round began.
  Instant now() const { return now_; }

  /// Tells `watch` about `events` (EPOLL*) of `fd`. False if the kernel cannot watch such a
  /// descriptor (a regular file), or will not (out of memory).
  bool watch(int fd, uint32_t events, Watch& watch);
  /// Changes what is watched; arms a one-shot watch again.
  bool watch_again(int fd, uint32_t events, Watch& watch);
  /// Called before `fd` is closed and `watch` destroyed, from a fiber or a message.
  void unwatch(int fd);

  /// Any thread. Runs `message` on the loop's thread, outside any fiber, in order of arrival.
  void post(std::move_only_function<void()> message);
  /// Any thread: sets completion.done on the loop's thread. The caller touches `completion` no
  /// more.
  void complete(Completion& completion);

  /// Runs until `done()`, which is asked between rounds. What another thread does to make it true
  /// is followed by a post().
  void run_until(const std::function<bool()>& done);

  /// The loop's thread: another one is about to work on a completion.
  void handed_over() { ++handed_over_; }

  Counters& counters() { return counters_; }

 private:
  void round();
  bool fall_asleep();
  void wait_for_events(bool sleep);
  bool drain_inbox();
  void wake();
  void give_back_memory();

  const Duration poll_before_sleep_;
  Fd epoll_;
  Fd wake_;
  Instant now_;
  Instant last_useful_;
  Instant trim_at_;
  size_t free_after_trim_ = 0;
  LargeBlocks large_blocks_;
  bool trimming_ = false;  // Some of the fibers have not been looked at.
  Counters counters_;

  // What other threads left for this one. `waiting_` is a hint that saves the lock in a busy round;
  // a sleep asks under the lock.
  std::mutex mutex_;
  std::vector<std::move_only_function<void()>> messages_;
  Completion* completed_ = nullptr;
  Completion** completed_end_ = &completed_;
  bool asleep_ = false;
  std::atomic<bool> waiting_ = false;
  std::atomic<uint64_t> wakes_ = 0;

  int64_t handed_over_ = 0;  // Completions that others work on.
  std::vector<std::move_only_function<void()>> running_messages_;  // Keeps its memory over rounds.
};

/// CLOCK_MONOTONIC.
Instant monotonic_now();

}  // namespace taffrail::posix
