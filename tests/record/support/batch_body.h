// What must hold for any bytes at all, read as a produced batch: shared by record_prop.cc and the
// fuzz target fuzz_batch.
#pragma once

#include "base/bytes.h"

namespace taffrail {

/// Walks, validates and iterates `bytes`, as they are and with their checksum put right (a mutation
/// would otherwise never get past it). A broken law fails a CHECK.
void exercise_batch(ByteView bytes);

}  // namespace taffrail
