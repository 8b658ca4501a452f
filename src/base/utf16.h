// Java counts and hashes text by its UTF-16 units. Pure; what is no UTF-8 gives some units all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taffrail {

template <class Visit>
void for_each_utf16_unit(std::string_view text, Visit&& visit) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t point = length == 1 ? lead : lead & (0xffU >> (length + 1));
    for (size_t k = 1; k < length && i + k < text.size(); ++k) point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3f);
    i += length;
    if (point < 0x10000) {
      visit(static_cast<uint16_t>(point));
    } else {
      visit(static_cast<uint16_t>(0xd800 + ((point - 0x10000) >> 10)));
      visit(static_cast<uint16_t>(0xdc00 + ((point - 0x10000) & 0x3ff)));
    }
  }
}

inline size_t utf16_units(std::string_view text) {
  size_t units = 0;
  for_each_utf16_unit(text, [&](uint16_t) { ++units; });
  return units;
}

}  // namespace taffrail
