#include "group/table.h"

#include <fmt/core.h>

#include "base/plant.h"
#include "record/builder.h"
#include "record/records.h"

namespace taffrail::group {
namespace {
constexpr uint16_t kFormat = 1;
}

void Table::apply(const Record& record) {
  if (PLANT("G05")) {
    const auto* offset = std::get_if<OffsetRecord>(&record);
    const StoredGroup* stored = offset == nullptr ? nullptr : find(offset->group);
    if (stored != nullptr && offset->value && stored->offsets.contains(offset->at)) return;
  }
  StoredGroup& group = groups_[group_of(record)];
  if (const auto* offset = std::get_if<OffsetRecord>(&record)) {
    if (offset->value) group.offsets[offset->at] = *offset->value;
    else group.offsets.erase(offset->at);
  } else if (const auto* state = std::get_if<StateRecord>(&record)) {
    group.state = state->value;
  } else {
    group.consumers.apply(record);
  }
  if (group.empty()) groups_.erase(group_of(record));
}

Result<> Table::apply(const BatchView& batch) {
  if (batch.is_control()) return {};
  RecordWalk walk = TRY(RecordWalk::open(batch));
  while (const auto stored = TRY(walk.next())) {
    if (!stored->key) return fail(Errc::kCorrupt, fmt::format("the record at {} has no key", stored->offset.value));
    const auto record = TRY(decode(*stored->key, stored->value));
    if (record) apply(*record);
  }
  return {};
}

const StoredGroup* Table::find(std::string_view group) const {
  const auto it = groups_.find(group);
  return it == groups_.end() ? nullptr : &it->second;
}

std::vector<Record> Table::records() const {
  std::vector<Record> out;
  for (const auto& [id, group] : groups_) {
    if (group.state) out.push_back(StateRecord{id, group.state});
    for (Record& record : group.consumers.records(id)) out.push_back(std::move(record));
    for (const auto& [at, value] : group.offsets) out.push_back(OffsetRecord{id, at, value});
  }
  return out;
}

Slice Table::save() const {
  const std::vector<Record> all = records();
  ByteWriter out;
  out.u16(kFormat);
  out.u32(static_cast<uint32_t>(all.size()));
  for (const Record& record : all) {
    const auto [key, value] = encode(record);
    out.sized(key.view());
    out.sized(value->view());
  }
  return Slice(out.view());
}

Result<Table> Table::load(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); format != kFormat)
    return fail(Errc::kUnsupported, fmt::format("a table of groups in format {}, this version reads {}", format, kFormat));
  Table table;
  for (uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    const ByteView key = in.sized();
    const ByteView value = in.sized();
    if (!in.ok()) break;
    const auto record = TRY(decode(key, value));
    if (record) table.apply(*record);
  }
  if (!in.done()) return fail(Errc::kCorrupt, "a table of groups is cut short or too long");
  return table;
}

Slice batch_of(const std::vector<Record>& records, int64_t now_ms) {
  BatchBuilder builder;
  for (const Record& record : records) {
    const auto [key, value] = encode(record);
    builder.add(now_ms, key.view(), value ? std::optional<ByteView>(value->view()) : std::nullopt);
  }
  return builder.finish();
}

}  // namespace taffrail::group
