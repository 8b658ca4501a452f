// Goal: a record that contradicts the image is refused, and newer formats are named as such.
// Method: examples, each on a small cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/support/small_cluster.h"

namespace taffrail {
namespace {

using testing::HasSubstr;

TopicRecord topic_record(std::string name, TopicId id, std::vector<int32_t> brokers = {1}) {
  TopicRecord topic;
  topic.id = id;
  topic.name = std::move(name);
  PartitionRecord& partition = topic.partitions.emplace_back();
  for (const int32_t broker : brokers) partition.replicas.push_back(broker_record(broker).replica);
  return topic;
}

TEST(ClusterImage, RefusesATopicThatContradictsIt) {
  SmallCluster cluster(2);
  ASSERT_TRUE(cluster.image.apply(CreateTopic{topic_record("t", {1, 1})}, LogIndex(5)));
  const auto refused = [&](TopicRecord topic) { return !cluster.image.apply(CreateTopic{std::move(topic)}, LogIndex(6)); };
  EXPECT_TRUE(refused(topic_record("t", {1, 2}))) << "the name is taken";
  EXPECT_TRUE(refused(topic_record("u", {1, 1}))) << "the id is taken";
  EXPECT_TRUE(refused(topic_record("u", {}))) << "no id";
  EXPECT_TRUE(refused(topic_record("u", kMetadataPartition.topic))) << "group 0's own id";
  EXPECT_TRUE(refused(topic_record("a/b", {1, 2}))) << "a bad name";
  EXPECT_TRUE(refused(topic_record("u", {1, 2}, {}))) << "no replicas";
  EXPECT_TRUE(refused(topic_record("u", {1, 2}, {3}))) << "a broker that is not registered";
  EXPECT_TRUE(refused(topic_record("u", {1, 2}, {1, 1}))) << "one broker twice";
  TopicRecord other_disk = topic_record("u", {1, 2});
  other_disk.partitions[0].replicas[0].disk.high = 99;
  EXPECT_TRUE(refused(other_disk)) << "a disk that is not the broker's";
  EXPECT_FALSE(refused(topic_record("u", {1, 2}, {1, 2})));
}

TEST(ClusterImage, TheEntrysOwnIndexIsTheRevision) {
  SmallCluster cluster(1);
  TopicRecord topic = topic_record("t", {1, 1});
  topic.partitions[0].revision = 99;
  ASSERT_TRUE(cluster.image.apply(CreateTopic{topic}, LogIndex(5)));
  EXPECT_EQ(cluster.image.find_topic("t")->partitions[0].revision, 5);
}

TEST(ClusterImage, RefusesRecordsAboutWhatIsNotThere) {
  SmallCluster cluster(1);
  EXPECT_FALSE(cluster.image.apply(DeleteTopic{{1, 1}}, LogIndex(5)));
  EXPECT_FALSE(cluster.image.apply(SetConfigs{{1, 1}, {}}, LogIndex(5)));
  EXPECT_FALSE(cluster.image.apply(AddPartitions{{1, 1}, topic_record("t", {}).partitions}, LogIndex(5)));
  EXPECT_FALSE(cluster.image.apply(AllocateProducerIds{BrokerId(7), 1}, LogIndex(5)));
  EXPECT_FALSE(cluster.image.apply(AllocateProducerIds{BrokerId(1), 0}, LogIndex(5)));
  BrokerRecord other_disk = broker_record(1);
  other_disk.replica.disk.high = 99;
  EXPECT_TRUE(cluster.image.apply(RegisterBroker{other_disk}, LogIndex(5))) << "in the old one's place";
}

TEST(MetadataRecords, BytesAreTheDocumentedOnes) {
  // docs/formats.md, "Metadata records": a log written today is read for ever.
  EXPECT_EQ(to_hex(encode_records({DeleteTopic{{1, 2}}, AllocateProducerIds{BrokerId(3), 1000}})),
            "01" "00000002"
            "03" "00000010" "0000000000000001" "0000000000000002"
            "06" "0000000c" "00000003" "00000000000003e8");
  SmallCluster cluster(1);
  EXPECT_EQ(to_hex(encode_records({CreateTopic{topic_record("t", {1, 2})}})),
            "01" "00000001"
            "02" "0000003d" "0000000000000001" "0000000000000002" "0000000174"
            "00000001" "00000001" "00000001" "0000000000000001" "0000000000000001" "0000000000000000"
            "00000000");
}

TEST(MetadataRecords, ANewerFormatIsNotCalledDamage) {
  std::string bytes(as_text(encode_records({DeleteTopic{{1, 2}}})));
  bytes[0] = 5;
  const auto decoded = decode_records(as_bytes(bytes));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, Errc::kUnsupported);
  EXPECT_THAT(decoded.error().message, HasSubstr("format 5"));
  EXPECT_EQ(decode_records({}).error().code, Errc::kCorrupt);
  EXPECT_EQ(ClusterImage::decode({}).error().code, Errc::kCorrupt);
}

TEST(MetadataRecords, ALyingCountIsRefusedBeforeItIsBelieved) {
  const std::string bytes = from_hex("01ffffffff03000000");
  EXPECT_EQ(decode_records(as_bytes(bytes)).error().code, Errc::kCorrupt);
}

TEST(MetadataRecords, DamageIsNamedByRecordAndPlace) {
  std::string bytes(as_text(encode_records({DeleteTopic{{1, 2}}, DeleteTopic{{3, 4}}})));
  bytes[26] = 77;  // The second record's kind.
  const auto decoded = decode_records(as_bytes(bytes));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().message, "metadata record 1 at byte 26: there is no kind 77");
}

TEST(ClusterImage, ASnapshotThatContradictsItselfIsRefused) {
  SmallCluster cluster(1);
  ASSERT_TRUE(cluster.image.apply(CreateTopic{topic_record("t", {1, 1})}, LogIndex(5)));
  std::string bytes(as_text(cluster.image.encode()));
  ASSERT_TRUE(ClusterImage::decode(as_bytes(bytes)).has_value());
  const size_t replica = bytes.size() - 4 - 8 - 20;  // Before revision and configs: node, disk.
  bytes[replica + 3] = 2;                             // A broker that is not registered.
  EXPECT_EQ(ClusterImage::decode(as_bytes(bytes)).error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace taffrail
