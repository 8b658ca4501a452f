// taffrail sim run | replay: scenarios from seeds, in virtual time, in this process. check-history: what real
// clients saw, before the same judge.
#include "cli/sim_commands.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/check.h"
#include "base/plant.h"
#include "runtime/host.h"
#include "sim/campaign.h"
#include "sim/checkers/history_text.h"
#include "sim/scenario.h"

namespace taffrail::cli {
namespace {

struct SeedRange {
  uint64_t first = 0;
  uint64_t end = 0;
};

Result<SeedRange> parse_range(std::string_view option, const std::string& text) {
  SeedRange range;
  const size_t dots = text.find("..");
  const auto number = [](std::string_view digits, uint64_t& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
  };
  const bool good = dots == std::string::npos
                        ? number(text, range.first)
                        : number(std::string_view(text).substr(0, dots), range.first) &&
                              number(std::string_view(text).substr(dots + 2), range.end);
  if (dots == std::string::npos) range.end = range.first + 1;
  if (!good || range.end <= range.first)
    return fail(Errc::kInvalid, fmt::format("{} {}: give FIRST..END, END not included, or one number", option, text));
  return range;
}

Result<> choose_plant(const std::string& plant) {
  if (plant.empty()) return {};
#ifdef TAFFRAIL_PLANTS
  select_plant(plant);
  return {};
#else
  return fail(Errc::kUnsupported, "this build holds no planted bugs: configure with --preset plants");
#endif
}

std::string joined(const std::map<std::string, uint64_t>& counts) {
  std::string out;
  for (const auto& [name, n] : counts) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, n);
  return out.empty() ? "none" : out;
}

struct RunArguments {
  std::string seeds = "0..100";
  std::string plant;
  bool keep_going = false;
  bool groups = false;
  bool hashes = false;
  uint32_t stretch = 1;
};

std::string hash_line(bool json, uint64_t seed, const sim::RunReport& r) {
  return json ? fmt::format("{{\"seed\":{},\"hash\":\"{}\"}}\n", seed, r.hash.text())
              : fmt::format("seed {} trace hash {}\n", seed, r.hash.text());
}

Result<ExitCode> run(Task& task, Session& session, const RunArguments& arguments) {
  const auto& [seeds, plant, keep_going, groups, hashes, stretch] = arguments;
  const SeedRange range = TRY(parse_range("--seeds", seeds));
  TRY(choose_plant(plant));
  const Instant began = session.runtime.now();
  Instant said = began;
  std::vector<std::string> lines;
  std::optional<Error> lost;
  const sim::CampaignReport report = sim::run_campaign(range.first, range.end, groups, stretch, [&](const sim::Scenario& scenario, const sim::RunReport& r) {
    const uint64_t seed = scenario.seed;
    if (!r.violation.empty())
      if (const auto written = session.out.raw(task, session.out.json() ? "" : fmt::format(
              "seed {} failed: {}\n  taffrail sim replay {}\n", seed, r.violation, scenario.token())); !written)
        lost = written.error();
    if (hashes)
      if (const auto written = session.out.raw(task, hash_line(session.out.json(), seed, r)); !written) lost = written.error();
    // The loop's own clock stands still while a campaign computes: a whole turn of the loop between runs.
    (void)session.runtime.sleep_for(task, 1_ns);
    if (!session.out.json() && session.runtime.now() - said > 10_s) {
      said = session.runtime.now();
      if (!session.out.note(task, fmt::format("{} of {} seeds", seed - range.first + 1, range.end - range.first))) return false;
    }
    return !lost && !session.stop.is_set() && !task.cancelled() && (keep_going || r.violation.empty());
  });
  if (lost) return std::unexpected(*lost);
  const int64_t ms = std::max<int64_t>((session.runtime.now() - began).ms(), 1);
  const std::vector<std::string> empty = report.seeds >= 100 ? report.emptiness() : std::vector<std::string>{};
  Fields fields = {
      {"seeds", static_cast<int64_t>(report.seeds)},
      {"failed", static_cast<int64_t>(report.failed)},
      {"failures", joined(report.signatures)},
      {"events", static_cast<int64_t>(report.events)},
      {"simulated seconds", report.simulated.ms() / 1000},
      {"seconds taken", ms / 1000},
      {"ms per seed", ms / static_cast<int64_t>(std::max<uint64_t>(report.seeds, 1))},
      {"acknowledged at the median, per mille", static_cast<int64_t>(report.acked_per_mille_median)},
      {"reached, per mille of seeds", joined(report.reached)},
  };
  if (!plant.empty()) fields.push_back({"planted", plant});
  TRY(session.out.fields(task, fields));
  for (const std::string& why : empty) TRY(session.out.note(task, "this campaign proves little: " + why));
  if (report.failed > 0) return ExitCode::kViolated;
  return empty.empty() ? ExitCode::kOk : ExitCode::kGoalMissed;
}

/// As the Disk of a process without a data directory names it: from the root.
std::string path_of(const Session& session, const std::string& file) {
  return file.starts_with('/') ? file.substr(1) : session.host.current_directory().substr(1) + "/" + file;
}

struct ReplayArguments {
  std::string what;
  std::string plant;
  std::string entries;
  bool checkpoints = false;
  bool quiet = false;
  bool print = false;
};

Result<ExitCode> replay(Task& task, Session& session, const ReplayArguments& arguments) {
  const std::string& what = arguments.what;
  TRY(choose_plant(arguments.plant));
  Result<sim::Scenario> scenario = sim::Scenario::from_token(what);
  if (!scenario) {
    const auto text = read_file(task, session.runtime.disk(), path_of(session, what), 16_MiB);
    if (!text) return std::unexpected(scenario.error());
    scenario = sim::Scenario::parse(*text);
  }
  if (!scenario) return std::unexpected(scenario.error());
  if (arguments.print) {
    TRY(session.out.raw(task, scenario->print()));
    return ExitCode::kOk;
  }
  if (arguments.checkpoints || !arguments.entries.empty()) {
    const SeedRange window = arguments.entries.empty() ? SeedRange() : TRY(parse_range("--entries", arguments.entries));
    const sim::RunReport report = sim::run_scenario(*scenario, {.watch_first = window.first, .watch_count = window.end - window.first});
    std::string text;
    for (const sim::Trace::Entry& entry : report.watched) text += entry.text() + "\n";
    if (arguments.checkpoints)
      for (const sim::Trace::Checkpoint& mark : report.checkpoints)
        text += fmt::format("{} {} {}\n", mark.entries, mark.at_ns, mark.hash.text());
    TRY(session.out.raw(task, text));
    return ExitCode::kOk;
  }
  const sim::RunReport report = sim::run_scenario(*scenario, {.time_line = !arguments.quiet});
  TRY(session.out.say(task, report.time_line));
  for (const std::string& violation : report.all_violations) TRY(session.out.say(task, violation));
  TRY(session.out.fields(task, {
      {"scenario", scenario->token()},
      {"violation", report.violation.empty() ? std::string("none") : report.violation},
      {"trace hash", report.hash.text()},
      {"events", static_cast<int64_t>(report.events)},
      {"simulated ms", report.simulated.ms()},
      {"sent", static_cast<int64_t>(report.sent)},
      {"acknowledged", static_cast<int64_t>(report.acked)},
      {"elections", static_cast<int64_t>(report.elections)},
      {"truncations", static_cast<int64_t>(report.truncations)},
      {"generations of the group", static_cast<int64_t>(report.generations)},
      {"commits of the group", static_cast<int64_t>(report.commits)},
      {"offsets that expired", static_cast<int64_t>(report.expired)},
      {"recoveries", static_cast<int64_t>(report.recoveries)},
      {"restarts with other shards", static_cast<int64_t>(report.other_shards)},
      {"lies that nobody could know of", static_cast<int64_t>(report.lies)},
      {"waits for an operator", static_cast<int64_t>(report.waiting)},
      {"faults that took effect", joined(report.faults)},
      {"processes that stopped themselves", static_cast<int64_t>(report.stops.size())},
  }));
  return report.violation.empty() ? ExitCode::kOk : ExitCode::kViolated;
}

Result<ExitCode> check_history(Task& task, Session& session, const std::string& file) {
  const std::string text = TRY(read_file(task, session.runtime.disk(), path_of(session, file), 4ull << 30));
  const Result<ToldHistory> told = parse_history(text);
  if (!told) return fail(told.error(), file);
  const History& history = told->history;
  const std::vector<std::string> violations = history.check(told->complete);
  for (const std::string& violation : violations) TRY(session.out.say(task, violation));
  TRY(session.out.fields(task, {
      {"sent", static_cast<int64_t>(history.sends().size())},
      {"acknowledged", static_cast<int64_t>(history.count(History::Outcome::kAcked))},
      {"failed", static_cast<int64_t>(history.count(History::Outcome::kFailed))},
      {"unknown", static_cast<int64_t>(history.count(History::Outcome::kUnknown))},
      {"polls", static_cast<int64_t>(history.polls().size())},
      {"read to the end", std::string(told->complete ? "yes" : "no")},
      {"violations", static_cast<int64_t>(violations.size())},
  }));
  return violations.empty() ? ExitCode::kOk : ExitCode::kViolated;
}

void add_run(CLI::App& sim, Invocation& chosen) {
  auto* command = sim.add_subcommand("run", "Run scenarios drawn from seeds, and check every one");
  auto arguments = std::make_shared<RunArguments>();
  command->add_option("--seeds", arguments->seeds, "FIRST..END, END not included, or one seed")->capture_default_str();
  command->add_option("--plant", arguments->plant, "Plant this bug, in a build that holds them (R01, S04, ...)");
  command->add_flag("--keep-going", arguments->keep_going, "Go on after a failure");
  command->add_flag("--groups", arguments->groups, "A consumer group in every scenario, not in one of ten");
  command->add_option("--stretch", arguments->stretch, "Over a time so many times as long: 360 makes an hour of ten seconds, "
                      "with the same faults and operations further apart")
      ->check(CLI::Range(1u, sim::Scenario::kStretchMax))->capture_default_str();
  command->add_flag("--hashes", arguments->hashes, "Print the trace hash of every seed: other builds give the same");
  command->callback([&chosen, arguments] {
    chosen.winds_down = true;
    chosen.body = [arguments](Task& task, Session& session) { return run(task, session, *arguments); };
  });
}

void add_replay(CLI::App& sim, Invocation& chosen) {
  auto* command = sim.add_subcommand("replay", "Run one scenario again, with the log of every node on one time line");
  auto arguments = std::make_shared<ReplayArguments>();
  command->add_option("SCENARIO", arguments->what, "A token as a failure printed it, a seed, or a scenario file")->required();
  command->add_option("--plant", arguments->plant, "Plant this bug, in a build that holds them");
  command->add_flag("--quiet", arguments->quiet, "Only the outcome, without the time line");
  command->add_flag("--print", arguments->print, "Print the scenario as a file that can be edited, and do not run it");
  command->add_flag("--checkpoints", arguments->checkpoints, "Only the trace hash at every 1,024th entry");
  command->add_option("--entries", arguments->entries, "Only these entries of the trace: FIRST..END, END not included");
  command->callback([&chosen, arguments] {
    chosen.body = [arguments](Task& task, Session& session) { return replay(task, session, *arguments); };
  });
}

void add_check_history(CLI::App& sim, Invocation& chosen) {
  auto* command = sim.add_subcommand("check-history", "Judge what clients saw of a real cluster, as runs are judged");
  auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "A history as text (docs/simulation.md)")->required();
  command->callback([&chosen, file] {
    chosen.body = [file](Task& task, Session& session) { return check_history(task, session, *file); };
  });
}

constexpr AddSimCommand kCommands[] = {add_run, add_replay, add_verify_determinism, add_check_history};

}  // namespace

std::span<const AddSimCommand> sim_commands() { return kCommands; }

}  // namespace taffrail::cli
