#include "sim/leaks.h"

#ifdef TAFFRAIL_PLANTS

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

namespace taffrail::sim {
namespace {

// Blocks from the heap and in mappings of their own: where the one lies relative to the other differs from
// process to process. Blocks of one sort alone keep their distances, and with them every order.
struct Blocks {
  Blocks() {
    for (size_t i = 0; i < 64; ++i) all.push_back(std::make_unique<char[]>(i % 2 == 0 ? 32 : 256 << 10));
  }
  size_t number_of(const char* block) const {
    return static_cast<size_t>(std::find_if(all.begin(), all.end(), [&](const auto& b) { return b.get() == block; }) - all.begin());
  }
  std::vector<std::unique_ptr<char[]>> all;
};

uint64_t fold(uint64_t sum, uint64_t value) { return sum * 31 + value; }

// Blocks keep their order of addresses in most processes, which is how such a mistake hides; an order by
// some of the bits, as a table of slots has it, does not.
uint64_t pointer_order() {
  const Blocks blocks;
  std::set<std::pair<uintptr_t, const char*>> sorted;
  for (const auto& block : blocks.all) sorted.emplace(reinterpret_cast<uintptr_t>(block.get()) >> 12 & 0xffff, block.get());
  uint64_t sum = 0;
  for (const auto& [slot, block] : sorted) sum = fold(sum, blocks.number_of(block));
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
  void* volatile hidden = std::malloc(200);  // Volatile, or the compiler sees the mistake and says so.
  const uint64_t value = static_cast<const unsigned char*>(hidden)[100];
  std::free(hidden);
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
