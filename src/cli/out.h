// What a command prints: for people as tables, for programs as JSON, from the same values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "runtime/host.h"

namespace taffrail::cli {

enum class Format : uint8_t { kTable, kJson };

/// Nothing, a flag, a number, a text, or a list of numbers.
using Value = std::variant<std::monostate, bool, int64_t, std::string, std::vector<int64_t>>;
/// In the order in which they are shown.
using Fields = std::vector<std::pair<std::string, Value>>;

struct Table {
  std::vector<std::string> columns;  ///< In JSON the keys, in lower case with '_'.
  std::vector<std::vector<Value>> rows;
};

/// Pure, for the tests too. A table has two spaces between columns and numbers to the right; every line
/// ends with a newline.
std::string render(const Table& table, Format format);
std::string render(const Fields& fields, Format format);
/// `text` with what a terminal would obey (control characters, escapes) as \xNN. Bytes of a topic may
/// be anything.
std::string printable(std::string_view text);

class Out {
 public:
  Out(Host& host, Format format) : host_(host), format_(format) {}
  Format format() const { return format_; }
  bool json() const { return format_ == Format::kJson; }

  // Errors of all: as Host::write. kClosed: nobody reads any more.
  Result<> table(Task& task, const Table& table) { return raw(task, render(table, format_)); }
  Result<> fields(Task& task, const Fields& fields) { return raw(task, render(fields, format_)); }
  /// To standard output as it is.
  Result<> raw(Task& task, std::string_view text) { return host_.write(task, Stream::kOutput, text); }
  /// A line for people only: on standard output with tables, left out with JSON.
  Result<> say(Task& task, std::string_view line);
  /// A line on standard error, for people, in either format.
  Result<> note(Task& task, std::string_view line);

 private:
  Host& host_;
  Format format_;
};

}  // namespace taffrail::cli
