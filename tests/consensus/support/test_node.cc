#include "consensus/support/test_node.h"

#include <algorithm>

#include "base/check.h"

namespace taffrail::testing {

void StoredLog::append(const StoredEntry& entry) {
  entry.meta.kind == EntryKind::kConfig ? view.append(entry.meta.id(), entry.configuration)
                                        : view.append(entry.meta.id());
  entries.push_back(entry);
}

void StoredLog::truncate_from(LogIndex from) {
  if (from > view.last().index) return;
  view.truncate_from(from);
  entries.resize(static_cast<size_t>(view.last().index - view.prefix().index));
}

void StoredLog::drop_prefix(LogIndex index) {
  const auto count = index - view.prefix().index;
  view.drop_prefix(index);
  entries.erase(entries.begin(), entries.begin() + count);
}

void StoredLog::reset(EntryId prefix, const Configuration& configuration) {
  view.reset(prefix, configuration);
  entries.clear();
}

const StoredEntry& StoredLog::at(LogIndex index) const {
  return entries.at(static_cast<size_t>(index - view.first()));
}

TestNode::TestNode(Raft::Options options, Configuration initial, Hooks hooks)
    : options_(options), hooks_(std::move(hooks)) {
  image_.log.view = LogView({}, std::move(initial));
}

void TestNode::start(uint64_t seed, Instant now) {
  ++incarnation_;
  log_ = image_.log;
  raft_.emplace(options_, image_.hard, log_.view, log_.view.prefix().index, seed, now);
}

void TestNode::crash(size_t kept) {
  for (size_t i = 0; i < kept && i < in_flight_; ++i) apply(queue_[i]);
  queue_.clear();
  in_flight_ = 0;
  raft_.reset();
}

void TestNode::receive(const Packet& packet, Instant now) {
  Effects out;
  if (const auto* message = std::get_if<Message>(&packet.what)) {
    Message copy = *message;
    if (auto* append = std::get_if<AppendRequest>(&copy)) {
      for (const StoredEntry& entry : packet.entries) {
        if (entry.meta.kind == EntryKind::kConfig) {
          append->configurations.push_back(entry.configuration);
        }
      }
    }
    raft_->step(packet.from, copy, now, out);
  } else if (const auto* beat_from = std::get_if<Beat>(&packet.what)) {
    raft_->leader_contact(packet.from, beat_from->term, now, now, out);
    // Whoever does not follow refuses, and is no contact.
    if (raft_->leader() == packet.from && raft_->term() == beat_from->term) {
      hooks_.send(*this, {id(), packet.from, BeatAnswer{}, {}});
    }
  } else {
    raft_->peer_contact(packet.from, now);
  }
  run(out, now, &packet);
}

void TestNode::tick(Instant now) {
  Effects out;
  raft_->tick(now, out);
  run(out, now, nullptr);
}

void TestNode::link_reset(BrokerId node, Instant now) {
  Effects out;
  raft_->link_reset(node, now, out);
  run(out, now, nullptr);
}

void TestNode::sender_gone(BrokerId node, Instant now) { raft_->sender_gone(node, now); }

uint64_t TestNode::propose(uint64_t payload, Instant now) {
  if (!raft_->accepts_appends()) return 0;
  StoredEntry entry;
  entry.meta.kind = EntryKind::kBatch;
  entry.meta.offset_count = 1;
  entry.payload = payload;
  append(entry, now);
  return payload;
}

Result<> TestNode::transfer(ReplicaId to, Instant now) {
  Effects out;
  const Result<> done = raft_->transfer_leadership(to, now, out);
  run(out, now, nullptr);
  return done;
}

Result<> TestNode::configure(std::vector<ReplicaId> voters, std::vector<ReplicaId> learners,
                             Instant now) {
  Effects out;
  const Result<> done =
      raft_->propose_configuration(std::move(voters), std::move(learners), now, out);
  run(out, now, nullptr);
  return done;
}

void TestNode::finish_snapshot(const SnapshotOffer& offer, Instant now) {
  sync_all(now);
  Effects out;
  const bool held = log_.view.contains(offer.last);
  if (raft_->on_snapshot_installed(offer.last, offer.configuration, now, out)) {
    for (StoredLog* log : {&log_, &image_.log}) {
      held ? log->drop_prefix(offer.last.index) : log->reset(offer.last, offer.configuration);
    }
  }
  run(out, now, nullptr);
}

void TestNode::doubt_tail(Instant now) {
  Effects out;
  raft_->set_possibly_longer(true, now, out);
  run(out, now, nullptr);
}

void TestNode::compact(LogIndex index, Instant now) {
  index = std::min({index, raft_->commit(), raft_->durable()});
  if (index <= log_.view.prefix().index) return;
  Effects out;
  raft_->on_prefix_dropped(index, out);
  log_.drop_prefix(index);
  image_.log.drop_prefix(index);
  run(out, now, nullptr);
}

void TestNode::beat(Instant) {
  if (raft_->role() != Role::kLeader) return;
  for (const Progress& progress : raft_->progress()) {
    hooks_.send(*this, {id(), progress.replica, Beat{raft_->term()}, {}});
  }
}

bool TestNode::start_sync() {
  if (in_flight_ > 0) return true;
  in_flight_ = queue_.size();
  in_flight_mark_ = raft_->persist_mark();
  return in_flight_ > 0;
}

void TestNode::finish_sync(Instant now) {
  // All of it is durable before any of it is spoken of.
  std::vector<Write> done(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(in_flight_));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(in_flight_));
  in_flight_ = 0;
  for (const Write& write : done) apply(write);
  Effects out;
  raft_->on_persisted(in_flight_mark_, now, out);
  run(out, now, nullptr);
  for (const Write& write : done) {
    const auto* packet = std::get_if<Packet>(&write.what);
    if (!packet) continue;
    const Message& message = std::get<Message>(packet->what);
    if (term_of(message) == raft_->term()) leave(packet->to, message, {}, now);
  }
}

