// Goal: the tree keeps its shape: every file is built, opens by saying what it is, is finished, and
// is of a size that one can read. Method: walks over all files of the tree.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <regex>

#include "tidy/support/tree.h"

namespace taffrail::tidy {
namespace {

struct Large {
  const char* path;
  const char* because;
};
/// Files past 800 lines, each with the answer to "is there a second thing in here?". Empty, and
/// better so.
constexpr std::array<Large, 0> kLarge{};

TEST(Tidy, EveryFileOfTheProgramIsBuilt) {
  for (const auto& [path, file] : Tree::get().sources()) {
    if (path.starts_with("tests/") || path.starts_with("fuzz/") || path.starts_with("bench/") ||
        path == "src/main.cc")
      continue;
    const Library* library = Tree::get().library_of(path);
    ASSERT_NE(library, nullptr) << path << " lies in no library's folder: it is compiled by nobody";
    // CMake looks into the folder and one below.
    const std::string below = path.substr(library->folder.size() + 1);
    EXPECT_LE(std::count(below.begin(), below.end(), '/'), 1)
        << path << " lies too deep to be found";
  }
}

TEST(Tidy, EveryTestIsRun) {
  const std::string& cmake = Tree::get().papers().at("tests/CMakeLists.txt").text;
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!path.starts_with("tests/") || !path.ends_with(".cc")) continue;
    static const std::regex shape(R"(tests/(\w+)/(support/\w+|\w+_(test|prop|sim))\.cc)");
    std::smatch parts;
    if (!std::regex_match(path, parts, shape)) {
      ADD_FAILURE()
          << path
          << " is neither tests/<module>/<subject>_{test,prop,sim}.cc nor in a support folder";
      continue;
    }
    EXPECT_NE(cmake.find("taffrail_tests(" + parts[1].str() + " "), std::string::npos)
        << path << ": tests/CMakeLists.txt has no taffrail_tests(" << parts[1] << " ...)";
  }
}

TEST(Tidy, EveryFuzzTargetIsBuilt) {
  const std::string& cmake = Tree::get().papers().at("fuzz/CMakeLists.txt").text;
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!path.starts_with("fuzz/fuzz_") || !path.ends_with(".cc")) continue;
    const std::string name = path.substr(5, path.size() - 8);
    EXPECT_NE(cmake.find("taffrail_fuzz(" + name + " "), std::string::npos) << path;
  }
}

TEST(Tidy, EveryHeaderSaysWhatItIsAndIsIncludedOnce) {
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!file.is_header()) continue;
    EXPECT_TRUE(file.text.starts_with("//"))
        << path << " does not open with a comment that says what it is";
    EXPECT_NE(file.text.find("\n#pragma once\n"), std::string::npos)
        << path << " has no #pragma once";
  }
}

TEST(Tidy, EveryTestOpensWithItsGoal) {
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!path.starts_with("tests/") || !path.ends_with(".cc") ||
        path.find("/support/") != std::string::npos)
      continue;
    // A goal and a method, or, for a law, the law itself in words.
    EXPECT_TRUE(file.text.starts_with("// Goal:") || file.text.starts_with("// For every "))
        << path << " opens neither with \"// Goal: ...\" nor with a law, \"// For every ...\"";
  }
}

TEST(Tidy, NothingIsUnfinished) {
  // Put together here, so that this file does not find itself.
  const std::string words[] = {std::string("TO") + "DO", std::string("FIX") + "ME",
                               std::string("HA") + "CK:", std::string("not ") + "implemented",
                               std::string("un") + "implemented"};
  const auto look = [&](const std::string& path, const std::string& text) {
    for (const std::string& word : words)
      if (const size_t at = text.find(word); at != std::string::npos)
        ADD_FAILURE() << path << ":" << line_of(text, at) << ": \"" << word
                      << "\": finish it, or say plainly what it does not do";
  };
  for (const auto& [path, file] : Tree::get().sources()) look(path, file.text);
  for (const auto& [path, file] : Tree::get().papers()) look(path, file.text);
}

TEST(Tidy, TheTreeSpeaksOfItselfAlone) {
  // Paths of the machine that something was written on mean nothing on another one.
  const std::regex elsewhere(R"((^|[\s"'(=])/(work|home/\w+|root)/)");
  const auto look = [&](const std::string& path, const std::string& text) {
    for (const Match& found : find_matches(text, elsewhere, "work/ home/ root/"))
      ADD_FAILURE() << path << ":" << line_of(text, found.position) << ": " << found.text;
  };
  for (const auto& [path, file] : Tree::get().sources()) look(path, file.text);
  for (const auto& [path, file] : Tree::get().papers()) look(path, file.text);
}

TEST(Tidy, NoFileIsTooLargeToRead) {
  std::vector<std::pair<size_t, std::string>> sizes;
  for (const auto& [path, file] : Tree::get().sources()) {
    sizes.push_back({file.lines(), path});
    const bool listed =
        std::any_of(kLarge.begin(), kLarge.end(), [&](const Large& l) { return path == l.path; });
    EXPECT_TRUE(listed || file.lines() <= 800) << path << ": is there a second thing in here?";
  }
  std::sort(sizes.rbegin(), sizes.rend());
  std::printf("the largest of %zu files:\n", sizes.size());
  for (size_t i = 0; i < std::min<size_t>(sizes.size(), 10); ++i)
    std::printf("%6zu  %s\n", sizes[i].first, sizes[i].second.c_str());
}

TEST(Tidy, LinesEndAsLinesDo) {
  for (const auto& [path, file] : Tree::get().sources()) {
    EXPECT_TRUE(file.text.ends_with('\n')) << path << " does not end with a line end";
    EXPECT_EQ(file.text.find('\t'), std::string::npos) << path << " has a tab";
    EXPECT_EQ(file.text.find('\r'), std::string::npos) << path << " has a carriage return";
  }
}

}  // namespace
}  // namespace taffrail::tidy
