// One heartbeat from node to node for all groups that they share: ten thousand partitions cost two
// nodes one small message each way.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/units.h"
#include "consensus/configuration.h"

namespace taffrail {

/// "My replica `leader` leads `group` in `term`, and a replica on your node follows it."
struct Listing {
  PartitionKey group;
  Term term;
  ReplicaId leader;
  bool operator==(const Listing&) const = default;
};

/// What a list comes to: its length, and a sum over its elements that does not depend on their
/// order.
struct ListDigest {
  uint64_t count = 0;
  uint64_t sum = 0;
  void add(const Listing& listing);
  void remove(const Listing& listing);
  bool operator==(const ListDigest&) const = default;
};

struct Heartbeat {
  uint64_t sequence = 0;
  ListDigest digest;
  /// Sorted by group; only if the receiver has not confirmed the list of this digest.
  std::optional<std::vector<Listing>> list;
  bool operator==(const Heartbeat&) const = default;
};

struct HeartbeatAnswer {
  uint64_t sequence = 0;
  ListDigest digest;       ///< Of the list that the answering node has now.
  bool need_list = false;  ///< That is not the heartbeat's: send it.
  /// Listed groups of which this node has no replica, or one that no longer follows: they do not
  /// count as contact with a member. Sorted; at most as many as were listed.
  std::vector<PartitionKey> refused;
  bool operator==(const HeartbeatAnswer&) const = default;
};

/// The sending side, for one other node.
///
/// The list is sent until an answer confirms its digest, then only the digest until it changes. A
/// peer that restarted has another digest, says so, and is sent the list again.
class HeartbeatSender {
 public:
  /// This node's replica leads `group` in `term`, and the peer has a member of it.
  void lead(const Listing& listing);
  /// No longer.
  void drop(const PartitionKey& group);
  bool empty() const { return listings_.empty(); }

  /// The next heartbeat. Send one each interval, also with an empty list: it tells the peer so.
  Heartbeat next(Instant now);
  /// The peer's answer. Gives the time at which the heartbeat that it answers was sent, a time at
  /// which the peer is known to have been alive *after*; nothing if that is not known any more.
  std::optional<Instant> on_answer(const HeartbeatAnswer& answer);
  /// The connection broke: nothing is confirmed any more.
  void on_link_reset() { confirmed_.reset(); }

  const ListDigest& digest() const { return digest_; }

 private:
  std::map<PartitionKey, Listing> listings_;
  ListDigest digest_;
  std::optional<ListDigest> confirmed_;
  uint64_t sequence_ = 0;
  std::map<uint64_t, Instant> sent_;
};

/// The receiving side, for one other node.
class HeartbeatReceiver {
 public:
  /// What a heartbeat changed. Groups that are neither were listed before and still are: those that
  /// want to know ask heard() when their election timer is due, so an unchanged heartbeat costs
  /// nothing per group.
  struct Heard {
    HeartbeatAnswer answer;
    std::vector<Listing> fresh;  ///< New, or of another term or leader: tell Raft::leader_contact.
    std::vector<PartitionKey> absent;  ///< Listed before, not any more: their timers run.
  };
  /// A heartbeat older than one seen already changes nothing.
  Heard on_heartbeat(const Heartbeat& heartbeat, Instant now);

  /// When the peer last listed `group` as led in `term`; nothing if it does not.
  std::optional<Instant> heard(const PartitionKey& group, Term term) const;
  /// When a heartbeat came last; zero if none did.
  Instant last() const { return heard_; }
  /// The listing of `group`, if any: a group whose term has risen above it tells the old leader.
  const Listing* find(const PartitionKey& group) const;

  /// From now on answers say that `group` is not followed here; until it is listed anew, or
  /// follow().
  void refuse(const PartitionKey& group);
  void follow(const PartitionKey& group) { refused_.erase(group); }
  /// The connection broke; sequences start again. What was listed stays so, but grows old.
  void on_link_reset();

 private:
  std::map<PartitionKey, Listing> listings_;
  std::map<PartitionKey, bool> refused_;
  ListDigest digest_;
  std::optional<uint64_t> last_sequence_;
  Instant heard_;
};

std::string encode_heartbeat(const Heartbeat& heartbeat);
/// Bounded, never trusted. Errors: kCorrupt; kTooLarge past kMaxListings; kUnsupported.
Result<Heartbeat> decode_heartbeat(ByteView bytes);
std::string encode_heartbeat_answer(const HeartbeatAnswer& answer);
Result<HeartbeatAnswer> decode_heartbeat_answer(ByteView bytes);

inline constexpr size_t kMaxListings = 1'000'000;

}  // namespace taffrail
