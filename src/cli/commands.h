// The subcommands, each with the flags it was given. What parses those is in app.cc; nothing here knows
// how. Every one returns kOk or the code that its comment names; errors become codes in exit_code_of().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "client/metadata.h"

namespace taffrail {
struct NodeShards;
}

namespace taffrail::cli {

// Topics (topic.cc).

struct TopicCreate {
  std::string name;
  int32_t partitions = -1;
  int16_t replication_factor = -1;
  std::vector<std::string> configs;  ///< "key=value".
};
Result<ExitCode> topic_create(Task& task, Session& session, const TopicCreate& options);
Result<ExitCode> topic_ls(Task& task, Session& session, bool internal);
Result<ExitCode> topic_show(Task& task, Session& session, const std::string& name);
Result<ExitCode> topic_rm(Task& task, Session& session, const std::vector<std::string>& names);

struct TopicAlter {
  std::string name;
  std::vector<std::string> set;     ///< "key=value".
  std::vector<std::string> remove;  ///< "key".
  int32_t partitions = 0;           ///< The new total; 0: as it is.
};
Result<ExitCode> topic_alter(Task& task, Session& session, const TopicAlter& options);

struct TopicGrow {
  std::string name;
  int32_t partitions = 0;  ///< The new total.
};
Result<ExitCode> topic_grow(Task& task, Session& session, const TopicGrow& options);

struct TopicTrim {
  std::string name;
  std::optional<int32_t> partition;  ///< Absent: all.
  std::string before;                ///< OFFSET, "end", @MS.
};
Result<ExitCode> topic_trim(Task& task, Session& session, const TopicTrim& options);

// Where replicas are (moves.cc).

struct TopicMove {
  std::string name;
  int32_t partition = 0;
  std::vector<int32_t> brokers;  ///< The preferred leader first.
  bool back = false;             ///< To where it was before the move that is under way.
};
Result<ExitCode> topic_move(Task& task, Session& session, const TopicMove& options);
struct TopicElect {
  std::string name;
  int32_t partition = 0;
  bool unclean = false;  ///< Without what a replica may have lost.
};
Result<ExitCode> topic_elect(Task& task, Session& session, const TopicElect& options);
struct Retire {
  int32_t broker = 0;
  bool undo = false;  ///< It stays after all.
};
/// Leaders leave the broker, which is given nothing new until that is undone.
Result<ExitCode> cluster_drain(Task& task, Session& session, const Retire& options);
/// Replicas do, and then it leaves the cluster.
Result<ExitCode> cluster_decommission(Task& task, Session& session, const Retire& options);

// Groups (group.cc).

Result<ExitCode> group_ls(Task& task, Session& session);
Result<ExitCode> group_show(Task& task, Session& session, const std::string& name);
Result<ExitCode> group_lag(Task& task, Session& session, const std::string& name);
Result<ExitCode> group_rm(Task& task, Session& session, const std::vector<std::string>& names);

struct GroupSeek {
  std::string group;
  std::vector<std::string> topics;  ///< Empty: all that the group has committed.
  std::optional<int32_t> partition;
  std::string to;                   ///< start, end, OFFSET, @MS.
  bool dry_run = false;             ///< Say what would be, and do nothing.
};
Result<ExitCode> group_seek(Task& task, Session& session, const GroupSeek& options);

// Records (produce.cc, consume.cc).

struct Produce {
  std::string topic;
  std::optional<std::string> key;
  std::optional<std::string> value;  ///< Absent: one record per line of standard input.
  std::vector<std::string> headers;  ///< "name=value".
  std::optional<int32_t> partition;
  std::string key_separator;  ///< In lines of input; empty: lines have no keys.
  std::string acks = "all";
  std::string codec = "none";
};
Result<ExitCode> produce(Task& task, Session& session, const Produce& options);

struct Consume {
  std::vector<std::string> topics;
  std::string from = "start";  ///< start, end, OFFSET, -COUNT, @MS.
  std::optional<int32_t> partition;
  uint64_t count = 0;          ///< 0: no limit.
  bool until_end = false;      ///< Stop where the partitions ended at the beginning.
  bool committed_only = false;
  std::string key_separator;   ///< Print keys before values; empty: values only.
  std::string group;           ///< Share with the others of this group, and commit; empty: alone.
};
Result<ExitCode> consume(Task& task, Session& session, const Consume& options);

// The cluster and its files (cluster.cc, inspect.cc).

/// kUnhealthy if there is no controller.
Result<ExitCode> cluster_show(Task& task, Session& session);

// Whether the cluster is well, in words (cluster_health.cc).

/// kUnhealthy if something is wrong.
Result<ExitCode> cluster_health(Task& task, Session& session);
/// kUnhealthy if something would be missing while the broker is away.
Result<ExitCode> cluster_safe_to_restart(Task& task, Session& session, const int32_t& broker);

struct ClusterConfig {
  std::optional<int32_t> broker;    ///< Absent: what all brokers share.
  std::vector<std::string> set;     ///< "key=value".
  std::vector<std::string> remove;  ///< "key".
  bool all = false;                 ///< Show also what nobody set.
};
Result<ExitCode> cluster_config(Task& task, Session& session, const ClusterConfig& options);

struct Inspect {
  std::string file;
  uint64_t rows = 100;
};
/// kUnhealthy if damage was found.
Result<ExitCode> inspect(Task& task, Session& session, const Inspect& options);

// Measurements (bench.cc).

struct Bench {
  std::vector<std::string> workloads;
  int pairs = 5;     ///< Runs of each side.
  std::string data;  ///< Empty: the system's directory for temporary files.
};
/// Errors: kNotFound if the program that measures is not beside this one.
Result<ExitCode> bench(Task& task, Session& session, const Bench& options);

// Nodes (serve.cc, up.cc).

struct Serve {
  std::string config_file;
  std::vector<std::string> set;  ///< "key=value", over the file.
  bool unclean = false;          ///< NodeConfig::unclean.
};
/// What the file and the flags say together. Errors: kInvalid with file, line and column.
Result<NodeConfig> serve_config(Task& task, Session& session, const Serve& options);
/// Serves until it is told to stop, on shard 0; the other shards run its parts, which meet it in `shards`.
Result<> serve_node(Task& task, Session& session, const NodeConfig& config, std::shared_ptr<NodeShards> shards,
                    bool stop_with_input);

struct Up {
  std::optional<int32_t> nodes;      ///< Absent: as many as the directory has, or 3.
  std::string data = "./taffrail-data";
  bool ephemeral = false;
  std::optional<uint16_t> port;      ///< Of the first node, 9092 if absent; 0: free ones.
  std::string ready_file;
  uint32_t shards = 1;
};
/// kUnhealthy if a node ended by itself.
Result<ExitCode> up(Task& task, Session& session, const Up& options);

// For all of them (with_cluster.cc).

/// Runs `body` with a client of the cluster that -b names, and takes that down again afterwards.
/// `deadline` is --timeout from now.
Result<ExitCode> with_cluster(
    Task& task, Session& session,
    const std::function<Result<ExitCode>(client::Cluster&, Instant deadline)>& body);
/// "a=b" as its two halves. Errors: kInvalid.
Result<std::pair<std::string, std::string>> split_pair(std::string_view text);
/// "h1:p1,h2:p2". Errors: kInvalid.
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

}  // namespace taffrail::cli
