// Sending: messages as envelopes, and the fibers that read logs for replicas elsewhere.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "consensus/driver_state.h"

namespace taffrail {

// On the link: u32 size of the envelope, the envelope, the payloads. docs/formats.md, "Raft messages".
void DriverState::send(const PartitionKey& group, const ReplicaId& to, const Message& message,
                       std::span<const Entry> entries) {
  if (owner->on_step) {
    const RaftSent sent{self, to, message};
    owner->on_step(group, &sent);
  }
  RaftEnvelope envelope{group, self, to, message, {}};
  for (const Entry& entry : entries) envelope.payload_sizes.push_back(static_cast<uint32_t>(entry.payload.size()));
  const std::string encoded = encode_envelope(envelope);
  ByteWriter head;
  head.sized(encoded);
  Chain parts;
  parts.reserve(1 + entries.size());
  parts.push_back(Slice(head.view()));
  for (const Entry& entry : entries)
    if (!entry.payload.empty()) parts.push_back(entry.payload);
  peers.send(to.node, PeerKind::kRaft, std::move(parts));
}

void DriverState::want_append(const PartitionKey& key, const ReplicaId& to) {
  const auto [it, fresh] = senders.try_emplace(to.node);
  NodeSender& sender = it->second;
  if (fresh && !stopping)
    runtime.spawn(scope, fmt::format("raft/sender-{}", to.node.value),
                  [this, node = to.node, &sender](Task& task) { run_sender(task, node, sender); });
  if (!sender.queued.insert({key, to}).second) return;
  sender.work.push_back({key, to});
  sender.wake.notify_one();
}

void DriverState::run_sender(Task& task, BrokerId node, NodeSender& sender) {
  while (!task.cancelled()) {
    if (sender.work.empty()) {
      if (!sender.wake.wait(task)) return;
      continue;
    }
    const auto [key, to] = sender.work.front();
    sender.work.pop_front();
    sender.queued.erase({key, to});
    // Without a link there is nobody to send to; on_link makes Raft ask again.
    if (!peers.connected(node)) continue;
    if (send_next(task, key, to)) want_append(key, to);
  }
}

// One request; true if there is more. Between the plan and the request the log is read, perhaps from the
// disk, and everything may change: make_append() looks again.
bool DriverState::send_next(Task& task, const PartitionKey& key, const ReplicaId& to) {
  RaftGroup::State* g = find(key);
  if (g == nullptr || !g->quarantine.empty()) return false;
  const uint64_t incarnation = g->incarnation;
  const auto plan = g->raft.next_append(to);
  if (!plan) return false;
  std::vector<Entry> entries;
  if (plan->last >= plan->first) {
    const size_t most = std::min<size_t>(options.append_entries_max, static_cast<size_t>(plan->last - plan->first) + 1);
    Result<std::vector<Entry>> read = [&] {
      const GroupUse use(g->uses);
      return g->log.read_entries(task, plan->first, options.append_bytes_max, most);
    }();
    g = find(key, incarnation);
    if (g == nullptr || !g->quarantine.empty()) return false;
    if (!read) {
      if (read.error().code == Errc::kCancelled) return false;
      // The log moved on under the plan (its start, or a truncation): Raft plans again.
      if (read.error().code == Errc::kOutOfRange) return g->raft.next_append(to).has_value();
      runtime.log().error("raft", "{}: cannot read entry {} for broker {}: {}", key.text(), plan->first.value,
                          to.node.value, read.error().text());
      return false;
    }
    entries = *std::move(read);
  }
  std::vector<EntryMeta> metas;
  metas.reserve(entries.size());
  for (const Entry& entry : entries) metas.push_back(entry.meta);
  const auto request = g->raft.make_append(*plan, metas, runtime.now());
  update_deadline(*g);
  if (request) {
    notices.erase({to, key});  // It says what is committed by now.
    send(key, to, *request, entries);
  }
  return g->raft.next_append(to).has_value();
}

// A record that is written alone would cost each follower a message more, to hear of a commit that it does nothing
// about; the next entries say it too.
void DriverState::send_by_and_by(const RaftGroup::State& g, const ReplicaId& to, const CommitNotice& notice) {
  const bool first = notices.empty();
  notices.insert_or_assign({to, g.key}, notice);
  if (first) notices_wake.notify_one();
}

void DriverState::run_notices(Task& task) {
  while (!task.cancelled()) {
    if (notices.empty()) {
      if (!notices_wake.wait(task)) return;
      continue;
    }
    if (!runtime.sleep_for(task, options.commit_notice_delay)) return;
    for (const auto& [where, notice] : std::exchange(notices, {})) {
      const RaftGroup::State* g = find(where.second);
      if (g == nullptr || !g->quarantine.empty()) continue;
      if (g->raft.role() == Role::kLeader && g->raft.term() == notice.term) send(g->key, where.first, notice, {});
    }
  }
}

void DriverState::offer_snapshot(const PartitionKey& key, const ReplicaId& to) {
  RaftGroup::State* g = find(key);
  if (g == nullptr || !g->sending_snapshot.insert(to).second || stopping) return;
  runtime.spawn(scope, "raft/offer-snapshot", [this, key, to, incarnation = g->incarnation](Task& task) {
    RaftGroup::State* group = find(key, incarnation);
    if (group == nullptr) return;
    const auto made = [&] {
      const GroupUse use(group->uses);
      return group->events.make_snapshot(task);
    }();
    group = find(key, incarnation);
    if (group == nullptr) return;
    group->sending_snapshot.erase(to);
    Effects effects;
    if (made) {
      const LogIndex covered = std::max(made->first.index, group->raft.log().prefix().index);
      const auto offer = group->raft.snapshot_offer(to, made->first, group->raft.log().configuration_at(covered));
      if (offer) {
        send(key, to, *offer, {});
        return;
      }
    } else {
      runtime.log().warn("raft", "{}: no snapshot for broker {}: {}", key.text(), to.node.value, made.error().text());
    }
    group->raft.snapshot_sent(to, runtime.now(), effects);
    carry_out(*group, effects, nullptr, {});
  });
}

void DriverState::fetch_snapshot(const PartitionKey& key, const effect::FetchSnapshot& fetch) {
  RaftGroup::State* g = find(key);
  if (g == nullptr || g->fetching_snapshot || stopping) return;
  g->fetching_snapshot = true;
  runtime.spawn(scope, "raft/fetch-snapshot", [this, key, fetch, incarnation = g->incarnation](Task& task) {
    Result<std::pair<EntryId, Slice>> answer = call_for_snapshot(task, fetch.from.node, key, 30_s);
    RaftGroup::State* group = find(key, incarnation);
    if (group == nullptr) return;
    Result<> installed = answer ? Result<>() : std::unexpected(answer.error());
    if (installed) {
      // What is made durable here must be what Raft is told below, and Raft knows only the offer's membership.
      if (answer->first != fetch.offer.last) {
        group->fetching_snapshot = false;
        return;  // The leader offers again.
      }
      group->installing_snapshot = true;
      const GroupUse use(group->uses);
      installed = group->events.on_snapshot(task, answer->first, fetch.offer.configuration, std::move(answer->second));
      group = find(key, incarnation);
      if (group == nullptr) return;
      group->installing_snapshot = false;
    }
    group->fetching_snapshot = false;
    if (!installed) {
      runtime.log().warn("raft", "{}: no snapshot from broker {}: {}", key.text(), fetch.from.node.value,
                         installed.error().text());
      return;
    }
    Effects effects;
    if (group->raft.on_snapshot_installed(fetch.offer.last, fetch.offer.configuration, runtime.now(), effects)) {
      group->uncommitted.clear();
      group->commit_offset = group->log.start_offset();
    }
    carry_out(*group, effects, nullptr, {});
  });
}

Result<std::pair<EntryId, Slice>> DriverState::call_for_snapshot(Task& task, BrokerId node, const PartitionKey& key, Duration wait) {
  ByteWriter question;
  write_key(question, key);
  const Slice answer = TRY(peers.call(task, node, "snapshot", {Slice(question.view())}, runtime.now() + wait));
  ByteReader in(answer);
  const LogIndex index(in.i64());
  const Term term(in.i64());
  if (!in.ok()) return fail(Errc::kCorrupt, "a snapshot that is cut short");
  return std::pair{EntryId{index, term}, answer.sub(answer.size() - in.left(), in.left())};
}

Result<Chain> DriverState::serve_snapshot(Task& task, Slice body) {
  ByteReader in(body);
  const PartitionKey key = read_key(in);
  if (!in.done()) return fail(Errc::kCorrupt, "a question for a snapshot");
  RaftGroup::State* g = find(key);
  if (g == nullptr || g->raft.role() != Role::kLeader) return fail(Errc::kNotLeader);
  const GroupUse use(g->uses);
  auto [last, state] = TRY(g->events.make_snapshot(task));
  ByteWriter head;
  head.i64(last.index.value);
  head.i64(last.term.value);
  return Chain{Slice(head.view()), std::move(state)};
}

Slice RaftDriver::transfer_question(const PartitionKey& key, BrokerId to) {
  ByteWriter question;
  write_key(question, key);
  question.i32(to.value);
  return Slice(question.view());
}

Result<Chain> DriverState::serve_transfer(Task& task, Slice body) {
  ByteReader in(body);
  const PartitionKey key = read_key(in);
  const BrokerId to(in.i32());
  if (!in.done()) return fail(Errc::kCorrupt, "a question for a transfer");
  RaftGroup::State* g = find(key);
  if (g == nullptr || !g->quarantine.empty() || g->raft.role() != Role::kLeader) return fail(Errc::kNotLeader);
  const std::vector<ReplicaId>& voters = g->raft.configuration().voters;
  const auto heir = std::find_if(voters.begin(), voters.end(), [&](const ReplicaId& voter) { return voter.node == to; });
  if (heir == voters.end()) return fail(Errc::kInvalid, fmt::format("broker {} has no vote there", to.value));
  const Term term = g->raft.term();
  const uint64_t incarnation = g->incarnation;
  Effects effects;
  TRY(g->raft.transfer_leadership(*heir, runtime.now(), effects));
  carry_out(*g, effects, nullptr, {});
  // Given up by Raft after an election timeout.
  for (const Instant end = runtime.now() + options.election_timeout_max; runtime.now() < end;) {
    g = find(key, incarnation);
    if (g == nullptr || g->raft.role() != Role::kLeader || g->raft.term() != term) return Chain{};
    TRY(runtime.sleep_for(task, options.heartbeat_interval / 4));
  }
  return fail(Errc::kTimedOut, fmt::format("broker {} did not take over", to.value));
}

Slice RaftDriver::give_up_question(const PartitionKey& key, const std::vector<BrokerId>& alive) {
  ByteWriter question;
  write_key(question, key);
  question.u32(static_cast<uint32_t>(alive.size()));
  for (const BrokerId id : alive) question.i32(id.value);
  return Slice(question.view());
}

Result<> DriverState::give_up_doubts(RaftGroup::State& g, const std::function<bool(BrokerId)>& may_answer) {
  const EntryId last = g.raft.log().last();
  const EntryId told = g.raft.furthest_told();
  Effects effects;
  TRY(g.raft.give_up_doubts(may_answer, runtime.now(), effects));
  runtime.log().warn("raft", "{}: an operator gave up what it may have lost behind entry {}; entries up to {} are known to have been",
                     g.key.text(), last.index.value, std::max(last.index, told.index).value);
  carry_out(g, effects, nullptr, {});
  return {};
}

Result<Chain> DriverState::serve_give_up(Slice body) {
  ByteReader in(body);
  const PartitionKey key = read_key(in);
  std::vector<BrokerId> alive;
  for (uint32_t left = in.u32(); left > 0 && in.ok(); --left) alive.push_back(BrokerId(in.i32()));
  if (!in.done()) return fail(Errc::kCorrupt, "a question to give up a doubt");
  RaftGroup::State* g = find(key);
  if (g == nullptr || !g->quarantine.empty()) return fail(Errc::kNotFound, "the replica is not there");
  TRY(give_up_doubts(*g, [&](BrokerId id) { return std::ranges::count(alive, id) > 0; }));
  return Chain{};
}

// Who is in doubt waits for the others as long as it takes. Whoever runs this broker hears of it, or has said before that
// it shall not.
void DriverState::run_doubts(Task& task) {
  constexpr Duration kPatience = 10_s;
  const Instant first_look = runtime.now() + kPatience;
  for (bool told = false; !task.cancelled();) {
    if (doubtful.empty()) {
      if (!doubts_wake.wait(task)) return;
      continue;
    }
    if (!runtime.sleep_for(task, 1_s)) return;
    if (runtime.now() < first_look) continue;
    std::vector<const RaftGroup*> waiting;
    for (const PartitionKey& key : std::vector<PartitionKey>(doubtful.begin(), doubtful.end())) {
      RaftGroup::State* g = find(key);
      if (g == nullptr || !g->quarantine.empty() || g->raft.leader()) continue;
      if (options.unclean && give_up_doubts(*g, [this](BrokerId id) { return peers.connected(id); })) continue;
      waiting.push_back(owner->find(key));
    }
    if (waiting.empty() || std::exchange(told, true)) continue;
    runtime.log().error("raft", "{} logs here wait for others, for example {}: {}. If who held more is gone for good, start this broker with "
                        "--unclean: it goes on without", waiting.size(), waiting.front()->key().text(), waiting.front()->trouble());
  }
}

}  // namespace taffrail
