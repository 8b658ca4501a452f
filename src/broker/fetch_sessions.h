// Fetch sessions (KIP-227): what a consumer asked for is remembered, so that it names only what has changed, and is
// answered only with what has.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/units.h"
#include "protocol/fetch.h"

namespace taffrail {

/// The sessions of one shard. A client that comes back to another one is told that its session is unknown, and opens
/// the next.
///
///     epoch -1, id 0   no session            -1, id   ends it, and none is opened
///     epoch  0, id 0   opens one              0, id   ends it, and opens another
///     epoch n >= 1     the n-th request of session `id`: changes to what it asks for
class FetchSessions {
 public:
  struct Limits {
    size_t sessions = 1000;           ///< max.incremental.fetch.session.cache.slots
    size_t partitions = 100'000;      ///< Of all sessions together: what bounds the memory.
    Duration idle = Duration::from_ms(120'000);  ///< After which one may go to make room (min.incremental.fetch.session.eviction.ms).
  };
  FetchSessions(Random& random, Limits limits) : random_(random), limits_(limits) {}

  /// One request on its way through.
  struct Turn {
    protocol::ErrorCode refused = protocol::ErrorCode::kNone;  ///< Else the whole answer.
    int32_t session = 0;                                       ///< 0: none.
    bool incremental = false;
  };
  /// Completes `request`: afterwards it names everything that the session asks for, in the order in which it shall be
  /// served. Refuses: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR for topics
  /// by name in a session by id or the other way round.
  Turn begin(protocol::FetchRequest& request, int16_t version, Instant now);
  /// Leaves out of `answer` what the client knows already, and remembers what it is told. Whoever was given records
  /// waits behind the others the next time, where the limit of an answer would else always stop at the same.
  void finish(const Turn& turn, protocol::FetchResponse& answer);

  size_t size() const { return sessions_.size(); }
  size_t partition_count() const { return partition_count_; }

 private:
  using Key = std::tuple<std::string, TopicId, int32_t>;
  struct Member {
    Key key;
    protocol::FetchRequest::Partition asked;
    Offset told_high{-1};
    Offset told_start{-1};
  };
  struct Session {
    int32_t epoch = 0;  ///< Of the next request.
    bool by_id = false;
    Instant used;
    std::list<Member> members;  ///< In the order of service.
    std::map<Key, std::list<Member>::iterator> places;
  };

  static Key key_of(const auto& topic, int32_t partition, bool by_id);
  void end(int32_t id);
  int32_t open(const protocol::FetchRequest& request, bool by_id, Instant now);
  bool make_room(Instant now);
  void ask_for(Session& session, const protocol::FetchRequest& request);

  Random& random_;
  Limits limits_;
  std::map<int32_t, Session> sessions_;
  size_t partition_count_ = 0;
};

}  // namespace taffrail
