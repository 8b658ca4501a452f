#include "sim/sim_disk.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace taffrail::sim {
namespace {

// What a file is for, as its name tells: all segments of all logs are of one kind.
std::string_view kind_of(std::string_view path) { return path.substr(path.find_last_of("./") + 1); }

}  // namespace

// One call under way. Lives on the waiting fiber's stack, so its buffers are there until it is over.
struct SimDisk::Op {
  Op(SimDisk& d, uint64_t op_id) : disk(d), id(op_id) { disk.ops_.push_back(this); }
  virtual ~Op() { std::erase(disk.ops_, this); }
  virtual void finish() = 0;
  virtual void died() = 0;
  SimDisk& disk;
  uint64_t id;
  Event done;
};

class SimDisk::SimFile final : public File {
 public:
  SimFile(SimDisk& disk, InodeRef inode, std::string path, bool writable)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), writable_(writable), life_(disk.life_) {}

  Result<> write_at(Task& task, uint64_t position, std::span<const ByteView> parts) override;
  Result<size_t> read_at(Task& task, uint64_t position, MutableBytes into) override;
  Result<> sync(Task& task) override;
  Result<> truncate(Task& task, uint64_t size) override;
  Result<> allocate(Task& task, uint64_t size) override;
  Result<uint64_t> size(Task&) override { return inode_->size(); }

 private:
  Result<> writable() const {
    CHECK(life_ == disk_.life_, "a file does not outlive its process");
    if (!writable_) return fail(Errc::kInvalid, fmt::format("{} is open for reading", path_));
    return disk_.check_alive();
  }
  void put(uint64_t position, std::span<const ByteView> parts, uint64_t limit);

  SimDisk& disk_;
  InodeRef inode_;
  std::string path_;
  bool writable_;
  uint64_t life_;
};

class SimDisk::SimLock final : public DirectoryLock {
 public:
  SimLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)), life_(disk.life_) {}
  ~SimLock() override {
    if (life_ == disk_.life_) disk_.locks_.erase(path_);
  }

 private:
  SimDisk& disk_;
  std::string path_;
  uint64_t life_;
};

SimDisk::SimDisk(Engine& engine, const DiskKnobs& knobs, uint32_t node, uint32_t number)
    : EventSink(0x20000 + node + (number << 8)), engine_(engine), knobs_(knobs), node_(node + (number << 8)),
      draws_(engine.tape.stream({.kind = StreamKind::kDisk, .a = node, .b = number})) {}

void SimDisk::on_event(uint64_t id, uint64_t) {
  for (Op* op : ops_) {
    if (op->id != id) continue;
    op->finish();
    op->done.set();
    return;
  }
  // Its process died meanwhile.
}

Duration SimDisk::stretched(Duration d) {
  if (engine_.now() >= slow_until_) return d;
  ++fault_stats_.slow;
  // Slower than that is stuck, and has a fault of its own.
  return std::min(d * slow_factor_, std::max(d, 5_s));
}

Duration SimDisk::draw_delay(const Delay& delay, const char* label) {
  return stretched({delay.base.ns + draws_.draw_between(0, delay.jitter.ns, label)});
}

