// What an operator asks about consumer groups, and does to their offsets.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/group_assignment.h"
#include "client/metadata.h"

namespace taffrail::client {

struct GroupListing {
  std::string group;
  std::string protocol_type;  ///< "consumer"; empty: nobody ever joined, there are only offsets.
  std::string state;          ///< Empty from brokers that do not tell.
  std::string type;           ///< "classic", "consumer"; likewise.
  BrokerId coordinator = kNoBroker;
};

struct GroupDescription {
  struct Member {
    std::string id;
    std::optional<std::string> instance;
    std::string client;
    std::string host;
    std::vector<TopicPartition> partitions;  ///< Where they can be understood.
  };
  std::string type;  ///< "classic" or "consumer".
  std::string state;
  std::string protocol_type;
  std::string protocol;  ///< The assignor of a consumer group.
  BrokerId coordinator = kNoBroker;
  std::vector<Member> members;
};

struct CommittedOffset {
  Offset offset;
  std::string metadata;
};

class GroupAdmin {
 public:
  /// `cluster` outlives it.
  explicit GroupAdmin(Cluster& cluster) : cluster_(cluster) {}

  /// All groups of all brokers, by name. Errors: kUnavailable if one of them does not answer; kCancelled.
  Result<std::vector<GroupListing>> list(Task& task, Instant deadline);
  /// Errors: kNotFound; kUnavailable, kTimedOut, kCancelled.
  Result<GroupDescription> describe(Task& task, const std::string& group, Instant deadline);
  /// Everything that the group has committed; of one that does not exist nothing. Errors: as above.
  Result<std::map<TopicPartition, CommittedOffset>> committed(Task& task, const std::string& group, Instant deadline);
  /// Sets offsets of a group without members. Errors: kBusy if it has some; kNotFound for a topic; as above.
  Result<> set_offsets(Task& task, const std::string& group, const std::map<TopicPartition, Offset>& offsets, Instant deadline);
  /// The group and its offsets. Errors: kBusy if it has members; as above.
  Result<> remove(Task& task, const std::string& group, Instant deadline);

 private:
  template <class Attempt>
  auto at_coordinator(Task& task, const std::string& group, Instant deadline, Attempt attempt)
      -> decltype(attempt(std::declval<KafkaConnection&>(), BrokerId{}));
  Result<BrokerId> find(Task& task, const std::string& group, Instant deadline);

  Cluster& cluster_;
};

}  // namespace taffrail::client
