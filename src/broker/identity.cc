#include "broker/identity.h"

#include <fmt/core.h>

#include <charconv>

#include "base/crc32c.h"
#include "base/plant.h"

namespace taffrail {
namespace {

constexpr std::string_view kFirstLine = "taffrail node, format 1";
// While its logs move: a program that does not know of that must not open any of them.
constexpr std::string_view kMovingLine = "taffrail node, format 2";
// One of several data directories: a program that does not know of that would find a part of the logs, and miss the others.
constexpr std::string_view kDirectoriesLine = "taffrail node, format 3";

std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

bool number(std::string_view text, int32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

Error damaged(std::string_view what) {
  return {Errc::kCorrupt,
          fmt::format("{}: {}. Restore the file from a copy; or, if the other brokers hold this one's data, empty "
                      "the data directory and let it join as new", kIdentityFile, what)};
}

}  // namespace

std::string NodeIdentity::encode() const {
  std::string out = fmt::format("{}\nnode {}\ndisk {}\ncluster {}\n", directories > 1 ? kDirectoriesLine : moving == 0 ? kFirstLine : kMovingLine,
                                replica.node.value, replica.disk.text(), cluster.text());
  if (directories > 1) out += fmt::format("directory {} of {}\n", directory + 1, directories);
  for (const DiskId& disk : more_disks) out += fmt::format("other {}\n", disk.text());
  if (shards != 1) out += fmt::format("shards {}\n", shards);
  if (moving != 0) out += fmt::format("moving {}\n", moving);
  for (const FoundingVoter& v : voters)
    out += fmt::format("voter {} {} {}\n", v.replica.node.value, v.replica.disk.text(), v.internal.text());
  out += fmt::format("checksum {:08x}\n", crc32c(as_bytes(out)));
  return out;
}

Result<NodeIdentity> NodeIdentity::decode(std::string_view text) {
  const std::string_view all = text;
  const std::string_view first = take_line(text);
  if (first != kFirstLine && first != kMovingLine && first != kDirectoriesLine) {
    // Every format ends with its checksum: without that, a number in the first line proves nothing.
    const size_t end = all.rfind("checksum ");
    const bool whole = end != std::string_view::npos &&
                       all.substr(end) == fmt::format("checksum {:08x}\n", crc32c(as_bytes(all.substr(0, end))));
    if (whole && first.starts_with("taffrail node, format "))
      return fail(Errc::kUnsupported, fmt::format("{} says \"{}\"; this version reads up to \"{}\". Start the version "
                                                  "that wrote it, or a later one", kIdentityFile, first.substr(0, 40), kDirectoriesLine));
    return std::unexpected(damaged("its first line is not that of a node's identity"));
  }
  NodeIdentity identity;
  while (!text.empty()) {
    const size_t at = all.size() - text.size();
    std::string_view line = take_line(text);
    const size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    const std::string_view rest = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    bool good = true;
    if (word == "node") {
      good = number(rest, identity.replica.node.value);
    } else if (word == "disk") {
      identity.replica.disk = Uuid::parse(rest);
      good = !identity.replica.disk.is_zero();
    } else if (word == "cluster") {
      identity.cluster = Uuid::parse(rest);
      good = rest.size() == 22;
    } else if (word == "directory") {
      const size_t of = rest.find(" of ");
      int32_t which = 0;
      int32_t count = 0;
      good = of != std::string_view::npos && number(rest.substr(0, of), which) && number(rest.substr(of + 4), count) && which >= 1 &&
             which <= count && count > 1 && count <= static_cast<int32_t>(kDirectoriesMax) && first == kDirectoriesLine;
      identity.directory = static_cast<uint32_t>(which - 1);
      identity.directories = static_cast<uint32_t>(count);
    } else if (word == "other") {
      identity.more_disks.push_back(Uuid::parse(rest));
      good = !identity.more_disks.back().is_zero() && identity.directory == 0 && identity.more_disks.size() < identity.directories;
    } else if (word == "shards") {
      int32_t count = 0;
      good = number(rest, count) && count > 0;
      identity.shards = static_cast<uint32_t>(count);
    } else if (word == "moving") {
      int32_t count = 0;
      good = number(rest, count) && count > 0 && first != kFirstLine;
      identity.moving = static_cast<uint32_t>(count);
    } else if (word == "voter") {
      const size_t second = rest.find(' ');
      const size_t third = second == std::string_view::npos ? second : rest.find(' ', second + 1);
      good = third != std::string_view::npos;
      if (good) {
        FoundingVoter voter;
        const auto endpoint = Endpoint::parse(rest.substr(third + 1));
        voter.replica.disk = Uuid::parse(rest.substr(second + 1, third - second - 1));
        good = number(rest.substr(0, second), voter.replica.node.value) && endpoint && !voter.replica.disk.is_zero();
        if (good) {
          voter.internal = *endpoint;
          identity.voters.push_back(voter);
        }
      }
    } else if (word == "checksum") {
      if (rest != fmt::format("{:08x}", crc32c(as_bytes(all.substr(0, at)))))
        return std::unexpected(damaged(fmt::format("the checksum at byte {} is not that of the bytes before it", at)));
      if (!text.empty()) return std::unexpected(damaged("something follows the checksum"));
      return identity;
    } else {
      good = false;
    }
    if (!good) return std::unexpected(damaged(fmt::format("the line at byte {} is not understood", at)));
  }
  return std::unexpected(damaged("it ends before its checksum"));
}

namespace {

// Reads one of the two files. Errors: kNotFound; kCorrupt; kIo.
Result<NodeIdentity> load_file(Task& task, Disk& disk, std::string_view file) {
  const Result<std::string> text = read_file(task, disk, file, 64_KiB);
  if (text) return NodeIdentity::decode(*text);
  if (text.error().code == Errc::kTooLarge) return std::unexpected(damaged(text.error().message));
  if (text.error().code == Errc::kIo) return fail(Errc::kIo, damaged(text.error().message).message);
  return std::unexpected(text.error());
}

// The copy speaks of what was about to be and never came to be, or does not read: should the file rot one day, it would
// be believed, or be missing.
Result<> restore_copy(Task& task, Runtime& runtime, const NodeIdentity& identity) {
  const Result<NodeIdentity> copy = load_file(task, runtime.disk(), kIdentityCopyFile);
  if ((copy && *copy == identity) || PLANT("S72")) return {};
  const Result<> written = replace_file(task, runtime.disk(), kIdentityCopyFile, as_bytes(identity.encode()));
  // What it says of a move is about to be given up, or has come true: it must not be believed later.
  if (!written && copy && copy->moving != identity.moving) return written;
  if (written && copy) return {};
  runtime.log().warn("node", "{} {}; {}", kIdentityCopyFile,
                     copy ? std::string("says something else") : fmt::format("cannot be read ({})", copy.error().text()),
                     written ? fmt::format("it is restored from {}", kIdentityFile)
                             : fmt::format("it cannot be restored now ({}), the next start tries again", written.error().text()));
  return {};
}

}  // namespace

Result<NodeIdentity> load_identity(Task& task, Runtime& runtime, BrokerId id) {
  Disk& disk = runtime.disk();
  Result<NodeIdentity> identity = load_file(task, disk, kIdentityFile);
  if (!identity && (identity.error().code == Errc::kCorrupt || identity.error().code == Errc::kIo || identity.error().code == Errc::kNotFound)) {
    // One rotten page must not cost a broker: the copy says the same, or what was about to be said.
    Result<NodeIdentity> copy = load_file(task, disk, kIdentityCopyFile);
    if (copy) {
      runtime.log().warn("node", "{} cannot be read ({}); it is restored from {}", kIdentityFile,
                         identity.error().text(), kIdentityCopyFile);
      TRY(replace_file(task, disk, kIdentityFile, as_bytes(copy->encode())));
      identity = std::move(copy);
    }
  } else if (identity) {
    TRY(restore_copy(task, runtime, *identity));
  }
  if (identity) {
    if (identity->directories != runtime.directory_count())
      return fail(Errc::kInvalid, fmt::format("this is data directory {} of {} of its node, and the node was started with {}. Give it all of "
                                              "them, in that order. For another number drain the broker, and let it join as new with "
                                              "empty ones", identity->directory + 1, identity->directories, runtime.directory_count()));
    if (identity->directory != runtime.directory())
      return fail(Errc::kInvalid, fmt::format("this is data directory {} of its node, given as number {}. Give them in the order they "
                                              "were first given in", identity->directory + 1, runtime.directory() + 1));
    if (identity->replica.node != id)
      return fail(Errc::kInvalid, fmt::format("this data directory belongs to node {}, and node {} was started on it. "
                                              "Give the node its own directory, or its own id", identity->replica.node.value, id.value));
    // Of a process that was killed between the file's new name and its sync: a power cut must not undo what is acted on.
    if (!PLANT("S73")) TRY(disk.sync_directory(task, ""));
    return identity;
  }
  if (identity.error().code != Errc::kNotFound) return identity;
  for (const std::string& name : TRY(disk.list(task, "")))
    if (name.starts_with("shard-") || name.starts_with("reshard-"))
      return std::unexpected(damaged(fmt::format("it is missing, although {} is there", name)));
  NodeIdentity drawn;
  drawn.replica.node = id;
  drawn.directory = runtime.directory();
  drawn.directories = runtime.directory_count();
  drawn.shards = runtime.shard_count();
  drawn.replica.disk.high = runtime.random().next();
  drawn.replica.disk.low = runtime.random().next();
  // R35: a new disk has the name of the one that it replaces.
  if (PLANT("R35")) drawn.replica.disk = {uint64_t{1} + static_cast<uint32_t>(id.value), uint64_t{1} + runtime.directory()};
  TRY(save_identity(task, runtime, drawn));
  return drawn;
}

// The copy first: until the file itself says it, nobody has acted on it.
Result<> save_identity(Task& task, Runtime& runtime, const NodeIdentity& identity) {
  const std::string text = identity.encode();
  // M30: whatever was copied first stays the copy.
  if (!(PLANT("M30") && TRY(runtime.disk().exists(task, kIdentityCopyFile))))
    TRY(replace_file(task, runtime.disk(), kIdentityCopyFile, as_bytes(text)));
  return replace_file(task, runtime.disk(), kIdentityFile, as_bytes(text));
}

}  // namespace taffrail
