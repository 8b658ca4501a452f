// How the calls of admin.cc and cluster_admin.cc are made. Only those include this.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "client/metadata.h"

namespace taffrail::client::calls {

// What the broker may take for it: until our own deadline, and at least a moment.
inline int32_t timeout_ms(Runtime& runtime, Instant deadline) {
  return static_cast<int32_t>(std::clamp<int64_t>((deadline - runtime.now()).ms(), 1, 60'000));
}

template <class Answer>
Result<> verdict(const Answer& answer, std::string_view about) {
  if (answer.error_code == protocol::ErrorCode::kNone) return {};
  const std::string said = answer.error_message.value_or("");
  return std::unexpected(
      kafka_error(answer.error_code, said.empty() ? std::string(about) : fmt::format("{}: {}", about, said)));
}

// Asks with `attempt` until what the broker says is no longer "try again".
template <class Attempt>
auto until_settled(Task& task, Cluster& cluster, Instant deadline, Attempt attempt)
    -> decltype(attempt()) {
  Backoff pause = cluster.backoff();
  for (;;) {
    auto result = attempt();
    if (result) return result;
    const Errc why = result.error().code;
    const Instant next = cluster.runtime().now() + pause.next();
    if ((why != Errc::kUnavailable && why != Errc::kNotLeader) || next >= deadline) return result;
    TRY(cluster.runtime().sleep_until(task, next));
  }
}

// A question without effects may be asked again wherever no answer came.
inline Errc again(Errc code) { return code == Errc::kTimedOut || code == Errc::kClosed || code == Errc::kRefused ? Errc::kUnavailable : code; }

}  // namespace taffrail::client::calls
