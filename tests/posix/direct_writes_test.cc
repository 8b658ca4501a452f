// Goal: what is written past the page cache and what goes through it is one file, whatever begins and ends where, and on a
// file system that has no such way too. Method: writes of all sizes and places over one another, in several pieces, each
// compared with a copy in memory as a reader sees it; and the plan of each write, step by step.
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <random>

#include "posix/direct_writes.h"
#include "posix/support/world.h"

namespace taffrail::posix {
namespace {

void write_over_and_over(Task& task, Shard& shard, uint64_t seed) {
  std::mt19937_64 draw(seed);
  const auto file = *shard.runtime.disk().open(task, "f", OpenMode::kOpenOrCreate);
  std::string model;
  const auto below = [&](uint64_t n) { return draw() % n; };
  for (int i = 0; i < 60; ++i) {
    // Blocks, pages, and what ends anywhere; small ones, and more than a buffer holds.
    const uint64_t unit = std::array<uint64_t, 4>{1, 512, 4096, 1}[below(4)];
    const uint64_t size = (1 + below(below(3) == 0 ? 2'500'000 : below(2) == 0 ? 200'000 : 3'000) / unit) * unit;
    const uint64_t at = below(4) == 0 ? model.size() / unit * unit : below(model.size() + 1) / unit * unit;
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(draw());
    std::vector<ByteView> parts;
    for (uint64_t from = 0; from < size;) {
      const uint64_t piece = std::min(size - from, 1 + below(below(2) == 0 ? 100 : 500'000));
      parts.push_back(as_bytes(bytes).subspan(from, piece));
      if (below(8) == 0) parts.push_back({});
      from += piece;
    }
    const Result<> written = below(2) == 0 ? file->write_and_sync(task, at, parts) : file->write_at(task, at, parts);
    ASSERT_TRUE(written.has_value()) << written.error().text();
    model.resize(std::max(model.size(), at + size));
    model.replace(at, size, bytes);
    // What lies around it as well, which a reader may have brought into the cache before.
    const uint64_t from = at - std::min<uint64_t>(at, below(10'000));
    std::string seen(std::min<uint64_t>(size + 20'000, model.size() - from), '\0');
    const auto got = file->read_at(task, from, {reinterpret_cast<uint8_t*>(seen.data()), seen.size()});
    ASSERT_TRUE(got.has_value());
    ASSERT_EQ(*got, seen.size());
    ASSERT_TRUE(seen == std::string_view(model).substr(from, seen.size())) << "write " << i << " of seed " << seed << " at " << at;
  }
  ASSERT_EQ(*file->size(task), model.size());
}

TEST(DirectWrites, AndThoseThroughTheCacheAreOneFile) {
  for (uint64_t seed = 1; seed <= 5; ++seed)
    TestWorld().run([&](Task& task, Shard& shard) { write_over_and_over(task, shard, seed); });
}

// Also what has not reached the disk yet, and the end that is no whole block.
TEST(DirectReads, SeeWhatWasWrittenThroughTheCache) {
  TestWorld().run([&](Task& task, Shard& shard) {
    std::mt19937_64 draw(7);
    for (const uint64_t size : {kReadPastCache, kReadPastCache + 4096, kReadPastCache + 5'001}) {
      std::string bytes(size, '\0');
      for (size_t i = 0; i < size; i += 97) bytes[i] = static_cast<char>(draw());
      const auto file = *shard.runtime.disk().open(task, fmt::format("f{}", size), OpenMode::kCreate);
      ASSERT_TRUE(file->write_at(task, 0, as_bytes(bytes)));
      ASSERT_TRUE(file->write_at(task, 300'001, as_bytes("through the cache")));
      bytes.replace(300'001, 17, "through the cache");
      for (const uint64_t from : {0, 4'096, 777}) {
        std::string seen(size + 10'000, '?');
        const auto got = file->read_at(task, from, {reinterpret_cast<uint8_t*>(seen.data()), seen.size()});
        ASSERT_TRUE(got.has_value()) << got.error().text();
        EXPECT_EQ(*got, size - from);
        EXPECT_TRUE(seen.substr(0, *got) == bytes.substr(from)) << size << " from " << from;
      }
    }
  });
}

TEST(DirectWrites, WhereThereIsNoSuchWay) {
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "no file system in memory here";
  TemporaryDirectory memory{"/dev/shm"};
  TestWorld world;
  world.options.data_dirs = {memory.path()};
  world.run([&](Task& task, Shard& shard) { write_over_and_over(task, shard, 6); });
}

// Whole blocks go past the cache; of other pieces, large ones do between their first page and their last.
TEST(DirectWrites, TakeWholeBlocksAndTheMiddleOfWhatIsLarge) {
  TemporaryDirectory directory{tests::binary_dir() + "/tmp"};
  const std::string path = directory.path() + "/f";
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  DirectWrites direct;
  const bool has_way = direct.next_step(fd.get(), 0, 4096, 0).direct;
  if (!has_way) GTEST_SKIP() << "this file system has no such way";
  std::mt19937_64 draw(7);
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t total = 1 + draw() % (draw() % 2 == 0 ? 300'000 : 3'000);
    const uint64_t position = draw() % 100'000;
    uint64_t through = 0;
    for (uint64_t done = 0; done < total;) {
      const DirectWrites::Step step = direct.next_step(fd.get(), position, total, done);
      ASSERT_GT(step.size, 0u);
      ASSERT_LE(done + step.size, total);
      if (step.direct) {
        ASSERT_EQ((position + done) % 512, 0u);
        ASSERT_EQ(step.size % 512, 0u);
        ASSERT_TRUE(total >= DirectWrites::kWorthSplitting || (position % 512 == 0 && total % 512 == 0));
      } else {
        through += step.size;
      }
      done += step.size;
    }
    if (total >= DirectWrites::kWorthSplitting) {
      ASSERT_LE(through, 2 * 4096u) << total << " at " << position;
    }
  }
}

}  // namespace
}  // namespace taffrail::posix
