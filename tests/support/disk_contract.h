// What runtime/disk.h promises, as scripts that any world can be put through. A world's test
// instantiates them: TEST_P over disk_scripts(), each run on a fiber of a shard with an empty disk.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/runtime.h"

namespace taffrail::contract {

struct DiskScript {
  const char* claim;
  void (*run)(Task& task, Runtime& runtime);
};
inline void PrintTo(const DiskScript& script, std::ostream* out) { *out << script.claim; }

namespace disk_detail {

inline Errc code_of(const auto& result) {
  EXPECT_FALSE(result.has_value());
  // kCancelled is never what these scripts expect.
  return result.has_value() ? Errc::kCancelled : result.error().code;
}

inline void expect_ok(const auto& result) {
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text());
}

/// Creates `path` with `content`; null after a failure, which is reported.
inline std::unique_ptr<File> made(Task& task, Disk& disk, std::string_view path,
                                  std::string_view content) {
  Result<std::unique_ptr<File>> file = disk.open(task, path, OpenMode::kCreate);
  expect_ok(file);
  if (!file) return nullptr;
  expect_ok((*file)->write_at(task, 0, as_bytes(content)));
  return std::move(*file);
}

inline std::string read_all(Task& task, File& file) {
  const Result<uint64_t> size = file.size(task);
  expect_ok(size);
  if (!size) return {};
  std::string text(*size, '?');
  const Result<size_t> got =
      file.read_at(task, 0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
  expect_ok(got);
  if (got) {
    EXPECT_EQ(*got, text.size());
  }
  return text;
}

inline void open_modes(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  EXPECT_EQ(code_of(disk.open(task, "a", OpenMode::kRead)), Errc::kNotFound);
  EXPECT_EQ(code_of(disk.open(task, "a", OpenMode::kWrite)), Errc::kNotFound);
  EXPECT_EQ(code_of(disk.open(task, "no/a", OpenMode::kCreate)), Errc::kNotFound);
  made(task, disk, "a", "1");
  EXPECT_EQ(code_of(disk.open(task, "a", OpenMode::kCreate)), Errc::kExists);
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kWrite, OpenMode::kOpenOrCreate}) {
    const auto file = disk.open(task, "a", mode);
    expect_ok(file);
    if (file) {
      EXPECT_EQ(read_all(task, **file), "1");
    }
  }
  const auto fresh = disk.open(task, "b", OpenMode::kOpenOrCreate);
  expect_ok(fresh);
  if (fresh) {
    EXPECT_EQ(read_all(task, **fresh), "");
  }
}

inline void gathers(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "");
  if (!file) return;
  const std::vector<ByteView> parts{as_bytes("ab"), {}, as_bytes("c"), {}, as_bytes("defg"), {}};
  expect_ok(file->write_at(task, 3, parts));
  EXPECT_EQ(read_all(task, *file), std::string_view("\0\0\0abcdefg", 10));
  expect_ok(file->write_at(task, 4, as_bytes("XY")));
  EXPECT_EQ(read_all(task, *file), std::string_view("\0\0\0aXYdefg", 10));
  expect_ok(file->write_at(task, 0, std::span<const ByteView>()));
  EXPECT_EQ(read_all(task, *file).size(), 10u);
}

inline void many_parts(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "");
  if (!file) return;
  std::string whole;
  std::vector<size_t> sizes;
  for (size_t i = 0; i < 3000; ++i) {
    sizes.push_back(i % 7 == 0 ? 0 : i % 1500);
    whole.append(sizes.back(), static_cast<char>('a' + i % 26));
  }
  std::vector<ByteView> parts;
  size_t at = 0;
  for (const size_t size : sizes) {
    parts.push_back(as_bytes(std::string_view(whole).substr(at, size)));
    at += size;
  }
  expect_ok(file->write_at(task, 5, parts));
  EXPECT_TRUE(read_all(task, *file) == std::string(5, '\0') + whole);
}

