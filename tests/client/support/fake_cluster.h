// Brokers that do what a test tells them: logs in memory, leaders that move by hand, answers that get
// lost. They speak the real protocol over the simulated network, so that the client is the real one.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/metadata.h"
#include "client/record.h"
#include "net/server.h"
#include "protocol/api.h"
#include "protocol/errors.h"
#include "protocol/fetch.h"
#include "sim/world.h"

namespace taffrail::client::test {

inline constexpr uint16_t kPort = 9092;

/// What a broker shall do with one request instead of the ordinary.
struct Script {
  enum Kind : uint8_t {
    kRefuse,      ///< Answers `error`, does nothing.
    kActAndDrop,  ///< Does it, then closes the connection without an answer.
    kDropFirst,   ///< Closes the connection, does nothing.
    kNeverAnswer, ///< Does it, and says nothing.
  };
  Kind kind = kRefuse;
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
};

class FakeCluster {
 public:
  struct Log {
    BrokerId leader;
    int32_t epoch = 0;
    std::vector<Slice> batches;
    Offset start{0};
    Offset next{0};
    std::vector<protocol::FetchResponse::AbortedTransaction> aborted;
    struct Producer {
      ProducerEpoch epoch{-1};
      struct Taken {
        Sequence first;
        Sequence next;
        Offset at;
      };
      std::deque<Taken> taken;  ///< The last five.
    };
    std::map<ProducerId, Producer> producers;
  };

  /// `brokers` machines of `world`, with ids 1, 2, ..., serving at "n1", "n2", ...
  FakeCluster(sim::World& world, uint32_t brokers);
  /// One more machine, for the client.
  sim::NodeId client_node() const { return client_; }
  ClusterOptions options() const;

  /// Without an id it is one of a broker that knows none.
  void add_topic(const std::string& name, int32_t partitions, bool has_id = true);
  /// Empty, under another id.
  void make_again(const std::string& name);
  Log& log(const std::string& topic, int32_t partition = 0) { return logs_.at({topic, partition}); }
  void move_leader(const std::string& topic, int32_t partition, BrokerId to);
  /// Appends as a leader would.
  void append(Log& log, const Slice& batch);
  /// All values in the log, in order.
  std::vector<std::string> values(const std::string& topic, int32_t partition = 0) const;
  /// Asked before each request; nothing: the ordinary.
  std::function<std::optional<Script>(protocol::ApiKey)> script;
  /// The next `count` requests of that kind.
  void next(protocol::ApiKey key, Script what, int count = 1);
  /// What a broker says it speaks; absent: everything. 0 for ApiVersions makes it answer 35 to more.
  std::map<protocol::ApiKey, int16_t> version_max;
  std::map<protocol::ApiKey, int> asked;
  /// Fetches as they came over the wire.
  struct Fetch {
    BrokerId broker;
    int16_t version = 0;
    protocol::FetchRequest request;
    size_t named() const;      ///< Partitions.
    size_t forgotten() const;
  };
  std::vector<Fetch> fetches;
  /// So many of the next that ask for a session get none.
  int without_session = 0;
  /// Left out of every answer, as no broker may.
  std::optional<TopicPartition> left_out;
  /// Brokers do not know the sessions any more that they gave so far.
  void lose_sessions() { ++lost_sessions_; }
  /// A new process.
  void restart(BrokerId broker);

 private:
  friend class FakeBroker;
  std::map<TopicPartition, Log> logs_;
  std::map<std::string, TopicId> ids_;
  uint64_t last_id_ = 0;
  uint64_t lost_sessions_ = 0;
  sim::World& world_;
  std::vector<sim::NodeId> nodes_;
  std::map<protocol::ApiKey, std::deque<Script>> next_;
  int64_t next_producer_id_ = 1000;
  uint32_t brokers_;
  sim::NodeId client_;
};

/// Runs `body` on the client's machine with a Cluster, and checks that it came to its end.
void run_client(sim::World& world, FakeCluster& brokers,
                std::function<void(Task&, Runtime&, Cluster&)> body, Duration limit = 600_s);

}  // namespace taffrail::client::test
