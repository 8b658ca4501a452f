// One replicated log on disk: what Raft appends to and cuts, and what readers read.
//
// Entries live in up to three places, and reads do not care which:
//
//     segments (committed, chunks on disk) | write-ahead log, by position | memory, within the arena
//     ^ first_index()                        ^ not yet flushed              ^ newest, and what fits
//
// Nothing here decides what is committed or who leads. Single-threaded; owned by its Store.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "base/units.h"
#include "storage/segment.h"
#include "storage/types.h"
#include "storage/wal.h"

namespace taffrail {

class Store;
struct LogState;

/// The state of a log's applied prefix, as a node that is behind is given it. The bytes are the owner's.
struct Snapshot {
  EntryId last;        ///< The last entry that it covers.
  Offset next_offset;  ///< The Kafka offset behind that entry.
  Slice state;
};

/// What retention looks at. Ascending and contiguous; the last one is still written to.
struct SegmentInfo {
  LogIndex first_index;
  LogIndex next_index;
  Offset base_offset;
  Offset next_offset;
  ByteCount size_bytes = 0;
  int64_t max_timestamp = -1;  ///< Over all its batches; -1 if none has one.
};

/// A batch that may hold the first record at or after some time.
struct BatchByTime {
  EntryMeta meta;
  Slice batch;
};

class Log {
 public:
  Log(Store& store, PartitionKey key, uint32_t slot);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  const PartitionKey& key() const { return key_; }

  // --- Writing. None of these waits; each returns the sequence to wait for (Wal::wait_durable). ---

  /// Appends `entries`, which continue at last_index() + 1 with offsets continuing at next_offset() and
  /// terms that do not fall (CHECKed: the caller is Raft). Readable at once, durable at the returned
  /// sequence. Returns last_sequence() if `entries` is empty.
  WalSequence append(std::span<const Entry> entries);
  /// Cuts `from` and everything behind it. Errors: kInvalid at or below committed() or first_index()-1,
  /// for what is committed stays (I-R4); nothing is cut then. Fine if there is nothing to cut.
  Result<WalSequence> truncate_from(LogIndex from);
  /// Durable together with everything queued before.
  WalSequence save_hard_state(const LogHardState& state);
  /// The flags of recovery no longer hold: an intact copy was found, or it never was longer.
  WalSequence settle();
  /// The sequence that makes everything done to this log so far durable.
  WalSequence last_sequence() const { return last_sequence_; }
  /// Every entry up to here survives a power cut; 0 or the prefix if none does.
  LogIndex durable_index() const;

  /// Entries up to `index` are committed: they may go to segments, and are never cut again. Never falls;
  /// beyond last_index() it is taken as last_index().
  void set_committed(LogIndex index);
  /// What was last given, or at start what this disk proves: what lies in segments or under a snapshot.
  LogIndex committed() const { return committed_; }
  /// The Kafka offset behind committed().
  Offset committed_offset() const;

  /// Reading starts at Kafka offset `start`, and the log at entry `first` (an applied command of the log itself:
  /// every replica comes to the same), which begins at `first_offset`, at or below `start`; without that, at `start`.
  /// Both never fall; `first` may be last_index() + 1 and is at most
  /// committed() + 1. Whole segments below `first` are unlinked in the background once this is durable.
  /// Errors: kInvalid past the committed end; kCorrupt if nobody knows the term of the entry before `first`, which damage
  /// hides. An older start than the present one changes nothing.
  Result<WalSequence> set_log_start(Offset start, LogIndex first, std::optional<Offset> first_offset = {});
  /// The active segment takes no more chunks if its newest batch is older than `timestamp_ms`.
  void seal_older_than(int64_t timestamp_ms);

  // --- What is known without waiting. ---

