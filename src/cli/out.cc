#include "cli/out.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace taffrail::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Value& value) {
  return std::visit(
      [](const auto& v) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) return nullptr;
        else return v;
      },
      value);
}

// Bytes of a topic need not be UTF-8; JSON has to be.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string cell(const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return "-";
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "yes" : "no";
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return printable(*text);
  std::string list;
  for (const int64_t n : std::get<std::vector<int64_t>>(value))
    list += (list.empty() ? "" : ",") + std::to_string(n);
  return list.empty() ? "-" : list;
}

std::string key_of(std::string column) {
  for (char& c : column) {
    if (c == ' ' || c == '-') c = '_';
    else if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return column;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\x{:02x}", byte);
    else out.push_back(c);
  }
  return out;
}

std::string render(const Table& table, Format format) {
  if (format == Format::kJson) {
    Json all = Json::array();
    for (const auto& row : table.rows) {
      Json object = Json::object();
      for (size_t i = 0; i < row.size(); ++i) object[key_of(table.columns[i])] = json_of(row[i]);
      all.push_back(std::move(object));
    }
    return dump(all);
  }
  std::vector<std::vector<std::string>> lines{table.columns};
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    for (const Value& value : row) line.push_back(cell(value));
  }
  std::vector<size_t> width(table.columns.size(), 0);
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string gap(width[i] - line[i].size(), ' ');
      const bool number =
          !table.rows.empty() && std::holds_alternative<int64_t>(table.rows.front()[i]);
      if (i > 0) text += "  ";
      text += number ? gap + line[i] : line[i] + gap;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

std::string render(const Fields& fields, Format format) {
  if (format == Format::kJson) {
    Json object = Json::object();
    for (const auto& [name, value] : fields) object[key_of(name)] = json_of(value);
    return dump(object);
  }
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : fields)
    out += name + std::string(width - name.size() + 2, ' ') + cell(value) + "\n";
  return out;
}

Result<> Out::say(Task& task, std::string_view line) {
  if (json()) return {};
  return raw(task, fmt::format("{}\n", line));
}

Result<> Out::note(Task& task, std::string_view line) {
  return host_.write(task, Stream::kError, fmt::format("{}\n", line));
}

}  // namespace taffrail::cli
