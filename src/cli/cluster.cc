// taffrail cluster show. Exit status kUnhealthy: the brokers that answer know no controller.
#include <fmt/core.h>

#include "cli/commands.h"
#include "client/admin.h"

namespace taffrail::cli {

Result<ExitCode> cluster_show(Task& task, Session& session) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const client::ClusterView view = TRY(client::Admin(cluster).describe_cluster(task, deadline));
    TRY(session.out.say(task, fmt::format("cluster {}", printable(view.id))));
    Table table{{"BROKER", "ADDRESS", "RACK", "CONTROLLER"}, {}};
    bool controlled = false;
    for (const auto& broker : view.brokers) {
      const bool controls = broker.id == view.controller;
      controlled = controlled || controls;
      table.rows.push_back({int64_t{broker.id.value}, broker.at.text(),
                            broker.rack ? Value(*broker.rack) : Value(), controls});
    }
    TRY(session.out.table(task, table));
    if (controlled) return ExitCode::kOk;
    TRY(session.out.note(task, "no controller: most of the brokers that found the cluster are away"));
    return ExitCode::kUnhealthy;
  });
}

}  // namespace taffrail::cli
