// Bodies of every described message and version, and request frames. The laws are
// message_prop.cc's.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/random.h"
#include "protocol/described.h"
#include "protocol/support/request_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taffrail::protocol::exercise_message({data, size});
  return 0;
}

// Now and then a well-formed message, so that mutations start deep inside of every one.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (seed % 64 != 0 || max_size < 2) return LLVMFuzzerMutate(data, size, max_size);
  taffrail::CounterRandom random(seed);
  const auto messages = taffrail::protocol::described_messages();
  const size_t which = random.below(messages.size());
  const auto& versions = messages[which].api.versions;
  const auto offset =
      static_cast<int16_t>(random.below(static_cast<uint64_t>(versions.max - versions.min + 1)));
  const auto body = messages[which].invent(random, static_cast<int16_t>(versions.min + offset));
  if (!body) return LLVMFuzzerMutate(data, size, max_size);
  const taffrail::Slice bytes = body->flat();
  const size_t count = std::min(max_size - 2, bytes.size());
  data[0] = static_cast<uint8_t>(which);
  data[1] = static_cast<uint8_t>(offset);
  std::copy_n(bytes.data(), count, data + 2);
  return 2 + count;
}
