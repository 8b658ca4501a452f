// What a coordinator of groups may know of the cluster: its topics, and what was set for a group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/units.h"

namespace taffrail::group {

struct Topic {
  TopicId id;
  std::string name;
  int32_t partitions = 0;
  bool operator==(const Topic&) const = default;
};

/// What was set for one group instead of what is in the options.
struct Settings {
  std::optional<Duration> session_timeout = {};
  std::optional<Duration> heartbeat_interval = {};
  std::optional<Duration> assignment_interval = {};
};

/// As this broker has heard: it may be behind, and then sees the rest later. Never goes back.
class Topics {
 public:
  virtual ~Topics() = default;
  /// Another one than before if anything below may have another answer than before.
  virtual int64_t version() const = 0;
  virtual std::optional<Topic> find(std::string_view name) const = 0;
  virtual std::optional<Topic> find(const TopicId& id) const = 0;
  /// All, sorted.
  virtual std::vector<std::string> names() const = 0;
  /// For each partition the racks that its replicas stand in, sorted and each one once.
  virtual std::vector<std::vector<std::string>> racks(const TopicId& id) const = 0;
  virtual Settings settings_of(std::string_view group) const = 0;
};

}  // namespace taffrail::group
