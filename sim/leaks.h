// Planted leaks of determinism and a canary: known mistakes that the determinism check and a campaign
// must notice, or they prove nothing (docs/simulation.md, "Determinism").
#pragma once

#ifdef TAFFRAIL_PLANTS

#include <string_view>
#include <vector>

#include "sim/world.h"

namespace taffrail::sim {

/// pointer_order, pointer_hash, uninitialised, argument_order, unordered_pointers.
const std::vector<std::string_view>& leak_names();
/// Makes the mistake once and lets what it leaks decide something in the world. False: no such leak.
bool leak(World& world, std::string_view name);

/// Fails the run in 1 of 100 seeds: a campaign of a thousand that reports none of these is broken.
void canary(World& world);

}  // namespace taffrail::sim

#endif
