#include "sim/checkers/white_box.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/crc32c.h"
#include "broker/identity.h"
#include "broker/shard.h"
#include "consensus/driver.h"
#include "controller/controller.h"
#include "partition/producers.h"
#include "record/batch.h"
#include "storage/store.h"
#include "storage/wal_format.h"

namespace taffrail::sim {

WhiteBox::WhiteBox(SimCluster& cluster, bool prompt) : cluster_(cluster), prompt_(prompt) {
  cluster_.on_step = [this](const PartitionKey& key, const RaftSent* sent) { look(key, sent); };
}

WhiteBox::~WhiteBox() { cluster_.on_step = nullptr; }

namespace {

struct OnMedium {
  std::optional<WalFrame> frame;  // A good frame of the log, whole.
  std::string payload;
  bool harmed = false;  // By a fault of the disk: what is missing there says nothing about who wrote it.
};

OnMedium durable_frame(SimDisk& disk, const Log::Place& place, const WalOwner& owner) {
  OnMedium found;
  if (place.segment == 0) return found;
  const Result<InodeRef> file = disk.image().find(place.file);
  if (!file) return found;
  const std::string head = (*file)->read_durable(place.offset, kWalFrameHeaderSize);
  const auto header = parse_wal_frame_header(owner, place.segment, as_bytes(head));
  found.harmed = (*file)->harmed(place.offset, kWalFrameHeaderSize + (header ? header->payload_size : 0));
  if (!header) return found;
  found.payload = (*file)->read_durable(place.offset + kWalFrameHeaderSize, header->payload_size);
  if (found.payload.size() == header->payload_size && crc32c(as_bytes(found.payload)) == header->frame.payload_crc)
    found.frame = header->frame;
  return found;
}

bool never_lied(const SimDisk& disk) { return disk.faults().lost_writes + disk.faults().misdirected_writes == 0; }

bool unharmed(const SimDisk& disk) {
  const DiskFaultStats& faults = disk.faults();
  return never_lied(disk) && faults.rotten_pages + faults.spoiled_pages + faults.failed_reads + faults.taken_files == 0;
}

bool could_not_restore(const SimDisk& disk) {
  const DiskFaultStats& faults = disk.faults();
  return faults.taken_files > 0 && faults.failed_syncs + faults.failed_writes + faults.full > 0;
}

}  // namespace

std::optional<std::string> WhiteBox::check_partition(uint32_t broker, Partition& partition) {
  const ReadView view = partition.view();
  // What damage took may reach beyond where reading starts; it comes back from the leader.
  if (view.log_end < view.log_start && !partition.is_leader() && !unharmed(disk_of(broker, partition.key()))) return std::nullopt;
  const auto where = [&] { return fmt::format("broker {} {}-{}", broker + 1, partition.topic_name(), partition.key().partition); };
  if (view.log_start > view.last_stable || view.last_stable > view.high_watermark || view.high_watermark > view.log_end)
    return fmt::format("I-D5 order: {}: start {}, stable {}, watermark {}, end {}", where(), view.log_start.value,
                       view.last_stable.value, view.high_watermark.value, view.log_end.value);
  return std::nullopt;
}

SimDisk& WhiteBox::disk_of(uint32_t broker, const PartitionKey& key) const {
  World& world = cluster_.world();
  const NodeId node = cluster_.broker(broker);
  return world.disk(node, directory_of(key, world.disk_count(node)));
}

WalOwner WhiteBox::owner_of(uint32_t broker, const RaftGroup& replica) const {
  const NodeShape shape = cluster_.node(broker)->shards().front()->runtime().shape();
  return {replica.raft().self().disk, shard_of(replica.key(), shape).value};
}

bool WhiteBox::is_durable(uint32_t broker, const RaftGroup& replica, LogIndex index, Group& group) {
  const Raft& raft = replica.raft();
  // A claim about an entry that was cut is no claim about what stands there now.
  if (index > raft.log().last().index) return false;
  // What is durable is claimed and acknowledged in one breath: the second look would see the same.
  const std::pair now(cluster_.world().incarnation(cluster_.broker(broker)), EntryId{index, raft.log().term_at(index).value_or(Term(-1))});
  auto& looked_at = group.on_medium[raft.self()];
  if (looked_at == now) return true;
  const auto place = replica.log().place_of(index);
  if (!place) return true;  // In a segment, or below the start: not looked at.
  const OnMedium found = durable_frame(disk_of(broker, replica.key()), *place, owner_of(broker, replica));
  if (found.harmed) return true;
  if (!found.frame || found.frame->kind != FrameKind::kEntry || found.frame->meta.id() != raft.log().at(index)) return false;
  const auto [same, fresh] = group.payloads.emplace(found.frame->meta.id(), found.frame->payload_crc);
  if (same->second != found.frame->payload_crc && !seen_)
    seen_ = fmt::format("I-R2 entry identity: entry {} of term {} is another one on broker {} than elsewhere ({})", index.value,
                        found.frame->meta.term.value, broker + 1, replica.key().text());
  looked_at = now;
  return true;
}

bool WhiteBox::is_durable(uint32_t broker, const RaftGroup& replica, const HardState& wanted) const {
  SimDisk& disk = disk_of(broker, replica.key());
  const auto [own, whole] = replica.log().places_of_hard_state();
  const OnMedium one = durable_frame(disk, own, owner_of(broker, replica));
  if (one.frame)
    if (const auto state = decode_hard_state(as_bytes(one.payload)); state && *state == wanted) return true;
  const OnMedium all = durable_frame(disk, whole, owner_of(broker, replica));
  if (all.frame)
    if (const auto state = decode_log_state(as_bytes(all.payload)); state && state->hard == wanted) return true;
  return one.harmed || all.harmed;
}

// What a replica made durable, and what it told others, is still there when it comes back; or it is in doubt, and
// says so. I-R9 for entries, I-R7 for terms and votes.
std::optional<std::string> WhiteBox::check_restarted(Group& group, const PartitionKey& key, const ReplicaView& view, EntryId claimed) {
  const auto broker = static_cast<uint32_t>(view.id.node.value) - 1;
  const Raft& raft = *view.raft;
  const bool held = claimed.index <= raft.commit() || raft.log().contains(claimed);
  // Nobody can know of a sync that the disk only pretended to do, if it was the last one before the crash.
  if (!never_lied(disk_of(broker, key))) {
    const auto promised = group.promised.find(view.id);
    const bool kept = promised == group.promised.end() || raft.vote_doubtful() || raft.term() > promised->second.term ||
                      (raft.term() == promised->second.term && (!promised->second.vote || raft.vote() == promised->second.vote));
    if ((!held && !raft.possibly_longer()) || !kept) lied_unnoticed_ = true;
    return std::nullopt;
  }
  if (!held && !raft.possibly_longer())
    return fmt::format("I-R9 durability watermark: broker {} held entry {} of term {} on its disk, starts without it, and is not in doubt",
                       broker + 1, claimed.index.value, claimed.term.value);
  // Out of the doubt it comes with a vote for itself, which nobody has asked it for.
  if (raft.vote_doubtful()) group.promised.erase(view.id);
  const auto promised = group.promised.find(view.id);
  if (promised == group.promised.end()) return std::nullopt;
  const auto& [term, vote] = promised->second;
  if (raft.term() < term || (raft.term() == term && vote && raft.vote() != vote))
    return fmt::format("I-R7 monotonic durables: broker {} spoke in term {}, starts with another vote or an older term, {}, "
                       "and is not in doubt", broker + 1, term.value, raft.term().value);
  return std::nullopt;
}

// I-S1: what storage says is to be read at some place stands there.
std::optional<std::string> WhiteBox::check_placed(Group& group, const PartitionKey& key, const ReplicaView& view) {
  const LogIndex last = view.raft->log().last().index;
  if (last <= view.raft->durable()) return std::nullopt;  // Looked at as such.
  const auto broker = static_cast<uint32_t>(view.id.node.value) - 1;
  const RaftGroup* replica = cluster_.node(broker)->find_group(key);
  const auto place = replica->log().place_of(last);
  if (!place || place->segment == 0 || is_durable(broker, *replica, last, group)) return std::nullopt;
  return fmt::format("I-S1 read-back: broker {} would read entry {} from {} at {}, where it does not stand", broker + 1, last.value,
                     place->file, place->offset);
}

// I-R9: what a replica counts as durable of its own log is on the medium.
std::optional<std::string> WhiteBox::check_claims(Group& group, const PartitionKey& key) {
  for (const ReplicaView& view : views_) {
    if (auto violation = check_placed(group, key, view)) return violation;
    const LogIndex durable = view.raft->durable();
    const LogIndex end = std::min(durable, view.raft->log().last().index);
    const EntryId claim = durable > end || end < view.raft->log().first() ? EntryId{durable, {}} : view.raft->log().at(end);
    auto& [incarnation, claimed] = group.claimed[view.id];
    if (incarnation == view.incarnation && claimed == claim) continue;
    if (incarnation != 0 && incarnation != view.incarnation)
      if (auto violation = check_restarted(group, key, view, claimed)) return violation;
    incarnation = view.incarnation;
    claimed = claim;
    const auto broker = static_cast<uint32_t>(view.id.node.value) - 1;
    if (durable < view.raft->log().first()) continue;
    const RaftGroup* replica = cluster_.node(broker)->find_group(key);
    if (!is_durable(broker, *replica, durable, group))
      return fmt::format("I-R9 durability watermark: broker {} counts entry {} as durable, its disk does not hold it",
                         broker + 1, durable.value);
  }
  return std::nullopt;
}

// I-R1: a vote is durable before it leaves. I-R9: so is what is acknowledged.
std::optional<std::string> WhiteBox::check_sent(Group& group, const PartitionKey& key, const RaftSent& sent) {
  if (const auto violation = group.checker.on_sent(sent.from, sent.to, sent.message, views_)) return violation;
  const auto broker = static_cast<uint32_t>(sent.from.node.value) - 1;
  taffrail::Node* node = broker < cluster_.broker_count() ? cluster_.node(broker) : nullptr;
  const RaftGroup* replica = node == nullptr ? nullptr : node->find_group(key);
  if (replica == nullptr || replica->raft().self() != sent.from) return std::nullopt;
  std::optional<HardState> vote;
  if (const auto* reply = std::get_if<VoteReply>(&sent.message); reply && reply->granted && !reply->pre)
    vote = HardState{reply->term, sent.to};
  if (const auto* request = std::get_if<VoteRequest>(&sent.message); request && !request->pre)
    vote = HardState{request->term, sent.from};
  // What it held before it was sent away is gone: until its log says that it came back, its vote may elect who lacks that.
  const auto* said = std::get_if<VoteReply>(&sent.message);
  const bool elects = (said != nullptr && said->granted) || std::holds_alternative<VoteRequest>(sent.message);
  if (const Raft& raft = replica->raft(); elects && raft.options().joined > raft.configuration().revision)
    return fmt::format("I-R11 voters only: broker {} has a say in an election, and its log does not say yet that it came back", broker + 1);
  HardState& promised = group.promised[sent.from];
  if (vote) {
    if (!is_durable(broker, *replica, *vote))
      return fmt::format("I-R1 election safety: the vote of broker {} in term {} left before it was durable", broker + 1, vote->term.value);
    if (vote->term >= promised.term) promised = *vote;
  }
  if (const auto* reply = std::get_if<AppendReply>(&sent.message); reply && reply->ok && reply->term > promised.term)
    promised = {reply->term, std::nullopt};
  if (const auto* reply = std::get_if<AppendReply>(&sent.message); reply && reply->ok)
    if (reply->match >= replica->raft().log().first() && !is_durable(broker, *replica, reply->match, group))
      return fmt::format("I-R9 durability watermark: broker {} acknowledges entry {}, its disk does not hold it", broker + 1, reply->match.value);
  return std::nullopt;
}

void WhiteBox::look(const PartitionKey& key, const RaftSent* sent) {
  if (seen_) return;
  if (sent != nullptr && std::holds_alternative<AppendRequest>(sent->message)) return;  // It claims nothing.
  views_.clear();
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    taffrail::Node* node = cluster_.node(i);
    RaftGroup* group = node == nullptr ? nullptr : node->find_group(key);
    if (group == nullptr) continue;
    views_.push_back({group->raft().self(), cluster_.world().incarnation(cluster_.broker(i)), &group->raft(), nullptr, nullptr});
  }
  Group& group = groups_[key];
  for (const ReplicaView& view : views_) {
    const int64_t stay = view.raft->options().joined;
    const auto [known, fresh] = group.joined.emplace(view.id, stay);
    if (known->second == stay) continue;
    known->second = stay;
    group.checker.forget(view.id);
    group.claimed.erase(view.id);
    group.on_medium.erase(view.id);
    group.promised.erase(view.id);
    group.last.erase(view.id.node);
  }
  if (sent != nullptr) {
    if (const auto violation = check_sent(group, key, *sent)) seen_ = fmt::format("{} ({})", *violation, key.text());
    return;
  }
  if (const auto violation = check_claims(group, key)) {
    seen_ = fmt::format("{} ({})", *violation, key.text());
    return;
  }
  if (auto violation = group.checker.check(views_)) {
    seen_ = fmt::format("{} ({})", *violation, key.text());
    return;
  }
  for (const ReplicaView& view : views_) {
    if (view.raft->role() == Role::kLeader && group.leaders.emplace(view.raft->term(), view.id.node).second && group.leaders.size() > 1) {
      ++elections_;
      if (calm && calm(key, cluster_.world().now()))
        seen_ = fmt::format("I-K1 clocks: broker {} came to lead {} in term {}, and nothing had happened to the leader before it",
                            view.id.node.value, key.text(), view.raft->term().value);
    }
    auto& [incarnation, end] = group.last[view.id.node];
    const LogView& log = view.raft->log();
    if (incarnation == view.incarnation && end.index > log.prefix().index && !log.contains(end)) ++truncations_;
    incarnation = view.incarnation;
    end = log.last();
  }
}

