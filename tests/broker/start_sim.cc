// Goal: a data directory that is not this broker's, not this version's or not whole is told so, in words that name the
// file, the place and what to do, and nothing in it is touched or believed. Method: files are changed under a
// running broker, which reads them when it starts again.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "broker/identity.h"
#include "broker/support/broker_world.h"
#include "storage/store.h"

namespace taffrail::test {
namespace {

using testing::HasSubstr;

struct Start : testing::Test {
  /// The same disk for every test: a topic with some batches, most of them in a segment.
  void prepare(uint32_t brokers = 1) {
    NodeConfig config = small_config();
    config.storage.flush_bytes = 1_KiB;
    world = std::make_unique<BrokerWorld>(1, brokers, config);
    id = world->create_topic("t", 1, static_cast<int16_t>(brokers));
    world->run([&](Wire& wire) {
      for (int i = 0; i < 20; ++i) wire.produce("t", batch_of({std::string(400, 'x')}));
    }, world->leader_of("t"));
    // Segments hold what is committed, and the write-ahead log only what came last.
    for (uint32_t i = 0; i < brokers; ++i)
      world->world.run_fiber(world->cluster.broker(i), [&](Task& task, Runtime&) {
        ASSERT_TRUE(world->cluster.node(i)->store()->checkpoint(task).has_value());
      });
    world->world.run_for(3_s);
  }
  std::vector<std::string> files_in(const std::string& directory, uint32_t broker = 0) {
    std::vector<std::string> names;
    world->world.run_fiber(world->cluster.broker(broker), [&](Task& task, Runtime& runtime) {
      const auto listed = runtime.disk().list(task, directory);
      ASSERT_TRUE(listed.has_value()) << listed.error().text();
      for (const std::string& name : *listed) names.push_back(directory + "/" + name);
    });
    return names;
  }
  /// The file after `change`, durably. It may become shorter.
  void edit(const std::string& path, const std::function<void(std::string&)>& change, uint32_t broker = 0) {
    world->world.run_fiber(world->cluster.broker(broker), [&](Task& task, Runtime& runtime) {
      auto bytes = read_file(task, runtime.disk(), path, 64_MiB);
      ASSERT_TRUE(bytes.has_value()) << bytes.error().text();
      change(*bytes);
      auto file = runtime.disk().open(task, path, OpenMode::kWrite);
      ASSERT_TRUE(file.has_value());
      ASSERT_TRUE((*file)->truncate(task, bytes->size()).has_value());
      ASSERT_TRUE((*file)->write_at(task, 0, as_bytes(*bytes)).has_value());
      ASSERT_TRUE((*file)->sync(task).has_value());
    });
  }
  void restart(uint32_t broker = 0) {
    lines_before = world->world.trace().time_line().size();
    stops_before = world->world.stops().size();
    world->world.restart(world->cluster.broker(broker));
    world->world.run_for(5_s);
  }
  /// Why it did not start; "" if it did.
  std::string refusal() const {
    return world->world.stops().size() > stops_before ? world->world.stops()[stops_before].why : "";
  }
  /// What was logged since the restart that contains `text`.
  std::vector<std::string> said(std::string_view text) const {
    std::vector<std::string> found;
    const auto& lines = world->world.trace().time_line();
    for (size_t i = lines_before; i < lines.size(); ++i)
      if (lines[i].text.find(text) != std::string::npos) found.push_back(lines[i].text);
    return found;
  }
  void expect_refused(const std::string& file, const std::function<void(std::string&)>& change,
                      std::initializer_list<const char*> words) {
    prepare();
    edit(file, change);
    // The copy would stand in for it: both have to be gone for a start to be refused.
    if (file == kIdentityFile) edit(std::string(kIdentityCopyFile), change);
    restart();
    for (const char* word : words) EXPECT_THAT(refusal(), HasSubstr(word));
    EXPECT_FALSE(world->cluster.serving(0));
  }

