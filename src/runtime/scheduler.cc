#include "runtime/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace taffrail {

Task::Task(Birth, Scheduler& scheduler, Scope& scope, std::string name, uint64_t id, std::function<void(Task&)> body)
    : scheduler_(scheduler), name_(std::move(name)), id_(id), body_(std::move(body)),
      fiber_(*scheduler.stacks_, [this] { run(); }), scope_(scope), cancelled_(scope.cancelled()) {}

// The one place where exceptions end: a fiber's entry (docs/ARCHITECTURE.md, "What can go wrong").
void Task::run() {
  try {
    body_(*this);
  } catch (const FiberUnwind&) {
  } catch (const std::exception& e) {
    check_failed(__FILE__, __LINE__, "no exception leaves a fiber", name_ + ": " + e.what());
  }
  body_ = nullptr;
}

Task::Wake Task::park(Instant deadline, bool interruptible) {
  CHECK(scheduler_.running_ == this, "a fiber waits for itself only");
  if (unwinding_) throw FiberUnwind{};
  if (interruptible && cancelled_) return Wake::kCancel;
  deadline_ = deadline;
  parked_ = true;
  interruptible_ = interruptible;
  wake_ = Wake::kNone;
  if (deadline != Instant::never()) scheduler_.add_timer(*this);
  give_way();
  // The loop took the timer and the parked state away when it made this fiber ready.
  return wake_;
}

