// Addresses of the Internet as texts: IPv4 in four decimal numbers, IPv6 as RFC 4291 has it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taffrail {

/// In the order of the network; an IPv4 address as ::ffff:a.b.c.d. Two texts of one address give one value.
using IpAddress = std::array<uint8_t, 16>;

/// Nothing if `text` is no address: a name, a zone ("%eth0") or brackets are none.
std::optional<IpAddress> parse_ip(std::string_view text);

}  // namespace taffrail
