// Goal: what a folder may know of is decided in one table, and nowhere else. Method: the table
// below is docs/ARCHITECTURE.md's "Who may include whom"; CMakeLists.txt may not link past it, and
// no file may include past what is linked.
#include <gtest/gtest.h>

#include <algorithm>

#include "tidy/support/tree.h"

namespace taffrail::tidy {
namespace {

using Edges = std::map<std::string, std::set<std::string>>;

const Edges& allowed() {
  static const Edges edges = {
      {"base", {}},
      {"runtime", {"base"}},
      {"record", {"base"}},
      {"protocol", {"record"}},
      {"posix", {"runtime"}},
      {"net", {"runtime"}},
      {"storage", {"runtime", "record"}},
      {"consensus", {"base", "runtime", "storage", "net"}},
      {"partition", {"consensus", "storage", "net"}},
      {"controller", {"partition", "protocol"}},
      {"group", {"partition", "protocol"}},
      {"broker", {"controller", "group", "partition", "protocol"}},
      {"client", {"net", "protocol"}},
      {"sim", {"broker", "client"}},
      {"cli", {"broker", "client", "posix", "sim"}},
  };
  return edges;
}

std::set<std::string> reached_from(const Edges& edges, const std::string& from) {
  std::set<std::string> reached;
  std::vector<std::string> open = {from};
  while (!open.empty()) {
    const std::string at = open.back();
    open.pop_back();
    if (!reached.insert(at).second || !edges.contains(at)) continue;
    for (const std::string& next : edges.at(at)) open.push_back(next);
  }
  return reached;
}

Edges linked() {
  Edges edges;
  for (const Library& library : Tree::get().libraries()) edges[library.name] = library.needs;
  return edges;
}

TEST(Includes, EveryLibraryLinksWhatTheTableAllows) {
  for (const Library& library : Tree::get().libraries()) {
    ASSERT_TRUE(allowed().contains(library.name))
        << library.name << " is new: give it a row in this table and in docs/ARCHITECTURE.md";
    const std::set<std::string> may = reached_from(allowed(), library.name);
    for (const std::string& need : library.needs)
      EXPECT_TRUE(may.contains(need)) << "CMakeLists.txt: " << library.name << " NEEDS " << need;
  }
}

TEST(Includes, NoFolderNeedsItselfThroughAnother) {
  for (const auto& [name, needs] : linked())
    for (const std::string& need : needs)
      EXPECT_FALSE(reached_from(linked(), need).contains(name))
          << name << " and " << need << " need each other";
}

TEST(Includes, FollowTheLinks) {
  size_t looked_at = 0;
  for (const auto& [path, file] : Tree::get().sources()) {
    const Library* library = Tree::get().library_of(path);
    if (library == nullptr) continue;
    const std::set<std::string> may = reached_from(linked(), library->name);
    for (const std::string& include : file.quoted_includes()) {
      const std::string target = Tree::get().resolve(include);
      ASSERT_NE(target, "") << path << " includes " << include
                            << ", which is not in the tree by that path";
      const Library* other = Tree::get().library_of(target);
      ASSERT_NE(other, nullptr) << path << " includes " << include
                                << ", which belongs to no library";
      EXPECT_TRUE(may.contains(other->name)) << path << " includes " << include;
      ++looked_at;
    }
  }
  EXPECT_GT(looked_at, 400u) << "this test no longer finds the includes";
}

// What makes Raft testable without a world: only its driver knows one.
TEST(Includes, OfConsensusOnlyTheDriverTouchesTheWorld) {
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!path.starts_with("consensus/") || path.starts_with("consensus/driver")) continue;
    for (const std::string& include : file.quoted_includes())
      EXPECT_TRUE(include.starts_with("base/") || include.starts_with("consensus/"))
          << path << " includes " << include;
    for (const std::string& include : file.quoted_includes())
      EXPECT_FALSE(include.starts_with("consensus/driver")) << path << " includes " << include;
  }
}

// The object code that is simulated is the code that is shipped: neither world knows the other.
TEST(Includes, NeitherWorldKnowsTheOther) {
  EXPECT_FALSE(reached_from(linked(), "sim").contains("posix"));
  EXPECT_FALSE(reached_from(linked(), "posix").contains("sim"));
  for (const char* above :
       {"net", "storage", "consensus", "partition", "controller", "broker", "client"}) {
    EXPECT_FALSE(reached_from(linked(), above).contains("posix")) << above;
    EXPECT_FALSE(reached_from(linked(), above).contains("sim")) << above;
  }
}

TEST(Includes, ThirdPartiesStayBehindSourceFiles) {
  const char* heavy[] = {"boost/", "spdlog/",  "zstd", "lz4",     "snappy", "re2/", "xxhash",
                         "zlib",   "roaring/", "CLI/", "toml++/", "nlohmann/"};
  for (const auto& [path, file] : Tree::get().sources()) {
    if (!file.is_header() || path.starts_with("tests/")) continue;
    for (const std::string& include : file.angled_includes())
      for (const char* prefix : heavy)
        EXPECT_FALSE(include.starts_with(prefix)) << path << " includes <" << include << ">";
  }
}

void collect(const std::string& path, std::set<std::string>& headers) {
  for (const std::string& include : Tree::get().sources().at(path).quoted_includes()) {
    const std::string target = Tree::get().resolve(include);
    if (target != "" && headers.insert(target).second) collect(target, headers);
  }
}

TEST(Includes, ASourceFilePullsInTensOfProjectHeadersNotHundreds) {
  std::vector<std::pair<size_t, std::string>> weights;
  for (const auto& [path, file] : Tree::get().sources()) {
    std::set<std::string> headers;
    collect(path, headers);
    weights.push_back({headers.size(), path});
    EXPECT_LT(headers.size(), 150u) << path;
  }
  std::sort(weights.rbegin(), weights.rend());
  std::printf("most project headers behind one file:\n");
  for (size_t i = 0; i < std::min<size_t>(weights.size(), 10); ++i)
    std::printf("%6zu  %s\n", weights[i].first, weights[i].second.c_str());
}

}  // namespace
}  // namespace taffrail::tidy
