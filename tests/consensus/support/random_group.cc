#include "consensus/support/random_group.h"

#include <fmt/core.h>

#include <algorithm>

#include "consensus/support/describe.h"

namespace taffrail::testing {

namespace {
constexpr Duration kBeatInterval = 30_ms;
constexpr size_t kTraceLines = 400;
}  // namespace

RandomGroup::RandomGroup(uint64_t seed, WorldOptions options) : random_(seed), options_(options) {
  Configuration initial;
  const int all = options_.nodes + options_.learners;
  for (int i = 1; i <= options_.nodes; ++i) initial.voters.push_back(replica(i));
  for (int i = options_.nodes + 1; i <= all; ++i) initial.learners.push_back(replica(i));
  TestNode::Hooks hooks;
  hooks.send = [this](const TestNode& from, Packet packet) { send(from, std::move(packet)); };
  hooks.on_effect = [this](const TestNode& n, const Effect& e) { note_effect(n, e); };
  hooks.fetch_snapshot = [this](const TestNode& n, const effect::FetchSnapshot& fetch) {
    ++counts_["snapshot"];
    const int64_t delay = random_.between(1, 60);
    at(now_ + Duration::from_ms(delay), {.kind = Kind::kSnapshotDone,
                                         .node = n.id().node.value,
                                         .incarnation = n.incarnation(),
                                         .offer = fetch.offer});
  };
  for (int i = 1; i <= all; ++i) {
    Raft::Options raft{.self = replica(i),
                       .election_timeout_min = 100_ms,
                       .election_timeout_max = 200_ms,
                       .append_timeout = 150_ms,
                       .max_in_flight = 4};
    nodes_.push_back(std::make_unique<TestNode>(raft, initial, hooks));
    disk_delay_.push_back(1_ms);
    armed_.push_back(Instant::never());
  }
  for (int i = 1; i <= all; ++i) {
    start(i);
    at(Instant{} + Duration{i * 1'000'000}, {.kind = Kind::kBeat, .node = i});
  }
  at(Instant{} + 300_ms, {.kind = Kind::kTrouble});
}

std::optional<std::string> RandomGroup::run() {
  const Instant peace = Instant{} + options_.troubled;
  const Instant end = peace + options_.calm;
  while (!events_.empty() && !violation_) {
    const auto first = events_.begin();
    if (!peaceful_ && first->first.first >= peace) {
      now_ = peace;
      heal();
      continue;
    }
    if (first->first.first >= end) break;
    now_ = first->first.first;
    const Event event = std::move(first->second);
    events_.erase(first);
    handle(event);
    look();
  }
  now_ = end;
  if (!violation_) settle_check();
  return violation_;
}

void RandomGroup::at(Instant when, Event event) {
  events_.emplace(std::pair(when, next_event_++), std::move(event));
}

void RandomGroup::handle(const Event& event) {
  ++steps_;
  if (event.kind == Kind::kTrouble) return trouble();
  if (event.kind == Kind::kDeliver) return deliver(event.packet);
  TestNode& node = *nodes_[static_cast<size_t>(event.node - 1)];
  if (event.kind == Kind::kRestart) {
    if (!node.up()) start(event.node);
    return;
  }
  if (event.kind == Kind::kBeat) {
    if (node.up()) {
      node.beat(now_);
      // Each node tries to write, and only a leader succeeds.
      const bool write = random_.chance(1, 2);
      if (write && node.propose(++payloads_, now_) != 0) ++counts_["propose"];
      start_disk(event.node);
      arm(event.node);
    }
    return at(now_ + kBeatInterval, event);
  }
  if (!node.up() || event.incarnation != node.incarnation()) return;
  switch (event.kind) {
    case Kind::kTick:
      armed_[static_cast<size_t>(event.node - 1)] = Instant::never();
      node.tick(now_);
      break;
    case Kind::kSyncDone:
      node.finish_sync(now_);
      break;
    case Kind::kSnapshotDone:
      node.finish_snapshot(event.offer, now_);
      break;
    default:
      break;
  }
  start_disk(event.node);
  arm(event.node);
}

void RandomGroup::deliver(const Packet& packet) {
  TestNode& to = node_of(packet.to);
  if (!to.up() || cut(packet.from, packet.to)) return;
  if (const auto* message = std::get_if<Message>(&packet.what)) {
    note([&] {
      return fmt::format("{} <- {}: {}", to.id().node.value, packet.from.node.value,
                         describe(*message));
    });
  }
  to.receive(packet, now_);
  start_disk(to.id().node.value);
  arm(to.id().node.value);
}

void RandomGroup::start_disk(int number) {
  TestNode& node = *nodes_[static_cast<size_t>(number - 1)];
  if (node.disk_busy() || !node.start_sync()) return;
  const int64_t most = std::max<int64_t>(disk_delay_[static_cast<size_t>(number - 1)].ns, 1);
  const int64_t delay = random_.between(1, most);
  at(now_ + Duration{delay},
     {.kind = Kind::kSyncDone, .node = number, .incarnation = node.incarnation()});
}

void RandomGroup::arm(int number) {
  TestNode& node = *nodes_[static_cast<size_t>(number - 1)];
  const Instant due = std::max(node.raft().next_deadline(), now_ + 1_us);
  Instant& armed = armed_[static_cast<size_t>(number - 1)];
  if (due >= armed) return;
  armed = due;
  at(due, {.kind = Kind::kTick, .node = number, .incarnation = node.incarnation()});
}

void RandomGroup::start(int number) {
  TestNode& node = *nodes_[static_cast<size_t>(number - 1)];
  const uint64_t seed = random_.next();
  node.start(seed, now_);
  note([&] { return fmt::format("{} starts", number); });
  armed_[static_cast<size_t>(number - 1)] = Instant::never();
  arm(number);
  // Its connections are new ones to everybody.
  for (const auto& other : nodes_) {
    if (!other->up() || other->id() == node.id()) continue;
    other->sender_gone(node.id().node, now_);
    other->link_reset(node.id().node, now_);
    arm(other->id().node.value);
    start_disk(other->id().node.value);
  }
}

void RandomGroup::crash(int number) {
  TestNode& node = *nodes_[static_cast<size_t>(number - 1)];
  if (!node.up()) return;
  ++counts_["crash"];
  const auto kept = static_cast<size_t>(random_.below(node.writing() + 1));
  node.crash(kept);
  note([&] { return fmt::format("{} crashes, {} writes kept", number, kept); });
}

void RandomGroup::trouble() {
  if (peaceful_) return;
  const auto all = static_cast<int64_t>(nodes_.size());
  const int a = static_cast<int>(random_.between(1, all));
  const int b = static_cast<int>(random_.between(1, all));
  const int64_t wait = random_.between(1, 250);
  switch (random_.below(14)) {
    case 0:
    case 1:
    case 2: {
      crash(a);
      // Sometimes back before anybody noticed.
      const int64_t down = random_.between(1, random_.chance(1, 3) ? 20 : 500);
      at(now_ + Duration::from_ms(down), {.kind = Kind::kRestart, .node = a});
      break;
    }
    case 3: {  // Everybody, at once.
      for (int i = 1; i <= all; ++i) {
        crash(i);
        const int64_t down = random_.between(1, 100);
        at(now_ + Duration::from_ms(down), {.kind = Kind::kRestart, .node = i});
      }
      break;
    }
    case 4:
      cut_.emplace(a, b);
      break;
    case 5:  // One node, from and to everybody.
      for (int i = 1; i <= all; ++i) {
        cut_.emplace(a, i);
        cut_.emplace(i, a);
      }
      note([&] { return fmt::format("{} is cut off", a); });
      break;
    case 6: {  // Two halves.
      const uint64_t side = random_.next();
      for (int i = 1; i <= all; ++i) {
        for (int j = 1; j <= all; ++j) {
          if ((side >> i & 1) != (side >> j & 1)) cut_.emplace(i, j);
        }
      }
      note([&] { return std::string("two halves"); });
      break;
    }
    case 7:
    case 8:
      cut_.clear();
      break;
    case 9: {
      const uint64_t slow = random_.below(4);
      disk_delay_[static_cast<size_t>(a - 1)] = slow == 0 ? 150_ms : slow == 1 ? 30_ms : 1_ms;
      break;
    }
    case 10:
      loss_per_mille_ = random_.chance(1, 2) ? 0 : random_.below(300);
      break;
    case 11:
      if (options_.transfers) {
        if (const TestNode* from = leader(); from && a != from->id().node.value) {
          ++counts_["transfer"];
          (void)node_of(from->id()).transfer(replica(a), now_);
          note([&] { return fmt::format("transfer to {}", a); });
        }
      }
      break;
    case 12:
      if (options_.membership_changes) change_members();
      break;
    case 13:
      if (options_.snapshots) {
        TestNode& node = *nodes_[static_cast<size_t>(a - 1)];
        if (node.up()) node.compact(LogIndex(1'000'000), now_);
      }
      break;
  }
  for (const auto& node : nodes_) {
    if (!node->up()) continue;
    start_disk(node->id().node.value);
    arm(node->id().node.value);
  }
  at(now_ + Duration::from_ms(wait), {.kind = Kind::kTrouble});
}

void RandomGroup::change_members() {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> learners;
  for (const auto& node : nodes_) {
    const uint64_t role = random_.below(4);
    if (role < 3) voters.push_back(node->id());
    if (role == 3) learners.push_back(node->id());
  }
  for (const auto& node : nodes_) {
    if (!node->up() || node->raft().role() != Role::kLeader) continue;
    if (node->configure(voters, learners, now_)) {
      ++counts_["change"];
      note([&] { return fmt::format("{} changes members", node->id().node.value); });
    }
  }
}

void RandomGroup::heal() {
  note([&] { return std::string("peace"); });
  peaceful_ = true;
  cut_.clear();
  loss_per_mille_ = 0;
  for (Duration& delay : disk_delay_) delay = 1_ms;
  for (const auto& node : nodes_) {
    if (!node->up()) start(node->id().node.value);
  }
  // Connections that were dead are made anew.
  for (const auto& node : nodes_) {
    for (const auto& other : nodes_) node->link_reset(other->id().node, now_);
    start_disk(node->id().node.value);
    arm(node->id().node.value);
  }
}

void RandomGroup::send(const TestNode& from, Packet packet) {
  if (const auto* message = std::get_if<Message>(&packet.what)) {
    const std::vector<ReplicaView> seen = views();
    if (auto wrong = checker_.on_sent(packet.from, packet.to, *message, seen)) complain(*wrong);
  }
  if (packet.to == from.id()) return;  // The node handed it to itself.
  if (random_.below(1000) < loss_per_mille_) return;
  const uint64_t weather = peaceful_ ? 0 : random_.below(20);
  int64_t delay_us = random_.between(100, 3000);
  if (weather == 19) delay_us = random_.between(1'000, 400'000);
  if (weather == 18) {  // Twice.
    const int64_t again_us = random_.between(100, 300'000);
    at(now_ + Duration{again_us * 1000}, {.kind = Kind::kDeliver, .packet = packet});
  }
  at(now_ + Duration{delay_us * 1000}, {.kind = Kind::kDeliver, .packet = std::move(packet)});
}

void RandomGroup::note_effect(const TestNode& node, const Effect& any) {
  note([&] { return fmt::format("{}: {}", node.id().node.value, describe(any)); });
  if (std::holds_alternative<effect::TruncateFrom>(any)) ++counts_["truncate"];
  if (const auto* role = std::get_if<effect::RoleChanged>(&any);
      role && role->role == Role::kLeader) {
    ++counts_["leader"];
  }
  // Nobody here lies, so nobody has a reason to be suspected.
  if (const auto* q = std::get_if<effect::Quarantine>(&any)) {
    complain(fmt::format("{}: node {} about node {}: {}", q->invariant, node.id().node.value,
                         q->from.node.value, q->detail));
  }
}

void RandomGroup::look() {
  const std::vector<ReplicaView> seen = views();
  if (auto wrong = checker_.check(seen)) complain(*wrong);
  for (const auto& node : nodes_) {
    if (!node->up() || node->log().entries.empty()) continue;
    // Older entries were looked at when they were the last.
    const StoredEntry& last = node->log().entries.back();
    const auto [at, fresh] = identity_.emplace(last.meta.id(), last.payload);
    if (at->second != last.payload) {
      complain(fmt::format("I-R2 entry identity: two entries are {} of term {}",
                           last.meta.index.value, last.meta.term.value));
    }
  }
}

void RandomGroup::complain(std::string violation) {
  if (violation_) return;
  for (const auto& node : nodes_) {
    if (!node->up()) continue;
    const Raft& raft = node->raft();
    note([&] {
      return fmt::format("{}: {} of term {}, log {} to {}@{}, durable {}, commit {}, members {}",
                         node->id().node.value, role_name(raft.role()), raft.term().value,
                         raft.log().first().value, raft.log().last().index.value,
                         raft.log().last().term.value, raft.durable().value, raft.commit().value,
                         raft.configuration().text());
    });
  }
  note([&] { return violation; });
  violation_ = std::move(violation);
}

// I-L1 and I-L2: after a calm of many election timeouts somebody leads, and everybody has
// everything.
void RandomGroup::settle_check() {
  const TestNode* head = leader();
  if (!head) return complain("I-L1 a leader after healing: nobody leads");
  Term highest;
  for (const auto& node : nodes_) highest = std::max(highest, node->raft().term());
  for (const ReplicaId& member : head->raft().configuration().members()) {
    const Raft& raft = node_of(member).raft();
    // What was proposed in the last moments may still be under way.
    if (raft.commit() + 20 < head->raft().log().last().index) {
      return complain(fmt::format("I-L2 progress after healing: node {} committed {} of {}",
                                  member.node.value, raft.commit().value,
                                  head->raft().log().last().index.value));
    }
  }
}

bool RandomGroup::cut(const ReplicaId& from, const ReplicaId& to) const {
  return cut_.contains({from.node.value, to.node.value});
}

const TestNode* RandomGroup::leader() const {
  const TestNode* best = nullptr;
  for (const auto& node : nodes_) {
    if (!node->up() || node->raft().role() != Role::kLeader) continue;
    if (!best || node->raft().term() > best->raft().term()) best = node.get();
  }
  return best;
}

std::vector<ReplicaView> RandomGroup::views() const {
  std::vector<ReplicaView> all;
  for (const auto& node : nodes_) {
    all.push_back({.id = node->id(),
                   .incarnation = node->incarnation(),
                   .raft = node->up() ? &node->raft() : nullptr,
                   .durable_hard = &node->image().hard,
                   .durable_log = &node->image().log.view});
  }
  return all;
}

void RandomGroup::add_to_trace(const std::string& line) {
  if (trace_.size() == kTraceLines) trace_.pop_front();
  trace_.push_back(fmt::format("{:>8.1f} {}", static_cast<double>(now_.ns) / 1e6, line));
}

std::string RandomGroup::trace() const {
  std::string all;
  for (const std::string& line : trace_) all += line + "\n";
  return all;
}

}  // namespace taffrail::testing
