// A driver of one Raft replica that keeps everything in memory: a disk whose writes become durable
// when the test says so, and an outbox that the test delivers. Stories and random runs share it.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "consensus/raft.h"

namespace taffrail::testing {

/// A replica on node `n`, with a disk of its own.
inline ReplicaId replica(int n) { return {BrokerId(n), DiskId{7, static_cast<uint64_t>(n)}}; }

struct StoredEntry {
  EntryMeta meta;
  Configuration configuration;  ///< Of a kConfig entry.
  uint64_t payload = 0;         ///< Stands for the bytes: no two entries ever made are alike.
  bool operator==(const StoredEntry&) const = default;
};

/// A log with its entries; `view` and `entries` always agree.
struct StoredLog {
  LogView view;
  std::vector<StoredEntry> entries;  ///< From view.first() on.
  void append(const StoredEntry& entry);
  void truncate_from(LogIndex from);
  void drop_prefix(LogIndex index);
  void reset(EntryId prefix, const Configuration& configuration);
  const StoredEntry& at(LogIndex index) const;
};

/// What survives.
struct Image {
  HardState hard;
  StoredLog log;
};

/// "I lead this group in `term`", and the answer: the part of the node heartbeats that matters to
/// one group.
struct Beat {
  Term term;
};
struct BeatAnswer {};

struct Packet {
  ReplicaId from;
  ReplicaId to;
  std::variant<Message, Beat, BeatAnswer> what;
  std::vector<StoredEntry> entries;  ///< Of an AppendRequest.
};

class TestNode {
 public:
  struct Hooks {
    /// Each effect, as it is carried out. May be empty.
    std::function<void(const TestNode&, const Effect&)> on_effect;
    /// A message as it leaves the node.
    std::function<void(const TestNode&, Packet)> send;
    /// The replica wants this snapshot; finish_snapshot() when it has it.
    std::function<void(const TestNode&, const effect::FetchSnapshot&)> fetch_snapshot;
  };

  TestNode(Raft::Options options, Configuration initial, Hooks hooks);

  const ReplicaId& id() const { return options_.self; }
  bool up() const { return raft_.has_value(); }
  const Raft& raft() const { return *raft_; }
  const Image& image() const { return image_; }
  const StoredLog& log() const { return log_; }
  uint64_t incarnation() const { return incarnation_; }

  void start(uint64_t seed, Instant now);
  /// Down: what is durable stays, and of what was being written the first `kept` operations.
  void crash(size_t kept);
  size_t writing() const { return in_flight_; }

  // Inputs, each followed by all that it leads to.
  void receive(const Packet& packet, Instant now);
  void tick(Instant now);
  void link_reset(BrokerId node, Instant now);
  void sender_gone(BrokerId node, Instant now);
  /// Appends one entry if this node leads; gives its payload, 0 if not.
  uint64_t propose(uint64_t payload, Instant now);
  Result<> transfer(ReplicaId to, Instant now);
  Result<> configure(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners, Instant now);
  void finish_snapshot(const SnapshotOffer& offer, Instant now);
  void doubt_tail(Instant now);
  /// Drops the front of the log up to `index`, or as far as that is committed and durable.
  void compact(LogIndex index, Instant now);
  void beat(Instant now);

  /// Hands what is waiting to the disk, if the disk is idle. True if something is being written
  /// then.
  bool start_sync();
  /// What was being written is durable.
  void finish_sync(Instant now);
  /// Both, until nothing is waiting.
  void sync_all(Instant now);
  bool disk_busy() const { return in_flight_ > 0; }
  bool disk_waiting() const { return !queue_.empty(); }

 private:
  struct Write {
    std::variant<HardState, LogIndex, StoredEntry, Packet> what;  ///< LogIndex: cut from there.
  };
  void run(Effects& effects, Instant now, const Packet* packet);
  void carry_out(const Effect& effect, Instant now, const Packet* packet);
  void append_own(const effect::AppendOwn& own, Instant now);
  void append(StoredEntry entry, Instant now);
  void replicate(ReplicaId to, Instant now);
  void offer_snapshot(ReplicaId to);
  void leave(ReplicaId to, const Message& message, std::vector<StoredEntry> entries, Instant now);
  void apply(const Write& write);

  Raft::Options options_;
  Hooks hooks_;
  Image image_;
  StoredLog log_;
  std::optional<Raft> raft_;
  std::deque<Write> queue_;  ///< The first in_flight_ of them are being written.
  size_t in_flight_ = 0;
  Raft::PersistMark in_flight_mark_;
  uint64_t incarnation_ = 0;
  uint64_t own_payloads_ = 0;
};

}  // namespace taffrail::testing
