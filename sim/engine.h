// What every part of a world shares: one clock, one queue of events, one tape and one trace.
#pragma once

#include <cstdint>
#include <vector>

#include "base/units.h"
#include "sim/tape.h"
#include "sim/trace.h"

namespace taffrail::sim {

/// Receives the events that it pushed. Lives as long as the world; what may be gone by the time an
/// event arrives is named in it by an id, and looked up.
class EventSink {
 public:
  explicit EventSink(uint32_t tag) : tag_(tag) {}
  virtual ~EventSink() = default;
  virtual void on_event(uint64_t a, uint64_t b) = 0;
  /// Tells sinks apart in the trace.
  uint32_t tag() const { return tag_; }

 private:
  uint32_t tag_;
};

/// Events by time. Which of several at the same instant comes first is a choice of the tape: code that
/// needs an order among its own events gives them different times.
class Engine {
 public:
  explicit Engine(uint64_t seed);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Nanoseconds since the world began.
  Instant now() const { return now_; }
  void push(Instant at, EventSink& sink, uint64_t a, uint64_t b);
  /// When the next event comes; never() if there is none.
  Instant next_time() const;
  /// Hands the next event to its sink; false if there is none.
  bool run_one();
  /// Moves an idle clock on. Nothing may be due before `at`.
  void advance_to(Instant at);
  uint64_t events() const { return events_; }
  /// Events handed out since the clock last moved.
  uint64_t events_at_this_instant() const { return at_this_instant_; }

  Trace trace;
  Tape tape;

 private:
  struct Event {
    int64_t at;
    uint64_t sequence;
    EventSink* sink = nullptr;
    uint64_t a;
    uint64_t b;
  };
  Event take_first();
  void put(const Event& event);
  bool empty() const { return soonest_.sink == nullptr && heap_.empty(); }
  int64_t first_time() const { return soonest_.sink != nullptr ? soonest_.at : heap_.front().at; }
  Event take_due();
  static bool later(const Event& x, const Event& y) {
    return x.at != y.at ? x.at > y.at : x.sequence > y.sequence;
  }
  Instant now_{};
  uint64_t next_sequence_ = 0;
  uint64_t events_ = 0;
  uint64_t at_this_instant_ = 0;
  std::vector<Event> heap_;    // All but `soonest_`.
  Event soonest_{};            // Before all of the heap, if it has a sink: most events are pushed to be the next.
  std::vector<Event> due_;  // All events of this instant, oldest first.
  Stream& order_;
};

}  // namespace taffrail::sim
