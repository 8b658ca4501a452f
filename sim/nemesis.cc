#include "sim/nemesis.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace taffrail::sim {

Nemesis::Nemesis(World& world, std::vector<NodeId> machines, std::vector<Fault> faults, Options options)
    : world_(world), machines_(std::move(machines)), faults_(std::move(faults)), options_(options),
      down_(machines_.size()), stopped_(machines_.size()), gone_(machines_.size()), left_(machines_.size()) {
  if (options_.brokers == 0) options_.brokers = static_cast<uint32_t>(machines_.size());
}

void Nemesis::release() {
  for (const Fault& fault : faults_) {
    // A scenario that people edited may name machines that this run does not have.
    const bool known = std::all_of(fault.nodes.begin(), fault.nodes.end(), [&](uint32_t n) { return n < machines_.size(); });
    if (known) world_.at(fault.at, [this, &fault] { begin(fault); });
  }
  if (!options_.restarts_stopped) return;
  world_.on_stop([this](NodeId node) {
    const auto at = std::find(machines_.begin(), machines_.end(), node);
    if (at == machines_.end()) return;
    const auto machine = static_cast<size_t>(at - machines_.begin());
    if (leaves && leaves(world_.stops().back())) {
      left_[machine] = true;
      std::erase(core_, node);
      return;
    }
    Stream& draws = world_.stream(StreamKind::kFault, 0, node.value);
    const Duration wait{options_.restart_stopped.base.ns +
                        draws.draw_between(0, options_.restart_stopped.jitter.ns, "started again after")};
    world_.after(wait, [this, machine] { bring_up(machine); });
  });
}

void Nemesis::begin(const Fault& fault) {
  world_.trace().add(TraceKind::kFault, fault.id, static_cast<uint64_t>(fault.kind), 0);
  if (world_.trace().telling()) world_.trace().tell(-1, fault.text());
  Stream& draws = world_.stream(StreamKind::kFault, fault.id);
  const size_t machine = fault.nodes.empty() ? 0 : fault.nodes[0];
  const NodeId node = machines_[machine];
  switch (fault.kind) {
    case FaultKind::kKill:
    case FaultKind::kPowerCut:
    case FaultKind::kWipe:
    case FaultKind::kTruncate:
    case FaultKind::kDelete:
      return take_down(fault, machine);
    case FaultKind::kPowerCutAll:
      for (size_t i = 0; i < options_.brokers; ++i) take_down(fault, i);
      return;
    case FaultKind::kRestartStorm:
      return storm(machine, fault.amount, fault.duration);
    case FaultKind::kPause:
      if (!is_up(machine)) return;
      count(fault.kind, true);
      ++stopped_[machine];
      world_.pause(node);
      return end_later(fault, [this, machine] {
        if (stopped_[machine] > 0 && --stopped_[machine] == 0) world_.resume(machines_[machine]);
      });
    case FaultKind::kSlowCpu:
      count(fault.kind, is_up(machine));
      world_.slow(node, static_cast<uint32_t>(std::max<int64_t>(1, fault.amount)));
      return end_later(fault, [this, node] { world_.slow(node, 1); });
    case FaultKind::kIsolate:
    case FaultKind::kSplit:
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
      return begin_partition(fault);
    case FaultKind::kLinkSlow: {
      const uint32_t a = node.value;
      const uint32_t b = machines_[fault.nodes[1]].value;
      const auto factor = static_cast<uint32_t>(std::max<int64_t>(1, fault.amount));
      world_.net().slow(a, b, factor);
      world_.net().slow(b, a, factor);
      return end_later(fault, [this, a, b] {
        world_.net().slow(a, b, 1);
        world_.net().slow(b, a, 1);
      });
    }
    case FaultKind::kConnReset:
      return count(fault.kind, world_.net().reset_connections(node.value, machines_[fault.nodes[1]].value, draws) > 0);
    case FaultKind::kHalfOpen:
      return count(fault.kind, world_.net().black_hole(node.value, machines_[fault.nodes[1]].value) > 0);
    case FaultKind::kClockJump:
      count(fault.kind, true);
      return world_.jump_clock(node, Duration::from_ms(fault.amount));
    case FaultKind::kClockDrift:
      count(fault.kind, true);
      world_.set_clock_drift(node, static_cast<int32_t>(fault.amount));
      return end_later(fault, [this, node] { world_.set_clock_drift(node, 0); });
    case FaultKind::kHeal:
    case FaultKind::kHealCore:
      return heal(fault);
    case FaultKind::kMove:
    case FaultKind::kElect:
    case FaultKind::kRetire:
      if (on_change) on_change(fault);
      return;
    default:
      return begin_disk(fault, draws);
  }
}

