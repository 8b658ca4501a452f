// A disk that forgets and a world of one node, small enough to be read: what storage's tests run in.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "storage/store.h"

namespace taffrail {

/// Files in memory, each with what the page cache shows and what the platter has. Every call that
/// changes something is a step; the node can be stopped at any.
class TestDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(Task& task, std::string_view path, OpenMode mode) override;
  Result<> remove(Task& task, std::string_view path) override;
  Result<> rename(Task& task, std::string_view from, std::string_view to) override;
  Result<> make_directory(Task& task, std::string_view path) override;
  Result<> remove_directory(Task& task, std::string_view path) override;
  Result<std::vector<std::string>> list(Task& task, std::string_view path) override;
  Result<bool> exists(Task& task, std::string_view path) override;
  Result<> sync_directory(Task& task, std::string_view path) override;
  Result<std::unique_ptr<DirectoryLock>> lock(Task& task, std::string_view path) override;
  Result<DiskSpace> space(Task& task) override;

  // --- What a test may do to it. ---

  /// From this step on nothing returns any more; the step itself may have begun. 0: never.
  uint64_t stop_at = 0;
  uint64_t steps = 0;
  bool stopped() const { return stopped_; }
  /// The next `n` syncs fail, and drop what they should have made durable while the cache goes on showing it.
  int fail_syncs = 0;
  /// Bytes that may still be written beyond the files' ends; writes stop in the middle there.
  uint64_t room = UINT64_MAX;
  /// Reads of this path fail, if they touch this byte of it or it is of no byte.
  std::string unreadable;
  std::optional<uint64_t> unreadable_at;
  uint64_t writes = 0;
  uint64_t syncs = 0;
  uint64_t directory_syncs = 0;
  /// While set, syncs wait.
  bool hold_syncs = false;
  void release_syncs() { hold_syncs = false; held_.notify_all(); }
  /// While set, writes to segments of logs wait.
  bool hold_segments = false;
  void release_segments() { hold_segments = false; held_.notify_all(); }
  std::function<void()> on_remove = [] {};  ///< Called when a file goes.

  /// What was not synced is lost, kept or torn, sector by sector; names likewise.
  void power_cut(Random& random);
  /// The process is gone, the page cache is not.
  void forget_stop() { stopped_ = false; stop_at = 0; fail_syncs = 0; }

  std::vector<std::string> paths() const;
  /// Cache and platter at once, as rot is: the bytes of a file, to look at or to spoil.
  std::string contents(const std::string& path) const;
  void spoil(const std::string& path, uint64_t position, uint8_t mask = 0x10);
  void overwrite(const std::string& path, const std::string& bytes);

 private:
  friend class TestFile;
  struct Change {
    uint64_t position = 0;
    std::string bytes;
    bool truncate = false;  // To `position`.
  };
  struct Node {
    std::string cache;
    std::string durable;
    std::vector<Change> pending;
  };
  struct NameChange {
    enum class Kind { kCreate, kRemove, kRename } kind;
    std::string directory;
    std::string path;
    std::string to;
    std::shared_ptr<Node> node;
  };
  static void apply(std::string& image, const Change& change);
  static void apply(std::map<std::string, std::shared_ptr<Node>>& names, const NameChange& change);
  void step(Task& task);

  bool stopped_ = false;
  std::map<std::string, std::shared_ptr<Node>> names_;
  std::map<std::string, std::shared_ptr<Node>> durable_names_;
  std::vector<NameChange> pending_names_;
  std::set<std::string> directories_;
  WaitQueue never_;
  WaitQueue held_;
};

class TestWorld {
 public:
  explicit TestWorld(uint64_t seed = 1);
  ~TestWorld();

  /// Runs `body` in a fiber until it ends or the disk stops. True if it ended.
  bool run(std::function<void(Task&)> body);
  /// Lets time pass.
  void pass(Duration duration);
  /// Opens the store into `store`. Fails the test if that does not work, unless the disk stopped.
  bool open(StoreOptions options);
  /// The end in good order.
  void close();
  /// The process dies; with `power_cut` the page cache too.
  void crash(bool power_cut);

  TestDisk disk;
  CounterRandom random;
  std::unique_ptr<Store> store;
  std::string stopped_because;  ///< What stop_node was given.
  Runtime& runtime();

 private:
  class Loop;
  class World;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<World> runtime_;
  std::unique_ptr<Scope> scope_;
};

/// Small enough that a few dozen entries see every mechanism.
StoreOptions tiny_options();
PartitionKey test_key(int n);
/// A batch entry of `size` bytes that tell its index and term.
Entry batch_entry(LogIndex index, Term term, Offset base, int32_t count, size_t size);
/// Appends `count` batches of `size` bytes and one offset each.
WalSequence append_batches(Log& log, Term term, int count, size_t size);

}  // namespace taffrail
