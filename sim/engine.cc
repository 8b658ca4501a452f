#include "sim/engine.h"

#include <algorithm>
#include <utility>

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
  const Event event{at.ns, next_sequence_++, &sink, a, b};
  if (soonest_.sink == nullptr) {
    if (heap_.empty() || later(heap_.front(), event)) soonest_ = event;
    else put(event);
  } else if (later(soonest_, event)) {
    put(std::exchange(soonest_, event));
  } else {
    put(event);
  }
}

// Each entry has four children: half as deep as a binary heap, and what is compared lies together.
void Engine::put(const Event& event) {
  size_t place = heap_.size();
  heap_.push_back(event);
  for (size_t parent = 0; place > 0; place = parent) {
    parent = (place - 1) / 4;
    if (!later(heap_[parent], event)) break;
    heap_[place] = heap_[parent];
  }
  heap_[place] = event;
}

Instant Engine::next_time() const {
  if (!due_.empty()) return now_;
  return empty() ? Instant::never() : Instant{first_time()};
}

Engine::Event Engine::take_first() {
  if (soonest_.sink != nullptr) return std::exchange(soonest_, Event{});
  const Event first = heap_.front();
  const Event moved = heap_.back();
  heap_.pop_back();
  if (heap_.empty()) return first;
  size_t place = 0;
  for (size_t child = 1; child < heap_.size(); child = place * 4 + 1) {
    const size_t end = std::min(child + 4, heap_.size());
    size_t least = child;
    for (++child; child < end; ++child)
      if (later(heap_[least], heap_[child])) least = child;
    if (!later(moved, heap_[least])) break;
    heap_[place] = heap_[least];
    place = least;
  }
  heap_[place] = moved;
  return first;
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
  } else if (empty()) {
    return false;
  } else {
    advance_to(Instant{first_time()});
    event = take_first();
    // Most come alone.
    if (!empty() && first_time() == now_.ns) {
      due_.push_back(event);
      while (!empty() && first_time() == now_.ns) due_.push_back(take_first());
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
  CHECK(due_.empty() && (empty() || first_time() >= at.ns), "no event is skipped");
  if (at == now_) return;
  now_ = at;
  at_this_instant_ = 0;
  trace.move_to(at.ns);
}

}  // namespace taffrail::sim
