#include "base/ids.h"

#include <string_view>

#include "base/random.h"

namespace taffrail {
namespace {
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}

std::string Uuid::text() const {
  // 128 bits are 21 characters of six bits and one of two, followed by four zero bits.
  std::string out;
  out.reserve(22);
  const unsigned __int128 all = (static_cast<unsigned __int128>(high) << 64) | low;
  for (int i = 0; i < 21; ++i) out.push_back(kAlphabet[static_cast<size_t>(all >> (122 - 6 * i)) & 63]);
  out.push_back(kAlphabet[static_cast<size_t>(all & 3) << 4]);
  return out;
}

Uuid Uuid::parse(std::string_view text) {
  if (text.size() != 22) return {};
  unsigned __int128 all = 0;
  for (size_t i = 0; i < 22; ++i) {
    const size_t digit = kAlphabet.find(text[i]);
    if (digit == std::string_view::npos) return {};
    if (i < 21) {
      all = (all << 6) | digit;
    } else {
      if ((digit & 15) != 0) return {};
      all = (all << 2) | (digit >> 4);
    }
  }
  return {static_cast<uint64_t>(all >> 64), static_cast<uint64_t>(all)};
}

namespace {

uint64_t place_of(const PartitionKey& key) {
  return mix64(key.topic.high, key.topic.low) + static_cast<uint32_t>(key.partition);
}

}  // namespace

uint32_t directory_of(const PartitionKey& key, uint32_t directories) {
  return directories <= 1 || key == kMetadataPartition ? 0 : static_cast<uint32_t>(place_of(key) % directories);
}

ShardId shard_of(const PartitionKey& key, NodeShape shape) {
  if (shape.shards <= 1 || key == kMetadataPartition) return ShardId(0);
  const uint32_t directory = directory_of(key, shape.directories);
  // Of those with this directory: directory, directory + directories, ...
  const uint32_t sharing = (shape.shards - directory + shape.directories - 1) / shape.directories;
  const uint64_t round = place_of(key) / shape.directories;
  return ShardId(directory + shape.directories * static_cast<uint32_t>(round % sharing));
}

std::string PartitionKey::text() const { return topic.text() + "-" + std::to_string(partition); }

}  // namespace taffrail
