// A history of clients as lines of text, so that what real clients did on real processes is judged by the
// checker that judges simulated ones. docs/simulation.md, "Histories as text", has the format.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sim/checkers/history.h"

namespace taffrail {

struct ToldHistory {
  History history;
  /// Each partition that was written to has a final read: what is missing in the end is known.
  bool complete = false;
};

/// Errors: kInvalid, with the line: a word or number that does not belong there, an id that was sent twice or
/// never, or final reads of some of the partitions that were written to and not of the others.
Result<ToldHistory> parse_history(std::string_view text);

}  // namespace taffrail
