// Messages to bytes and back. Each function is a walk over the message's own list of fields,
// compiled once per message in messages_*.cc (see walks.h); including this costs next to nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

/// Bytes to send, in order, for Connection::write(). Large records are the slices that storage or a
/// producer gave, not copies of them.
struct Chain {
  std::vector<Slice> pieces;
  size_t size_bytes = 0;

  /// All of it as one copy: for tests and small messages.
  Slice flat() const;
};

/// Records of at least this size are spliced in; shorter ones are cheaper to copy than to gather.
inline constexpr size_t kSpliceFromBytes = 1024;

/// Decodes a message that fills `body` exactly; what lies behind a request is left alone, as in Apache Kafka.
/// Records and bytes fields are pieces of `body`.
/// Meant for bytes of anybody: counts are checked against the bytes that are left before anything
/// is set aside, and all that is set aside against kDecodeBudgetFactor. Errors: kUnsupported for a
/// version outside M::kApi; kTooLarge past the budget; kCorrupt, saying which field and where:
/// "topics[3].name: length 900 with 12 bytes left, at byte 41".
template <class M>
Result<M> decode(const Slice& body, int16_t version);

/// A decoded message takes at most this many times its frame, and kDecodeBudgetFloor on top.
inline constexpr size_t kDecodeBudgetFactor = 4;
inline constexpr size_t kDecodeBudgetFloor = 1 << 20;

/// The body alone, without header and frame length (protocol/frame.h has both).
/// Errors: kUnsupported if the version does not exist, or lacks a field that is set and may not be
/// dropped; kInvalid for a null where the version has none; kTooLarge for a string over 32767
/// bytes.
template <class M>
Result<Chain> encode(const M& message, int16_t version);

/// Bytes that encode() would give.
template <class M>
Result<size_t> encoded_size(const M& message, int16_t version);

struct Printed {
  /// Fields by Kafka's names, as its own JsonConverter prints them: bytes in base64, uuids in
  /// base64url, records as size and hex.
  std::string json;
  struct Unknown {
    std::string path;  ///< Of the struct: "topics[0].partitions[1]", "" for the message.
    std::vector<UnknownTags::Tag> tags;
  };
  /// Inner structs before outer ones.
  std::vector<Unknown> unknown;
};

template <class M>
Printed print(const M& message, int16_t version);

/// A message with anything in it that `version` can carry, nulls and unknown tags included; small.
template <class M>
M generate(Random& random, int16_t version);

}  // namespace taffrail::protocol
