// The bytes between brokers: greetings, calls and answers. Pure. Tables: docs/formats.md, "Between brokers".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "net/peers.h"

namespace taffrail {

/// Of greetings; a node of one data directory speaks the first.
inline constexpr uint16_t kPeerFormatVersion = 1;
inline constexpr uint16_t kPeerFormatOfDirectories = 2;
/// A greeting is the first frame each way; until it is read, no larger frame is.
inline constexpr uint32_t kGreetingSizeMax = 1024;
/// Name of the service that every node answers at once: it shows that a quiet link is alive.
inline constexpr std::string_view kPingService = "";

enum class GreetingKind : uint8_t {
  kHello = 1,    ///< The dialler's.
  kWelcome = 2,  ///< The acceptor's.
  kRefusal = 3,  ///< The acceptor's, before it closes.
};

struct Greeting {
  GreetingKind kind = GreetingKind::kHello;
  PeerIdentity from;
  /// In a hello: the node that the dialler means; kNoBroker: whoever is there, for one call.
  BrokerId meant = kNoBroker;
  std::string reason;  ///< Of a refusal.
};

/// The frame, length included.
Slice encode_greeting(const Greeting& greeting);
/// From a frame without its length. Errors: kCorrupt (not a greeting), kUnsupported (of a newer format).
Result<Greeting> decode_greeting(ByteView frame);
/// Why these two do not talk; empty if they do. Two clusters that are both known have to be one.
std::string cluster_mismatch(const PeerIdentity& self, const PeerIdentity& other);

/// What stands before the body of a call.
Slice encode_call_head(uint64_t id, std::string_view service);
struct CallHead {
  uint64_t id = 0;
  std::string service;
  size_t size = 0;  ///< The body begins here.
};
/// Errors: kCorrupt.
Result<CallHead> decode_call_head(ByteView body);

/// What stands before the body of an answer: all of it, if the call failed.
Slice encode_answer_head(uint64_t id, const Error* error);
struct AnswerHead {
  uint64_t id = 0;
  Result<> outcome;
  size_t size = 0;
};
/// Errors: kCorrupt.
Result<AnswerHead> decode_answer_head(ByteView body);

}  // namespace taffrail
