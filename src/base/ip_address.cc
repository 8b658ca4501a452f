#include "base/ip_address.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace taffrail {
namespace {

std::optional<uint32_t> number(std::string_view text, int base, size_t digits_max) {
  if (text.empty() || text.size() > digits_max) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::array<uint8_t, 4>> parse_v4(std::string_view text) {
  std::array<uint8_t, 4> out{};
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t dot = i + 1 < out.size() ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string_view part = text.substr(0, dot);
    const auto value = number(part, 10, 3);
    // A zero in front is octal to some, and decimal to others.
    if (!value || *value > 255 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
    out[i] = static_cast<uint8_t>(*value);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return out;
}

// The bytes of groups with a colon between each two; the last may be an IPv4 address. Empty text: none.
std::optional<std::vector<uint8_t>> parse_groups(std::string_view text) {
  std::vector<uint8_t> out;
  while (!text.empty()) {
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string_view part = text.substr(0, colon);
    const bool last = colon == text.size();
    if (last && part.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(part);
      if (!v4) return std::nullopt;
      out.insert(out.end(), v4->begin(), v4->end());
      return out;
    }
    const auto value = number(part, 16, 4);
    if (!value || colon + 1 == text.size()) return std::nullopt;
    out.push_back(static_cast<uint8_t>(*value >> 8));
    out.push_back(static_cast<uint8_t>(*value));
    text.remove_prefix(last ? colon : colon + 1);
  }
  return out;
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  IpAddress out{};
  if (const auto v4 = parse_v4(text)) {
    out[10] = out[11] = 0xff;
    std::copy(v4->begin(), v4->end(), out.begin() + 12);
    return out;
  }
  const size_t gap = text.find("::");
  const auto head = parse_groups(text.substr(0, gap));
  if (!head || (gap != std::string_view::npos && text.substr(0, gap).find('.') != std::string_view::npos)) return std::nullopt;
  if (gap == std::string_view::npos) {
    if (head->size() != out.size()) return std::nullopt;
    std::copy(head->begin(), head->end(), out.begin());
    return out;
  }
  // At least one group of zeros is left out.
  const auto tail = parse_groups(text.substr(gap + 2));
  if (!tail || head->size() % 2 != 0 || head->size() + tail->size() > out.size() - 2) return std::nullopt;
  std::copy(head->begin(), head->end(), out.begin());
  std::copy(tail->begin(), tail->end(), out.end() - static_cast<std::ptrdiff_t>(tail->size()));
  return out;
}

}  // namespace taffrail
