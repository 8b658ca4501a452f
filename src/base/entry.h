// One entry of a replicated log, as Raft, the disk and the network all know it.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace taffrail {

/// A replica is a node and the disk it lives on: a wiped disk is a new replica, with no memory of what
/// the old one promised.
struct ReplicaId {
  BrokerId node = kNoBroker;
  DiskId disk;
  constexpr auto operator<=>(const ReplicaId&) const = default;
};

enum class EntryKind : uint8_t {
  kNoop = 1,    ///< Opens a leader's term. No Kafka offset.
  kConfig = 2,  ///< A membership (Raft paper, section 6). No Kafka offset.
  kBatch = 3,   ///< A Kafka record batch, stored as clients will get it.
  kCommand = 4, ///< The log's own bookkeeping (a new log start, an expiry). No Kafka offset.
};

/// Where an entry stands. Both coordinates are stored with it; neither is ever worked out of the other.
struct EntryId {
  LogIndex index;
  Term term;
  constexpr auto operator<=>(const EntryId&) const = default;
};

/// All of an entry but its bytes.
struct EntryMeta {
  LogIndex index;
  Term term;
  EntryKind kind = EntryKind::kNoop;
  Offset base_offset;        ///< First Kafka offset of a batch; for others the next offset to come.
  int32_t offset_count = 0;  ///< Kafka offsets that the entry takes: 0 unless it is a batch.
  int64_t max_timestamp = -1;  ///< Of a batch, in ms; -1 if it has none.

  constexpr EntryId id() const { return {index, term}; }
  constexpr Offset next_offset() const { return base_offset + offset_count; }
  constexpr bool operator==(const EntryMeta&) const = default;
};

/// What a replica must remember over a crash, beside its log (Raft paper, Figure 2).
struct HardState {
  Term term;
  std::optional<ReplicaId> vote;  ///< Whom this replica voted for in `term`, itself included.
  bool operator==(const HardState&) const = default;
};

struct Entry {
  EntryMeta meta;
  Slice payload;  ///< A batch, an encoded membership, a command; empty for a no-op.
};

}  // namespace taffrail