  LogHardState hard_state() const { return hard_; }
  /// Before the first entry: its id is known, the entry is not.
  EntryId prefix() const { return prefix_; }
  LogIndex first_index() const { return prefix_.index + 1; }
  /// prefix().index if the log is empty.
  LogIndex last_index() const { return last_.index; }
  EntryId last() const { return last_; }
  Offset start_offset() const { return start_offset_; }
  Offset next_offset() const { return next_offset_; }
  /// The term at `index`, prefix() included; nothing outside of the log, or inside a hole.
  std::optional<Term> term_at(LogIndex index) const;

  struct TermRun {
    LogIndex first;
    Term term;
    Offset start;  ///< The Kafka offset at which the term begins: Kafka's leader epoch cache.
    bool operator==(const TermRun&) const = default;
  };
  /// Ascending, from the prefix on: the first one's `first` may lie at or below prefix().index.
  const std::vector<TermRun>& term_runs() const { return terms_; }
  /// For OffsetForLeaderEpoch: the largest term here that is at most `term`, and the offset behind its
  /// last entry. Nothing if all terms here are larger.
  std::optional<std::pair<Term, Offset>> epoch_end_offset(Term term) const;
  /// Ascending kConfig entries; the first may lie at or below prefix() and is the one in force there.
  const std::vector<Entry>& configs() const { return configs_; }

  /// Of all batches that are here; -1 if none has one. A truncation may leave it too high until restart.
  int64_t max_timestamp() const;
  /// Payload bytes that are here, and those above committed().
  ByteCount size_bytes() const;
  ByteCount uncommitted_bytes() const { return uncommitted_bytes_; }
  std::vector<SegmentInfo> segments() const;
  /// The revision of the assignment that brought this replica to a log that was there before; 0: it was there from the
  /// log's beginning.
  int64_t joined() const { return joined_; }
  /// The disk has no room for more (Wal::disk_full).
  bool disk_full() const;
  /// The disk takes too long (Wal::slow): another replica had better lead.
  bool disk_slow() const;
  bool possibly_longer() const { return possibly_longer_; }
  bool hard_state_doubtful() const { return hard_state_doubtful_; }
  /// Entries that cannot be read: reads there give kCorrupt. Half-open, ascending. Found at recovery, or
  /// by a read that met damage (Store::on_hole tells).
  std::vector<std::pair<LogIndex, LogIndex>> holes() const;

  /// All that is known of it but its entries, as a state frame says it; `reset`: entries before that frame are void.
  LogState state(bool reset) const;

  // --- For checkers, which look whether what is claimed to be durable is. ---

  /// Where a frame of the write-ahead log stands.
  struct Place {
    std::string file;
    uint64_t segment = 0;  ///< 0: it is not written yet.
    uint64_t offset = 0;
  };
  /// Of the frame that holds the entry; nothing for one that is in a segment, was written anew (copied
  /// forward, or at recovery, which made it durable before anybody spoke), or is not here.
  std::optional<Place> place_of(LogIndex index) const;
  /// Of the newest frames that may hold hard_state(): its own, and the log's state.
  std::pair<Place, Place> places_of_hard_state() const { return {place(hard_at_), place(state_at_)}; }

  // --- Reading. ---

  /// Entries from `from` on: at least one, then as many as fit in `max_bytes` and `max_entries`, up to
  /// what cannot be read. Empty if `from` is last_index() + 1. Payloads pin what they point into.
  /// Errors: kOutOfRange if `from` is outside [first_index(), last_index() + 1]; kCorrupt if what is
  /// stored there is not what was written, with file and position; kCancelled, kIo.
  Result<std::vector<Entry>> read_entries(Task& task, LogIndex from, ByteCount max_bytes,
                                          size_t max_entries);
  /// Reads whole batches from `from` up to, not including, `end`: no batch that begins at or after `end`
  /// or reaches past it.
  ///
  /// Stops before the batch that would exceed `max`, but returns at least one if any lies in range: a
  /// consumer could otherwise never get past a large one (KIP-74). The first batch may begin before
  /// `from`; batches are served as stored and clients skip, as the Kafka protocol has it.
  /// Errors: kOutOfRange if `from` is outside [start_offset(), next_offset()]; else as read_entries.
  Result<std::vector<Slice>> read_batches(Task& task, Offset from, Offset end, ByteCount max);
  /// The first batch below `end` whose max timestamp is at least `timestamp_ms` (its records are the
  /// caller's to search); nothing if there is none.
  Result<std::optional<BatchByTime>> find_batch_by_time(Task& task, int64_t timestamp_ms, Offset end);
  /// All of one entry but its payload; may read a chunk's header. Errors: as read_entries.
  Result<EntryMeta> read_meta(Task& task, LogIndex index);

