#include "group/regex.h"

#include <re2/re2.h>

namespace taffrail::group {

std::optional<std::vector<std::string>> matching(const std::string& expression, const std::vector<std::string>& names) {
  RE2::Options options;
  options.set_log_errors(false);
  // Whoever repeats repetitions gets an error, not the broker's memory.
  options.set_max_mem(1 << 20);
  const RE2 compiled(expression, options);
  if (!compiled.ok()) return std::nullopt;
  std::vector<std::string> out;
  for (const std::string& name : names)
    if (RE2::FullMatch(name, compiled)) out.push_back(name);
  return out;
}

}  // namespace taffrail::group
