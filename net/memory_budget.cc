#include "net/memory_budget.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <vector>

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

// Likewise: of a fiber whose answer waits for room.
struct MemoryBudget::Claim {
  Room wanted;
  Reservation reservation;
  Event granted;
};

void MemoryBudget::count_answers(Holder& holder, ByteCount answers, bool takes_answers) {
  answers_[holder.takes_answers_ ? kProven : kUnproven] -= holder.answers_;
  holder.answers_ = answers;
  holder.takes_answers_ = takes_answers;
  answers_[takes_answers ? kProven : kUnproven] += answers;
}

void MemoryBudget::hold(Holder& holder, ByteCount bytes, ByteCount answers, bool takes_answers) {
  const bool shrinks = bytes < holder.held_ || answers < holder.answers_ || takes_answers != holder.takes_answers_;
  count_answers(holder, answers, takes_answers);
  if (bytes == holder.held_ && !shrinks) return;
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
  if (favoured_ == &holder) favoured_ = nullptr;
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
    went_on_[kReading] = runtime_.now();
    wake(waiter);
  }
  for (const Kind kind : {kProven, kTelling, kUnproven})
    while (!claims_[kind].empty() && left_for(kind) > 0) {
      Claim& claim = *claims_[kind].front();
      claims_[kind].pop_front();
      went_on_[kind] = runtime_.now();
      claim.reservation = grant(claim.wanted);
      claim.granted.set();
    }
  if (moving_ > 0 || reservations_ > 0 || favoured_ != nullptr || waiters_.empty() || PLANT("N61")) return;
  Waiter& first = *waiters_.front();
  favoured_ = &first.holder;
  went_on_[kReading] = runtime_.now();
  wake(first);
}

Result<> MemoryBudget::wait(Task& task, Holder& holder) {
  Waiter waiter(*this, holder);
  wake_who_can_go_on();
  const Result<> woken = waiter.may_go_on.wait(task, runtime_.now() + kPatience);
  if (woken || woken.error().code != Errc::kTimedOut) return woken;
  const bool others_moved = went_on_[kReading] > runtime_.now() - kPatience;
  if ((others_moved || !cut_off_the_slow(limit_, &holder)) && favoured_ == nullptr) favoured_ = &holder;
  return {};
}

// Who has kept us waiting for as long as anybody should, the longest first, until the others hold less than `goal`. Whether
// there was one.
bool MemoryBudget::cut_off_the_slow(ByteCount goal, const Holder* spared) {
  const Instant long_ago = runtime_.now() - kPatience;
  struct Slow {
    Instant since;
    uint64_t place;
    Holder* holder;
  };
  std::vector<Slow> slow;
  for (const auto& [place, holder] : holders_)
    if (holder != spared && holder->held_ > 0 && holder->waits_since() <= long_ago) slow.push_back({holder->waits_since(), place, holder});
  std::sort(slow.begin(), slow.end(), [](const Slow& a, const Slow& b) { return std::pair(a.since, a.place) < std::pair(b.since, b.place); });
  ByteCount left = used_ - (spared == nullptr ? 0 : spared->held_);
  for (const auto& [since, place, holder] : slow) {
    if (left < goal) break;
    left -= holder->held_;
    holder->break_off(fmt::format("it has held {} bytes for {} ms, and others need the memory", holder->held_,
                                  (runtime_.now() - since).ms()));
  }
  return !slow.empty();
}

// --- Answers. ---

MemoryBudget::Reservation::~Reservation() {
  if (budget_ == nullptr) return;
  budget_->used_ -= bytes_;
  budget_->answers_[kind_] -= bytes_;
  --budget_->reservations_;
  budget_->wake_who_can_go_on();
}

ByteCount MemoryBudget::share_of(Kind kind) const {
  return kind == kUnproven ? limit_ / 2 : kind == kTelling ? limit_ / 4 * 3 : limit_;
}

// A part of the limit is for answers, whatever requests hold: requests may pass the limit, one after another, for as long as
// somebody sends them.
ByteCount MemoryBudget::left_for(Kind kind) const {
  if (PLANT("N60") || PLANT("N62")) return UINT64_MAX;  // N62: an answer is read before there is room for it.
  const ByteCount all = share_of(kind);
  const ByteCount kept = PLANT("N65") ? 0 : all / 4;
  // What was told and is not taken counts with all that such have not taken.
  const ByteCount answers = answers_[kind] + (kind == kTelling ? answers_[kUnproven] : 0);
  return std::max(all - std::min(all, used_), kept - std::min(kept, answers));
}

MemoryBudget::Reservation MemoryBudget::grant(Room wanted) {
  const ByteCount bytes = std::min(wanted.most, std::max(wanted.least, left_for(wanted.kind)));
  used_ += bytes;
  answers_[wanted.kind] += bytes;
  ++reservations_;
  return {*this, bytes, wanted.kind};
}

std::optional<MemoryBudget::Reservation> MemoryBudget::try_reserve(Room wanted) {
  if (!claims_[wanted.kind].empty() || left_for(wanted.kind) == 0) return std::nullopt;
  return grant(wanted);
}

Result<MemoryBudget::Reservation> MemoryBudget::reserve(Task& task, Room wanted, Instant deadline) {
  if (auto now = try_reserve(wanted)) return *std::move(now);
  const Kind kind = wanted.kind;
  if (claims_[kind].size() >= kClaimsMax) return fail(Errc::kTimedOut, "too many wait for room for an answer");
  Claim claim{.wanted = wanted, .reservation = {}, .granted = {}};
  struct Place {
    std::list<Claim*>& list;
    Claim& claim;
    Place(std::list<Claim*>& l, Claim& c) : list(l), claim(c), at(l.insert(l.end(), &c)) {}
    ~Place() {
      if (!claim.granted.is_set()) list.erase(at);
    }
    std::list<Claim*>::iterator at;
  };
  const Place place(claims_[kind], claim);
  const Result<> waited = claim.granted.wait(task, deadline);
  if (!waited && waited.error().code == Errc::kTimedOut && went_on_[kind] <= runtime_.now() - kPatience)
    cut_off_the_slow(share_of(kind), nullptr);
  if (claim.granted.is_set()) return std::move(claim.reservation);
  return std::unexpected(waited.error());
}

}  // namespace taffrail
