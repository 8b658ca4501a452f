#include "runtime/net.h"

#include <fmt/core.h>

#include <charconv>

namespace taffrail {

std::string Endpoint::text() const {
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not HOST:PORT: the port is missing", text));
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail(Errc::kInvalid, fmt::format("\"{}\": an IPv6 address stands in brackets, [{}]:PORT", text, host));
  }
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty())
    return fail(Errc::kInvalid, fmt::format("\"{}\": \"{}\" is not a port from 0 to 65535", text, digits));
  return Endpoint{std::string(host), port};
}

}  // namespace taffrail
