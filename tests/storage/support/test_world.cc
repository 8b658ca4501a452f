#include "storage/support/test_world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace taffrail {

namespace {

std::string parent(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

}  // namespace

class TestFile final : public File {
 public:
  TestFile(TestDisk& disk, std::shared_ptr<TestDisk::Node> node, std::string path)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)) {}

  Result<> write_at(Task& task, uint64_t position, std::span<const ByteView> parts) override {
    ++disk_.writes;
    task.scheduler().yield(task);  // Nobody sees it before the call is through, if then.
    while (disk_.hold_segments && path_.ends_with(".log")) disk_.held_.wait_through(task);
    std::string bytes;
    for (const ByteView part : parts) bytes.append(as_text(part));
    const uint64_t end = position + bytes.size();
    const uint64_t grows = end > node_->cache.size() ? end - node_->cache.size() : 0;
    const bool full = grows > disk_.room;
    if (full) bytes.resize(bytes.size() - std::min<uint64_t>(bytes.size(), grows - disk_.room));
    disk_.room -= disk_.room == UINT64_MAX ? 0 : std::min(disk_.room, grows);
    TestDisk::Change change{position, std::move(bytes), false};
    TestDisk::apply(node_->cache, change);
    node_->pending.push_back(std::move(change));
    disk_.step(task);
    if (full) return fail(Errc::kNoSpace, path_);
    return {};
  }
  Result<size_t> read_at(Task& task, uint64_t position, MutableBytes into) override {
    task.scheduler().yield(task);
    const std::optional<uint64_t> at = disk_.unreadable_at;
    if (path_ == disk_.unreadable && (!at || (*at >= position && *at - position < into.size()))) return fail(Errc::kIo, path_);
    if (position >= node_->cache.size()) return size_t{0};
    const size_t count = std::min<uint64_t>(into.size(), node_->cache.size() - position);
    if (count > 0) std::memcpy(into.data(), node_->cache.data() + position, count);
    return count;
  }
  Result<> sync(Task& task) override {
    ++disk_.syncs;
    const size_t covered = node_->pending.size();
    while (disk_.hold_syncs) disk_.held_.wait_through(task);
    disk_.step(task);
    const auto end = node_->pending.begin() + static_cast<std::ptrdiff_t>(covered);
    const bool fails = disk_.fail_syncs > 0;
    if (fails) --disk_.fail_syncs;
    if (!fails)
      for (auto change = node_->pending.begin(); change != end; ++change) TestDisk::apply(node_->durable, *change);
    // A failed sync leaves the pages clean: the cache shows what the platter will never have.
    node_->pending.erase(node_->pending.begin(), end);
    if (fails) return fail(Errc::kIo, path_ + ": sync");
    return {};
  }
  Result<> truncate(Task& task, uint64_t size) override {
    TestDisk::Change change{size, {}, true};
    TestDisk::apply(node_->cache, change);
    node_->pending.push_back(change);
    disk_.step(task);
    return {};
  }
  Result<> allocate(Task& task, uint64_t size) override {
    if (size > node_->cache.size()) return truncate(task, size);
    return {};
  }
  Result<uint64_t> size(Task&) override { return node_->cache.size(); }

 private:
  TestDisk& disk_;
  std::shared_ptr<TestDisk::Node> node_;
  std::string path_;
};

void TestDisk::apply(std::string& image, const Change& change) {
  if (change.truncate) {
    image.resize(change.position, '\0');
    return;
  }
  const uint64_t end = change.position + change.bytes.size();
  if (image.size() < end) image.resize(end, '\0');
  image.replace(change.position, change.bytes.size(), change.bytes);
}

void TestDisk::apply(std::map<std::string, std::shared_ptr<Node>>& names, const NameChange& change) {
  switch (change.kind) {
    case NameChange::Kind::kCreate: names[change.path] = change.node; break;
    case NameChange::Kind::kRemove: names.erase(change.path); break;
    case NameChange::Kind::kRename:
      names[change.to] = change.node;
      if (const auto old = names.find(change.path); old != names.end() && old->second == change.node) names.erase(old);
      break;
  }
}

void TestDisk::step(Task& task) {
  ++steps;
  if (stop_at != 0 && steps >= stop_at) stopped_ = true;
  if (stopped_) never_.wait_through(task);
  task.scheduler().yield(task);
  if (stopped_) never_.wait_through(task);
}

Result<std::unique_ptr<File>> TestDisk::open(Task& task, std::string_view path, OpenMode mode) {
  const std::string name(path);
  const auto found = names_.find(name);
  if (found == names_.end()) {
    if (mode == OpenMode::kRead || mode == OpenMode::kWrite) return fail(Errc::kNotFound, name);
    if (!directories_.contains(parent(path))) return fail(Errc::kNotFound, parent(path));
    const auto node = std::make_shared<Node>();
    names_[name] = node;
    pending_names_.push_back({NameChange::Kind::kCreate, parent(path), name, {}, node});
    step(task);
    return std::make_unique<TestFile>(*this, node, name);
  }
  if (mode == OpenMode::kCreate) return fail(Errc::kExists, name);
  return std::make_unique<TestFile>(*this, found->second, name);
}

