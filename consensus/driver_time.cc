// Time: election and retry deadlines of all groups, and one heartbeat per node for all of them.
#include <fmt/core.h>

#include "consensus/driver_state.h"

namespace taffrail {

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

// Heartbeats are heard per node; a group is told of them when it would act on their absence.
void DriverState::tell_contacts(RaftGroup::State& g, Instant now) {
  if (g.raft.role() == Role::kLeader) {
    for (const Progress& p : g.raft.progress()) {
      const auto it = answered.find(p.replica.node);
      if (it != answered.end() && !refused[p.replica.node].contains(g.key))
        g.raft.peer_contact(p.replica.node, it->second);
    }
    return;
  }
  const auto leader = g.raft.leader();
  if (!leader) return;
  const auto it = heartbeat_from.find(leader->node);
  if (it == heartbeat_from.end()) return;
  const auto at = it->second.heard(g.key, g.raft.term());
  if (!at) return;
  Effects effects;
  g.raft.leader_contact(*leader, g.raft.term(), *at, now, effects);
  carry_out(g, effects, nullptr, {});
}

void DriverState::run_heartbeats(Task& task) {
  while (!task.cancelled()) {
    send_heartbeats();
    heartbeat_due = false;
    const Instant next = runtime.now() + options.heartbeat_interval;
    while (!heartbeat_due && runtime.now() < next) {
      const Result<> waited = heartbeat_wake.wait(task, next);
      if (!waited && waited.error().code == Errc::kCancelled) return;
    }
  }
}

void DriverState::send_heartbeats() {
  for (const PartitionKey& key : relist) {
    for (auto& [node, sender] : heartbeat_to) sender.drop(key);
    RaftGroup::State* g = find(key);
    if (g == nullptr || !g->quarantine.empty() || g->raft.role() != Role::kLeader) continue;
    for (const ReplicaId& member : g->raft.configuration().members())
      if (member != self) heartbeat_to[member.node].lead({key, g->raft.term(), self});
  }
  relist.clear();
  const Instant now = runtime.now();
  for (auto& [node, sender] : heartbeat_to) {
    if (!peers.connected(node)) continue;
    std::string body(1, '\0');
    body += encode_heartbeat(sender.next(now));
    peers.send(node, PeerKind::kHeartbeat, {Slice(body)});
  }
}

void DriverState::heartbeat(const PeerIdentity& from, const Slice& body) {
  const BrokerId node = from.replica.node;
  const auto dropped = [&](const Error& error) {
    runtime.log().warn("raft", "a heartbeat from broker {} was dropped: {}", node.value, error.text());
  };
  if (body.empty()) return dropped({Errc::kCorrupt, "it is empty"});
  const ByteView rest = body.view().subspan(1);
  if (body.data()[0] != 0) {
    const Result<HeartbeatAnswer> answer = decode_heartbeat_answer(rest);
    if (!answer) return dropped(answer.error());
    const auto it = heartbeat_to.find(node);
    if (it == heartbeat_to.end()) return;
    const auto sent = it->second.on_answer(*answer);
    if (!sent) return;
    answered[node] = *sent;
    refused[node] = {answer->refused.begin(), answer->refused.end()};
    return;
  }

  const Result<Heartbeat> heartbeat = decode_heartbeat(rest);
  if (!heartbeat) return dropped(heartbeat.error());
  // A peer that started again counts its heartbeats from one.
  if (auto& known = incarnations[node]; known != from.incarnation) {
    known = from.incarnation;
    heartbeat_from.erase(node);
  }
  HeartbeatReceiver& receiver = heartbeat_from[node];
  const Instant now = runtime.now();
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
  std::string answer(1, '\1');
  answer += encode_heartbeat_answer(heard_now.answer);
  peers.send(node, PeerKind::kHeartbeat, {Slice(answer)});
}

}  // namespace taffrail
