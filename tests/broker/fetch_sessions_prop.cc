// Goal: a fetch session gives its client, bit by bit, what whole requests would (I-N5), within its bounds. Method: a
// client's view that is kept up to date from incremental answers only, compared after each with the whole truth, over
// random histories; and the life of a session step by step.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "broker/fetch_sessions.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr Instant kNow{1'000'000'000};
constexpr int16_t kByName = 12;
constexpr int16_t kById = 17;

FetchRequest asking(std::vector<int32_t> partitions, int32_t id = 0, int32_t epoch = 0) {
  FetchRequest request;
  request.session_id = id;
  request.session_epoch = epoch;
  if (partitions.empty()) return request;
  auto& topic = request.topics.emplace_back();
  topic.topic = "t";
  for (const int32_t partition : partitions) topic.partitions.emplace_back().partition = partition;
  return request;
}

std::vector<int32_t> named(const auto& topics) {
  std::vector<int32_t> out;
  for (const auto& topic : topics)
    for (const auto& partition : topic.partitions) {
      if constexpr (requires { partition.partition; }) out.push_back(partition.partition);
      else out.push_back(partition.partition_index);
    }
  return out;
}

/// What a partition is like, as an answer tells it.
struct Truth {
  Offset high{0};
  Offset start{0};
  ErrorCode error = ErrorCode::kNone;
  bool operator==(const Truth&) const = default;
};

FetchResponse answering(const FetchRequest& request, const std::vector<Truth>& truth, const std::vector<int32_t>& with_records = {}) {
  FetchResponse answer;
  for (const auto& topic : request.topics) {
    auto& out = answer.responses.emplace_back();
    out.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      const Truth& is = truth[static_cast<size_t>(partition.partition)];
      auto& part = out.partitions.emplace_back();
      part.partition_index = partition.partition;
      part.error_code = is.error;
      part.high_watermark = is.high;
      part.log_start_offset = is.start;
      if (std::find(with_records.begin(), with_records.end(), partition.partition) != with_records.end())
        part.records.add(Slice(as_bytes("records")));
    }
  }
  return answer;
}

