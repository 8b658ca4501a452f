// taffrail: picks a world and runs a subcommand in it.
#include <exception>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/run.h"

int main(int argc, char** argv) {
  // Third parties may throw; nothing here catches on purpose, so a stray one is a bug with a message.
  try {
    return taffrail::cli::run_main(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& e) {
    taffrail::check_failed(__FILE__, __LINE__, "no exception leaves the program", e.what());
  }
}
