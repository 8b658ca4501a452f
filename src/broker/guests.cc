#include "broker/guests.h"

namespace taffrail {

bool Guests::admit(const GuestId& id) {
  if (stopped_) return false;
  sweep();
  guests_.emplace(id, std::make_unique<Guest>());
  return true;
}

void Guests::run(const GuestId& id, std::string name, std::function<void(Task&)> body) {
  runtime_.spawn(guests_.at(id)->scope, std::move(name), [this, id, body = std::move(body)](Task& task) {
    body(task);
    ended_.push_back(id);
  });
}

void Guests::hurry(const GuestId& id) {
  const auto it = guests_.find(id);
  if (it != guests_.end()) it->second->hurry.now();
}

void Guests::cancel(const GuestId& id) {
  const auto it = guests_.find(id);
  if (it != guests_.end()) it->second->scope.cancel();
}

void Guests::sweep() {
  std::erase_if(ended_, [this](const GuestId& id) {
    const auto it = guests_.find(id);
    if (it != guests_.end() && !it->second->scope.empty()) return false;
    if (it != guests_.end()) guests_.erase(it);
    return true;
  });
}

size_t Guests::count() {
  sweep();
  return guests_.size();
}

void Guests::stop(Task& task) {
  stopped_ = true;
  for (const auto& [id, guest] : guests_) guest->scope.cancel();
  // Nobody is let in any more, and nobody else sweeps: the map stays as it is while this waits.
  for (const auto& [id, guest] : guests_) guest->scope.join(task);
  guests_.clear();
}

}  // namespace taffrail
