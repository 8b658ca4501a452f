// Goal: the trace hash catches what makes a run depend on more than its seed, and the canary dies as
// often as it should. Method: the planted leaks, run in two processes whose memory lies and is filled
// differently. Only in builds with plants.
#ifdef TAFFRAIL_PLANTS

#include "sim/leaks.h"

#include <gtest/gtest.h>

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace taffrail::sim {
namespace {

std::string hash_with(std::string_view name) {
  World world(5);
  const NodeId node = world.add_node();
  world.start(node);
  world.after(1_ms, [&] { (void)leak(world, name); });
  world.run_for(2_s);
  return world.hash().text();
}

// Prints what this process makes of the leak that the environment names; asked for by the tests below.
TEST(LeakProbe, Prints) {
  const char* name = std::getenv("TAFFRAIL_LEAK");
  if (name == nullptr) GTEST_SKIP() << "runs as a child of the tests below";
  std::printf("hash %s\n", hash_with(name).c_str());
}

std::string in_another_process(std::string_view name, int fill) {
  const std::string command = fmt::format(
      "TAFFRAIL_LEAK={} MALLOC_PERTURB_={} ASAN_OPTIONS=max_malloc_fill_size=4096:malloc_fill_byte={} "
      "/proc/{}/exe --gtest_filter=LeakProbe.Prints",
      name, fill, fill, getpid());
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string found = "no hash";
  char line[512];
  while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr)
    if (std::string_view(line).starts_with("hash ")) found = line;
  if (pipe != nullptr) pclose(pipe);
  return found;
}

TEST(Leaks, ChangeTheHashFromProcessToProcess) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "this allocator puts everything at the same addresses in every process";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "this allocator puts everything at the same addresses in every process";
#endif
#endif
  EXPECT_EQ(in_another_process("none", 1), in_another_process("none", 255)) << "without a leak they agree";
  for (const std::string_view name : leak_names()) {
    if (name == "argument_order") continue;  // Differs by compiler, not by process.
    std::set<std::string> hashes;
    for (int i = 0; i < 12; ++i) hashes.insert(in_another_process(name, i % 2 == 0 ? 1 : 170));
    EXPECT_FALSE(hashes.contains("no hash"));
    EXPECT_GT(hashes.size(), 1u) << name;
  }
}

TEST(Leaks, TheOrderOfArgumentsIsTheCompilers) {
  // What the other compiler gives is in the matrix of the determinism check; here only that it is felt.
  EXPECT_NE(hash_with("argument_order"), hash_with("none"));
}

TEST(Canary, DiesInOneOfAHundredSeeds) {
  int died = 0;
  for (uint64_t seed = 0; seed < 10'000; ++seed) {
    World world(seed);
    canary(world);
    died += world.failure().has_value() ? 1 : 0;
  }
  EXPECT_GT(died, 60);
  EXPECT_LT(died, 140);
}

}  // namespace
}  // namespace taffrail::sim

#endif
