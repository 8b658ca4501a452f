#include "posix/loop.h"

#include <fmt/core.h>
#include <malloc.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "posix/errors.h"

namespace taffrail::posix {

namespace {

constexpr size_t kEventsPerRound = 256;
// So many fibers run before the kernel is asked again: enough to make the question cheap, few
// enough that a crowd of ready fibers does not keep a finished sync waiting.
constexpr int kResumesPerRound = 128;

}  // namespace

Instant monotonic_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return {static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec};
}

Loop::Loop(Duration poll_before_sleep)
    : poll_before_sleep_(poll_before_sleep),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(monotonic_now()),
      last_useful_(now_) {
  let_patient_wait();
  CHECK(epoll_.valid() && wake_.valid(), "a loop needs two descriptors: " + errno_text(errno));
  // Edge-triggered: each write is an event of its own, so the counter is never read.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0, errno_text(errno));
}

Loop::~Loop() = default;

bool Loop::watch(int fd, uint32_t events, Watch& watch) {
  epoll_event event{.events = events, .data = {.ptr = &watch}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

bool Loop::watch_again(int fd, uint32_t events, Watch& watch) {
  epoll_event event{.events = events, .data = {.ptr = &watch}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0;
}

void Loop::unwatch(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Loop::post(std::move_only_function<void()> message) {
  bool was_asleep = false;
  {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    waiting_.store(true, std::memory_order_relaxed);
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) wake();
}

void Loop::complete(Completion& completion) {
  bool was_asleep = false;
  {
    const std::lock_guard lock(mutex_);
    completion.next = nullptr;
    *completed_end_ = &completion;
    completed_end_ = &completion.next;
    waiting_.store(true, std::memory_order_relaxed);
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) wake();
}

void Loop::wake() {
  wakes_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t one = 1;
  // EAGAIN would mean 2^64 - 1 wakes; anything else that this descriptor is not ours.
  CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one, errno_text(errno));
}

void Loop::run_until(const std::function<bool()>& done) {
  LargeBlocks::take_over(&large_blocks_);
  while (!done()) round();
  LargeBlocks::take_over(nullptr);
  counters_.wakes = wakes_.load(std::memory_order_relaxed);
}

void Loop::round() {
  ++counters_.rounds;
  const bool busy = has_ready() || waiting_.load(std::memory_order_relaxed);
  const bool polling = poll_before_sleep_.ns > 0 && now_ - last_useful_ < poll_before_sleep_;
  const bool idle = !busy && !polling;
  if (idle) give_back_memory();
  large_blocks_.give_back_some();
  wait_for_events(idle && !trimming_ && large_blocks_.empty() && fall_asleep());
  const bool got_messages = drain_inbox();
  fire_timers(now_);
  if (got_messages || has_ready()) last_useful_ = now_;
  // Whoever is patient has long turns: the kernel is asked after each, and a thread that works for another fiber, on this
  // core perhaps, need not wait until our turn of it is over (3 ms).
  for (int i = 0; i < kResumesPerRound && run_one() && !was_patient(); ++i) {
  }
  if (was_patient() && handed_over_ > 0) sched_yield();
}

// Whoever leaves something after this finds asleep_ set, and wakes the loop.
bool Loop::fall_asleep() {
  const std::lock_guard lock(mutex_);
  if (!messages_.empty() || completed_ != nullptr) return false;
  asleep_ = true;
  return true;
}

// Once in a while, where there is nothing else to do: what a storm of requests has left free between what is still used
// goes back to the system, and so do the depths of stacks on which nothing has happened since the last time, some of them a
// round.
void Loop::give_back_memory() {
  constexpr Duration kEvery = 1_s;
  constexpr int64_t kIdleShare = 2'000;
  constexpr size_t kFree = 16u << 20;
  constexpr size_t kStacksPerRound = 8;
  if (now_ >= trim_at_) {
    trimming_ = true;
    // The allocator goes through all that is free, also what it gave back before: milliseconds, where a crowd has left holes.
    const Instant began = monotonic_now();
    const size_t free = mallinfo2().fordblks;
    free_after_trim_ = std::min(free_after_trim_, free);
    if (free > free_after_trim_ + kFree) {
      malloc_trim(kFree / 4);
      free_after_trim_ = free;
    }
    trim_at_ = now_ + std::max(kEvery, (monotonic_now() - began) * kIdleShare);
  }
  if (trimming_) trimming_ = trim_stacks(kStacksPerRound);
}

void Loop::wait_for_events(bool sleep) {
  timespec timeout{};
  const timespec* limit = &timeout;
  if (sleep) {
    ++counters_.sleeps;
    const Instant deadline = next_deadline();
    if (deadline == Instant::never()) {
      limit = nullptr;
    } else {
      // A round may have been long: the clock of its beginning would let the loop oversleep.
      const Duration left = deadline - monotonic_now();
      if (left.ns > 0)
        timeout = {.tv_sec = left.ns / 1'000'000'000, .tv_nsec = left.ns % 1'000'000'000};
    }
  }
  std::array<epoll_event, kEventsPerRound> events;
  const int count =
      epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), limit, nullptr);
  CHECK(count >= 0 || errno == EINTR, fmt::format("epoll: {}", errno_text(errno)));
  if (sleep) {
    const std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  now_ = monotonic_now();
  for (int i = 0; i < count; ++i)
    if (events[static_cast<size_t>(i)].data.ptr != nullptr)
      static_cast<Watch*>(events[static_cast<size_t>(i)].data.ptr)
          ->on_events(events[static_cast<size_t>(i)].events);
}

bool Loop::drain_inbox() {
  if (!waiting_.load(std::memory_order_relaxed)) return false;
  Completion* completed = nullptr;
  {
    const std::lock_guard lock(mutex_);
    waiting_.store(false, std::memory_order_relaxed);
    std::swap(messages_, running_messages_);
    completed = std::exchange(completed_, nullptr);
    completed_end_ = &completed_;
  }
  while (completed != nullptr) {
    // The fiber that wakes may return and take the completion with it, but not before this loop
    // ends.
    Completion* next = completed->next;
    completed->done.set();
    --handed_over_;
    completed = next;
  }
  for (auto& message : running_messages_) {
    ++counters_.messages;
    message();
  }
  running_messages_.clear();
  return true;
}

}  // namespace taffrail::posix
