// Goal: the image is a function of its records, and a snapshot is worth the log that led to it.
// Method: laws over random sequences of records, fitting and unfitting, and over damaged bytes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "controller/cluster_image.h"
#include "controller/support/random_cluster.h"

namespace taffrail {
namespace {

// For every sequence of records and every point in it: applying all one by one, and applying the rest to
// what a snapshot taken at that point decodes to, give the same image.
RC_GTEST_PROP(ClusterImage, ASnapshotAndTheRestEqualTheWholeLog, (uint64_t key)) {
  RandomCluster cluster(key);
  const size_t length = *rc::gen::inRange<size_t>(0, 60);
  const size_t cut = *rc::gen::inRange<size_t>(0, length + 1);
  ClusterImage live;
  ClusterImage restored;
  size_t applied = 0;
  for (size_t i = 0; i < length; ++i) {
    if (i == cut) restored = *ClusterImage::decode(live.encode());
    const MetadataRecord record = cluster.record(live);
    const LogIndex index(static_cast<int64_t>(i) + 1);
    const bool took = live.apply(record, index);
    applied += took ? 1 : 0;
    if (i >= cut) {
      RC_ASSERT(restored.apply(record, index) == took);
      RC_ASSERT(restored == live);
    }
  }
  RC_CLASSIFY(applied > length / 4);
  RC_ASSERT(*ClusterImage::decode(live.encode()) == live);
}

// For every image and record: a refused record changes nothing.
RC_GTEST_PROP(ClusterImage, ARefusedRecordChangesNothing, (uint64_t key)) {
  RandomCluster cluster(key);
  ClusterImage image;
  for (int64_t i = 1; i <= 60; ++i) {
    const ClusterImage before = image;
    const MetadataRecord record = cluster.record(image);
    if (!image.apply(record, LogIndex(i))) {
      RC_ASSERT(image == before);
    }
  }
}

// For every image that records lead to: names and topics mirror each other, and replicas are registered.
RC_GTEST_PROP(ClusterImage, IsConsistentAfterAnyRecords, (uint64_t key)) {
  RandomCluster cluster(key);
  ClusterImage image;
  for (int64_t i = 1; i <= 80; ++i) (void)image.apply(cluster.record(image), LogIndex(i));
  RC_ASSERT(image.names().size() == image.topics().size());
  for (const auto& [id, topic] : image.topics()) {
    RC_ASSERT(image.find_topic(topic.name) == &topic);
    RC_ASSERT(!topic.partitions.empty());
    for (size_t p = 0; p < topic.partitions.size(); ++p) {
      const PartitionRecord& partition = topic.partitions[p];
      RC_ASSERT(partition.revision >= 1 && partition.revision <= 80);
      for (const ReplicaId& replica : partition.replicas) {
        const BrokerRecord* broker = image.find_broker(replica.node);
        RC_ASSERT(broker != nullptr);
        RC_ASSERT(broker->replica_of({id, static_cast<int32_t>(p)}) == replica);
      }
    }
  }
}

RC_GTEST_PROP(MetadataRecords, DecodeToWhatWasEncoded, (uint64_t key)) {
  RandomCluster cluster(key);
  std::vector<MetadataRecord> records;
  const size_t count = *rc::gen::inRange<size_t>(0, 10);
  for (size_t i = 0; i < count; ++i) records.push_back(cluster.record(ClusterImage{}));
  const auto decoded = decode_records(encode_records(records));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == records);
}

std::string damaged(const Slice& good, Random& random) {
  std::string bytes(as_text(good));
  const uint64_t kind = random.below(4);
  if (kind == 0) bytes.resize(random.below(bytes.size() + 1));
  if (kind == 1) bytes.append(random.below(9), 'x');
  const uint64_t flips = kind >= 2 ? 1 + random.below(3) : 0;
  for (uint64_t i = 0; i < flips && !bytes.empty(); ++i) {
    const size_t at = random.below(bytes.size());
    const uint64_t value = random.chance(1, 3) ? 0xff : random.below(256);
    bytes[at] = static_cast<char>(value);
  }
  return bytes;
}

// For every damage to good bytes: no crash, no memory beyond reason, and what still decodes is the one
// spelling of what it decodes to.
RC_GTEST_PROP(MetadataBytes, DamageIsRefusedOrMeansSomethingElse, (uint64_t key)) {
  RandomCluster cluster(key);
  ClusterImage image;
  std::vector<MetadataRecord> records;
  for (int64_t i = 1; i <= 30; ++i) {
    records.push_back(cluster.record(image));
    (void)image.apply(records.back(), LogIndex(i));
  }
  const Slice good_image = image.encode();
  const Slice good_records = encode_records(records);
  for (int i = 0; i < 20; ++i) {
    const std::string bad_image = damaged(good_image, cluster.random());
    if (const auto decoded = ClusterImage::decode(as_bytes(bad_image))) {
      RC_ASSERT(equal(decoded->encode(), as_bytes(bad_image)));
    } else {
      RC_ASSERT(decoded.error().code == Errc::kCorrupt || decoded.error().code == Errc::kUnsupported);
    }
    const std::string bad_records = damaged(good_records, cluster.random());
    if (const auto decoded = decode_records(as_bytes(bad_records))) {
      RC_ASSERT(equal(encode_records(*decoded), as_bytes(bad_records)));
    } else {
      RC_ASSERT(decoded.error().code == Errc::kCorrupt || decoded.error().code == Errc::kUnsupported);
    }
  }
}

}  // namespace
}  // namespace taffrail
