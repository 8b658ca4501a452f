#include "group/consumer_protocol.h"

#include <algorithm>

namespace taffrail::group {
namespace {

constexpr int16_t kNewest = 3;

std::optional<std::string> take_text(ByteReader& in) {
  const int16_t size = in.i16();
  if (size < 0) return std::nullopt;
  return std::string(as_text(in.bytes(static_cast<size_t>(size))));
}

NamedPartitions take_partitions(ByteReader& in) {
  NamedPartitions out;
  for (int32_t topics = in.i32(); topics > 0 && in.ok(); --topics) {
    auto& partitions = out[take_text(in).value_or("")];
    for (int32_t left = in.i32(); left > 0 && in.ok(); --left) partitions.push_back(in.i32());
  }
  return out;
}

}  // namespace

std::optional<Subscription> parse_subscription(ByteView bytes) {
  ByteReader in(bytes);
  Subscription out;
  out.version = std::min(in.i16(), kNewest);
  if (!in.ok() || out.version < 0) return std::nullopt;
  for (int32_t left = in.i32(); left > 0 && in.ok(); --left) out.topics.push_back(take_text(in).value_or(""));
  if (const int32_t user_data = in.i32(); user_data > 0) (void)in.bytes(static_cast<size_t>(user_data));
  if (out.version >= 1) out.owned = take_partitions(in);
  if (out.version >= 2) (void)in.i32();  // The generation that it owned them in.
  if (out.version >= 3) out.rack = take_text(in);
  if (!in.ok()) return std::nullopt;
  return out;
}

std::optional<NamedPartitions> parse_assignment(ByteView bytes) {
  NamedPartitions out;
  if (bytes.empty()) return out;
  ByteReader in(bytes);
  if (in.i16() < 0) return std::nullopt;
  out = take_partitions(in);
  const int32_t user_data = in.i32();
  if (!in.ok() || user_data > 0) return std::nullopt;
  return out;
}

Slice make_assignment(int16_t version, const NamedPartitions& partitions) {
  ByteWriter out;
  out.i16(version);
  out.i32(static_cast<int32_t>(partitions.size()));
  for (const auto& [topic, list] : partitions) {
    out.i16(static_cast<int16_t>(topic.size()));
    out.bytes(as_bytes(topic));
    out.i32(static_cast<int32_t>(list.size()));
    for (const int32_t partition : list) out.i32(partition);
  }
  out.i32(-1);
  return Slice(out.view());
}

}  // namespace taffrail::group
