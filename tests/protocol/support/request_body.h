// What must hold for any bytes at all, read as a message: shared by message_prop.cc and the fuzz
// target fuzz_request.
#pragma once

#include "base/bytes.h"

namespace taffrail::protocol {

/// The first byte picks one of the described messages, the second its version, the rest is the
/// body; and all of it is read as a request frame, too. A broken law fails a CHECK.
void exercise_message(ByteView bytes);

}  // namespace taffrail::protocol