void Nemesis::end_later(const Fault& fault, std::function<void()> undo) {
  world_.after(fault.duration, [this, age = age_, undo = std::move(undo)] {
    if (age == age_) undo();
  });
}

// Of several disks one or all.
std::optional<uint32_t> Nemesis::which_wiped(const Fault& fault, NodeId node) {
  const uint32_t count = world_.disk_count(node);
  if (count == 1) return std::nullopt;
  const uint64_t which = world_.stream(StreamKind::kFault, fault.id).draw(count + 1, "which disk is wiped");
  if (which == count) return std::nullopt;
  return static_cast<uint32_t>(which);
}

void Nemesis::take_down(const Fault& fault, size_t machine) {
  const NodeId node = machines_[machine];
  const bool takes_file = fault.kind == FaultKind::kTruncate || fault.kind == FaultKind::kDelete;
  if (!takes_file) count(fault.kind, fault.kind == FaultKind::kWipe || is_up(machine));
  if (fault.kind == FaultKind::kKill || takes_file) world_.kill(node);
  else if (fault.kind == FaultKind::kWipe) world_.wipe(node, which_wiped(fault, node));
  else world_.power_cut(node);
  if (takes_file) {
    Stream& draws = world_.stream(StreamKind::kFault, fault.id);
    SimDisk& disk = world_.disk(node, static_cast<uint32_t>(draws.draw(world_.disk_count(node), "which disk")));
    const auto path = fault.kind == FaultKind::kTruncate ? disk.truncate_file(draws) : disk.delete_file(draws);
    count(fault.kind, path.has_value());
    if (path && world_.trace().telling()) world_.trace().tell(static_cast<int32_t>(node.value), fmt::format("{}: {}", fault_kind_name(fault.kind), *path));
  }
  stopped_[machine] = 0;
  ++down_[machine];
  if (fault.duration.ns == 0) return;  // For good, or until the heal.
  end_later(fault, [this, machine] {
    if (down_[machine] > 0 && --down_[machine] == 0) bring_up(machine);
  });
}

void Nemesis::storm(size_t machine, int64_t left, Duration apart) {
  if (left <= 0) return;
  if (is_up(machine)) {
    count(FaultKind::kRestartStorm, true);
    stopped_[machine] = 0;
    world_.kill(machines_[machine]);
    if (down_[machine] == 0) bring_up(machine);
  }
  world_.after(apart, [this, machine, left, apart, age = age_] {
    if (age == age_) storm(machine, left - 1, apart);
  });
}

void Nemesis::repair_directories(const std::function<bool(uint32_t)>& failed) {
  for (uint32_t i = 0; i < options_.brokers; ++i) {
    if (!is_up(i) || world_.paused(machines_[i]) || !failed(i) || repairing_.contains(i)) continue;
    repairing_.insert(i);
    Stream& draws = world_.stream(StreamKind::kFault, 0, machines_[i].value);
    const Duration wait{options_.repair_directory.base.ns + draws.draw_between(0, options_.repair_directory.jitter.ns, "a disk is replaced after")};
    world_.after(wait, [this, i, failed] {
      repairing_.erase(i);
      // It may have started again meanwhile, and be well.
      if (!is_up(i) || world_.paused(machines_[i]) || !failed(i)) return;
      world_.kill(machines_[i]);
      bring_up(i);
    });
  }
}

void Nemesis::bring_up(size_t machine) {
  if (is_up(machine) || down_[machine] > 0 || gone_[machine] || left_[machine]) return;
  if (on_start && machine < options_.brokers) on_start(static_cast<uint32_t>(machine));
  world_.restart(machines_[machine]);
}

void Nemesis::block_between(const Fault& fault, const std::vector<std::pair<uint32_t, uint32_t>>& links) {
  count(fault.kind, !links.empty());
  for (const auto& [from, to] : links) world_.net().block(from, to);
  end_later(fault, [this, links] {
    for (const auto& [from, to] : links) world_.net().unblock(from, to);
  });
}

