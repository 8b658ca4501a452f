#include "client/record.h"

#include "base/check.h"

namespace taffrail::client {

std::string TopicPartition::text() const { return topic + "-" + std::to_string(partition); }

uint32_t murmur2(std::string_view key) {
  constexpr uint32_t kM = 0x5bd1e995;
  constexpr int kR = 24;
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(key[i])); };
  uint32_t h = 0x9747b28c ^ static_cast<uint32_t>(key.size());
  size_t at = 0;
  for (; at + 4 <= key.size(); at += 4) {
    uint32_t k = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    k *= kM;
    k ^= k >> kR;
    k *= kM;
    h *= kM;
    h ^= k;
  }
  const size_t left = key.size() - at;
  if (left >= 3) h ^= byte(at + 2) << 16;
  if (left >= 2) h ^= byte(at + 1) << 8;
  if (left >= 1) {
    h ^= byte(at);
    h *= kM;
  }
  h ^= h >> 13;
  h *= kM;
  h ^= h >> 15;
  return h;
}

int32_t partition_of_key(std::string_view key, int32_t partition_count) {
  CHECK(partition_count > 0);
  return static_cast<int32_t>(murmur2(key) & 0x7fffffff) % partition_count;
}

}  // namespace taffrail::client
