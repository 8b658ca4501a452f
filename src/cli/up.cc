// taffrail up: a cluster on this machine. Each node is a child process with a directory of its own:
//
//   DIR/node-1/node.toml      how it is configured; `taffrail serve --config` of it runs it alone
//   DIR/node-1/data/          what it keeps
//   DIR/node-1/taffrail.log   what it says
//
// The files are written once and then read, so that a cluster comes up again under its old addresses.
// A node that ends is reported and not started again: here one wants to see what happens then.
#include <fmt/core.h>

#include <deque>

#include "cli/commands.h"
#include "cli/node_file.h"
#include "client/metadata.h"

namespace taffrail::cli {
namespace {

constexpr uint16_t kFirstPort = 9092;
/// Internal ports stand this far above those for clients.
constexpr uint16_t kInternalAbove = 10'000;
constexpr const char* kListener = "PLAINTEXT";
constexpr size_t kLastLines = 10;

struct Child {
  NodeConfig config;
  std::string directory;
  std::unique_ptr<Process> process;
  std::optional<ProcessExit> ended;
  Endpoint address() const { return config.listeners.at(kListener).bind; }
  std::string log() const { return directory + "/taffrail.log"; }
  std::string file() const { return directory + "/node.toml"; }
};

class LocalCluster {
 public:
  LocalCluster(Session& session, const Up& options, std::string directory)
      : session_(session), options_(options), directory_(std::move(directory)) {}

  Result<ExitCode> run(Task& task);

 private:
  Result<> plan(Task& task);
  Result<> plan_new(Task& task, int32_t count);
  Result<uint16_t> free_port(Task& task, uint16_t wanted);
  Result<> start_all(Task& task);
  Result<> wait_until_ready(Task& task);
  Result<> announce(Task& task, Instant started);
  Result<bool> notice_ends(Task& task);
  void stop_all(Task& task);
  size_t alive() const;

