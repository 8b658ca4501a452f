// Goal: documents and code do not drift apart. Method: what code cites by name (invariants, planted
// bugs, documents) must stand in its document, and what documents link to must exist.
#include <gtest/gtest.h>

#include <regex>

#include "tidy/support/tree.h"

namespace taffrail::tidy {
namespace {

std::set<std::string> all_matches(const std::string& text, const std::regex& pattern,
                                  std::string_view hints) {
  std::set<std::string> found;
  for (const Match& match : find_matches(text, pattern, hints)) found.insert(match.group);
  return found;
}

const std::string& paper(const std::string& path) { return Tree::get().papers().at(path).text; }

/// The rows of docs/invariants.md, by the name that they begin with.
std::map<std::string, std::string> listed_invariants() {
  std::map<std::string, std::string> rows;
  for (const Match& row :
       find_matches(paper("docs/invariants.md"), std::regex(R"(^\| (I-[A-Z][0-9]+) [^\n]*)"), "|"))
    EXPECT_TRUE(rows.emplace(row.group, row.text).second) << row.group << " is listed twice";
  return rows;
}

std::map<std::string, std::string> cited_invariants() {
  std::map<std::string, std::string> cited;  // And where.
  for (const auto& [path, file] : Tree::get().sources())
    for (const std::string& name :
         all_matches(file.text, std::regex(R"(\b(I-[A-Z][0-9]+)\b)"), "I-"))
      cited.emplace(name, path);
  return cited;
}

TEST(Docs, EveryInvariantThatIsCitedIsListedAndNotCalledUnchecked) {
  const std::map<std::string, std::string> listed = listed_invariants();
  EXPECT_GT(listed.size(), 20u);
  for (const auto& [name, path] : cited_invariants()) {
    const auto row = listed.find(name);
    ASSERT_NE(row, listed.end()) << path << " cites " << name
                                 << ", which docs/invariants.md does not list";
    EXPECT_EQ(row->second.find("Not checked yet"), std::string::npos)
        << path << " cites " << name << ", which docs/invariants.md says is not checked yet";
  }
}

TEST(Docs, EveryInvariantThatIsListedIsCitedOrCalledUnchecked) {
  const std::map<std::string, std::string> cited = cited_invariants();
  for (const auto& [name, row] : listed_invariants())
    EXPECT_TRUE(cited.contains(name) || row.find("Not checked yet") != std::string::npos)
        << "docs/invariants.md lists " << name << ", which no code names";
}

TEST(Docs, EveryPlantedBugIsListedAndEveryListedOneIsPlanted) {
  std::set<std::string> planted;
  for (const auto& [path, file] : Tree::get().sources())
    if (!path.starts_with("tests/") && path != "src/base/plant.h")
      planted.merge(all_matches(file.text, std::regex(R"re(\bPLANT\("(\w+)"\))re"), "PLANT("));
  const std::set<std::string> listed =
      all_matches(paper("docs/simulation.md"), std::regex(R"(^\| ([A-Z][0-9]{2}) \|)"), "|");
  EXPECT_EQ(planted, listed) << "docs/simulation.md, \"Planted bugs\"";
}

TEST(Docs, EveryKindOfFaultIsExplained) {
  const std::string& names = Tree::get().sources().at("sim/faults.cc").text;
  const size_t begin = names.find("kNames{");
  ASSERT_NE(begin, std::string::npos);
  const std::string table = names.substr(begin, names.find('}', begin) - begin);
  const std::set<std::string> kinds = all_matches(table, std::regex(R"re("(\w+)")re"), "\"");
  EXPECT_GT(kinds.size(), 20u);
  for (const std::string& kind : kinds)
    EXPECT_NE(paper("docs/simulation.md").find("`" + kind + "`"), std::string::npos)
        << "docs/simulation.md, \"Faults\": " << kind;
}

TEST(Docs, DocumentsThatCodeNamesExist) {
  const std::regex named(R"(\b(docs/[\w/-]+\.md)\b)");
  const auto look = [&](const std::string& path, const std::string& text) {
    for (const std::string& document : all_matches(text, named, "docs/"))
      EXPECT_TRUE(Tree::get().exists(document)) << path << " names " << document;
  };
  for (const auto& [path, file] : Tree::get().sources())
    if (!path.starts_with("tests/tidy/")) look(path, file.text);
  for (const auto& [path, file] : Tree::get().papers()) look(path, file.text);
}

TEST(Docs, NobodyRefersToADocumentThatOnlyItsAuthorHad) {
  const std::regex named(R"re(\(([A-Z]{4,}), (?:section|"))re");
  for (const auto& [path, file] : Tree::get().sources())
    for (const std::string& document : all_matches(file.text, named, "("))
      EXPECT_TRUE(Tree::get().exists("docs/" + document + ".md")) << path << " refers to " << document;
}

TEST(Docs, LinksLeadSomewhere) {
  const std::regex link(R"(\]\(([^)#\s:]+)(#[^)]*)?\))");
  for (const auto& [path, file] : Tree::get().papers()) {
    if (!path.ends_with(".md")) continue;
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    for (const std::string& target : all_matches(file.text, link, "]("))
      EXPECT_TRUE(Tree::get().exists(folder + target)) << path << " links to " << target;
  }
}

TEST(Docs, SourceFilesThatDocumentsNameExist) {
  const std::regex named(
      R"(`((?:src|net|storage|consensus|sim|tests|fuzz)/[\w./-]+\.(?:cc|h|txt|py))`)");
  for (const auto& [path, file] : Tree::get().papers()) {
    if (!path.ends_with(".md")) continue;
    for (const std::string& source : all_matches(file.text, named, "`"))
      EXPECT_TRUE(Tree::get().exists(source)) << path << " names " << source;
  }
}

}  // namespace
}  // namespace taffrail::tidy
