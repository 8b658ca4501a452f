#include "sim/engine.h"

#include <algorithm>

#include "base/check.h"

namespace taffrail::sim {

Engine::Engine(uint64_t seed)
    : tape(seed, trace), order_(tape.stream({.kind = StreamKind::kOrder})) {
  heap_.reserve(256);
}

void Engine::push(Instant at, EventSink& sink, uint64_t a, uint64_t b) {
  if (at == Instant::never()) return;
  if (at <= now_) {
    due_.push_back({now_.ns, next_sequence_++, &sink, a, b});
    return;
  }
  heap_.push_back({at.ns, next_sequence_++, &sink, a, b});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

Instant Engine::next_time() const {
  if (!due_.empty()) return now_;
  return heap_.empty() ? Instant::never() : Instant{heap_.front().at};
}

Engine::Event Engine::take_first() {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Event event = heap_.back();
  heap_.pop_back();
  return event;
}

Engine::Event Engine::take_due() {
  const size_t chosen = order_.draw(due_.size(), "which event");
  const Event event = due_[chosen];
  due_.erase(due_.begin() + static_cast<std::ptrdiff_t>(chosen));
  return event;
}

bool Engine::run_one() {
  Event event;
  if (!due_.empty()) {
    event = take_due();
  } else if (heap_.empty()) {
    return false;
  } else {
    advance_to(Instant{heap_.front().at});
    event = take_first();
    // Most come alone.
    if (!heap_.empty() && heap_.front().at == now_.ns) {
      due_.push_back(event);
      while (!heap_.empty() && heap_.front().at == now_.ns) due_.push_back(take_first());
      event = take_due();
    }
  }
  ++events_;
  ++at_this_instant_;
  trace.add(TraceKind::kEvent, event.sink->tag(), event.a, event.b);
  event.sink->on_event(event.a, event.b);
  return true;
}

void Engine::advance_to(Instant at) {
  CHECK(at >= now_, "the world's clock does not go back");
  CHECK(due_.empty() && (heap_.empty() || heap_.front().at >= at.ns), "no event is skipped");
  if (at == now_) return;
  now_ = at;
  at_this_instant_ = 0;
  trace.move_to(at.ns);
}

}  // namespace taffrail::sim
