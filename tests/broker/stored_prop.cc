// Goal: whatever lies on a disk, or another broker says, is read or refused with a reason, and memory follows its size.
// Method: bytes drawn, and well-formed ones with some of them changed, through every loader; the laws are shared with a fuzz target.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "broker/support/stored_body.h"

namespace taffrail {
namespace {

RC_GTEST_PROP(Stored, AnyBytesAreReadOrRefused, ()) {
  (void)exercise_stored(*rc::gen::container<std::vector<uint8_t>>(rc::gen::arbitrary<uint8_t>()));
}

RC_GTEST_PROP(Stored, WhatIsWellFormedWithSomeBytesChangedIsReadOrRefused, ()) {
  const size_t kind = *rc::gen::inRange<size_t>(0, stored_kinds());
  const Slice good = well_formed(kind);
  std::vector<uint8_t> bytes{static_cast<uint8_t>(kind)};
  bytes.insert(bytes.end(), good.data(), good.data() + good.size());
  for (int changes = *rc::gen::inRange(0, 4); changes > 0; --changes)
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::element<uint8_t>(0, 1, 0x7f, 0x80, 0xff);
  if (*rc::gen::arbitrary<bool>()) bytes.resize(*rc::gen::inRange<size_t>(1, bytes.size() + 1));
  bytes[0] = static_cast<uint8_t>(kind);
  (void)exercise_stored(bytes);
}

TEST(Stored, EveryLoaderTakesItsExample) {
  for (size_t kind = 0; kind < stored_kinds(); ++kind) {
    const Slice good = well_formed(kind);
    std::vector<uint8_t> bytes{static_cast<uint8_t>(kind)};
    bytes.insert(bytes.end(), good.data(), good.data() + good.size());
    EXPECT_TRUE(exercise_stored(bytes)) << kind;
  }
}

}  // namespace
}  // namespace taffrail