// I-S8, the other way round: what no fault has touched is not called damaged. A log that contradicts itself costs
// its replica the vote until others have answered, and somebody wrote it so.
std::optional<std::string> WhiteBox::check_recovery(uint32_t broker) {
  for (BrokerShard* shard : cluster_.node(broker)->shards()) {
    if (!unharmed(cluster_.world().disk(cluster_.broker(broker), shard->runtime().directory()))) continue;
    if (shard->store() == nullptr || shard->store()->recovery().damage.empty()) continue;
    return fmt::format("I-S8 corruption contained: broker {} found damage on a disk that nothing has damaged: {}", broker + 1,
                       shard->store()->recovery().damage.front().text());
  }
  return std::nullopt;
}

// I-S10: a data directory that fails, and is not the first, stops its own replicas and nobody else's: soon, for what they
// promise is not kept.
std::optional<std::string> WhiteBox::check_directories(uint32_t broker) {
  World& world = cluster_.world();
  const NodeId me = cluster_.broker(broker);
  if (world.disk_count(me) == 1) return std::nullopt;
  for (; stops_seen_ < world.stops().size(); ++stops_seen_) {
    const Stop& stop = world.stops()[stops_seen_];
    constexpr std::string_view kStorage = "storage of shard-";
    uint32_t shard = 0;
    if (!stop.why.starts_with(kStorage)) continue;
    std::from_chars(stop.why.data() + kStorage.size(), stop.why.data() + stop.why.size(), shard);
    if (const uint32_t directory = shard % world.disk_count(stop.node); directory != 0)
      return fmt::format("I-S10 a disk fails alone: {} stops altogether because its data directory {} failed", world.name(stop.node), directory + 1);
  }
  constexpr Duration kAllowed = 5_s;
  for (BrokerShard* shard : cluster_.node(broker)->shards()) {
    const auto key = std::pair(broker, shard->runtime().shard().value);
    if (shard->directory_failure().empty() || shard->partitions().empty() || world.paused(me)) {
      failing_.erase(key);
      continue;
    }
    const Instant since = failing_.try_emplace(key, world.now()).first->second;
    if (prompt_ && world.now() > since + kAllowed)
      return fmt::format("I-S10 a disk fails alone: broker {} has kept {} replicas on a directory that failed {} ms ago ({})", broker + 1,
                         shard->partitions().size(), (world.now() - since).ms(), shard->directory_failure());
  }
  return std::nullopt;
}

