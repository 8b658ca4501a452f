#include "group/records.h"

#include <fmt/core.h>

#include "base/check.h"
#include "protocol/codec.h"

namespace taffrail::group {
namespace {

constexpr int16_t kLegacyOffsetType = 0;
constexpr int16_t kOffsetType = 1;
constexpr int16_t kStateType = 2;
constexpr int16_t kOffsetValueVersion = 4;
constexpr int16_t kOffsetValueWithExpiry = 1;
constexpr int16_t kStateValueVersion = 3;

template <class M>
Slice with_prefix(int16_t prefix, const M& message, int16_t version) {
  const Result<protocol::Chain> body = protocol::encode(message, version);
  // Names and metadata came through the wire's own limits, and these versions have every field.
  CHECK(body.has_value(), "a group's record encodes");
  ByteWriter out;
  out.i16(prefix);
  for (const Slice& piece : body->pieces) out.bytes(piece);
  return Slice(out.view());
}

template <class M>
Result<M> value_of(ByteView bytes) {
  ByteReader in(bytes);
  const int16_t version = in.i16();
  if (!in.ok()) return fail(Errc::kCorrupt, fmt::format("{} of {} bytes", M::kApi.name, bytes.size()));
  if (!M::kApi.versions.contains(version))
    return fail(Errc::kUnsupported, fmt::format("{} v{}", M::kApi.name, version));
  return protocol::decode<M>(Slice(bytes.subspan(2)), version);
}

// Which type a consumer group's record has, and what its key is called.
template <class R>
struct Layout;
template <>
struct Layout<EpochRecord> {
  static constexpr int16_t kType = 3;
  using Key = protocol::ConsumerGroupMetadataKey;
};
template <>
struct Layout<MemberRecord> {
  static constexpr int16_t kType = 5;
  using Key = protocol::ConsumerGroupMemberMetadataKey;
};
template <>
struct Layout<TargetEpochRecord> {
  static constexpr int16_t kType = 6;
  using Key = protocol::ConsumerGroupTargetAssignmentMetadataKey;
};
template <>
struct Layout<TargetRecord> {
  static constexpr int16_t kType = 7;
  using Key = protocol::ConsumerGroupTargetAssignmentMemberKey;
};
template <>
struct Layout<CurrentRecord> {
  static constexpr int16_t kType = 8;
  using Key = protocol::ConsumerGroupCurrentMemberAssignmentKey;
};
template <>
struct Layout<RegexRecord> {
  static constexpr int16_t kType = 16;
  using Key = protocol::ConsumerGroupRegularExpressionKey;
};

template <class R>
std::pair<Slice, std::optional<Slice>> encode_consumer(const R& record) {
  typename Layout<R>::Key key;
  key.group_id = record.group;
  if constexpr (requires { record.name; }) {
    if constexpr (requires { key.member_id; }) key.member_id = record.name;
    else key.regular_expression = record.name;
  }
  std::pair<Slice, std::optional<Slice>> out{with_prefix(Layout<R>::kType, key, 0), {}};
  if (record.value) out.second = with_prefix(0, *record.value, 0);
  return out;
}

template <class R>
Result<std::optional<Record>> decode_consumer(const Slice& body, const std::optional<ByteView>& value) {
  auto key = TRY(protocol::decode<typename Layout<R>::Key>(body, 0));
  R record;
  record.group = std::move(key.group_id);
  if constexpr (requires { record.name; }) {
    if constexpr (requires { key.member_id; }) record.name = std::move(key.member_id);
    else record.name = std::move(key.regular_expression);
  }
  if (value) record.value = TRY(value_of<typename decltype(record.value)::value_type>(*value));
  return record;
}

}  // namespace

const std::string& group_of(const Record& record) {
  return std::visit([](const auto& r) -> const std::string& { return r.group; }, record);
}

std::pair<Slice, std::optional<Slice>> encode(const Record& record) {
  if (const auto* offset = std::get_if<OffsetRecord>(&record)) {
    const protocol::OffsetCommitKey key{offset->group, offset->at.topic, offset->at.partition, {}};
    std::pair<Slice, std::optional<Slice>> out{with_prefix(kOffsetType, key, 0), {}};
    if (offset->value) {
      // Only the older layout has room for a time of its own to expire.
      const int16_t version = offset->value->expire_timestamp >= 0 ? kOffsetValueWithExpiry : kOffsetValueVersion;
      out.second = with_prefix(version, *offset->value, version);
    }
    return out;
  }
  const auto* found = std::get_if<StateRecord>(&record);
  if (found == nullptr) {
    return std::visit([]<class R>(const R& r) -> std::pair<Slice, std::optional<Slice>> {
      if constexpr (requires { Layout<R>::kType; }) return encode_consumer(r);
      else return {};
    }, record);
  }
  const StateRecord& state = *found;
  std::pair<Slice, std::optional<Slice>> out{with_prefix(kStateType, protocol::GroupMetadataKey{state.group, {}}, 0), {}};
  if (state.value) out.second = with_prefix(kStateValueVersion, *state.value, kStateValueVersion);
  return out;
}

Result<std::optional<Record>> decode(ByteView key, const std::optional<ByteView>& value) {
  ByteReader in(key);
  const int16_t type = in.i16();
  if (!in.ok()) return fail(Errc::kCorrupt, fmt::format("a key of {} bytes", key.size()));
  const Slice body(key.subspan(2));
  if (type == kLegacyOffsetType || type == kOffsetType) {
    auto found = TRY(protocol::decode<protocol::OffsetCommitKey>(body, 0));
    OffsetRecord record{std::move(found.group), {std::move(found.topic), found.partition}, {}};
    if (value) record.value = TRY(value_of<protocol::OffsetCommitValue>(*value));
    return record;
  }
  if (type == kStateType) {
    auto found = TRY(protocol::decode<protocol::GroupMetadataKey>(body, 0));
    StateRecord record{std::move(found.group), {}};
    if (value) record.value = TRY(value_of<protocol::GroupMetadataValue>(*value));
    return record;
  }
  switch (type) {
    case Layout<EpochRecord>::kType: return decode_consumer<EpochRecord>(body, value);
    case Layout<MemberRecord>::kType: return decode_consumer<MemberRecord>(body, value);
    case Layout<TargetEpochRecord>::kType: return decode_consumer<TargetEpochRecord>(body, value);
    case Layout<TargetRecord>::kType: return decode_consumer<TargetRecord>(body, value);
    case Layout<CurrentRecord>::kType: return decode_consumer<CurrentRecord>(body, value);
    case Layout<RegexRecord>::kType: return decode_consumer<RegexRecord>(body, value);
    default: return std::nullopt;
  }
}

}  // namespace taffrail::group
