#include "runtime/scheduler.h"

#include "base/check.h"

namespace taffrail {

Task::Wake Task::park(Instant deadline, bool interruptible) {
  CHECK(scheduler_.running_ == this, "a fiber waits for itself only");
  if (unwinding_) throw FiberUnwind{};
  if (interruptible && cancelled_) return Wake::kCancel;
  deadline_ = deadline;
  parked_ = true;
  interruptible_ = interruptible;
  wake_ = Wake::kNone;
  if (deadline != Instant::never()) scheduler_.timers_.insert({deadline, id_, this});
  fiber_->suspend();
  // The loop took the timer and the parked state away when it made this fiber ready.
  if (unwinding_) throw FiberUnwind{};
  return wake_;
}

Scope::~Scope() { CHECK(tasks_.empty(), "a scope outlives its fibers: cancel() and join() first"); }

void Scope::cancel() {
  cancelled_ = true;
  for (Task* task : tasks_) {
    task->cancelled_ = true;
    if (task->parked_ && task->interruptible_) task->scheduler_.make_ready(*task, Task::Wake::kCancel);
  }
}

void Scope::join(Task& task) {
  while (!tasks_.empty()) {
    joiners_.push_back(&task);
    // An unwinding fiber leaves its place here by itself: the list goes with the scope.
    task.park(Instant::never(), /*interruptible=*/false);
    joiners_.remove(&task);
  }
}

Scheduler::Scheduler() : stacks_(StackPool::default_stack_size()) {}

Scheduler::~Scheduler() { CHECK(tasks_.empty(), "a scheduler outlives its fibers"); }

void Scheduler::spawn(Scope& scope, std::string name, std::function<void(Task&)> body) {
  if (unwinding_) return;  // A dying node starts nothing.
  auto owned = std::unique_ptr<Task>(new Task(*this, std::move(name), next_id_++));
  Task& task = *owned;
  task.scope_ = &scope;
  task.cancelled_ = scope.cancelled_;
  task.in_scope_ = scope.tasks_.insert(scope.tasks_.end(), &task);
  task.fiber_ = std::make_unique<Fiber>(stacks_, [&task, run = std::move(body)] {
    // The one place where exceptions end: a fiber's entry (docs/ARCHITECTURE.md, "What can go wrong").
    try {
      run(task);
    } catch (const FiberUnwind&) {
    } catch (const std::exception& e) {
      check_failed(__FILE__, __LINE__, "no exception leaves a fiber", task.name() + ": " + e.what());
    }
  });
  tasks_.push_back(std::move(owned));
  task.ready_ = true;
  ready_.push_back(&task);
  if (ready_.size() == 1) on_ready();
}

void Scheduler::make_ready(Task& task, Task::Wake why) {
  if (!task.parked_) return;
  task.parked_ = false;
  task.wake_ = why;
  if (task.deadline_ != Instant::never()) timers_.erase({task.deadline_, task.id_, &task});
  task.ready_ = true;
  ready_.push_back(&task);
  if (ready_.size() == 1) on_ready();
}

bool Scheduler::run_one() {
  CHECK(running_ == nullptr, "fibers do not run fibers");
  if (ready_.empty()) return false;
  const size_t chosen = ready_.size() == 1 ? 0 : pick(ready_.size());
  Task* task = ready_[chosen];
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(chosen));
  task->ready_ = false;
  running_ = task;
  task->fiber_->resume();
  running_ = nullptr;
  if (task->fiber_->finished()) finish(*task);
  return true;
}

void Scheduler::finish(Task& task) {
  Scope& scope = *task.scope_;
  scope.tasks_.erase(task.in_scope_);
  if (scope.tasks_.empty() && !unwinding_)
    for (Task* joiner : scope.joiners_) joiner->scheduler_.make_ready(*joiner, Task::Wake::kNotified);
  // Most fibers that end are young.
  for (auto it = tasks_.end(); it != tasks_.begin();) {
    --it;
    if (it->get() == &task) {
      tasks_.erase(it);
      return;
    }
  }
  CHECK(false, "a fiber ends once");
}

Instant Scheduler::next_deadline() const {
  return timers_.empty() ? Instant::never() : timers_.begin()->at;
}

void Scheduler::fire_timers(Instant now) {
  while (!timers_.empty() && timers_.begin()->at <= now)
    make_ready(*timers_.begin()->task, Task::Wake::kTimer);
}

void Scheduler::yield(Task& task) {
  CHECK(running_ == &task);
  task.parked_ = true;
  task.deadline_ = Instant::never();
  task.interruptible_ = false;
  make_ready(task, Task::Wake::kNotified);
  task.fiber_->suspend();
  if (task.unwinding_) throw FiberUnwind{};
}

Result<> Scheduler::sleep_until(Task& task, Instant deadline) {
  if (task.park(deadline, /*interruptible=*/true) == Task::Wake::kCancel) return fail(Errc::kCancelled);
  return {};
}

void Scheduler::unwind_all() {
  CHECK(running_ == nullptr, "a node is unwound from outside its fibers");
  unwinding_ = true;
  while (!tasks_.empty()) {
    Task& task = *tasks_.back();
    task.unwinding_ = true;
    if (task.parked_) make_ready(task, Task::Wake::kCancel);
    if (task.fiber_->started()) {
      running_ = &task;
      task.fiber_->resume();
      running_ = nullptr;
      CHECK(task.fiber_->finished(), "an unwinding fiber does not wait");
    }
    std::erase(ready_, &task);
    finish(task);
  }
  ready_.clear();
  timers_.clear();
  unwinding_ = false;
}

}  // namespace taffrail
