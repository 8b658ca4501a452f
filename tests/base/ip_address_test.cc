// Goal: every text of an address gives that address, and nothing else gives one. Method: the forms of RFC 4291, section
// 2.2, and texts that are nearly right.
#include "base/ip_address.h"

#include <gtest/gtest.h>

#include <string>

namespace taffrail {
namespace {

TEST(IpAddress, ManyTextsOfOneAddressAreOne) {
  const auto same = [](const char* a, const char* b) {
    const auto first = parse_ip(a);
    return first.has_value() && first == parse_ip(b);
  };
  EXPECT_TRUE(same("::1", "0:0:0:0:0:0:0:1"));
  EXPECT_TRUE(same("2001:DB8::8:800:200C:417A", "2001:db8:0:0:8:800:200c:417a"));
  EXPECT_TRUE(same("fe80::", "FE80:0::0"));
  EXPECT_TRUE(same("10.0.0.1", "::ffff:10.0.0.1"));
  EXPECT_TRUE(same("10.0.0.1", "0:0:0:0:0:FFFF:0a00:0001"));
  EXPECT_TRUE(same("::", "0:0:0:0:0:0:0.0.0.0"));
  EXPECT_FALSE(same("::1", "::2"));
  EXPECT_FALSE(same("10.0.0.1", "10.0.1.0"));
  EXPECT_EQ((*parse_ip("1:2::9"))[15], 9);
  EXPECT_EQ((*parse_ip("1:2::9"))[3], 2);
}

TEST(IpAddress, WhatIsNoneIsNone) {
  for (const char* text : {"", "localhost", "broker-1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.+4", "1.2.3.4 ", "1..3.4", ":",
                           ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "fe80::1%eth0", "[::1]", "1:2:3:4:5:6:7:",
                           ":1:2:3:4:5:6:7", "::1.2.3", "1:2:3:4:5:6:7::8", "1.2.3.4::", "g::"})
    EXPECT_FALSE(parse_ip(text).has_value()) << text;
  EXPECT_FALSE(parse_ip(std::string("1.2.3.4\0", 8)).has_value());
}

}  // namespace
}  // namespace taffrail
