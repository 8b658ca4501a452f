#include "broker/leaders.h"

#include "base/key_bytes.h"

namespace taffrail {
namespace {
constexpr uint16_t kFormat = 1;
}

bool Leaders::update(const PartitionKey& key, Leadership leadership) {
  Leadership& known = known_[key];
  if (std::pair(leadership.epoch, leadership.version) <= std::pair(known.epoch, known.version)) return false;
  known = std::move(leadership);
  return true;
}

const Leadership* Leaders::find(const PartitionKey& key) const {
  const auto it = known_.find(key);
  return it == known_.end() ? nullptr : &it->second;
}

void Leaders::forget_topic(const TopicId& topic) {
  auto it = known_.lower_bound({topic, 0});
  while (it != known_.end() && it->first.topic == topic) it = known_.erase(it);
}

std::vector<Leaders::Update> Leaders::all() const { return {known_.begin(), known_.end()}; }

Slice Leaders::encode(std::span<const Update> updates) {
  ByteWriter out;
  out.u16(kFormat);
  out.u32(static_cast<uint32_t>(updates.size()));
  for (const auto& [key, leadership] : updates) {
    write_key(out, key);
    out.i64(leadership.epoch.value);
    out.i32(leadership.leader.value);
    out.u64(leadership.version);
    out.u16(static_cast<uint16_t>(leadership.in_sync.size()));
    for (const BrokerId id : leadership.in_sync) out.i32(id.value);
  }
  return Slice(out.view());
}

Result<std::vector<Leaders::Update>> Leaders::decode(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); format != kFormat)
    return fail(Errc::kUnsupported, "leaderships in format " + std::to_string(format));
  std::vector<Update> updates;
  for (uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    Update& u = updates.emplace_back();
    u.first = read_key(in);
    u.second.epoch = Term(in.i64());
    u.second.leader = BrokerId(in.i32());
    u.second.version = in.u64();
    for (uint16_t n = in.u16(); n > 0 && in.ok(); --n) u.second.in_sync.push_back(BrokerId(in.i32()));
  }
  if (!in.done()) return fail(Errc::kCorrupt, "leaderships cut short or too long");
  return updates;
}

}  // namespace taffrail
