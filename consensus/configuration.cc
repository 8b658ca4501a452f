#include "consensus/configuration.h"

#include <fmt/core.h>

#include <algorithm>

namespace taffrail {

namespace {

constexpr uint8_t kFormat = 2;
constexpr uint8_t kFormatWithoutRevision = 1;
constexpr size_t kReplicaBytes = 4 + 16;
// Far above any real group; what keeps a damaged count from asking for memory.
constexpr uint16_t kMaxReplicas = 1024;

bool holds(const std::vector<ReplicaId>& sorted, const ReplicaId& replica) {
  return std::binary_search(sorted.begin(), sorted.end(), replica);
}

bool strictly_ascending(const std::vector<ReplicaId>& replicas) {
  return std::adjacent_find(replicas.begin(), replicas.end(), [](const auto& a, const auto& b) {
           return !(a < b);
         }) == replicas.end();
}

void write_replicas(ByteWriter& out, const std::vector<ReplicaId>& replicas) {
  out.u16(static_cast<uint16_t>(replicas.size()));
  for (const ReplicaId& replica : replicas) write_replica(out, replica);
}

std::vector<ReplicaId> read_replicas(ByteReader& in) {
  std::vector<ReplicaId> replicas;
  const uint16_t count = in.u16();
  if (count > kMaxReplicas || in.left() < count * kReplicaBytes) {
    in.bytes(in.left() + 1);  // Not ok from here on.
    return replicas;
  }
  replicas.reserve(count);
  for (uint16_t i = 0; i < count; ++i) replicas.push_back(read_replica(in));
  return replicas;
}

void add_text(std::string& text, const char* before, const std::vector<ReplicaId>& replicas) {
  if (replicas.empty()) return;
  text += before;
  for (size_t i = 0; i < replicas.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ",", replicas[i].node.value);
  }
}

}  // namespace

bool Configuration::is_voter(const ReplicaId& replica) const {
  return holds(voters, replica) || holds(old_voters, replica);
}

bool Configuration::is_learner(const ReplicaId& replica) const {
  return holds(learners, replica) && !is_voter(replica);
}

std::vector<ReplicaId> Configuration::members() const {
  std::vector<ReplicaId> all = voters;
  all.insert(all.end(), old_voters.begin(), old_voters.end());
  all.insert(all.end(), learners.begin(), learners.end());
  return sorted_replicas(std::move(all));
}

std::string Configuration::text() const {
  std::string text;
  add_text(text, "", voters);
  add_text(text, " old ", old_voters);
  add_text(text, " learners ", learners);
  if (revision != 0) text += fmt::format(" revision {}", revision);
  return text;
}

std::vector<ReplicaId> sorted_replicas(std::vector<ReplicaId> replicas) {
  std::sort(replicas.begin(), replicas.end());
  replicas.erase(std::unique(replicas.begin(), replicas.end()), replicas.end());
  return replicas;
}

bool well_formed(const Configuration& configuration) {
  const auto& [voters, old_voters, learners, revision] = configuration;
  if (revision < 0 || voters.empty() || !strictly_ascending(voters) || !strictly_ascending(old_voters) ||
      !strictly_ascending(learners)) {
    return false;
  }
  return std::none_of(learners.begin(), learners.end(),
                      [&](const ReplicaId& learner) { return holds(voters, learner); });
}

void write_replica(ByteWriter& out, const ReplicaId& replica) {
  out.i32(replica.node.value);
  out.u64(replica.disk.high);
  out.u64(replica.disk.low);
}

ReplicaId read_replica(ByteReader& in) {
  ReplicaId replica;
  replica.node = BrokerId(in.i32());
  replica.disk.high = in.u64();
  replica.disk.low = in.u64();
  return replica;
}

void write_configuration(ByteWriter& out, const Configuration& configuration) {
  out.u8(kFormat);
  out.i64(configuration.revision);
  write_replicas(out, configuration.voters);
  write_replicas(out, configuration.old_voters);
  write_replicas(out, configuration.learners);
}

Result<Configuration> read_configuration(ByteReader& in) {
  const uint8_t format = in.u8();
  if (in.ok() && format != kFormat && format != kFormatWithoutRevision) {
    return fail(Errc::kUnsupported, fmt::format("membership format {}", format));
  }
  Configuration configuration;
  if (format == kFormat) configuration.revision = in.i64();
  configuration.voters = read_replicas(in);
  configuration.old_voters = read_replicas(in);
  configuration.learners = read_replicas(in);
  if (!in.ok()) return fail(Errc::kCorrupt, "membership cut short");
  if (!well_formed(configuration)) {
    return fail(Errc::kCorrupt, fmt::format("membership makes no sense: {}", configuration.text()));
  }
  return configuration;
}

Slice encode_configuration(const Configuration& configuration) {
  ByteWriter out;
  write_configuration(out, configuration);
  return Slice(out.view());
}

Result<Configuration> decode_configuration(ByteView bytes) {
  ByteReader in(bytes);
  Configuration configuration = TRY(read_configuration(in));
  if (!in.done()) return fail(Errc::kCorrupt, "bytes behind a membership");
  return configuration;
}

}  // namespace taffrail
