// All described messages in one table, by key: for tools that print traffic, for tests and fuzz
// targets.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "protocol/codec.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct DescribedMessage {
  /// kBare: a header, or a record of a coordinator.
  enum class Kind : uint8_t { kBare, kRequest, kResponse };

  Api api;
  Kind kind;
  /// decode(), then print().
  Result<Printed> (*print)(const Slice& body, int16_t version);
  /// decode(), then encode(). Of what a strict encoder wrote: the same bytes.
  Result<Chain> (*rewrite)(const Slice& body, int16_t version);
  /// generate(), then encode(): a body with anything in it.
  Result<Chain> (*invent)(Random& random, int16_t version);
};

std::span<const DescribedMessage> described_messages();
/// Null if there is none.
const DescribedMessage* find_described(ApiKey key, DescribedMessage::Kind kind);
/// By "FetchRequest"; null if there is none.
const DescribedMessage* find_described(std::string_view name);

}  // namespace taffrail::protocol
