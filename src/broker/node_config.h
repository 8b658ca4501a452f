// Everything a node is told before it starts. Written by the configuration file or by flags
// (cli/node_file.h), and by simulated clusters; read once, by the node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/units.h"
#include "group/options.h"
#include "runtime/net.h"

namespace taffrail {

/// Where a node listens, and what it tells others to dial: behind a container or a NAT they differ.
struct ListenerConfig {
  Endpoint bind;        ///< Port 0: any free one.
  Endpoint advertised;  ///< Empty host: the bind host; port 0: the port that was really bound.
  bool operator==(const ListenerConfig&) const = default;
};

/// Timing of every Raft group of the node. An election timeout is drawn from [min, max] each time.
struct RaftConfig {
  Duration heartbeat = 100_ms;
  Duration election_min = 500_ms;
  Duration election_max = 1000_ms;
  uint32_t append_entries_max = 1024;  ///< Of one request to a follower.
  bool operator==(const RaftConfig&) const = default;
};

struct StorageConfig {
  ByteCount wal_segment_bytes = 64_MiB;  ///< Size of a recycled segment of the write-ahead log.
  uint32_t wal_segments_kept = 4;        ///< More of them than that, and the oldest is emptied into segments.
  ByteCount memory = 32_MiB;             ///< For the tails of all logs of one shard.
  ByteCount flush_bytes = 256_KiB;       ///< Committed bytes that move to a segment in one piece.
  ByteCount segment_bytes = 1_GiB;       ///< A segment file takes no more chunks past this.
  bool operator==(const StorageConfig&) const = default;
};

/// Of each listener for clients.
struct ServerConfig {
  ByteCount request_bytes_max = 104'857'600;  ///< socket.request.max.bytes.
  ByteCount memory = 32_MiB;                  ///< For requests and answers of all clients: queued.max.request.bytes.
  uint32_t connections_max = 100'000;
  Duration idle_max = 600_s;  ///< connections.max.idle.ms.
  bool operator==(const ServerConfig&) const = default;
};

struct NodeConfig {
  BrokerId id = kNoBroker;
  std::optional<std::string> rack;
  /// As the operating system names them; the node itself only sees a Disk for each. Group 0 is in the first.
  std::vector<std::string> data_dirs;

  /// By name, as clients are told: "PLAINTEXT". At least one.
  std::map<std::string, ListenerConfig> listeners;
  /// Where the other brokers find this one. Not for clients.
  ListenerConfig internal;
  /// Internal addresses of the brokers that found the cluster; the same list, in any order, on each of
  /// them. A broker that is not listed joins through them.
  std::vector<Endpoint> seeds;

  uint32_t shards = 1;
  int32_t default_partitions = 1;                ///< num.partitions.
  int16_t default_replication_factor = 3;        ///< Fewer in a cluster of fewer brokers.
  bool auto_create_topics = true;                ///< auto.create.topics.enable.

  Duration slow_disk_after = 2_s;         ///< A disk that takes longer to sync loses its leaderships.
  Duration replica_lag_max = 30_s;        ///< replica.lag.time.max.ms.
  Duration housekeeping_interval = 30_s;  ///< How often leaders look at retention and expiry.
  Duration scrub_round = 604'800_s;       ///< In which all stored records are read once and checked.
  uint64_t snapshot_entries = 10'000;     ///< A partition's entries between two snapshots of its producers.
  uint64_t metadata_snapshot_entries = 10'000;  ///< The same, of group 0's image.

  bool unclean = false;                   ///< DriverOptions::unclean, of this start.

  RaftConfig raft;
  StorageConfig storage;
  ServerConfig server;
  group::Options groups;

  bool operator==(const NodeConfig&) const = default;
};

}  // namespace taffrail
