#include "runtime/log.h"

namespace taffrail {

std::string escaped(std::string_view text, size_t limit) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    // Beyond ASCII everything is shown as bytes: bidirectional marks reorder a line as well as ANSI does.
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out.append("\\x").push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
  if (text.size() > limit) out.append("...");
  return out;
}

}  // namespace taffrail
