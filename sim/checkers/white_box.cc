#include "sim/checkers/white_box.h"

#include <fmt/core.h>

#include "base/crc32c.h"
#include "consensus/driver.h"
#include "partition/producers.h"
#include "record/batch.h"
#include "storage/store.h"

namespace taffrail::sim {

std::optional<std::string> WhiteBox::check_partition(uint32_t broker, Partition& partition) {
  const ReadView view = partition.view();
  const auto where = [&] { return fmt::format("broker {} {}-{}", broker + 1, partition.topic_name(), partition.key().partition); };
  if (view.log_start > view.last_stable || view.last_stable > view.high_watermark || view.high_watermark > view.log_end)
    return fmt::format("I-D5 order: {}: start {}, stable {}, watermark {}, end {}", where(), view.log_start.value,
                       view.last_stable.value, view.high_watermark.value, view.log_end.value);
  return std::nullopt;
}

WhiteBox::WhiteBox(SimCluster& cluster) : cluster_(cluster) {
  cluster_.on_step = [this](const PartitionKey& key) { look(key); };
}

WhiteBox::~WhiteBox() { cluster_.on_step = nullptr; }

void WhiteBox::look(const PartitionKey& key) {
  if (seen_) return;
  views_.clear();
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    taffrail::Node* node = cluster_.node(i);
    RaftGroup* group = node == nullptr ? nullptr : node->find_group(key);
    if (group == nullptr) continue;
    views_.push_back({group->raft().self(), cluster_.world().incarnation(cluster_.broker(i)), &group->raft(), nullptr, nullptr});
  }
  Group& group = groups_[key];
  if (auto violation = group.checker.check(views_)) {
    seen_ = fmt::format("{} ({})", *violation, key.text());
    return;
  }
  for (const ReplicaView& view : views_) {
    if (view.raft->role() == Role::kLeader && group.leaders.emplace(view.raft->term(), view.id.node).second)
      elections_ += group.leaders.size() > 1 ? 1 : 0;
    auto& [incarnation, end] = group.last[view.id.node];
    const LogIndex last = view.raft->log().last().index;
    if (incarnation == view.incarnation && last < end) ++truncations_;
    incarnation = view.incarnation;
    end = last;
  }
}

std::optional<std::string> WhiteBox::check_now() {
  if (seen_) return seen_;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    taffrail::Node* node = cluster_.node(i);
    if (node == nullptr) continue;
    for (const auto& [key, invariant] : node->quarantines())
      return fmt::format("{}: broker {} put {} in quarantine", invariant, i + 1, key.text());
    for (Partition* partition : node->partitions())
      if (partition->group() != nullptr)
        if (auto violation = check_partition(i, *partition)) return violation;
  }
  return std::nullopt;
}

// I-D2 and I-R3: the same bytes at the same place on every replica. I-S1: what is read back is what its
// envelope says. I-S2: offsets dense. I-S5: live producers are what a replay of the log gives.
std::vector<std::string> WhiteBox::check_settled() {
  std::vector<std::string> out;
  struct Stored {
    EntryMeta meta;
    uint32_t crc = 0;
    uint32_t broker = 0;
  };
  std::map<PartitionKey, std::map<LogIndex, Stored>> logs;
  for (uint32_t i = 0; i < cluster_.broker_count(); ++i) {
    if (!cluster_.serving(i)) continue;
    const bool ended = cluster_.world().run_fiber(cluster_.broker(i), [&](Task& task, Runtime&) {
      taffrail::Node* node = cluster_.node(i);
      if (node == nullptr) return;
      for (Partition* partition : node->partitions()) {
        Log& log = partition->log();
        const auto where = fmt::format("broker {} {}-{}", i + 1, partition->topic_name(), partition->key().partition);
        ProducerTable replayed;
        std::optional<Offset> next_offset;
        for (LogIndex next = log.first_index(); next <= log.committed();) {
          const auto entries = log.read_entries(task, next, 1_MiB, 1000);
          if (!entries) {
            out.push_back(fmt::format("I-S1 read-back: {}: entry {}: {}", where, next.value, entries.error().text()));
            break;
          }
          for (const Entry& entry : *entries) {
            next = entry.meta.index + 1;
            if (entry.meta.index > log.committed()) break;
            if (next_offset && entry.meta.base_offset != *next_offset)
              out.push_back(fmt::format("I-S2 dense offsets: {}: entry {} begins at {}, not {}", where, entry.meta.index.value,
                                        entry.meta.base_offset.value, next_offset->value));
            next_offset = entry.meta.next_offset();
            if (entry.meta.kind == EntryKind::kBatch) {
              const auto batch = BatchView::parse(entry.payload);
              if (!batch || !batch->check_crc() || batch->base_offset() != entry.meta.base_offset) {
                out.push_back(fmt::format("I-S1 read-back: {}: entry {} is not the batch that was written", where, entry.meta.index.value));
                continue;
              }
              replayed.apply(*batch, entry.meta.id());
            }
            const Stored mine{entry.meta, crc32c(entry.payload), i};
            const auto [it, fresh] = logs[partition->key()].emplace(entry.meta.index, mine);
            if (!fresh && (!(it->second.meta == mine.meta) || it->second.crc != mine.crc))
              out.push_back(fmt::format("I-D2 one value: entry {} of {} differs between broker {} and broker {}", entry.meta.index.value,
                                        partition->key().text(), it->second.broker + 1, i + 1));
          }
        }
        const bool whole = log.first_index() == LogIndex(1) && partition->applied().index == log.committed();
        if (whole && replayed.applied() != partition->producer_table().applied())
          out.push_back(fmt::format("I-S5 replay: {}: the producers are not those that the log gives", where));
      }
    }, 30_s);
    if (!ended) out.push_back(fmt::format("liveness: the logs of broker {} could not be read", i + 1));
  }
  return out;
}

}  // namespace taffrail::sim
