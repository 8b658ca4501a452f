// taffrail bench WORKLOAD...: starts `taffrail-bench`, which stands beside this program, with this program as the broker
// to measure. A program of its own: a generator may touch sockets and clocks, and nothing else here may.
#include <fmt/core.h>

#include "cli/commands.h"

namespace taffrail::cli {

Result<ExitCode> bench(Task& task, Session& session, const Bench& options) {
  const std::string self = session.host.executable();
  const std::string program = self.substr(0, self.rfind('/') + 1) + "taffrail-bench";
  if (!TRY(session.host.path_exists(task, program)))
    return fail(Errc::kNotFound, program + " is not there: it is built with everything else, and not installed");
  ProcessOptions process;
  process.arguments = {program, "--broker=" + self, fmt::format("--pairs={}", options.pairs)};
  if (!options.data.empty()) process.arguments.push_back("--data=" + options.data);
  if (session.global.format == Format::kJson) process.arguments.emplace_back("--output=json");
  process.arguments.insert(process.arguments.end(), options.workloads.begin(), options.workloads.end());
  process.own_group = false;  // Ctrl-C is for it.
  const auto running = TRY(session.host.start(task, process));
  const auto ended = running->wait(task);
  if (!ended) {
    (void)running->send(Signal::kTerminate);
    return std::unexpected(ended.error());
  }
  if (ended->code == 2) return ExitCode::kUsage;
  return ended->code == 0 ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace taffrail::cli
