// Goal: Raft's classic stories go as the papers tell them, down to the message.
// Method: tests/consensus/scenarios/*.txt hold commands, and below each, indented, what it must
// bring about. Lines: "2 <- 1: ..." a message arrives; "2: ..." an effect is carried out; "lost
// ..." a message fell to a cut link. Time stands still but for `wait` and `campaign`; disks are
// instant unless held. A story that goes otherwise is written to the build directory, ready to be
// compared and, if it is right, copied.
//
//   group 1 2 3 [learners 4]      found a group, all up
//   campaign N / elect N          its election timer runs out / and all follows, in silence
//   append N K                    K batches, if N leads
//   beat N                        its node sends its heartbeat
//   deliver [K] / lose / drop     all messages, or K / none of them / not the next one
//   cut A B / heal / reset A B    both directions / all / the connection broke
//   gone N M                      the connection by which M sends to N ended
//   wait MS / tick N
//   hold N / sync N               its disk
//   crash N / start N
//   compact N INDEX
//   transfer N M
//   members N 1 2 [learners 4]    N proposes them
//   doubt N                       its last group was damaged
//   state                         where everybody stands
//   quiet COMMAND                 without its lines
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "consensus/support/describe.h"
#include "consensus/support/test_node.h"
#include "support/tree_paths.h"

namespace taffrail::testing {
namespace {

class Story {
 public:
  std::string tell(const std::string& command) {
    out_.clear();
    std::istringstream words(command);
    std::string verb;
    words >> verb;
    std::vector<std::string> args;
    for (std::string word; words >> word;) args.push_back(word);
    const bool quiet = verb == "quiet";
    if (quiet) {
      verb = args.front();
      args.erase(args.begin());
    }
    act(verb, args);
    settle_disks();
    return quiet || verb == "elect" ? "" : out_;
  }

 private:
  void act(const std::string& verb, const std::vector<std::string>& args) {
    if (verb == "group") return found(args);
    if (verb == "deliver") return deliver(args.empty() ? INT32_MAX : number(args, 0));
    if (verb == "elect") {
      act("campaign", args);
      return deliver(INT32_MAX);
    }
    if (verb == "lose") return on_their_way_.clear();
    if (verb == "drop") return on_their_way_.pop_front();
    if (verb == "heal") return cut_.clear();
    if (verb == "state") return state();
    if (verb == "wait") {
      now_ = now_ + Duration::from_ms(number(args, 0));
      return;
    }
    const int n = number(args, 0);
    TestNode& node = *nodes_.at(n);
    if (verb == "campaign") {
      now_ = std::max(now_, node.raft().next_deadline());
      node.tick(now_);
    } else if (verb == "tick") {
      node.tick(now_);
    } else if (verb == "append") {
      for (int i = 0; i < number(args, 1); ++i) {
        if (node.propose(++payloads_, now_) == 0) say("refused");
      }
    } else if (verb == "beat") {
      node.beat(now_);
    } else if (verb == "cut") {
      cut_.insert({n, number(args, 1)});
      cut_.insert({number(args, 1), n});
    } else if (verb == "reset") {
      node.link_reset(BrokerId(number(args, 1)), now_);
      nodes_.at(number(args, 1))->link_reset(BrokerId(n), now_);
    } else if (verb == "gone") {
      node.sender_gone(BrokerId(number(args, 1)), now_);
    } else if (verb == "hold") {
      held_.insert(n);
    } else if (verb == "sync") {
      held_.erase(n);
    } else if (verb == "crash") {
      node.crash(0);
    } else if (verb == "start") {
      node.start(static_cast<uint64_t>(n), now_);
    } else if (verb == "compact") {
      node.compact(LogIndex(number(args, 1)), now_);
    } else if (verb == "transfer") {
      answer(node.transfer(replica(number(args, 1)), now_));
    } else if (verb == "doubt") {
      node.doubt_tail(now_);
    } else if (verb == "members") {
      auto [voters, learners] = lists(args, 1);
      answer(node.configure(voters, learners, now_));
    } else {
      say("no such command: " + verb);
    }
  }

