// The source tree as the tests of it see it: files by path from the root, with and without
// comments.
#pragma once

#include <cstddef>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace taffrail::tidy {

struct SourceFile {
  std::string path;  ///< From the root: "src/base/ids.h".
  std::string text;
  std::string
      code;  ///< The text with comments and the insides of literals blanked; lines stay lines.

  bool is_header() const { return path.ends_with(".h"); }
  size_t lines() const;
  /// Project headers by the path that was written, in order: "base/ids.h".
  std::vector<std::string> quoted_includes() const;
  /// "vector", "sys/mman.h".
  std::vector<std::string> angled_includes() const;
};

/// A folder that is a library, as CMakeLists.txt declares it.
struct Library {
  std::string name;
  std::string folder;
  std::set<std::string> needs;
};

/// Text with comments and the insides of string and character literals replaced by spaces.
std::string without_comments(std::string_view text);
/// 1 for the first line.
size_t line_of(std::string_view text, size_t position);

struct Match {
  size_t position = 0;
  std::string text;
  std::string group;  ///< The first group in brackets; empty if there is none.
};
/// What `pattern` matches in `text`, looked for only from lines that hold one of `hints` (words
/// apart by blanks): std::regex would take many seconds for the whole tree. ^ is the beginning of a
/// line.
std::vector<Match> find_matches(std::string_view text, const std::regex& pattern,
                                std::string_view hints);

class Tree {
 public:
  /// Reads the tree that this test was built from, once.
  static const Tree& get();

  /// All .cc and .h below src, net, storage, consensus, sim, tests, fuzz and bench, by path.
  const std::map<std::string, SourceFile>& sources() const { return sources_; }
  /// Markdown, CMake, scripts, data: everything else that is text.
  const std::map<std::string, SourceFile>& papers() const { return papers_; }
  const std::vector<Library>& libraries() const { return libraries_; }
  /// The library whose folder holds `path`; null for main.cc, tests, fuzz and bench.
  const Library* library_of(std::string_view path) const;
  /// Where an include as written lies, from the root; empty if nowhere.
  std::string resolve(const std::string& include) const;
  bool exists(const std::string& path) const;

 private:
  Tree();
  std::string root_;
  std::map<std::string, SourceFile> sources_;
  std::map<std::string, SourceFile> papers_;
  std::vector<Library> libraries_;
};

}  // namespace taffrail::tidy
