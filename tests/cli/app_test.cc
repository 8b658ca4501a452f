// Goal: the command line is an interface. Its help, its exit codes and what it completes change only on
// purpose. Method: parse without running; help is compared with a file, and TAFFRAIL_REWRITE_GOLDEN=1
// writes that file anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/app.h"
#include "support/tree_paths.h"

namespace taffrail::cli {
namespace {

using testing::HasSubstr;

Answer answer_to(const std::vector<std::string>& arguments) {
  const auto parsed = parse_command_line(arguments);
  const auto* answer = std::get_if<Answer>(&parsed);
  EXPECT_NE(answer, nullptr) << "wants to run";
  return answer == nullptr ? Answer() : *answer;
}

std::optional<Invocation> invocation_of(const std::vector<std::string>& arguments) {
  auto parsed = parse_command_line(arguments);
  if (auto* invocation = std::get_if<Invocation>(&parsed)) return std::move(*invocation);
  ADD_FAILURE() << std::get<Answer>(parsed).error;
  return {};
}

TEST(CommandLine, HelpIsAsItWasAgreed) {
  const std::string path = tests::source_dir() + "/tests/cli/golden/help.txt";
  const std::string help = help_of_everything();
  if (std::getenv("TAFFRAIL_REWRITE_GOLDEN") != nullptr) std::ofstream(path) << help;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(help, golden.str()) << "if this is meant: TAFFRAIL_REWRITE_GOLDEN=1 cli_tests";
}

TEST(CommandLine, MistakesAreUsageErrorsThatSayWhatToDo) {
  const std::vector<std::vector<std::string>> mistakes{
      {},
      {"nonsense"},
      {"topic"},
      {"topic", "create"},
      {"topic", "create", "t", "--partitions", "0"},
      {"topic", "create", "t", "--partitions", "many"},
      {"topic", "rm", "t"},  // Without --yes.
      {"topic", "trim", "t", "--before", "end"},  // Likewise.
      {"topic", "grow", "t"},
      {"cluster", "safe-to-restart"},
      {"produce", "t", "--no-such-flag"},
      {"produce", "t", "-o", "xml", "-v", "x"},
      {"serve"},
      {"completion", "tcsh"},
      {"up", "--ephemeral", "--data", "d"},
      {"cluster", "show", "--timeout", "0"},
      {"version", "more"},
  };
  for (const auto& arguments : mistakes) {
    const Answer answer = answer_to(arguments);
    EXPECT_EQ(answer.code, ExitCode::kUsage) << testing::PrintToString(arguments);
    EXPECT_THAT(answer.error, HasSubstr("next: taffrail --help"));
    EXPECT_TRUE(answer.out.empty());
  }
}

TEST(CommandLine, HelpAndVersionSucceed) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--help"}, {"-h"}, {"topic", "--help"}, {"topic", "create", "-h"}, {"up", "--help"}}) {
    const Answer answer = answer_to(arguments);
    EXPECT_EQ(answer.code, ExitCode::kOk);
    EXPECT_THAT(answer.out, HasSubstr("Usage: taffrail "));
    EXPECT_THAT(answer.out, testing::Not(HasSubstr("taffrail taffrail")));
    EXPECT_TRUE(answer.error.empty());
  }
  EXPECT_THAT(answer_to({"version"}).out, testing::StartsWith("taffrail "));
  EXPECT_THAT(answer_to({"version", "-o", "json"}).out, testing::StartsWith("{\"version\":"));
}

TEST(CommandLine, GlobalFlagsMayStandAnywhere) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"-b", "h:1", "-o", "json", "--timeout", "3", "topic", "ls"},
           {"topic", "ls", "-b", "h:1", "-o", "json", "--timeout", "3"}}) {
    const auto invocation = invocation_of(arguments);
    ASSERT_TRUE(invocation);
    EXPECT_EQ(invocation->global.bootstrap, "h:1");
    EXPECT_EQ(invocation->global.format, Format::kJson);
    EXPECT_EQ(invocation->global.timeout_s, 3);
    EXPECT_TRUE(invocation->body);
  }
}

