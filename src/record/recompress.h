// A batch in another codec: what a topic's compression.type may force before the append.
#pragma once

#include "base/result.h"
#include "record/batch.h"
#include "record/compression.h"

namespace taffrail {

/// The same records under `codec`: length, attributes and CRC follow, every other field stays, holes and
/// deltas included. `limits` are those of the records unpacked, and of what they are packed into again. Errors: as
/// decompress() and compress_within().
Result<Slice> recompress(const BatchView& batch, Codec codec, const CodecLimits& limits = {});

}  // namespace taffrail
