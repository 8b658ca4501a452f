// From errno to the words of base/result.h.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace taffrail::posix {

/// "No space left on device".
std::string errno_text(int error);

/// What a file operation's errno means: kNotFound, kExists, kNoSpace, else kIo. The message names
/// the operation, the path and the system's word for it: "open wal/7: Permission denied".
[[nodiscard]] std::unexpected<Error> file_failure(int error, std::string_view operation,
                                                  std::string_view path);

}  // namespace taffrail::posix
