// The fibers of one shard: which are ready, which wait for what, and which are asked to stop. The same
// code under both worlds; a world only says what time it is and when to run what is ready.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "runtime/fiber.h"

namespace taffrail {

class Scope;
class Scheduler;

/// Told when turns of a fiber end and begin: see Task::watch_turns().
class TurnWatch {
 public:
  virtual void on_turn_end() = 0;
  virtual void on_turn_begin() = 0;

 protected:
  ~TurnWatch() = default;
};

/// The running fiber's handle. A function that may wait takes `Task& task` first; no task, no wait.
class Task {
 public:
  /// By Scheduler::spawn alone.
  class Birth {
    friend class Scheduler;
    Birth() = default;
  };
  Task(Birth, Scheduler& scheduler, Scope& scope, std::string name, uint64_t id, std::function<void(Task&)> body);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  const std::string& name() const { return name_; }
  /// True once the fiber was asked to stop. Every wait says so too, as kCancelled.
  bool cancelled() const { return cancelled_; }
  Scheduler& scheduler() { return scheduler_; }
  /// Whom the turns of this fiber are told to from here on; null: nobody. Returns who it was.
  TurnWatch* watch_turns(TurnWatch* watch) { return std::exchange(turn_watch_, watch); }

 private:
  friend class Scheduler;
  friend class Scope;
  friend class WaitQueue;
  friend class Patience;
  enum class Wake : uint8_t { kNone, kNotified, kTimer, kCancel };

  void run();
  /// Stops here until somebody calls Scheduler::make_ready. Throws FiberUnwind on a crash.
  Wake park(Instant deadline, bool interruptible);
  /// Lets the loop go on; comes back when it has made this fiber ready. Throws as park().
  void give_way();

  Scheduler& scheduler_;
  std::string name_;
  uint64_t id_;
  std::function<void(Task&)> body_;
  Fiber fiber_;
  Scope& scope_;
  std::list<Task>::iterator in_all_;
  std::list<Task*>::iterator in_scope_;
  TurnWatch* turn_watch_ = nullptr;
  Instant deadline_ = Instant::never();
  size_t in_timers_ = 0;  ///< Its place among the timers, from 1; 0: none.
  Wake wake_ = Wake::kNone;
  bool parked_ = false;
  bool interruptible_ = false;
  bool ready_ = false;
  bool patient_ = false;
  bool cancelled_ = false;
  bool unwinding_ = false;
  enum class Stack : uint8_t { kUsed, kSeen, kTrimmed } stack_ = Stack::kUsed;  ///< For trim_stacks().
};

/// As long as it lives its fiber has much to do, and does it piece by piece: whenever it is ready, others that are go first.
class Patience {
 public:
  explicit Patience(Task& task) : task_(task), before_(std::exchange(task.patient_, true)) {}
  ~Patience() { task_.patient_ = before_; }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

 private:
  Task& task_;
  bool before_;
};

/// The owner of fibers: the last member of the object whose state they touch. Nothing is detached.
class Scope {
 public:
  Scope() = default;
  /// Fails a CHECK if fibers are alive: cancel() and join() first.
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Asks every fiber to stop: their waits return kCancelled. New fibers start cancelled.
  void cancel();
  /// Waits until every fiber has ended. Not interrupted by the caller's own cancellation.
  void join(Task& task);
  bool empty() const { return tasks_.empty(); }
  bool cancelled() const { return cancelled_; }

 private:
  friend class Scheduler;
  std::list<Task*> tasks_;
  std::list<Task*> joiners_;
  bool cancelled_ = false;
};

class Scheduler {
 public:
  /// `stacks` may be shared by schedulers of one thread; each has its own if there is none.
  explicit Scheduler(std::shared_ptr<StackPool> stacks = nullptr);
  virtual ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// A fiber owned by `scope`; it first runs after this call has returned.
  void spawn(Scope& scope, std::string name, std::function<void(Task&)> body);

  /// Runs one ready fiber until it waits or ends; false if none is ready.
  bool run_one();
  bool has_ready() const { return ready_.size() + patient_.size() > 0; }
  /// The earliest deadline of any waiting fiber; never() if there is none.
  Instant next_deadline() const;
  /// Makes ready every fiber whose deadline is at or before `now`.
  void fire_timers(Instant now);
  /// Waits for nothing but its turn: others run first.
  void yield(Task& task);
  /// Until `deadline`. Errors: kCancelled.
  Result<> sleep_until(Task& task, Instant deadline);

  /// The crash of a node: unwinds every fiber, the youngest first, so that children go before the
  /// owners of their scopes. Nothing that runs on the way may wait or have effects on the world.
  void unwind_all();
  size_t fiber_count() const { return tasks_.size(); }
  /// Looks at up to `count` fibers; those that have not run since they were looked at last give back what their stacks do
  /// not use. False once it has seen them all; the next call begins anew. From outside any fiber, and for the real world:
  /// ten thousand quiet connections weigh half as much.
  bool trim_stacks(size_t count);
  /// The fiber that runs now; null outside.
  Task* running() { return running_; }

 protected:
  /// Which of `count` ready fibers runs next, 0 being the one that waits longest. The simulator
  /// draws; the real world does not.
  virtual size_t pick(size_t count) { (void)count; return 0; }
  /// A fiber became ready although none was before: a sleeping loop has to look.
  virtual void on_ready() {}
  /// From here on the patient wait for the others. The simulator lets them run in any order.
  void let_patient_wait() { patient_wait_ = true; }
  /// Whether it was a patient one that run_one() ran.
  bool was_patient() const { return was_patient_; }

 private:
  /// Fibers that are ready, the longest waiting first.
  class Queue {
   public:
    size_t size() const { return tasks_.size() - begin_; }
    void push(Task& task) { tasks_.push_back(&task); }
    Task& take(size_t at);
    void remove(Task& task);

   private:
    std::vector<Task*> tasks_;
    size_t begin_ = 0;
  };
  friend class Task;
  friend class WaitQueue;
  friend class Scope;
  void make_ready(Task& task, Task::Wake why);
  void finish(Task& task);
  void add_ready(Task& task);

  void add_timer(Task& task);
  void remove_timer(Task& task);
  static bool earlier(const Task& a, const Task& b);
  void sift_up(size_t place);
  void sift_down(size_t place);

  std::shared_ptr<StackPool> stacks_;
  uint64_t next_id_ = 1;
  std::list<Task> tasks_;    // In order of birth.
  std::list<Task>::iterator to_trim_ = tasks_.end();  // Whom trim_stacks() looks at next; the end: from the beginning.
  Queue ready_;
  Queue patient_;
  uint32_t favoured_ = 0;  ///< Fibers that ran while patient ones were ready.
  bool patient_wait_ = false;
  bool was_patient_ = false;
  std::vector<Task*> timers_;  // A binary heap by deadline, then by id. Nothing is allocated for a wait.
  Task* running_ = nullptr;
  bool unwinding_ = false;
};

}  // namespace taffrail
