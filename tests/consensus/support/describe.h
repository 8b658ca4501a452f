// Messages and effects as short lines, for golden stories and traces.
#pragma once

#include <string>

#include "consensus/effects.h"

namespace taffrail::testing {

std::string describe(const Message& message);
std::string describe(const Effect& effect);

}  // namespace taffrail::testing
