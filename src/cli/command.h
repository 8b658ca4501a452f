// A command between parsing and running: what it needs of the world, and what it does in it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/node_config.h"
#include "cli/exit_code.h"
#include "cli/out.h"
#include "runtime/host.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail::cli {

/// Flags that every command knows.
struct GlobalOptions {
  std::string bootstrap = "127.0.0.1:9092";
  Format format = Format::kTable;
  int64_t timeout_s = 10;
};

/// What a running command works with.
struct Session {
  Runtime& runtime;
  Host& host;
  Event& stop;  ///< Set by the first Ctrl-C.
  Out& out;
  const GlobalOptions& global;
};

using CommandBody = std::function<Result<ExitCode>(Task&, Session&)>;

struct Invocation {
  /// Runs on the only shard of a process without a data directory.
  CommandBody body;
  /// Instead of `body`, a node: the first part finds out how it is configured, then the process becomes
  /// that node.
  std::function<Result<NodeConfig>(Task&, Session&)> configure_node;
  bool winds_down = false;       ///< Ctrl-C sets Session::stop; otherwise it cancels the command.
  bool stop_with_input = false;  ///< Of a node: the end of standard input stops it.
  LogLevel log_level = LogLevel::kInfo;  ///< Of a node.
  GlobalOptions global;
};

/// One line that says what to do about an error; empty if there is nothing to say.
std::string next_step(const Error& error);
/// "taffrail: <error>", and what to do next below it.
std::string error_text(const Error& error);

}  // namespace taffrail::cli
