// Looking at a store's files without touching them: what `taffrail inspect` prints.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/entry.h"
#include "base/result.h"
#include "runtime/disk.h"
#include "storage/types.h"
#include "storage/wal.h"

namespace taffrail {

/// A frame of the write-ahead log, or a chunk's entry.
struct InspectRow {
  uint64_t position = 0;
  std::string kind;           ///< "group", "mark", "end" (of a full segment), "entry", "truncate", "hard_state", "state", "delete", "chunk".
  std::optional<PartitionKey> log;
  WalSequence sequence;       ///< 0 in segments.
  WalSequence original;       ///< Of groups and marks: what they say was durable before them.
  EntryMeta meta;             ///< Of entries; of truncations the index.
  ByteCount size_bytes = 0;
};

struct InspectReport {
  std::string file;
  std::string format;         ///< "wal segment 3 of disk X", "segment of TOPIC-0 from index 42".
  std::vector<InspectRow> rows;
  std::vector<Damage> damage; ///< Of one file seen alone: a torn last group shows here too.
  bool truncated = false;     ///< There were more rows than asked for.
};

/// Reads one file of a store, of either kind; writes nothing, so that it is safe on a live directory.
/// Its name says which kind it is. Errors: kNotFound, kIo; kInvalid for any other name; kCorrupt if a
/// segment's header is bad; kUnsupported for a newer format.
Result<InspectReport> inspect_file(Task& task, Disk& disk, std::string_view path, size_t max_rows);

}  // namespace taffrail
