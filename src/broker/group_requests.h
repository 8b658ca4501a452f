// What the requests about groups have in common: where a group's coordinator is, and how they come to its shard.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/handlers.h"
#include "broker/part.h"
#include "group/service.h"

namespace taffrail::handlers {

/// Which of `partitions` a group belongs to: as Kafka's clients and tools count, by Java's hash of the name's UTF-16.
int32_t group_partition(std::string_view group, int32_t partitions);
/// Nothing before the offsets topic exists.
std::optional<PartitionKey> coordinator_of(BrokerContext& broker, std::string_view group);
/// The shard that a request about this group is answered on; this one if nobody knows better.
ShardId shard_of_group(BrokerContext& broker, std::string_view group);
/// The replica here; null if there is none.
group::Service* find_groups(BrokerContext& broker, std::string_view group);

/// Waits for what was decided and makes the response of it: `finish(Answer&) -> Response`.
template <class Response, class Finish>
Outcome<Response> when_answered(std::shared_ptr<group::Asked> asked, Finish finish) {
  if (asked->done.is_set()) return Outcome<Response>(finish(asked->answer));
  return Outcome<Response>::later([asked = std::move(asked), finish = std::move(finish)](Task& task) mutable -> std::optional<Response> {
    if (!asked->done.wait(task)) return std::nullopt;
    return finish(asked->answer);
  });
}
/// The same where the answer is the response.
template <class Response>
Outcome<Response> when_answered(std::shared_ptr<group::Asked> asked) {
  return when_answered<Response>(std::move(asked), [](group::Answer& answer) { return std::move(std::get<Response>(answer)); });
}

/// A request about one group, on the group's shard.
template <class Message>
Outcome<typename Message::Response> on_shard_of_group(const Request& request, Message message, Handler<Message> handler) {
  using Response = typename Message::Response;
  const ShardId shard = shard_of_group(request.broker, message.group_id);
  if (shard == request.broker.runtime().shard()) return handler(request, std::move(message));
  auto forwarded = std::make_unique<Forwarded<Message>>(request, shard, std::move(message), handler);
  return Outcome<Response>::later([forwarded = std::move(forwarded)](Task& task) { return forwarded->wait(task); });
}

/// A request about many: `parts`, each on its shard, and `join(whole, part)` for each answer.
template <class Message, class Join>
Outcome<typename Message::Response> on_shards_of_groups(const Request& request, std::map<ShardId, Message> parts,
                                                        Handler<Message> handler, Join join) {
  using Response = typename Message::Response;
  const ShardId here = request.broker.runtime().shard();
  if (parts.size() == 1 && parts.begin()->first == here) return handler(request, std::move(parts.begin()->second));
  std::vector<std::unique_ptr<Forwarded<Message>>> away;
  std::optional<Outcome<Response>> own;
  for (auto& [shard, message] : parts) {
    if (shard == here) own = handler(request, std::move(message));
    else away.push_back(std::make_unique<Forwarded<Message>>(request, shard, std::move(message), handler));
  }
  return Outcome<Response>::later(
      [own = std::move(own), away = std::move(away), join = std::move(join)](Task& task) mutable -> std::optional<Response> {
        Response whole;
        if (own) {
          if (auto* later = std::get_if<typename Outcome<Response>::Later>(&own->value)) {
            std::optional<Response> part = (*later)(task);
            if (!part) return std::nullopt;
            join(whole, std::move(*part));
          } else {
            join(whole, std::move(std::get<Response>(own->value)));
          }
        }
        for (auto& forwarded : away) {
          std::optional<Response> part = forwarded->wait(task);
          if (!part) return std::nullopt;
          join(whole, std::move(*part));
        }
        return whole;
      });
}

}  // namespace taffrail::handlers
