// CRC-32C (Castagnoli), the checksum of record batches and of every frame on our disks.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace taffrail {

/// CRC-32C of `bytes`; "123456789" gives e3069283. `before` continues an earlier call's result:
/// crc32c(b, crc32c(a)) == crc32c(a + b). The instruction is chosen at run time.
uint32_t crc32c(ByteView bytes, uint32_t before = 0);

/// The same by table only: what a machine without the instruction runs, and what tests compare with.
uint32_t crc32c_portable(ByteView bytes, uint32_t before = 0);

}  // namespace taffrail
