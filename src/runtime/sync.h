// How fibers of one shard wait for each other. Nothing here is for threads: shards share nothing and
// send messages (Runtime::post).
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/scheduler.h"

namespace taffrail {

/// Fibers waiting for something to happen, the longest waiting first. The mother of all below.
class WaitQueue {
 public:
  WaitQueue() = default;
  ~WaitQueue() { CHECK(head_ == nullptr, "nobody waits for what is gone"); }
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  /// Until notified. Errors: kTimedOut at `deadline`, kCancelled.
  Result<> wait(Task& task, Instant deadline = Instant::never());
  /// Until notified, even when the fiber is asked to stop: for waits whose end is certain and whose
  /// buffers somebody else is using (a disk, another shard).
  void wait_through(Task& task);
  void notify_one();
  void notify_all();
  bool empty() const { return head_ == nullptr; }

 private:
  struct Node;
  void push(Node& node);
  void remove(Node& node);
  Node* head_ = nullptr;
  Node* tail_ = nullptr;
};

/// Something that happened once, and stays so.
class Event {
 public:
  void set() { set_ = true; queue_.notify_all(); }
  bool is_set() const { return set_; }
  /// Errors: kTimedOut, kCancelled. At once if it happened already.
  Result<> wait(Task& task, Instant deadline = Instant::never()) {
    while (!set_) TRY(queue_.wait(task, deadline));
    return {};
  }
  void wait_through(Task& task) {
    while (!set_) queue_.wait_through(task);
  }

 private:
  bool set_ = false;
  WaitQueue queue_;
};

/// One fiber at a time, in order of asking. A mutex held across a wait says in a comment what for.
class Mutex {
 public:
  class Lock {
   public:
    Lock() = default;
    explicit Lock(Mutex& mutex) : mutex_(&mutex) {}
    Lock(Lock&& o) noexcept : mutex_(std::exchange(o.mutex_, nullptr)) {}
    Lock& operator=(Lock&& o) noexcept { std::swap(mutex_, o.mutex_); return *this; }
    ~Lock() { if (mutex_ != nullptr) mutex_->unlock(); }

   private:
    Mutex* mutex_ = nullptr;
  };
  /// Errors: kTimedOut, kCancelled.
  Result<Lock> lock(Task& task, Instant deadline = Instant::never()) {
    while (held_) TRY(queue_.wait(task, deadline));
    held_ = true;
    return Lock(*this);
  }

 private:
  void unlock() { held_ = false; queue_.notify_one(); }
  bool held_ = false;
  WaitQueue queue_;
};

/// A bounded queue between fibers. Full: push waits, try_push says so. Closed: pushes fail, pops drain
/// what is left and then fail with kClosed.
template <class T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) {}
  bool try_push(T value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    poppers_.notify_one();
    return true;
  }
  /// Errors: kClosed, kTimedOut, kCancelled.
  Result<> push(Task& task, T value, Instant deadline = Instant::never()) {
    while (!closed_ && items_.size() >= capacity_) TRY(pushers_.wait(task, deadline));
    if (closed_) return fail(Errc::kClosed);
    items_.push_back(std::move(value));
    poppers_.notify_one();
    return {};
  }
  /// Errors: kClosed, kTimedOut, kCancelled.
  Result<T> pop(Task& task, Instant deadline = Instant::never()) {
    while (items_.empty()) {
      if (closed_) return fail(Errc::kClosed);
      TRY(poppers_.wait(task, deadline));
    }
    return take();
  }
  std::optional<T> try_pop() {
    if (items_.empty()) return std::nullopt;
    return take();
  }
  void close() {
    closed_ = true;
    poppers_.notify_all();
    pushers_.notify_all();
  }
  size_t size() const { return items_.size(); }
  bool closed() const { return closed_; }

 private:
  T take() {
    T value = std::move(items_.front());
    items_.pop_front();
    pushers_.notify_one();
    return value;
  }
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitQueue poppers_;
  WaitQueue pushers_;
};

}  // namespace taffrail
