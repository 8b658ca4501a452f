#include "protocol/described.h"

#include <string_view>
#include <vector>

#include "protocol/messages.h"

namespace taffrail::protocol {
namespace {

template <class M>
constexpr DescribedMessage::Kind kind_of() {
  if (M::kApi.key == ApiKey::kNone) return DescribedMessage::Kind::kBare;
  if constexpr (requires { typename M::Response; }) return DescribedMessage::Kind::kRequest;
  return DescribedMessage::Kind::kResponse;
}

template <class M>
DescribedMessage describe() {
  return {M::kApi, kind_of<M>(),
          [](const Slice& body, int16_t version) -> Result<Printed> {
            return print(TRY(decode<M>(body, version)), version);
          },
          [](const Slice& body, int16_t version) -> Result<Chain> {
            return encode(TRY(decode<M>(body, version)), version);
          },
          [](Random& random, int16_t version) -> Result<Chain> {
            return encode(generate<M>(random, version), version);
          }};
}

}  // namespace

std::span<const DescribedMessage> described_messages() {
  static const std::vector<DescribedMessage> table = [] {
    std::vector<DescribedMessage> rows;
    for_each_message([&]<class M>() { rows.push_back(describe<M>()); });
    return rows;
  }();
  return table;
}

const DescribedMessage* find_described(ApiKey key, DescribedMessage::Kind kind) {
  for (const DescribedMessage& m : described_messages()) {
    if (m.api.key == key && m.kind == kind) return &m;
  }
  return nullptr;
}

const DescribedMessage* find_described(std::string_view name) {
  for (const DescribedMessage& m : described_messages()) {
    if (m.api.name == name) return &m;
  }
  return nullptr;
}

}  // namespace taffrail::protocol
