// What the log of one partition of __consumer_offsets says of its groups: the same on every replica, after every
// restart, and of every legal compaction of the log (I-G5).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "group/consumer_state.h"
#include "group/records.h"
#include "record/batch.h"

namespace taffrail::group {

struct StoredGroup {
  std::optional<protocol::GroupMetadataValue> state;  ///< Of a classic group that has, or had, members.
  ConsumerState consumers;                            ///< Of a consumer group; a group is at most one of the two.
  std::map<TopicPartition, protocol::OffsetCommitValue> offsets;
  bool empty() const { return !state && consumers.empty() && offsets.empty(); }
  bool operator==(const StoredGroup&) const = default;
};

class Table {
 public:
  void apply(const Record& record);
  /// Each record of a batch, in order. Errors: as decode(), and then the table is what it was before that record.
  Result<> apply(const BatchView& batch);

  const StoredGroup* find(std::string_view group) const;
  const std::map<std::string, StoredGroup, std::less<>>& groups() const { return groups_; }

  /// The records that make this table out of nothing.
  std::vector<Record> records() const;
  Slice save() const;
  /// Errors: kCorrupt, kUnsupported; then nothing changes.
  static Result<Table> load(ByteView bytes);
  bool operator==(const Table&) const = default;

 private:
  std::map<std::string, StoredGroup, std::less<>> groups_;
};

/// A batch that holds these records, ready to be appended.
Slice batch_of(const std::vector<Record>& records, int64_t now_ms);

}  // namespace taffrail::group