// I-L3: whoever is cut off from a quorum, and not busy with anything else, stops leading in time: two of its election
// timeouts, and what was under way to it.
std::optional<std::string> WhiteBox::check_lonely(uint32_t broker) {
  if (!prompt_) return std::nullopt;
  World& world = cluster_.world();
  const NodeId me = cluster_.broker(broker);
  const auto reaches = [&](uint32_t other) {
    const NodeId it = cluster_.broker(other);
    return world.up(it) && !world.net().blocked(me.value, it.value) && !world.net().blocked(it.value, me.value);
  };
  uint32_t reached = 0;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) reached += i == broker || reaches(i) ? 1 : 0;
  // Fewer than any quorum: groups may have fewer members than there are brokers, never more.
  if (reached >= 2 || world.paused(me)) {
    cut_off_.erase(broker);
    return std::nullopt;
  }
  const uint64_t incarnation = world.incarnation(me);
  auto& [seen, since] = cut_off_.try_emplace(broker, incarnation, world.now()).first->second;
  if (seen != incarnation) std::tie(seen, since) = std::pair(incarnation, world.now());
  for (const Partition* partition : cluster_.node(broker)->partitions()) {
    const RaftGroup* group = partition->group();
    if (group == nullptr || group->raft().role() != Role::kLeader) continue;
    const Delay& latency = world.knobs().net.latency;
    const Duration allowed = group->raft().options().election_timeout_max * 2 + (latency.base + latency.jitter) * 4 + 1_s;
    if (world.now() > since + allowed)
      return fmt::format("I-L3 a lonely leader: broker {} reaches nobody since {} ms and still leads {}", broker + 1,
                         (world.now() - since).ms(), partition->key().text());
  }
  return std::nullopt;
}

