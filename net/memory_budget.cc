#include "net/memory_budget.h"

#include <fmt/core.h>

#include <iterator>
#include <utility>

#include "base/plant.h"

namespace taffrail {

// On the stack of the fiber that waits, and among the waiters for as long as it does.
struct MemoryBudget::Waiter {
  Waiter(MemoryBudget& b, Holder& h) : budget(b), holder(h), place(b.waiters_.insert(b.waiters_.end(), this)) {
    holder.waits_ = true;
    if (holder.held_ > 0) --budget.moving_;
  }
  ~Waiter() { leave(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void leave() {
    if (!std::exchange(holder.waits_, false)) return;
    if (holder.held_ > 0) ++budget.moving_;
    budget.waiters_.erase(place);
  }

  MemoryBudget& budget;
  Holder& holder;
  std::list<Waiter*>::iterator place;
  Event may_go_on;
};

void MemoryBudget::hold(Holder& holder, ByteCount bytes) {
  if (bytes == holder.held_) return;
  const bool shrinks = bytes < holder.held_;
  if (!holder.waits_ && holder.held_ == 0) ++moving_;
  if (!holder.waits_ && bytes == 0) --moving_;
  used_ += bytes - holder.held_;
  holder.held_ = bytes;
  if (bytes > 0 && holder.place_ == 0) {
    holder.place_ = next_place_++;
    holders_.emplace(holder.place_, &holder);
  }
  if (bytes == 0 && favoured_ == &holder) favoured_ = nullptr;
  if (!shrinks) return;
  if (PLANT("N61")) return wake_all();  // N61: whoever gives a few bytes back has everybody wait anew.
  wake_who_can_go_on();
}

void MemoryBudget::leave(Holder& holder) {
  hold(holder, 0);
  holders_.erase(holder.place_);
  holder.place_ = 0;
}

bool MemoryBudget::has_room(const Holder& holder) const {
  return &holder == favoured_ || used_ - holder.held_ < limit_ || PLANT("N60");
}

bool MemoryBudget::is_full() const { return used_ >= limit_ && !PLANT("N60"); }

void MemoryBudget::wake(Waiter& waiter) {
  waiter.leave();
  waiter.may_go_on.set();
}

void MemoryBudget::nudge(const Holder& holder) {
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    Waiter& waiter = **at++;
    if (&waiter.holder == &holder) wake(waiter);
  }
}

void MemoryBudget::wake_all() {
  while (!waiters_.empty()) wake(*waiters_.front());
}

void MemoryBudget::wake_who_can_go_on() {
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    Waiter& waiter = **at++;
    if (!has_room(waiter.holder)) continue;
    went_on_ = runtime_.now();
    wake(waiter);
  }
  if (moving_ > 0 || favoured_ != nullptr || waiters_.empty() || PLANT("N61")) return;
  Waiter& first = *waiters_.front();
  favoured_ = &first.holder;
  went_on_ = runtime_.now();
  wake(first);
}

Result<> MemoryBudget::wait(Task& task, Holder& holder) {
  Waiter waiter(*this, holder);
  wake_who_can_go_on();
  const Result<> woken = waiter.may_go_on.wait(task, runtime_.now() + kPatience);
  if (!woken && woken.error().code == Errc::kTimedOut) {
    judge(holder);
    return {};
  }
  return woken;
}

// Somebody has waited for as long as anybody should.
void MemoryBudget::judge(Holder& holder) {
  Holder* slowest = nullptr;
  for (const auto& [place, other] : holders_)
    if (other != &holder && other->held_ > 0 && (slowest == nullptr || other->waits_since() < slowest->waits_since())) slowest = other;
  const Instant long_ago = runtime_.now() - kPatience;
  if (slowest != nullptr && slowest->waits_since() <= long_ago && went_on_ <= long_ago) {
    slowest->break_off(fmt::format("it has held {} bytes for {} ms, and others need the memory", slowest->held_,
                                   (runtime_.now() - slowest->waits_since()).ms()));
  } else if (favoured_ == nullptr) {
    favoured_ = &holder;
  }
}

}  // namespace taffrail
