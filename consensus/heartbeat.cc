#include "consensus/heartbeat.h"

#include <fmt/core.h>

#include <algorithm>

#include "consensus/wire.h"

namespace taffrail {

namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kKeyBytes = 16 + 4;
constexpr size_t kListingBytes = kKeyBytes + 8 + 20;
// Heartbeats whose sending time is remembered: what is answered later than so many is of no use.
constexpr size_t kMaxUnanswered = 64;

uint64_t digest_of(const Listing& listing) {
  uint64_t h = mix64(listing.group.topic.high, listing.group.topic.low);
  h = mix64(h, static_cast<uint64_t>(listing.group.partition));
  h = mix64(h, static_cast<uint64_t>(listing.term.value));
  h = mix64(h, static_cast<uint64_t>(listing.leader.node.value));
  h = mix64(h, listing.leader.disk.high);
  return mix64(h, listing.leader.disk.low);
}

void write_digest(ByteWriter& out, const ListDigest& digest) {
  out.u64(digest.count);
  out.u64(digest.sum);
}

ListDigest read_digest(ByteReader& in) {
  ListDigest digest;
  digest.count = in.u64();
  digest.sum = in.u64();
  return digest;
}

Result<size_t> read_count(ByteReader& in, size_t element_bytes) {
  const size_t count = in.u32();
  if (count > kMaxListings) {
    return fail(Errc::kTooLarge, fmt::format("heartbeat: a list of {} groups", count));
  }
  if (in.left() < count * element_bytes) return fail(Errc::kCorrupt, "heartbeat: cut short");
  return count;
}

Result<> read_format(ByteReader& in) {
  const uint8_t format = in.u8();
  if (!in.ok()) return fail(Errc::kCorrupt, "heartbeat: empty");
  if (format != kFormat) {
    return fail(Errc::kUnsupported, fmt::format("heartbeat of format {}", format));
  }
  return {};
}

}  // namespace

void ListDigest::add(const Listing& listing) {
  ++count;
  sum += digest_of(listing);
}

void ListDigest::remove(const Listing& listing) {
  --count;
  sum -= digest_of(listing);
}

void HeartbeatSender::lead(const Listing& listing) {
  drop(listing.group);
  listings_.emplace(listing.group, listing);
  digest_.add(listing);
}

void HeartbeatSender::drop(const PartitionKey& group) {
  const auto at = listings_.find(group);
  if (at == listings_.end()) return;
  digest_.remove(at->second);
  listings_.erase(at);
}

Heartbeat HeartbeatSender::next(Instant now) {
  Heartbeat heartbeat{.sequence = ++sequence_, .digest = digest_, .list = std::nullopt};
  if (confirmed_ != digest_) {
    auto& list = heartbeat.list.emplace();
    list.reserve(listings_.size());
    for (const auto& [group, listing] : listings_) list.push_back(listing);
  }
  sent_.emplace(sequence_, now);
  if (sent_.size() > kMaxUnanswered) sent_.erase(sent_.begin());
  return heartbeat;
}

std::optional<Instant> HeartbeatSender::on_answer(const HeartbeatAnswer& answer) {
  const auto at = sent_.find(answer.sequence);
  if (at == sent_.end()) return std::nullopt;
  const Instant sent = at->second;
  sent_.erase(sent_.begin(), std::next(at));
  // The digest says which list the peer has; another one than ours now, and the next one brings
  // ours.
  confirmed_ = answer.need_list ? std::nullopt : std::optional(answer.digest);
  return sent;
}

HeartbeatReceiver::Heard HeartbeatReceiver::on_heartbeat(const Heartbeat& heartbeat, Instant now) {
  Heard heard;
  heard.answer.sequence = heartbeat.sequence;
  const bool late = last_sequence_ && heartbeat.sequence <= *last_sequence_;
  if (!late) last_sequence_ = heartbeat.sequence;

  if (heartbeat.list && !late) {
    std::map<PartitionKey, Listing> next;
    ListDigest digest;
    for (const Listing& listing : *heartbeat.list) {
      if (next.emplace(listing.group, listing).second) digest.add(listing);
    }
    // A list that is not what its digest says is nobody's list: the old one stays, and grows old.
    if (digest == heartbeat.digest) {
      for (const auto& [group, listing] : next) {
        const Listing* before = find(group);
        if (before && *before == listing) continue;
        heard.fresh.push_back(listing);
        refused_.erase(group);
      }
      for (const auto& [group, listing] : listings_) {
        if (next.contains(group)) continue;
        heard.absent.push_back(group);
        refused_.erase(group);
      }
      listings_ = std::move(next);
      digest_ = digest;
    }
  }
  heard.answer.digest = digest_;
  heard.answer.need_list = digest_ != heartbeat.digest;
  if (!heard.answer.need_list && !late) heard_ = now;
  heard.answer.refused.reserve(refused_.size());
  for (const auto& [group, refused] : refused_) heard.answer.refused.push_back(group);
  return heard;
}

