#include "tidy/support/tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/tree_paths.h"

namespace taffrail::tidy {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> includes(const std::string& text, char open, char close) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  const std::string start = std::string("#include ") + open;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start)) continue;
    const size_t end = line.find(close, start.size());
    if (end != std::string::npos) found.push_back(line.substr(start.size(), end - start.size()));
  }
  return found;
}

}  // namespace

size_t SourceFile::lines() const {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}
std::vector<std::string> SourceFile::quoted_includes() const { return includes(text, '"', '"'); }
std::vector<std::string> SourceFile::angled_includes() const { return includes(text, '<', '>'); }

size_t line_of(std::string_view text, size_t position) {
  return 1 + static_cast<size_t>(
                 std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(position), '\n'));
}

std::string without_comments(std::string_view text) {
  std::string out(text);
  const auto blank = [&](size_t from, size_t to) {
    for (size_t i = from; i < to && i < out.size(); ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  size_t i = 0;
  while (i < text.size()) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      const size_t end = std::min(text.find('\n', i), text.size());
      blank(i, end);
      i = end;
    } else if (rest.starts_with("/*")) {
      const size_t close = text.find("*/", i + 2);
      const size_t end = close == std::string_view::npos ? text.size() : close + 2;
      blank(i, end);
      i = end;
    } else if (rest.starts_with("R\"") && (i == 0 || !is_word(text[i - 1]))) {
      const size_t open = text.find('(', i);
      if (open == std::string_view::npos) return out;
      const std::string closing = ")" + std::string(text.substr(i + 2, open - i - 2)) + "\"";
      const size_t close = text.find(closing, open);
      const size_t end = close == std::string_view::npos ? text.size() : close + closing.size();
      blank(open + 1, end - 1);
      i = end;
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !is_word(text[i - 1])))) {
      // A quote behind a digit separates thousands; one in front of a character opens a literal.
      const char quote = text[i];
      size_t end = i + 1;
      while (end < text.size() && text[end] != quote && text[end] != '\n')
        end += text[end] == '\\' ? 2 : 1;
      blank(i + 1, end);
      i = end + 1;
    } else {
      ++i;
    }
  }
  return out;
}

std::vector<Match> find_matches(std::string_view text, const std::regex& pattern,
                                std::string_view hints) {
  std::set<size_t> lines;  // Where they begin.
  while (!hints.empty()) {
    const size_t blank = std::min(hints.find(' '), hints.size());
    const std::string_view hint = hints.substr(0, blank);
    hints.remove_prefix(std::min(blank + 1, hints.size()));
    for (size_t at = text.find(hint); at != std::string_view::npos;) {
      const size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
      lines.insert(before == std::string_view::npos ? 0 : before + 1);
      const size_t end = text.find('\n', at);
      at = end == std::string_view::npos ? end : text.find(hint, end);
    }
  }
  std::vector<Match> found;
  for (const size_t begin : lines) {
    // A match begins on the line, and may end on one of the next few.
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view window = text.substr(begin, end - begin + 400);
    for (auto it = std::cregex_iterator(window.begin(), window.end(), pattern);
         it != std::cregex_iterator(); ++it) {
      const auto position = static_cast<size_t>(it->position());
      if (position > end - begin) break;
      found.push_back({begin + position, it->str(), it->size() > 1 ? (*it)[1].str() : ""});
    }
  }
  return found;
}

const Tree& Tree::get() {
  static const Tree tree;
  return tree;
}

Tree::Tree() : root_(tests::source_dir()) {
  const auto add = [&](const fs::path& file) {
    const std::string path = fs::relative(file, root_).generic_string();
    const std::string extension = file.extension().string();
    if (extension == ".cc" || extension == ".h") {
      SourceFile source{path, read(file), {}};
      source.code = without_comments(source.text);
      sources_.emplace(path, std::move(source));
    } else if (std::string text = read(file); text.find('\0') == std::string::npos) {
      papers_.emplace(path, SourceFile{path, std::move(text), {}});
    }
  };
  for (const char* folder : {"src", "net", "storage", "consensus", "sim", "tests", "fuzz", "bench",
                             "deploy", "docs", "cmake", ".ci"}) {
    const fs::path at = fs::path(root_) / folder;
    if (!fs::exists(at)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(at))
      if (entry.is_regular_file() && entry.path().string().find("__pycache__") == std::string::npos)
        add(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(root_))
    if (entry.is_regular_file() && entry.path().filename() != ".git") add(entry.path());

  const std::string cmake = read(fs::path(root_) / "CMakeLists.txt");
  static const std::regex declared(R"(taffrail_library\((\w+)\s+(\S+)([^)]*)\))");
  for (auto it = std::sregex_iterator(cmake.begin(), cmake.end(), declared);
       it != std::sregex_iterator(); ++it) {
    Library library{(*it)[1], (*it)[2], {}};
    std::istringstream words((*it)[3].str());
    bool needs = false;
    for (std::string word; words >> word;) {
      if (word == "NEEDS" || word == "USES")
        needs = word == "NEEDS";
      else if (needs)
        library.needs.insert(word);
    }
    libraries_.push_back(std::move(library));
  }
}

const Library* Tree::library_of(std::string_view path) const {
  for (const Library& library : libraries_)
    if (path.starts_with(library.folder + "/")) return &library;
  return nullptr;
}

std::string Tree::resolve(const std::string& include) const {
  for (const char* base : {"", "src/", "tests/"})
    if (sources_.contains(base + include)) return base + include;
  return "";
}

bool Tree::exists(const std::string& path) const { return fs::exists(fs::path(root_) / path); }

}  // namespace taffrail::tidy