Result<> TestDisk::remove(Task& task, std::string_view path) {
  const auto found = names_.find(std::string(path));
  if (found == names_.end()) return fail(Errc::kNotFound, std::string(path));
  pending_names_.push_back({NameChange::Kind::kRemove, parent(path), found->first, {}, found->second});
  names_.erase(found);
  on_remove();
  step(task);
  return {};
}

Result<> TestDisk::rename(Task& task, std::string_view from, std::string_view to) {
  const auto found = names_.find(std::string(from));
  if (found == names_.end()) return fail(Errc::kNotFound, std::string(from));
  pending_names_.push_back({NameChange::Kind::kRename, parent(to), found->first, std::string(to), found->second});
  apply(names_, NameChange(pending_names_.back()));
  step(task);
  return {};
}

// Directories themselves are durable at once here: their loss would only be that of all names within.
Result<> TestDisk::make_directory(Task&, std::string_view path) {
  if (!parent(path).empty() && !directories_.contains(parent(path))) return fail(Errc::kNotFound, parent(path));
  directories_.insert(std::string(path));
  return {};
}

Result<> TestDisk::remove_directory(Task& task, std::string_view path) {
  if (!TRY(list(task, path)).empty()) return fail(Errc::kBusy, std::string(path));
  if (directories_.erase(std::string(path)) == 0) return fail(Errc::kNotFound, std::string(path));
  return {};
}

Result<std::vector<std::string>> TestDisk::list(Task&, std::string_view path) {
  if (!path.empty() && !directories_.contains(std::string(path))) return fail(Errc::kNotFound, std::string(path));
  std::set<std::string> found;
  for (const auto& [name, node] : names_)
    if (parent(name) == path) found.insert(name.substr(path.empty() ? 0 : path.size() + 1));
  for (const std::string& name : directories_)
    if (parent(name) == path) found.insert(name.substr(path.empty() ? 0 : path.size() + 1));
  return std::vector<std::string>(found.begin(), found.end());
}

Result<bool> TestDisk::exists(Task&, std::string_view path) {
  return names_.contains(std::string(path)) || directories_.contains(std::string(path));
}

Result<> TestDisk::sync_directory(Task& task, std::string_view path) {
  ++directory_syncs;
  step(task);
  std::erase_if(pending_names_, [&](const NameChange& change) {
    if (change.directory != path) return false;
    apply(durable_names_, change);
    return true;
  });
  return {};
}

Result<std::unique_ptr<DirectoryLock>> TestDisk::lock(Task&, std::string_view) {
  return std::make_unique<DirectoryLock>();
}

Result<DiskSpace> TestDisk::space(Task&) { return DiskSpace{room, room}; }

void TestDisk::power_cut(Random& random) {
  std::set<std::shared_ptr<Node>, std::owner_less<>> nodes;
  for (NameChange& change : pending_names_)
    if (random.chance(1, 2)) apply(durable_names_, change);
  pending_names_.clear();
  names_ = durable_names_;
  for (auto& [name, node] : names_) {
    if (!nodes.insert(node).second) continue;
    for (const Change& change : node->pending) {
      if (change.truncate) {
        if (random.chance(1, 2)) apply(node->durable, change);
        continue;
      }
      // 0: the sector is lost; 1: whole; 2: torn at 512.
      uint64_t fate = 0;
      uint64_t sector = UINT64_MAX;
      for (uint64_t at = change.position; at < change.position + change.bytes.size();) {
        const uint64_t end = std::min(change.position + change.bytes.size(), (at / 512 + 1) * 512);
        if (at / 4096 != sector) {
          sector = at / 4096;
          fate = random.below(3);
        }
        bool kept = fate == 1;
        if (fate == 2) kept = random.chance(1, 2);
        if (kept) apply(node->durable, {at, change.bytes.substr(at - change.position, end - at), false});
        at = end;
      }
    }
    node->pending.clear();
    node->cache = node->durable;
  }
}

std::vector<std::string> TestDisk::paths() const {
  std::vector<std::string> all;
  for (const auto& [name, node] : names_) all.push_back(name);
  return all;
}

std::string TestDisk::contents(const std::string& path) const { return names_.at(path)->cache; }

void TestDisk::spoil(const std::string& path, uint64_t position, uint8_t mask) {
  Node& node = *names_.at(path);
  for (std::string* image : {&node.cache, &node.durable})
    if (position < image->size()) (*image)[position] = static_cast<char>((*image)[position] ^ mask);
}

void TestDisk::overwrite(const std::string& path, const std::string& bytes) {
  Node& node = *names_.at(path);
  node.cache = node.durable = bytes;
  node.pending.clear();
}

// --- The world. ---

