// For every described message, every version and any content: what is written reads back equal,
// takes the bytes it was said to take, and prints as JSON. For any bytes: reading ends in a message
// or in an error that says where, and a message read that way can be written.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/random.h"
#include "protocol/api.h"
#include "protocol/described.h"
#include "protocol/messages.h"
#include "protocol/support/request_body.h"

namespace taffrail::protocol {
namespace {

template <class M>
void check_round_trip(Random& random, int16_t version) {
  const M message = generate<M>(random, version);
  const auto chain = encode(message, version);
  RC_ASSERT(chain.has_value());
  const Slice body = chain->flat();
  RC_ASSERT(*encoded_size(message, version) == body.size());
  const auto back = decode<M>(body, version);
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == message);
  RC_ASSERT(nlohmann::json::accept(print(message, version).json));
  // One byte less is never a message, one more is one only where it is a request.
  if (!body.empty()) RC_ASSERT(!decode<M>(body.sub(0, body.size() - 1), version));
  const std::string longer = std::string(as_text(body)) + '\0';
  const auto more = decode<M>(Slice(longer), version);
  if constexpr (requires { typename M::Response; })
    RC_ASSERT(more.has_value() && *more == message);
  else
    RC_ASSERT(!more);
}

RC_GTEST_PROP(Messages, ComeBackAsTheyWereWritten, (uint64_t key)) {
  CounterRandom random(key);
  for_each_message([&]<class M>() {
    const VersionRange& versions = M::kApi.versions;
    for (int16_t v = versions.min; v <= versions.max; ++v) check_round_trip<M>(random, v);
  });
}

// A body of that message, with the two bytes in front that exercise_message() takes.
std::vector<uint8_t> invented(Random& random) {
  const auto messages = described_messages();
  const size_t which = random.below(messages.size());
  const VersionRange& versions = messages[which].api.versions;
  const auto offset =
      static_cast<int16_t>(random.below(static_cast<uint64_t>(versions.max - versions.min + 1)));
  const auto version = static_cast<int16_t>(versions.min + offset);
  const Slice body = messages[which].invent(random, version)->flat();
  std::vector<uint8_t> bytes = {static_cast<uint8_t>(which), static_cast<uint8_t>(offset)};
  bytes.insert(bytes.end(), body.view().begin(), body.view().end());
  return bytes;
}

RC_GTEST_PROP(Messages, MutatedBytesEndInAnAnswer, (uint64_t key)) {
  CounterRandom random(key);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint8_t> bytes = invented(random);
    for (uint64_t edits = random.below(6); edits > 0 && bytes.size() > 2; --edits) {
      const size_t at = 2 + random.below(bytes.size() - 2);
      // Counts and lengths lie most usefully at the ends of their ranges.
      static constexpr uint8_t kValues[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
      bytes[at] =
          random.chance(1, 2) ? kValues[random.below(5)] : static_cast<uint8_t>(random.next());
    }
    if (random.chance(1, 4)) bytes.resize(2 + random.below(bytes.size() - 1));
    exercise_message(bytes);
  }
}

RC_GTEST_PROP(Messages, RandomBytesEndInAnAnswer, (uint64_t key)) {
  CounterRandom random(key);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint8_t> bytes(2 + random.below(200));
    for (uint8_t& b : bytes)
      b = static_cast<uint8_t>(random.chance(1, 2) ? random.below(4) : random.next());
    exercise_message(bytes);
  }
}

TEST(Messages, AgreeWithTheTableOfApis) {
  for (const DescribedMessage& m : described_messages()) {
    if (m.kind == DescribedMessage::Kind::kBare) continue;
    const ApiInfo& api = api_of(m.api.key);
    const bool request = m.kind == DescribedMessage::Kind::kRequest;
    EXPECT_EQ(m.api.versions, api.defined) << m.api.name;
    EXPECT_EQ(m.api.flexible_from, request ? api.flexible_request : api.flexible_response)
        << m.api.name;
    EXPECT_EQ(m.api.name, std::string(api.name) + (request ? "Request" : "Response"));
    EXPECT_LE(api.advertised.max, api.defined.max);
  }
}

}  // namespace
}  // namespace taffrail::protocol
