// Time: election and retry deadlines of all groups, and one heartbeat per node for all of them.
#include <fmt/core.h>

#include "base/plant.h"
#include "consensus/driver_state.h"

namespace taffrail {
namespace {
constexpr uint8_t kHeartbeatType = 0;
constexpr uint8_t kAnswerType = 1;
}  // namespace

void DriverState::run_ticker(Task& task) {
  while (!task.cancelled()) {
    const Instant next = deadlines.empty() ? Instant::never() : deadlines.begin()->first;
    if (next > runtime.now()) {
      const Result<> moved = deadline_moved.wait(task, next);
      if (!moved && moved.error().code == Errc::kCancelled) return;
      continue;
    }
    const PartitionKey key = deadlines.begin()->second;
    deadlines.erase(deadlines.begin());
    RaftGroup::State* g = find(key);
    if (g == nullptr) continue;
    g->deadline = Instant::never();
    if (!g->quarantine.empty()) continue;
    const Instant now = runtime.now();
    tell_contacts(*g, now);
    Effects effects;
    g->raft.tick(now, effects);
    carry_out(*g, effects, nullptr, {});
  }
}

const DriverState::Answered* DriverState::answer_of(const PartitionKey& group, const ReplicaId& replica) const {
  const PeerShard place = place_of(group, replica.node);
  const auto answer = answered.find(place);
  if (answer == answered.end() || (answer->second.by != replica && !PLANT("R64"))) return nullptr;
  const auto said = refused.find(place);
  return said != refused.end() && said->second.contains(group) ? nullptr : &answer->second;
}

// Heartbeats are heard per node; a group is told of them when it would act on their absence.
void DriverState::tell_contacts(RaftGroup::State& g, Instant now) {
  if (g.raft.role() == Role::kLeader) {
    for (const Progress& p : g.raft.progress()) {
      if (const Answered* answer = answer_of(g.key, p.replica)) g.raft.peer_contact(p.replica, answer->sent);
    }
    return;
  }
  const auto leader = g.raft.leader();
  if (!leader) return PLANT("R62") ? void() : look_for_leader(g, now);
  const auto it = heartbeat_from.find(place_of(g.key, leader->node));
  if (it == heartbeat_from.end()) return;
  const auto at = it->second.heard(g.key, g.raft.term());
  if (!at) return;
  Effects effects;
  g.raft.leader_contact(*leader, g.raft.term(), *at, now, effects);
  carry_out(g, effects, nullptr, {});
}

// A replica that gave its leader up hears nothing from a list that is still the same as before: nobody says again what
// did not change. Whoever lists the group leads it all the while, or is told of a later term.
void DriverState::look_for_leader(RaftGroup::State& g, Instant now) {
  for (const ReplicaId& member : g.raft.configuration().members()) {
    const auto it = heartbeat_from.find(place_of(g.key, member.node));
    const Listing* found = it == heartbeat_from.end() ? nullptr : it->second.find(g.key);
    if (found == nullptr) continue;
    const Listing listing = *found;
    const auto at = it->second.heard(g.key, listing.term);
    if (!at || *at + options.election_timeout_min <= now) continue;
    Effects effects;
    g.raft.leader_contact(listing.leader, listing.term, *at, now, effects);
    carry_out(g, effects, nullptr, {});
    if (!g.quarantine.empty()) return;
  }
}

void DriverState::run_heartbeats(Task& task) {
  while (!task.cancelled()) {
    send_heartbeats();
    heartbeat_due = false;
    const Instant next = runtime.now() + options.heartbeat_interval;
    if (PLANT("K02")) {
      const WallTime due{runtime.wall_now().ms + options.heartbeat_interval.ms()};
      while (runtime.wall_now() < due)
        if (!runtime.sleep_for(task, options.heartbeat_interval)) return;
    }
    while (!heartbeat_due && runtime.now() < next) {
      const Result<> waited = heartbeat_wake.wait(task, next);
      if (!waited && waited.error().code == Errc::kCancelled) return;
    }
  }
}

void DriverState::send_heartbeats() {
  for (const PartitionKey& key : relist) {
    for (auto& [place, sender] : heartbeat_to) sender.drop(key);
    RaftGroup::State* g = find(key);
    if (g == nullptr || !g->quarantine.empty() || g->raft.role() != Role::kLeader) continue;
    for (const ReplicaId& member : g->raft.configuration().members())
      if (member != self) heartbeat_to[place_of(key, member.node)].lead({key, g->raft.term(), self});
  }
  relist.clear();
  const Instant now = runtime.now();
  for (auto& [place, sender] : heartbeat_to) {
    if (!peers.connected(place.node)) continue;
    ByteWriter body;
    const auto answer = answers_due.find(place);
    body.sized(answer == answers_due.end() ? std::string_view() : answer->second);
    body.bytes(as_bytes(encode_heartbeat(sender.next(now))));
    send_heartbeat_body(kHeartbeatType, place, as_text(body.view()));
    if (answer != answers_due.end()) answers_due.erase(answer);
  }
}

// docs/formats.md, "Heartbeats": which of the two, from shard to shard, and the rest.
void DriverState::send_heartbeat_body(uint8_t type, const PeerShard& to, std::string_view body) {
  ByteWriter out;
  out.u8(type);
  out.u16(static_cast<uint16_t>(runtime.shard().value));
  out.u16(static_cast<uint16_t>(to.shard.value));
  out.bytes(as_bytes(body));
  peers.send(to.node, PeerKind::kHeartbeat, {Slice(out.view())});
}

// A node has another number of shards than was thought, perhaps since it started again: what this one leads is listed to
// others of them, and what was said there, or heard from there, was about other groups.
void DriverState::learn_shape(BrokerId node, NodeShape shape) {
  NodeShape& known = shapes[node];
  if (known == shape) return;
  known = shape;
  const auto there = [&](const auto& item) { return item.first.node == node; };
  std::erase_if(heartbeat_to, there);
  std::erase_if(heartbeat_from, there);
  std::erase_if(answers_due, there);
  std::erase_if(answered, there);
  std::erase_if(refused, there);
  std::erase_if(incarnations, there);
  if (runtime.shard() == ShardId(0)) heartbeat_to.try_emplace({node, ShardId(0)});
  for (const auto& [key, group] : groups) relist.insert(key);
  heartbeat_due = true;
  heartbeat_wake.notify_all();
}

PeerShard DriverState::place_of(const PartitionKey& key, BrokerId node) const {
  const auto it = shapes.find(node);
  return {node, shard_of(key, it == shapes.end() ? NodeShape() : it->second)};
}

void DriverState::heartbeat(const PeerIdentity& from, const Slice& body) {
  const BrokerId node = from.replica.node;
  const auto dropped = [&](const Error& error) {
    runtime.log().warn("raft", "a heartbeat from broker {} was dropped: {}", node.value, error.text());
  };
  ByteReader in(body);
  const uint8_t type = in.u8();
  const PeerShard place{node, ShardId(in.u16())};
  in.u16();  // Ours: it came here by it.
  if (!in.ok() || place.shard.value >= from.shards) return dropped({Errc::kCorrupt, "it does not say where from"});
  const ReplicaId speaker = from.replica_on(place.shard);
  hear(speaker);
  const ByteView with = type == kHeartbeatType ? in.sized() : in.bytes(in.left());
  if (!in.ok()) return dropped({Errc::kCorrupt, "cut short"});
  if (!with.empty()) {
    const Result<HeartbeatAnswer> answer = decode_heartbeat_answer(with);
    if (!answer) return dropped(answer.error());
    heartbeat_answered(place, speaker, *answer);
  }
  if (type != kHeartbeatType) return;

  const Result<Heartbeat> heartbeat = decode_heartbeat(in.bytes(in.left()));
  if (!heartbeat) return dropped(heartbeat.error());
  // A peer that started again counts its heartbeats from one.
  if (auto& known = incarnations[place]; known != from.incarnation) {
    known = from.incarnation;
    heartbeat_from.erase(place);
    answers_due.erase(place);
  }
  HeartbeatReceiver& receiver = heartbeat_from[place];
  const Instant now = runtime.now();
  // Who sends out of turn wants to know.
  const bool is_early = now - receiver.last() < options.heartbeat_interval / 2;
  HeartbeatReceiver::Heard heard_now = receiver.on_heartbeat(*heartbeat, now);
  for (const Listing& listing : heard_now.fresh) {
    RaftGroup::State* g = find(listing.group);
    if (g == nullptr || !g->quarantine.empty()) {
      receiver.refuse(listing.group);
      continue;
    }
    Effects effects;
    g->raft.leader_contact(listing.leader, listing.term, now, now, effects);
    carry_out(*g, effects, nullptr, {});
  }
  if (heartbeat->digest.count == 0 && !heard_now.answer.need_list) return;
  const std::string answer = encode_heartbeat_answer(heard_now.answer);
  // An answer that tells nothing but that we live waits for our own next heartbeat there: one frame for both.
  const bool is_news = is_early || !heard_now.fresh.empty() || heard_now.answer.need_list || !heard_now.answer.refused.empty();
  if (is_news || !heartbeat_to.contains(place)) {
    answers_due.erase(place);
    send_heartbeat_body(kAnswerType, place, answer);
  } else {
    answers_due[place] = answer;
  }
}

void DriverState::heartbeat_answered(const PeerShard& place, const ReplicaId& by, const HeartbeatAnswer& answer) {
  const auto it = heartbeat_to.find(place);
  if (it == heartbeat_to.end()) return;
  const auto sent = it->second.on_answer(answer);
  if (!sent) return;
  answered[place] = {*sent, by, !answer.need_list};
  refused[place] = {answer.refused.begin(), answer.refused.end()};
  answers_came.notify_all();
}

}  // namespace taffrail
