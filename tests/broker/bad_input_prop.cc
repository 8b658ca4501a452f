// For every run of requests, however they were made up, mutated, cut, joined and split: the broker lives on, each
// connection is answered in order or closed, and another client's writes and reads go on as if nothing were.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "broker/handlers.h"
#include "broker/support/broker_world.h"
#include "broker/support/hostile.h"
#include "protocol/described.h"

namespace taffrail::test {
namespace {

using namespace protocol;

std::string mutated(Random& random, std::string bytes) {
  static constexpr uint8_t kValues[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  for (uint64_t edits = random.below(5); edits > 0 && !bytes.empty(); --edits) {
    const size_t at = random.below(bytes.size());
    const uint64_t kind = random.below(6);
    const uint8_t edge = kValues[random.below(5)];
    const auto any = static_cast<uint8_t>(random.next());
    if (kind < 2) bytes[at] = static_cast<char>(edge);
    if (kind == 2) bytes[at] = static_cast<char>(any);
    if (kind == 3) bytes.erase(at, 1 + random.below(8));
    if (kind == 4) bytes.insert(at, 1 + random.below(8), static_cast<char>(any));
    if (kind == 5) bytes.replace(at, std::min<size_t>(4, bytes.size() - at), "\x7f\xff\xff\xff", 0, std::min<size_t>(4, bytes.size() - at));
  }
  return bytes;
}

// A request of any API and version: made up from its description, or a plain one; most of them mutated. Names
// that are made up meet no topic, so that it is the hostile ones that change things, and only theirs.
std::string any_request(Random& random) {
  const auto served = handlers::served_apis();
  const ApiKey key = served[random.below(served.size())];
  const ApiInfo& api = api_of(key);
  const auto version = static_cast<int16_t>(random.between(api.defined.min, api.advertised.max));
  std::string body;
  if (random.chance(1, 2)) {
    body = hostile_body(key, version);
  } else if (const auto invented = find_described(key, DescribedMessage::Kind::kRequest)->invent(random, version)) {
    body = std::string(as_text(invented->flat()));
  }
  std::string frame = hostile_frame_start(key, version, random.chance(1, 5) ? body : mutated(random, body));
  if (random.chance(1, 10)) frame = mutated(random, frame);
  ByteWriter out;
  out.sized(frame);
  std::string bytes = out.take();
  if (random.chance(1, 20)) bytes[random.below(4)] = static_cast<char>(random.next());
  if (random.chance(1, 20)) bytes.resize(random.below(bytes.size()) + 1);
  return bytes;
}

RC_GTEST_PROP(AnyInput, LeavesTheBrokerAndTheOthersAsTheyWere, (uint64_t key)) {
  CounterRandom random(key);
  BrokerWorld w(key);
  w.create_topic("calm");
  w.create_topic("good");
  w.run([&](Wire& wire) {
    for (int64_t peer = 0; peer < 6; ++peer) {
      Wire hostile = w.connect(wire);
      std::string stream;
      for (uint64_t requests = 1 + random.below(12); requests > 0; --requests) stream += any_request(random);
      while (!stream.empty()) {
        const size_t piece = 1 + random.below(stream.size());
        hostile.send(as_bytes(std::string_view(stream).substr(0, piece)));
        stream.erase(0, piece);
        if (random.chance(1, 4)) (void)wire.runtime().sleep_for(wire.task(), 1_ms);
      }
      if (random.chance(1, 2)) (void)wire.runtime().sleep_for(wire.task(), 50_ms);
      EXPECT_EQ(wire.produce("calm", batch_of({"v"})).base_offset, Offset(peer));
      EXPECT_EQ(wire.fetch("calm", peer).high_watermark, Offset(peer + 1));
    }
    // New ones find the same broker.
    Wire fresh = w.connect(wire);
    EXPECT_TRUE(still_answers(fresh));
  }, 0, 600_s);
  EXPECT_TRUE(w.world.stops().empty());
  RC_ASSERT(!testing::Test::HasFailure());
}

}  // namespace
}  // namespace taffrail::test