Duration SimDisk::transfer(uint64_t bytes) const {
  __extension__ using Wide = unsigned __int128;
  return {static_cast<int64_t>(static_cast<Wide>(bytes) * 1'000'000'000 / knobs_.bytes_per_second)};
}

Result<> SimDisk::check_alive() const {
  if (cut_off_) return fail(Errc::kIo, "this node is stopping");
  return {};
}

template <class Finish, class Died>
void SimDisk::perform(Task& task, Instant at, Finish&& finish, Died&& died) {
  struct Call final : Op {
    Call(SimDisk& d, uint64_t op_id, Finish& f, Died& x) : Op(d, op_id), on_finish(f), on_death(x) {}
    void finish() override { on_finish(); }
    void died() override { on_death(); }
    Finish& on_finish;
    Died& on_death;
  };
  Call call(*this, next_op_++, finish, died);
  engine_.push(at, *this, call.id, 0);
  call.done.wait_through(task);
}

template <class Finish>
void SimDisk::perform_names(Task& task, Finish&& finish) {
  perform(task, engine_.now() + draw_delay(knobs_.names, "names latency"), finish, [] {});
}

Result<std::unique_ptr<File>> SimDisk::open(Task& task, std::string_view path, OpenMode mode) {
  TRY(check_alive());
  Result<InodeRef> got = fail(Errc::kIo);
  perform_names(task, [&] {
    got = image_.find(path);
    if (got && (*got)->is_directory()) {
      got = fail(Errc::kInvalid, fmt::format("{} is a directory", path));
    } else if (got && mode == OpenMode::kCreate) {
      got = fail(Errc::kExists, std::string(path));
    } else if (!got && got.error().code == Errc::kNotFound &&
               (mode == OpenMode::kCreate || mode == OpenMode::kOpenOrCreate)) {
      got = image_.create(path, /*directory=*/false);
      if (got) engine_.trace.add(TraceKind::kNames, node_, 1, digest(path));
    }
  });
  InodeRef inode = TRY(std::move(got));
  return std::make_unique<SimFile>(*this, std::move(inode), std::string(path), mode != OpenMode::kRead);
}

Result<> SimDisk::remove(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<> got = fail(Errc::kIo);
  perform(task, engine_.now() + draw_delay(knobs_.removal, "removal latency"), [&] {
    got = image_.remove(path, /*directory=*/false);
    engine_.trace.add(TraceKind::kNames, node_, 2, digest(path));
  }, [] {});
  return got;
}

Result<> SimDisk::rename(Task& task, std::string_view from, std::string_view to) {
  TRY(check_alive());
  Result<> got = fail(Errc::kIo);
  perform_names(task, [&] {
    got = image_.rename(from, to);
    engine_.trace.add(TraceKind::kNames, node_, digest(from), digest(to));
  });
  return got;
}

Result<> SimDisk::make_directory(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<> got = fail(Errc::kIo);
  perform_names(task, [&] {
    const Result<InodeRef> there = image_.find(path);
    if (there) {
      got = (*there)->is_directory() ? Result<>{} : fail(Errc::kExists, fmt::format("{} is a file", path));
      return;
    }
    const Result<InodeRef> made = image_.create(path, /*directory=*/true);
    got = made ? Result<>{} : Result<>(std::unexpected(made.error()));
    engine_.trace.add(TraceKind::kNames, node_, 3, digest(path));
  });
  return got;
}

Result<> SimDisk::remove_directory(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<> got = fail(Errc::kIo);
  perform_names(task, [&] {
    got = image_.remove(path, /*directory=*/true);
    engine_.trace.add(TraceKind::kNames, node_, 4, digest(path));
  });
  return got;
}

Result<std::vector<std::string>> SimDisk::list(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<std::vector<std::string>> got = fail(Errc::kIo);
  perform_names(task, [&] { got = image_.list(path); });
  return got;
}

Result<bool> SimDisk::exists(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<bool> got = false;
  perform_names(task, [&] {
    const Result<InodeRef> at = image_.find(path);
    got = at ? Result<bool>(true)
             : at.error().code == Errc::kNotFound ? Result<bool>(false) : std::unexpected(at.error());
  });
  return got;
}

Result<> SimDisk::sync_directory(Task& task, std::string_view path) {
  TRY(check_alive());
  ++stats_.directory_syncs;
  Instant end = engine_.now() + draw_delay(knobs_.sync, "directory sync latency");
  if (engine_.now() < stuck_until_) {
    ++fault_stats_.stuck_syncs;
    end = std::max(end, stuck_until_);
  }
  Result<> got = fail(Errc::kIo);
  perform(task, end, [&] {
    if (failing_syncs_ > 0) {
      --failing_syncs_;
      ++fault_stats_.failed_syncs;
      got = fail(Errc::kIo, fmt::format("syncing directory {}: input/output error", path));
      return;
    }
    got = image_.sync_names(path);
    engine_.trace.add(TraceKind::kNames, node_, 5, digest(path));
  }, [] {});
  return got;
}

Result<std::unique_ptr<DirectoryLock>> SimDisk::lock(Task& task, std::string_view path) {
  TRY(check_alive());
  Result<> got;
  perform_names(task, [&] {
    // What is locked is a file of that name, or the directory if there is one.
    if (const Result<InodeRef> there = image_.find(path); !there) {
      const Result<InodeRef> made = image_.create(path, /*directory=*/false);
      if (!made) got = std::unexpected(made.error());
    }
    if (got && !locks_.emplace(path).second) got = fail(Errc::kBusy, fmt::format("{} is locked", path));
  });
  TRY(std::move(got));
  return std::make_unique<SimLock>(*this, std::string(path));
}

Result<DiskSpace> SimDisk::space(Task& task) {
  TRY(check_alive());
  perform_names(task, [] {});
  const uint64_t used = image_.used_bytes();
  return DiskSpace{.free = capacity() > used ? capacity() - used : 0, .total = knobs_.capacity_bytes};
}

Result<> SimDisk::room_for(const Inode& inode, uint64_t size) {
  const auto pages = [](uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes; };
  if (size <= inode.size()) return {};
  const uint64_t more = (pages(size) - pages(inode.size())) * kPageBytes;
  if (more == 0 || image_.used_bytes() + more <= capacity()) return {};
  ++fault_stats_.full;
  return fail(Errc::kNoSpace, "no space left on the disk");
}

// Where a page of a sync goes, as the armed faults have it.
Landing SimDisk::land(SyncSet& set, uint64_t page) {
  if (losing_ > 0) {
    --losing_;
    ++fault_stats_.lost_writes;
    return Landing::kNowhere;
  }
  if (misdirecting_ > 0) {
    --misdirecting_;
    ++fault_stats_.misdirected_writes;
    auto files = image_.files();
    // What is alike lies side by side: half of them land in a file of the same kind.
    const auto own = std::ranges::find(files, set.inode, [](const auto& file) { return file.second; });
    if (draws_.hits(1, 2, "it lands among its like") && own != files.end()) {
      const std::string kind(kind_of(own->first));
      std::erase_if(files, [&](const auto& file) { return kind_of(file.first) != kind; });
    }
    set.astray = nullptr;
    if (!files.empty()) {
      set.astray = files[draws_.draw(files.size(), "the file it lands in")].second;
      const uint64_t pages = (set.astray->size() + kPageBytes - 1) / kPageBytes;
      // A bit of an address that flips leads as far into another file as it was to go into its own.
      const bool as_far = draws_.hits(1, 2, "it lands as far into it") && set.astray != set.inode && page < pages;
      set.astray_page = as_far ? page : draws_.draw(pages, "the page it lands on");
    }
    return Landing::kAstray;
  }
  return Landing::kRight;
}

// --- Files -----------------------------------------------------------------------------------------

// The first `limit` bytes of `parts` into the cache.
void SimDisk::SimFile::put(uint64_t position, std::span<const ByteView> parts, uint64_t limit) {
  const uint64_t begins = position;
  for (const ByteView part : parts) {
    const auto piece = part.first(static_cast<size_t>(std::min<uint64_t>(part.size(), limit)));
    inode_->write(position, piece, disk_.draws_, disk_.knobs_.writeback_per_mille);
    disk_.engine_.trace.add(TraceKind::kWrite, disk_.node_, position, digest(piece));
    position += piece.size();
    limit -= piece.size();
    if (limit == 0) break;
  }
  inode_->note_beginning(begins);
}

Result<> SimDisk::SimFile::write_at(Task& task, uint64_t position, std::span<const ByteView> parts) {
  TRY(writable());
  uint64_t total = 0;
  for (const ByteView part : parts) total += part.size();
  if (total == 0) return {};
  ++disk_.stats_.writes;
  disk_.stats_.written_bytes += total;
  const Instant end = disk_.engine_.now() + disk_.draw_delay(disk_.knobs_.write, "write latency");
  Result<> got;
  disk_.perform(task, end, [&] {
    if (disk_.failing_writes_ > 0) {
      --disk_.failing_writes_;
      ++disk_.fault_stats_.failed_writes;
      const uint64_t arrived = disk_.draws_.draw(total + 1, "of a failed write");
      put(position, parts, arrived);
      got = fail(Errc::kIo, fmt::format("writing {}: input/output error", path_));
      return;
    }
    got = disk_.room_for(*inode_, position + total);
    if (!got) {
      const uint64_t fits = inode_->size() > position ? inode_->size() - position : 0;
      put(position, parts, std::min(fits, total));
      return;
    }
    put(position, parts, total);
  }, [&] {
    // Killed in the middle of the call: the kernel had copied so much.
    if (!disk_.room_for(*inode_, position + total)) return;
    put(position, parts, disk_.draws_.draw(total + 1, "of an interrupted write"));
  });
  return got;
}

Result<size_t> SimDisk::SimFile::read_at(Task& task, uint64_t position, MutableBytes into) {
  CHECK(life_ == disk_.life_, "a file does not outlive its process");
  TRY(disk_.check_alive());
  ++disk_.stats_.reads;
  const Duration cost = disk_.draw_delay(disk_.knobs_.read, "read latency") + disk_.transfer(into.size());
  Result<size_t> got = size_t{0};
  disk_.perform(task, disk_.engine_.now() + cost, [&] {
    if (disk_.failing_reads_ > 0) {
      --disk_.failing_reads_;
      got = fail(Errc::kIo, "input/output error");
    } else {
      got = inode_->read(position, into);
    }
    if (got) disk_.stats_.read_bytes += *got;
    else ++disk_.fault_stats_.failed_reads;
  }, [] {});
  if (!got) return fail(got.error(), fmt::format("reading {} at {}", path_, position));
  return got;
}

Result<> SimDisk::SimFile::sync(Task& task) {
  TRY(writable());
  ++disk_.stats_.syncs;
  SyncSet set = disk_.image_.begin_sync(inode_);
  const uint64_t bytes = set.pages.size() * kPageBytes;
  disk_.stats_.synced_bytes += bytes;

  const Instant now = disk_.engine_.now();
  disk_.device_free_ = std::max(disk_.device_free_, now) + disk_.stretched(disk_.transfer(bytes));
  Instant end = disk_.device_free_ + disk_.draw_delay(disk_.knobs_.sync, "sync latency");
  if (now < disk_.stuck_until_) {
    ++disk_.fault_stats_.stuck_syncs;
    end = std::max(end, disk_.stuck_until_);
  }
  end = std::max(end, inode_->sync_until + 1_ns);
  inode_->sync_until = end;

  Result<> got;
  disk_.perform(task, end, [&] {
    if (disk_.failing_syncs_ > 0) {
      --disk_.failing_syncs_;
      ++disk_.fault_stats_.failed_syncs;
      // The pages count as clean from now on, and a later sync will say that all is well.
      disk_.image_.commit_some(set, disk_.draws_);
      disk_.image_.forget(set);
      got = fail(Errc::kIo, fmt::format("syncing {}: input/output error", path_));
      return;
    }
    disk_.image_.commit(set, [&](uint64_t page) { return disk_.land(set, page); });
    disk_.engine_.trace.add(TraceKind::kSync, disk_.node_, set.pages.size(), set.size);
  }, [&] { disk_.image_.abandon(set); });
  return got;
}

Result<> SimDisk::SimFile::truncate(Task& task, uint64_t size) {
  TRY(writable());
  Result<> got;
  disk_.perform_names(task, [&] {
    got = disk_.room_for(*inode_, size);
    if (got) inode_->truncate(size);
    disk_.engine_.trace.add(TraceKind::kNames, disk_.node_, 6, size);
  });
  return got;
}

Result<> SimDisk::SimFile::allocate(Task& task, uint64_t size) {
  TRY(writable());
  Result<> got;
  disk_.perform_names(task, [&] {
    got = disk_.room_for(*inode_, size);
    if (got) inode_->extend(size);
    disk_.engine_.trace.add(TraceKind::kNames, disk_.node_, 7, size);
  });
  return got;
}

// --- What happens to the machine -------------------------------------------------------------------

void SimDisk::process_died() {
  cut_off_ = true;
  for (Op* op : ops_) op->died();
  ops_.clear();
  locks_.clear();
  ++life_;
}

void SimDisk::power_cut() {
  CHECK(ops_.empty(), "the process dies before its machine");
  const DiskImage::CutCounts cut = image_.power_cut(draws_);
  fault_stats_.cut.pages_lost += cut.pages_lost;
  fault_stats_.cut.pages_torn += cut.pages_torn;
  fault_stats_.cut.names_undone += cut.names_undone;
  fault_stats_.cut.sizes_undone += cut.sizes_undone;
  device_free_ = engine_.now();
}

void SimDisk::wipe() {
  CHECK(ops_.empty(), "the process dies before its disk is wiped");
  image_ = DiskImage();
  limit_ = UINT64_MAX;
}

void SimDisk::slow_down(uint32_t factor, Instant until) {
  slow_factor_ = factor;
  slow_until_ = until;
}

void SimDisk::narrow_to_a_kind(std::vector<std::pair<std::string, InodeRef>>& files, Stream& draws) {
  std::set<std::string_view> kinds;
  for (const auto& [path, file] : files) kinds.insert(kind_of(path));
  if (kinds.empty()) return;
  const std::string kind(*std::next(kinds.begin(), static_cast<std::ptrdiff_t>(draws.draw(kinds.size(), "which kind"))));
  std::erase_if(files, [&](const auto& file) { return kind_of(file.first) != kind; });
}

template <class Hit>
bool SimDisk::hit_a_page(Stream& draws, Place place, Hit&& hit) {
  std::vector<std::pair<Inode*, uint64_t>> pages;
  auto files = image_.files();
  // A disk does not know files: of all that was written, every page is as likely to go as the next. In half of the cases
  // every kind of file is, which otherwise the one that is the longest hides.
  if (draws.hits(1, 2, "a kind of file is hit")) {
    std::erase_if(files, [](const auto& file) { return DiskImage::pages_at_rest(*file.second).empty(); });
    narrow_to_a_kind(files, draws);
  }
  for (const auto& [path, file] : files)
    for (const uint64_t page : DiskImage::pages_at_rest(*file))
      if (place == Place::kAnywhere || (place == Place::kFileHead && page == 0) ||
          (place == Place::kWriteHead && DiskImage::beginning(*file, page)))
        pages.emplace_back(file.get(), page);
  if (pages.empty()) return false;
  const auto& [file, page] = pages[draws.draw(pages.size(), "which page is hit")];
  hit(*file, page);
  return true;
}

// A medium rarely fails in one place alone.
uint64_t SimDisk::drawn_places(Stream& draws) {
  return draws.hits(1, 2, "in several places") ? draws.draw_between(2, 8, "in how many places") : 1;
}

bool SimDisk::rot(uint32_t bits, Stream& draws) {
  // What says how to read the rest is a small part, at the head of a file or of what was written at once, and every bit
  // of it matters.
  constexpr uint32_t kHeadBytes = 64;
  constexpr Place kPlaces[] = {Place::kAnywhere, Place::kAnywhere, Place::kFileHead, Place::kWriteHead};
  bool any = false;
  for (uint64_t places = drawn_places(draws); places > 0; --places) {
    const Place place = kPlaces[draws.draw(4, "what rots")];
    any |= hit_a_page(draws, place, [&](Inode& file, uint64_t page) {
      const uint32_t from = place == Place::kWriteHead ? DiskImage::beginning(file, page).value_or(0) : 0;
      DiskImage::rot(file, page, bits, draws, from, place == Place::kAnywhere ? kPageBytes : kHeadBytes);
      ++fault_stats_.rotten_pages;
    });
  }
  return any;
}

bool SimDisk::rot_at(std::string_view path, uint64_t position, uint32_t size, uint32_t bits, Stream& draws) {
  const Result<InodeRef> file = image_.find(path);
  if (!file) return false;
  DiskImage::rot(**file, position / kPageBytes, bits, draws, position % kPageBytes, size);
  ++fault_stats_.rotten_pages;
  return true;
}

bool SimDisk::spoil(Stream& draws) {
  bool any = false;
  for (uint64_t places = drawn_places(draws); places > 0; --places)
    any |= hit_a_page(draws, Place::kAnywhere, [&](Inode& file, uint64_t page) {
      DiskImage::spoil(file, page);
      ++fault_stats_.spoiled_pages;
    });
  return any;
}

std::optional<std::pair<std::string, InodeRef>> SimDisk::drawn_file(Stream& draws) {
  CHECK(ops_.empty(), "the process dies before its files go");
  auto files = image_.files();
  if (draws.hits(1, 2, "a kind of file is hit")) narrow_to_a_kind(files, draws);
  if (files.empty()) return std::nullopt;
  ++fault_stats_.taken_files;
  return files[draws.draw(files.size(), "which file")];
}

std::optional<std::string> SimDisk::truncate_file(Stream& draws) {
  const auto found = drawn_file(draws);
  if (!found) return std::nullopt;
  DiskImage::cut(*found->second, draws.draw(found->second->size(), "how much stays"));
  return found->first;
}

std::optional<std::string> SimDisk::delete_file(Stream& draws) {
  const auto found = drawn_file(draws);
  if (!found) return std::nullopt;
  const std::string& path = found->first;
  const size_t slash = path.rfind('/');
  const bool gone = image_.remove(path, /*directory=*/false) && image_.sync_names(slash == std::string::npos ? "" : path.substr(0, slash));
  CHECK(gone, "what is listed can be removed");
  return path;
}

void SimDisk::heal() {
  failing_syncs_ = failing_writes_ = failing_reads_ = 0;
  losing_ = misdirecting_ = 0;
  slow_until_ = stuck_until_ = engine_.now();
  limit_ = UINT64_MAX;
}

}  // namespace taffrail::sim
