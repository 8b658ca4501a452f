// Goal: what once went wrong in a whole cluster does not again. Method: every scenario of tests/regressions/scenarios,
// each kept from the seed that found a bug and named after it, runs to its end with every checker on. What a scenario
// draws beyond its faults changes with the code; the small tests beside this one say what was wrong exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/scenario.h"
#include "support/tree_paths.h"

namespace taffrail::sim {
namespace {

TEST(Scenarios, NoneThatOnceFailedFailsAgain) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(tests::source_dir() + "/tests/regressions/scenarios"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto scenario = Scenario::parse(text);
    ASSERT_TRUE(scenario.has_value()) << file << ": " << scenario.error().text();
    const RunReport report = run_scenario(*scenario);
    EXPECT_EQ(report.violation, "") << file;
    EXPECT_GT(report.sent, 0u) << file;
  }
}

}  // namespace
}  // namespace taffrail::sim
