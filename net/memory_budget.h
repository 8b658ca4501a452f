// What the connections of a shard may hold together: one client's large requests, or answers that it does not take,
// leave room for the others.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail {

/// Counts bytes of requests that arrive or are worked on, and of answers that have not gone. Who holds more than a few
/// reads on only while the others hold less than the limit, so that the limit is passed by one connection's request at
/// most. Where nothing moves for kPatience, the peer that has kept us waiting longest is cut off; if there is none, and
/// requests only wait for one another, the one that asks goes on.
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
  /// Wakes all who wait: one of them has another reason to go on.
  void nudge() { room_.notify_all(); }
  ByteCount used() const { return used_; }

 private:
  Runtime& runtime_;
  const ByteCount limit_;
  ByteCount used_ = 0;
  uint64_t next_place_ = 1;
  std::map<uint64_t, Holder*> holders_;  ///< In the order in which they first held something: nothing is allocated later.
  const Holder* favoured_ = nullptr;     ///< Goes on past the limit, until it has given all back.
  WaitQueue room_;
};

}  // namespace taffrail
