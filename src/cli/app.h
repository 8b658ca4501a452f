// The command line: from words to what is to be run, or to what is to be printed at once.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/command.h"

namespace taffrail::cli {

/// The command line is answered without running anything: help, a version, a mistake.
struct Answer {
  std::string out;
  std::string error;
  ExitCode code = ExitCode::kOk;
};

/// `arguments` without the program's own name.
std::variant<Invocation, Answer> parse_command_line(const std::vector<std::string>& arguments);

/// A script for "bash", "zsh" or "fish" that completes every subcommand and flag there is; empty for
/// another shell.
std::string completion_script(std::string_view shell);

/// Every subcommand's path and its --help, one after the other: for the golden test and the manual.
std::string help_of_everything();

}  // namespace taffrail::cli
