#include "cli/node_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <variant>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace taffrail::cli {
namespace {

/// A setting as the file has it, before it is known what it is for.
struct Given {
  std::string key;
  std::variant<int64_t, bool, std::string, std::vector<std::string>> value;
  std::string where;  ///< "node.toml:3:1".
};

/// How one key is read and written. `<NAME>` in a key matches one part.
struct Setting {
  NodeKey key;
  std::function<Result<>(NodeConfig&, const Given&, const std::string& name)> read;
  /// What stands behind '=' in a file; empty: at its default or absent, and left out.
  std::function<std::string(const NodeConfig&, const std::string& name)> write;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += {'\\', c};
    else if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\u{:04x}", byte);
    else out.push_back(c);
  }
  return out + "\"";
}

std::unexpected<Error> wrong(const Given& given, std::string_view wanted) {
  return fail(Errc::kInvalid, fmt::format("{}: {} is {}", given.where, given.key, wanted));
}

Result<int64_t> number_of(const Given& given, int64_t min, int64_t max) {
  const auto* n = std::get_if<int64_t>(&given.value);
  if (n == nullptr || *n < min || *n > max)
    return wrong(given, fmt::format("a number from {} to {}", min, max));
  return *n;
}

Result<std::string> text_of(const Given& given) {
  const auto* text = std::get_if<std::string>(&given.value);
  if (text == nullptr || text->empty()) return wrong(given, "a text in quotes");
  return *text;
}

Result<Endpoint> address_of(const Given& given, const std::string& text) {
  auto at = Endpoint::parse(text);
  if (!at) return wrong(given, fmt::format("\"HOST:PORT\": {}", at.error().message));
  return at;
}

Result<Endpoint> address_of(const Given& given) {
  const auto* text = std::get_if<std::string>(&given.value);
  if (text == nullptr) return wrong(given, "\"HOST:PORT\"");
  return address_of(given, *text);
}

template <class Int>
Setting number(std::string key, std::string kind, std::string help, int64_t min, int64_t max,
               std::function<Int&(NodeConfig&)> field) {
  const Int standard = field(*std::make_unique<NodeConfig>());
  return {{std::move(key), std::move(kind), std::move(help)},
          [=](NodeConfig& c, const Given& given, const std::string&) -> Result<> {
            field(c) = static_cast<Int>(TRY(number_of(given, min, max)));
            return {};
          },
          [=](const NodeConfig& c, const std::string&) {
            NodeConfig copy = c;
            const Int value = field(copy);
            return value == standard ? std::string() : std::to_string(value);
          }};
}

Setting time_ms(std::string key, std::string help, std::function<Duration&(NodeConfig&)> field) {
  const Duration standard = field(*std::make_unique<NodeConfig>());
  return {{std::move(key), "time", std::move(help)},
          [=](NodeConfig& c, const Given& given, const std::string&) -> Result<> {
            field(c) = Duration::from_ms(TRY(number_of(given, 1, INT32_MAX)));
            return {};
          },
          [=](const NodeConfig& c, const std::string&) {
            NodeConfig copy = c;
            const Duration value = field(copy);
            return value == standard ? std::string() : std::to_string(value.ms());
          }};
}

