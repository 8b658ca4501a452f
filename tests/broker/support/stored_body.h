// What must hold for any bytes at all, read as what brokers keep on their disks and tell each other: shared by
// stored_prop.cc and the fuzz target fuzz_stored.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace taffrail {

/// How many loaders there are.
size_t stored_kinds();
/// The first byte picks one of them, the rest is what it is given. What it takes, written again, it takes again, and then
/// nothing changes any more; what it refuses it gives a reason for. A broken law fails a CHECK.
/// Returns whether it was taken.
bool exercise_stored(ByteView bytes);
/// Something that the loader `kind` takes.
Slice well_formed(size_t kind);

}  // namespace taffrail