TEST(CommandLine, AFlagTakesOneValueAndLeavesTheNameAlone) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"topic", "create", "-C", "a=b", "-C", "c=d", "t"},
           {"topic", "alter", "--default", "k", "t"},
           {"produce", "-H", "a=b", "-v", "x", "t"}})
    EXPECT_TRUE(invocation_of(arguments)) << testing::PrintToString(arguments);
}

TEST(CommandLine, OnlyWhatKeepsSomethingRunningWindsDown) {
  EXPECT_TRUE(invocation_of({"up"})->winds_down);
  const auto serve = invocation_of({"serve", "--config", "f", "--stop-with-input"});
  EXPECT_TRUE(serve->winds_down);
  EXPECT_TRUE(serve->stop_with_input);
  EXPECT_TRUE(serve->configure_node);
  EXPECT_EQ(serve->log_level, LogLevel::kInfo);
  EXPECT_EQ(invocation_of({"serve", "--config", "f", "--log", "debug"})->log_level, LogLevel::kDebug);
  EXPECT_FALSE(invocation_of({"consume", "t"})->winds_down);
}

TEST(CommandLine, EveryErrorHasItsExitCode) {
  EXPECT_EQ(exit_code_of({Errc::kUnavailable, ""}), ExitCode::kCannotConnect);
  EXPECT_EQ(exit_code_of({Errc::kRefused, ""}), ExitCode::kNotAllowed);
  EXPECT_EQ(exit_code_of({Errc::kNotFound, ""}), ExitCode::kNotFound);
  EXPECT_EQ(exit_code_of({Errc::kExists, ""}), ExitCode::kExists);
  EXPECT_EQ(exit_code_of({Errc::kTimedOut, ""}), ExitCode::kTimedOut);
  EXPECT_EQ(exit_code_of({Errc::kInvalid, ""}), ExitCode::kFailed);
  EXPECT_EQ(exit_code_of({Errc::kCancelled, ""}), ExitCode::kInterrupted);
  EXPECT_THAT(error_text({Errc::kUnavailable, "no broker can be reached"}), HasSubstr("taffrail up"));
  EXPECT_THAT(error_text({Errc::kNotFound, "topic t"}), HasSubstr("taffrail topic ls"));
}

TEST(Completion, EveryShellKnowsEverySubcommandAndFlag) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell);
    for (const char* word : {"up", "serve", "produce", "consume", "create", "alter", "cluster", "inspect", "bench",
                             "segment", "completion", "sim", "replay", "check-history", "until-end", "bootstrap", "ready-file"})
      EXPECT_THAT(script, HasSubstr(word)) << shell;
  }
  EXPECT_TRUE(completion_script("tcsh").empty());
}

TEST(Completion, BashTakesItsScriptAndCompletesWithIt) {
  const std::string path = tests::binary_dir() + "/completion_test.bash";
  std::ofstream(path) << completion_script("bash");
  const auto completes = [&](const std::string& words, int at) {
    const std::string out = path + ".out";
    const std::string command = "bash -c 'source " + path + "; COMP_WORDS=(" + words +
                                "); COMP_CWORD=" + std::to_string(at) +
                                "; _taffrail; echo \"${COMPREPLY[@]}\"' > " + out;
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::ifstream file(out);
    std::string line;
    std::getline(file, line);
    return line;
  };
  EXPECT_EQ(completes("taffrail to", 1), "topic");
  EXPECT_EQ(completes("taffrail topic cr", 2), "create");
  EXPECT_EQ(completes("taffrail -o json topic create --part", 5), "--partitions");
  EXPECT_EQ(completes("taffrail consume --unt", 2), "--until-end");
}

}  // namespace
}  // namespace taffrail::cli
