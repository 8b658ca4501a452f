// Reading files that may be damaged.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/disk.h"

namespace taffrail {

/// Reads up to `size` bytes from `position` on; fewer only at the end of the file. What the disk cannot
/// give back, page by page, reads as a pattern that no checksum of ours accepts and that is never taken
/// for unwritten space: whoever reads has one kind of damage to judge, not two. Errors: kIo if not even
/// the file's size can be had; kCancelled.
Result<Slice> read_damaged(Task& task, File& file, uint64_t position, size_t size);

}  // namespace taffrail
