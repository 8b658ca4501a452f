// Goal: what is shipped holds no planted bug. Method: every PLANT("R01") leaves its name behind a mark in the binary
// that it is compiled into. The binary that was built beside this test is searched for the mark: without
// TAFFRAIL_PLANTS it is nowhere, with it each bug that docs/simulation.md lists is there, so the search does find.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "base/plant.h"
#include "support/tree_paths.h"

namespace taffrail {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The three letters behind each occurrence of `mark`.
std::set<std::string> ids_behind(std::string_view text, std::string_view mark) {
  std::set<std::string> ids;
  for (size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1))
    ids.emplace(text.substr(at + mark.size(), 3));
  return ids;
}

#ifdef TAFFRAIL_PLANTS

TEST(Binary, HoldsEveryPlantedBugThatIsListed) {
  std::set<std::string> listed;
  for (const std::string& id : ids_behind(read(tests::source_dir() + "/docs/simulation.md"), "\n| "))
    if (id[0] >= 'A' && id[0] <= 'Z' && id[1] >= '0' && id[1] <= '9') listed.insert(id);
  EXPECT_GT(listed.size(), 20u);
  std::set<std::string> held = ids_behind(read(tests::binary_dir() + "/taffrail"), kPlantMark);
  std::erase_if(held, [](const std::string& id) { return id[0] == '\0'; });  // The mark alone, as a constant.
  EXPECT_EQ(held, listed);
}

#else

TEST(Binary, HoldsNoPlantedBug) {
  const std::string binary = read(tests::binary_dir() + "/taffrail");
  // What the subcommand says in its place proves that this is the binary, and that texts are found in it.
  ASSERT_NE(binary.find("this build holds no planted bugs"), std::string::npos);
  EXPECT_EQ(ids_behind(binary, "planted bug "), std::set<std::string>{});
  EXPECT_EQ(binary.find("select_plant"), std::string::npos) << "the switch is there, though no bug is";
}

#endif

}  // namespace
}  // namespace taffrail
