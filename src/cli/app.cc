#include "cli/app.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/sim_commands.h"

namespace taffrail::cli {
namespace {

constexpr const char* kVersion = "0.1.0";

LogLevel log_level_of(std::string_view name) {
  return name == "debug" ? LogLevel::kDebug : name == "warn" ? LogLevel::kWarn : name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

/// The tree of subcommands, and the flags that their callbacks fill. Lives while it parses; what is
/// chosen holds copies.
class Tree {
 public:
  Tree() : app_("A distributed log that speaks the Kafka protocol.", "taffrail") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_help_flag("-h,--help", "Print this and exit");
    app_.get_formatter()->column_width(34);
    app_.add_option("-b,--bootstrap", global_.bootstrap, "Brokers to begin with, HOST:PORT[,HOST:PORT...]")
        ->envname("TAFFRAIL_BOOTSTRAP")
        ->capture_default_str();
    app_.add_option("-o,--output", format_, "How results are printed: table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    app_.add_option("--timeout", global_.timeout_s, "Seconds to wait for brokers")
        ->check(CLI::Range(int64_t{1}, int64_t{86'400}))
        ->capture_default_str();
    add_up();
    add_serve();
    add_produce();
    add_consume();
    add_topic();
    add_group();
    add_cluster();
    add_inspect();
    add_bench();
    add_sim();
    add_completion();
    add_version();
  }

  CLI::App& app() { return app_; }
  GlobalOptions global() {
    global_.format = format_ == "json" ? Format::kJson : Format::kTable;
    return global_;
  }
  Invocation& chosen() { return chosen_; }
  std::optional<Answer>& answer() { return answer_; }

 private:
  template <class Options>
  void runs(CLI::App* command, std::shared_ptr<Options> options,
            Result<ExitCode> (*body)(Task&, Session&, const Options&)) {
    command->callback([this, options, body] {
      chosen_.body = [options, body](Task& task, Session& session) { return body(task, session, *options); };
    });
  }

  void add_up() {
    auto o = std::make_shared<Up>();
    CLI::App* c = app_.add_subcommand("up", "Run a cluster on this machine");
    c->add_option("--nodes", o->nodes, "How many nodes; default: as many as the data has, or 3");
    c->add_option("--data", o->data, "Directory of the cluster")->capture_default_str();
    c->add_flag("--ephemeral", o->ephemeral, "Keep the data in a directory that goes on exit")->excludes("--data");
    c->add_option("--port", o->port, "Of the first node, then counting up; default 9092; 0: any free ones");
    c->add_option("--ready-file", o->ready_file, "Written when the cluster serves: one address a line");
    c->add_option("--shards", o->shards, "Threads of each node")->check(CLI::Range(1, 1024))->capture_default_str();
    runs(c, o, &up);
    c->callback([this, o] {
      chosen_.body = [o](Task& task, Session& session) { return up(task, session, *o); };
      chosen_.winds_down = true;
    });
  }

  void add_serve() {
    auto o = std::make_shared<Serve>();
    auto stop_with_input = std::make_shared<bool>(false);
    CLI::App* c = app_.add_subcommand("serve", "Run one node of a cluster");
    c->add_option("--config", o->config_file, "Its configuration, a TOML file");
    c->add_option("--set", o->set, "KEY=VALUE over the file: node.id=2")->allow_extra_args(false);
    c->add_flag("--unclean", o->unclean, "Go on without what this node's disks may have lost, if who could tell is gone for good");
    c->add_flag("--stop-with-input", *stop_with_input, "Stop when standard input ends");
    auto level = std::make_shared<std::string>("info");
    c->add_option("--log", *level, "The least that it logs")->check(CLI::IsMember({"debug", "info", "warn", "error"}))->capture_default_str();
    c->callback([this, o, stop_with_input, level] {
      if (o->config_file.empty() && o->set.empty())
        throw CLI::RequiredError("--config FILE (or --set for everything)");
      chosen_.configure_node = [o](Task& task, Session& session) {
        return serve_config(task, session, *o);
      };
      chosen_.stop_with_input = *stop_with_input;
      chosen_.log_level = log_level_of(*level);
      chosen_.winds_down = true;
    });
  }

  void add_produce() {
    auto o = std::make_shared<Produce>();
    CLI::App* c = app_.add_subcommand("produce", "Write records: one, or one per line of standard input");
    c->add_option("TOPIC", o->topic, "Where to")->required();
    c->add_option("-v,--value", o->value, "The record; without it lines are read");
    c->add_option("-k,--key", o->key, "Its key, or that of every line");
    c->add_option("-H,--header", o->headers, "NAME=VALUE, any number of times")->allow_extra_args(false);
    c->add_option("-p,--partition", o->partition, "Default: by the key");
    c->add_option("-K,--key-separator", o->key_separator, "Lines are KEY, this, VALUE");
    c->add_option("--acks", o->acks, "Who has to have it: all, 1 (the leader) or 0 (nobody)")->capture_default_str();
    c->add_option("--codec", o->codec, "none, gzip, snappy, lz4 or zstd")->capture_default_str();
    runs(c, o, &produce);
  }

  void add_consume() {
    auto o = std::make_shared<Consume>();
    CLI::App* c = app_.add_subcommand("consume", "Print records as they come");
    c->add_option("TOPIC", o->topics, "What to read")->required();
    c->add_option("--from", o->from, "start, end, OFFSET, -COUNT (before the end) or @MILLISECONDS (since 1970)")
        ->capture_default_str();
    c->add_option("-p,--partition", o->partition, "Only this one");
    c->add_option("-n,--count", o->count, "Stop after so many records; 0: never")->capture_default_str();
    c->add_flag("-e,--until-end", o->until_end, "Stop at what is the end now");
    c->add_flag("--read-committed", o->committed_only, "Leave out what transactions did not commit");
    c->add_option("-K,--key-separator", o->key_separator, "Print KEY, this, VALUE");
    c->add_option("-g,--group", o->group, "Share the partitions with others of this group, and commit what was printed")
        ->excludes("--partition");
    c->callback([this, o] {
      chosen_.body = [o](Task& task, Session& session) { return consume(task, session, *o); };
      // A member says goodbye.
      chosen_.winds_down = !o->group.empty();
    });
  }

  void add_group() {
    CLI::App* group = app_.add_subcommand("group", "Look at consumer groups, and move their offsets");
    group->require_subcommand(1);
    CLI::App* ls = group->add_subcommand("ls", "List groups");
    ls->callback([this] { chosen_.body = &group_ls; });
    auto shown = std::make_shared<std::string>();
    CLI::App* show = group->add_subcommand("show", "Show a group's members, and what each of them reads");
    show->add_option("NAME", *shown)->required();
    runs(show, shown, &group_show);
    auto behind = std::make_shared<std::string>();
    CLI::App* lag = group->add_subcommand("lag", "Show how far a group is behind");
    lag->add_option("NAME", *behind)->required();
    runs(lag, behind, &group_lag);

    auto s = std::make_shared<GroupSeek>();
    CLI::App* seek = group->add_subcommand("seek", "Set where a group without members reads on");
    seek->add_option("NAME", s->group)->required();
    seek->add_option("--to", s->to, "start, end, OFFSET or @MILLISECONDS (since 1970)")->required();
    seek->add_option("-t,--topic", s->topics, "Any number of times; default: all that the group has committed")->allow_extra_args(false);
    seek->add_option("-p,--partition", s->partition, "Only this one")->needs("--topic");
    seek->add_flag("--dry-run", s->dry_run, "Show what would be changed, and change nothing");
    runs(seek, s, &group_seek);

    auto names = std::make_shared<std::vector<std::string>>();
    auto yes = std::make_shared<bool>(false);
    CLI::App* rm = group->add_subcommand("rm", "Remove groups without members, with their offsets");
    rm->add_option("NAME", *names)->required();
    rm->add_flag("--yes", *yes, "Yes, for good");
    rm->callback([this, names, yes] {
      if (!*yes) throw CLI::RequiredError("--yes: the offsets of these groups go for good; that flag");
      chosen_.body = [names](Task& task, Session& session) { return group_rm(task, session, *names); };
    });
  }

  void add_topic() {
    CLI::App* topic = app_.add_subcommand("topic", "Create, list, show, change and remove topics");
    topic->require_subcommand(1);
    auto o = std::make_shared<TopicCreate>();
    CLI::App* create = topic->add_subcommand("create", "Create a topic");
    create->add_option("NAME", o->name)->required();
    create->add_option("-p,--partitions", o->partitions, "Default: the cluster's")->check(CLI::Range(1, 1'000'000));
    create->add_option("-r,--replicas", o->replication_factor, "Default: the cluster's")->check(CLI::Range(1, 1000));
    create->add_option("-C,--config", o->configs, "KEY=VALUE, any number of times")->allow_extra_args(false);
    runs(create, o, &topic_create);

    auto internal = std::make_shared<bool>(false);
    CLI::App* ls = topic->add_subcommand("ls", "List topics");
    ls->add_flag("--internal", *internal, "Also the cluster's own");
    ls->callback([this, internal] {
      chosen_.body = [internal](Task& task, Session& session) { return topic_ls(task, session, *internal); };
    });

    auto name = std::make_shared<std::string>();
    CLI::App* show = topic->add_subcommand("show", "Show partitions, offsets and configs of a topic");
    show->add_option("NAME", *name)->required();
    runs(show, name, &topic_show);

    auto names = std::make_shared<std::vector<std::string>>();
    auto yes = std::make_shared<bool>(false);
    CLI::App* rm = topic->add_subcommand("rm", "Remove topics and all their records");
    rm->add_option("NAME", *names)->required();
    rm->add_flag("--yes", *yes, "Yes, for good");
    rm->callback([this, names, yes] {
      if (!*yes) throw CLI::RequiredError("--yes: the records of these topics go for good; that flag");
      chosen_.body = [names](Task& task, Session& session) { return topic_rm(task, session, *names); };
    });

    auto a = std::make_shared<TopicAlter>();
    CLI::App* alter = topic->add_subcommand("alter", "Change configs, or add partitions");
    alter->add_option("NAME", a->name)->required();
    alter->add_option("-C,--config", a->set, "KEY=VALUE, any number of times")->allow_extra_args(false);
    alter->add_option("--default", a->remove, "KEY goes back to its default")->allow_extra_args(false);
    alter->add_option("-p,--partitions", a->partitions, "The new number of them")->check(CLI::Range(1, 1'000'000));
    runs(alter, a, &topic_alter);

    auto g = std::make_shared<TopicGrow>();
    CLI::App* grow = topic->add_subcommand("grow", "Add partitions");
    grow->add_option("NAME", g->name)->required();
    grow->add_option("PARTITIONS", g->partitions, "The new number of them")->required()->check(CLI::Range(1, 1'000'000));
    runs(grow, g, &topic_grow);

    auto trim = std::make_shared<TopicTrim>();
    auto sure = std::make_shared<bool>(false);
    CLI::App* cut = topic->add_subcommand("trim", "Remove the oldest records");
    cut->add_option("NAME", trim->name)->required();
    cut->add_option("--before", trim->before, "OFFSET, @MILLISECONDS (since 1970) or end")->required();
    cut->add_option("-p,--partition", trim->partition, "Only this one");
    cut->add_flag("--yes", *sure, "Yes, for good");
    cut->callback([this, trim, sure] {
      if (!*sure) throw CLI::RequiredError("--yes: these records go for good; that flag");
      chosen_.body = [trim](Task& task, Session& session) { return topic_trim(task, session, *trim); };
    });

    auto m = std::make_shared<TopicMove>();
    CLI::App* move = topic->add_subcommand("move", "Give a partition other replicas, and wait until it is there");
    move->add_option("NAME", m->name)->required();
    move->add_option("PARTITION", m->partition)->required();
    auto* to = move->add_option("BROKER", m->brokers, "The preferred leader first");
    auto* back = move->add_flag("--back", m->back, "To where it was before the move that is under way");
    back->excludes(to);
    move->callback([this, m] {
      if (!m->back && m->brokers.empty()) throw CLI::RequiredError("BROKER, or --back");
      chosen_.body = [m](Task& task, Session& session) { return topic_move(task, session, *m); };
    });

    auto e = std::make_shared<TopicElect>();
    CLI::App* elect = topic->add_subcommand("elect", "Hand a partition to its preferred leader, or get it a leader again");
    elect->add_option("NAME", e->name)->required();
    elect->add_option("PARTITION", e->partition)->required();
    elect->add_flag("--unclean", e->unclean, "Without a leader: go on without the records that only disks held that are gone");
    runs(elect, e, &topic_elect);
  }

  void add_cluster() {
    CLI::App* cluster = app_.add_subcommand("cluster", "Look at the cluster, set its configs, and empty brokers");
    cluster->require_subcommand(1);
    CLI::App* show = cluster->add_subcommand("show", "Show its id, brokers and controller");
    show->callback([this] { chosen_.body = &cluster_show; });
    CLI::App* health = cluster->add_subcommand("health", "Say what is wrong, and why");
    health->callback([this] { chosen_.body = &cluster_health; });
    auto id = std::make_shared<int32_t>(0);
    CLI::App* safe = cluster->add_subcommand("safe-to-restart", "Say whether a broker can be away for a while");
    safe->add_option("BROKER", *id)->required();
    runs(safe, id, &cluster_safe_to_restart);

    auto set = std::make_shared<ClusterConfig>();
    CLI::App* config = cluster->add_subcommand("config", "Show and change what is set of brokers while they run");
    config->add_option("--broker", set->broker, "Of this one; default: of all");
    config->add_option("-C,--config", set->set, "KEY=VALUE, any number of times")->allow_extra_args(false);
    config->add_option("--default", set->remove, "KEY goes back to its default")->allow_extra_args(false);
    config->add_flag("--all", set->all, "Show also what nobody set");
    runs(config, set, &cluster_config);

    auto d = std::make_shared<Retire>();
    CLI::App* drain = cluster->add_subcommand("drain", "Let others lead what a broker leads, and give it nothing new");
    drain->add_option("BROKER", d->broker)->required();
    drain->add_flag("--undo", d->undo, "It takes part again");
    runs(drain, d, &cluster_drain);
    auto r = std::make_shared<Retire>();
    CLI::App* decommission = cluster->add_subcommand("decommission", "Move every replica away from a broker, which then leaves");
    decommission->add_option("BROKER", r->broker)->required();
    decommission->add_flag("--undo", r->undo, "It stays after all");
    runs(decommission, r, &cluster_decommission);
  }

  void add_inspect() {
    CLI::App* parent = app_.add_subcommand("inspect", "Look into a node's files, changing nothing");
    parent->require_subcommand(1);
    for (const auto& [name, help] : {std::pair{"wal", "Show a file of the write-ahead log"},
                                     std::pair{"segment", "Show a file of a partition"}}) {
      auto o = std::make_shared<Inspect>();
      CLI::App* c = parent->add_subcommand(name, help);
      c->add_option("FILE", o->file)->required();
      c->add_option("--rows", o->rows, "Show at most so many")->capture_default_str();
      runs(c, o, &inspect);
    }
  }

  void add_bench() {
    auto o = std::make_shared<Bench>();
    CLI::App* c = app_.add_subcommand("bench", "Measure this program beside what one core can do at most");
    c->add_option("WORKLOAD", o->workloads, "prod-64k, lat-10k, ... or all; any other word lists them")->required();
    c->add_option("--pairs", o->pairs, "Runs of each side")->check(CLI::Range(1, 100))->capture_default_str();
    c->add_option("--data", o->data, "Directory on the disk to measure; default: the system's for temporary files");
    runs(c, o, &bench);
  }

  void add_sim() {
    if (sim_commands().empty()) return;
    CLI::App* sim = app_.add_subcommand("sim", "Run clusters under a seed instead of a world");
    sim->require_subcommand(1);
    for (const AddSimCommand add : sim_commands()) add(*sim, chosen_);
  }

  void add_completion() {
    auto shell = std::make_shared<std::string>();
    CLI::App* c = app_.add_subcommand("completion", "Print a script that completes this command line");
    c->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
    c->callback([this, shell] { answer_ = Answer{completion_script(*shell), "", ExitCode::kOk}; });
  }

  void add_version() {
    CLI::App* c = app_.add_subcommand("version", "Print the version");
    c->callback([this] {
      const std::string text = format_ == "json" ? render(Fields{{"version", std::string(kVersion)}}, Format::kJson)
                                                 : fmt::format("taffrail {}\n", kVersion);
      answer_ = Answer{text, "", ExitCode::kOk};
    });
  }

  CLI::App app_;
  GlobalOptions global_;
  std::string format_ = "table";
  Invocation chosen_;
  std::optional<Answer> answer_;
};

void collect_help(CLI::App& app, const std::string& above, std::string& out) {
  const std::string path = above.empty() ? app.get_name() : above + " " + app.get_name();
  out += fmt::format("## {}\n\n{}\n", path, app.help(above));
  for (CLI::App* sub : app.get_subcommands({})) collect_help(*sub, path, out);
}

CommandWords words_of(CLI::App& app) {
  CommandWords words{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      words.flags.push_back({"--" + name, option->get_description()});
    for (const std::string& name : option->get_snames())
      words.flags.push_back({"-" + name, option->get_description()});
  }
  for (CLI::App* sub : app.get_subcommands({})) words.commands.push_back(words_of(*sub));
  return words;
}

}  // namespace

std::variant<Invocation, Answer> parse_command_line(const std::vector<std::string>& arguments) {
  Tree tree;
  // CLI11 wants the last word first.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  // CLI11 reports help and mistakes alike by throwing; here is where that ends.
  try {
    tree.app().parse(std::move(reversed));
  } catch (const CLI::CallForHelp& e) {
    std::string above;
    CLI::App* app = &tree.app();
    while (!app->get_subcommands().empty()) {
      above += (above.empty() ? "" : " ") + app->get_name();
      app = app->get_subcommands().front();
    }
    return Answer{app->help(above), "", ExitCode::kOk};
  } catch (const CLI::ParseError& e) {
    return Answer{"", fmt::format("taffrail: {}\n  next: taffrail --help, or --help behind a subcommand\n", e.what()),
                  ExitCode::kUsage};
  }
  if (tree.answer()) return *std::move(tree.answer());
  tree.chosen().global = tree.global();
  return std::move(tree.chosen());
}

std::string completion_script(std::string_view shell) {
  Tree tree;
  return completion_script(shell, words_of(tree.app()));
}

std::string help_of_everything() {
  Tree tree;
  std::string out;
  collect_help(tree.app(), "", out);
  return out;
}

}  // namespace taffrail::cli
