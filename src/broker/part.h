// A request, or a part of one, that another shard of this node answers with the very handler that would have answered it
// here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "broker/guests.h"
#include "broker/handlers.h"
#include "broker/shard.h"
#include "runtime/remote.h"
#include "runtime/work_meter.h"

namespace taffrail::handlers {

/// What a shard made of its part.
template <class Response>
struct PartAnswer {
  std::optional<Response> response;  ///< None: none is due.
  std::string close_because;
  Duration worked = {};  ///< Where quotas are counted.
};

template <class Message>
using Handler = Outcome<typename Message::Response> (*)(const Request&, Message);

/// On the shard of a part: the handler, now, and what it does later in a fiber. `connection` is a copy: what the handler
/// keeps in it is gone with the part.
template <class Message>
void answer_part(BrokerShard& shard, const GuestId& id, ConnectionInfo connection, int16_t version, Message message,
                 Handler<Message> handler, std::function<void(Runtime&, PartAnswer<typename Message::Response>)> reply) {
  using Response = typename Message::Response;
  Guests& guests = shard.guests();
  // A shard that is stopping answers nobody, and neither will the connection be there to hear.
  if (!guests.admit(id)) return;
  Runtime& runtime = shard.runtime();
  const bool counted = !shard.controller().image().settings().quotas.empty();
  const Instant began = counted ? runtime.fine_now() : Instant{};
  struct Visit {
    ConnectionInfo connection;
    Duration worked;
    typename Outcome<Response>::Later later;
  };
  auto visit = std::make_shared<Visit>();
  visit->connection = std::move(connection);
  visit->connection.close_because.clear();
  Outcome<Response> outcome = handler({shard, visit->connection, version, &guests.hurry_of(id)}, std::move(message));
  if (counted) visit->worked = runtime.fine_now() - began;
  if (auto* later = std::get_if<typename Outcome<Response>::Later>(&outcome.value)) {
    visit->later = std::move(*later);
    guests.run(id, "broker/part", [visit, &runtime, counted, reply](Task& task) {
      std::optional<WorkMeter> meter;
      if (counted) meter.emplace(runtime, task);
      std::optional<Response> response = visit->later(task);
      visit->later = nullptr;
      if (counted) visit->worked = visit->worked + meter->worked();
      reply(runtime, {std::move(response), std::move(visit->connection.close_because), visit->worked});
    });
    return;
  }
  PartAnswer<Response> answer;
  answer.close_because = std::move(outcome.close_because);
  if (auto* now = std::get_if<Response>(&outcome.value)) answer.response = std::move(*now);
  answer.worked = visit->worked;
  guests.leave(id);
  reply(runtime, std::move(answer));
}

/// A whole message on its way to another shard, and its answer. Lives on the asker's shard for as long as the request
/// does.
template <class Message>
class Forwarded {
 public:
  using Response = typename Message::Response;

  Forwarded(const Request& request, ShardId to, Message message, Handler<Message> handler)
      : broker_(request.broker), connection_(request.connection), to_(to), guest_(broker_.runtime().shard(), broker_.next_guest()) {
    const auto reply = [door = door_.from(broker_.runtime().shard())](Runtime& there, PartAnswer<Response> answer) {
      door.post(there, [answer = std::move(answer)](Forwarded& f) mutable {
        f.answer_.emplace(std::move(answer));
        f.arrived_.set();
      });
    };
    broker_.shard(to).post(broker_.runtime(), [id = guest_, connection = request.connection, version = request.version,
                                               message = std::move(message), handler, reply](BrokerShard& s) mutable {
      answer_part<Message>(s, id, std::move(connection), version, std::move(message), handler, reply);
    });
  }

  /// Nothing if the asker was called off; then so is whoever is at work there.
  std::optional<Response> wait(Task& task) {
    if (arrived_.wait(task)) {
      connection_.worked_elsewhere = connection_.worked_elsewhere + answer_->worked;
      return std::move(answer_->response);
    }
    broker_.shard(to_).post(broker_.runtime(), [id = guest_](BrokerShard& s) { s.guests().cancel(id); });
    return std::nullopt;
  }

 private:
  BrokerContext& broker_;
  ConnectionInfo& connection_;
  ShardId to_;
  GuestId guest_;
  std::optional<PartAnswer<Response>> answer_;
  Event arrived_;
  Door<Forwarded> door_{*this};
};

}  // namespace taffrail::handlers
