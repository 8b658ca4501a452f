// What brokers keep on their disks and tell each other. The laws are stored_prop.cc's.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "broker/support/stored_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)taffrail::exercise_stored({data, size});
  return 0;
}

// Now and then something well-formed, so that mutations start deep inside of every loader.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (seed % 64 != 0 || max_size < 2) return LLVMFuzzerMutate(data, size, max_size);
  const size_t kind = seed / 64 % taffrail::stored_kinds();
  const taffrail::Slice bytes = taffrail::well_formed(kind);
  const size_t count = std::min(max_size - 1, bytes.size());
  data[0] = static_cast<uint8_t>(kind);
  std::copy_n(bytes.data(), count, data + 1);
  return 1 + count;
}
