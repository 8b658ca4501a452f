#include "net/peer_wire.h"

#include <fmt/core.h>

#include <array>

#include "base/plant.h"
#include "runtime/log.h"

namespace taffrail {

namespace {

constexpr uint32_t kMagic = 0x5446504c;  // "TFPL"
constexpr size_t kReasonSizeMax = 512;
constexpr size_t kMessageSizeMax = 4096;

// Position + 1 is the code on the wire, so the order is part of the format; 0 is success.
constexpr std::array kErrorCodes = {
    Errc::kCancelled, Errc::kTimedOut,    Errc::kIo,       Errc::kNoSpace,    Errc::kNotFound,
    Errc::kExists,    Errc::kCorrupt,     Errc::kInvalid,  Errc::kUnsupported, Errc::kTooLarge,
    Errc::kOutOfRange, Errc::kClosed,     Errc::kRefused,  Errc::kNotLeader,  Errc::kFenced,
    Errc::kUnavailable, Errc::kBusy,
};

uint8_t error_code(Errc errc) {
  for (size_t i = 0; i < kErrorCodes.size(); ++i) {
    if (kErrorCodes[i] == errc) return static_cast<uint8_t>(i + 1);
  }
  return 0xff;
}

// A code that this version does not know is a reason to try again, not to conclude anything.
Errc errc_of(uint8_t code) {
  return code >= 1 && code <= kErrorCodes.size() ? kErrorCodes[code - 1] : Errc::kUnavailable;
}

Slice to_slice(ByteWriter out) { return Slice(out.view()); }

}  // namespace

Slice encode_greeting(const Greeting& greeting) {
  ByteWriter out;
  out.u32(0);
  out.u32(kMagic);
  out.u16(greeting.from.more_disks.empty() ? kPeerFormatVersion : kPeerFormatOfDirectories);
  out.u8(static_cast<uint8_t>(greeting.kind));
  out.u64(greeting.from.cluster.high);
  out.u64(greeting.from.cluster.low);
  out.i32(greeting.from.replica.node.value);
  out.u64(greeting.from.replica.disk.high);
  out.u64(greeting.from.replica.disk.low);
  out.u64(greeting.from.incarnation);
  out.u16(static_cast<uint16_t>(greeting.from.shards));
  out.i32(greeting.meant.value);
  out.sized(std::string_view(greeting.reason).substr(0, kReasonSizeMax));
  if (!greeting.from.more_disks.empty()) out.u8(static_cast<uint8_t>(greeting.from.more_disks.size()));
  for (const DiskId& disk : greeting.from.more_disks) {
    out.u64(disk.high);
    out.u64(disk.low);
  }
  out.patch_u32(0, static_cast<uint32_t>(out.size() - 4));
  return to_slice(std::move(out));
}

Result<Greeting> decode_greeting(ByteView frame) {
  ByteReader in(frame);
  if (in.u32() != kMagic || !in.ok()) return fail(Errc::kCorrupt, "this is not another broker");
  const uint16_t version = in.u16();
  // What follows may look different in another version; the reader of a refusal learns at least this.
  if (in.ok() && version != kPeerFormatVersion && version != kPeerFormatOfDirectories)
    return fail(Errc::kUnsupported, fmt::format("format version {} between brokers, up to {} is spoken here",
                                                version, kPeerFormatOfDirectories));
  Greeting greeting;
  const uint8_t kind = in.u8();
  greeting.kind = static_cast<GreetingKind>(kind);
  greeting.from.cluster.high = in.u64();
  greeting.from.cluster.low = in.u64();
  greeting.from.replica.node = BrokerId(in.i32());
  greeting.from.replica.disk.high = in.u64();
  greeting.from.replica.disk.low = in.u64();
  greeting.from.incarnation = in.u64();
  greeting.from.shards = in.u16();
  greeting.meant = BrokerId(in.i32());
  greeting.reason = in.sized_text();
  const uint8_t more = version == kPeerFormatOfDirectories ? in.u8() : 0;
  for (uint8_t i = 0; i < more && in.ok(); ++i) {
    DiskId& disk = greeting.from.more_disks.emplace_back();
    disk.high = in.u64();
    disk.low = in.u64();
  }
  const bool fits = more < kDirectoriesMax && greeting.from.shards > more && (more > 0 || version == kPeerFormatVersion);
  if (!in.done() || kind < 1 || kind > 3 || !fits) return fail(Errc::kCorrupt, "a greeting that makes no sense");
  return greeting;
}

std::string cluster_mismatch(const PeerIdentity& self, const PeerIdentity& other) {
  if (PLANT("R40")) return {};
  if (self.cluster.is_zero() || other.cluster.is_zero() || self.cluster == other.cluster) return {};
  return fmt::format("node {} belongs to cluster {}, node {} to {}", other.replica.node.value,
                     other.cluster.text(), self.replica.node.value, self.cluster.text());
}

Slice encode_call_head(uint64_t id, std::string_view service) {
  ByteWriter out;
  out.u64(id);
  out.sized(service);
  return to_slice(std::move(out));
}

Result<CallHead> decode_call_head(ByteView body) {
  ByteReader in(body);
  CallHead head;
  head.id = in.u64();
  head.service = in.sized_text();
  head.size = body.size() - in.left();
  if (!in.ok()) return fail(Errc::kCorrupt, "a call that ends before its name does");
  return head;
}

Slice encode_answer_head(uint64_t id, const Error* error) {
  ByteWriter out;
  out.u64(id);
  out.u8(error == nullptr ? 0 : error_code(error->code));
  if (error != nullptr) out.sized(std::string_view(error->message).substr(0, kMessageSizeMax));
  return to_slice(std::move(out));
}

Result<AnswerHead> decode_answer_head(ByteView body) {
  ByteReader in(body);
  AnswerHead head;
  head.id = in.u64();
  const uint8_t code = in.u8();
  if (code != 0) head.outcome = fail(errc_of(code), in.sized_text());
  head.size = body.size() - in.left();
  if (!in.ok()) return fail(Errc::kCorrupt, "an answer that ends before its message does");
  if (code != 0 && in.left() > 0) return fail(Errc::kCorrupt, "an error with a body");
  return head;
}

}  // namespace taffrail
