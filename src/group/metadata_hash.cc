#include "group/metadata_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string_view>

#include "base/utf16.h"

namespace taffrail::group {
namespace {

/// Little endian, and text as its UTF-16 units and then how many: how Kafka feeds its hash.
class Feed {
 public:
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void i32(int32_t v) { put(static_cast<uint32_t>(v), 4); }
  void i64(uint64_t v) { put(v, 8); }
  void text(std::string_view v) {
    int32_t units = 0;
    for_each_utf16_unit(v, [&](uint16_t unit) {
      put(unit, 2);
      ++units;
    });
    i32(units);
  }
  uint64_t hash() const { return XXH3_64bits(out_.data(), out_.size()); }

 private:
  void put(uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) u8(static_cast<uint8_t>(v >> (8 * i)));
  }
  std::string out_;
};

uint64_t topic_hash(const Topic& topic, const Topics& topics) {
  Feed feed;
  feed.u8(0);
  feed.i64(topic.id.high);
  feed.i64(topic.id.low);
  feed.text(topic.name);
  feed.i32(topic.partitions);
  int32_t partition = 0;
  for (const auto& racks : topics.racks(topic.id)) {
    feed.i32(partition++);
    for (const std::string& rack : racks) {
      feed.i32(static_cast<int32_t>(utf16_units(rack)));
      feed.text(rack);
    }
  }
  return feed.hash();
}

}  // namespace

int64_t metadata_hash(const std::set<std::string>& names, const Topics& topics) {
  Feed feed;
  bool some = false;
  for (const std::string& name : names) {
    const auto topic = topics.find(name);
    if (!topic) continue;
    feed.i64(topic_hash(*topic, topics));
    some = true;
  }
  return some ? static_cast<int64_t>(feed.hash()) : 0;
}

}  // namespace taffrail::group
