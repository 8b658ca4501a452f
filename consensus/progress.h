// What a leader knows of one other replica.
#pragma once

#include <deque>
#include <optional>

#include "base/entry.h"
#include "base/units.h"

namespace taffrail {

/// A replica as its leader sees it.
///
///     kProbe ----- accepted ------> kStream
///       ^ ^ <- refused, lost, late ---'
///       |  `-- snapshot installed -- kSnapshot
///       `---- log start passes next ---'
///
/// kProbe: one request at a time, of one entry at most, until the replica has said where the logs
/// agree. kStream: requests follow each other up to the window. kSnapshot: nothing, until it has
/// the snapshot.
struct Progress {
  enum class State : uint8_t { kProbe, kStream, kSnapshot };
  struct InFlight {
    uint64_t serial = 0;
    LogIndex last;
    Instant sent;
  };

  ReplicaId replica;
  State state = State::kProbe;
  LogIndex
      match;  ///< Its log equals this one up to here, durably. Only an acknowledgement raises it.
  LogIndex next;         ///< The first entry of the next request.
  /// It held more than it does now, or may have: below this it is being given back what it lost.
  LogIndex refilled_at;
  LogIndex commit_told;  ///< The highest commit index sent to it.
  uint64_t next_serial = 1;
  /// Answers below this serial were given by a replica of the same name that was a member before.
  uint64_t first_serial = 0;
  /// Requests below this serial belong to an earlier stream: what they are refused for is known
  /// already.
  uint64_t stream_serial = 1;
  /// In kSnapshot: since when nothing was heard of the offer, as far as was looked.
  std::optional<Instant> offered;
  std::deque<InFlight> in_flight;  ///< Ascending by serial; not yet answered.
  Instant contact;                 ///< When its node last showed that it is alive.

  /// Forgets what is under way and starts to ask again, from `from` on.
  void probe_from(LogIndex from) {
    state = State::kProbe;
    next = from;
    in_flight.clear();
    stream_serial = next_serial;
  }
};

}  // namespace taffrail
