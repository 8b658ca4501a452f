#include "storage/types.h"

#include <fmt/core.h>

namespace taffrail {

std::string Damage::text() const {
  return fmt::format("{} at {}: {}{}", file, position, what, log ? " (" + log->text() + ")" : "");
}

}  // namespace taffrail
