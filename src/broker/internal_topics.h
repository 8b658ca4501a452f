// The topics that brokers keep for themselves.
#pragma once

#include <string_view>

#include "broker/context.h"

namespace taffrail {

/// Groups, their members and their offsets.
inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

/// Clients may read it, and not write into it.
bool is_internal_topic(std::string_view name);

/// Creates the offsets topic if there is none. It may not be there afterwards all the same: whoever needs it asks again.
void ensure_offsets_topic(Task& task, BrokerContext& broker, Instant deadline);

}  // namespace taffrail
