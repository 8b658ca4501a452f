// Goal: what members tell each other is Kafka's, and who gets what is what Kafka's RangeAssignor gives. Method: bytes and
// assignments computed by Kafka 4.3's own classes.
#include "client/group_assignment.h"

#include <gtest/gtest.h>

namespace taffrail::client {
namespace {

using Given = std::vector<TopicPartition>;

TEST(GroupAssignment, BytesAreThoseOfKafka) {
  EXPECT_EQ(to_hex(encode_assignment({{"t", 1}})), "000000000001000174000000010000" "0001ffffffff");
  const auto back = decode_assignment(encode_assignment({{"t", 1}, {"u", 0}, {"u", 2}}));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, (Given{{"t", 1}, {"u", 0}, {"u", 2}}));
  EXPECT_TRUE(decode_assignment({})->empty()) << "whom a leader leaves out";
  // A version 3 subscription, with owned partitions, a generation and a rack.
  const std::string v3 = from_hex("000300000001000174ffffffff00000001000174000000010000000100000004000172");
  const auto topics = decode_subscription(as_bytes(v3));
  ASSERT_TRUE(topics.has_value());
  EXPECT_EQ(*topics, (std::vector<std::string>{"t"}));
  EXPECT_EQ(*decode_subscription(encode_subscription({"a", "b"})), (std::vector<std::string>{"a", "b"}));
  for (const char* bad : {"", "00", "0000000000010001", "00007fffffff"}) {
    EXPECT_FALSE(decode_subscription(as_bytes(from_hex(bad))).has_value()) << bad;
    if (*bad == 0) continue;
    EXPECT_FALSE(decode_assignment(as_bytes(from_hex(bad))).has_value()) << bad;
  }
}

TEST(GroupAssignment, RangesAsKafkaGivesThem) {
  const auto given = assign_range({{"m1", {}, {"A", "B"}}, {"m2", {}, {"A", "B"}}}, {{"A", 3}, {"B", 3}});
  EXPECT_EQ(given.at("m1"), (Given{{"A", 0}, {"A", 1}, {"B", 0}, {"B", 1}}));
  EXPECT_EQ(given.at("m2"), (Given{{"A", 2}, {"B", 2}}));
  const auto four = assign_range({{"a", {}, {"A"}}, {"z", "z", {"A"}}, {"b", {}, {"A"}}, {"c", {}, {"A"}}}, {{"A", 3}});
  EXPECT_EQ(four.at("z"), (Given{{"A", 0}})) << "static members first";
  EXPECT_EQ(four.at("a"), (Given{{"A", 1}}));
  EXPECT_TRUE(four.at("c").empty());
  const auto odd = assign_range({{"a", {}, {"A"}}, {"b", {}, {"B"}}}, {{"A", 1}, {"B", 0}});
  EXPECT_EQ(odd.at("a"), (Given{{"A", 0}}));
  EXPECT_TRUE(odd.at("b").empty());
}

}  // namespace
}  // namespace taffrail::client
