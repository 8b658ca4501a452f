#include "partition/topic_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/check.h"

namespace taffrail {
namespace {

constexpr int64_t kIntMax = INT32_MAX;
constexpr std::string_view kLongMaxText = "9223372036854775807";
constexpr std::string_view kCodecs = "uncompressed,zstd,lz4,snappy,gzip,producer";

using enum ConfigType;

// Sorted by name: find_topic_config_key() searches it, and people read it in docs/topic-configs.md.
// Defaults and ranges as Kafka 4.x has them (LogConfig, ServerTopicConfigSynonyms; floors: KIP-1030).
constexpr std::array kKeys = {
    TopicConfigKey{"cleanup.policy", kList, "delete", "log.cleanup.policy", true,
                   "What happens to old records: delete whole segments, compact by key, both, or (empty) "
                   "keep everything.",
                   INT64_MIN, INT64_MAX, "compact,delete"},
    TopicConfigKey{"compression.gzip.level", kInt, "-1", "compression.gzip.level", false,
                   "Level for a topic that is compressed by gzip; -1 is the library's own.", -1, 9},
    TopicConfigKey{"compression.lz4.level", kInt, "9", "compression.lz4.level", false,
                   "Level for a topic that is compressed by lz4.", 1, 17},
    TopicConfigKey{"compression.type", kString, "producer", "compression.type", true,
                   "The codec that batches are stored with; producer keeps them as they came.",
                   INT64_MIN, INT64_MAX, kCodecs},
    TopicConfigKey{"compression.zstd.level", kInt, "3", "compression.zstd.level", false,
                   "Level for a topic that is compressed by zstd.", -131072, 22},
    TopicConfigKey{"delete.retention.ms", kLong, "86400000", "log.cleaner.delete.retention.ms", false,
                   "How long a tombstone stays readable after compaction.", 0},
    TopicConfigKey{"errors.deadletterqueue.group.enable", kBoolean, "false", "", false,
                   "Whether share groups may write dead letters to this topic."},
    TopicConfigKey{"file.delete.delay.ms", kLong, "60000", "log.segment.delete.delay.ms", false,
                   "How long a removed segment's file stays.", 0},
    TopicConfigKey{"flush.messages", kLong, kLongMaxText, "log.flush.interval.messages", false,
                   "Records between two syncs; every acknowledged record is synced regardless.", 1},
    TopicConfigKey{"flush.ms", kLong, kLongMaxText, "log.flush.interval.ms", false,
                   "Time between two syncs; every acknowledged record is synced regardless.", 0},
    TopicConfigKey{"follower.replication.throttled.replicas", kList, "", "", false,
                   "Replicas whose catching up is throttled as followers: PARTITION:BROKER, or * for all."},
    TopicConfigKey{"index.interval.bytes", kInt, "4096", "log.index.interval.bytes", false,
                   "Bytes between two entries of the offset index.", 0},
    TopicConfigKey{"leader.replication.throttled.replicas", kList, "", "", false,
                   "Replicas whose reading is throttled at the leader: PARTITION:BROKER, or * for all."},
    TopicConfigKey{"local.retention.bytes", kLong, "-2", "log.local.retention.bytes", false,
                   "With tiered storage, what is kept locally; -2 is as retention.bytes.", -2},
    TopicConfigKey{"local.retention.ms", kLong, "-2", "log.local.retention.ms", false,
                   "With tiered storage, how long it is kept locally; -2 is as retention.ms.", -2},
    TopicConfigKey{"max.compaction.lag.ms", kLong, kLongMaxText, "log.cleaner.max.compaction.lag.ms",
                   false, "The longest that a record may stay uncompacted.", 1},
    TopicConfigKey{"max.message.bytes", kInt, "1048588", "message.max.bytes", true,
                   "The largest batch that is accepted, as it came (compressed).", 0},
    TopicConfigKey{"message.timestamp.after.max.ms", kLong, "3600000",
                   "log.message.timestamp.after.max.ms", true,
                   "How far a record's timestamp may lie ahead of the broker's clock.", 0},
    TopicConfigKey{"message.timestamp.before.max.ms", kLong, kLongMaxText,
                   "log.message.timestamp.before.max.ms", true,
                   "How far a record's timestamp may lie behind the broker's clock.", 0},
    TopicConfigKey{"message.timestamp.type", kString, "CreateTime", "log.message.timestamp.type", true,
                   "Whose clock stamps records: the producer's, or the broker's at the append.",
                   INT64_MIN, INT64_MAX, "CreateTime,LogAppendTime"},
    TopicConfigKey{"min.cleanable.dirty.ratio", kDouble, "0.5", "log.cleaner.min.cleanable.ratio", false,
                   "The share of uncompacted bytes from which on compaction is worth it.", 0, 1},
    TopicConfigKey{"min.compaction.lag.ms", kLong, "0", "log.cleaner.min.compaction.lag.ms", false,
                   "The shortest that a record stays uncompacted.", 0},
    TopicConfigKey{"min.insync.replicas", kInt, "1", "min.insync.replicas", true,
                   "With acks=all, how many replicas must hold a record; a majority always must.", 1},
    TopicConfigKey{"preallocate", kBoolean, "false", "log.preallocate", false,
                   "Whether a segment's file is allocated when it is created."},
    TopicConfigKey{"remote.copy.lag.bytes", kLong, "-1", "log.remote.copy.lag.bytes", false,
                   "With tiered storage, the bytes that may wait before they are copied.", -1},
    TopicConfigKey{"remote.copy.lag.ms", kLong, "0", "log.remote.copy.lag.ms", false,
                   "With tiered storage, how long a closed segment may wait before it is copied.", -1},
    TopicConfigKey{"remote.log.copy.disable", kBoolean, "false", "", false,
                   "With tiered storage, whether copying is stopped."},
    TopicConfigKey{"remote.log.delete.on.disable", kBoolean, "false", "", false,
                   "Whether the remote copies go when tiered storage is switched off."},
    TopicConfigKey{"remote.storage.enable", kBoolean, "false", "", false,
                   "Whether closed segments are copied to tiered storage."},
    TopicConfigKey{"retention.bytes", kLong, "-1", "log.retention.bytes", true,
                   "What a partition keeps at most, oldest segments first; negative is no limit."},
    TopicConfigKey{"retention.ms", kLong, "604800000", "log.retention.ms", true,
                   "How long a record is kept at most, by whole segments; -1 is for ever.", -1},
    TopicConfigKey{"segment.bytes", kInt, "1073741824", "log.segment.bytes", true,
                   "The size at which a segment is closed: the step of retention.", 1'048'576},
    TopicConfigKey{"segment.index.bytes", kInt, "10485760", "log.index.size.max.bytes", false,
                   "The size of an index file.", 4},
    TopicConfigKey{"segment.jitter.ms", kLong, "0", "log.roll.jitter.ms", false,
                   "What segment.ms is shortened by at most, at random.", 0},
    TopicConfigKey{"segment.ms", kLong, "604800000", "log.roll.ms", true,
                   "The age at which a segment is closed though it is not full.", 1},
    TopicConfigKey{"unclean.leader.election.enable", kBoolean, "false",
                   "unclean.leader.election.enable", false,
                   "Whether a replica that may lack acknowledged records can be made the leader."},
};
static_assert(std::ranges::is_sorted(kKeys, {}, &TopicConfigKey::name));

constexpr std::string_view kBlanks = " \t\r\n\f\v";

// Kafka trims every value before it parses it.
std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// Java's parseLong takes a leading plus; from_chars does not.
std::string_view without_plus(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

std::optional<int64_t> parse_long(std::string_view value) {
  const std::string_view text = without_plus(trimmed(value));
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> parse_double(std::string_view value) {
  const std::string_view text = without_plus(trimmed(value));
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A value comes from a client: it is shown in part, and never with a line of its own.
std::string shown(std::string_view value) {
  constexpr size_t kShownMax = 64;
  std::string out(value.substr(0, kShownMax));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return value.size() > kShownMax ? out + "..." : out;
}

std::unexpected<Error> wrong(std::string_view name, std::string_view value, std::string_view why) {
  return fail(Errc::kInvalid, fmt::format("{}: \"{}\" {}", shown(name), shown(value), why));
}

bool in_list(std::string_view element, std::string_view choices) {
  const std::vector<std::string_view> all = config_list(choices);
  return std::ranges::find(all, element) != all.end();
}

bool is_throttled_replica(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (i != colon && (text[i] < '0' || text[i] > '9')) return false;
  return true;
}

Result<> check_list(const TopicConfigKey& key, std::string_view value) {
  const std::vector<std::string_view> elements = config_list(value);
  for (size_t i = 0; i < elements.size(); ++i) {
    const std::string_view element = elements[i];
    if (!key.choices.empty() && !in_list(element, key.choices))
      return wrong(key.name, element, fmt::format("is none of {}", key.range()));
    if (key.choices.empty() && !(elements.size() == 1 && element == "*") && !is_throttled_replica(element))
      return wrong(key.name, element, "is not PARTITION:BROKER, nor * alone");
  }
  // Sorted, because a throttle list may be long.
  std::vector<std::string_view> sorted = elements;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice != sorted.end()) return wrong(key.name, *twice, "is named twice");
  return {};
}

int64_t minimum(const TopicConfigKey& key, const TopicConfigLimits& limits) {
  return key.name == "segment.bytes" ? limits.segment_bytes_min : key.min;
}

std::string range_text(int64_t min, int64_t max) {
  if (min == INT64_MIN && max == INT64_MAX) return {};
  if (max == INT64_MAX) return fmt::format("at least {}", min);
  return fmt::format("{} to {}", min, max);
}

std::optional<int64_t> long_of(const ConfigMap& set, std::string_view name) {
  const auto it = set.find(name);
  return it == set.end() ? std::nullopt : parse_long(it->second);
}

int64_t default_long(std::string_view name) {
  const TopicConfigKey* key = find_topic_config_key(name);
  CHECK(key != nullptr);
  return parse_long(key->default_value).value();
}

}  // namespace

std::string_view config_type_name(ConfigType type) {
  switch (type) {
    case kBoolean: return "boolean";
    case kString: return "string";
    case kInt: return "int";
    case kShort: return "short";
    case kLong: return "long";
    case kDouble: return "double";
    case kList: return "list";
  }
  return "unknown";
}

std::string TopicConfigKey::range() const {
  if (!choices.empty()) {
    std::string out;
    for (const std::string_view choice : config_list(choices))
      out += fmt::format("{}{}", out.empty() ? "" : ", ", choice);
    return out;
  }
  return range_text(min, max);
}

std::span<const TopicConfigKey> topic_config_keys() { return kKeys; }

const TopicConfigKey* find_topic_config_key(std::string_view name) {
  const auto it = std::ranges::lower_bound(kKeys, name, {}, &TopicConfigKey::name);
  return it != kKeys.end() && it->name == name ? &*it : nullptr;
}

const TopicConfigKey* find_topic_config_by_synonym(std::string_view name) {
  if (name.empty()) return nullptr;
  const auto it = std::ranges::find(kKeys, name, &TopicConfigKey::broker_synonym);
  return it == kKeys.end() ? nullptr : &*it;
}

bool is_retired_topic_config(std::string_view name) {
  return name == "message.format.version" || name == "message.downconversion.enable" ||
         name == "message.timestamp.difference.max.ms";
}

std::vector<std::string_view> config_list(std::string_view value) {
  std::vector<std::string_view> out;
  std::string_view rest = trimmed(value);
  if (rest.empty()) return out;
  for (;;) {
    const size_t comma = rest.find(',');
    out.push_back(trimmed(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return out;
    rest.remove_prefix(comma + 1);
  }
}

int64_t config_number(std::string_view value) { return parse_long(value).value_or(0); }

Result<> check_topic_config(std::string_view name, std::string_view value,
                            const TopicConfigLimits& limits) {
  const TopicConfigKey* known = find_topic_config_key(name);
  if (known == nullptr) return fail(Errc::kInvalid, fmt::format("{}: no such topic config", shown(name)));
  TopicConfigKey key = *known;
  key.min = minimum(key, limits);
  return check_config(key, value);
}

Result<> check_config(const TopicConfigKey& key, std::string_view value) {
  const std::string_view name = key.name;
  switch (key.type) {
    case kBoolean:
      if (!equal_ignoring_case(trimmed(value), "true") && !equal_ignoring_case(trimmed(value), "false"))
        return wrong(name, value, "is neither true nor false");
      return {};
    case kString:
      if (!in_list(trimmed(value), key.choices))
        return wrong(name, value, fmt::format("is none of {}", key.range()));
      return {};
    case kList: return check_list(key, value);
    case kDouble: {
      const std::optional<double> number = parse_double(value);
      if (!number) return wrong(name, value, "is not a number");
      // Written so that NaN is refused.
      if (!(*number >= static_cast<double>(key.min) && *number <= static_cast<double>(key.max)))
        return wrong(name, value, fmt::format("is not {}", key.range()));
      return {};
    }
    case kShort:
    case kInt:
    case kLong: break;
  }
  const std::optional<int64_t> number = parse_long(value);
  if (!number) return wrong(name, value, "is not a whole number");
  if (*number < key.min || *number > key.max)
    return wrong(name, value, fmt::format("is not {}", range_text(key.min, key.max)));
  if (key.type == kInt && (*number > kIntMax || *number < INT32_MIN))
    return wrong(name, value, fmt::format("is more than {}", kIntMax));
  return {};
}

Result<> check_topic_configs(const ConfigMap& set, const TopicConfigLimits& limits) {
  for (const auto& [name, value] : set) TRY(check_topic_config(name, value, limits));
  const int64_t lag_min =
      long_of(set, "min.compaction.lag.ms").value_or(default_long("min.compaction.lag.ms"));
  const int64_t lag_max =
      long_of(set, "max.compaction.lag.ms").value_or(default_long("max.compaction.lag.ms"));
  if (lag_min > lag_max)
    return fail(Errc::kInvalid, fmt::format("min.compaction.lag.ms: {} is more than max.compaction.lag.ms, {}",
                                            lag_min, lag_max));
  return {};
}

ConfigMap with_cluster_defaults(const ConfigMap& topic, const ConfigMap& cluster) {
  ConfigMap out = topic;
  for (const TopicConfigKey& key : kKeys) {
    if (key.broker_synonym.empty() || out.contains(key.name)) continue;
    const auto it = cluster.find(key.broker_synonym);
    if (it != cluster.end()) out.emplace(key.name, it->second);
  }
  return out;
}

TopicConfig TopicConfig::from(const ConfigMap& set) {
  TopicConfig out;
  const auto number = [&](std::string_view name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    const std::optional<int64_t> value = long_of(set, name);
    if (value && *value >= std::numeric_limits<Field>::min() && *value <= std::numeric_limits<Field>::max())
      field = static_cast<Field>(*value);
  };
  number("retention.ms", out.retention_ms);
  number("retention.bytes", out.retention_bytes);
  number("segment.bytes", out.segment_bytes);
  number("segment.ms", out.segment_ms);
  number("max.message.bytes", out.max_message_bytes);
  number("min.insync.replicas", out.min_insync_replicas);
  number("message.timestamp.before.max.ms", out.timestamp_before_max_ms);
  number("message.timestamp.after.max.ms", out.timestamp_after_max_ms);
  out.retention_ms = std::max<int64_t>(out.retention_ms, -1);
  out.retention_bytes = std::max<int64_t>(out.retention_bytes, -1);

  if (const auto it = set.find("message.timestamp.type"); it != set.end())
    if (trimmed(it->second) == "LogAppendTime") out.timestamp_type = TimestampType::kLogAppendTime;

  // Kafka's codec numbers (record batch attributes, bits 0 to 2).
  constexpr std::array<std::string_view, 5> kByNumber = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
  if (const auto it = set.find("compression.type"); it != set.end()) {
    const auto codec = std::ranges::find(kByNumber, trimmed(it->second));
    if (codec != kByNumber.end()) out.compression = static_cast<int8_t>(codec - kByNumber.begin());
  }
  if (const auto it = set.find("cleanup.policy"); it != set.end()) {
    out.compacted = in_list("compact", it->second);
    out.deleted = in_list("delete", it->second);
  }
  return out;
}

}  // namespace taffrail