TEST(FetchSessions, AreOpenedGoOnAndEnd) {
  CounterRandom random(1);
  FetchSessions sessions(random, {});
  const std::vector<Truth> truth(4);
  FetchRequest request = asking({0, 1, 2});
  const auto opened = sessions.begin(request, kByName, kNow);
  ASSERT_GT(opened.session, 0);
  FetchResponse answer = answering(request, truth);
  sessions.finish(opened, answer);
  EXPECT_EQ(answer.session_id, opened.session);
  EXPECT_EQ(named(answer.responses), (std::vector<int32_t>{0, 1, 2})) << "the first answer is whole";

  // Nothing new is asked, and nothing new is told.
  request = asking({}, opened.session, 1);
  auto turn = sessions.begin(request, kByName, kNow);
  EXPECT_EQ(named(request.topics), (std::vector<int32_t>{0, 1, 2}));
  answer = answering(request, truth);
  sessions.finish(turn, answer);
  EXPECT_TRUE(answer.responses.empty());
  EXPECT_EQ(answer.session_id, opened.session);

  // One comes, one goes.
  request = asking({3}, opened.session, 2);
  request.topics[0].partitions[0].current_leader_epoch = 7;
  request.forgotten_topics_data.push_back({"t", {}, {0}, {}});
  turn = sessions.begin(request, kByName, kNow);
  EXPECT_EQ(named(request.topics), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(request.topics[0].partitions[2].current_leader_epoch, 7) << "as it was asked (KAFKA-9338)";
  EXPECT_EQ(sessions.partition_count(), 3u);
  answer = answering(request, truth);
  sessions.finish(turn, answer);
  EXPECT_EQ(named(answer.responses), (std::vector<int32_t>{3}));

  request = asking({}, opened.session, 2);
  EXPECT_EQ(sessions.begin(request, kByName, kNow).refused, ErrorCode::kInvalidFetchSessionEpoch);
  request = asking({}, opened.session, 3);
  EXPECT_EQ(sessions.begin(request, kById, kNow).refused, ErrorCode::kFetchSessionTopicIdError);
  request = asking({}, opened.session + 1, 3);
  EXPECT_EQ(sessions.begin(request, kByName, kNow).refused, ErrorCode::kFetchSessionIdNotFound);

  request = asking({1}, opened.session, -1);
  EXPECT_EQ(sessions.begin(request, kByName, kNow).session, 0);
  EXPECT_EQ(named(request.topics), (std::vector<int32_t>{1})) << "a whole request without a session";
  EXPECT_EQ(sessions.size(), 0u);
  EXPECT_EQ(sessions.partition_count(), 0u);
}

TEST(FetchSessions, OneThatAsksForNothingIsOver) {
  CounterRandom random(1);
  FetchSessions sessions(random, {});
  FetchRequest request = asking({0});
  const int32_t id = sessions.begin(request, kByName, kNow).session;
  request = asking({}, id, 1);
  request.forgotten_topics_data.push_back({"t", {}, {0}, {}});
  EXPECT_EQ(sessions.begin(request, kByName, kNow).session, 0);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST(FetchSessions, AnErrorIsToldEachTimeAndItsEndAsWell) {
  CounterRandom random(1);
  FetchSessions sessions(random, {});
  std::vector<Truth> truth(1);
  FetchRequest request = asking({0});
  const int32_t id = sessions.begin(request, kByName, kNow).session;
  int32_t epoch = 1;
  const auto told = [&] {
    request = asking({}, id, epoch++);
    const auto turn = sessions.begin(request, kByName, kNow);
    FetchResponse answer = answering(request, truth);
    sessions.finish(turn, answer);
    return named(answer.responses).size();
  };
  EXPECT_EQ(told(), 1u) << "the first was never told";
  EXPECT_EQ(told(), 0u);
  truth[0].error = ErrorCode::kNotLeaderOrFollower;
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(told(), 1u);
  truth[0].error = ErrorCode::kNone;
  EXPECT_EQ(told(), 1u) << "it is well again";
  EXPECT_EQ(told(), 0u);
}

TEST(FetchSessions, WhoWasGivenRecordsWaitsBehindTheOthers) {
  CounterRandom random(1);
  FetchSessions sessions(random, {});
  const std::vector<Truth> truth(3);
  FetchRequest request = asking({0, 1, 2});
  const auto turn = sessions.begin(request, kByName, kNow);
  FetchResponse answer = answering(request, truth, {0});
  sessions.finish(turn, answer);
  request = asking({}, turn.session, 1);
  sessions.begin(request, kByName, kNow);
  EXPECT_EQ(named(request.topics), (std::vector<int32_t>{1, 2, 0}));
}

TEST(FetchSessions, AreBoundedInNumberAndInPartitions) {
  CounterRandom random(1);
  FetchSessions sessions(random, {.sessions = 2, .partitions = 5, .idle = 10_s});
  const auto open = [&](std::vector<int32_t> partitions, Instant at) {
    FetchRequest request = asking(std::move(partitions));
    return sessions.begin(request, kByName, at).session;
  };
  const int32_t first = open({0, 1}, kNow);
  EXPECT_NE(first, 0);
  EXPECT_EQ(open({0, 1, 2, 3}, kNow), 0) << "six partitions";
  EXPECT_NE(open({0, 1}, kNow + 5_s), 0);
  EXPECT_EQ(open({0}, kNow + 9_s), 0) << "two sessions, neither of them idle";
  EXPECT_NE(open({0}, kNow + 11_s), 0) << "the oldest made room";
  FetchRequest request = asking({}, first, 1);
  EXPECT_EQ(sessions.begin(request, kByName, kNow + 11_s).refused, ErrorCode::kFetchSessionIdNotFound);
}

// I-N5: whatever happens, what a client knows from increments is what a whole answer would have told it.
RC_GTEST_PROP(FetchSessionsProp, AClientKnowsWhatWholeAnswersWouldTell, ()) {
  constexpr int32_t kPartitions = 5;
  CounterRandom random(*rc::gen::arbitrary<uint64_t>());
  FetchSessions sessions(random, {});
  std::vector<Truth> truth(kPartitions);
  std::map<int32_t, Truth> known;
  std::set<int32_t> wanted{0, 1, 2};
  FetchRequest request = asking({wanted.begin(), wanted.end()});
  auto turn = sessions.begin(request, kByName, kNow);
  RC_ASSERT(turn.session != 0);
  int32_t epoch = 1;
  for (int step = 0; step < 40; ++step) {
    FetchResponse answer = answering(request, truth);
    sessions.finish(turn, answer);
    for (const auto& topic : answer.responses)
      for (const auto& part : topic.partitions)
        known[part.partition_index] = {part.high_watermark, part.log_start_offset, part.error_code};
    RC_ASSERT(named(request.topics).size() == wanted.size());
    for (const int32_t partition : wanted) RC_ASSERT(known.at(partition) == truth[static_cast<size_t>(partition)]);
    // Something happens to the partitions, and the client changes its mind.
    for (Truth& t : truth) {
      if (random.below(3) == 0) t.high = t.high + static_cast<int64_t>(random.below(3));
      if (random.below(5) == 0) t.start = t.start + static_cast<int64_t>(random.below(2));
      if (random.below(6) == 0) t.error = random.below(2) == 0 ? ErrorCode::kNone : ErrorCode::kNotLeaderOrFollower;
    }
    const auto chosen = static_cast<int32_t>(random.below(kPartitions));
    request = asking({}, turn.session, epoch++);
    if (!wanted.contains(chosen)) {
      wanted.insert(chosen);
      known.erase(chosen);
      request = asking({chosen}, turn.session, epoch - 1);
    } else if (wanted.size() > 1) {
      wanted.erase(chosen);
      request.forgotten_topics_data.push_back({"t", {}, {chosen}, {}});
    }
    turn = sessions.begin(request, kByName, kNow);
    RC_ASSERT(turn.incremental);
  }
}

}  // namespace
}  // namespace taffrail
