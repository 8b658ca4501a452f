#include "broker/first_leaders.h"

#include "broker/handlers.h"

namespace taffrail::handlers {

void await_first_leaders(Task& task, BrokerContext& broker, std::span<const std::string> topics, Duration at_most) {
  const Instant until = broker.runtime().now() + at_most;
  const auto led = [&] {
    for (const std::string& name : topics) {
      const TopicRecord* record = broker.controller().image().find_topic(std::string_view(name));
      if (record == nullptr) return false;
      for (size_t p = 0; p < record->partitions.size(); ++p)
        if (leader_of(broker, {record->id, static_cast<int32_t>(p)}).first == kNoBroker) return false;
    }
    return true;
  };
  while (!led() && broker.runtime().now() < until)
    if (!broker.runtime().sleep_for(task, 10_ms)) return;
}

}  // namespace taffrail::handlers
