// Produced bytes: framing, checksum, records and every codec. The laws are record_prop.cc's.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "record/builder.h"
#include "record/support/batch_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taffrail::exercise_batch({data, size});
  return 0;
}

// Now and then a whole batch of some codec instead of a mutation: a fuzzer does not invent a zstd
// frame.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (seed % 64 != 0) return LLVMFuzzerMutate(data, size, max_size);
  const unsigned int pick = seed / 64;
  taffrail::BatchBuilder builder({.codec = static_cast<taffrail::Codec>(pick % 5)});
  for (unsigned int i = 0; i < 1 + pick / 5 % 4; ++i)
    builder.add(i, "key", "a value, a value, a value");
  const taffrail::Slice batch = builder.finish();
  const size_t count = std::min(max_size, batch.size());
  std::copy_n(batch.data(), count, data);
  return count;
}
