// The disk of one simulated machine: files behind runtime/disk.h that take time, and every way in which
// a disk lets people down (runtime/disk.h says what a crash may undo; docs/simulation.md lists faults).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "runtime/disk.h"
#include "runtime/sync.h"
#include "sim/disk_image.h"
#include "sim/engine.h"
#include "sim/knobs.h"

namespace taffrail::sim {

/// What the node above asked for. Exact, so that tests assert it.
struct DiskStats {
  uint64_t reads = 0;
  uint64_t read_bytes = 0;
  uint64_t writes = 0;
  uint64_t written_bytes = 0;
  uint64_t syncs = 0;            ///< Of files.
  uint64_t directory_syncs = 0;
  uint64_t synced_bytes = 0;
};

/// How often each fault really happened to somebody.
struct DiskFaultStats {
  uint64_t failed_syncs = 0;
  uint64_t stuck_syncs = 0;
  uint64_t failed_reads = 0;
  uint64_t failed_writes = 0;
  uint64_t full = 0;
  uint64_t slow = 0;
  uint64_t lost_writes = 0;
  uint64_t misdirected_writes = 0;
  uint64_t rotten_pages = 0;
  uint64_t spoiled_pages = 0;
  uint64_t taken_files = 0;  ///< Cut short or deleted.
  DiskImage::CutCounts cut;
};

class SimDisk final : public Disk, public EventSink {
 public:
  /// `number`: which of the node's disks it is.
  SimDisk(Engine& engine, const DiskKnobs& knobs, uint32_t node, uint32_t number = 0);

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

  // What happens to the machine. Called from outside its fibers, before they are unwound.

  /// The process ends: calls under way are abandoned (a write may be half done), locks are let go, the
  /// page cache stays.
  void process_died();
  /// After process_died(): only the durable image stays.
  void power_cut();
  /// After process_died(): an empty disk.
  void wipe();
  /// The process said that it stops: later calls fail.
  void cut_off() { cut_off_ = true; }
  void process_started() { cut_off_ = false; }

  // Faults. Armed ones hit the next calls that qualify; `heal` ends all but damage that is done.

  void fail_syncs(uint32_t count) { failing_syncs_ += count; }
  void fail_writes(uint32_t count) { failing_writes_ += count; }
  void fail_reads(uint32_t count) { failing_reads_ += count; }
  /// Syncs that begin before `until` end after it.
  void stick_syncs(Instant until) { stuck_until_ = until; }
  /// Everything takes `factor` times as long until then.
  void slow_down(uint32_t factor, Instant until);
  /// Room for so much more than there is now, until heal() or another call.
  void limit_space(uint64_t free_bytes) { limit_ = image_.used_bytes() + free_bytes; }
  void unlimit_space() { limit_ = UINT64_MAX; }
  /// Of the next pages that are synced so many reach nothing, or another place.
  void lose_pages(uint32_t count) { losing_ += count; }
  void misdirect_pages(uint32_t count) { misdirecting_ += count; }
  /// Flips so many bits in each of some drawn pages at rest; false if nothing is at rest.
  bool rot(uint32_t bits, Stream& draws);
  /// Flips so many bits of what stands there in a file, within one page; false if there is no such file.
  bool rot_at(std::string_view path, uint64_t position, uint32_t size, uint32_t bits, Stream& draws);
  /// Drawn pages can no longer be read, until they are written again.
  bool spoil(Stream& draws);
  /// After process_died(): a drawn file loses its end, or goes, for good. Its path; none if there was none.
  std::optional<std::string> truncate_file(Stream& draws);
  std::optional<std::string> delete_file(Stream& draws);
  void heal();

  const DiskStats& stats() const { return stats_; }
  const DiskFaultStats& faults() const { return fault_stats_; }
  DiskImage& image() { return image_; }

  void on_event(uint64_t id, uint64_t unused) override;

 private:
  enum class Place : uint8_t { kAnywhere, kFileHead, kWriteHead };
  static uint64_t drawn_places(Stream& draws);
  static void narrow_to_a_kind(std::vector<std::pair<std::string, InodeRef>>& files, Stream& draws);
  std::optional<std::pair<std::string, InodeRef>> drawn_file(Stream& draws);
  template <class Hit>
  bool hit_a_page(Stream& draws, Place place, Hit&& hit);
  class SimFile;
  class SimLock;
  struct Op;

  Duration draw_delay(const Delay& delay, const char* label);
  Duration transfer(uint64_t bytes) const;
  Duration stretched(Duration d);
  uint64_t capacity() const { return std::min(knobs_.capacity_bytes, limit_); }
  /// Waits until `at`, then does `finish()` while the fiber still stands where it is.
  template <class Finish, class Died>
  void perform(Task& task, Instant at, Finish&& finish, Died&& died);
  template <class Finish>
  void perform_names(Task& task, Finish&& finish);
  Result<> room_for(const Inode& inode, uint64_t size);
  Landing land(SyncSet& set, uint64_t page);
  Result<> check_alive() const;

  Engine& engine_;
  DiskKnobs knobs_;
  uint32_t node_;
  Stream& draws_;
  DiskImage image_;
  DiskStats stats_;
  DiskFaultStats fault_stats_;
  std::vector<Op*> ops_;  // Under way, oldest first.
  uint64_t next_op_ = 1;
  uint64_t life_ = 1;     // Of the process: handles of an earlier one do nothing.
  std::set<std::string, std::less<>> locks_;
  bool cut_off_ = false;
  Instant device_free_{};
  uint32_t failing_syncs_ = 0;
  uint32_t failing_writes_ = 0;
  uint32_t failing_reads_ = 0;
  uint32_t losing_ = 0;
  uint32_t misdirecting_ = 0;
  uint32_t slow_factor_ = 1;
  Instant slow_until_{};
  Instant stuck_until_{};
  uint64_t limit_ = UINT64_MAX;
};

}  // namespace taffrail::sim
