// Scripts that let a shell complete our command line, made from the tree of subcommands itself, so that
// they cannot fall behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace taffrail::cli {

struct CommandWords {
  struct Flag {
    std::string word;  ///< "--config", "-C".
    std::string help;
  };
  std::string name;
  std::string help;
  std::vector<Flag> flags;
  std::vector<CommandWords> commands;
};

/// For "bash", "zsh" or "fish"; empty for another shell.
std::string completion_script(std::string_view shell, const CommandWords& root);

}  // namespace taffrail::cli
