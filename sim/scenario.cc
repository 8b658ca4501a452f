#include "sim/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "broker/identity.h"
#include "sim/checkers/white_box.h"
#include "sim/group_workload.h"
#include "sim/nemesis.h"
#include "sim/strangers.h"
#include "storage/store.h"

namespace taffrail::sim {
namespace {

constexpr std::string_view kFirstLine = "taffrail scenario, format 1";
constexpr std::string_view kToken = "TF1-";
/// Behind the seed, where a group was asked for.
constexpr char kGroupMark = 'g';
constexpr char kStretchMark = 'x';

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

NodeConfig drawn_config(Stream& draws) {
  NodeConfig config;
  // Small things: many segments, many chunks, an arena that forgets.
  config.storage.wal_segment_bytes = 1ULL << draws.draw_between(14, 19, "wal segment");
  config.storage.wal_segments_kept = static_cast<uint32_t>(draws.draw_between(1, 4, "wal segments kept"));
  config.storage.flush_bytes = 1ULL << draws.draw_between(9, 16, "flush");
  config.storage.segment_bytes = 1ULL << draws.draw_between(12, 20, "segment");
  config.storage.memory = 1ULL << draws.draw_between(12, 26, "memory");
  config.raft.election_min = Duration::from_ms(draws.draw_between(300, 700, "election"));
  config.raft.election_max = config.raft.election_min * 2;
  config.raft.heartbeat = Duration::from_ms(draws.draw_between(60, config.raft.election_min.ms() * 2 / 5, "heartbeat"));
  config.replica_lag_max = Duration::from_ms(draws.draw_between(1'000, 10'000, "replica lag"));
  config.housekeeping_interval = Duration::from_ms(draws.draw_between(200, 2'000, "housekeeping"));
  config.scrub_round = Duration::from_ms(draws.draw_between(1'000, 30'000, "scrub"));
  config.snapshot_entries = draws.draw_between(2, 60, "snapshot entries");
  return config;
}

// Whatever becomes of the disks, these are never excused: other bytes than were written, what nobody sent, what is not
// committed, damage where there is none.
bool always_false(std::string_view violation) {
  constexpr std::string_view kNames[] = {"I-S1", "I-S8", "I-D5", "phantom", "early-read", "int-nonmonotonic-poll"};
  const std::string_view name = violation.substr(0, violation.find_first_of(": "));
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Whether a replica of one of `core` may have promised more than its disk still holds, and waits to hear what the
// others hold: with one of them gone for good, for an operator.
bool waits_for_others(const SimCluster& cluster, const std::vector<NodeId>& core) {
  const auto in_doubt = [](const RaftGroup* group) {
    return group != nullptr && (group->raft().possibly_longer() || group->raft().vote_doubtful());
  };
  for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
    taffrail::Node* node = cluster.node(i);
    if (node == nullptr || std::find(core.begin(), core.end(), cluster.broker(i)) == core.end()) continue;
    if (in_doubt(node->find_group(kMetadataPartition))) return true;
    for (const Partition* partition : node->partitions())
      if (in_doubt(partition->group())) return true;
  }
  return false;
}

// The last entry of each log of a broker rots while its power is off.
void cut_power_and_rot_ends(SimCluster& cluster, World& world, uint32_t broker) {
  std::vector<Log::Place> ends;
  const auto add = [&](const Log& log) {
    if (const auto place = log.place_of(log.last_index()); place && place->segment != 0) ends.push_back(*place);
  };
  for (const Partition* partition : cluster.node(broker)->partitions()) add(partition->log());
  add(cluster.node(broker)->find_group(kMetadataPartition)->log());
  const NodeId node = cluster.broker(broker);
  world.power_cut(node);
  for (const Log::Place& end : ends) (void)world.disk(node).rot_at(end.file, end.offset, 40, 3, world.stream(StreamKind::kKnobs, 16));
}

// In half of all runs with a group its offsets are kept for a few seconds.
Duration drawn_retention(Tape& tape) {
  Stream& draws = tape.stream({.kind = StreamKind::kKnobs, .name = "retention"});
  const bool expires = draws.hits(1, 2, "offsets expire");
  const Duration retention = Duration::from_ms(draws.draw_between(1'000, 3'000, "kept for"));
  return expires ? retention : Duration{};
}

bool refuses(const World& world, NodeId node) {
  const auto last = std::find_if(world.stops().rbegin(), world.stops().rend(), [&](const Stop& s) { return s.node == node; });
  if (last == world.stops().rend()) return false;
  // A disk that lied about the identity may hold one that was never acted on: what else is there is somebody else's then.
  return last->why.find(kIdentityFile) != std::string::npos || last->why.find("was it copied here?") != std::string::npos;
}

}  // namespace

Scenario Scenario::from_seed(uint64_t seed) {
  Scenario s;
  s.seed = seed;
  Trace unused;
  Tape tape(seed, unused);
  Stream& draws = tape.stream({.kind = StreamKind::kKnobs, .name = "scenario"});
  s.brokers = draws.draw(4, "five brokers") == 3 ? 5 : 3;
  const uint64_t kind = draws.draw(10, "run kind");
  s.run = kind < 6 ? RunKind::kSurvivable : kind < 9 ? RunKind::kLiveness : RunKind::kAny;
  // In a third of all runs the cluster itself changes. Where only a majority heals at the end it may not: what was on its
  // way to the others could not arrive.
  Stream& changes = tape.stream({.kind = StreamKind::kKnobs, .name = "changes"});
  const bool changing = changes.hits(1, 2, "the cluster changes") && s.run != RunKind::kLiveness;
  const bool growing = changes.hits(1, 2, "brokers beyond the seeds");
  // Three of four have a broker more than a partition has replicas: what moves, or leaves, has somewhere to go.
  const bool spare = changes.hits(3, 4, "a broker to spare");
  if (changing && growing) s.seeds = 3;
  if (changing && (growing || spare)) s.brokers = std::max<uint32_t>(s.brokers, 4);
  Profile profile;
  profile.run = s.run;
  profile.brokers = s.brokers;
  profile.clients = s.clients;
  profile.replicas = s.run == RunKind::kLiveness ? s.brokers : 3;
  profile.from = Instant{} + 2_s;  // The topic is there by then: it takes all its replicas to make one.
  profile.heal_at = Instant{} + s.length;
  profile.faults_max = 20;
  profile.damage = true;
  s.faults = expand(profile, tape);
  if (changing) add_changes(profile, static_cast<uint32_t>(s.partitions), tape, s.faults);
  Stream& groups = tape.stream({.kind = StreamKind::kKnobs, .name = "group"});
  const bool grouped = groups.hits(1, 10, "a group");
  const auto members = static_cast<uint32_t>(groups.draw_between(2, 4, "members"));
  if (grouped) s.members = members;
  if (grouped) s.retention = drawn_retention(tape);
  // In a quarter of all runs brokers have two disks or three.
  Stream& disks = tape.stream({.kind = StreamKind::kKnobs, .name = "directories"});
  const bool several = disks.hits(1, 4, "several data directories");
  if (several) s.directories = 2 + static_cast<uint32_t>(disks.draw(2, "three of them"));
  s.other_shards = tape.stream({.kind = StreamKind::kKnobs, .name = "other shards"}).hits(1, 10, "other shards");
  // In half of the runs somebody administers the topic meanwhile. Where only a majority comes back, no topic can be made.
  Stream& work = tape.stream({.kind = StreamKind::kKnobs, .name = "work"});
  s.settings = work.hits(1, 2, "settings change");
  s.other_topics = work.hits(1, 2, "other topics") && s.settings && s.run == RunKind::kSurvivable;
  s.bursts = work.hits(1, 2, "bursts");
  const bool snapshots = work.hits(2, 3, "metadata snapshots");
  const auto every = static_cast<uint32_t>(work.draw_between(2, 30, "entries between them"));
  if (snapshots) s.metadata_snapshot = every;
  s.deletes_records = work.hits(1, 3, "records are deleted") && s.settings;
  s.alters_topic = work.hits(1, 3, "the topic is altered") && s.settings;
  s.strangers = work.hits(1, 3, "strangers");
  // Answers wait for room then, and large requests for one another.
  Stream& memory = tape.stream({.kind = StreamKind::kKnobs, .name = "client memory"});
  const bool little = memory.hits(1, 4, "little memory for clients");
  const auto bits = memory.draw_between(14, 20, "how little");
  if (little) s.client_memory = 1u << bits;
  // In half of these all but every entry.
  if (work.hits(1, 2, "snapshots all the time") && snapshots) s.metadata_snapshot = 1 + every % 4;
  return s;
}

Scenario Scenario::with_group(uint64_t seed) {
  Scenario s = from_seed(seed);
  if (s.members > 0) return s;
  s.members = 3;
  Trace unused;
  Tape tape(seed, unused);
  s.retention = drawn_retention(tape);
  return s;
}

Scenario Scenario::stretched(uint32_t by) const {
  Scenario s = *this;
  s.length = length * by;
  for (Fault& fault : s.faults) fault.at = Instant{fault.at.ns * by};
  return s;
}

std::string Scenario::token() const {
  const Scenario drawn = from_seed(seed);
  const bool asked_for = members > 0 && drawn.members == 0;
  const int64_t by = length.ns / drawn.length.ns;
  return fmt::format("{}{}{}{}", kToken, seed, asked_for ? std::string(1, kGroupMark) : "",
                     by > 1 ? fmt::format("{}{}", kStretchMark, by) : "");
}

Result<Scenario> Scenario::from_token(std::string_view token) {
  std::string_view digits = token.starts_with(kToken) ? token.substr(kToken.size()) : token;
  const size_t mark = digits.find(kStretchMark);
  const auto by = mark == std::string_view::npos ? 1 : number(digits.substr(mark + 1));
  digits = digits.substr(0, mark);
  const bool grouped = digits.ends_with(kGroupMark);
  if (grouped) digits.remove_suffix(1);
  const auto seed = number(digits);
  if (!seed || !by || *by < 1 || *by > kStretchMax)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not a token like {}123 or {}123x60, nor a seed", token, kToken, kToken));
  const Scenario s = grouped ? with_group(*seed) : from_seed(*seed);
  return s.stretched(static_cast<uint32_t>(*by));
}

std::string Scenario::print() const {
  std::string out = fmt::format("{}\nseed {}\nrun {}\nbrokers {}\nclients {}\nlength_ms {}\noperations {}\npartitions {}\nmembers {}\ndrawn_world {}\n",
                                kFirstLine, seed, run_kind_name(run), brokers, clients, length.ms(), operations, partitions, members,
                                drawn_world ? 1 : 0);
  if (directories != 1) out += fmt::format("directories {}\n", directories);
  if (seeds != 0) out += fmt::format("seeds {}\n", seeds);
  if (other_shards) out += "other_shards 1\n";
  if (metadata_snapshot != 0) out += fmt::format("metadata_snapshot {}\n", metadata_snapshot);
  if (settings) out += "settings 1\n";
  if (other_topics) out += "other_topics 1\n";
  if (deletes_records) out += "deletes_records 1\n";
  if (alters_topic) out += "alters_topic 1\n";
  if (bursts) out += "bursts 1\n";
  if (strangers) out += "strangers 1\n";
  if (client_memory > 0) out += fmt::format("client_memory {}\n", client_memory);
  if (retention != Duration{}) out += fmt::format("retention_ms {}\n", retention.ms());
  return out + print_faults(faults);
}

Result<Scenario> Scenario::parse(std::string_view text) {
  Scenario s;
  std::string faults;
  bool first = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (first) {
      if (line != kFirstLine) return fail(Errc::kInvalid, fmt::format("the first line is not \"{}\"", kFirstLine));
      first = false;
      continue;
    }
    if (line.starts_with("fault ")) {
      faults += std::string(line) + "\n";
      continue;
    }
    const size_t blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    const std::string_view rest = blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
    const auto value = number(rest);
    if (word == "run") {
      s.run = rest == run_kind_name(RunKind::kLiveness) ? RunKind::kLiveness
              : rest == run_kind_name(RunKind::kAny)    ? RunKind::kAny
                                                        : RunKind::kSurvivable;
      continue;
    }
    if (!value) return fail(Errc::kInvalid, fmt::format("\"{}\": a number is missing", line));
    if (word == "seed") s.seed = *value;
    else if (word == "brokers") s.brokers = static_cast<uint32_t>(std::clamp<uint64_t>(*value, 1, 5));
    else if (word == "seeds") s.seeds = static_cast<uint32_t>(std::min<uint64_t>(*value, 5));
    else if (word == "directories") s.directories = static_cast<uint32_t>(std::clamp<uint64_t>(*value, 1, kDirectoriesMax));
    else if (word == "clients") s.clients = static_cast<uint32_t>(std::clamp<uint64_t>(*value, 1, 10));
    else if (word == "length_ms") s.length = Duration::from_ms(static_cast<int64_t>(std::min<uint64_t>(*value, 86'400'000)));
    else if (word == "operations") s.operations = static_cast<uint32_t>(std::min<uint64_t>(*value, 10'000'000));
    else if (word == "partitions") s.partitions = static_cast<int32_t>(std::clamp<uint64_t>(*value, 1, 1000));
    else if (word == "members") s.members = static_cast<uint32_t>(std::min<uint64_t>(*value, 20));
    else if (word == "retention_ms") s.retention = Duration::from_ms(static_cast<int64_t>(std::min<uint64_t>(*value, 86'400'000)));
    else if (word == "other_shards") s.other_shards = *value != 0;
    else if (word == "metadata_snapshot") s.metadata_snapshot = static_cast<uint32_t>(std::min<uint64_t>(*value, 1'000'000));
    else if (word == "settings") s.settings = *value != 0;
    else if (word == "other_topics") s.other_topics = *value != 0;
    else if (word == "deletes_records") s.deletes_records = *value != 0;
    else if (word == "alters_topic") s.alters_topic = *value != 0;
    else if (word == "bursts") s.bursts = *value != 0;
    else if (word == "strangers") s.strangers = *value != 0;
    else if (word == "client_memory") s.client_memory = static_cast<uint32_t>(std::min<uint64_t>(*value, UINT32_MAX));
    else if (word == "drawn_world") s.drawn_world = *value != 0;
    else return fail(Errc::kInvalid, fmt::format("\"{}\": there is no such line in a scenario", line));
  }
  s.faults = TRY(parse_faults(faults));
  return s;
}

RunReport run_scenario(const Scenario& scenario, const RunOptions& options) {
  RunReport report;
  std::unique_ptr<World> world = 
      scenario.drawn_world ? World::drawn(scenario.seed, options.stacks)
                           : std::make_unique<World>(scenario.seed, Knobs{}, options.stacks);
  world->set_replay_token(fmt::format("taffrail sim replay {}", scenario.token()));
  world->trace().keep_time_line(options.time_line);
  world->trace().watch(options.watch_first, options.watch_count);
  {
    ClusterOptions shape;
    shape.brokers = scenario.brokers;
    shape.clients = scenario.clients;
    shape.seeds = std::min(scenario.seeds, scenario.brokers);
    Stream& draws = world->stream(StreamKind::kKnobs, 1);
    shape.config = drawn_config(draws);
    if (scenario.client_memory > 0) shape.config.server.memory = scenario.client_memory;
    if (scenario.metadata_snapshot > 0) shape.config.metadata_snapshot_entries = scenario.metadata_snapshot;
    for (uint32_t i = 1; i <= scenario.directories; ++i) shape.config.data_dirs.push_back(fmt::format("/disk-{}", i));
    if (scenario.drawn_world) {
      // Half of the worlds have a shard for each broker; in the others every broker draws its own number.
      Stream& shards = world->stream(StreamKind::kKnobs, 2);
      const bool several = shards.hits(1, 2, "several shards");
      for (uint32_t i = 0; several && i < scenario.brokers; ++i)
        shape.shards.push_back(1 + static_cast<uint32_t>(shards.draw(2, "two shards")));
    }
    // As an operator would: an election has to fit a few syncs and round trips of this world.
    const Knobs& nature = world->knobs();
    const Duration round = nature.disk.sync.base + nature.disk.sync.jitter + (nature.net.latency.base + nature.net.latency.jitter) * 2;
    shape.config.raft.election_min = std::max(shape.config.raft.election_min, round * 3);
    shape.config.raft.election_max = shape.config.raft.election_min * 2;
    shape.config.raft.heartbeat = shape.config.raft.election_min / draws.draw_between(3, 6, "heartbeats of an election");
    // Where wall clocks jump, or are far apart, nobody outside can say when an offset has had its time.
    const ClockKnobs& clock = world->knobs().clock;
    const bool clocks_agree = clock.wall_offset_max <= 100_ms && clock.drift_ppm_max <= 1'000 &&
                              std::none_of(scenario.faults.begin(), scenario.faults.end(), [](const Fault& f) { return f.kind == FaultKind::kClockJump; });
    const Duration retention = clocks_agree ? scenario.retention : Duration{};
    if (scenario.members > 0) {
      Stream& groups = world->stream(StreamKind::kKnobs, 3);
      group::Options& set = shape.config.groups;
      set.offsets_partitions = static_cast<int32_t>(groups.draw_between(1, 2, "offsets partitions"));
      set.offsets_replicas = scenario.run == RunKind::kLiveness ? static_cast<int16_t>(scenario.brokers) : int16_t{3};
      set.initial_rebalance_delay = Duration::from_ms(groups.draw_between(0, 400, "first wait"));
      set.session_timeout_min = 500_ms;
      set.commit_timeout = Duration::from_ms(groups.draw_between(500, 5'000, "commit timeout"));
      set.offsets_retention = 315'360'000_s;
      if (retention > Duration{}) {
        Stream& expiry = world->stream(StreamKind::kKnobs, 5);
        set.offsets_retention = retention;
        set.retention_check = Duration::from_ms(expiry.draw_between(100, 1'000, "retention check"));
      }
    }
    GroupProtocol speaks = GroupProtocol::kClassic;
    if (scenario.members > 0) {
      // Half of the groups are classic.
      Stream& protocol = world->stream(StreamKind::kKnobs, 4);
      const uint64_t drawn = protocol.draw(4, "protocol");
      speaks = drawn < 2 ? GroupProtocol::kClassic : drawn == 2 ? GroupProtocol::kConsumer : GroupProtocol::kMixed;
      group::Options& set = shape.config.groups;
      set.consumer_session_timeout = 1_s;
      set.consumer_heartbeat_interval = 200_ms;
      set.consumer_assignment_interval = Duration::from_ms(protocol.draw_between(0, 300, "assignment interval"));
    }
    // In half of the worlds the brokers do not start at the same time. Not where one may go for good before it has founded.
    Stream& starts = world->stream(StreamKind::kKnobs, 11);
    if (starts.hits(1, 2, "one after another") && scenario.run != RunKind::kLiveness)
      for (uint32_t i = 0; i < scenario.brokers; ++i) shape.starts.push_back(Duration::from_ms(static_cast<int64_t>(starts.draw(1'000, "starts after"))));
    // In half of the worlds a follower that lacks much is given it in small pieces.
    Stream& pieces = world->stream(StreamKind::kKnobs, 12);
    const bool small = pieces.hits(1, 2, "small appends");
    const auto entries = static_cast<uint32_t>(pieces.draw_between(1, 8, "entries of an append"));
    if (small) shape.config.raft.append_entries_max = entries;
    SimCluster cluster(*world, shape);
    Nemesis nemesis(*world, cluster.machines(), scenario.faults, {.brokers = scenario.brokers});
    if (scenario.other_shards) {
      // A third of the starts change nothing: a directory is opened as it was left, too.
      nemesis.on_start = [&](uint32_t i) {
        const auto count = std::max(scenario.directories, 1 + static_cast<uint32_t>(world->stream(StreamKind::kKnobs, 6).draw(3, "how many shards")));
        if (count == cluster.shards_of(i)) return;
        cluster.set_shards(i, count);
        ++report.other_shards;
      };
    }
    std::vector<bool> damaged(scenario.brokers);
    for (const Fault& fault : scenario.faults)
      if (Profile::damages(fault.kind) && fault.nodes.front() < scenario.brokers) damaged[fault.nodes.front()] = true;
    const bool prompt = std::none_of(scenario.faults.begin(), scenario.faults.end(), [](const Fault& f) {
      return f.kind == FaultKind::kSlowCpu || f.kind == FaultKind::kLinkSlow;
    });
    WhiteBox inside(cluster, prompt);
    // Retiring takes leaderships away; what else happens needs a while to be over, and some of it waits for its moment.
    const bool changes = std::ranges::any_of(scenario.faults, [](const Fault& f) { return f.kind == FaultKind::kMove || f.kind == FaultKind::kElect; });
    const Duration recovers = shape.config.raft.election_max * 5 + 2_s;
    inside.calm = [&scenario, changes, recovers](const PartitionKey& key, Instant now) {
      return now > Instant{} + 3_s && now < Instant{} + scenario.length && (key == kMetadataPartition || !changes) &&
             std::ranges::none_of(scenario.faults, [&](const Fault& f) {
               const bool harmless = f.kind == FaultKind::kClockJump || f.kind == FaultKind::kClockDrift;
               const bool lasts = Profile::damages(f.kind) || f.kind == FaultKind::kRetire || f.kind == FaultKind::kRestartStorm;
               return !harmless && f.at <= now && (lasts || now < f.at + f.duration + recovers);
             });
    };
    WorkloadOptions load;
    load.operations = scenario.operations;
    load.partitions = scenario.partitions;
    load.spread = scenario.length - 1_s;
    // Where only a random majority of the brokers heals, every partition has to be able to go on with it.
    load.replication_factor = scenario.run == RunKind::kLiveness ? static_cast<int16_t>(scenario.brokers) : int16_t{3};
    load.default_replication = scenario.run != RunKind::kLiveness && world->stream(StreamKind::kKnobs, 10).hits(1, 2, "default replication");
    load.min_insync_replicas = static_cast<int32_t>(draws.draw_between(1, 2, "min insync"));
    load.changes_settings = scenario.settings;
    load.other_topics = scenario.other_topics;
    load.deletes_records = scenario.deletes_records;
    load.alters_topic = scenario.alters_topic;
    load.bursts = scenario.bursts;
    if (draws.hits(1, 4, "retention")) load.topic_configs["retention.bytes"] = std::to_string(draws.draw_between(5'000, 50'000, "retention bytes"));
    // In one run of six the brokers store what comes with another codec than it has.
    Stream& codecs = world->stream(StreamKind::kKnobs, 9);
    const bool forced = codecs.hits(1, 6, "a codec of its own");
    const uint64_t codec = codecs.draw(kTopicCodecs.size() - 1, "which codec");
    if (forced) load.topic_configs["compression.type"] = kTopicCodecs[codec];
    Workload workload(cluster, load);
    Strangers strangers(cluster, workload.history(), {load.topic, load.partitions});
    GroupWorkloadOptions members;
    members.topic = load.topic;
    members.partitions = load.partitions;
    members.members = scenario.members;
    members.protocol = speaks;
    members.trouble = scenario.length - 1_s;
    members.retention = retention;
    members.retention_check = shape.config.groups.retention_check;
    // Commits are refused while one of the replicas is away.
    Stream& strict = world->stream(StreamKind::kKnobs, 7);
    if (scenario.members > 0 && scenario.run == RunKind::kSurvivable && strict.hits(1, 4, "strict offsets"))
      members.min_insync = shape.config.groups.offsets_replicas;
    members.ready = [&workload] { return workload.topic_created(); };
    GroupWorkload group(cluster, members);
    nemesis.on_change = [&](const Fault& fault) {
      if (!workload.topic_created()) return;
      if (fault.kind == FaultKind::kRetire)
        return workload.retire(fault.nodes[0] + 1, fault.amount, [&nemesis] { nemesis.took(FaultKind::kRetire); });
      if (fault.amount < 0 || fault.amount >= load.partitions) return;
      std::vector<uint32_t> brokers;
      for (const uint32_t node : fault.nodes) brokers.push_back(node + 1);
      workload.change(static_cast<int32_t>(fault.amount), brokers, [&nemesis, kind = fault.kind] { nemesis.took(kind); });
    };
    nemesis.leaves = [](const Stop& stop) { return SimCluster::left(stop); };
    // A broker that lost one of its disks goes on without: its operator sees to it soon, or, in half of the runs, when all
    // else has healed.
    const bool repaired = scenario.directories > 1 && world->stream(StreamKind::kKnobs, 8).hits(1, 2, "disks are replaced");
    std::function<void()> operator_looks = [&] {
      const auto failed = [&](uint32_t i) { return cluster.failed_directory(i).has_value(); };
      for (uint32_t i = 0; i < cluster.broker_count(); ++i) report.directories_failed += failed(i) ? 1 : 0;
      if (repaired || nemesis.healed()) nemesis.repair_directories(failed);
      world->after(500_ms, operator_looks);
    };
    if (scenario.directories > 1) world->after(500_ms, operator_looks);
    nemesis.release();
    workload.start();
    if (scenario.members > 0) group.start();
    if (scenario.strangers) strangers.start();

    // How far apart the brokers' wall clocks were, over the whole run: what one wrote another may read later.
    std::optional<std::pair<int64_t, int64_t>> clocks;
    const auto look_at_clocks = [&] {
      for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
        if (!cluster.serving(i)) continue;
        const int64_t ahead = cluster.node(i)->context().runtime().wall_now().ms - world->now().ns / 1'000'000;
        if (!clocks) clocks = {ahead, ahead};
        clocks = {std::min(clocks->first, ahead), std::max(clocks->second, ahead)};
      }
    };
    const auto spread = [&] { return Duration::from_ms(clocks ? clocks->second - clocks->first + 1 : 0); };
    // What an operator gave up may have been acknowledged, and committed.
    bool gave_up = false;
    uint64_t unclean_starts = 0;
    const auto counts = [&](const std::string& violation) { return (scenario.run != RunKind::kAny && !gave_up) || always_false(violation); };
    const auto look = [&] {
      if (retention > Duration{}) look_at_clocks();
      if (report.violation.empty())
        if (const auto violation = inside.check_now(); violation && counts(*violation)) report.violation = *violation;
      if (report.violation.empty() && world->failure()) report.violation = *world->failure();
      return report.violation.empty();
    };
    const auto go = [&](Duration time) {
      const Instant end = world->now() + time;
      while (world->now() < end && look()) world->run_for(50_ms);
    };
    go(scenario.length);
    if (scenario.run == RunKind::kAny) {
      // With no majority of sound disks nothing has to come right; but what is said still has to be true.
      go(10_s);
      workload.stop_readers();
      strangers.stop();
      const bool read = look() && !workload.read_finally(20_s);
      report.all_violations = inside.check_settled(std::vector<bool>(scenario.brokers), [](uint32_t) { return false; });
      for (std::string& v : workload.history().check(read)) report.all_violations.push_back(std::move(v));
      std::erase_if(report.all_violations, [&](const std::string& v) { return !counts(v); });
      if (report.violation.empty() && !report.all_violations.empty()) report.violation = report.all_violations.front();
      look();
    } else {
      // Healed: from here on everything has to come right.
      const Instant limit = world->now() + 60_s + scenario.length;
      const auto given_up = [&](uint32_t i) { return damaged[i] && !cluster.serving(i) && refuses(*world, cluster.broker(i)); };
      // A cluster that is not founded yet waits for all of its founders: the disk of one that refuses to start is emptied.
      const auto founded = [&] {
        for (uint32_t i = 0; i < cluster.broker_count(); ++i)
          if (cluster.serving(i)) return true;
        return false;
      };
      std::vector<bool> emptied(cluster.broker_count());
      while (look() && !workload.writers_done() && world->now() < limit) {
        world->run_for(100_ms);
        for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
          if (emptied[i] || founded() || !given_up(i)) continue;
          emptied[i] = true;
          world->wipe(cluster.broker(i));
          world->restart(cluster.broker(i));
          ++report.refused;
        }
      }
      // An operator has these go on without what the disks of others held. Without a controller nobody serves, and nobody can
      // be asked: then the brokers are told when they start. What was wrong if they do not come right.
      const auto go_without = [&](const std::vector<NodeId>& nodes) {
        const auto is_in = [&](uint32_t i) { return std::ranges::count(nodes, cluster.broker(i)) > 0; };
        std::optional<std::string> why = cluster.await_settled(30_s, nodes);
        for (int times = 0; times < 4 && why && look(); ++times) {
          bool serving = true;
          for (uint32_t i = 0; i < cluster.broker_count(); ++i) serving = serving && (!is_in(i) || cluster.serving(i));
          if (serving) workload.go_without();
          else ++unclean_starts;
          for (uint32_t i = 0; i < cluster.broker_count() && !serving; ++i) {
            if (!is_in(i)) continue;
            cluster.set_unclean(i, true);
            world->kill(cluster.broker(i));
            world->restart(cluster.broker(i));
          }
          why = cluster.await_settled(30_s, nodes);
        }
        for (uint32_t i = 0; i < cluster.broker_count(); ++i) cluster.set_unclean(i, false);
        return why;
      };
      const auto all_well = [&] {
        bool well = cluster.broker_count() == 3 && nemesis.core().size() == 3 && scenario.directories == 1 && scenario.drawn_world;
        for (uint32_t i = 0; i < cluster.broker_count(); ++i) well = well && cluster.serving(i) && !cluster.left(i) && !damaged[i];
        return well;
      };
      // A topic that was not made before a broker went for good cannot be made any more: nothing was asked then.
      size_t fit = nemesis.core().size();
      for (uint32_t i = 0; i < cluster.broker_count(); ++i)
        fit -= given_up(i) && std::ranges::count(nemesis.core(), cluster.broker(i)) > 0 ? 1 : 0;
      const bool idle = !workload.topic_created() && fit < static_cast<size_t>(load.replication_factor);
      // Nor can anything be written any more where too few are left.
      bool waits = fit <= static_cast<size_t>(load.replication_factor) / 2;
      // Nor is a cluster founded without one of those that found it.
      const auto serves = [&](NodeId broker) {
        for (uint32_t i = 0; i < cluster.broker_count(); ++i)
          if (cluster.broker(i) == broker) return cluster.serving(i);
        return false;
      };
      waits = waits || (idle && nemesis.core().size() < cluster.broker_count() && std::ranges::none_of(nemesis.core(), serves));
      // Nor where a group's last words were torn on one disk, and it lost another for good.
      const auto waits_for_operator = [&](const std::vector<NodeId>& core) {
        return core.size() < cluster.broker_count() && scenario.faults.back().amount != 0 && waits_for_others(cluster, core);
      };
      if (!workload.writers_done()) waits = waits || waits_for_operator(nemesis.core());
      if (waits) ++report.waiting;
      if (report.violation.empty() && !workload.writers_done() && !idle && !waits) report.violation = "liveness: writers did not come to an end";
      if (report.violation.empty() && !waits) {
        std::vector<NodeId> core = nemesis.core();
        // Half of the runs lose power everywhere once more: what has come right is on the disks.
        if (world->stream(StreamKind::kKnobs, 13).hits(1, 2, "power goes in the end") && scenario.drawn_world) {
          for (const NodeId broker : core) world->power_cut(broker);
          for (const NodeId broker : core) world->restart(broker);
        }
        auto why = cluster.await_settled(30_s, core);
        // A broker whose identity is gone, with its copy, refuses to start, and says so: its operator empties the disk and
        // lets it join as new. The others have to settle without it, but whoever waited for its word is told.
        for (uint32_t i = 0; why && i < cluster.broker_count(); ++i) {
          if (!given_up(i)) continue;
          std::erase(core, cluster.broker(i));
          world->wipe(cluster.broker(i));
          world->restart(cluster.broker(i));
          ++report.refused;
          why = cluster.await_settled(30_s, core);
        }
        // Nor does one of several data directories come back that cannot even be asked whose it is: its disk is replaced.
        for (uint32_t i = 0; i < cluster.broker_count(); ++i) {
          for (uint32_t d = 0; why && damaged[i] && d < world->disk_count(cluster.broker(i)); ++d) {
            // Its operator may have started it again just now.
            for (int k = 0; k < 50 && !cluster.serving(i); ++k) world->run_for(100_ms);
            const auto directory = cluster.failed_directory(i);
            if (!directory) break;
            world->wipe(cluster.broker(i), *directory);
            world->restart(cluster.broker(i));
            ++report.refused;
            why = cluster.await_settled(30_s, core);
          }
        }
        waits = why && waits_for_operator(nemesis.core());
        if (waits) ++report.waiting;
        if (why && !waits) report.violation = "liveness: " + *why;
      }
      // The operator does not wait: what is gone is given up, and everything comes right.
      if (report.violation.empty() && !world->failure() && !idle && fit > static_cast<size_t>(load.replication_factor) / 2 &&
          waits_for_operator(nemesis.core())) {
        waits = gave_up = true;
        const auto why = go_without(nemesis.core());
        if (why) report.violation = "liveness: without what an operator gave up: " + *why;
      }
      // Likewise a topic of offsets.
      const bool grouped = scenario.members > 0 && !idle && !waits && group.can_finish(nemesis.core().size(), shape.config.groups.offsets_replicas);
      if (report.violation.empty() && grouped)
        if (const auto why = group.finish(60_s)) report.violation = "liveness: " + *why;
      look();
      if (report.violation.empty() && grouped && retention > Duration{})
        if (const auto why = group.await_expiry(spread())) report.violation = "I-G6 expiry: " + *why;
      const Duration scrubbed = shape.config.scrub_round * 2 + shape.config.housekeeping_interval * 2 + 2_s;
      if (report.violation.empty() && !waits && scrubbed <= 20_s && std::ranges::count(damaged, true) > 0) {
        go(scrubbed);
        if (auto v = inside.check_scrubbed(damaged); v && report.violation.empty()) report.violation = std::move(*v);
      }
      // At last more than is promised: of three brokers one loses the ends of its logs, and another stays away, so that nobody
      // can say that the third one holds all there was. It takes an operator to say so.
      Stream& whose = world->stream(StreamKind::kKnobs, 16);
      const auto victim = static_cast<uint32_t>(whose.draw(3, "whose logs"));
      const auto away = (victim + 1 + static_cast<uint32_t>(whose.draw(2, "who stays away"))) % 3;
      const uint32_t third = 3 - victim - away;
      const bool asked_operator = whose.hits(1, 4, "an operator has to say so") && report.violation.empty() && !waits && !idle && all_well();
      if (asked_operator) {
        const std::vector<NodeId> left{cluster.broker(victim), cluster.broker(third)};
        gave_up = damaged[victim] = true;
        world->power_cut(cluster.broker(away));
        world->power_cut(left[1]);
        cut_power_and_rot_ends(cluster, *world, victim);
        for (const NodeId node : left) world->restart(node);
        auto why = go_without(left);
        world->restart(cluster.broker(away));
        if (!why) why = cluster.await_settled(30_s, nemesis.core());
        if (why && report.violation.empty()) report.violation = "liveness: by an operator's word: " + *why;
      }
      workload.stop_readers();
      strangers.stop();
      for (int i = 0; i < 100 && look() && !(workload.readers_done() && strangers.gone()); ++i) world->run_for(100_ms);
      std::optional<std::string> unread;
      if (report.violation.empty() && !idle && !waits) {
        unread = workload.read_finally(120_s);
        if (unread) report.violation = "liveness: " + *unread;
      }
      if (report.violation.empty()) {
        report.all_violations = inside.check_settled(damaged, [&](uint32_t i) { return refuses(*world, cluster.broker(i)); });
        for (std::string& v : workload.history().check(/*complete=*/!waits)) report.all_violations.push_back(std::move(v));
        // A broker that is cut off for good still tells what it knows.
        if (scenario.run == RunKind::kSurvivable && !workload.lost_setting().empty()) report.all_violations.push_back(workload.lost_setting());
        group.expect_expiry(spread());
        for (std::string& v : group.history().check()) report.all_violations.push_back(std::move(v));
        if (!strangers.told_wrong().empty()) report.all_violations.push_back(strangers.told_wrong());
        if (!group.false_count().empty()) report.all_violations.push_back(group.false_count());
        if (scenario.members > 0) {
          GroupReplicas replicas = check_group_replicas(cluster, retention);
          for (std::string& v : replicas.violations) report.all_violations.push_back(std::move(v));
          report.expired = replicas.expired;
        }
        // A connection whose end nobody was told of, or is still on its way over a slow link, stands for a while. So does one of
        // a group that was not asked to come to an end.
        const bool told = std::none_of(scenario.faults.begin(), scenario.faults.end(), [](const Fault& f) {
          return f.kind == FaultKind::kHalfOpen || f.kind == FaultKind::kConnReset || (f.kind == FaultKind::kHealCore && f.amount != 0);
        });
        if (told && prompt && !idle && !waits && !asked_operator && (grouped || scenario.members == 0))
          if (auto v = inside.check_left_behind()) report.all_violations.push_back(std::move(*v));
        std::erase_if(report.all_violations, [&](const std::string& v) { return !counts(v); });
        if (!report.all_violations.empty()) report.violation = report.all_violations.front();
        look();
      }
    }
    // What a disk swore to and did not do is found by what was written behind it; if nothing was, nobody can know.
    if (inside.lied_unnoticed() && !report.violation.empty() && !world->failure() && !always_false(report.violation)) {
      ++report.lies;
      std::erase_if(report.all_violations, [](const std::string& v) { return !always_false(v); });
      report.violation = report.all_violations.empty() ? std::string() : report.all_violations.front();
    }
    report.sent = workload.history().sends().size();
    report.acked = workload.history().count(History::Outcome::kAcked);
    report.generations = group.history().generations();
    report.commits = group.history().commits(GroupHistory::Outcome::kStored);
    report.elections = inside.elections();
    report.truncations = inside.truncations();
    report.repairs = inside.repairs();
    for (uint32_t i = 0; i < cluster.broker_count(); ++i)
      report.recoveries += world->incarnation(cluster.broker(i)) - 1;
    for (size_t k = 0; k < kFaultKinds; ++k) {
      const auto kind = static_cast<FaultKind>(k);
      if (const uint64_t n = nemesis.took_effect(kind)) report.faults[std::string(fault_kind_name(kind))] = n;
    }
    report.asides = {{"quotas set", workload.quotas_set()},
                     {"operator's word", workload.gone_without() + unclean_starts},
                     {"records deleted", workload.deletions()},
                     {"counts told", group.counts_told()},
                     {"sessions by hand", strangers.sessions()},
                     {"greetings refused", strangers.refusals()},
                     {"connections left unread", strangers.unread()}};
    for (const Stop& stop : world->stops()) report.stops.push_back(fmt::format("{}: {}", world->name(stop.node), stop.why));
  }
  report.hash = world->hash();
  report.events = world->events();
  report.simulated = world->now() - Instant{};
  report.checkpoints = world->trace().checkpoints();
  report.watched = world->trace().watched();
  if (options.time_line) report.time_line = world->trace().story();
  return report;
}

}  // namespace taffrail::sim