  void found(const std::vector<std::string>& args) {
    Configuration initial;
    std::tie(initial.voters, initial.learners) = lists(args, 0);
    TestNode::Hooks hooks;
    hooks.send = [this](const TestNode& from, Packet packet) {
      if (packet.to != from.id()) on_their_way_.push_back(std::move(packet));
    };
    hooks.on_effect = [this](const TestNode& node, const Effect& any) {
      // Sendings show when they arrive; what is read for them, in what is sent.
      if (std::holds_alternative<effect::Send>(any)) return;
      if (std::holds_alternative<effect::SendOnceDurable>(any)) return;
      if (std::holds_alternative<effect::WantAppend>(any)) return;
      say(fmt::format("{}: {}", node.id().node.value, describe(any)));
    };
    hooks.fetch_snapshot = [this](const TestNode& node, const effect::FetchSnapshot& fetch) {
      snapshots_.emplace_back(node.id().node.value, fetch.offer);
    };
    for (const ReplicaId& member : initial.members()) {
      const int n = member.node.value;
      Raft::Options options{.self = member,
                            .election_timeout_min = 1000_ms,
                            .election_timeout_max = 2000_ms,
                            .append_timeout = 10'000_ms};
      nodes_[n] = std::make_unique<TestNode>(options, initial, hooks);
      nodes_[n]->start(static_cast<uint64_t>(n), now_);
    }
  }

  void deliver(int count) {
    settle_disks();
    for (; count > 0 && (!on_their_way_.empty() || !snapshots_.empty()); --count) {
      if (on_their_way_.empty()) {
        const auto [n, offer] = snapshots_.front();
        snapshots_.pop_front();
        nodes_.at(n)->finish_snapshot(offer, now_);
        settle_disks();
        continue;
      }
      const Packet packet = std::move(on_their_way_.front());
      on_their_way_.pop_front();
      const int from = packet.from.node.value;
      const int to = packet.to.node.value;
      const auto* message = std::get_if<Message>(&packet.what);
      const std::string what = message ? describe(*message) : "";
      if (cut_.contains({from, to}) || !nodes_.at(to)->up()) {
        if (message) say(fmt::format("lost {} <- {}: {}", to, from, what));
        continue;
      }
      if (message) say(fmt::format("{} <- {}: {}", to, from, what));
      nodes_.at(to)->receive(packet, now_);
      settle_disks();
    }
  }

  void state() {
    for (const auto& [n, node] : nodes_) {
      if (!node->up()) {
        say(fmt::format("{}: down", n));
        continue;
      }
      const Raft& raft = node->raft();
      std::string log;
      const auto runs = raft.log().runs();
      for (size_t i = 0; i < runs.size(); ++i) {
        const LogIndex last = i + 1 < runs.size() ? runs[i + 1].first - 1 : raft.log().last().index;
        log += fmt::format(" {}-{}@{}", runs[i].first.value, last.value, runs[i].term.value);
      }
      say(fmt::format("{}: {} of term {}, commit {}, log{}", n, role_name(raft.role()),
                      raft.term().value, raft.commit().value, log.empty() ? " empty" : log));
    }
  }

  void settle_disks() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const auto& [n, node] : nodes_) {
        if (!node->up() || held_.contains(n) || !node->start_sync()) continue;
        node->finish_sync(now_);
        busy = true;
      }
    }
  }

  void answer(const Result<>& result) {
    if (!result) say(result.error().text());
  }
  void say(const std::string& line) { out_ += "  " + line + "\n"; }
  static int number(const std::vector<std::string>& args, size_t i) {
    return i < args.size() ? std::stoi(args[i]) : 0;
  }
  static std::pair<std::vector<ReplicaId>, std::vector<ReplicaId>> lists(
      const std::vector<std::string>& args, size_t from) {
    std::vector<ReplicaId> voters;
    std::vector<ReplicaId> learners;
    bool to_learners = false;
    for (size_t i = from; i < args.size(); ++i) {
      if (args[i] == "learners") {
        to_learners = true;
      } else {
        (to_learners ? learners : voters).push_back(replica(number(args, i)));
      }
    }
    return {voters, learners};
  }

  std::map<int, std::unique_ptr<TestNode>> nodes_;
  std::deque<Packet> on_their_way_;
  std::deque<std::pair<int, SnapshotOffer>> snapshots_;
  std::set<std::pair<int, int>> cut_;
  std::set<int> held_;
  Instant now_;
  uint64_t payloads_ = 0;
  std::string out_;
};

std::filesystem::path stories() {
  return std::filesystem::path(tests::source_dir()) / "tests/consensus/scenarios";
}

std::vector<std::string> story_names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(stories())) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Scenario : public ::testing::TestWithParam<std::string> {};

TEST_P(Scenario, GoesAsTold) {
  std::ifstream file(stories() / (GetParam() + ".txt"));
  Story story;
  std::string expected;
  std::string actual;
  for (std::string line; std::getline(file, line);) {
    expected += line + "\n";
    if (line.starts_with("  ")) continue;
    actual += line + "\n";
    if (!line.empty() && line[0] != '#') actual += story.tell(line);
  }
  if (expected == actual) return;
  const auto told = std::filesystem::path(tests::binary_dir()) / ("story-" + GetParam() + ".txt");
  std::ofstream(told) << actual;
  EXPECT_EQ(expected, actual) << "written to " << told;
}

INSTANTIATE_TEST_SUITE_P(Raft, Scenario, ::testing::ValuesIn(story_names()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace taffrail::testing
