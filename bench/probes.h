// What the machine does by itself, beside which a slow yardstick shows: a third of a second each.
#pragma once

#include "report.h"
#include "target.h"

namespace taffrail::bench {

/// A synced write of 4 KiB over blocks that were written before; one TCP connection over loopback, 64 KiB at a time;
/// CRC-32C of 64 KiB in cache.
Values probe_machine(const Setup& setup);

}  // namespace taffrail::bench
