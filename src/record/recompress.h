// A batch in another codec: what a topic's compression.type may force before the append.
#pragma once

#include "base/result.h"
#include "record/batch.h"
#include "record/compression.h"

namespace taffrail {

/// The same records under `codec`: length, attributes and CRC follow, every other field stays, holes and
/// deltas included. Errors: as decompress().
Result<Slice> recompress(const BatchView& batch, Codec codec, const DecompressLimits& limits = {});

}  // namespace taffrail
