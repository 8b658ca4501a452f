// From the bytes of a fetch answer to records. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "client/record.h"
#include "record/compression.h"

namespace taffrail::client {

/// The records of a producer from `first` up to its next abort marker were never committed.
struct AbortedRange {
  ProducerId producer;
  Offset first;
};

struct Fetched {
  std::vector<ConsumedRecord> records;
  Offset next;                ///< One past the last whole batch, or `from` if there was none.
  int32_t leader_epoch = -1;  ///< Of the last batch; -1 if there was none.
};

/// Reads the batches in `bytes` from offset `from` on: what lies before it in its batch, control
/// batches, and records in `aborted` (sorted by `first`) are skipped, and a batch cut off at the end
/// is left for the next fetch. Checks each batch's CRC first. Stops before a batch that is damaged if
/// there were good ones; an error is always about the batch at `from`.
/// Errors: kCorrupt; kUnsupported (message format, codec); kTooLarge.
Result<Fetched> read_fetched(ByteView bytes, Offset from, std::span<const AbortedRange> aborted,
                             CodecScratch* scratch = nullptr);

}  // namespace taffrail::client
