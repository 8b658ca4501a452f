// taffrail sim verify-determinism: the same seeds in processes that differ in everything a run must not depend on, and
// in other builds; names the first event at which two of them part.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>

#include "cli/sim_commands.h"
#include "sim/trace.h"

namespace taffrail::cli {
namespace {

struct Arguments {
  std::string seeds = "0..20";
  std::vector<std::string> others;
};

/// A way to run the simulator.
struct Variation {
  std::string name;
  std::vector<std::string> program;
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string directory = {};
};

std::vector<Variation> variations_of(const std::string& self, const std::vector<std::string>& others) {
  std::vector<Variation> out = {
      {"as it is", {self}},
      {"memory filled with 0x55", {self}, {{"MALLOC_PERTURB_", "170"}, {"ASAN_OPTIONS", "max_malloc_fill_size=4096:malloc_fill_byte=85"}}},
      {"memory filled with 0xfe", {self}, {{"MALLOC_PERTURB_", "1"}, {"ASAN_OPTIONS", "max_malloc_fill_size=4096:malloc_fill_byte=254"}}},
      {"addresses that are not random", {"setarch", "-R", self}},
      {"a stack that begins elsewhere", {self}, {{"TAFFRAIL_PADDING", std::string(5'000, 'x')}}},
      {"another allocator's arenas", {self}, {{"GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=4096"}}},
      {"another language and time zone", {self}, {{"LC_ALL", "tr_TR.UTF-8"}, {"LANG", "tr_TR.UTF-8"}, {"TZ", "Asia/Kathmandu"}}},
      {"another directory", {self}, {}, "/"},
  };
  for (const std::string& other : others) out.push_back({other, {other}});
  return out;
}

class Runs {
 public:
  Runs(Session& session, std::string directory) : session_(session), directory_(std::move(directory)) {}

  /// The lines that `variation` prints when it runs `taffrail sim ARGUMENTS`.
  Result<std::vector<std::string>> lines(Task& task, const Variation& variation, const std::vector<std::string>& arguments) {
    ProcessOptions options;
    options.arguments = variation.program;
    options.arguments.push_back("sim");
    options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
    options.environment = variation.environment;
    options.directory = variation.directory;
    options.output_file = fmt::format("{}/{}", directory_, ++count_);
    const std::unique_ptr<Process> process = TRY(session_.host.start(task, options));
    const Result<ProcessExit> ended = process->wait(task);
    if (!ended) {
      (void)process->send(Signal::kKill);
      return std::unexpected(ended.error());
    }
    const std::string text = TRY(session_.host.read_whole_file(task, options.output_file, 1_GiB));
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      out.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    if (ended->signal != 0)
      return fail(Errc::kIo, fmt::format("{}: ended by signal {}; it said: {}", variation.name, ended->signal, out.empty() ? "nothing" : out.back()));
    return out;
  }

  /// By seed, as text.
  Result<std::map<uint64_t, std::string>> hashes(Task& task, const Variation& variation, const std::string& seeds) {
    std::map<uint64_t, std::string> out;
    const auto said = TRY(lines(task, variation, {"run", "--seeds", seeds, "--keep-going", "--hashes"}));
    for (const std::string& line : said) {
      constexpr std::string_view kSeed = "seed ", kHash = " trace hash ";
      const size_t at = line.find(kHash);
      if (!line.starts_with(kSeed) || at == std::string::npos) continue;
      out[std::strtoull(line.c_str() + kSeed.size(), nullptr, 10)] = line.substr(at + kHash.size());
    }
    if (out.empty())
      return fail(Errc::kInvalid, fmt::format("{}: ran no seed; it said: {}", variation.name, said.empty() ? "nothing" : said.back()));
    return out;
  }

  /// Where the two part in that seed: the entry of either's trace.
  Result<std::pair<std::string, std::string>> first_difference(Task& task, const Variation& one, const Variation& two, uint64_t seed) {
    const std::string token = std::to_string(seed);
    const auto differs = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
      size_t i = 0;
      while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
      return i;
    };
    const auto marks_one = TRY(lines(task, one, {"replay", token, "--checkpoints"}));
    const auto marks_two = TRY(lines(task, two, {"replay", token, "--checkpoints"}));
    const uint64_t from = differs(marks_one, marks_two) * sim::Trace::kCheckpointEvery;
    const std::string window = fmt::format("{}..{}", from, from + sim::Trace::kCheckpointEvery);
    const auto entries_one = TRY(lines(task, one, {"replay", token, "--entries", window}));
    const auto entries_two = TRY(lines(task, two, {"replay", token, "--entries", window}));
    const size_t at = differs(entries_one, entries_two);
    const auto entry = [at](const std::vector<std::string>& entries) { return at < entries.size() ? entries[at] : std::string("the end"); };
    return std::pair(entry(entries_one), entry(entries_two));
  }

 private:
  Session& session_;
  const std::string directory_;
  uint64_t count_ = 0;
};

Result<ExitCode> verify(Task& task, Session& session, const Arguments& arguments) {
  const std::string self = session.host.executable();
  if (self.empty()) return fail(Errc::kUnsupported, "the system does not say where this program is");
  const std::string directory = TRY(session.host.make_temporary_directory(task, "taffrail-determinism-"));
  Runs runs(session, directory);
  const std::vector<Variation> variations = variations_of(self, arguments.others);
  Table table{{"Variation", "Seeds", "Verdict"}, {}};
  std::vector<std::string> differences;
  std::map<uint64_t, std::string> expected;
  const auto run_all = [&]() -> Result<> {
    for (const Variation& variation : variations) {
      TRY(session.out.note(task, variation.name));
      const Result<std::map<uint64_t, std::string>> hashes = runs.hashes(task, variation, arguments.seeds);
      if (!hashes && hashes.error().code == Errc::kNotFound && variation.program.size() > 1) {
        table.rows.push_back({variation.name, int64_t{0}, fmt::format("not tried: there is no {} here", variation.program.front())});
        continue;
      }
      if (!hashes) return std::unexpected(hashes.error());
      if (expected.empty()) expected = *hashes;
      std::string verdict = &variation == &variations.front() ? "what the others are compared with" : "the same";
      for (const auto& [seed, hash] : *hashes) {
        const auto it = expected.find(seed);
        if (it != expected.end() && it->second == hash) continue;
        verdict = fmt::format("differs, first in seed {}", seed);
        const auto [one, two] = TRY(runs.first_difference(task, variations.front(), variation, seed));
        differences.push_back(fmt::format("seed {}, {}: {}\nseed {}, {}: {}", seed, variations.front().name, one, seed, variation.name, two));
        break;
      }
      if (hashes->size() != expected.size() && verdict == "the same") {
        verdict = fmt::format("ran {} seeds, not {}", hashes->size(), expected.size());
        differences.push_back(variation.name + " " + verdict);
      }
      table.rows.push_back({variation.name, static_cast<int64_t>(hashes->size()), verdict});
    }
    return {};
  };
  const Result<> done = run_all();
  (void)session.host.remove_tree(task, directory);
  if (!done) return std::unexpected(done.error());
  TRY(session.out.table(task, table));
  for (const std::string& difference : differences) TRY(session.out.note(task, difference));
  return differences.empty() ? ExitCode::kOk : ExitCode::kViolated;
}

}  // namespace

void add_verify_determinism(CLI::App& sim, Invocation& chosen) {
  auto* command = sim.add_subcommand("verify-determinism",
                                     "Run the same seeds in processes, and builds, that differ; name the first event that does");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("--seeds", arguments->seeds, "FIRST..END, END not included, or one seed")->capture_default_str();
  command->add_option("--with", arguments->others, "Another build's taffrail (repeatable)");
  command->callback([&chosen, arguments] {
    chosen.winds_down = true;
    chosen.body = [arguments](Task& task, Session& session) { return verify(task, session, *arguments); };
  });
}

}  // namespace taffrail::cli