// I-M5: who votes in group 0 is registered, if it ever was. I-M6: clients are told of most of the registered brokers, for
// whoever hears of fewer is itself the one that is cut off.
std::optional<std::string> WhiteBox::check_names(uint32_t broker) {
  if (!cluster_.serving(broker)) return std::nullopt;
  BrokerContext& context = cluster_.node(broker)->context();
  const std::map<BrokerId, BrokerRecord>& registered = context.controller().image().brokers();
  const RaftGroup* metadata = cluster_.node(broker)->find_group(kMetadataPartition);
  if (metadata == nullptr) return std::nullopt;  // It is about to stop.
  auto& [incarnation, seen] = registered_[broker];
  if (const uint64_t now = cluster_.world().incarnation(cluster_.broker(broker)); std::exchange(incarnation, now) != now) seen.clear();
  for (const auto& [id, record] : registered) seen.insert(id);
  for (const ReplicaId& voter : metadata->configuration().voters)
    if (seen.contains(voter.node) && !registered.contains(voter.node))
      return fmt::format("I-M5 voters registered: broker {} knows of broker {} as a voter of group 0 that was unregistered", broker + 1, voter.node.value);
  if (const size_t told = context.alive_brokers().size(); told * 2 <= registered.size())
    return fmt::format("I-M6 who is there: broker {} tells clients of {} of {} brokers", broker + 1, told, registered.size());
  return std::nullopt;
}

