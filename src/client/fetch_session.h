// What a consumer has told one broker that it reads, so that it names only what has changed (KIP-227). The broker's
// side is src/broker/fetch_sessions.h. Pure.
//
//     asked with          the broker answers        asked with next
//     epoch 0, id or 0    all of it, and an id      epoch 1 of that id
//     epoch 0, id or 0    all of it, and id 0       epoch 0: it has no session to give
//     epoch n, id         what is new, and the id   epoch n + 1, after INT32_MAX 1
//     any                 an error, or nothing      epoch 0 with the id, which ends the old session and opens another
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/ids.h"
#include "protocol/fetch.h"

namespace taffrail::client {

/// With one broker. One request is on its way at a time: shorten() it, then hear() its answer, unless that was lost.
class FetchSession {
 public:
  /// `request` names all that is to be read now, by name and id, each partition once. Puts the session into it, and, if
  /// the session goes on, takes out what the broker knows already and names what is to be read no more.
  void shorten(protocol::FetchRequest& request, int16_t version);
  /// The answer to that request, of whichever kind.
  void hear(const protocol::FetchResponse& answer);
  /// Of a partition of the last request, as the broker last told; kNoOffset if it did not, or told of an error.
  /// A partition that an answer leaves out still has this one, and has no records.
  Offset high_watermark(const std::string& topic, const TopicId& id, int32_t partition) const;
  /// 0 opens a session, and never comes again.
  static int32_t epoch_after(int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

 private:
  using Key = std::tuple<std::string, TopicId, int32_t>;  ///< By name or by id; the other is empty.
  struct Told {
    TopicId id;
    protocol::FetchRequest::Partition asked;
    Offset high_watermark = kNoOffset;
    uint64_t request = 0;  ///< The last that was about it.
  };

  Key key_of(const std::string& topic, const TopicId& id, int32_t partition) const;

  int32_t id_ = 0;
  int32_t asked_ = 0;  ///< The epoch of the last request.
  int32_t next_ = 0;   ///< Of the next one: 0 until an answer says that the session goes on.
  int16_t version_ = 0;
  uint64_t request_ = 0;
  std::map<Key, Told> told_;
};

}  // namespace taffrail::client
