#include "group/options.h"

#include <algorithm>
#include <array>
#include <utility>

namespace taffrail::group {
namespace {

constexpr std::array<std::pair<std::string_view, Migration>, 4> kMigrations = {{
    {"disabled", Migration::kDisabled},
    {"upgrade", Migration::kUpgrade},
    {"downgrade", Migration::kDowngrade},
    {"bidirectional", Migration::kBidirectional},
}};

}  // namespace

std::string_view migration_name(Migration m) {
  return std::ranges::find(kMigrations, m, &std::pair<std::string_view, Migration>::second)->first;
}

std::optional<Migration> find_migration(std::string_view name) {
  const auto it = std::ranges::find(kMigrations, name, &std::pair<std::string_view, Migration>::first);
  return it == kMigrations.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace taffrail::group
