// Goal: our bytes are Kafka's bytes. Method: every row that Kafka's own library wrote is decoded to
// the last byte, prints as its JsonConverter prints it, and encodes back to the very same bytes.
// Rows of messages that are not described are counted, and skipped.
#include "protocol/support/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "protocol/described.h"

namespace taffrail::protocol {
namespace {

using nlohmann::json;

json unknown_json(const Printed& printed) {
  json all = json::array();
  for (const Printed::Unknown& at : printed.unknown) {
    json tags = json::array();
    for (const auto& tag : at.tags) tags.push_back({tag.number, to_hex(as_bytes(tag.data))});
    all.push_back({{"path", at.path}, {"tags", tags}});
  }
  return all;
}

// Only the order of the structs is a matter of taste.
json by_path(json unknown) {
  std::sort(unknown.begin(), unknown.end(),
            [](const json& a, const json& b) { return a.at("path") < b.at("path"); });
  return unknown;
}

void check_row(const DescribedMessage& message, const json& row) {
  SCOPED_TRACE(row.at("name").get<std::string>() + " v" + row.at("version").dump() + " instance " +
               row.at("inst").dump());
  const Slice body = slice_of_hex(row.at("hex"));
  const auto version = row.at("version").get<int16_t>();
  const auto printed = message.print(body, version);
  ASSERT_TRUE(printed.has_value()) << printed.error().text();
  EXPECT_EQ(json::parse(printed->json), row.at("json"));
  EXPECT_EQ(by_path(unknown_json(*printed)), by_path(row.value("unknown", json::array())));
  const auto rewritten = message.rewrite(body, version);
  ASSERT_TRUE(rewritten.has_value()) << rewritten.error().text();
  EXPECT_EQ(to_hex(rewritten->flat()), row.at("hex").get<std::string>());
}

TEST(Golden, MessagesReadPrintAndWriteAsKafkasOwn) {
  std::map<std::string, std::set<int16_t>> seen;
  std::map<std::string, int> skipped;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir())) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".jsonl") || file.starts_with("batches")) continue;
    for (const json& row : golden_rows(entry.path())) {
      const auto name = row.at("name").get<std::string>();
      const DescribedMessage* message = find_described(name);
      if (message == nullptr) {
        ++skipped[name];
        continue;
      }
      check_row(*message, row);
      seen[name].insert(row.at("version").get<int16_t>());
    }
  }
  for (const auto& [name, rows] : skipped)
    std::printf("not described: %s, %d rows\n", name.c_str(), rows);
  // Whatever is described is in the corpus at each of its versions; ApiVersions v5 and
  // DeleteGroups v3 are newer than it.
  for (const DescribedMessage& m : described_messages()) {
    for (int16_t v = m.api.versions.min; v <= m.api.versions.max; ++v) {
      if (m.api.key == ApiKey::kApiVersions && v == 5) continue;
      if (m.api.key == ApiKey::kDeleteGroups && v == 3) continue;
      EXPECT_TRUE(seen[m.api.name].contains(v)) << m.api.name << " v" << v;
    }
  }
}

}  // namespace
}  // namespace taffrail::protocol
