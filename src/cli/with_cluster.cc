#include <fmt/core.h>

#include "cli/commands.h"

namespace taffrail::cli {

Result<std::pair<std::string, std::string>> split_pair(std::string_view text) {
  const size_t at = text.find('=');
  if (at == std::string_view::npos || at == 0)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not KEY=VALUE", text));
  return std::pair(std::string(text.substr(0, at)), std::string(text.substr(at + 1)));
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> all;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    all.push_back(TRY(Endpoint::parse(text.substr(0, comma))));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (all.empty()) return fail(Errc::kInvalid, "no address given");
  return all;
}

Result<ExitCode> with_cluster(
    Task& task, Session& session,
    const std::function<Result<ExitCode>(client::Cluster&, Instant deadline)>& body) {
  client::ClusterOptions options;
  options.bootstrap = TRY(parse_endpoints(session.global.bootstrap));
  client::Cluster cluster(session.runtime, options);
  const Instant deadline =
      session.runtime.now() + Duration::from_ms(session.global.timeout_s * 1000);
  const Result<ExitCode> code = body(cluster, deadline);
  cluster.close(task);
  return code;
}

}  // namespace taffrail::cli
