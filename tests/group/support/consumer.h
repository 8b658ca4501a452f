// A member of a consumer group that does what clients do: says all when it joins and after errors, tells what it owns when
// that changed, and gives up what it is not given any more.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "group/support/bench.h"

namespace taffrail::group::test {

struct Consumer {
  using Request = ConsumerGroupHeartbeatRequest;
  using Response = ConsumerGroupHeartbeatResponse;

  std::string id;
  std::vector<std::string> topics = {"t"};
  std::optional<std::string> instance = {};
  std::optional<std::string> assignor = {};
  std::optional<std::string> regex = {};
  int32_t epoch = 0;
  PartitionSet owned = {};
  bool tells = true;  ///< What it owns, with the next heartbeat.
  Token token = 0;

  Request full() const {
    Request r;
    r.group_id = "g";
    r.member_id = id;
    r.member_epoch = epoch;
    r.instance_id = instance;
    r.rebalance_timeout_ms = 30'000;
    r.subscribed_topic_names = topics;
    r.subscribed_topic_regex = regex;
    r.server_assignor = assignor;
    r.topic_partitions = list_of(owned);
    return r;
  }
  Request brief() const {
    Request r;
    r.group_id = "g";
    r.member_id = id;
    r.member_epoch = epoch;
    r.instance_id = instance;
    if (tells) r.topic_partitions = list_of(owned);
    return r;
  }
  /// Takes in what it was told: the code of the answer, or nothing if there is none yet.
  std::optional<ErrorCode> hear(const Bench& bench) {
    if (!bench.answered(token)) return std::nullopt;
    const auto answer = bench.get<Response>(token);
    if (answer.error_code == ErrorCode::kUnknownMemberId || answer.error_code == ErrorCode::kFencedMemberEpoch ||
        answer.error_code == ErrorCode::kGroupIdNotFound) {
      epoch = 0;
      owned.clear();
    }
    if (answer.error_code != ErrorCode::kNone) {
      tells = true;
      return answer.error_code;
    }
    epoch = answer.member_epoch;
    tells = false;
    if (answer.assignment) {
      const PartitionSet given = set_of(answer.assignment->topic_partitions);
      tells = given != owned;
      owned = given;
    }
    return ErrorCode::kNone;
  }
  std::optional<ErrorCode> beat(Bench& bench) {
    token = bench.beat(epoch == 0 ? full() : brief());
    return hear(bench);
  }
  std::optional<ErrorCode> leave(Bench& bench, int32_t as = Request::kLeave) {
    Request r;
    r.group_id = "g";
    r.member_id = id;
    r.instance_id = instance;
    r.member_epoch = as;
    token = bench.beat(r);
    return bench.get<Response>(token).error_code;
  }
  /// "t0 t1".
  std::string text(const Bench& bench) const {
    std::string out;
    for (const auto& [topic, partitions] : owned)
      for (const int32_t p : partitions) out += (out.empty() ? "" : " ") + bench.topics.find(topic)->name + std::to_string(p);
    return out;
  }
};

inline Options consumer_options() {
  Options options = quick_options();
  options.consumer_assignment_interval = {};
  return options;
}

/// All speak until nothing changes any more; false if that takes longer than it may.
inline bool settle(Bench& bench, std::vector<Consumer*> members) {
  for (int round = 0; round < 20; ++round) {
    bool changed = false;
    for (Consumer* m : members) {
      const auto before = std::pair(m->epoch, m->owned);
      const bool told = m->tells;
      if (m->beat(bench) != ErrorCode::kNone) return false;
      changed = changed || told || before != std::pair(m->epoch, m->owned);
    }
    if (!changed) return true;
  }
  return false;
}

}  // namespace taffrail::group::test
