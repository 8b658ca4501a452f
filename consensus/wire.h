// Raft's messages as bytes. Every decoder here reads what a peer sent: bounded, and never trusted.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/key_bytes.h"
#include "consensus/messages.h"

namespace taffrail {

/// A message with its address. Replicas, not nodes: what was meant for a disk that was since
/// replaced must not reach the new one, which remembers none of the old one's promises.
struct RaftEnvelope {
  PartitionKey group;
  ReplicaId from;
  ReplicaId to;
  Message message;
  /// Of an AppendRequest, one for each entry: the payloads follow the envelope in this order.
  std::vector<uint32_t> payload_sizes{};
  bool operator==(const RaftEnvelope&) const = default;
};

/// No more entries than this in one request.
inline constexpr size_t kMaxEntriesPerAppend = 65536;

/// The bytes of an envelope, payloads not included; `docs/formats.md`, "Raft messages".
/// Precondition: payload_sizes has one element for each entry. AppendRequest::configurations stays
/// behind.
std::string encode_envelope(const RaftEnvelope& envelope);

/// The inverse. Terms fit into Kafka's leader epoch, indices are not negative, entries continue
/// each other in index and term. Errors: kCorrupt, kTooLarge, kUnsupported (a newer format).
Result<RaftEnvelope> decode_envelope(ByteView bytes);

/// Cuts what followed the envelope into its payloads; they share `body`. Errors: kCorrupt if the
/// sizes do not add up to exactly the body.
Result<std::vector<Slice>> split_payloads(const RaftEnvelope& envelope, const Slice& body);

/// Decodes the memberships among `payloads`, one payload for each entry, into
/// `request.configurations`. Errors: kCorrupt, kUnsupported.
Result<> fill_configurations(AppendRequest& request, std::span<const Slice> payloads);

}  // namespace taffrail
