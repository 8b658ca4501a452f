// Requests that are nearly right, for tests of what is wrong with them.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "broker/support/broker_world.h"
#include "protocol/api_key.h"

namespace taffrail::test {

/// A well-formed body of that request, with something in most of its fields; of topic "good" where it names one.
std::string hostile_body(protocol::ApiKey key, int16_t version);
/// Header and body, without the length.
std::string hostile_frame_start(protocol::ApiKey key, int16_t version, std::string_view body);
Slice hostile_frame(protocol::ApiKey key, int16_t version, std::string_view body);

/// Asks behind everything that was sent so far, and reads answers up to its own; false if the connection ended.
bool still_answers(Wire& wire);

}  // namespace taffrail::test