void Task::give_way() {
  if (turn_watch_ != nullptr) turn_watch_->on_turn_end();
  fiber_.suspend();
  if (unwinding_) throw FiberUnwind{};
  if (turn_watch_ != nullptr) turn_watch_->on_turn_begin();
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

Scheduler::Scheduler(std::shared_ptr<StackPool> stacks)
    : stacks_(stacks ? std::move(stacks) : std::make_shared<StackPool>(StackPool::default_stack_size())) {}

Scheduler::~Scheduler() { CHECK(tasks_.empty(), "a scheduler outlives its fibers"); }

void Scheduler::spawn(Scope& scope, std::string name, std::function<void(Task&)> body) {
  if (unwinding_) return;  // A dying node starts nothing.
  Task& task = tasks_.emplace_back(Task::Birth(), *this, scope, std::move(name), next_id_++, std::move(body));
  task.in_all_ = std::prev(tasks_.end());
  task.in_scope_ = scope.tasks_.insert(scope.tasks_.end(), &task);
  add_ready(task);
}

void Scheduler::add_ready(Task& task) {
  task.ready_ = true;
  const bool was_idle = !has_ready();
  (task.patient_ && patient_wait_ ? patient_ : ready_).push(task);
  if (was_idle) on_ready();
}

void Scheduler::make_ready(Task& task, Task::Wake why) {
  if (!task.parked_) return;
  task.parked_ = false;
  task.wake_ = why;
  if (task.in_timers_ != 0) remove_timer(task);
  add_ready(task);
}

Task& Scheduler::Queue::take(size_t at) {
  const auto chosen = tasks_.begin() + static_cast<std::ptrdiff_t>(begin_ + at);
  Task& task = **chosen;
  if (at == 0) ++begin_;
  else tasks_.erase(chosen);
  // What was taken from the front goes once it is half of all: each entry moves at most once.
  if (begin_ == tasks_.size()) {
    tasks_.clear();
    begin_ = 0;
  } else if (begin_ >= 64 && begin_ * 2 >= tasks_.size()) {
    tasks_.erase(tasks_.begin(), tasks_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  return task;
}

void Scheduler::Queue::remove(Task& task) {
  tasks_.erase(std::remove(tasks_.begin() + static_cast<std::ptrdiff_t>(begin_), tasks_.end(), &task), tasks_.end());
}

bool Scheduler::run_one() {
  CHECK(running_ == nullptr, "fibers do not run fibers");
  // However many others there are, the patient get somewhere.
  constexpr uint32_t kFavouredMax = 8;
  was_patient_ = patient_.size() > 0 && (ready_.size() == 0 || ++favoured_ > kFavouredMax);
  if (was_patient_) favoured_ = 0;
  Queue& queue = was_patient_ ? patient_ : ready_;
  const size_t count = queue.size();
  if (count == 0) return false;
  Task* task = &queue.take(count == 1 ? 0 : pick(count));
  task->ready_ = false;
  task->stack_ = Task::Stack::kUsed;
  running_ = task;
  task->fiber_.resume();
  running_ = nullptr;
  if (task->fiber_.finished()) finish(*task);
  return true;
}

void Scheduler::finish(Task& task) {
  Scope& scope = task.scope_;
  scope.tasks_.erase(task.in_scope_);
  if (scope.tasks_.empty() && !unwinding_)
    for (Task* joiner : scope.joiners_) joiner->scheduler_.make_ready(*joiner, Task::Wake::kNotified);
  if (to_trim_ == task.in_all_) ++to_trim_;
  tasks_.erase(task.in_all_);
}

Instant Scheduler::next_deadline() const {
  return timers_.empty() ? Instant::never() : timers_.front()->deadline_;
}

void Scheduler::fire_timers(Instant now) {
  while (!timers_.empty() && timers_.front()->deadline_ <= now) make_ready(*timers_.front(), Task::Wake::kTimer);
}

void Scheduler::add_timer(Task& task) {
  timers_.push_back(&task);
  task.in_timers_ = timers_.size();
  sift_up(task.in_timers_);
}

void Scheduler::remove_timer(Task& task) {
  const size_t place = std::exchange(task.in_timers_, 0);
  Task* last = timers_.back();
  timers_.pop_back();
  if (last == &task) return;
  timers_[place - 1] = last;
  last->in_timers_ = place;
  sift_up(place);
  sift_down(last->in_timers_);
}

bool Scheduler::earlier(const Task& a, const Task& b) {
  return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.id_ < b.id_;
}

// Places count from 1: the parent of n is n / 2.
void Scheduler::sift_up(size_t place) {
  Task* const task = timers_[place - 1];
  for (; place > 1 && earlier(*task, *timers_[place / 2 - 1]); place /= 2) {
    timers_[place - 1] = timers_[place / 2 - 1];
    timers_[place - 1]->in_timers_ = place;
  }
  timers_[place - 1] = task;
  task->in_timers_ = place;
}

void Scheduler::sift_down(size_t place) {
  Task* const task = timers_[place - 1];
  for (size_t child = place * 2; child <= timers_.size(); child = place * 2) {
    if (child < timers_.size() && earlier(*timers_[child], *timers_[child - 1])) ++child;
    if (!earlier(*timers_[child - 1], *task)) break;
    timers_[place - 1] = timers_[child - 1];
    timers_[place - 1]->in_timers_ = place;
    place = child;
  }
  timers_[place - 1] = task;
  task->in_timers_ = place;
}

void Scheduler::yield(Task& task) {
  CHECK(running_ == &task);
  task.parked_ = true;
  task.deadline_ = Instant::never();
  task.interruptible_ = false;
  make_ready(task, Task::Wake::kNotified);
  task.give_way();
}

Result<> Scheduler::sleep_until(Task& task, Instant deadline) {
  if (task.park(deadline, /*interruptible=*/true) == Task::Wake::kCancel) return fail(Errc::kCancelled);
  return {};
}

bool Scheduler::trim_stacks(size_t count) {
  CHECK(running_ == nullptr, "a fiber's stack is in use while it runs");
  if (to_trim_ == tasks_.end()) to_trim_ = tasks_.begin();
  for (; count > 0 && to_trim_ != tasks_.end(); ++to_trim_, --count) {
    Task& task = *to_trim_;
    if (task.stack_ == Task::Stack::kSeen) {
      task.fiber_.trim_stack();
      task.stack_ = Task::Stack::kTrimmed;
    } else if (task.stack_ == Task::Stack::kUsed) {
      task.stack_ = Task::Stack::kSeen;
    }
  }
  return to_trim_ != tasks_.end();
}

void Scheduler::unwind_all() {
  CHECK(running_ == nullptr, "a node is unwound from outside its fibers");
  unwinding_ = true;
  while (!tasks_.empty()) {
    Task& task = tasks_.back();
    task.unwinding_ = true;
    if (task.parked_) make_ready(task, Task::Wake::kCancel);
    if (task.fiber_.started()) {
      running_ = &task;
      task.fiber_.resume();
      running_ = nullptr;
      CHECK(task.fiber_.finished(), "an unwinding fiber does not wait");
    }
    if (task.in_timers_ != 0) remove_timer(task);
    ready_.remove(task);
    patient_.remove(task);
    finish(task);
  }
  unwinding_ = false;
}

}  // namespace taffrail
