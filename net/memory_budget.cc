#include "net/memory_budget.h"

#include <fmt/core.h>

#include "base/plant.h"

namespace taffrail {

void MemoryBudget::hold(Holder& holder, ByteCount bytes) {
  if (bytes == holder.held_) return;
  const bool shrinks = bytes < holder.held_;
  used_ += bytes - holder.held_;
  holder.held_ = bytes;
  if (bytes > 0 && holder.place_ == 0) {
    holder.place_ = next_place_++;
    holders_.emplace(holder.place_, &holder);
  }
  if (bytes == 0 && favoured_ == &holder) favoured_ = nullptr;
  if (shrinks) room_.notify_all();
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

Result<> MemoryBudget::wait(Task& task, Holder& holder) {
  const Result<> woken = room_.wait(task, runtime_.now() + kPatience);
  if (woken || woken.error().code != Errc::kTimedOut) return woken;
  Holder* slowest = nullptr;
  for (const auto& [place, other] : holders_)
    if (other != &holder && other->held_ > 0 && (slowest == nullptr || other->waits_since() < slowest->waits_since())) slowest = other;
  if (slowest != nullptr && slowest->waits_since() <= runtime_.now() - kPatience) {
    slowest->break_off(fmt::format("it has held {} bytes for {} ms, and others need the memory", slowest->held_,
                                   (runtime_.now() - slowest->waits_since()).ms()));
  } else if (favoured_ == nullptr) {
    favoured_ = &holder;
  }
  return {};
}

}  // namespace taffrail