// How many replicas in sync could lead now: their brokers run, the two hear each other, and their disks are well.
std::ptrdiff_t WhiteBox::successors(uint32_t broker, const Partition& partition) const {
  World& world = cluster_.world();
  const NodeId me = cluster_.broker(broker);
  const std::vector<BrokerId> in_sync = partition.in_sync();
  return std::ranges::count_if(partition.group()->members(), [&](const RaftGroup::MemberView& member) {
    const auto other = static_cast<uint32_t>(member.replica.node.value) - 1;
    if (!member.voter || other == broker || other >= cluster_.broker_count() || !cluster_.serving(other)) return false;
    const NodeId it = cluster_.broker(other);
    if (std::ranges::count(in_sync, member.replica.node) == 0 || world.paused(it)) return false;
    if (world.net().blocked(me.value, it.value) || world.net().blocked(it.value, me.value)) return false;
    const Partition* replica = cluster_.node(other)->find_partition(partition.key());
    return replica != nullptr && !replica->log().disk_full() && !replica->log().disk_slow();
  });
}

// I-S11: a leader whose disk is full takes no more records, and says so; one whose disk takes seconds for a write passes
// its leadership on once it is given some, if anybody could take it.
std::optional<std::string> WhiteBox::check_bad_disk(uint32_t broker, const Partition& partition) {
  World& world = cluster_.world();
  const std::pair key(broker, partition.key());
  const bool full = partition.log().disk_full();
  if (!partition.is_leader() || (!full && !partition.log().disk_slow()) || world.paused(cluster_.broker(broker))) {
    bad_disks_.erase(key);
    return std::nullopt;
  }
  const BadDisk now{world.incarnation(cluster_.broker(broker)), partition.group()->term(), full, world.now(), partition.log().next_offset(), 0, {}};
  BadDisk& bad = bad_disks_.try_emplace(key, now).first->second;
  if (bad.incarnation != now.incarnation || bad.term != now.term || bad.full != full) bad = now;
  if (full) {
    // A segment that goes makes room for a moment, between two looks.
    if (now.end > std::exchange(bad.end, now.end) && ++bad.grew > 3)
      return fmt::format("I-S11 a bad disk: broker {} leads {} on a disk that has been full for {} ms, and takes records", broker + 1,
                         partition.key().text(), (world.now() - bad.since).ms());
    return std::nullopt;
  }
  const std::ptrdiff_t fit = successors(broker, partition);
  if (fit == 0) bad.takes.reset(), bad.end = now.end;
  else if (now.end > bad.end && !bad.takes) bad.takes = world.now();
  // Those that are asked first may not be able to, and the next is asked when four timeouts are over.
  const Delay& latency = world.knobs().net.latency;
  const std::ptrdiff_t unfit = std::ssize(partition.group()->members()) - 1 - fit;
  const Duration allowed = partition.group()->raft().options().election_timeout_max * (6 + 4 * unfit) + (latency.base + latency.jitter) * 8 + 1_s;
  if (prompt_ && bad.takes && world.now() > *bad.takes + allowed)
    return fmt::format("I-S11 a bad disk: broker {} leads {} on a disk that has been slow for {} ms, and takes records", broker + 1,
                       partition.key().text(), (world.now() - bad.since).ms());
  return std::nullopt;
}