Setting address(std::string key, std::string help,
                std::function<Endpoint&(NodeConfig&, const std::string&)> field) {
  return {{std::move(key), "address", std::move(help)},
          [=](NodeConfig& c, const Given& given, const std::string& name) -> Result<> {
            field(c, name) = TRY(address_of(given));
            return {};
          },
          [=](const NodeConfig& c, const std::string& name) {
            NodeConfig copy = c;
            const Endpoint at = field(copy, name);
            return at.host.empty() ? std::string() : quoted(at.text());
          }};
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  all.push_back({{"node.id", "number", "Of this node, unique in its cluster. Required."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   c.id = BrokerId(static_cast<int32_t>(TRY(number_of(g, 0, INT32_MAX))));
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) { return std::to_string(c.id.value); }});
  all.push_back({{"node.rack", "text", "Replicas of a partition are spread over racks."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   c.rack = TRY(text_of(g));
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) {
                   return c.rack ? quoted(*c.rack) : std::string();
                 }});
  all.push_back({{"node.data", "text or texts",
                  "Directory for everything the node keeps, or a list of them, one for each disk: partitions are spread over "
                  "them, and one that fails stops only its own. Their number and order stay. Required."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   if (const auto* many = std::get_if<std::vector<std::string>>(&g.value)) c.data_dirs = *many;
                   else c.data_dirs = {TRY(text_of(g))};
                   const std::set<std::string> different(c.data_dirs.begin(), c.data_dirs.end());
                   if (c.data_dirs.empty() || c.data_dirs.size() > kDirectoriesMax || different.size() != c.data_dirs.size() || different.contains(""))
                     return wrong(g, fmt::format("a directory, or a list of up to {} different ones", kDirectoriesMax));
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) {
                   if (c.data_dirs.size() == 1) return quoted(c.data_dirs.front());
                   std::string list;
                   for (const std::string& path : c.data_dirs) list += (list.empty() ? "" : ", ") + quoted(path);
                   return "[" + list + "]";
                 }});
  all.push_back(number<uint32_t>("node.shards", "number", "Threads, each with its part of the partitions; at least one for each data directory. A start with another number moves them.", 1,
                                 1024, [](NodeConfig& c) -> uint32_t& { return c.shards; }));
  all.push_back({{"cluster.seeds", "addresses",
                  "Internal addresses of the nodes that found the cluster: the same list on each. Required."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   std::vector<std::string> list;
                   if (const auto* many = std::get_if<std::vector<std::string>>(&g.value)) list = *many;
                   else if (const auto* one = std::get_if<std::string>(&g.value)) list = {*one};
                   c.seeds.clear();
                   for (const std::string& text : list) c.seeds.push_back(TRY(address_of(g, text)));
                   if (c.seeds.empty()) return wrong(g, "a list of \"HOST:PORT\"");
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) {
                   std::string list;
                   for (const Endpoint& at : c.seeds) list += (list.empty() ? "" : ", ") + quoted(at.text());
                   return "[" + list + "]";
                 }});
  all.push_back(address("internal.bind", "Where other nodes reach this one. Required.",
                        [](NodeConfig& c, const std::string&) -> Endpoint& { return c.internal.bind; }));
  all.push_back(address("internal.advertise", "The same as others have to dial it; default: as bound.",
                        [](NodeConfig& c, const std::string&) -> Endpoint& { return c.internal.advertised; }));
  all.push_back(address("listen.<NAME>.bind", "A listener for clients. One at least is required.",
                        [](NodeConfig& c, const std::string& name) -> Endpoint& { return c.listeners[name].bind; }));
  all.push_back(address("listen.<NAME>.advertise", "What its clients are told to dial; default: as bound.",
                        [](NodeConfig& c, const std::string& name) -> Endpoint& {
                          return c.listeners[name].advertised;
                        }));
  all.push_back(number<int32_t>("topics.partitions", "number", "Of a topic created without a number.", 1,
                                100'000, [](NodeConfig& c) -> int32_t& { return c.default_partitions; }));
  all.push_back(number<int16_t>("topics.replicas", "number", "Likewise; fewer while fewer nodes are alive.", 1,
                                1000, [](NodeConfig& c) -> int16_t& { return c.default_replication_factor; }));
  all.push_back({{"topics.auto_create", "flag", "Whether asking for a topic may create it."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   const auto* flag = std::get_if<bool>(&g.value);
                   if (flag == nullptr) return wrong(g, "true or false");
                   c.auto_create_topics = *flag;
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) {
                   return std::string(c.auto_create_topics ? "" : "false");
                 }});
  all.push_back(number<int32_t>("groups.partitions", "number", "Of the topic that keeps groups and their offsets, when it is made.", 1,
                                10'000, [](NodeConfig& c) -> int32_t& { return c.groups.offsets_partitions; }));
  all.push_back(number<int16_t>("groups.replicas", "number", "Likewise; fewer while fewer nodes have registered.", 1, 1000,
                                [](NodeConfig& c) -> int16_t& { return c.groups.offsets_replicas; }));
  all.push_back(number<int32_t>("groups.size", "number", "Members that one group may have.", 1, INT32_MAX,
                                [](NodeConfig& c) -> int32_t& { return c.groups.size_max; }));
  all.push_back(number<int32_t>("groups.consumer_size", "number", "Likewise a consumer group (KIP-848).", 1, INT32_MAX,
                                [](NodeConfig& c) -> int32_t& { return c.groups.consumer_size_max; }));
  all.push_back(time_ms("groups.first_wait_ms", "For more members, before a group's first generation.",
                        [](NodeConfig& c) -> Duration& { return c.groups.initial_rebalance_delay; }));
  all.push_back(time_ms("groups.session_min_ms", "What members may ask to be waited for: at least,",
                        [](NodeConfig& c) -> Duration& { return c.groups.session_timeout_min; }));
  all.push_back(time_ms("groups.session_max_ms", "and at most.",
                        [](NodeConfig& c) -> Duration& { return c.groups.session_timeout_max; }));
  all.push_back(time_ms("groups.consumer_session_ms", "The same for members of consumer groups, who do not ask.",
                        [](NodeConfig& c) -> Duration& { return c.groups.consumer_session_timeout; }));
  all.push_back(time_ms("groups.consumer_heartbeat_ms", "How often members of consumer groups are told to speak.",
                        [](NodeConfig& c) -> Duration& { return c.groups.consumer_heartbeat_interval; }));
  all.push_back(time_ms("groups.consumer_assignment_ms", "Between two assignments of a consumer group, at least.",
                        [](NodeConfig& c) -> Duration& { return c.groups.consumer_assignment_interval; }));
  all.push_back({{"groups.consumer_migration", "text",
                  "Which groups with members turn to the other protocol: upgrade, downgrade, bidirectional or disabled."},
                 [](NodeConfig& c, const Given& g, const std::string&) -> Result<> {
                   const auto policy = group::find_migration(TRY(text_of(g)));
                   if (!policy) return wrong(g, "upgrade, downgrade, bidirectional or disabled");
                   c.groups.consumer_migration = *policy;
                   return {};
                 },
                 [](const NodeConfig& c, const std::string&) {
                   const group::Migration policy = c.groups.consumer_migration;
                   return policy == group::Options().consumer_migration ? std::string() : quoted(group::migration_name(policy));
                 }});
  all.push_back(time_ms("groups.retention_ms", "Offsets of a group without members are kept for this long.",
                        [](NodeConfig& c) -> Duration& { return c.groups.offsets_retention; }));
  all.push_back(time_ms("groups.retention_check_ms", "Between two looks for offsets that are too old.",
                        [](NodeConfig& c) -> Duration& { return c.groups.retention_check; }));
  all.push_back(time_ms("raft.heartbeat_ms", "Between two signs of life of a leader.",
                        [](NodeConfig& c) -> Duration& { return c.raft.heartbeat; }));
  all.push_back(time_ms("raft.election_min_ms", "Silence after which a follower stands for election: at least,",
                        [](NodeConfig& c) -> Duration& { return c.raft.election_min; }));
  all.push_back(time_ms("raft.election_max_ms", "and at most.",
                        [](NodeConfig& c) -> Duration& { return c.raft.election_max; }));
  constexpr int64_t kSizeMax = int64_t{1} << 46;
  all.push_back(number<ByteCount>("storage.wal_segment_bytes", "size", "Of the write-ahead log's files.",
                                  1 << 20, kSizeMax,
                                  [](NodeConfig& c) -> ByteCount& { return c.storage.wal_segment_bytes; }));
  all.push_back(number<ByteCount>("storage.memory_bytes", "size", "For recent records, per shard.", 1 << 20,
                                  kSizeMax, [](NodeConfig& c) -> ByteCount& { return c.storage.memory; }));
  all.push_back(number<ByteCount>("storage.flush_bytes", "size", "Moved to a partition's files in one piece.",
                                  4096, kSizeMax,
                                  [](NodeConfig& c) -> ByteCount& { return c.storage.flush_bytes; }));
  all.push_back(time_ms("storage.scrub_ms", "In which all stored records are read once and checked.",
                        [](NodeConfig& c) -> Duration& { return c.scrub_round; }));
  all.push_back(time_ms("storage.slow_disk_ms", "A disk that takes longer to sync loses its leaderships.",
                        [](NodeConfig& c) -> Duration& { return c.slow_disk_after; }));
  all.push_back(number<ByteCount>("limits.request_bytes", "size", "Largest request; a larger one ends the connection.",
                                  1024, INT32_MAX,
                                  [](NodeConfig& c) -> ByteCount& { return c.server.request_bytes_max; }));
  all.push_back(number<ByteCount>("limits.memory_bytes", "size", "For requests and answers of all clients.",
                                  1 << 20, kSizeMax, [](NodeConfig& c) -> ByteCount& { return c.server.memory; }));
  all.push_back(number<uint32_t>("limits.connections", "number", "Per listener; further ones are closed at once.",
                                 1, 10'000'000,
                                 [](NodeConfig& c) -> uint32_t& { return c.server.connections_max; }));
  all.push_back(time_ms("limits.idle_ms", "After which a connection without requests is closed.",
                        [](NodeConfig& c) -> Duration& { return c.server.idle_max; }));
  return all;
}

/// The name that stands for <NAME> in `key`, or nothing if `key` is not of that shape.
std::optional<std::string> match(std::string_view pattern, std::string_view key) {
  const size_t at = pattern.find("<NAME>");
  if (at == std::string_view::npos) return pattern == key ? std::optional<std::string>("") : std::nullopt;
  const std::string_view head = pattern.substr(0, at);
  const std::string_view tail = pattern.substr(at + 6);
  if (key.size() <= head.size() + tail.size() || !key.starts_with(head) || !key.ends_with(tail))
    return std::nullopt;
  const std::string_view name = key.substr(head.size(), key.size() - head.size() - tail.size());
  if (name.find('.') != std::string_view::npos) return std::nullopt;
  return std::string(name);
}

// Levenshtein's distance: enough for "did you mean".
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view key, const std::vector<Setting>& all) {
  std::string best;
  size_t best_distance = SIZE_MAX;
  for (const Setting& s : all) {
    std::string candidate = s.key.key;
    // Compared under the name that the reader gave the listener.
    const size_t at = candidate.find("<NAME>");
    if (at != std::string::npos && key.starts_with("listen.")) {
      const size_t end = key.find('.', 7);
      candidate.replace(at, 6, key.substr(7, end == std::string_view::npos ? end : end - 7));
    }
    const size_t d = distance(key, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

Result<> collect(const toml::table& table, const std::string& prefix, std::string_view file,
                 std::vector<Given>& out) {
  for (const auto& [toml_key, node] : table) {
    const std::string key = prefix + std::string(toml_key.str());
    const toml::source_position at = toml_key.source().begin;
    Given given{key, {}, fmt::format("{}:{}:{}", file, at.line, at.column)};
    if (const auto* inner = node.as_table()) {
      TRY(collect(*inner, key + ".", file, out));
      continue;
    }
    if (const auto* n = node.as_integer()) given.value = n->get();
    else if (const auto* b = node.as_boolean()) given.value = b->get();
    else if (const auto* s = node.as_string()) given.value = s->get();
    else if (const auto* a = node.as_array()) {
      std::vector<std::string> list;
      for (const auto& element : *a) {
        const auto* text = element.as_string();
        if (text == nullptr) return wrong(given, "a list of texts");
        list.push_back(text->get());
      }
      given.value = std::move(list);
    } else {
      return wrong(given, "neither a number, a flag, a text nor a list");
    }
    out.push_back(std::move(given));
  }
  return {};
}

Given given_on_command_line(const std::string& key, const std::string& text) {
  Given given{key, text, "--set " + key};
  int64_t number_value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number_value);
  if (error == std::errc() && end == text.data() + text.size()) given.value = number_value;
  else if (text == "true" || text == "false") given.value = text == "true";
  else if (text.find(',') != std::string::npos) {
    std::vector<std::string> list;
    for (size_t at = 0; at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      list.push_back(text.substr(at, comma - at));
      at = comma + 1;
    }
    given.value = std::move(list);
  }
  return given;
}

Result<> apply(NodeConfig& config, const Given& given, const std::vector<Setting>& all) {
  for (const Setting& s : all) {
    const auto name = match(s.key.key, given.key);
    if (name) return s.read(config, given, *name);
  }
  return fail(Errc::kInvalid, fmt::format("{}: unknown key \"{}\"; did you mean \"{}\"?", given.where,
                                          given.key, nearest(given.key, all)));
}

Result<> check_complete(const NodeConfig& c, std::string_view file) {
  std::string missing;
  if (c.id == kNoBroker) missing = "node.id";
  else if (c.data_dirs.empty()) missing = "node.data";
  else if (c.seeds.empty()) missing = "cluster.seeds";
  else if (c.internal.bind.host.empty()) missing = "internal.bind";
  else if (c.listeners.empty()) missing = "listen.PLAINTEXT.bind";
  for (const auto& [name, listener] : c.listeners)
    if (listener.bind.host.empty()) missing = fmt::format("listen.{}.bind", name);
  if (!missing.empty()) return fail(Errc::kInvalid, fmt::format("{}: {} is missing", file, missing));
  if (c.raft.election_min > c.raft.election_max)
    return fail(Errc::kInvalid, fmt::format("{}: raft.election_min_ms is above raft.election_max_ms", file));
  if (c.groups.session_timeout_min > c.groups.session_timeout_max)
    return fail(Errc::kInvalid, fmt::format("{}: groups.session_min_ms is above groups.session_max_ms", file));
  if (c.raft.heartbeat * 2 > c.raft.election_min)
    return fail(Errc::kInvalid, fmt::format("{}: raft.heartbeat_ms is more than half of raft.election_min_ms: "
                                            "one lost message would start an election", file));
  return {};
}

}  // namespace

std::vector<NodeKey> node_file_keys() {
  std::vector<NodeKey> keys;
  for (Setting& s : settings()) keys.push_back(std::move(s.key));
  return keys;
}

Result<NodeConfig> parse_node_file(std::string_view text, std::string_view name,
                                   std::span<const std::string> overrides) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return fail(Errc::kInvalid, fmt::format("{}:{}:{}: {}", name, error.source().begin.line,
                                            error.source().begin.column, error.description()));
  }
  std::vector<Given> given;
  TRY(collect(parsed.table(), "", name, given));
  const std::vector<Setting> all = settings();
  NodeConfig config;
  for (const Given& g : given) TRY(apply(config, g, all));
  for (const std::string& pair : overrides) {
    const size_t at = pair.find('=');
    if (at == std::string::npos)
      return fail(Errc::kInvalid, fmt::format("--set takes KEY=VALUE, not \"{}\"", pair));
    TRY(apply(config, given_on_command_line(pair.substr(0, at), pair.substr(at + 1)), all));
  }
  TRY(check_complete(config, name));
  config.shards = std::max(config.shards, static_cast<uint32_t>(config.data_dirs.size()));
  return config;
}

std::string write_node_file(const NodeConfig& config) {
  std::string out;
  std::string section;
  const auto put = [&](const std::string& key, const std::string& value) {
    if (value.empty()) return;
    const size_t dot = key.rfind('.');
    if (key.substr(0, dot) != section) {
      section = key.substr(0, dot);
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    }
    out += fmt::format("{} = {}\n", key.substr(dot + 1), value);
  };
  std::vector<const Setting*> of_listeners;
  const std::vector<Setting> all = settings();
  for (const Setting& s : all) {
    if (s.key.key.find("<NAME>") != std::string::npos) of_listeners.push_back(&s);
    else put(s.key.key, s.write(config, ""));
  }
  for (const auto& [name, listener] : config.listeners) {
    for (const Setting* s : of_listeners) {
      std::string key = s->key.key;
      key.replace(key.find("<NAME>"), 6, name);
      put(key, s->write(config, name));
    }
  }
  return out;
}

}  // namespace taffrail::cli
