// What a consumer group's topics look like, in one number that its log keeps: another number is a reason to assign anew.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "group/topics.h"

namespace taffrail::group {

/// Of those of `names` that exist, as Kafka computes it (KIP-1101); 0 if none does.
int64_t metadata_hash(const std::set<std::string>& names, const Topics& topics);

}  // namespace taffrail::group
