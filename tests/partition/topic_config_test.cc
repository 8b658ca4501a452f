// Goal: topic configs are Kafka's, by name, default and range, and the table is what the docs say.
// Method: examples of what goes and what is refused, laws over the whole table, and docs/topic-configs.md
// made anew from the table and compared. TAFFRAIL_REWRITE_DOCS=1 in the environment writes it instead.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "partition/topic_config.h"
#include "support/tree_paths.h"

namespace taffrail {
namespace {

bool accepts(std::string_view name, std::string_view value) {
  return check_topic_config(name, value).has_value();
}
std::string refusal(std::string_view name, std::string_view value) {
  const Result<> checked = check_topic_config(name, value);
  if (checked) return "accepted";
  EXPECT_EQ(checked.error().code, Errc::kInvalid);
  return checked.error().message;
}

TEST(TopicConfigTable, EveryDefaultPassesItsOwnCheck) {
  for (const TopicConfigKey& key : topic_config_keys())
    EXPECT_TRUE(accepts(key.name, key.default_value)) << key.name;
}

TEST(TopicConfigTable, IsSortedAndFindsEachOfItsKeys) {
  const auto keys = topic_config_keys();
  EXPECT_TRUE(std::ranges::is_sorted(keys, {}, &TopicConfigKey::name));
  for (const TopicConfigKey& key : keys) {
    EXPECT_EQ(find_topic_config_key(key.name), &key);
    if (!key.broker_synonym.empty()) {
      EXPECT_EQ(find_topic_config_by_synonym(key.broker_synonym), &key);
    }
  }
  EXPECT_EQ(find_topic_config_key("retention.m"), nullptr);
  EXPECT_EQ(find_topic_config_key(""), nullptr);
  EXPECT_EQ(find_topic_config_by_synonym(""), nullptr);
}

TEST(TopicConfigTable, HoldsEveryKeyOfKafka) {
  for (const char* name :
       {"cleanup.policy", "retention.ms", "retention.bytes", "segment.bytes", "segment.ms", "segment.jitter.ms",
        "segment.index.bytes", "index.interval.bytes", "max.message.bytes", "min.insync.replicas",
        "unclean.leader.election.enable", "compression.type", "compression.gzip.level", "compression.lz4.level",
        "compression.zstd.level", "message.timestamp.type", "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms", "delete.retention.ms", "min.compaction.lag.ms",
        "max.compaction.lag.ms", "min.cleanable.dirty.ratio", "flush.messages", "flush.ms",
        "file.delete.delay.ms", "preallocate", "remote.storage.enable", "local.retention.ms",
        "local.retention.bytes", "remote.log.copy.disable", "remote.log.delete.on.disable",
        "remote.copy.lag.ms", "remote.copy.lag.bytes", "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas", "errors.deadletterqueue.group.enable"})
    EXPECT_NE(find_topic_config_key(name), nullptr) << name;
  EXPECT_EQ(topic_config_keys().size(), 36u);
}

TEST(TopicConfigTable, RetiredKeysAreKnownAndNotInTheTable) {
  for (const char* name : {"message.format.version", "message.downconversion.enable"}) {
    EXPECT_TRUE(is_retired_topic_config(name));
    EXPECT_EQ(find_topic_config_key(name), nullptr);
  }
  EXPECT_FALSE(is_retired_topic_config("retention.ms"));
}

TEST(CheckTopicConfig, SaysWhatIsWrongAsAPersonWould) {
  EXPECT_EQ(refusal("retention.ms", "x"), "retention.ms: \"x\" is not a whole number");
  EXPECT_EQ(refusal("retention.ms", "-2"), "retention.ms: \"-2\" is not at least -1");
  EXPECT_EQ(refusal("segment.bytes", "1048575"), "segment.bytes: \"1048575\" is not at least 1048576");
  EXPECT_EQ(refusal("compression.gzip.level", "10"), "compression.gzip.level: \"10\" is not -1 to 9");
  EXPECT_EQ(refusal("max.message.bytes", "2147483648"),
            "max.message.bytes: \"2147483648\" is more than 2147483647");
  EXPECT_EQ(refusal("cleanup.policy", "delete,shred"), "cleanup.policy: \"shred\" is none of compact, delete");
  EXPECT_EQ(refusal("cleanup.policy", "delete,delete"), "cleanup.policy: \"delete\" is named twice");
  EXPECT_EQ(refusal("preallocate", "yes"), "preallocate: \"yes\" is neither true nor false");
  EXPECT_EQ(refusal("min.cleanable.dirty.ratio", "1.5"), "min.cleanable.dirty.ratio: \"1.5\" is not 0 to 1");
  EXPECT_EQ(refusal("no.such\nthing", "1"), "no.such?thing: no such topic config");
}

TEST(CheckTopicConfig, TakesWhatKafkasParserTakes) {
  EXPECT_TRUE(accepts("retention.ms", " 86400000 "));
  EXPECT_TRUE(accepts("retention.ms", "+5"));
  EXPECT_TRUE(accepts("preallocate", "TRUE"));
  EXPECT_TRUE(accepts("cleanup.policy", "compact , delete"));
  EXPECT_TRUE(accepts("cleanup.policy", ""));
  EXPECT_TRUE(accepts("min.cleanable.dirty.ratio", "1e-1"));
  EXPECT_TRUE(accepts("retention.bytes", "-5"));
  EXPECT_TRUE(accepts("leader.replication.throttled.replicas", "0:1,1:2"));
  EXPECT_TRUE(accepts("leader.replication.throttled.replicas", "*"));
}

TEST(CheckTopicConfig, RefusesWhatIsNotWholeNumbersOrNames) {
  for (const char* value : {"", " ", "+", "-", "+-5", "1.0", "0x10", "1 2", "9223372036854775808"})
    EXPECT_FALSE(accepts("retention.ms", value)) << value;
  for (const char* value : {"nan", "", "0.5x", "-0.1", "inf"})
    EXPECT_FALSE(accepts("min.cleanable.dirty.ratio", value)) << value;
  for (const char* value : {"0", ":", "0:", ":1", "*,0:1", "0:1:2", "a:b", "0:1,,1:2"})
    EXPECT_FALSE(accepts("leader.replication.throttled.replicas", value)) << value;
  EXPECT_FALSE(accepts("compression.type", "brotli"));
  EXPECT_FALSE(accepts("compression.type", "lz4,zstd"));
  EXPECT_FALSE(accepts("message.timestamp.type", "createtime"));
}

TEST(CheckTopicConfig, AFloorMayBeLoweredForATestWorldOnly) {
  const TopicConfigLimits tiny{.segment_bytes_min = 4096};
  EXPECT_TRUE(check_topic_config("segment.bytes", "4096", tiny).has_value());
  EXPECT_FALSE(check_topic_config("segment.bytes", "4095", tiny).has_value());
  EXPECT_FALSE(accepts("segment.bytes", "4096"));
}

TEST(CheckTopicConfigs, LooksAtPairsToo) {
  EXPECT_TRUE(check_topic_configs({{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}}).has_value());
  const Result<> bad = check_topic_configs({{"min.compaction.lag.ms", "6"}, {"max.compaction.lag.ms", "5"}});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().message, "min.compaction.lag.ms: 6 is more than max.compaction.lag.ms, 5");
}

TEST(TopicConfig, OfNothingIsTheTablesDefaults) {
  ConfigMap all;
  for (const TopicConfigKey& key : topic_config_keys()) all.emplace(key.name, key.default_value);
  const TopicConfig set = TopicConfig::from(all);
  const TopicConfig unset = TopicConfig::from({});
  for (const TopicConfig& config : {set, unset}) {
    EXPECT_EQ(config.retention_ms, 604'800'000);
    EXPECT_EQ(config.retention_bytes, -1);
    EXPECT_EQ(config.segment_bytes, 1'073'741'824);
    EXPECT_EQ(config.segment_ms, 604'800'000);
    EXPECT_EQ(config.max_message_bytes, 1'048'588);
    EXPECT_EQ(config.min_insync_replicas, 1);
    EXPECT_EQ(config.timestamp_type, TimestampType::kCreateTime);
    EXPECT_EQ(config.timestamp_before_max_ms, INT64_MAX);
    EXPECT_EQ(config.timestamp_after_max_ms, 3'600'000);
    EXPECT_EQ(config.compression, -1);
    EXPECT_FALSE(config.compacted);
    EXPECT_TRUE(config.deleted);
  }
}

TEST(TopicConfig, TakesEachValueThatActs) {
  const TopicConfig config = TopicConfig::from({{"retention.ms", "-1"},
                                                {"retention.bytes", "-7"},
                                                {"segment.bytes", " 2097152"},
                                                {"segment.ms", "10"},
                                                {"max.message.bytes", "0"},
                                                {"min.insync.replicas", "2"},
                                                {"message.timestamp.type", "LogAppendTime"},
                                                {"message.timestamp.before.max.ms", "1"},
                                                {"message.timestamp.after.max.ms", "2"},
                                                {"compression.type", "zstd"},
                                                {"cleanup.policy", "compact"}});
  EXPECT_EQ(config.retention_ms, -1);
  EXPECT_EQ(config.retention_bytes, -1);
  EXPECT_EQ(config.segment_bytes, 2'097'152);
  EXPECT_EQ(config.segment_ms, 10);
  EXPECT_EQ(config.max_message_bytes, 0);
  EXPECT_EQ(config.min_insync_replicas, 2);
  EXPECT_EQ(config.timestamp_type, TimestampType::kLogAppendTime);
  EXPECT_EQ(config.timestamp_before_max_ms, 1);
  EXPECT_EQ(config.timestamp_after_max_ms, 2);
  EXPECT_EQ(config.compression, 4);
  EXPECT_TRUE(config.compacted);
  EXPECT_FALSE(config.deleted);
  EXPECT_EQ(TopicConfig::from({{"compression.type", "uncompressed"}}).compression, 0);
  EXPECT_EQ(TopicConfig::from({{"compression.type", "producer"}}).compression, -1);
}

// For all strings as values: what the check refuses, and garbage that a disk may hold, never breaks from().
RC_GTEST_PROP(TopicConfig, AnyBytesGiveSomeConfig, (std::vector<std::string> values)) {
  ConfigMap set;
  size_t i = 0;
  for (const TopicConfigKey& key : topic_config_keys())
    if (i < values.size()) set.emplace(key.name, values[i++]);
  const TopicConfig config = TopicConfig::from(set);
  RC_ASSERT(config.retention_ms >= -1);
  RC_ASSERT(config.compression >= -1);
  RC_ASSERT(config.compression <= 4);
}

// For every key and number: the check lets pass exactly what lies in the table's range.
RC_GTEST_PROP(CheckTopicConfig, NumbersPassIfAndOnlyIfTheyAreInRange, ()) {
  const auto keys = topic_config_keys();
  const TopicConfigKey& key = keys[*rc::gen::inRange<size_t>(0, keys.size())];
  RC_PRE(key.type == ConfigType::kInt || key.type == ConfigType::kLong);
  const int64_t number = *rc::gen::oneOf(
      rc::gen::arbitrary<int64_t>(), rc::gen::inRange<int64_t>(-5, 30),
      rc::gen::element<int64_t>(INT64_MIN, INT64_MAX, INT32_MAX, INT32_MAX + int64_t{1}, INT32_MIN, key.min, key.max));
  const int64_t max = key.type == ConfigType::kInt ? std::min<int64_t>(key.max, INT32_MAX) : key.max;
  const int64_t min = key.type == ConfigType::kInt ? std::max<int64_t>(key.min, INT32_MIN) : key.min;
  RC_ASSERT(accepts(key.name, std::to_string(number)) == (number >= min && number <= max));
}

TEST(ConfigList, DropsBlanksAndKeepsEmptyElements) {
  using List = std::vector<std::string_view>;
  EXPECT_EQ(config_list(""), List{});
  EXPECT_EQ(config_list("  "), List{});
  EXPECT_EQ(config_list(" a , b"), (List{"a", "b"}));
  EXPECT_EQ(config_list("a,,b,"), (List{"a", "", "b", ""}));
}

TEST(WithClusterDefaults, ATopicsOwnValueComesBeforeTheClusters) {
  const ConfigMap cluster = {{"log.retention.ms", "5"}, {"message.max.bytes", "6"}, {"node.id", "7"}};
  const ConfigMap both = with_cluster_defaults({{"retention.ms", "1"}}, cluster);
  EXPECT_EQ(both, (ConfigMap{{"retention.ms", "1"}, {"max.message.bytes", "6"}}));
}

std::string docs_from_the_table() {
  std::string out =
      "# Topic configs\n\n"
      "Accepted by CreateTopics and IncrementalAlterConfigs, shown by DescribeConfigs. Names, defaults and\n"
      "ranges are those of Kafka 4.x. A cluster-wide value of the *broker config* stands in where a topic\n"
      "sets none of its own. Configs that do not act are checked, kept and shown, and nothing follows\n"
      "from them. `message.format.version`, `message.downconversion.enable` and\n"
      "`message.timestamp.difference.max.ms`, which Kafka no longer has, are accepted and dropped.\n\n"
      "Made from the table in `src/partition/topic_config.cc`; `tests/partition/topic_config_test.cc`\n"
      "compares the two, and rewrites this page when `TAFFRAIL_REWRITE_DOCS=1` is set.\n\n"
      "| config | type | default | allowed | broker config | acts | meaning |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const TopicConfigKey& key : topic_config_keys())
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", key.name, config_type_name(key.type),
                       key.default_value.empty() ? "(empty)" : fmt::format("`{}`", key.default_value),
                       key.range(), key.broker_synonym.empty() ? "" : fmt::format("`{}`", key.broker_synonym),
                       key.acts ? "yes" : "no", key.doc);
  return out;
}

TEST(TopicConfigDocs, AreMadeFromTheTable) {
  const std::string path = tests::source_dir() + "/docs/topic-configs.md";
  const std::string expected = docs_from_the_table();
  if (std::getenv("TAFFRAIL_REWRITE_DOCS") != nullptr) std::ofstream(path) << expected;
  std::stringstream found;
  found << std::ifstream(path).rdbuf();
  EXPECT_EQ(found.str(), expected) << "set TAFFRAIL_REWRITE_DOCS=1 and run this test to write " << path;
}

}  // namespace
}  // namespace taffrail