void TestNode::sync_all(Instant now) {
  while (start_sync()) finish_sync(now);
}

void TestNode::run(Effects& effects, Instant now, const Packet* packet) {
  for (const Effect& effect : effects.take()) carry_out(effect, now, packet);
}

void TestNode::carry_out(const Effect& any, Instant now, const Packet* packet) {
  if (hooks_.on_effect) hooks_.on_effect(*this, any);
  if (const auto* send = std::get_if<effect::Send>(&any)) {
    leave(send->to, send->message, {}, now);
  } else if (const auto* later = std::get_if<effect::SendOnceDurable>(&any)) {
    queue_.push_back({Packet{id(), later->to, later->message, {}}});
  } else if (const auto* hard = std::get_if<effect::PersistHardState>(&any)) {
    queue_.push_back({hard->state});
  } else if (const auto* cut = std::get_if<effect::TruncateFrom>(&any)) {
    log_.truncate_from(cut->from);
    queue_.push_back({cut->from});
  } else if (const auto* accept = std::get_if<effect::Accept>(&any)) {
    for (const StoredEntry& entry : packet->entries) {
      if (entry.meta.index < accept->first) continue;
      log_.append(entry);
      queue_.push_back({entry});
    }
  } else if (const auto* own = std::get_if<effect::AppendOwn>(&any)) {
    append_own(*own, now);
  } else if (const auto* want = std::get_if<effect::WantAppend>(&any)) {
    replicate(want->to, now);
  } else if (const auto* snapshot = std::get_if<effect::WantSnapshot>(&any)) {
    offer_snapshot(snapshot->to);
  } else if (const auto* fetch = std::get_if<effect::FetchSnapshot>(&any)) {
    if (hooks_.fetch_snapshot) hooks_.fetch_snapshot(*this, *fetch);
  }
}

void TestNode::append_own(const effect::AppendOwn& own, Instant now) {
  StoredEntry entry;
  entry.meta.kind = own.kind;
  entry.configuration = own.configuration;
  entry.payload = (uint64_t{1} << 63) + static_cast<uint64_t>(id().node.value) * 1'000'000'000 +
                  incarnation_ * 1'000'000 + ++own_payloads_;
  append(entry, now);
}

void TestNode::append(StoredEntry entry, Instant now) {
  entry.meta.index = raft_->log().last().index + 1;
  entry.meta.term = raft_->term();
  log_.append(entry);
  queue_.push_back({entry});
  Effects out;
  raft_->append({&entry.meta, 1}, now, out,
                entry.meta.kind == EntryKind::kConfig ? &entry.configuration : nullptr);
  run(out, now, nullptr);
}

void TestNode::replicate(ReplicaId to, Instant now) {
  constexpr int64_t kMaxEntries = 3;  // Small, so that even short logs need several requests.
  while (const auto plan = raft_->next_append(to)) {
    std::vector<StoredEntry> entries;
    std::vector<EntryMeta> metas;
    LogIndex last = std::min(plan->last, plan->first + (kMaxEntries - 1));
    // Every other probe goes without the entry it may take along: a driver need not have it at
    // hand.
    if (plan->probe && plan->serial % 2 == 0) last = plan->first - 1;
    for (LogIndex i = plan->first; i <= last; ++i) {
      entries.push_back(log_.at(i));
      metas.push_back(entries.back().meta);
    }
    std::optional<AppendRequest> request = raft_->make_append(*plan, metas, now);
    CHECK(request.has_value(), "nothing happened between plan and request");
    leave(to, *std::move(request), std::move(entries), now);
  }
}

void TestNode::offer_snapshot(ReplicaId to) {
  const EntryId last = raft_->log().at(raft_->commit());
  const auto offer =
      raft_->snapshot_offer(to, last, raft_->log().configuration_at(raft_->commit()));
  if (offer) leave(to, *offer, {}, {});
}

void TestNode::leave(ReplicaId to, const Message& message, std::vector<StoredEntry> entries,
                     Instant now) {
  Packet packet{id(), to, message, std::move(entries)};
  hooks_.send(*this, packet);
  if (to == id()) receive(packet, now);
}

void TestNode::apply(const Write& write) {
  if (const auto* hard = std::get_if<HardState>(&write.what)) {
    image_.hard = *hard;
  } else if (const auto* from = std::get_if<LogIndex>(&write.what)) {
    image_.log.truncate_from(*from);
  } else if (const auto* entry = std::get_if<StoredEntry>(&write.what)) {
    image_.log.append(*entry);
  }
}

}  // namespace taffrail::testing
