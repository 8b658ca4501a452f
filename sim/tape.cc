#include "sim/tape.h"

#include <fmt/core.h>


namespace taffrail::sim {
namespace {

const char* kind_name(StreamKind kind) {
  switch (kind) {
    case StreamKind::kKnobs: return "knobs";
    case StreamKind::kWorkload: return "workload";
    case StreamKind::kLink: return "link";
    case StreamKind::kDisk: return "disk";
    case StreamKind::kClock: return "clock";
    case StreamKind::kScheduler: return "scheduler";
    case StreamKind::kOrder: return "order";
    case StreamKind::kNode: return "node";
    case StreamKind::kFaultPoint: return "fault_point";
    case StreamKind::kFaultPlan: return "fault_plan";
    case StreamKind::kFault: return "fault";
    case StreamKind::kSocket: return "socket";
    case StreamKind::kTest: return "test";
  }
  return "?";
}

}  // namespace

std::string StreamId::text() const {
  if (!name.empty()) return fmt::format("{}/{}", kind_name(kind), name);
  return fmt::format("{}/{}/{}", kind_name(kind), a, b);
}

uint64_t Tape::key_of(uint64_t seed, const StreamId& id) {
  const uint64_t place = static_cast<uint64_t>(id.a) << 32 | id.b;
  const uint64_t kind = mix64(seed, static_cast<uint64_t>(id.kind));
  const uint64_t placed = mix64(kind, place);
  return id.name.empty() ? placed : mix64(placed, digest(id.name));
}

Stream& Tape::stream(const StreamId& id) {
  const uint64_t key = key_of(seed_, id);
  auto& slot = streams_[key];
  if (!slot) {
    slot = std::unique_ptr<Stream>(new Stream(*this, key));
    names_.emplace(key, id);
  }
  return *slot;
}

}  // namespace taffrail::sim
