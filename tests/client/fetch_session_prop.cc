// Goal: a client that names only what has changed is understood as if it had named everything, and knows as much as
// whole answers would tell it (I-N5). Method: the client's session against the broker's own, over the wire format,
// through random histories in which requests and answers get lost, brokers forget, topics are made again and versions
// change; and the life of a session step by step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "broker/fetch_sessions.h"
#include "client/fetch_session.h"
#include "protocol/codec.h"

namespace taffrail::client {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int16_t kByName = 12;
constexpr int16_t kById = 18;
constexpr Instant kNow{1'000'000'000};

TopicId id_of(uint64_t number) { return {7, number}; }

struct Wish {
  TopicId id;
  Offset at;
  int32_t leader_epoch = 0;
};
using Wishes = std::map<std::pair<std::string, int32_t>, Wish>;

FetchRequest whole_request(const Wishes& wishes) {
  FetchRequest request;
  for (const auto& [from, wish] : wishes) {
    if (request.topics.empty() || request.topics.back().topic != from.first)
      request.topics.push_back({from.first, wish.id, {}, {}});
    auto& part = request.topics.back().partitions.emplace_back();
    part.partition = from.second;
    part.fetch_offset = wish.at;
    part.current_leader_epoch = wish.leader_epoch;
    part.partition_max_bytes = 1000;
  }
  return request;
}

using Key = std::tuple<std::string, TopicId, int32_t>;

std::map<Key, FetchRequest::Partition> by_key(const FetchRequest& request) {
  std::map<Key, FetchRequest::Partition> all;
  for (const auto& topic : request.topics)
    for (const auto& part : topic.partitions) all[{topic.topic, topic.topic_id, part.partition}] = part;
  return all;
}

std::vector<std::string> named(const FetchRequest& request) {
  std::vector<std::string> all;
  for (const auto& topic : request.topics)
    for (const auto& part : topic.partitions) all.push_back(topic.topic + "-" + std::to_string(part.partition));
  return all;
}

size_t forgotten(const FetchRequest& request) {
  size_t count = 0;
  for (const auto& topic : request.forgotten_topics_data) count += topic.partitions.size();
  return count;
}

FetchResponse answer_of(int32_t session, const FetchRequest& to, Offset high_watermark = Offset(5)) {
  FetchResponse answer;
  answer.session_id = session;
  for (const auto& topic : to.topics) {
    auto& out = answer.responses.emplace_back();
    out.topic = topic.topic;
    out.topic_id = topic.topic_id;
    for (const auto& part : topic.partitions) {
      out.partitions.emplace_back().partition_index = part.partition;
      out.partitions.back().high_watermark = high_watermark;
    }
  }
  return answer;
}

FetchResponse error(ErrorCode code) {
  FetchResponse answer;
  answer.error_code = code;
  return answer;
}

/// A client's session, what it reads, and the last request.
struct Client {
  const FetchRequest& ask(int16_t version = kByName) {
    request = whole_request(wishes);
    session.shorten(request, version);
    return request;
  }
  std::pair<int32_t, int32_t> said() const { return {request.session_id, request.session_epoch}; }

  FetchSession session;
  Wishes wishes{{{"t", 0}, {id_of(1), Offset(0)}}, {{"t", 1}, {id_of(1), Offset(0)}}};
  FetchRequest request;
};

TEST(FetchSession, NamesEverythingOnceAndThenWhatChanges) {
  Client c;
  EXPECT_THAT(named(c.ask()), ElementsAre("t-0", "t-1"));
  EXPECT_EQ(c.said(), std::pair(0, 0));
  c.session.hear(answer_of(9, c.request));
  EXPECT_THAT(named(c.ask()), IsEmpty());
  EXPECT_EQ(c.said(), std::pair(9, 1));
  c.session.hear(answer_of(9, {}));
  EXPECT_EQ(c.session.high_watermark("t", id_of(1), 1), Offset(5)) << "as it was told";

  c.wishes[{"t", 1}].at = Offset(3);
  EXPECT_THAT(named(c.ask()), ElementsAre("t-1"));
  EXPECT_EQ(c.request.topics[0].partitions[0].fetch_offset, Offset(3));
  c.session.hear(answer_of(9, {}));
  c.wishes[{"t", 0}].leader_epoch = 1;
  EXPECT_THAT(named(c.ask()), ElementsAre("t-0"));
  c.session.hear(answer_of(9, {}));

  // One goes, one comes.
  c.wishes.erase({"t", 0});
  c.wishes[{"u", 4}] = {id_of(2), Offset(0)};
  EXPECT_THAT(named(c.ask()), ElementsAre("u-4"));
  ASSERT_EQ(c.request.forgotten_topics_data.size(), 1u);
  EXPECT_EQ(c.request.forgotten_topics_data[0].topic, "t");
  EXPECT_THAT(c.request.forgotten_topics_data[0].partitions, ElementsAre(0));
  EXPECT_EQ(c.said(), std::pair(9, 4));
}

TEST(FetchSession, BeginsAnotherAfterWhateverElseIsAnswered) {
  Client c;
  const auto open = [&c] {
    c.session.hear(answer_of(9, c.ask()));
    c.ask();
    ASSERT_EQ(c.said(), std::pair(9, 1));
  };
  const auto begins_anew = [&c](int32_t id) {
    c.ask();
    EXPECT_EQ(c.said(), std::pair(id, 0));
    EXPECT_THAT(named(c.request), ElementsAre("t-0", "t-1"));
    EXPECT_EQ(forgotten(c.request), 0u);
  };
  open();
  begins_anew(9);  // The answer was lost...
  begins_anew(9);  // ...and the next one too.
  open();
  c.session.hear(error(ErrorCode::kInvalidFetchSessionEpoch));
  begins_anew(9);
  open();
  c.session.hear(error(ErrorCode::kFetchSessionTopicIdError));
  begins_anew(9);
  open();
  c.session.hear(error(ErrorCode::kUnknownServerError));
  begins_anew(9);
  open();
  c.session.hear(error(ErrorCode::kFetchSessionIdNotFound));
  begins_anew(0);
  open();
  c.session.hear(answer_of(0, {}));
  begins_anew(0);  // It was told that it has none any more.
  open();
  c.session.hear(answer_of(10, {}));
  begins_anew(10);
}

TEST(FetchSession, AsksForEverythingWhereThereIsNoneToHave) {
  Client c;
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(named(c.ask()), ElementsAre("t-0", "t-1"));
    EXPECT_EQ(c.said(), std::pair(0, 0));
    c.session.hear(answer_of(0, c.request));
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(named(c.ask(6)), ElementsAre("t-0", "t-1"));
    EXPECT_EQ(c.said(), std::pair(0, -1)) << "version 6 knows none";
    c.session.hear(answer_of(0, c.request));
  }
}

TEST(FetchSession, DoesNotGoOnFromAnAnswerToAnotherQuestion) {
  Client c;
  FetchRequest one = c.ask();
  one.topics[0].partitions.pop_back();
  c.session.hear(answer_of(9, one));
  c.ask();
  EXPECT_EQ(c.said(), std::pair(9, 0)) << "it left out what it was asked for";
  c.session.hear(answer_of(10, c.request));
  c.ask();
  EXPECT_EQ(c.said(), std::pair(10, 1));
  one.topics[0].partitions[0].partition = 7;
  c.session.hear(answer_of(10, one));
  c.ask();
  EXPECT_EQ(c.said(), std::pair(10, 0)) << "it told of what it was not asked for";
}

TEST(FetchSession, IsByNameOrByIdToItsEnd) {
  Client c;
  c.session.hear(answer_of(9, c.ask(kByName)));
  EXPECT_THAT(named(c.ask(kById)), ElementsAre("t-0", "t-1"));
  EXPECT_EQ(c.said(), std::pair(9, 0));
  c.session.hear(answer_of(10, c.request));
  EXPECT_THAT(named(c.ask(kById)), IsEmpty());
  c.session.hear(answer_of(10, {}));
  EXPECT_THAT(named(c.ask(kByName)), ElementsAre("t-0", "t-1"));
  EXPECT_EQ(c.said(), std::pair(10, 0));
}

TEST(FetchSession, ATopicThatWasMadeAgainIsAnother) {
  for (const int16_t version : {kByName, kById}) {
    Client c;
    c.session.hear(answer_of(9, c.ask(version)));
    c.wishes[{"t", 0}].id = c.wishes[{"t", 1}].id = id_of(2);
    EXPECT_THAT(named(c.ask(version)), ElementsAre("t-0", "t-1"));
    EXPECT_EQ(c.said(), std::pair(9, 1));
    // By name Kafka would forget what it has just been told.
    EXPECT_EQ(forgotten(c.request), version == kById ? 2u : 0u);
    if (version == kByName) continue;
    EXPECT_EQ(c.request.forgotten_topics_data[0].topic_id, id_of(1));
    EXPECT_EQ(c.session.high_watermark("t", id_of(2), 0), kNoOffset);
  }
}

TEST(FetchSession, AfterAnErrorNothingIsKnown) {
  Client c;
  FetchResponse answer = answer_of(9, c.ask());
  answer.responses[0].partitions[1].error_code = ErrorCode::kNotLeaderOrFollower;
  c.session.hear(answer);
  EXPECT_EQ(c.session.high_watermark("t", id_of(1), 0), Offset(5));
  EXPECT_EQ(c.session.high_watermark("t", id_of(1), 1), kNoOffset);
}

TEST(FetchSession, EpochsBeginAgainAtOne) {
  EXPECT_EQ(FetchSession::epoch_after(0), 1);
  EXPECT_EQ(FetchSession::epoch_after(INT32_MAX - 1), INT32_MAX);
  EXPECT_EQ(FetchSession::epoch_after(INT32_MAX), 1);
}

/// As it comes out at the other end.
template <class Message>
Message over_the_wire(const Message& message, int16_t version) {
  const auto bytes = protocol::encode(message, version);
  RC_ASSERT(bytes.has_value());
  const auto read = protocol::decode<Message>(bytes->flat(), version);
  RC_ASSERT(read.has_value());
  return *read;
}

struct Truth {
  Offset high{0};
  ErrorCode error = ErrorCode::kNone;
  bool has_records = false;
};

RC_GTEST_PROP(FetchSessionProp, IsUnderstoodAsIfItNamedEverything, ()) {
  CounterRandom random(*rc::gen::arbitrary<uint64_t>());
  auto broker = std::make_unique<FetchSessions>(random, FetchSessions::Limits{});
  FetchSession session;
  Wishes wishes;
  uint64_t last_id = 3;
  std::map<std::string, TopicId> ids{{"a", id_of(1)}, {"b", id_of(2)}, {"c", id_of(3)}};
  std::map<std::pair<std::string, int32_t>, Truth> truth;
  const auto one_in = [&random](uint64_t n) { return random.below(n) == 0; };
  const std::vector<int16_t> versions{4, 6, 7, 8, 11, 12, 13, 18};
  int16_t version = kById;
  size_t steps_in_sessions = 0;
  for (int step = 0; step < 80; ++step) {
    // The world goes on, and the client changes its mind.
    for (const std::string topic : {"a", "b", "c"})
      for (int32_t p = 0; p < 3; ++p) {
        Truth& is = truth[{topic, p}];
        is.has_records = one_in(4);
        if (is.has_records || one_in(6)) is.high = is.high + static_cast<int64_t>(1 + random.below(2));
        if (one_in(6)) is.error = is.error == ErrorCode::kNone ? ErrorCode::kNotLeaderOrFollower : ErrorCode::kNone;
        const auto wish = wishes.find({topic, p});
        if (wish == wishes.end() && one_in(3)) wishes[{topic, p}] = {ids[topic], Offset(0)};
        if (wish == wishes.end()) continue;
        if (one_in(5)) wish->second.at = wish->second.at + static_cast<int64_t>(random.below(2));
        if (one_in(10)) ++wish->second.leader_epoch;
        if (one_in(8)) wishes.erase(wish);
      }
    if (one_in(15)) {
      const std::string topic(1, static_cast<char>('a' + random.below(3)));
      ids[topic] = one_in(3) ? TopicId() : id_of(++last_id);
      for (auto& [from, wish] : wishes)
        if (from.first == topic) wish.id = ids[topic];
    }
    if (one_in(20)) version = versions[random.below(versions.size())];
    if (one_in(25))
      broker = std::make_unique<FetchSessions>(random, FetchSessions::Limits{.sessions = random.below(3)});
    if (wishes.empty()) continue;

    bool all_have_ids = true;
    for (const auto& [from, wish] : wishes) all_have_ids = all_have_ids && !wish.id.is_zero();
    const int16_t spoken = all_have_ids ? version : std::min(version, kByName);
    const FetchRequest whole = whole_request(wishes);
    FetchRequest request = whole;
    session.shorten(request, spoken);
    const bool incremental = request.session_epoch > 0;
    if (one_in(12)) continue;  // It never came there.

    FetchRequest come = over_the_wire(request, spoken);
    const auto turn = broker->begin(come, spoken, kNow);
    FetchResponse answer;
    answer.error_code = turn.refused;
    if (turn.refused == ErrorCode::kNone) {
      RC_ASSERT(by_key(come) == by_key(over_the_wire(whole, spoken)));
      answer = answer_of(0, come);
      for (auto& topic : answer.responses)
        for (auto& part : topic.partitions) {
          std::string name = topic.topic;
          for (const auto& [known, id] : ids)
            if (spoken >= 13 && id == topic.topic_id) name = known;
          const Truth& is = truth[{name, part.partition_index}];
          part.error_code = is.error;
          part.high_watermark = is.high;
          if (is.has_records) part.records.add(Slice(as_bytes("records")));
        }
      broker->finish(turn, answer);
    } else {
      RC_ASSERT(incremental);
    }
    if (one_in(12)) continue;  // It never came back.

    const FetchResponse heard = over_the_wire(answer, spoken);
    session.hear(heard);
    if (heard.error_code != ErrorCode::kNone) continue;
    if (incremental) ++steps_in_sessions;
    std::set<Key> told;
    for (const auto& topic : heard.responses)
      for (const auto& part : topic.partitions) told.insert({topic.topic, topic.topic_id, part.partition_index});
    for (const auto& [from, wish] : wishes) {
      const bool by_id = spoken >= 13;
      if (told.contains({by_id ? "" : from.first, by_id ? wish.id : TopicId(), from.second})) continue;
      RC_ASSERT(incremental);
      const Truth& is = truth[from];
      RC_ASSERT(is.error == ErrorCode::kNone && !is.has_records);
      RC_ASSERT(session.high_watermark(from.first, wish.id, from.second) == is.high);
    }
  }
  RC_CLASSIFY(steps_in_sessions > 20, "twenty steps in sessions");
}

}  // namespace
}  // namespace taffrail::client
