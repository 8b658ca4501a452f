// What the connections of a shard may hold together: one client's large requests, or answers that it does not take,
// leave room for the others.
#pragma once

#include <list>
#include <map>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail {

/// Counts bytes of requests that arrive or are worked on, and of answers that have not gone. Who holds more than a few
/// reads on only while the others hold less than the limit, so that the limit is passed by one connection's request at
/// most. Where requests wait for nothing but one another, the first of them goes on. Where somebody's peer lets all of them
/// wait for kPatience, the one that has kept us waiting longest is cut off; what others do in a few bytes meanwhile, which
/// makes no room, changes nothing about that.
class MemoryBudget {
 public:
  static constexpr ByteCount kFree = 4_KiB;  ///< So much each connection may read at any time.
  static constexpr Duration kPatience = 5_s;

  class Holder {
   public:
    virtual ~Holder() = default;
    /// Since when its peer lets us wait, for the rest of a request or for an answer to be taken; never(): it does not.
    virtual Instant waits_since() const = 0;
    /// Ends the connection, which then gives back what it holds.
    virtual void break_off(std::string why) = 0;

   private:
    friend class MemoryBudget;
    ByteCount held_ = 0;
    bool waits_ = false;
    uint64_t place_ = 0;  ///< Among the holders; 0: it never held anything.
  };

  MemoryBudget(Runtime& runtime, ByteCount limit) : runtime_(runtime), limit_(limit) {}

  /// What `holder` holds from now on.
  void hold(Holder& holder, ByteCount bytes);
  /// Before its end: it holds nothing any more.
  void leave(Holder& holder);
  /// Whether `holder` may read on.
  bool has_room(const Holder& holder) const;
  /// Whether nobody should begin more than one request at a time.
  bool is_full() const;
  /// Returns when that may have changed. Errors: kCancelled.
  Result<> wait(Task& task, Holder& holder);
  /// If `holder` waits: it has another reason to go on.
  void nudge(const Holder& holder);
  ByteCount used() const { return used_; }

 private:
  Runtime& runtime_;
  const ByteCount limit_;
  struct Waiter;
  void wake(Waiter& waiter);
  void wake_all();
  void wake_who_can_go_on();
  void judge(Holder& holder);

  ByteCount used_ = 0;
  size_t moving_ = 0;  ///< Those who hold something and do not wait.
  uint64_t next_place_ = 1;
  std::map<uint64_t, Holder*> holders_;  ///< In the order in which they first held something: nothing is allocated later.
  const Holder* favoured_ = nullptr;     ///< Goes on past the limit, until it has given all back.
  std::list<Waiter*> waiters_;           ///< The longest waiting first.
  Instant went_on_;                      ///< When one of them did.
};

}  // namespace taffrail
