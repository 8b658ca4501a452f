// Goal: a configuration means what it says or is refused with the place and the remedy.
// Method: files as people write them, and with every mistake that they make.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/node_file.h"

namespace taffrail::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kGood = R"([node]
id = 2
rack = "b"
data = "/var/lib/taffrail"
shards = 2

[cluster]
seeds = ["tf-1:19092", "tf-2:19092", "tf-3:19092"]

[internal]
bind = "0.0.0.0:19092"
advertise = "tf-2:19092"

[listen.PLAINTEXT]
bind = "0.0.0.0:9092"
advertise = "kafka-2.example.org:9092"

[listen.LOCAL]
bind = "127.0.0.1:9093"

[topics]
partitions = 6
auto_create = false

[raft]
heartbeat_ms = 50

[limits]
idle_ms = 60000
)";

TEST(NodeFile, SaysWhatItSays) {
  const auto config = parse_node_file(kGood, "node.toml");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->id, BrokerId(2));
  EXPECT_EQ(config->rack, "b");
  EXPECT_EQ(config->data_dirs, std::vector<std::string>{"/var/lib/taffrail"});
  EXPECT_EQ(config->shards, 2u);
  ASSERT_EQ(config->seeds.size(), 3u);
  EXPECT_EQ(config->seeds[2], (Endpoint{"tf-3", 19092}));
  EXPECT_EQ(config->internal.advertised, (Endpoint{"tf-2", 19092}));
  ASSERT_EQ(config->listeners.size(), 2u);
  EXPECT_EQ(config->listeners.at("PLAINTEXT").advertised, (Endpoint{"kafka-2.example.org", 9092}));
  EXPECT_EQ(config->listeners.at("LOCAL").advertised.host, "");
  EXPECT_EQ(config->default_partitions, 6);
  EXPECT_FALSE(config->auto_create_topics);
  EXPECT_EQ(config->raft.heartbeat, 50_ms);
  EXPECT_EQ(config->server.idle_max, 60_s);
  EXPECT_EQ(config->raft.election_min, RaftConfig().election_min) << "what is not given has its default";
}

TEST(NodeFile, WhatIsWrittenReadsBackTheSame) {
  const auto config = parse_node_file(kGood, "node.toml");
  ASSERT_TRUE(config);
  const std::string written = write_node_file(*config);
  const auto again = parse_node_file(written, "written");
  ASSERT_TRUE(again) << again.error().text() << "\n" << written;
  EXPECT_EQ(*again, *config);
}

TEST(NodeFile, FlagsWinOverTheFile) {
  const std::vector<std::string> set{"node.id=7", "listen.PLAINTEXT.bind=127.0.0.1:1",
                                     "cluster.seeds=a:1,b:2", "topics.auto_create=true"};
  const auto config = parse_node_file(kGood, "node.toml", set);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->id, BrokerId(7));
  EXPECT_EQ(config->listeners.at("PLAINTEXT").bind, (Endpoint{"127.0.0.1", 1}));
  EXPECT_EQ(config->seeds.size(), 2u);
  EXPECT_TRUE(config->auto_create_topics);
}

std::string message(std::string text) {
  const auto config = parse_node_file(text, "node.toml");
  EXPECT_FALSE(config) << text;
  return config ? "" : config.error().message;
}

TEST(NodeFile, AnUnknownKeyIsRefusedWithItsPlaceAndTheNearestName) {
  const std::string text = message("[node]\nid = 1\n  rak = \"b\"\n");
  EXPECT_THAT(text, StartsWith("node.toml:3:"));
  EXPECT_THAT(text, HasSubstr("unknown key \"node.rak\"; did you mean \"node.rack\"?"));
  EXPECT_THAT(message("[listen.WEB]\nbnd = \"a:1\"\n"), HasSubstr("did you mean \"listen.WEB.bind\"?"));
  EXPECT_THAT(message("[nodes]\nid = 1\n"), HasSubstr("did you mean \"node.id\"?"));
}

TEST(NodeFile, MistakesAreNamedWithTheirPlace) {
  EXPECT_THAT(message("[node]\nid = \n"), StartsWith("node.toml:"));
  EXPECT_THAT(message("[node]\nid = \"one\"\n"), HasSubstr("node.toml:2:1: node.id is a number"));
  EXPECT_THAT(message("[node]\nid = -1\n"), HasSubstr("a number from 0"));
  EXPECT_THAT(message("[internal]\nbind = \"nowhere\"\n"), HasSubstr("\"HOST:PORT\""));
  EXPECT_THAT(message("[cluster]\nseeds = [1]\n"), HasSubstr("a list of texts"));
  EXPECT_THAT(message("[topics]\nauto_create = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(message("[groups]\nconsumer_migration = \"both\"\n"), HasSubstr("upgrade, downgrade, bidirectional or disabled"));
  EXPECT_THAT(message("[node]\nid = 1.5\n"), HasSubstr("node.id"));
}

TEST(NodeFile, WhatIsMissingIsNamed) {
  EXPECT_THAT(message(""), HasSubstr("node.id is missing"));
  std::string text(kGood);
  const size_t at = text.find("[listen.LOCAL]\nbind = \"127.0.0.1:9093\"");
  text.replace(at, 38, "[listen.LOCAL]\nadvertise = \"x:1\"     ");
  EXPECT_THAT(message(text), HasSubstr("listen.LOCAL.bind is missing"));
}

TEST(NodeFile, TimesThatCannotWorkTogetherAreRefused) {
  std::string text(kGood);
  text.replace(text.find("heartbeat_ms = 50"), 17, "heartbeat_ms = 400");
  EXPECT_THAT(message(text), HasSubstr("raft.heartbeat_ms"));
}

TEST(NodeFile, EveryKeyIsDocumented) {
  for (const NodeKey& key : node_file_keys()) {
    EXPECT_FALSE(key.help.empty()) << key.key;
    EXPECT_NE(key.key.find('.'), std::string::npos) << key.key;
  }
}

}  // namespace
}  // namespace taffrail::cli