  Session& session_;
  const Up& options_;
  std::string directory_;
  std::vector<Child> children_;
  bool some_ended_ = false;
};

std::string what_ended(const ProcessExit& exit) {
  if (exit.signal != 0) return fmt::format("was ended by signal {}", exit.signal);
  return fmt::format("ended with status {}", exit.code);
}

Result<uint16_t> LocalCluster::free_port(Task& task, uint16_t wanted) {
  const Endpoint at{"127.0.0.1", wanted};
  auto listener = session_.runtime.net().listen(task, at);
  if (!listener)
    return fail(listener.error().code,
                fmt::format("{}: {}; --port P chooses others, --port 0 any", at.text(),
                            listener.error().message));
  return (*listener)->local().port;
}

Result<> LocalCluster::plan(Task& task) {
  int32_t found = 0;
  for (;; ++found) {
    Child child;
    child.directory = fmt::format("{}/node-{}", directory_, found + 1);
    if (!TRY(session_.host.path_exists(task, child.file()))) break;
    const std::string text = TRY(session_.host.read_whole_file(task, child.file(), 1_MiB));
    child.config = TRY(parse_node_file(text, child.file()));
    if (!child.config.listeners.contains(kListener))
      return fail(Errc::kInvalid, fmt::format("{}: there is no listener {}", child.file(), kListener));
    children_.push_back(std::move(child));
  }
  if (found == 0) return plan_new(task, options_.nodes.value_or(3));
  if (options_.nodes && *options_.nodes != found)
    return fail(Errc::kInvalid, fmt::format("{} holds a cluster of {} nodes; leave --nodes out, or choose "
                                            "another directory with --data",
                                            directory_, found));
  if (options_.port && *options_.port != children_.front().address().port)
    return fail(Errc::kInvalid, fmt::format("the cluster in {} has its ports already, from {} on; leave "
                                            "--port out",
                                            directory_, children_.front().address().port));
  for (const Child& child : children_) TRY(free_port(task, child.address().port));
  return {};
}

Result<> LocalCluster::plan_new(Task& task, int32_t count) {
  const uint16_t first = options_.port.value_or(kFirstPort);
  if (first != 0 && first + kInternalAbove + count > 65'535)
    return fail(Errc::kInvalid, fmt::format("--port is at most {}: nodes talk to each other {} above",
                                            65'535 - kInternalAbove - count, kInternalAbove));
  // Held until all are chosen, so that no two nodes are given the same one.
  std::vector<std::unique_ptr<Listener>> held;
  const auto choose = [&](uint16_t wanted) -> Result<Endpoint> {
    auto listener = session_.runtime.net().listen(task, {"127.0.0.1", wanted});
    if (!listener)
      return fail(listener.error().code, fmt::format("127.0.0.1:{}: {}; --port P chooses others, --port 0 any",
                                                     wanted, listener.error().message));
    const Endpoint at{"127.0.0.1", (*listener)->local().port};
    held.push_back(*std::move(listener));
    return at;
  };
  for (int32_t i = 0; i < count; ++i) {
    Child& child = children_.emplace_back();
    child.directory = fmt::format("{}/node-{}", directory_, i + 1);
    NodeConfig& config = child.config;
    config.id = BrokerId(i + 1);
    config.data_dirs = {"data"};
    config.shards = options_.shards;
    const auto port = static_cast<uint16_t>(first == 0 ? 0 : first + i);
    config.listeners[kListener].bind = TRY(choose(port));
    config.internal.bind = TRY(choose(first == 0 ? uint16_t{0} : static_cast<uint16_t>(port + kInternalAbove)));
  }
  std::vector<Endpoint> seeds;
  for (const Child& child : children_) seeds.push_back(child.config.internal.bind);
  for (Child& child : children_) {
    child.config.seeds = seeds;
    TRY(session_.host.make_directories(task, child.directory));
    TRY(session_.host.write_file_atomically(task, child.file(), write_node_file(child.config)));
  }
  return {};
}

Result<> LocalCluster::start_all(Task& task) {
  Table table{{"NODE", "PID", "ADDRESS", "DIRECTORY"}, {}};
  for (Child& child : children_) {
    ProcessOptions process;
    process.arguments = {session_.host.executable(), "serve", "--config", child.file(),
                         "--stop-with-input"};
    process.output_file = child.log();
    process.input_ends_with_us = true;
    child.process = TRY(session_.host.start(task, process));
    table.rows.push_back({int64_t{child.config.id.value}, child.process->pid(), child.address().text(),
                          child.directory});
  }
  return session_.out.table(task, table);
}

size_t LocalCluster::alive() const {
  size_t n = 0;
  for (const Child& child : children_)
    if (child.process && !child.ended) ++n;
  return n;
}

// Tells about children that ended since the last call; true if there were any.
Result<bool> LocalCluster::notice_ends(Task& task) {
  bool any = false;
  for (Child& child : children_) {
    if (child.ended) continue;
    child.ended = child.process->poll();
    if (!child.ended) continue;
    any = some_ended_ = true;
    TRY(session_.out.note(task, fmt::format("node {} {}. The end of {}:", child.config.id.value,
                                            what_ended(*child.ended), child.log())));
    const auto log = session_.host.read_whole_file(task, child.log(), 64_MiB);
    std::deque<std::string_view> last;
    for (std::string_view rest = log ? std::string_view(*log) : std::string_view(); !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      last.push_back(rest.substr(0, end));
      if (last.size() > kLastLines) last.pop_front();
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    for (const std::string_view line : last) TRY(session_.out.note(task, "  | " + printable(line)));
  }
  return any;
}

Result<> LocalCluster::wait_until_ready(Task& task) {
  client::ClusterOptions options;
  for (const Child& child : children_) options.bootstrap.push_back(child.address());
  client::Cluster cluster(session_.runtime, options);
  Runtime& runtime = session_.runtime;
  Instant next_word = runtime.now() + 10_s;
  Result<> ready = {};
  for (;;) {
    const Result<> asked = cluster.refresh(task, {}, runtime.now() + 1_s);
    if (asked && cluster.brokers().size() >= children_.size() && cluster.controller() != kNoBroker) break;
    if (session_.stop.is_set() || task.cancelled()) {
      ready = fail(Errc::kCancelled, "stopped before the cluster was ready");
      break;
    }
    const auto ended = notice_ends(task);
    if (!ended || *ended) {
      ready = !ended ? Result<>(std::unexpected(ended.error()))
                     : fail(Errc::kIo, "a node ended before the cluster was ready; its last words are above");
      break;
    }
    if (runtime.now() >= next_word) {
      next_word = runtime.now() + 10_s;
      const std::string seen =
          asked ? fmt::format("{} of {} brokers, {}", cluster.brokers().size(), children_.size(),
                              cluster.controller() == kNoBroker ? "no controller" : "a controller")
                : asked.error().text();
      const Result<> told = session_.out.note(
          task, fmt::format("still waiting for the cluster ({}); logs: {}/node-*/taffrail.log", seen, directory_));
      if (!told) {
        ready = told;
        break;
      }
    }
    const Result<> stopped = session_.stop.wait(task, runtime.now() + 50_ms);
    if (!stopped && stopped.error().code == Errc::kCancelled) {
      ready = stopped;
      break;
    }
  }
  cluster.close(task);
  return ready;
}

Result<> LocalCluster::announce(Task& task, Instant started) {
  std::string addresses;
  for (const Child& child : children_) addresses += child.address().text() + "\n";
  if (!options_.ready_file.empty())
    TRY(session_.host.write_file_atomically(task, options_.ready_file, addresses));
  const std::string first = children_.front().address().text();
  const std::string flag =
      first == fmt::format("127.0.0.1:{}", kFirstPort) ? "" : fmt::format(" -b {}", first);
  TRY(session_.out.say(task, fmt::format("ready in {} ms  data in {}{}",
                                         (session_.runtime.now() - started).ms(), directory_,
                                         options_.ephemeral ? ", gone on exit" : "")));
  TRY(session_.out.say(task, fmt::format("try    taffrail produce hello -v ahoy{}", flag)));
  TRY(session_.out.say(task, fmt::format("then   taffrail consume hello{}", flag)));
  return session_.out.say(task, "Ctrl-C stops all nodes");
}

void LocalCluster::stop_all(Task& task) {
  for (const Child& child : children_)
    if (child.process && !child.ended) (void)child.process->send(Signal::kTerminate);
  const Instant patience = session_.runtime.now() + 10_s;
  for (Child& child : children_) {
    if (!child.process || child.ended) continue;
    auto ended = child.process->wait(task, patience);
    if (!ended) {
      (void)child.process->send(Signal::kKill);
      ended = child.process->wait(task);
    }
    if (ended) child.ended = *ended;
  }
}

Result<ExitCode> LocalCluster::run(Task& task) {
  const Instant started = session_.runtime.now();
  TRY(plan(task));
  Result<> going = start_all(task);
  if (going) going = wait_until_ready(task);
  if (going) going = announce(task, started);
  while (going && alive() > 0 && !session_.stop.is_set()) {
    const Result<> stopped = session_.stop.wait(task, session_.runtime.now() + 200_ms);
    if (!stopped && stopped.error().code == Errc::kCancelled) break;
    if (stopped) break;
    const auto ended = notice_ends(task);
    if (!ended) going = std::unexpected(ended.error());
    else if (*ended)
      going = session_.out.note(task, fmt::format("{} of {} nodes are left; none is started again", alive(),
                                                  children_.size()));
  }
  stop_all(task);
  if (!going && !(session_.stop.is_set() && going.error().code == Errc::kCancelled))
    return std::unexpected(going.error());
  return some_ended_ ? ExitCode::kUnhealthy : ExitCode::kOk;
}

}  // namespace

Result<ExitCode> up(Task& task, Session& session, const Up& options) {
  if (options.nodes && (*options.nodes < 1 || *options.nodes > 100))
    return fail(Errc::kInvalid, "--nodes is from 1 to 100");
  std::string directory = options.data;
  if (options.ephemeral)
    directory = TRY(session.host.make_temporary_directory(task, "taffrail-"));
  const Result<ExitCode> code = LocalCluster(session, options, directory).run(task);
  if (options.ephemeral) {
    const Result<> removed = session.host.remove_tree(task, directory);
    if (!removed) TRY(session.out.note(task, "left behind: " + directory + ": " + removed.error().text()));
  }
  return code;
}

}  // namespace taffrail::cli