std::optional<std::string> WhiteBox::check_now() {
  if (seen_) return seen_;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    taffrail::Node* node = cluster_.node(i);
    if (node == nullptr) continue;
    // Counted as it grows: a broker that dies takes its own count along.
    auto& [incarnation, seen] = repairs_seen_[i];
    if (const uint64_t current = cluster_.world().incarnation(cluster_.broker(i)); current != incarnation) {
      incarnation = current;
      seen = 0;
    }
    uint64_t repaired = 0;
    for (BrokerShard* shard : node->shards())
      if (shard->driver() != nullptr) repaired += shard->driver()->repaired();
    if (repaired > seen) repairs_ += repaired - seen;
    seen = std::max(seen, repaired);
    if (auto violation = check_recovery(i)) return violation;
    if (auto violation = check_lonely(i)) return violation;
    if (auto violation = check_names(i)) return violation;
    if (auto violation = check_directories(i)) return violation;
    for (const auto& [key, invariant] : node->quarantines())
      return fmt::format("{}: broker {} put {} in quarantine", invariant, i + 1, key.text());
    for (Partition* partition : node->partitions())
      if (partition->group() != nullptr) {
        if (auto violation = check_partition(i, *partition)) return violation;
        if (auto violation = check_bad_disk(i, *partition)) return violation;
      }
  }
  return std::nullopt;
}

// I-N4: a connection that its client has closed is forgotten.
std::optional<std::string> WhiteBox::check_left_behind() {
  const auto left = [this]() -> std::optional<std::string> {
    for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
      size_t open = 0;
      if (taffrail::Node* node = cluster_.serving(i) ? cluster_.node(i) : nullptr)
        for (BrokerShard* shard : node->shards()) open += shard->connection_count();
      if (open > 0) return fmt::format("I-N4 nothing left behind: broker {} has {} connections of clients that are gone", i + 1, open);
    }
    return std::nullopt;
  };
  cluster_.world().run_until([&] { return !left(); }, 5_s);
  return left();
}

std::optional<std::string> WhiteBox::check_scrubbed(const std::vector<bool>& of) {
  std::optional<std::string> found;
  for (uint32_t i = 0; i < cluster_.broker_count() && !found; ++i) {
    if (!of[i] || !cluster_.serving(i)) continue;
    (void)cluster_.world().run_fiber(cluster_.broker(i), [&](Task& task, Runtime&) {
      for (BrokerShard* shard : cluster_.node(i)->shards()) {
        if (shard->store() == nullptr) continue;
        for (Log* log : shard->store()->logs())
          if (log->snapshot_id() && !found)
            if (const auto read = log->read_snapshot(task); !read && read.error().code == Errc::kCorrupt)
              found = fmt::format("I-S12 a scrub: broker {} does not know that {}", i + 1, read.error().text());
      }
      for (Partition* partition : cluster_.node(i)->partitions()) {
        const auto held = partition->hold();
        Log& log = partition->log();
        // What is known to be bad is passed over.
        const auto seen = log.scrub(task, log.first_index(), UINT32_MAX);
        if (seen && seen->bad > 0 && !found)
          found = fmt::format("I-S12 a scrub: broker {} holds damaged records of {} that it does not know of", i + 1, partition->key().text());
      }
    }, 30_s);
  }
  return found;
}

// I-S9: a log is where its owner looks for it, however often the number of shards has changed.
std::optional<std::string> WhiteBox::check_places(uint32_t broker) const {
  const std::vector<BrokerShard*> shards = cluster_.node(broker)->shards();
  for (uint32_t i = 0; i < shards.size(); ++i) {
    if (shards[i]->store() == nullptr) continue;
    for (const Log* log : shards[i]->store()->logs())
      if (shard_of(log->key(), shards[i]->runtime().shape()) != ShardId(i))
        return fmt::format("I-S9 a log's place: broker {} has {} on shard {} of {}", broker + 1, log->key().text(), i, shards.size());
  }
  return std::nullopt;
}

// I-S13: what a node's identity says stands in each of its directories twice.
std::optional<std::string> WhiteBox::check_identity(uint32_t broker) const {
  World& world = cluster_.world();
  const NodeId node = cluster_.broker(broker);
  for (BrokerShard* shard : cluster_.node(broker)->shards())
    if (!shard->directory_failure().empty()) return std::nullopt;
  for (uint32_t d = 0; d < world.disk_count(node); ++d) {
    std::optional<std::string> said;
    for (const std::string_view name : {kIdentityFile, kIdentityCopyFile}) {
      const Result<InodeRef> file = world.disk(node, d).image().find(name);
      // The start that missed it may have found no way to write it: it goes on, and the next one tries again.
      if (!file && could_not_restore(world.disk(node, d))) break;
      if (!file) return fmt::format("I-S13 identity: broker {} has no {} in its directory {}", broker + 1, name, d + 1);
      if ((*file)->harmed(0, (*file)->size())) break;
      const std::string text = (*file)->read_durable(0, (*file)->size());
      if (said && *said != text)
        return fmt::format("I-S13 identity: {} of broker {} in its directory {} says something else than {}", name, broker + 1, d + 1, kIdentityFile);
      said = text;
    }
  }
  return std::nullopt;
}

