// One run of a whole cluster: drawn from a seed, executed, judged. A scenario is text that people can read,
// edit and keep; the seed alone gives the same one on the same commit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/cluster.h"
#include "sim/faults.h"
#include "sim/trace.h"
#include "sim/workload.h"

namespace taffrail::sim {

struct Scenario {
  uint64_t seed = 0;
  RunKind run = RunKind::kSurvivable;
  uint32_t brokers = 3;
  uint32_t seeds = 0;          ///< Of the brokers, the first found the cluster and the others join it; 0: all found it.
  uint32_t clients = 2;
  Duration length = 10_s;      ///< Until everything heals.
  uint32_t operations = 200;
  int32_t partitions = 3;
  uint32_t members = 0;        ///< Of a consumer group; 0: none.
  Duration retention{};        ///< Of its offsets; 0: for ever.
  uint32_t directories = 1;    ///< Data directories of each broker, on a disk each.
  bool other_shards = false;   ///< Brokers may start again with another number of shards.
  uint32_t metadata_snapshot = 0;  ///< Entries of group 0 between two snapshots of it; 0: as by default.
  bool settings = false;       ///< One quota after another is set.
  bool other_topics = false;   ///< And topics are made and deleted.
  bool deletes_records = false;  ///< And the first records of the topic.
  bool alters_topic = false;   ///< How it is stored changes: codec, times, retention, replicas in sync.
  bool bursts = false;         ///< Some of the writers send several batches at a time.
  uint32_t client_memory = 0;  ///< Bytes that requests and answers of a broker share; 0: as by default.
  bool strangers = false;      ///< Brokers are spoken to by hand, and by brokers of another cluster.
  bool drawn_world = true;     ///< Latencies, windows and clocks by the seed; else as they are by default.
  std::vector<Fault> faults;

  /// The general profile: everything by the seed.
  static Scenario from_seed(uint64_t seed);
  /// The same with a consumer group, which one seed in ten has by itself.
  static Scenario with_group(uint64_t seed);
  /// The same over a time `by` times as long: operations and faults lie that much further apart, and last as long as
  /// they did.
  Scenario stretched(uint32_t by) const;
  static constexpr uint32_t kStretchMax = 10'000;  ///< A day and more.
  /// A file's text, and back. Errors: kInvalid with the line.
  std::string print() const;
  static Result<Scenario> parse(std::string_view text);
  /// What replays it: the seed, if nothing was edited. "TF1-6", with a group that was asked for "TF1-6g", stretched by
  /// sixty "TF1-6x60".
  std::string token() const;
  static Result<Scenario> from_token(std::string_view token);
};

/// What a run came to. Counts are exact: the same for the same seed and code.
struct RunReport {
  std::string violation;       ///< "lost-write: ..."; empty if every oracle holds.
  std::vector<std::string> all_violations;
  Hash128 hash;
  uint64_t events = 0;
  Duration simulated{};
  uint64_t sent = 0;
  uint64_t acked = 0;
  uint64_t elections = 0;      ///< Leaders that came to be, over all partitions and group 0, beyond the first of each.
  uint64_t truncations = 0;    ///< Cuts of uncommitted entries.
  uint64_t repairs = 0;        ///< What damage took and other replicas gave back: pieces of holes, ends of logs.
  uint64_t refused = 0;        ///< Brokers that, after damage, refuse to start and say why.
  uint64_t generations = 0;    ///< Of the group that members were told of.
  uint64_t commits = 0;        ///< Of offsets, acknowledged.
  uint64_t expired = 0;        ///< Offsets that had had their time, on all replicas together.
  uint64_t lies = 0;           ///< 1 if something is missing that a disk lied about, and nobody could have known.
  uint64_t waiting = 0;        ///< 1 if the rest waits for an operator: one disk may hold less than it promised, another is gone.
  uint64_t directories_failed = 0;  ///< Looks of the operator that found a broker without one of its directories.
  uint64_t other_shards = 0;   ///< Starts of a broker with another number of shards than it had.
  uint64_t recoveries = 0;     ///< Starts of a broker on a directory that was not empty.
  std::map<std::string, uint64_t> faults;  ///< Kinds that took effect, with how often.
  std::map<std::string, uint64_t> asides;  ///< What others than writers, readers and members got answered, with how often.
  std::vector<std::string> stops;          ///< Processes that stopped themselves, and why.
  /// The log of every node on one time line; only if asked for.
  std::string time_line;
  std::vector<Trace::Checkpoint> checkpoints;
  std::vector<Trace::Entry> watched;

  /// "lost-write", "I-R4", "liveness": what groups failures by their cause.
  std::string signature() const { return violation.substr(0, violation.find_first_of(": ")); }
};

struct RunOptions {
  bool time_line = false;
  uint64_t watch_first = 0;  ///< Entries of the trace to keep: from which on,
  uint64_t watch_count = 0;  ///< and how many.
  std::shared_ptr<StackPool> stacks = nullptr;  ///< Kept from run to run, if given.
};

RunReport run_scenario(const Scenario& scenario, const RunOptions& options = {});

}  // namespace taffrail::sim
