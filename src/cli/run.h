// The whole program: parses, picks a world, runs the command in it.
#pragma once

#include <string>
#include <vector>

namespace taffrail::cli {

/// `arguments` without the program's own name. Returns the process's exit status (exit_code.h).
int run_main(const std::vector<std::string>& arguments);

}  // namespace taffrail::cli
