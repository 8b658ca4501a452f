// The subcommands of `taffrail sim`, as a table: what runs scenarios registers itself here, and what is
// not in the table does not exist on the command line.
#pragma once

#include <span>

#include "cli/command.h"

namespace CLI {
class App;
}

namespace taffrail::cli {

/// Adds one subcommand with its flags to `sim`. When it is the one that was typed, its CLI11 callback
/// fills `chosen.body`.
using AddSimCommand = void (*)(CLI::App& sim, Invocation& chosen);

std::span<const AddSimCommand> sim_commands();

void add_verify_determinism(CLI::App& sim, Invocation& chosen);

}  // namespace taffrail::cli
