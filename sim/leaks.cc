#include "sim/leaks.h"

#ifdef TAFFRAIL_PLANTS

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <unordered_map>

namespace taffrail::sim {
namespace {

// Blocks from the heap and from mappings of their own, so that where they lie relative to each other
// differs from process to process.
struct Blocks {
  Blocks() {
    for (size_t i = 0; i < 16; ++i) all.push_back(std::make_unique<char[]>(i % 2 == 0 ? 32 : 1 << 20));
  }
  size_t number_of(const char* block) const {
    return static_cast<size_t>(std::find_if(all.begin(), all.end(), [&](const auto& b) { return b.get() == block; }) - all.begin());
  }
  std::vector<std::unique_ptr<char[]>> all;
};

uint64_t fold(uint64_t sum, uint64_t value) { return sum * 31 + value; }

uint64_t pointer_order() {
  const Blocks blocks;
  std::set<const char*> sorted;
  for (const auto& block : blocks.all) sorted.insert(block.get());
  uint64_t sum = 0;
  for (const char* block : sorted) sum = fold(sum, blocks.number_of(block));
  return sum;
}

uint64_t unordered_pointers() {
  const Blocks blocks;
  std::unordered_map<const char*, int> seen;
  for (const auto& block : blocks.all) seen.emplace(block.get(), 0);
  uint64_t sum = 0;
  for (const auto& [block, unused] : seen) sum = fold(sum, blocks.number_of(block));
  return sum;
}

uint64_t pointer_hash() {
  const Blocks blocks;
  return std::hash<const char*>()(blocks.all[1].get()) >> 12;
}

uint64_t uninitialised() {
  auto* bytes = static_cast<volatile unsigned char*>(std::malloc(200));
  const uint64_t value = bytes[100];
  std::free(const_cast<unsigned char*>(bytes));
  return value;
}

uint64_t three(uint64_t a, uint64_t b, uint64_t c) { return fold(fold(a, b), c); }

uint64_t argument_order(Stream& draws) { return three(draws.next(), draws.next(), draws.next()); }

}  // namespace

const std::vector<std::string_view>& leak_names() {
  static const std::vector<std::string_view> names{"pointer_order", "pointer_hash", "uninitialised", "argument_order",
                                                   "unordered_pointers"};
  return names;
}

bool leak(World& world, std::string_view name) {
  Stream& draws = world.stream(StreamKind::kTest, 1);
  uint64_t value = 0;
  if (name == "pointer_order") value = pointer_order();
  else if (name == "pointer_hash") value = pointer_hash();
  else if (name == "uninitialised") value = uninitialised();
  else if (name == "argument_order") value = argument_order(draws);
  else if (name == "unordered_pointers") value = unordered_pointers();
  else return false;
  // As a real one would: it moves something in time.
  world.after(Duration{static_cast<int64_t>(value % 1'000'000'007)}, [] {});
  return true;
}

void canary(World& world) {
  if (world.stream(StreamKind::kTest, 2).hits(1, 100, "the canary")) world.fail_run("the canary died");
}

}  // namespace taffrail::sim

#endif
