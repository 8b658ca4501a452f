// Goal: what stands in __consumer_offsets is Kafka's, byte for byte, and what others wrote there is understood or passed
// over. Method: bytes computed by Apache Kafka 4.3's own library; hand-made keys and values. The layouts themselves are
// compared in tests/protocol/golden_test.cc.
#include <gtest/gtest.h>

#include "group/records.h"
#include "group/table.h"

namespace taffrail::group {
namespace {

Slice hex(std::string_view text) { return Slice(from_hex(text)); }

TEST(GroupRecords, AnOffsetIsWrittenAsKafkaWritesIt) {
  OffsetRecord record{"g", {"t", 0}, protocol::OffsetCommitValue{}};
  record.value->offset = Offset(5);
  record.value->leader_epoch = 2;
  record.value->metadata = "m";
  record.value->commit_timestamp = 1;
  const auto [key, value] = encode(record);
  EXPECT_EQ(to_hex(key), "0001000167000174" "00000000");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(to_hex(*value), "000400000000000000050000" "0002026d000000000000000100");
  record.value->topic_id = Uuid{1, 2};
  EXPECT_EQ(to_hex(*encode(record).second),
            "000400000000000000050000" "0002026d0000000000000001" "0100" "10" "00000000000000010000000000000002");
}

TEST(GroupRecords, ATimeToExpireAsksForTheLayoutThatHasRoomForIt) {
  OffsetRecord record{"g", {"t", 0}, protocol::OffsetCommitValue{}};
  record.value->expire_timestamp = 9;
  const auto [key, value] = encode(record);
  EXPECT_EQ(to_hex(value->view().subspan(0, 2)), "0001");
  const auto back = decode(key, value->view());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(std::get<OffsetRecord>(**back), record);
}

TEST(GroupRecords, AStateComesBackWithItsMembers) {
  StateRecord record{"g", protocol::GroupMetadataValue{}};
  record.value->protocol_type = "consumer";
  record.value->generation = 7;
  record.value->protocol = "range";
  record.value->leader.reset();
  record.value->members.push_back({"m", "i", "client", "/host", 1, 2, Slice("sub"), Slice("part"), {}});
  const auto [key, value] = encode(record);
  EXPECT_EQ(to_hex(key), "0002000167");
  const auto back = decode(key, value->view());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(std::get<StateRecord>(**back), record);
}

TEST(GroupRecords, NoValueIsATombstone) {
  const auto gone = encode(StateRecord{"g", {}});
  EXPECT_FALSE(gone.second.has_value());
  EXPECT_EQ(std::get<StateRecord>(**decode(gone.first, std::nullopt)), (StateRecord{"g", {}}));
  EXPECT_EQ(std::get<OffsetRecord>(**decode(encode(OffsetRecord{"g", {"t", 1}, {}}).first, std::nullopt)),
            (OffsetRecord{"g", {"t", 1}, {}}));
}

TEST(GroupRecords, KeysOfOtherKindsArePassedOverAndNewerValuesAreNot) {
  const auto share = decode(hex("000b0000"), std::nullopt);
  ASSERT_TRUE(share.has_value());
  EXPECT_FALSE(share->has_value());
  const auto newer = decode(hex("0002000167"), hex("000500").view());
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, Errc::kUnsupported);
  for (const char* bad : {"", "00", "0001", "000200", "0001000167000174000000"})
    EXPECT_FALSE(decode(hex(bad), std::nullopt).has_value()) << bad;
  EXPECT_FALSE(decode(hex("0002000167"), hex("00").view()).has_value());
  EXPECT_FALSE(decode(hex("0002000167"), hex("0003000163").view()).has_value());
}

TEST(GroupTable, ABatchIsAppliedInItsOrder) {
  const auto value = [](int64_t offset) {
    protocol::OffsetCommitValue v;
    v.offset = Offset(offset);
    return v;
  };
  const Slice batch = batch_of({OffsetRecord{"g", {"t", 0}, value(1)}, OffsetRecord{"g", {"t", 0}, value(2)},
                                OffsetRecord{"h", {"t", 0}, value(3)}, OffsetRecord{"h", {"t", 0}, {}}}, 1000);
  Table table;
  ASSERT_TRUE(table.apply(*BatchView::parse(batch)).has_value());
  ASSERT_EQ(table.groups().size(), 1u) << "a group without anything is none";
  EXPECT_EQ(table.find("g")->offsets.at({"t", 0}).offset, Offset(2));
  const auto loaded = Table::load(table.save());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(*loaded, table);
  EXPECT_FALSE(Table::load(hex("000200000000")).has_value()) << "a newer format";
  EXPECT_FALSE(Table::load(table.save().view().subspan(0, 9)).has_value());
}

}  // namespace
}  // namespace taffrail::group
