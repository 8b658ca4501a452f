// Regular expressions that members subscribe by: RE2's, which take time in proportion to their input (KIP-848).
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace taffrail::group {

/// Those of `names` that match as a whole; nothing if `expression` is none.
std::optional<std::vector<std::string>> matching(const std::string& expression, const std::vector<std::string>& names);

}  // namespace taffrail::group