  /// Reads and verifies the chunks of segments that begin at entry `from` or behind, until `bytes` of them are read;
  /// a bad one becomes a hole (holes(), Store::on_hole).
  struct Scrubbed {
    LogIndex next;        ///< Where to go on; first_index() once the end was reached.
    ByteCount bytes = 0;
    uint64_t bad = 0;     ///< Chunks.
  };
  /// Errors: kCancelled, kIo.
  Result<Scrubbed> scrub(Task& task, LogIndex from, ByteCount bytes);

  // --- Notes: what the owner finds again at the next start, with what lies in segments. ---

  /// Asked for each chunk, for at most so many bytes; an empty one is none. Null: nobody is asked.
  void set_note_source(std::function<Slice(size_t max)> source) { note_source_ = std::move(source); }
  /// The newest that can be read; empty if there is none. It may speak of entries behind the chunk that it stands in.
  /// Errors: kIo, kCancelled.
  Result<Slice> read_note(Task& task);

  // --- Repair. ---

  /// Puts `entries`, another replica's committed ones, in the place of a hole's first entries. They go to a
  /// file of their own (formats.md, "Patches"): what is damaged stays as it is. Returns when they are
  /// durable and readable. Errors: kInvalid if they are not what lies there: not the beginning of a hole or
  /// past its end, not dense, a batch whose checksum does not match, offsets or terms that do not fit
  /// between what is known on both sides; kIo, kNoSpace, kCancelled.
  Result<> fill_hole(Task& task, std::span<const Entry> entries);

  // --- Snapshots: one at a time; a new one replaces the old one atomically. ---

  /// Returns when `snapshot` is durable. Does not touch the log. An older one than the present is ignored.
  Result<> save_snapshot(Task& task, Snapshot snapshot);
  /// Of the present one; nothing if there is none.
  std::optional<EntryId> snapshot_id() const { return snapshot_id_; }
  /// Errors: kNotFound if there is none; kCorrupt.
  Result<Snapshot> read_snapshot(Task& task);
  /// Whether the present one can be read; well if there is none. Errors: as read_snapshot; after kCorrupt save_snapshot()
  /// takes one of the same entry, too.
  Result<> check_snapshot(Task& task);
  bool snapshot_damaged() const { return snapshot_damaged_; }
  /// Makes `snapshot` durable and lets the log begin behind it, with `start` as its first offset: what
  /// lies up to snapshot.last is dropped, and everything if the log does not hold that very entry.
  /// `config` is the membership in force there (a kConfig entry at or below snapshot.last). Returns when
  /// all of it is durable. Ignored if the log's prefix is there already.
  Result<> install_snapshot(Task& task, Snapshot snapshot, Offset start, const Entry& config);

 private:
  friend class Store;
  friend class Checkpointer;
  friend class Recovery;

  // The tail holds all entries that are not in segments, and before those the ones that are and are
  // still cached. Indexes are dense.
  struct Tail {
    EntryMeta meta;
    Slice payload;            ///< Empty if evicted.
    WalSequence sequence;     ///< Original.
    WalPosition at;           ///< segment 0 until written.
    uint32_t size = 0;
    uint32_t crc = 0;
    bool in_memory = true;
    bool copied = false;      ///< Was copied forward once: next time it is flushed.
  };
  /// How far segments reach.
  struct Flushed {
    EntryId last;             ///< The prefix if there is nothing.
    Offset next_offset;
    LogIndex segment;         ///< First index of the segment that holds it; 0: none.
    uint64_t segment_end = 0;
  };
  enum class Pick : uint8_t { kTake, kSkip, kStop };
  using Picker = std::function<Pick(const EntryMeta&, uint32_t size)>;

