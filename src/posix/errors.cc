#include "posix/errors.h"

#include <fmt/core.h>

#include <cerrno>
#include <system_error>

namespace taffrail::posix {

std::string errno_text(int error) { return std::generic_category().message(error); }

std::unexpected<Error> file_failure(int error, std::string_view operation, std::string_view path) {
  Errc code = Errc::kIo;
  if (error == ENOENT) code = Errc::kNotFound;
  if (error == EEXIST) code = Errc::kExists;
  if (error == ENOSPC || error == EDQUOT) code = Errc::kNoSpace;
  return fail(code,
              fmt::format("{} {}: {}", operation, path.empty() ? "." : path, errno_text(error)));
}

}  // namespace taffrail::posix
