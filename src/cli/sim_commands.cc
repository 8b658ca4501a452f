#include "cli/sim_commands.h"

namespace taffrail::cli {

std::span<const AddSimCommand> sim_commands() { return {}; }

}  // namespace taffrail::cli