  const Tail* tail_at(LogIndex index) const;
  Tail* tail_at(LogIndex index);
  Offset offset_after(LogIndex index) const;
  std::shared_ptr<Segment> segment_of(LogIndex index) const;
  bool in_hole(LogIndex index) const;
  Place place(WalPosition at) const;
  std::shared_ptr<Segment> patch_of(LogIndex index) const;
  void note_damage(Segment& segment, LogIndex index);
  Result<> check_fits(std::span<const Entry> entries, LogIndex hole_end) const;
  void adopt_patch(std::shared_ptr<Segment> patch);
  void note_config(const Entry& config);
  /// False if the log was cut meanwhile: what was read is then worth nothing.
  Result<bool> read_run(Task& task, LogIndex from, const Picker& pick, std::vector<Entry>& out);
  Result<Slice> read_tail_payload(Task& task, LogIndex index);
  LogIndex find_index(Offset offset) const;

  void note_entry(const EntryMeta& meta, const Slice& payload);
  void push_tail(Entry entry, WalSequence original, uint32_t crc);
  void pop_back_tail();
  void pop_front_tail();
  void drop_flushed_front();
  WalSequence begin_at(Offset start, EntryId before, std::optional<Offset> first_offset);
  void prune_below_prefix();
  void reset_memory();
  WalSequence push_state(bool reset);

  // For the checkpointer, which alone changes files, one log at a time.
  Result<> flush_chunk(Task& task, LogIndex end);
  Result<> sync_segments(Task& task);
  Result<> unlink_below_start(Task& task);
  Result<> remove_files(Task& task);
  Result<> make_own_directory(Task& task);
  Result<> write_snapshot(Task& task, const Snapshot& snapshot);
  bool unsynced() const { return flushed_.last != synced_.last; }
  bool has_unlinkable() const;

  Store& store_;
  PartitionKey key_;
  uint32_t slot_;
  std::string directory_;

  LogHardState hard_;
  WalSequence hard_sequence_;  ///< Of the newest frame that holds it...
  WalPosition hard_at_;        ///< ...and where that stands.
  WalPosition state_at_;       ///< Where the newest state frame stands, which holds it too.
  EntryId prefix_;
  Offset prefix_offset_;
  EntryId last_;
  Offset start_offset_;
  Offset next_offset_;
  LogIndex committed_;
  WalSequence last_sequence_;
  uint64_t cuts_ = 0;  ///< Counts truncations and resets: readers that waited look whether it moved.

  std::deque<Tail> tail_;
  std::vector<TermRun> terms_;
  std::vector<Entry> configs_;
  ByteCount uncommitted_bytes_ = 0;
  ByteCount committed_unflushed_bytes_ = 0;
  int64_t tail_max_timestamp_ = -1;

  std::vector<std::shared_ptr<Segment>> segments_;  ///< Ascending; all but the last are sealed.
  std::vector<std::shared_ptr<Segment>> patches_;   ///< Ascending: what holes were filled with.
  std::vector<std::pair<LogIndex, LogIndex>> lost_; ///< Holes where a whole segment is missing.
  Flushed flushed_;            ///< Written to segments, synced or not.
  Flushed synced_;             ///< Synced, and so in the next state frame.
  bool seal_next_ = false;
  bool directory_made_ = false;
  std::function<Slice(size_t max)> note_source_;

  std::optional<EntryId> snapshot_id_;
  bool snapshot_damaged_ = false;
  int64_t joined_ = 0;
  bool possibly_longer_ = false;
  bool hard_state_doubtful_ = false;
  uint64_t state_segment_ = 0;  ///< Where its newest state frame stands; 0: not written yet.
  EntryId stated_;              ///< How far segments are synced, as that frame says.
  WalSequence start_sequence_;  ///< Durable before anything below the start is unlinked.
};

}  // namespace taffrail
