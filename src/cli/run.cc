#include "cli/run.h"

#include <fmt/core.h>

#include <cstdio>

#include "broker/node_part.h"
#include "cli/app.h"
#include "cli/commands.h"
#include "posix/node.h"

namespace taffrail::cli {
namespace {

// Before there is a world to write in.
int print(const Answer& answer) {
  fmt::print("{}", answer.out);
  fmt::print(stderr, "{}", answer.error);
  return static_cast<int>(answer.code);
}

ExitCode report(Task& task, posix::Shard& shard, const Error& error) {
  if (error.code == Errc::kCancelled) return ExitCode::kInterrupted;
  // Where standard error is gone, too, the status has to do.
  (void)shard.host.write(task, Stream::kError, error_text(error));
  return exit_code_of(error);
}

posix::NodeOptions world_for(const std::vector<std::string>& arguments, const Invocation& invocation) {
  posix::NodeOptions options;
  options.data_dirs = {"/"};
  options.arguments = arguments;
  options.log.level = LogLevel::kWarn;
  options.cancel_on_signal = !invocation.winds_down;
  return options;
}

int outcome(const Result<>& world, ExitCode code) {
  if (world) return static_cast<int>(code);
  return print({"", error_text(world.error()), ExitCode::kFailed});
}

int run_command(const std::vector<std::string>& arguments, const Invocation& invocation) {
  ExitCode code = ExitCode::kFailed;
  const Result<> world =
      posix::run_node(world_for(arguments, invocation), [&](Task& task, posix::Shard& shard) {
        Out out(shard.host, invocation.global.format);
        Session session{shard.runtime, shard.host, shard.stop, out, invocation.global};
        const Result<ExitCode> done = invocation.body(task, session);
        code = done ? *done : report(task, shard, done.error());
      });
  return outcome(world, code);
}

int run_serve(const std::vector<std::string>& arguments, const Invocation& invocation) {
  // First in a world without data, to learn where the data is; then as the node itself.
  ExitCode code = ExitCode::kFailed;
  std::optional<NodeConfig> config;
  const Result<> asked =
      posix::run_node(world_for(arguments, invocation), [&](Task& task, posix::Shard& shard) {
        Out out(shard.host, invocation.global.format);
        Session session{shard.runtime, shard.host, shard.stop, out, invocation.global};
        auto read = invocation.configure_node(task, session);
        if (read) config = *std::move(read);
        else code = read.error().code == Errc::kInvalid
                        ? (report(task, shard, read.error()), ExitCode::kConfig)
                        : report(task, shard, read.error());
      });
  if (!asked || !config) return outcome(asked, code);

  posix::NodeOptions options = world_for(arguments, invocation);
  options.data_dirs = config->data_dirs;
  options.shards = config->shards;
  options.log.level = invocation.log_level;
  options.log.node = std::to_string(config->id.value);
  const auto shards = std::make_shared<NodeShards>();
  const Result<> served = posix::run_node(options, [&](Task& task, posix::Shard& shard) {
    if (shard.runtime.shard() != ShardId(0)) {
      NodePart part(shard.runtime, *config, shards);
      part.wait_released(task);
      return;
    }
    Out out(shard.host, invocation.global.format);
    Session session{shard.runtime, shard.host, shard.stop, out, invocation.global};
    const Result<> done = serve_node(task, session, *config, shards, invocation.stop_with_input);
    code = done ? ExitCode::kOk : report(task, shard, done.error());
  });
  return outcome(served, code);
}

}  // namespace

int run_main(const std::vector<std::string>& arguments) {
  const auto parsed = parse_command_line(arguments);
  if (const auto* answer = std::get_if<Answer>(&parsed)) return print(*answer);
  const auto& invocation = std::get<Invocation>(parsed);
  return invocation.configure_node ? run_serve(arguments, invocation) : run_command(arguments, invocation);
}

}  // namespace taffrail::cli