void Nemesis::begin_partition(const Fault& fault) {
  std::vector<std::pair<uint32_t, uint32_t>> links;
  if (fault.kind == FaultKind::kOneWay) {
    links.emplace_back(machines_[fault.nodes[0]].value, machines_[fault.nodes[1]].value);
    return block_between(fault, links);
  }
  // Two banks: who is named, and who is not. A bridge stands on both.
  const bool bridge = fault.kind == FaultKind::kBridge;
  const auto named = [&](uint32_t machine) {
    return std::find(fault.nodes.begin() + (bridge ? 1 : 0), fault.nodes.end(), machine) != fault.nodes.end();
  };
  // Clients that still reach a leader give it what nobody will ever commit.
  const size_t parted = fault.kind == FaultKind::kIsolate && fault.amount == 1 ? options_.brokers : machines_.size();
  for (uint32_t a = 0; a < parted; ++a) {
    for (uint32_t b = 0; b < parted; ++b) {
      if (bridge && (a == fault.nodes[0] || b == fault.nodes[0])) continue;
      if (named(a) != named(b)) links.emplace_back(machines_[a].value, machines_[b].value);
    }
  }
  block_between(fault, links);
}

void Nemesis::begin_disk(const Fault& fault, Stream& draws) {
  const NodeId node = machines_[fault.nodes[0]];
  SimDisk& disk = world_.disk(node, static_cast<uint32_t>(draws.draw(world_.disk_count(node), "which disk")));
  const auto amount = static_cast<uint32_t>(std::clamp<int64_t>(fault.amount, 0, UINT32_MAX));
  switch (fault.kind) {
    case FaultKind::kDiskSlow: return disk.slow_down(std::max(1u, amount), world_.now() + fault.duration);
    case FaultKind::kStuckSync: return disk.stick_syncs(world_.now() + fault.duration);
    case FaultKind::kSyncFail: return disk.fail_syncs(amount);
    case FaultKind::kReadError: return disk.fail_reads(amount);
    case FaultKind::kWriteError: return disk.fail_writes(amount);
    case FaultKind::kMisdirected: return disk.misdirect_pages(amount);
    case FaultKind::kLostWrite: return disk.lose_pages(amount);
    case FaultKind::kBadPage: return count(fault.kind, disk.spoil(draws));
    case FaultKind::kBitRot: return count(fault.kind, disk.rot(amount, draws));
    case FaultKind::kDiskFull:
      disk.limit_space(amount);
      return end_later(fault, [&disk] { disk.unlimit_space(); });
    default: CHECK(false, "every kind of fault is executed");
  }
}

void Nemesis::heal(const Fault& fault) {
  ++age_;
  healed_ = true;
  core_.clear();
  std::fill(down_.begin(), down_.end(), 0);
  std::fill(stopped_.begin(), stopped_.end(), 0);
  world_.heal();
  for (uint32_t i = 0; i < options_.brokers; ++i) {
    const bool in_core = fault.kind == FaultKind::kHeal ||
                         std::find(fault.nodes.begin(), fault.nodes.end(), i) != fault.nodes.end();
    if (in_core && !left_[i]) core_.push_back(machines_[i]);
    gone_[i] = !in_core && fault.amount == 1;
    if (gone_[i]) world_.power_cut(machines_[i]);
    else bring_up(i);
    if (!in_core && fault.amount == 2) world_.isolate(machines_[i]);
  }
  count(fault.kind, true);
}

uint64_t Nemesis::took_effect(FaultKind kind) const {
  uint64_t sum = felt_[static_cast<size_t>(kind)];
  if (kind == FaultKind::kLinkSlow) return world_.net().stats().slowed;
  std::vector<const SimDisk*> disks;
  for (const NodeId node : machines_)
    for (uint32_t i = 0; i < world_.disk_count(node); ++i) disks.push_back(&world_.disk(node, i));
  for (const SimDisk* each : disks) {
    const DiskFaultStats& disk = each->faults();
    switch (kind) {
      case FaultKind::kDiskSlow: sum += disk.slow; break;
      case FaultKind::kStuckSync: sum += disk.stuck_syncs; break;
      case FaultKind::kSyncFail: sum += disk.failed_syncs; break;
      case FaultKind::kReadError: sum += disk.failed_reads; break;
      case FaultKind::kWriteError: sum += disk.failed_writes; break;
      case FaultKind::kDiskFull: sum += disk.full; break;
      case FaultKind::kMisdirected: sum += disk.misdirected_writes; break;
      case FaultKind::kLostWrite: sum += disk.lost_writes; break;
      default: return sum;
    }
  }
  return sum;
}

std::string Nemesis::summary() const {
  std::string out;
  for (size_t i = 0; i < kFaultKinds; ++i) {
    const uint64_t felt = took_effect(static_cast<FaultKind>(i));
    if (felt == 0) continue;
    if (!out.empty()) out += ", ";
    out += fmt::format("{} {}", fault_kind_name(static_cast<FaultKind>(i)), felt);
  }
  return out;
}

}  // namespace taffrail::sim
