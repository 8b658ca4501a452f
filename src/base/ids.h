// One number, one type: an Offset does not turn into a LogIndex by itself.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace taffrail {

/// A name that happens to be a number: compared, never computed with.
template <class Tag, class Rep>
struct Id {
  Rep value{};
  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
};

/// A place in a sequence: places move by counts, and differ by counts.
template <class Tag, class Rep>
struct Ordinal {
  Rep value{};
  constexpr Ordinal() = default;
  constexpr explicit Ordinal(Rep v) : value(v) {}
  constexpr auto operator<=>(const Ordinal&) const = default;
  constexpr Ordinal operator+(Rep n) const { return Ordinal(value + n); }
  constexpr Ordinal operator-(Rep n) const { return Ordinal(value - n); }
  constexpr Rep operator-(Ordinal other) const { return value - other.value; }
  constexpr Ordinal& operator+=(Rep n) { value += n; return *this; }
  constexpr Ordinal& operator++() { ++value; return *this; }
};

/// A Kafka offset within a partition; the first record has 0. -1: none.
using Offset = Ordinal<struct OffsetTag, int64_t>;
/// A Raft index within a log; the first entry has 1, 0 is "before the first".
using LogIndex = Ordinal<struct LogIndexTag, int64_t>;
/// A Raft term; the first is 1, 0 is "before any". As a leader epoch it goes to clients unchanged.
using Term = Ordinal<struct TermTag, int64_t>;
/// Place of a frame in a write-ahead log, counted since the log was founded; the first is 1.
using WalSequence = Ordinal<struct WalSequenceTag, uint64_t>;
/// A producer's sequence number: 0 to 2^31-1, then 0 again. record/sequence.h does the arithmetic.
using Sequence = Id<struct SequenceTag, int32_t>;

using BrokerId = Id<struct BrokerIdTag, int32_t>;
using ShardId = Id<struct ShardIdTag, uint32_t>;
using ProducerId = Id<struct ProducerIdTag, int64_t>;
using ProducerEpoch = Id<struct ProducerEpochTag, int16_t>;

inline constexpr Offset kNoOffset{-1};
inline constexpr BrokerId kNoBroker{-1};
inline constexpr ProducerId kNoProducer{-1};

/// 128 bits, in Kafka's order: most significant half first. All zero: none.
struct Uuid {
  uint64_t high = 0;
  uint64_t low = 0;
  constexpr auto operator<=>(const Uuid&) const = default;
  constexpr bool is_zero() const { return high == 0 && low == 0; }
  /// 22 characters of base64url without padding, as Kafka's tools print topic ids.
  std::string text() const;
  /// The inverse of text(); a zero Uuid if `text` is not one.
  static Uuid parse(std::string_view text);
};

using TopicId = Uuid;
using ClusterId = Uuid;
using DiskId = Uuid;

/// One partition, by topic id and number: the name of its Raft group, of its log and of its directory.
struct PartitionKey {
  TopicId topic;
  int32_t partition = 0;
  constexpr auto operator<=>(const PartitionKey&) const = default;
  /// "mYq3...-7".
  std::string text() const;
};

/// Group 0, the cluster's metadata: Kafka's own id for `__cluster_metadata`.
inline constexpr PartitionKey kMetadataPartition{Uuid{0, 1}, 0};
inline constexpr const char* kMetadataTopic = "__cluster_metadata";

/// Data directories of a node.
inline constexpr uint32_t kDirectoriesMax = 16;

/// How a node is made up: its shards, and the data directories that they keep their logs in. Shard i has directory
/// i % directories, so that each directory has a shard of its own: `shards` is not below `directories`.
struct NodeShape {
  constexpr NodeShape(uint32_t s = 1, uint32_t d = 1) : shards(s), directories(d) {}  // A number of shards is a shape.
  uint32_t shards;
  uint32_t directories;
  constexpr auto operator<=>(const NodeShape&) const = default;
  constexpr uint32_t directory_of(ShardId shard) const { return shard.value % directories; }
  /// Whether it is the one that looks after its directory.
  constexpr bool is_first_of_directory(ShardId shard) const { return shard.value < directories; }
};

/// Which shard of a node a partition lives on there: the partitions of one topic go round, over the directories first.
/// Group 0 lives on shard 0. With another number of shards a partition stays in its directory.
ShardId shard_of(const PartitionKey& key, NodeShape shape);
/// Which of the node's data directories it is in: that of its shard.
uint32_t directory_of(const PartitionKey& key, uint32_t directories);

}  // namespace taffrail
