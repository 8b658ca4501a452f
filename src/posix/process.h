// Starting and following child processes.
#pragma once

#include <memory>

#include "posix/loop.h"
#include "runtime/host.h"

namespace taffrail::posix {

/// May block for as long as the kernel needs to load a program. Errors: kNotFound, kIo.
Result<std::unique_ptr<Process>> start_process(Loop& loop, const ProcessOptions& options);

}  // namespace taffrail::posix
