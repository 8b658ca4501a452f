// Goal: a large buffer goes back to the system a piece at a time, all of it, and only on a thread that has somebody to see to
// it. Method: buffers that end by hand, and what the kernel says is resident.
#include "posix/large_blocks.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "base/bytes.h"

namespace taffrail::posix {
namespace {

constexpr size_t kSize = 64 << 20;

Slice filled(size_t size) {
  return Slice::make(size, [](MutableBytes bytes) { memset(bytes.data(), 'x', bytes.size()); });
}

size_t resident_bytes(const uint8_t* begin, size_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t from = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  std::vector<unsigned char> pages((size - page) / page);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(from), pages.size() * page, pages.data()), 0);
  size_t count = 0;
  for (const unsigned char p : pages) count += p & 1;
  return count * page;
}

TEST(LargeBlocks, GoAPieceAtATime) {
  LargeBlocks blocks;
  LargeBlocks::take_over(&blocks);
  Slice large = filled(kSize);
  const uint8_t* const at = large.data();
  { const Slice shared = large.sub(10, 20); }
  EXPECT_TRUE(blocks.empty()) << "somebody has it still";
  large = Slice();
  EXPECT_GE(blocks.waiting_bytes(), kSize);
  EXPECT_GE(resident_bytes(at, kSize), kSize / 10 * 9);

  blocks.give_back_some();
  EXPECT_LE(blocks.waiting_bytes(), kSize - (512 << 10) + 4096);
  const size_t left = resident_bytes(at, kSize);
  EXPECT_LE(left, blocks.waiting_bytes() + 8192);
  EXPECT_GE(left, blocks.waiting_bytes() - 8192);
  int rounds = 1;
  for (; !blocks.empty(); ++rounds) blocks.give_back_some();
  EXPECT_GE(rounds, 120);
  EXPECT_LE(rounds, 130);
  EXPECT_EQ(blocks.waiting_bytes(), 0u);
  LargeBlocks::take_over(nullptr);
}

TEST(LargeBlocks, WhatWaitsHasALimit) {
  LargeBlocks blocks;
  LargeBlocks::take_over(&blocks);
  for (int i = 0; i < 300; ++i) {
    filled(10 << 20);
    blocks.give_back_some();
    ASSERT_LE(blocks.waiting_bytes(), size_t{128} << 20);
  }
  LargeBlocks::take_over(nullptr);
}

TEST(LargeBlocks, SmallOnesAndThoseOfOtherThreadsAreFreedAtOnce) {
  LargeBlocks blocks;
  LargeBlocks::take_over(&blocks);
  filled(LargeBlocks::kMin - 100);
  EXPECT_TRUE(blocks.empty());
  LargeBlocks::take_over(nullptr);
  filled(LargeBlocks::kMin);
  EXPECT_TRUE(blocks.empty());
}

}  // namespace
}  // namespace taffrail::posix
