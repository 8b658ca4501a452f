// taffrail serve --config FILE: one node of a cluster, until it is told to stop.
#include "broker/node.h"
#include "broker/node_part.h"
#include "cli/commands.h"
#include "cli/node_file.h"

namespace taffrail::cli {

Result<NodeConfig> serve_config(Task& task, Session& session, const Serve& options) {
  std::string text;
  if (!options.config_file.empty())
    text = TRY(session.host.read_whole_file(task, options.config_file, 1_MiB));
  const std::string name = options.config_file.empty() ? "command line" : options.config_file;
  NodeConfig config = TRY(parse_node_file(text, name, options.set));
  // Beside the file, wherever the command was typed: a cluster's directory can be moved as a whole.
  const size_t slash = options.config_file.rfind('/');
  for (std::string& path : config.data_dirs)
    if (!path.starts_with('/') && slash != std::string::npos) path = options.config_file.substr(0, slash + 1) + path;
  config.unclean = options.unclean;
  return config;
}

Result<> serve_node(Task& task, Session& session, const NodeConfig& config, std::shared_ptr<NodeShards> shards,
                    bool stop_with_input) {
  Runtime& runtime = session.runtime;
  Node node(runtime, config, std::move(shards));
  Scope watchers;
  bool stopping = false;
  WaitQueue changed;

  // Whoever started us went away, however it went.
  if (stop_with_input) {
    runtime.spawn(watchers, "serve/input", [&](Task& t) {
      uint8_t ignored[256];
      for (;;) {
        const auto read = session.host.read_input(t, ignored);
        if (read && *read > 0) continue;
        if (!read && read.error().code == Errc::kCancelled) return;
        session.stop.set();
        return;
      }
    });
  }
  // A node that waits for its seeds has to hear of a stop, too.
  Scope starting;
  Result<> started = fail(Errc::kCancelled, "stopped before it served");
  runtime.spawn(starting, "serve/start", [&](Task& t) {
    started = node.start(t);
    stopping = !started;
    changed.notify_all();
  });
  runtime.spawn(watchers, "serve/stop", [&](Task& t) {
    if (!session.stop.wait(t)) return;
    stopping = true;
    changed.notify_all();
  });
  while (!stopping && changed.wait(task)) {
  }

  starting.cancel();
  starting.join(task);
  watchers.cancel();
  watchers.join(task);
  node.stop(task);
  if (!started && session.stop.is_set() && started.error().code == Errc::kCancelled) return {};
  return started;
}

}  // namespace taffrail::cli