// I-D2 and I-R3: the same bytes at the same place on every replica. I-S8: what damage took is back. I-S1: what is read back is what its
// envelope says. I-S2: offsets dense. I-S5: live producers are what a replay of the log gives.
std::vector<std::string> WhiteBox::check_settled(const std::vector<bool>& damaged,
                                                 const std::function<bool(uint32_t)>& refuses) {
  std::vector<std::string> out;
  Logs logs;
  States states;
  World& world = cluster_.world();
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    if (!cluster_.serving(i)) continue;
    if (auto wrong = check_places(i)) out.push_back(std::move(*wrong));
    if (auto wrong = check_identity(i)) out.push_back(std::move(*wrong));
    std::string unreadable;
    bool whole = read_logs(i, logs, states, out, unreadable);
    for (int tries = 0; tries < 60 && !whole && damaged[i] && out.empty() && !world.failure(); ++tries) {
      world.run_for(500_ms);
      if (cluster_.serving(i)) whole = read_logs(i, logs, states, out, unreadable);
    }
    if (!whole && damaged[i] && !cluster_.serving(i) && refuses(i)) continue;
    if (!whole) out.push_back("unrepaired: " + unreadable + " (I-S8)");
  }
  return out;
}

namespace {

// I-D6: an epoch ends where the first entry of a later one begins; one without entries, where the one before it does.
std::optional<std::string> check_epochs(const Log& log, const std::vector<EntryMeta>& walked) {
  // Retention may have moved its start meanwhile.
  if (walked.empty() || log.first_index() > walked.front().index) return std::nullopt;
  for (size_t i = 1; i < walked.size(); ++i)
    if (walked[i].term < walked[i - 1].term)
      return fmt::format("I-D6 epochs: entry {} is of an older term than the one before it", walked[i].index.value);
  size_t next = 0;
  for (Term term = walked.front().term; term < walked.back().term; term = term + 1) {
    while (walked[next].term <= term) ++next;
    const auto said = log.epoch_end_offset(term);
    const std::pair true_end(walked[next - 1].term, walked[next].base_offset);
    if (!said || *said != true_end)
      return fmt::format("I-D6 epochs: epoch {} ends at {}, the log says {}", term.value, true_end.second.value,
                         said ? said->second.value : -1);
  }
  return std::nullopt;
}

// I-S3: by time, the first batch that reaches it; asked for the times of some batches, and for just after them.
std::optional<std::string> check_times(Task& task, Log& log, const std::vector<EntryMeta>& walked) {
  const Offset end = walked.empty() ? Offset(0) : walked.back().next_offset();
  const size_t stride = walked.size() / 5 + 1;
  for (size_t i = 0; i < walked.size(); i += stride) {
    if (walked[i].kind != EntryKind::kBatch) continue;
    for (const int64_t time : {walked[i].max_timestamp, walked[i].max_timestamp + 1}) {
      const Offset start = log.start_offset();
      const auto found = log.find_batch_by_time(task, time, end);
      if (!found) return std::nullopt;  // Unreadable: told elsewhere, or cancelled.
      if (log.start_offset() != start) return std::nullopt;  // Retention moved it meanwhile.
      const auto first = std::find_if(walked.begin(), walked.end(), [&](const EntryMeta& meta) {
        return meta.kind == EntryKind::kBatch && meta.max_timestamp >= time && meta.next_offset() > log.start_offset();
      });
      const LogIndex is = *found ? (*found)->meta.index : LogIndex(0);
      const LogIndex should = first == walked.end() ? LogIndex(0) : first->index;
      if (is != should)
        return fmt::format("I-S3 time lookup: the first batch at {} is entry {}, the log says {}", time, should.value, is.value);
    }
  }
  return std::nullopt;
}

}  // namespace

// I-R5: who has applied the same has the same.
void WhiteBox::compare_state(States& states, const PartitionKey& key, LogIndex at, uint32_t broker, Slice state,
                             std::vector<std::string>& out) const {
  const auto [it, fresh] = states.try_emplace({key, at}, broker, state);
  if (!fresh && it->second.second != state)
    out.push_back(fmt::format("I-R5 state machine safety: brokers {} and {} have applied {} up to entry {}, and their states differ",
                              it->second.first + 1, broker + 1, key.text(), at.value));
}