class TestWorld::Loop final : public Scheduler {
 public:
  explicit Loop(Random& random) : random_(random) {}
  Instant clock{};

 protected:
  size_t pick(size_t count) override { return random_.below(count); }

 private:
  Random& random_;
};

class TestWorld::World final : public Runtime, private Logger {
 public:
  World(TestWorld& world, Loop& loop) : Runtime(loop), world_(world), loop_(loop) {}
  Instant now() const override { return loop_.clock; }
  Instant fine_now() override { return loop_.clock; }
  WallTime wall_now() const override { return {loop_.clock.ns / 1'000'000}; }
  Random& random() override { return world_.random; }
  Disk& disk() override { return world_.disk; }
  Net& net() override { std::abort(); }
  Logger& log() override { return *this; }
  ShardId shard() const override { return ShardId(0); }
  uint32_t shard_count() const override { return 1; }
  void post(ShardId, std::move_only_function<void()>) override { std::abort(); }
  void stop_node(std::string_view why) override { world_.stopped_because = why; }
  bool fault_point(std::string_view) override { return false; }

 private:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::string_view) override {}
  TestWorld& world_;
  Loop& loop_;
};

TestWorld::TestWorld(uint64_t seed)
    : random(seed), loop_(std::make_unique<Loop>(random)), runtime_(std::make_unique<World>(*this, *loop_)),
      scope_(std::make_unique<Scope>()) {}

TestWorld::~TestWorld() { crash(false); }

Runtime& TestWorld::runtime() { return *runtime_; }

bool TestWorld::run(std::function<void(Task&)> body) {
  // Shared with the fiber, which outlives this call if the disk stops.
  const auto ended = std::make_shared<bool>(false);
  loop_->spawn(*scope_, "test", [ended, body = std::move(body)](Task& task) {
    body(task);
    *ended = true;
  });
  while (!*ended && !disk.stopped()) {
    if (loop_->run_one()) continue;
    if (loop_->next_deadline() == Instant::never()) break;
    loop_->clock = loop_->next_deadline();
    loop_->fire_timers(loop_->clock);
  }
  return *ended;
}

void TestWorld::pass(Duration duration) {
  const Instant until = loop_->clock + duration;
  // A node that stopped stays so: its fibers point into calls that have returned.
  while (!disk.stopped()) {
    if (loop_->run_one()) continue;
    if (loop_->next_deadline() > until) break;
    loop_->clock = loop_->next_deadline();
    loop_->fire_timers(loop_->clock);
  }
  loop_->clock = until;
}

bool TestWorld::open(StoreOptions options) {
  return run([this, options](Task& task) {
    auto opened = Store::open(task, *runtime_, options);
    if (!opened) {
      ADD_FAILURE() << opened.error().text();
      return;
    }
    store = *std::move(opened);
  }) && store != nullptr;
}

void TestWorld::close() {
  ASSERT_TRUE(run([this](Task& task) { store->close(task); }));
  store.reset();
}

void TestWorld::crash(bool power_cut) {
  loop_->unwind_all();
  store.reset();
  scope_.reset();
  runtime_.reset();
  if (power_cut) disk.power_cut(random);
  disk.forget_stop();
  stopped_because.clear();
  loop_ = std::make_unique<Loop>(random);
  runtime_ = std::make_unique<World>(*this, *loop_);
  scope_ = std::make_unique<Scope>();
}

StoreOptions tiny_options() {
  StoreOptions o;
  o.directory = "shard-0";
  o.owner.disk = Uuid{7, 9};
  o.wal_first_segment_bytes = 2560;  // Its header, three blocks of groups, and the last mark.
  o.wal_segment_bytes = 4608;
  o.wal_segments_kept = 2;
  o.wal_group_bytes_max = 4096;
  o.arena_bytes = 2048;
  o.chunk_bytes = 1024;
  o.quiet_bytes = 256;
  o.segment_bytes = 4096;
  return o;
}

PartitionKey test_key(int n) { return {Uuid{0x1234, static_cast<uint64_t>(n) + 1}, n}; }

Entry batch_entry(LogIndex index, Term term, Offset base, int32_t count, size_t size) {
  Entry entry;
  entry.meta = {.index = index, .term = term, .kind = EntryKind::kBatch, .base_offset = base,
                .offset_count = count, .max_timestamp = 1000 + base.value};
  entry.payload = Slice::make(size, [&](MutableBytes bytes) {
    CounterRandom filler(mix64(static_cast<uint64_t>(index.value), static_cast<uint64_t>(term.value)));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(filler.next());
  });
  return entry;
}

WalSequence append_batches(Log& log, Term term, int count, size_t size) {
  WalSequence last = log.last_sequence();
  for (int i = 0; i < count; ++i) {
    const Entry entry = batch_entry(log.last_index() + 1, term, log.next_offset(), 1, size);
    last = log.append(std::span(&entry, 1));
  }
  return last;
}

}  // namespace taffrail
