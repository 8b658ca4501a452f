// What the connections of a shard may hold together: one client's large requests, or answers that it does not take,
// leave room for the others.
#pragma once

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>

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
///
/// A large answer has its room before it is read from a disk: ten thousand clients may ask for a MiB each at once. Who has not
/// been seen to take answers has half of the limit for that, together with all such; so there is room for others beside any
/// number that never read. What tells of the cluster, which nobody can do without, has another quarter for them. Whatever
/// requests hold, a request of 100 MiB that is at work for one, there is room for some answers.
class MemoryBudget {
 public:
  static constexpr ByteCount kFree = 4_KiB;  ///< So much each connection may read at any time.
  static constexpr Duration kPatience = 5_s;
  static constexpr ByteCount kGrantMin = 64_KiB;
  static constexpr size_t kClaimsMax = 256;  ///< More answers than these do not wait for room: each takes a fiber.

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
    ByteCount answers_ = 0;  ///< Of these.
    bool takes_answers_ = false;
    bool waits_ = false;
    uint64_t place_ = 0;  ///< Among the holders; 0: it never held anything.
  };

  /// Whose turn it is among their like: answers for whom is not known to take them, what tells such of the cluster, answers
  /// for whom is known; and who reads on.
  enum Kind : size_t { kUnproven, kTelling, kProven, kReading, kKinds };
  /// What an answer asks for: `most` bytes, or what there is, but not less than `least`.
  struct Room {
    ByteCount most;
    ByteCount least;
    Kind kind;
  };
  /// `takes_answers`: the peer has been seen to.
  static Room records(ByteCount most, bool takes_answers) { return {most, std::min(most, kGrantMin), takes_answers ? kProven : kUnproven}; }
  static Room telling(ByteCount size, bool takes_answers) { return {size, size, takes_answers ? kProven : kTelling}; }

  /// Bytes that were set aside for an answer; given back with its end, when the connection that sends the answer counts it.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& o) noexcept
        : budget_(std::exchange(o.budget_, nullptr)), bytes_(std::exchange(o.bytes_, 0)), kind_(o.kind_) {}
    Reservation& operator=(Reservation o) noexcept {
      std::swap(budget_, o.budget_);
      std::swap(bytes_, o.bytes_);
      std::swap(kind_, o.kind_);
      return *this;
    }
    ~Reservation();
    ByteCount bytes() const { return bytes_; }

   private:
    friend class MemoryBudget;
    Reservation(MemoryBudget& budget, ByteCount bytes, Kind kind) : budget_(&budget), bytes_(bytes), kind_(kind) {}
    MemoryBudget* budget_ = nullptr;
    ByteCount bytes_ = 0;
    Kind kind_ = kUnproven;
  };

  MemoryBudget(Runtime& runtime, ByteCount limit) : runtime_(runtime), limit_(limit) {}

  /// What `holder` holds from now on, `answers` of it in answers that were not taken yet.
  void hold(Holder& holder, ByteCount bytes, ByteCount answers = 0, bool takes_answers = false);
  /// Before its end: it holds nothing any more.
  void leave(Holder& holder);
  /// Whether `holder` may read on.
  bool has_room(const Holder& holder) const;
  /// Whether nobody should begin more than one request at a time.
  bool is_full() const;
  /// Returns when that may have changed. Errors: kCancelled.
  Result<> wait(Task& task, Holder& holder);
  /// Room for an answer. Errors: kTimedOut at `deadline`, or at once where too many wait; kCancelled.
  Result<Reservation> reserve(Task& task, Room wanted, Instant deadline);
  /// The same if there is room now, and nobody waits for it.
  std::optional<Reservation> try_reserve(Room wanted);
  /// If `holder` waits: it has another reason to go on.
  void nudge(const Holder& holder);
  ByteCount used() const { return used_; }

 private:
  Runtime& runtime_;
  const ByteCount limit_;
  struct Waiter;
  struct Claim;
  ByteCount share_of(Kind kind) const;
  ByteCount left_for(Kind kind) const;
  void count_answers(Holder& holder, ByteCount answers, bool takes_answers);
  Reservation grant(Room wanted);
  bool cut_off_the_slow(ByteCount goal, const Holder* spared);
  void wake(Waiter& waiter);
  void wake_all();
  void wake_who_can_go_on();

  ByteCount used_ = 0;
  std::array<ByteCount, kKinds> answers_{};  ///< Of these, in answers that are made or were not taken yet.
  size_t moving_ = 0;  ///< Those who hold something and do not wait.
  uint64_t next_place_ = 1;
  std::map<uint64_t, Holder*> holders_;  ///< In the order in which they first held something: nothing is allocated later.
  const Holder* favoured_ = nullptr;     ///< Goes on past the limit, until it has given all back.
  std::list<Waiter*> waiters_;           ///< The longest waiting first.
  std::array<std::list<Claim*>, kKinds> claims_;  ///< Those who wait for room for an answer, in order.
  size_t reservations_ = 0;
  std::array<Instant, kKinds> went_on_{};  ///< When one of those who waited did.
};

}  // namespace taffrail
