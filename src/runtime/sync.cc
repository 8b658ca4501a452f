#include "runtime/sync.h"

namespace taffrail {

// Lives on the waiting fiber's stack; leaves the queue however the wait ends, unwinding included.
struct WaitQueue::Node {
  WaitQueue& queue;
  Task& task;
  Node* previous = nullptr;
  Node* next = nullptr;
  bool queued = true;

  Node(WaitQueue& q, Task& t) : queue(q), task(t) { queue.push(*this); }
  ~Node() { if (queued) queue.remove(*this); }
};

void WaitQueue::push(Node& node) {
  node.previous = tail_;
  (tail_ == nullptr ? head_ : tail_->next) = &node;
  tail_ = &node;
}

void WaitQueue::remove(Node& node) {
  (node.previous == nullptr ? head_ : node.previous->next) = node.next;
  (node.next == nullptr ? tail_ : node.next->previous) = node.previous;
  node.queued = false;
}

Result<> WaitQueue::wait(Task& task, Instant deadline) {
  if (task.cancelled()) return fail(Errc::kCancelled);
  Node node(*this, task);
  const Task::Wake why = task.park(deadline, /*interruptible=*/true);
  if (!node.queued) return {};  // Notified; a timer or a cancellation at the same moment comes second.
  if (why == Task::Wake::kTimer) return fail(Errc::kTimedOut);
  return fail(Errc::kCancelled);
}

void WaitQueue::wait_through(Task& task) {
  Node node(*this, task);
  while (node.queued) task.park(Instant::never(), /*interruptible=*/false);
}

void WaitQueue::notify_one() {
  if (head_ == nullptr) return;
  Node& node = *head_;
  remove(node);
  node.task.scheduler_.make_ready(node.task, Task::Wake::kNotified);
}

void WaitQueue::notify_all() {
  while (head_ != nullptr) notify_one();
}

}  // namespace taffrail