std::optional<Instant> HeartbeatReceiver::heard(const PartitionKey& group, Term term) const {
  const Listing* listing = find(group);
  if (!listing || listing->term != term) return std::nullopt;
  return heard_;
}

const Listing* HeartbeatReceiver::find(const PartitionKey& group) const {
  const auto at = listings_.find(group);
  return at == listings_.end() ? nullptr : &at->second;
}

void HeartbeatReceiver::refuse(const PartitionKey& group) {
  if (listings_.contains(group)) refused_[group] = true;
}

void HeartbeatReceiver::on_link_reset() { last_sequence_.reset(); }

std::string encode_heartbeat(const Heartbeat& heartbeat) {
  ByteWriter out;
  out.u8(kFormat);
  out.u64(heartbeat.sequence);
  write_digest(out, heartbeat.digest);
  out.u8(heartbeat.list ? 1 : 0);
  if (heartbeat.list) {
    out.reserve(out.size() + 4 + heartbeat.list->size() * kListingBytes);
    out.u32(static_cast<uint32_t>(heartbeat.list->size()));
    for (const Listing& listing : *heartbeat.list) {
      write_key(out, listing.group);
      out.i64(listing.term.value);
      write_replica(out, listing.leader);
    }
  }
  return out.take();
}

Result<Heartbeat> decode_heartbeat(ByteView bytes) {
  ByteReader in(bytes);
  TRY(read_format(in));
  Heartbeat heartbeat;
  heartbeat.sequence = in.u64();
  heartbeat.digest = read_digest(in);
  const uint8_t has_list = in.u8();
  if (has_list > 1) return fail(Errc::kCorrupt, "heartbeat: a flag that is neither 0 nor 1");
  if (has_list == 1) {
    const size_t count = TRY(read_count(in, kListingBytes));
    auto& list = heartbeat.list.emplace();
    list.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      Listing listing;
      listing.group = read_key(in);
      listing.term = Term(in.i64());
      listing.leader = read_replica(in);
      if (listing.term < Term(0) || listing.term > Term(INT32_MAX)) {
        return fail(Errc::kCorrupt, "heartbeat: a term out of range");
      }
      if (i > 0 && !(list.back().group < listing.group)) {
        return fail(Errc::kCorrupt, "heartbeat: a list that is not sorted");
      }
      list.push_back(listing);
    }
  }
  if (!in.done()) return fail(Errc::kCorrupt, "heartbeat: not exactly one");
  return heartbeat;
}

std::string encode_heartbeat_answer(const HeartbeatAnswer& answer) {
  ByteWriter out;
  out.u8(kFormat);
  out.u64(answer.sequence);
  write_digest(out, answer.digest);
  out.u8(answer.need_list ? 1 : 0);
  out.u32(static_cast<uint32_t>(answer.refused.size()));
  for (const PartitionKey& group : answer.refused) write_key(out, group);
  return out.take();
}

Result<HeartbeatAnswer> decode_heartbeat_answer(ByteView bytes) {
  ByteReader in(bytes);
  TRY(read_format(in));
  HeartbeatAnswer answer;
  answer.sequence = in.u64();
  answer.digest = read_digest(in);
  const uint8_t need_list = in.u8();
  if (need_list > 1) return fail(Errc::kCorrupt, "heartbeat: a flag that is neither 0 nor 1");
  answer.need_list = need_list == 1;
  const size_t count = TRY(read_count(in, kKeyBytes));
  answer.refused.reserve(count);
  for (size_t i = 0; i < count; ++i) answer.refused.push_back(read_key(in));
  if (!in.done()) return fail(Errc::kCorrupt, "heartbeat: not exactly one answer");
  return answer;
}

}  // namespace taffrail