// I-R5 of group 0: the same image everywhere, and what the log gives.
void WhiteBox::check_image(Task& task, uint32_t broker, States& states, std::vector<std::string>& out) {
  const Controller* controller = cluster_.node(broker)->controller();
  if (controller == nullptr) return;
  const LogIndex at = controller->applied();
  compare_state(states, kMetadataPartition, at, broker, controller->image().encode(), out);
  if (const auto replayed = controller->replay(task); replayed && !(*replayed == controller->image()))
    out.push_back(fmt::format("I-R5 state machine safety: the metadata of broker {} at entry {} is not what its log gives", broker + 1, at.value));
}

// False, and why, if something could not be read; what was read and is wrong goes to `out`.
bool WhiteBox::read_logs(uint32_t i, Logs& logs, States& states, std::vector<std::string>& out, std::string& unreadable) {
  unreadable = fmt::format("the logs of broker {} could not be read", i + 1);
  bool whole = true;
  const bool ended = cluster_.world().run_fiber(cluster_.broker(i), [&](Task& task, Runtime&) {
    taffrail::Node* node = cluster_.node(i);
    if (node == nullptr) return;
    check_image(task, i, states, out);
    // In a run that did not settle some may be on their way to other brokers.
    const std::vector<Partition*> partitions = node->partitions();
    std::vector<std::shared_ptr<void>> held;
    for (Partition* partition : partitions) held.push_back(partition->hold());
    for (Partition* partition : partitions) {
      Log& log = partition->log();
      const auto where = fmt::format("broker {} {}-{}", i + 1, partition->topic_name(), partition->key().partition);
      ProducerTable replayed;
      std::optional<Offset> next_offset;
      std::vector<EntryMeta> walked;
      for (LogIndex next = log.first_index(); next <= log.committed();) {
        const auto entries = log.read_entries(task, next, 1_MiB, 1000);
        // Retention took what was to be read next: from the beginning that there is now.
        if (!entries && entries.error().code == Errc::kOutOfRange && next < log.first_index()) {
          next = log.first_index();
          replayed = {};
          next_offset.reset();
          walked.clear();
          continue;
        }
        if (!entries) {
          unreadable = fmt::format("{}: entry {}: {}", where, next.value, entries.error().text());
          whole = false;
          return;
        }
        for (const Entry& entry : *entries) {
          next = entry.meta.index + 1;
          if (entry.meta.index > log.committed()) break;
          if (next_offset && entry.meta.base_offset != *next_offset)
            out.push_back(fmt::format("I-S2 dense offsets: {}: entry {} begins at {}, not {}", where, entry.meta.index.value,
                                      entry.meta.base_offset.value, next_offset->value));
          next_offset = entry.meta.next_offset();
          walked.push_back(entry.meta);
          if (entry.meta.kind == EntryKind::kBatch) {
            const auto batch = BatchView::parse(entry.payload);
            if (!batch || !batch->check_crc() || batch->base_offset() != entry.meta.base_offset) {
              out.push_back(fmt::format("I-S1 read-back: {}: entry {} is not the batch that was written", where, entry.meta.index.value));
              continue;
            }
            if (batch->leader_epoch() != entry.meta.term.value)
              out.push_back(fmt::format("I-D6 epochs: {}: the batch at {} says epoch {}, its entry is of term {}", where,
                                        entry.meta.base_offset.value, batch->leader_epoch(), entry.meta.term.value));
            replayed.apply(*batch, entry.meta.id());
          }
          const Stored mine{entry.meta, crc32c(entry.payload), i};
          const auto [it, fresh] = logs[partition->key()].emplace(entry.meta.index, mine);
          if (!fresh && (!(it->second.meta == mine.meta) || it->second.crc != mine.crc))
            out.push_back(fmt::format("I-D2 one value: entry {} of {} differs between broker {} and broker {}", entry.meta.index.value,
                                      partition->key().text(), it->second.broker + 1, i + 1));
        }
      }
      if (auto wrong = check_epochs(log, walked)) out.push_back(fmt::format("{}: {}", *wrong, where));
      if (auto wrong = check_times(task, log, walked)) out.push_back(fmt::format("{}: {}", *wrong, where));
      // It may have gone on while something was read.
      const bool comparable = log.first_index() == LogIndex(1) && partition->applied().index == log.committed() &&
                              (walked.empty() ? LogIndex{} : walked.back().index) == log.committed();
      if (comparable && replayed.applied() != partition->producer_table().applied())
        out.push_back(fmt::format("I-S5 replay: {}: the producers are not those that the log gives", where));
      const LogIndex at = partition->applied().index;
      compare_state(states, partition->key(), at, i, partition->producer_table().encode(), out);
    }
  }, 30_s);
  return ended && whole;
}

}  // namespace taffrail::sim
