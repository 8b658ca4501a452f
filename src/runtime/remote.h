// How the shards of a node speak with each other: objects that are called where they live, and answers that come back.
// Everything here is a message of Runtime::post; what two shards share is a count of references and nothing else.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail {

/// An object on some shard, as the other shards know it. May outlive the object.
template <class T>
class Remote {
 public:
  Remote() = default;
  Remote(ShardId shard, std::shared_ptr<T*> door) : shard_(shard), door_(std::move(door)) {}

  ShardId shard() const { return shard_; }
  /// Runs `what(T&)` on the object's shard, outside any fiber; not at all if the object is gone by then. Any
  /// shard may call, each with its own `from`. Calls from one shard keep their order.
  template <class F>
  void post(Runtime& from, F what) const {
    from.post(shard_, [door = door_, what = std::move(what)]() mutable {
      if (*door != nullptr) what(**door);
    });
  }
  /// The object itself, or null: on its own shard, and for those who watch a node whose shards all run in one
  /// thread.
  T* here() const { return door_ == nullptr ? nullptr : *door_; }

 private:
  ShardId shard_;
  std::shared_ptr<T*> door_;
};

/// Makes an object reachable for as long as it lives: a member of it.
template <class T>
class Door {
 public:
  explicit Door(T& self) : door_(std::make_shared<T*>(&self)) {}
  /// Opens a door that others were given before there was anybody behind it.
  Door(T& self, std::shared_ptr<T*> door) : door_(std::move(door)) { *door_ = &self; }
  ~Door() { *door_ = nullptr; }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  Remote<T> from(ShardId shard) const { return {shard, door_}; }

 private:
  std::shared_ptr<T*> door_;
};

/// One question to another shard and its answer. The asker waits with a way out: a shard that is taken down
/// drops what it is asked.
template <class R>
class Question {
  struct State {
    std::optional<R> value;
    Event arrived;
  };

 public:
  explicit Question(Runtime& home) : home_(home), state_(std::make_shared<State>()) {}

  /// What the other shard answers with; may be copied, and the first answer counts.
  class Answer {
   public:
    Answer(ShardId home, std::shared_ptr<State> state) : home_(home), state_(std::move(state)) {}
    void give(Runtime& from, R value) const {
      from.post(home_, [state = state_, value = std::move(value)]() mutable {
        if (state->value) return;
        state->value.emplace(std::move(value));
        state->arrived.set();
      });
    }

   private:
    ShardId home_;
    std::shared_ptr<State> state_;
  };
  Answer answer() const { return Answer(home_.shard(), state_); }

  /// Errors: kTimedOut, kCancelled.
  Result<R> wait(Task& task, Instant deadline = Instant::never()) {
    TRY(state_->arrived.wait(task, deadline));
    return std::move(*state_->value);
  }
  /// For answers that are certain to come.
  R wait_through(Task& task) {
    state_->arrived.wait_through(task);
    return std::move(*state_->value);
  }

 private:
  Runtime& home_;
  std::shared_ptr<State> state_;
};

}  // namespace taffrail
