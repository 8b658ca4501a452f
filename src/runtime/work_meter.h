// How long a fiber works, its waits left out.
#pragma once

#include "base/check.h"
#include "runtime/runtime.h"

namespace taffrail {

/// Measures the running fiber for as long as it lives: on that fiber's stack, and one at a time.
class WorkMeter final : private TurnWatch {
 public:
  WorkMeter(Runtime& runtime, Task& task) : runtime_(runtime), task_(task), since_(runtime.fine_now()) {
    CHECK(task_.watch_turns(this) == nullptr, "one meter at a time");
  }
  ~WorkMeter() { task_.watch_turns(nullptr); }
  WorkMeter(const WorkMeter&) = delete;
  WorkMeter& operator=(const WorkMeter&) = delete;

  /// So far.
  Duration worked() {
    on_turn_end();
    on_turn_begin();
    return worked_;
  }

 private:
  void on_turn_end() override { worked_ = worked_ + (runtime_.fine_now() - since_); }
  void on_turn_begin() override { since_ = runtime_.fine_now(); }

  Runtime& runtime_;
  Task& task_;
  Instant since_;
  Duration worked_;
};

}  // namespace taffrail
