// A stack, and the place on it where its function stopped. The loop resumes, the function suspends.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace taffrail {

/// Thrown through a parked fiber's stack when its node is cut off from its world (a simulated crash):
/// destructors run, nothing else does. Never caught by the tree's own code; `catch (...)` rethrows.
struct FiberUnwind {};

/// Stacks of one fixed size with a guard page below each, kept for reuse. One pool per thread at least: shards that a simulator
/// runs in one thread share theirs.
class StackPool {
 public:
  explicit StackPool(size_t stack_size);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// Lowest usable address of a stack of stack_size() bytes. Contents are whatever was there before.
  void* take();
  void give_back(void* stack);
  size_t stack_size() const { return stack_size_; }
  /// Bytes that the next fiber leaves free at the top of its stack. Stacks begin at the same place of a page and would
  /// fight for the same lines of the cache, so each fiber begins elsewhere.
  size_t next_shift() { return (shifts_++ * 7 % 16) * 256; }
  /// Enough for this build: sanitizers need several times the stack of a release build.
  static size_t default_stack_size();

 private:
  size_t stack_size_;
  size_t outstanding_ = 0;
  size_t shifts_ = 0;
  size_t guard_mappings_ = 0;
  std::vector<void*> warm_;  ///< Free, and as they were left.
  std::vector<void*> cold_;  ///< Free, and nothing but addresses.
};

class Fiber {
 public:
  /// Does not run `body` yet. `pool` outlives the fiber.
  Fiber(StackPool& pool, std::function<void()> body);
  /// A fiber is finished when it is destroyed, or was never resumed.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs the body until it suspends or ends. Only from outside any fiber.
  void resume();
  /// Back to whoever resumed. Only from inside the body.
  void suspend();
  /// Gives the system back what its stack once grew to and does not reach now. Only while it is suspended.
  void trim_stack();
  bool finished() const { return finished_; }
  bool started() const { return started_; }

 private:
  struct Switch;  // Keeps Boost.Context and the sanitizers out of this header.
  static void entry(Switch* s);
  void start();

  StackPool& pool_;
  std::function<void()> body_;
  void* stack_ = nullptr;
  Switch* switch_ = nullptr;  ///< On top of the stack.
  bool started_ = false;
  bool finished_ = false;
};

}  // namespace taffrail
