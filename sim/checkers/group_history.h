// What the members of one consumer group were told by their coordinators, and what must never be seen together
// (docs/invariants.md, "Groups"). Every question has a moment at which it was asked and one at which its answer was
// heard: what it did lies between the two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/units.h"

namespace taffrail {

class GroupHistory {
 public:
  struct Span {
    Instant asked;
    Instant heard;
  };
  struct Who {
    std::string member;
    std::optional<std::string> instance;
    int32_t generation = -1;
    uint64_t process = 0;  ///< Who really asked: two of them may claim one instance, or one id.
    /// A static member keeps its place under another id.
    const std::string& place() const { return instance ? *instance : member; }
  };
  enum class Outcome : uint8_t { kStored, kRefused, kUnknown };

  void joined(Span when, Who who, bool leads) { joins_.push_back({when, std::move(who), leads}); }
  /// The partitions that the coordinator gave.
  void assigned(Who who, std::vector<int32_t> partitions, Instant heard = {}) {
    assignments_.push_back({heard, std::move(who), std::move(partitions)});
  }
  /// Some of them speak the newer protocol (KIP-848): generations are their epochs, and members of one group may be in
  /// different ones.
  void tell_of_epochs() { epochs_ = true; }
  /// Offsets are let go, after `least` at the earliest: since the last member of a classic group left, or since the commit
  /// where the group is empty and tells of epochs. A group without members and offsets is forgotten, and whoever comes then
  /// begins another one of that name, with its generations from the first. Otherwise offsets and groups stay for ever.
  void offsets_expire(Duration least) { kept_ = least; }
  /// What came of a heartbeat of the newer protocol. kUnknown: its answer was not heard.
  enum class Heard : uint8_t { kWell, kFenced, kRefused, kUnknown };
  struct Beat {
    Span when;
    Who who;             ///< Its generation: the epoch that it spoke of; 0 or less: it joined or left.
    int32_t told = -1;   ///< The epoch that it was told, where it was well.
    Heard heard = Heard::kUnknown;
    bool owns = false;   ///< It said what it owns.
    bool again = false;  ///< A copy of an earlier one, sent by somebody else.
    uint64_t link = 0;   ///< Over which of its connections.
  };
  /// Of one member in the order in which they were asked.
  void beat(Beat beat) { beats_.push_back(std::move(beat)); }
  void commit(Span when, Who who, int32_t partition, Offset offset, Outcome outcome);
  /// What a question found committed; kNoOffset: nothing.
  void found(Span when, int32_t partition, Offset offset) { reads_.push_back({when, partition, offset}); }

  size_t generations() const;
  size_t commits(Outcome outcome) const;
  /// Every violation, one line each, its name first.
  std::vector<std::string> check() const;

 private:
  struct Join {
    Span when;
    Who who;
    bool leads = false;
  };
  struct Assignment {
    Instant heard;
    Who who;
    std::vector<int32_t> partitions;
  };
  struct Commit {
    Span when;
    Who who;
    int32_t partition = 0;
    Offset offset;
    Outcome outcome = Outcome::kUnknown;
  };
  struct Read {
    Span when;
    int32_t partition = 0;
    Offset offset;
  };
  void check_owners(std::vector<std::string>& out) const;
  void check_offsets(std::vector<std::string>& out) const;
  void look_up_times() const;
  std::vector<Span>::const_iterator asked_before(Instant at) const;
  bool had_its_time(Instant last, Instant until) const;
  bool may_have_expired(const Read& read) const;
  bool may_have_ended(Instant from, Instant to) const;
  void check_fencing(std::vector<std::string>& out) const;
  void check_beats(std::vector<std::string>& out) const;
  bool came_before_a_find(const Commit& commit, const Read& read) const;
  bool was_found(const Read& read) const;
  void check_epoch(const Commit& commit, std::vector<std::string>& out) const;
  void check_generations(std::vector<std::string>& out) const;

  bool epochs_ = false;
  std::optional<Duration> kept_;
  std::vector<Join> joins_;
  std::vector<Assignment> assignments_;
  std::vector<Commit> commits_;
  std::vector<Read> reads_;
  std::vector<Beat> beats_;
  // What check() asks again and again, made when it begins.
  mutable std::vector<Span> memberships_;  ///< When somebody was told to be a member; the last that was asked comes first.
  mutable std::vector<Instant> may_be_from_;  ///< Of each read: when the first commit was asked that it may have found.
  mutable std::vector<Instant> stored_;    ///< When commits were asked that were stored; ascending.
};

}  // namespace taffrail
