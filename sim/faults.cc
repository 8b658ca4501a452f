#include "sim/faults.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <iterator>
#include <utility>

namespace taffrail::sim {
namespace {

constexpr std::array<std::string_view, kFaultKinds> kNames{
    "kill",       "power_cut",  "power_cut_all", "restart_storm", "pause",      "slow_cpu",
    "wipe",       "isolate",    "split",         "one_way",       "bridge",     "link_slow",
    "conn_reset", "half_open",  "disk_slow",     "stuck_sync",    "sync_fail",  "read_error",
    "write_error", "bad_page",  "disk_full",     "bit_rot",       "misdirected", "lost_write",
    "clock_jump", "clock_drift", "heal",         "heal_core",  "move",       "elect",
    "retire",     "truncate",  "delete"};

std::string print_time(int64_t ns) {
  if (ns % 1'000'000'000 == 0) return fmt::format("{}s", ns / 1'000'000'000);
  if (ns % 1'000'000 == 0) return fmt::format("{}ms", ns / 1'000'000);
  if (ns % 1'000 == 0) return fmt::format("{}us", ns / 1'000);
  return fmt::format("{}ns", ns);
}

bool parse_number(std::string_view text, int64_t& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_time(std::string_view text, int64_t& ns) {
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}};
  for (const auto& [unit, factor] : kUnits) {
    int64_t number = 0;
    if (!text.ends_with(unit) || !parse_number(text.substr(0, text.size() - unit.size()), number)) continue;
    return !__builtin_mul_overflow(number, factor, &ns) && ns >= 0;
  }
  return false;
}

std::string_view next_word(std::string_view& line) {
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

bool parse_nodes(std::string_view text, std::vector<uint32_t>& nodes) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    int64_t number = 0;
    if (!parse_number(text.substr(0, comma), number) || number < 1 || number > 10'000) return false;
    nodes.push_back(static_cast<uint32_t>(number - 1));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return true;
}

bool parse_line(std::string_view line, Fault& fault) {
  if (next_word(line) != "fault") return false;
  int64_t id = 0;
  if (!parse_number(next_word(line), id) || id < 0 || id > UINT32_MAX) return false;
  fault.id = static_cast<uint32_t>(id);
  const std::string_view kind = next_word(line);
  const auto named = std::find(kNames.begin(), kNames.end(), kind);
  if (named == kNames.end()) return false;
  fault.kind = static_cast<FaultKind>(named - kNames.begin());
  for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    const bool good = key == "at"       ? parse_time(value, fault.at.ns)
                      : key == "for"    ? parse_time(value, fault.duration.ns)
                      : key == "nodes"  ? parse_nodes(value, fault.nodes)
                      : key == "amount" ? parse_number(value, fault.amount)
                                        : false;
    if (!good) return false;
  }
  return true;
}

// Machines that a fault needs, at least.
size_t nodes_needed(FaultKind kind) {
  switch (kind) {
    case FaultKind::kPowerCutAll:
    case FaultKind::kHeal:
    case FaultKind::kElect:
      return 0;
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
    case FaultKind::kLinkSlow:
    case FaultKind::kConnReset:
    case FaultKind::kHalfOpen:
      return 2;
    default:
      return 1;
  }
}

std::vector<uint32_t> shuffled(Stream& s, uint32_t count) {
  std::vector<uint32_t> out(count);
  for (uint32_t i = 0; i < count; ++i) out[i] = i;
  for (uint32_t i = count; i > 1; --i) {
    const uint64_t j = s.draw(i, "shuffle");
    std::swap(out[i - 1], out[j]);
  }
  return out;
}

class Expansion {
 public:
  Expansion(const Profile& profile, Tape& tape) : profile_(profile), tape_(tape), plan_(tape.stream({.kind = StreamKind::kFaultPlan})) {}

