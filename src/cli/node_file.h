// The configuration file of a node: TOML in, NodeConfig out, and back. A key that nobody knows is an
// error with its place and the nearest name, never a setting that quietly does nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "broker/node_config.h"

namespace taffrail::cli {

/// Reads `text`; `name` stands in messages. `overrides` are "key=value" with the keys of the file
/// ("listen.PLAINTEXT.bind=0.0.0.0:9092") and win over it. A relative data directory stays relative.
/// Errors: kInvalid: "node.toml:3:1: unknown key \"node.rak\"; did you mean \"node.rack\"?".
Result<NodeConfig> parse_node_file(std::string_view text, std::string_view name,
                                   std::span<const std::string> overrides = {});
/// A file that parse_node_file() reads back as the same config.
std::string write_node_file(const NodeConfig& config);

struct NodeKey {
  std::string key;   ///< "node.id"; a listener's name is "<NAME>".
  std::string kind;  ///< "number", "text", "address", "addresses", "flag", "size", "time".
  std::string help;
};
/// Every key there is, in the order of the documentation.
std::vector<NodeKey> node_file_keys();

}  // namespace taffrail::cli
