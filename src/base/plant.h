// Planted bugs: known mistakes that a test build can make on purpose, to measure whether the checkers
// and the simulator notice (docs/simulation.md). A release holds neither the switch nor the names.
#pragma once

#include <string_view>

#ifdef TAFFRAIL_PLANTS

namespace taffrail {

/// Plants one bug by its id ("R01"), and digs up the one before; empty: none. For the whole process:
/// a test selects before it starts, and never while another thread runs.
void select_plant(std::string_view id);
/// The planted bug; empty if there is none.
std::string_view selected_plant();
/// What every plant's name begins with in the binary that holds it: by that a test finds out whether one does
/// (tests/plants/binary_test.cc).
inline constexpr std::string_view kPlantMark = "planted bug ";
bool is_planted(const char* marked);

}  // namespace taffrail

/// True where the bug `id` is planted: `if (index <= commit || PLANT("R01"))`.
#define PLANT(id) (::taffrail::is_planted("planted bug " id))

#else

#define PLANT(id) false

#endif