  std::vector<Fault> run() {
    choose_victims();
    // Swarm: faults that happen all the time hide what only their absence lets happen.
    // Where there are few kinds, each happens again and again.
    std::vector<FaultKind> kinds;
    const uint64_t one_in = plan_.hits(1, 2, "few kinds") ? 6 : 2;
    for (size_t i = 0; i < static_cast<size_t>(FaultKind::kHeal); ++i) {
      const bool present = plan_.hits(1, one_in, "is this kind in the swarm");
      if (present && allowed(static_cast<FaultKind>(i))) kinds.push_back(static_cast<FaultKind>(i));
    }
    std::vector<Fault> faults;
    const uint64_t count = kinds.empty() ? 0 : plan_.draw(profile_.faults_max + 1, "how many faults");
    for (uint32_t id = 1; id <= count; ++id) faults.push_back(draw(id, kinds, faults));
    beset(faults);
    take_files(faults);
    std::sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
      return a.at != b.at ? a.at < b.at : a.id < b.id;
    });
    faults.push_back(last(static_cast<uint32_t>(count) + 1));
    return faults;
  }

 private:
  // The disks that may be damaged, drawn once for the whole run.
  void choose_victims() {
    std::vector<uint32_t> brokers = shuffled(plan_, profile_.brokers);
    const uint32_t minority = (std::min(profile_.brokers, profile_.replicas) - 1) / 2;
    const uint64_t most = profile_.run == RunKind::kAny ? profile_.brokers : minority;
    const bool any = plan_.hits(3, 4, "disks may be damaged");
    brokers.resize(any && most > 0 ? 1 + plan_.draw(most, "how many disks may be damaged") : 0);
    victims_ = std::move(brokers);
  }

  bool allowed(FaultKind kind) const {
    // Of a disk that lies about its syncs nobody can know; more than a minority of them leaves nothing to ask for.
    const bool lies = kind == FaultKind::kMisdirected || kind == FaultKind::kLostWrite;
    if (lies && profile_.run == RunKind::kAny) return false;
    if (Profile::damages(kind)) return profile_.damage && !victims_.empty();
    return profile_.brokers + profile_.clients >= nodes_needed(kind);
  }

  uint32_t broker(Stream& s) const { return static_cast<uint32_t>(s.draw(profile_.brokers, "which broker")); }

  void follow(Fault& f, const Fault& other, Stream& s) const {
    const Instant soon = other.at + other.duration + Duration{s.draw_between(0, 500'000'000, "how soon after")};
    if (soon < profile_.heal_at) f.at = soon;
  }

  Fault draw(uint32_t id, const std::vector<FaultKind>& kinds, const std::vector<Fault>& earlier) {
    Stream& s = tape_.stream({.kind = StreamKind::kFaultPlan, .a = id});
    Fault f{.id = id, .kind = kinds[s.draw(kinds.size(), "which fault")]};
    const int64_t span = profile_.heal_at.ns - profile_.from.ns;
    f.at = profile_.from + Duration{s.draw_between(0, std::max<int64_t>(span - 1, 0), "when")};
    if (!earlier.empty() && s.hits(1, 3, "on the heels of another")) follow(f, earlier[s.draw(earlier.size(), "of which")], s);
    // Over before anybody notices, or longer than every timeout; cut at the heal by itself.
    constexpr int64_t kLengths[] = {1'000'000, 30'000'000, 300'000'000, 2'000'000'000, 10'000'000'000};
    const int64_t length = kLengths[s.draw(5, "how long, roughly")];
    f.duration = Duration{length + s.draw_between(0, length, "how long")};
    if (Profile::damages(f.kind)) f.nodes = {victims_[s.draw(victims_.size(), "which victim")]};
    else aim(f, s);
    f.amount = amount(f.kind, s);
    return f;
  }

  // In one run of eight one broker has no peace: what takes several blows, one upon the other, happens there.
  void beset(std::vector<Fault>& faults) {
    constexpr uint32_t kFirst = 2000;  // Above the ids of add_changes().
    constexpr FaultKind kBlows[] = {FaultKind::kKill,      FaultKind::kRestartStorm, FaultKind::kWipe,      FaultKind::kStuckSync,
                                    FaultKind::kSyncFail,  FaultKind::kReadError,    FaultKind::kWriteError, FaultKind::kBadPage,
                                    FaultKind::kDiskFull,  FaultKind::kBitRot,       FaultKind::kMisdirected, FaultKind::kLostWrite};
    Stream& s = tape_.stream({.kind = StreamKind::kFaultPlan, .a = kFirst});
    if (!s.hits(1, 8, "one has no peace")) return;
    const uint32_t who = victims_.empty() ? broker(s) : victims_.front();
    std::vector<FaultKind> kinds = {FaultKind::kPowerCut};
    for (const FaultKind kind : kBlows)
      if (s.draw(3, "is this kind among the blows") == 2 && allowed(kind)) kinds.push_back(kind);
    const auto blows = static_cast<uint32_t>(s.draw_between(10, 40, "how many blows"));
    Instant at = profile_.from + Duration{s.draw_between(0, (profile_.heal_at - profile_.from).ns / 2, "from when")};
    for (uint32_t id = kFirst + 1; id <= kFirst + blows && at < profile_.heal_at; ++id) {
      constexpr int64_t kApart[] = {1'000'000, 20'000'000, 200'000'000, 1'000'000'000};
      Stream& own = tape_.stream({.kind = StreamKind::kFaultPlan, .a = id});
      Fault f{.id = id, .kind = kinds[own.draw(kinds.size(), "which blow")], .at = at, .nodes = {who}};
      f.duration = Duration{1'000'000 + own.draw_between(0, kApart[own.draw(3, "how long, roughly")], "how long")};
      f.amount = amount(f.kind, own);
      at = at + Duration{own.draw_between(0, kApart[own.draw(4, "how soon, roughly")], "how soon")};
      faults.push_back(std::move(f));
    }
  }

  // In a quarter of the runs with damage somebody cleans up, or a file system does, while a broker is down.
  void take_files(std::vector<Fault>& faults) {
    constexpr uint32_t kFirst = 3000;  // Above the ids of beset().
    Stream& s = tape_.stream({.kind = StreamKind::kFaultPlan, .a = kFirst});
    if (!s.hits(1, 4, "files go") || !allowed(FaultKind::kDelete)) return;
    const auto count = static_cast<uint32_t>(s.draw_between(1, 3, "how many"));
    for (uint32_t id = kFirst + 1; id <= kFirst + count; ++id) {
      Fault f{.id = id, .kind = s.hits(1, 2, "cut short only") ? FaultKind::kTruncate : FaultKind::kDelete};
      f.at = profile_.from + Duration{s.draw_between(0, (profile_.heal_at - profile_.from).ns - 1, "when")};
      f.duration = Duration{1'000'000 + s.draw_between(0, 1'000'000'000, "how long")};
      f.nodes = {victims_[s.draw(victims_.size(), "which victim")]};
      // Who has just started has few files.
      if (id > kFirst + 1 && s.hits(1, 2, "on the heels of the one before")) {
        f.nodes = faults.back().nodes;
        follow(f, faults.back(), s);
      }
      faults.push_back(std::move(f));
    }
  }

  void aim(Fault& f, Stream& s) {
    const uint32_t all = profile_.brokers + profile_.clients;
    switch (nodes_needed(f.kind)) {
      case 0: return;
      case 1:
        if (f.kind == FaultKind::kSplit) {
          for (const uint32_t node : shuffled(s, all)) f.nodes.push_back(node);
          f.nodes.resize(1 + s.draw(all - 1, "size of one side"));
        } else {
          f.nodes = {broker(s)};
        }
        return;
      default: {
        f.nodes = shuffled(s, all);
        const uint64_t others = f.kind == FaultKind::kBridge ? 1 + s.draw(all - 1, "size of one bank") : 1;
        // One of the two is a broker: between clients there is nothing to break.
        const auto first_broker = std::find_if(f.nodes.begin(), f.nodes.end(), [&](uint32_t n) { return n < profile_.brokers; });
        std::iter_swap(f.nodes.begin(), first_broker);
        f.nodes.resize(1 + others);
        if (f.kind != FaultKind::kBridge && s.draw(2, "which way") == 1) std::swap(f.nodes[0], f.nodes[1]);
        return;
      }
    }
  }

  static int64_t amount(FaultKind kind, Stream& s) {
    switch (kind) {
      case FaultKind::kSlowCpu: return s.draw_between(2, 1000, "factor");
      case FaultKind::kLinkSlow: return s.draw_between(2, 500, "factor");
      case FaultKind::kDiskSlow: return s.draw_between(2, 300, "factor");
      case FaultKind::kIsolate: return s.draw_between(0, 1, "do clients still reach it");
      case FaultKind::kRestartStorm: return s.draw_between(2, 8, "how often");
      case FaultKind::kSyncFail:
      case FaultKind::kReadError:
      case FaultKind::kWriteError:
      case FaultKind::kMisdirected:
      case FaultKind::kLostWrite: return s.draw_between(1, 3, "how many");
      case FaultKind::kBitRot: return s.draw_between(1, 16, "how many bits");
      case FaultKind::kDiskFull: return s.draw_between(0, 1 << 18, "free bytes");
      case FaultKind::kClockJump: return s.draw_between(-3'600'000, 3'600'000, "by ms");
      case FaultKind::kClockDrift: return s.draw_between(-50'000, 50'000, "ppm");
      default: return 0;
    }
  }

  Fault last(uint32_t id) {
    Fault f{.id = id, .kind = FaultKind::kHeal, .at = profile_.heal_at};
    if (profile_.run != RunKind::kLiveness) return f;
    f.kind = FaultKind::kHealCore;
    f.nodes = shuffled(plan_, profile_.brokers);
    // A disk that was damaged may hold the only open question about a log, so it belongs to the core.
    const auto damaged = [&](uint32_t n) { return std::find(victims_.begin(), victims_.end(), n) != victims_.end(); };
    const std::vector<uint32_t> others = std::exchange(f.nodes, {});
    std::copy_if(others.begin(), others.end(), std::back_inserter(f.nodes), damaged);
    std::copy_if(others.begin(), others.end(), std::back_inserter(f.nodes), std::not_fn(damaged));
    const uint32_t majority = profile_.brokers / 2 + 1;
    f.nodes.resize(majority + plan_.draw(profile_.brokers - majority + 1, "more than a majority"));
    std::sort(f.nodes.begin(), f.nodes.end());
    f.amount = plan_.draw_between(0, 2, "what becomes of the others");
    // A minority that lost data needs the intact ones: with damage, everybody heals.
    if (!victims_.empty()) f.amount = 0;
    return f;
  }

  const Profile& profile_;
  Tape& tape_;
  Stream& plan_;
  std::vector<uint32_t> victims_;
};

}  // namespace

std::string_view fault_kind_name(FaultKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::string_view run_kind_name(RunKind kind) {
  switch (kind) {
    case RunKind::kSurvivable: return "survivable";
    case RunKind::kAny: return "any";
    case RunKind::kLiveness: return "liveness";
  }
  return "?";
}

bool Profile::damages(FaultKind kind) {
  switch (kind) {
    case FaultKind::kWipe:
    case FaultKind::kSyncFail:
    case FaultKind::kReadError:
    case FaultKind::kWriteError:
    case FaultKind::kBadPage:
    case FaultKind::kBitRot:
    case FaultKind::kMisdirected:
    case FaultKind::kLostWrite:
    case FaultKind::kTruncate:
    case FaultKind::kDelete:
      return true;
    default:
      return false;
  }
}

std::string Fault::text() const {
  std::string out = fmt::format("fault {} {}", id, fault_kind_name(kind));
  for (size_t i = 0; i < nodes.size(); ++i) out += fmt::format("{}{}", i == 0 ? " nodes=" : ",", nodes[i] + 1);
  out += fmt::format(" at={}", print_time(at.ns));
  if (duration.ns != 0) out += fmt::format(" for={}", print_time(duration.ns));
  if (amount != 0) out += fmt::format(" amount={}", amount);
  return out;
}

std::string print_faults(const std::vector<Fault>& faults) {
  std::string out;
  for (const Fault& fault : faults) out += fault.text() + "\n";
  return out;
}

Result<std::vector<Fault>> parse_faults(std::string_view text) {
  std::vector<Fault> faults;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    Fault fault;
    if (!parse_line(line, fault) || fault.nodes.size() < nodes_needed(fault.kind))
      return fail(Errc::kInvalid, fmt::format("line {}: {}", number, line));
    faults.push_back(std::move(fault));
  }
  return faults;
}

namespace {

// Within what a round trip takes, or a change of leaders.
Duration soon_after(Stream& s) {
  constexpr int64_t kWithin[] = {5'000'000, 50'000'000, 500'000'000, 2'000'000'000};
  return Duration{s.draw_between(0, kWithin[s.draw(4, "how soon, roughly")], "how soon")};
}

constexpr uint32_t kFirstChange = 1000;  // Above the ids of expand(), whose streams they would share.

// In half of the runs that can spare a broker one of them is to leave, or hands over what it leads and, half of the time,
// is told later that it may stay.
void add_retirement(const Profile& profile, Tape& tape, std::vector<Fault>& faults) {
  Stream& s = tape.stream({.kind = StreamKind::kFaultPlan, .a = kFirstChange - 1});
  if (profile.brokers <= profile.replicas || !s.hits(1, 2, "a broker retires")) return;
  const int64_t span = profile.heal_at.ns - profile.from.ns;
  Fault f{.id = kFirstChange - 1, .kind = FaultKind::kRetire};
  f.nodes = {static_cast<uint32_t>(s.draw(profile.brokers, "which broker"))};
  f.at = profile.from + Duration{s.draw_between(0, span - 1, "when")};
  f.amount = s.hits(1, 3, "its leaders only") ? 1 : 2;
  faults.push_back(f);
  const Instant later = f.at + Duration{s.draw_between(0, span / 2, "how long")};
  if (f.amount != 1 || !s.hits(1, 2, "it may stay") || later >= profile.heal_at) return;
  f.id = kFirstChange - 2;
  f.at = later;
  f.amount = 0;
  faults.push_back(std::move(f));
}

}  // namespace

void add_changes(const Profile& profile, uint32_t partitions, Tape& tape, std::vector<Fault>& faults) {
  Stream& plan = tape.stream({.kind = StreamKind::kFaultPlan, .a = kFirstChange});
  const uint64_t count = 1 + plan.draw(8, "how many changes");
  const size_t drawn = faults.size() - 1;  // Without the heal.
  add_retirement(profile, tape, faults);
  const bool one_less = faults.back().kind == FaultKind::kRetire;
  std::vector<Fault> moves;
  for (uint32_t i = 1; i <= count; ++i) {
    Stream& s = tape.stream({.kind = StreamKind::kFaultPlan, .a = kFirstChange + i});
    Fault f{.id = kFirstChange + i, .kind = s.draw(4, "what changes") == 3 ? FaultKind::kElect : FaultKind::kMove};
    f.at = profile.from + Duration{s.draw_between(0, profile.heal_at.ns - profile.from.ns - 1, "when")};
    f.amount = static_cast<int64_t>(s.draw(partitions, "of which partition"));
    if (f.kind == FaultKind::kMove) {
      f.nodes = shuffled(s, profile.brokers);
      // Whoever leaves needs another that has none of it.
      const uint32_t most = std::min(profile.replicas + 1, profile.brokers - (one_less ? 1 : 0));
      // Four of five may well leave the leader out, and no two of the four are most of them.
      f.nodes.resize(s.hits(profile.brokers > 4 ? 2 : 1, 4, "to one more") ? most : profile.replicas);
      // Where one moves another moved a moment ago: what has just left comes back, what has just come leaves.
      if (!moves.empty() && s.hits(1, 2, "after another")) {
        const Fault& other = moves[s.draw(moves.size(), "of which")];
        f.amount = other.amount;
        if (const Instant soon = other.at + soon_after(s); soon < profile.heal_at) f.at = soon;
      }
      moves.push_back(f);
    }
    // What changes is hit while it changes.
    if (drawn > 0 && s.hits(1, 2, "and is hit")) {
      Fault& other = faults[s.draw(drawn, "by which fault")];
      if (const Instant soon = f.at + soon_after(s); soon < profile.heal_at) other.at = soon;
    }
    faults.push_back(std::move(f));
  }
  // The heal stays the last: nothing begins when it does.
  std::sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
    return a.at != b.at ? a.at < b.at : a.id < b.id;
  });
}

std::vector<Fault> expand(const Profile& profile, Tape& tape) { return Expansion(profile, tape).run(); }

}  // namespace taffrail::sim