inline void reads_end(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "0123456789");
  if (!file) return;
  std::vector<uint8_t> into(8);
  const Result<size_t> inside = file->read_at(task, 1, into);
  expect_ok(inside);
  if (inside) {
    EXPECT_EQ(*inside, 8u);
  }
  EXPECT_EQ(as_text(into), "12345678");
  const Result<size_t> last = file->read_at(task, 7, into);
  expect_ok(last);
  if (last) {
    EXPECT_EQ(*last, 3u);
  }
  EXPECT_EQ(as_text(ByteView(into).first(3)), "789");
  for (const uint64_t past : {10u, 1000u}) {
    const Result<size_t> none = file->read_at(task, past, into);
    expect_ok(none);
    if (none) {
      EXPECT_EQ(*none, 0u);
    }
  }
}

inline void truncates(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "0123456789");
  if (!file) return;
  expect_ok(file->truncate(task, 4));
  EXPECT_EQ(read_all(task, *file), "0123");
  expect_ok(file->truncate(task, 6));
  EXPECT_EQ(read_all(task, *file), std::string_view("0123\0\0", 6));
}

inline void allocates(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "0123");
  if (!file) return;
  expect_ok(file->allocate(task, 10'000));
  EXPECT_TRUE(read_all(task, *file) == "0123" + std::string(9'996, '\0'));
  expect_ok(file->allocate(task, 8));  // Less than there is: nothing changes.
  EXPECT_EQ(read_all(task, *file).size(), 10'000u);
}

inline void directories(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  EXPECT_EQ(code_of(disk.make_directory(task, "d/e")), Errc::kNotFound);
  expect_ok(disk.make_directory(task, "d"));
  expect_ok(disk.make_directory(task, "d"));
  expect_ok(disk.make_directory(task, "d/e"));
  for (const char* name : {"d/z", "d/a", "d/m"}) made(task, disk, name, "");
  const auto listed = disk.list(task, "d");
  expect_ok(listed);
  if (listed) {
    EXPECT_EQ(*listed, (std::vector<std::string>{"a", "e", "m", "z"}));
  }
  const auto root = disk.list(task, "");
  expect_ok(root);
  if (root) {
    EXPECT_EQ(*root, (std::vector<std::string>{"d"}));
  }
  EXPECT_EQ(code_of(disk.list(task, "no")), Errc::kNotFound);
  EXPECT_EQ(code_of(disk.remove_directory(task, "d")), Errc::kBusy);
  EXPECT_EQ(code_of(disk.remove_directory(task, "no")), Errc::kNotFound);
  expect_ok(disk.remove_directory(task, "d/e"));
  for (const auto& [path, there] :
       {std::pair{"d", true}, {"d/e", false}, {"d/a", true}, {"no/a", false}}) {
    const Result<bool> found = disk.exists(task, path);
    expect_ok(found);
    if (found) {
      EXPECT_EQ(*found, there) << path;
    }
  }
  expect_ok(disk.sync_directory(task, "d"));
  expect_ok(disk.sync_directory(task, ""));
}

inline void renames(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  EXPECT_EQ(code_of(disk.rename(task, "a", "b")), Errc::kNotFound);
  made(task, disk, "a", "new");
  const auto replaced = made(task, disk, "b", "old");
  expect_ok(disk.rename(task, "a", "b"));
  const Result<std::string> text = read_file(task, disk, "b", 100);
  expect_ok(text);
  if (text) {
    EXPECT_EQ(*text, "new");
  }
  EXPECT_EQ(code_of(disk.open(task, "a", OpenMode::kRead)), Errc::kNotFound);
  if (replaced) {
    EXPECT_EQ(read_all(task, *replaced), "old");
  }
}

inline void removed_stays(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  EXPECT_EQ(code_of(disk.remove(task, "f")), Errc::kNotFound);
  const auto file = made(task, disk, "f", "still here");
  expect_ok(disk.remove(task, "f"));
  EXPECT_EQ(code_of(disk.open(task, "f", OpenMode::kRead)), Errc::kNotFound);
  if (file) {
    EXPECT_EQ(read_all(task, *file), "still here");
  }
}

inline void paths(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  expect_ok(disk.make_directory(task, "d"));
  for (const char* path : {"../x", "/etc/hostname", "d/../x", "d//x", "d/", "", "d/.."}) {
    EXPECT_FALSE(disk.open(task, path, OpenMode::kOpenOrCreate).has_value()) << path;
    EXPECT_FALSE(disk.remove(task, path).has_value()) << path;
  }
  EXPECT_FALSE(disk.rename(task, "d", "../d").has_value());
  EXPECT_FALSE(disk.list(task, "..").has_value());
}

inline void locks(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  Result<std::unique_ptr<DirectoryLock>> first = disk.lock(task, "lock");
  expect_ok(first);
  EXPECT_EQ(code_of(disk.lock(task, "lock")), Errc::kBusy);
  if (first) first->reset();
  expect_ok(disk.lock(task, "lock"));
}

inline void replaces(Task& task, Runtime& runtime) {
  Disk& disk = runtime.disk();
  EXPECT_EQ(code_of(read_file(task, disk, "meta", 100)), Errc::kNotFound);
  for (const char* content : {"one", "two and more", ""}) {
    expect_ok(replace_file(task, disk, "meta", as_bytes(content)));
    const Result<std::string> text = read_file(task, disk, "meta", 12);
    expect_ok(text);
    if (text) {
      EXPECT_EQ(*text, content);
    }
  }
  expect_ok(replace_file(task, disk, "meta", as_bytes("longer than that")));
  EXPECT_EQ(code_of(read_file(task, disk, "meta", 12)), Errc::kTooLarge);
}

inline void space_is_sane(Task& task, Runtime& runtime) {
  const Result<DiskSpace> space = runtime.disk().space(task);
  expect_ok(space);
  if (!space) return;
  EXPECT_GT(space->total, 0u);
  EXPECT_LE(space->free, space->total);
}

inline void many_fibers(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "");
  if (!file) return;
  constexpr size_t kFibers = 24;
  constexpr size_t kBytes = 5000;
  Scope scope;
  for (size_t i = 0; i < kFibers; ++i) {
    runtime.spawn(scope, "writer", [&file, i](Task& inner) {
      const std::string mine(kBytes, static_cast<char>('a' + i));
      expect_ok(file->write_at(inner, i * kBytes, as_bytes(mine)));
      expect_ok(file->sync(inner));
      std::vector<uint8_t> back(kBytes);
      const Result<size_t> got = file->read_at(inner, i * kBytes, back);
      expect_ok(got);
      EXPECT_TRUE(as_text(back) == mine);
    });
  }
  scope.join(task);
  EXPECT_EQ(read_all(task, *file).size(), kFibers * kBytes);
}

inline void not_interrupted(Task& task, Runtime& runtime) {
  const auto file = made(task, runtime.disk(), "f", "");
  if (!file) return;
  Scope scope;
  bool done = false;
  runtime.spawn(scope, "writer", [&](Task& inner) {
    expect_ok(file->write_at(inner, 0, as_bytes("before")));
    EXPECT_TRUE(inner.cancelled());
    expect_ok(file->write_at(inner, 6, as_bytes(" and after")));
    expect_ok(file->sync(inner));
    done = true;
  });
  runtime.scheduler().yield(task);  // The write is under way...
  scope.cancel();                   // ...when its fiber is asked to stop.
  scope.join(task);
  EXPECT_TRUE(done);
  EXPECT_EQ(read_all(task, *file), "before and after");
}

}  // namespace disk_detail

inline const std::vector<DiskScript>& disk_scripts() {
  using namespace disk_detail;  // NOLINT: the scripts above, and nothing else.
  static const std::vector<DiskScript> scripts{
      {"OpenModesCreateAndRefuse", open_modes},
      {"WritesGatherExtendAndOverwrite", gathers},
      {"WritesTakeThousandsOfParts", many_parts},
      {"ReadsAreShortOnlyAtTheEnd", reads_end},
      {"TruncateShortensAndZeroFills", truncates},
      {"AllocateChangesNoByte", allocates},
      {"DirectoriesAreListedInOrder", directories},
      {"RenameReplaces", renames},
      {"ARemovedFileStaysReadable", removed_stays},
      {"PathsStayInside", paths},
      {"ALockHasOneHolder", locks},
      {"ReplaceFileReplacesWhole", replaces},
      {"SpaceIsSane", space_is_sane},
      {"ManyFibersShareAFile", many_fibers},
      {"CancellationInterruptsNoCall", not_interrupted},
  };
  return scripts;
}

}  // namespace taffrail::contract
