// What is on a simulated disk, twice: as processes see it (page cache) and as a power cut would leave
// it (durable). No time and no fibers: sim_disk.h adds those.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "sim/tape.h"

namespace taffrail::sim {

inline constexpr uint32_t kPageBytes = 4096;
inline constexpr uint32_t kTearBytes = 512;

/// A shared, immutable-while-shared page; null reads as zeros, so a zero-filled file costs nothing.
class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& o) : page_(o.page_) { if (page_ != nullptr) ++page_->owners; }
  PageRef(PageRef&& o) noexcept : page_(std::exchange(o.page_, nullptr)) {}
  PageRef& operator=(PageRef o) noexcept { std::swap(page_, o.page_); return *this; }
  ~PageRef() { if (page_ != nullptr && --page_->owners == 0) delete page_; }

  bool is_zero() const { return page_ == nullptr; }
  const uint8_t* bytes() const { return page_ == nullptr ? nullptr : page_->bytes; }
  /// Bytes of this reference alone, for writing: copied if shared.
  uint8_t* own();
  bool same_as(const PageRef& o) const { return page_ == o.page_; }

 private:
  struct Page {
    uint32_t owners = 1;
    uint8_t bytes[kPageBytes];
  };
  Page* page_ = nullptr;
};

/// A file or a directory. Kept alive by whatever names it, now or durably, and by open handles.
class Inode {
 public:
  struct Entry {
    PageRef cache;
    PageRef durable;
    bool dirty = false;  ///< Written since the last sync began.
    bool bad = false;    ///< The medium fails to give it back until it is written again.
    bool harmed = false; ///< A fault has changed what the medium holds, at some time.
    uint16_t began = kPageBytes;  ///< Where in it the newest write that began here did; kPageBytes: none has.
  };
  Inode(bool directory, std::shared_ptr<uint64_t> used) : directory_(directory), used_(std::move(used)) {}
  ~Inode() { *used_ -= charged_; }
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  bool is_directory() const { return directory_; }
  uint64_t size() const { return size_; }
  /// Reads from the cache; fewer than into.size() bytes only at the end. kIo on a bad page.
  Result<size_t> read(uint64_t position, MutableBytes into) const;
  /// What the medium holds, whatever the cache says: what a power cut at this moment would leave.
  std::string read_durable(uint64_t position, size_t size) const;
  /// Whether faults of the disk have touched any page there: what is missing is not the writer's fault.
  bool harmed(uint64_t position, uint64_t size) const;
  /// Into the cache. `reach_disk` draws whether the page that is overwritten went out before.
  void write(uint64_t position, ByteView bytes, Stream& draws, uint32_t writeback_per_mille);
  /// A write that may have several parts begins there; after it.
  void note_beginning(uint64_t position);
  void truncate(uint64_t size);
  /// When the last sync under way ends: a later one covers it, so it does not overtake it.
  Instant sync_until{};
  /// Longer, reading as zeros; never shorter.
  void extend(uint64_t size) { if (size > size_) set_size(size); }

 private:
  friend class DiskImage;
  static constexpr uint32_t kChunkPages = 64;
  using Chunk = std::vector<Entry>;

  const Entry* find(uint64_t page) const;
  Entry& at(uint64_t page);
  void mark(uint64_t page, Entry& entry);
  void set_size(uint64_t size);

  bool directory_;
  std::shared_ptr<uint64_t> used_;  // Of the whole disk, in bytes.
  uint64_t charged_ = 0;
  uint64_t size_ = 0;
  uint64_t durable_size_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<uint64_t> dirty_;  // Pages, in order of their first write; some may be clean again.
  std::map<std::string, std::shared_ptr<Inode>, std::less<>> names_;
  std::map<std::string, std::shared_ptr<Inode>, std::less<>> durable_names_;
};

using InodeRef = std::shared_ptr<Inode>;

/// What one sync will make durable: the pages as they were when it began.
struct SyncSet {
  InodeRef inode;
  uint64_t size = 0;
  std::vector<std::pair<uint64_t, PageRef>> pages;
  InodeRef astray{};         ///< Where a page that goes astray lands; null: nowhere.
  uint64_t astray_page = 0;
};

/// How one page of a sync reached the medium.
enum class Landing : uint8_t { kRight, kNowhere, kAstray };

class DiskImage {
 public:
  DiskImage();

  Result<InodeRef> find(std::string_view path) const;
  /// The directory that `path` lies in, and its last part. Errors: kInvalid, kNotFound.
  Result<std::pair<InodeRef, std::string>> parent_of(std::string_view path) const;
  Result<InodeRef> create(std::string_view path, bool directory);
  Result<> remove(std::string_view path, bool directory);
  Result<> rename(std::string_view from, std::string_view to);
  Result<std::vector<std::string>> list(std::string_view path) const;
  Result<> sync_names(std::string_view path);

  SyncSet begin_sync(const InodeRef& inode);
  /// `land` says for each page where it went; astray, it replaces another page of the disk.
  template <class Land>
  void commit(const SyncSet& set, Land&& land) {
    for (const auto& [page, content] : set.pages) settle(set, page, content, land(page));
    set.inode->durable_size_ = set.size;
  }
  /// The failed sync: pages count as clean although they are not durable.
  void forget(const SyncSet&) {}
  /// The process died, the sync did not happen: pages are dirty again.
  void abandon(const SyncSet& set);
  /// Some pages of an unfinished sync reached the disk.
  void commit_some(const SyncSet& set, Stream& draws);

  struct CutCounts {
    uint64_t pages_lost = 0;
    uint64_t pages_torn = 0;
    uint64_t names_undone = 0;
    uint64_t sizes_undone = 0;
  };
  /// Only the durable image survives, and of what was not synced a drawn part.
  CutCounts power_cut(Stream& draws);

  uint64_t used_bytes() const { return *used_; }
  bool has_unsynced() const;
  /// Every file that has bytes, in order of its path. For faults that pick a victim.
  std::vector<std::pair<std::string, InodeRef>> files() const;
  /// Pages that are on the medium as they are in the cache, and were ever written, ascending.
  static std::vector<uint64_t> pages_at_rest(const Inode& file);
  /// Where in a page the newest write that began there did.
  static std::optional<uint32_t> beginning(const Inode& file, uint64_t page);
  /// Flips `bits` drawn bits of a page durably, among the `within` bytes from `from` on, as far as the page and the file go.
  static void rot(Inode& file, uint64_t page, uint32_t bits, Stream& draws, uint32_t from = 0, uint32_t within = kPageBytes);
  /// The page gives kIo until it is written again.
  static void spoil(Inode& file, uint64_t page);
  /// Ends there, durably.
  static void cut(Inode& file, uint64_t size);
  /// Digest of all durable names and bytes; zero pages and absent ones are the same.
  uint64_t durable_digest() const;
  uint64_t cache_digest() const;

 private:
  enum class OpKind : uint8_t { kCreate, kRemove, kRename };
  struct NameOp {
    OpKind kind;
    InodeRef directory;
    std::string name;
    InodeRef node;
    InodeRef to_directory;
    std::string to_name;
  };
  void settle(const SyncSet& set, uint64_t page, const PageRef& content, Landing landing);
  static bool apply_durably(const NameOp& op);
  static void cut_pages(Inode& file, Stream& draws, CutCounts& counts);
  uint64_t digest_tree(bool durable) const;
  InodeRef make(bool directory) { return std::make_shared<Inode>(directory, used_); }

  std::shared_ptr<uint64_t> used_;
  InodeRef root_;
  std::vector<NameOp> pending_;  // Oldest first.
};

}  // namespace taffrail::sim