  std::unique_ptr<BrokerWorld> world;
  TopicId id;
  size_t lines_before = 0;
  size_t stops_before = 0;
};

/// An identity file that says something else, with its checksum right.
void rewrite(std::string& text, const std::function<void(NodeIdentity&)>& change) {
  auto identity = NodeIdentity::decode(text);
  ASSERT_TRUE(identity.has_value());
  change(*identity);
  text = identity->encode();
}

TEST_F(Start, AnUntouchedDirectoryStartsAgain) {
  prepare();
  restart();
  EXPECT_EQ(refusal(), "");
  EXPECT_TRUE(world->cluster.serving(0));
  EXPECT_TRUE(said("damage").empty());
  world->run([&](Wire& wire) { EXPECT_EQ(wire.fetch("t", 0).high_watermark, Offset(20)); });
}

TEST_F(Start, AnIdentityIsRestoredFromItsCopy) {
  for (const std::string_view file : {kIdentityFile, kIdentityCopyFile}) {
    prepare();
    std::string before;
    edit(std::string(file), [&](std::string& b) {
      before = b;
      b[40] ^= 1;
    });
    for (int again = 0; again < 2; ++again) {
      restart();
      EXPECT_EQ(refusal(), "");
      EXPECT_TRUE(world->cluster.serving(0));
    }
    edit(std::string(file), [&](std::string& b) { EXPECT_EQ(b, before); });
  }
}

TEST_F(Start, AnIdentityThatIsFlippedCutOrMissing) {
  const std::string file(kIdentityFile);
  expect_refused(file, [](std::string& b) { b[40] ^= 1; }, {"node.identity", "byte", "Restore the file"});
  expect_refused(file, [](std::string& b) { b[3] ^= 1; }, {"node.identity", "first line", "Restore the file"});
  expect_refused(file, [](std::string& b) { b.resize(b.size() / 2); }, {"node.identity", "Restore the file"});
  expect_refused(file, [](std::string& b) { b.clear(); }, {"node.identity", "Restore the file"});
  expect_refused(file, [](std::string& b) { b += "node 7\n"; }, {"node.identity", "checksum"});
  prepare();
  world->world.run_fiber(world->cluster.broker(0), [&](Task& task, Runtime& runtime) {
    ASSERT_TRUE(runtime.disk().remove(task, kIdentityFile).has_value());
    ASSERT_TRUE(runtime.disk().remove(task, kIdentityCopyFile).has_value());
    ASSERT_TRUE(runtime.disk().sync_directory(task, "").has_value());
  });
  restart();
  EXPECT_THAT(refusal(), HasSubstr("it is missing, although shard-0 is there"));
}

TEST_F(Start, AnIdentityOfANewerFormatOrOfAnotherNode) {
  expect_refused(std::string(kIdentityFile), [](std::string& b) {
    b.replace(b.find("format 1"), 8, "format 4");
    b.resize(b.rfind("checksum "));
    b += fmt::format("checksum {:08x}\n", crc32c(as_bytes(b)));
  },
                 {"format 4", "Start the version that wrote it"});
  expect_refused(std::string(kIdentityFile), [](std::string& b) { rewrite(b, [](NodeIdentity& i) { i.replica.node = BrokerId(7); }); },
                 {"belongs to node 7", "its own directory"});
}

TEST_F(Start, FilesOfAnotherDisk) {
  expect_refused(std::string(kIdentityFile), [](std::string& b) { rewrite(b, [](NodeIdentity& i) { i.replica.disk.low ^= 1; }); },
                 {"shard-0/wal/", "belongs to disk", "was it copied here?"});
}

TEST_F(Start, ADirectoryOfAnotherClusterTakesNoPart) {
  prepare(3);
  const uint32_t stranger = (world->leader_of("t") + 1) % 3;
  edit(std::string(kIdentityFile), [](std::string& b) { rewrite(b, [](NodeIdentity& i) { i.cluster.low ^= 1; }); }, stranger);
  restart(stranger);
  EXPECT_FALSE(world->cluster.serving(stranger));
  const auto lines = said("belongs to cluster");
  ASSERT_FALSE(lines.empty()) << "nobody says why it does not come up";
  EXPECT_THAT(lines.front(), HasSubstr("belongs to cluster"));
  EXPECT_LT(lines.size(), 100u) << "said over and over";
  // The two others go on without it.
  world->run([&](Wire& wire) { EXPECT_EQ(wire.produce("t", batch_of({"a"})).error_code, protocol::ErrorCode::kNone); },
             world->leader_of("t"));
}

TEST_F(Start, AWriteAheadLogOfANewerFormat) {
  prepare();
  const auto files = files_in("shard-0/wal");
  ASSERT_FALSE(files.empty());
  edit(files.front(), [](std::string& b) {
    b[5] = 99;
    ByteWriter crc;
    crc.u32(crc32c(as_bytes(b).first(40)));
    b.replace(40, 4, crc.take());
  });
  restart();
  EXPECT_THAT(refusal(), HasSubstr(files.front()));
  EXPECT_THAT(refusal(), HasSubstr("has format 99"));
  EXPECT_THAT(refusal(), HasSubstr("start the version that wrote it"));
}

TEST_F(Start, AWriteAheadLogThatIsFlippedNamesThePlaceAndKeepsWhatIsLeft) {
  prepare();
  const auto files = files_in("shard-0/wal");
  ASSERT_FALSE(files.empty());
  // Early in what was written: below a mark that says it was durable.
  edit(files.front(), [](std::string& b) { b[4096 + 200] ^= 1; });
  restart();
  const auto lines = said("damage found at start");
  ASSERT_FALSE(lines.empty());
  EXPECT_THAT(lines.front(), HasSubstr(files.front() + " at "));
  EXPECT_THAT(lines.front(), HasSubstr("repaired from the other replicas"));
}

TEST_F(Start, ASegmentThatIsFlippedOrOfANewerFormat) {
  prepare();
  std::string segment;
  for (const std::string& directory : files_in("shard-0/logs"))
    if (directory.find(id.text()) != std::string::npos)
      for (const std::string& file : files_in(directory))
        if (file.ends_with(".log")) segment = file;
  ASSERT_FALSE(segment.empty());
  // In the first chunk's batches: found when they are read, and nothing wrong is ever served.
  edit(segment, [](std::string& b) { b[b.size() / 2] ^= 1; });
  restart();
  EXPECT_EQ(refusal(), "");
  world->run([&](Wire& wire) {
    protocol::ErrorCode code = protocol::ErrorCode::kNone;
    for (int64_t offset = 0; offset < 20; ++offset) {
      const auto answer = wire.fetch("t", offset);
      if (answer.error_code != protocol::ErrorCode::kNone) code = answer.error_code;
      const Slice bytes = answer.records.flat();
      BatchWalk walk(bytes);
      while (const auto batch = *walk.next()) EXPECT_TRUE(batch->check_crc());
    }
    EXPECT_NE(code, protocol::ErrorCode::kNone) << "the only copy is damaged, and nobody was told";
  });
  EXPECT_FALSE(said(segment).empty()) << "nobody says which file is damaged";

  prepare();
  edit(segment, [](std::string& b) {
    b[5] = 99;
    ByteWriter crc;
    crc.u32(crc32c(as_bytes(b).first(60)));
    b.replace(60, 4, crc.take());
  });
  restart();
  EXPECT_THAT(refusal(), HasSubstr("has format 99"));
  EXPECT_THAT(refusal(), HasSubstr(segment));
}

}  // namespace
}  // namespace taffrail::test
