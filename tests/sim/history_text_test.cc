// Goal: a history as text means what it says, is judged by the one checker, and nonsense is refused with its
// line. Method: texts by hand.
#include "sim/checkers/history_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace taffrail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kTold = R"(taffrail history, format 1
# Two records, one of them acknowledged.
writer 1 acks=all idempotent
sent 10 1 orders 0

sent 11 1 orders 0
acked 10 0
unknown 11
poll 7 orders 0 0 1 1 0 0:10
reset 7 orders 0
poll 7 orders 0 0 1 1 0 0:10
)";

std::string told(std::string_view more) { return std::string(kTold) + std::string(more); }

std::vector<std::string> verdict(const std::string& text) {
  const Result<ToldHistory> parsed = parse_history(text);
  EXPECT_TRUE(parsed.has_value()) << parsed.error().text();
  return parsed ? parsed->history.check(parsed->complete) : std::vector<std::string>{"unread"};
}

TEST(HistoryText, WhatIsRightIsRead) {
  const Result<ToldHistory> parsed = parse_history(told("final orders 0 0 2 0:10 1:11\n"));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().text();
  EXPECT_TRUE(parsed->complete);
  EXPECT_EQ(parsed->history.sends().size(), 2u);
  EXPECT_EQ(parsed->history.count(History::Outcome::kAcked), 1u);
  EXPECT_EQ(parsed->history.count(History::Outcome::kUnknown), 1u);
  EXPECT_EQ(parsed->history.polls().size(), 3u);
  EXPECT_THAT(parsed->history.check(true), ElementsAre());
}

TEST(HistoryText, TheCheckerFindsInItWhatItFindsInSimulatedOnes) {
  EXPECT_THAT(verdict(told("final orders 0 0 1 0:11\n")), ::testing::Contains(StartsWith("lost-write: ")));
  EXPECT_THAT(verdict(told("final orders 0 0 3 0:10 1:11 2:11\n")), ElementsAre(StartsWith("duplicate: ")));
  EXPECT_THAT(verdict(told("poll 7 orders 0 5 6 6 0\n")), ElementsAre(StartsWith("poll-skip: ")));
  EXPECT_THAT(verdict(told("sent 12 1 orders 0\nfailed 12\nfinal orders 0 0 3 0:10 1:11 2:12\n")),
              ElementsAre(StartsWith("G1a: ")));
}

TEST(HistoryText, WithoutFinalReadsOnlyWhatClientsSawCounts) {
  const Result<ToldHistory> parsed = parse_history(kTold);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_FALSE(parsed->complete);
  EXPECT_THAT(parsed->history.check(false), ElementsAre());
}

TEST(HistoryText, ASuperfluousOrMissingWordIsRefusedWithItsLine) {
  for (const std::string_view line : {"acked 10", "acked 10 0 0", "acked 99 0", "acked ten 0", "sent 10 1 orders 0", "sent 12 1 orders",
                                      "writer 1 acks=2 plain", "poll 7 orders 0 0 1 1 0 3", "poll 7 orders 0 0 1 1 0 3:x", "unknown 10",
                                      "nonsense", "sent -1 1 orders 0", "final orders 0 0"}) {
    const Result<ToldHistory> parsed = parse_history(told(std::string(line) + "\n"));
    ASSERT_FALSE(parsed.has_value()) << line;
    EXPECT_THAT(parsed.error().message, HasSubstr("line 12: ")) << line;
  }
}

TEST(HistoryText, WhatCannotBeJudgedIsRefused) {
  EXPECT_FALSE(parse_history("").has_value());
  EXPECT_FALSE(parse_history("taffrail history, format 2\n").has_value());
  // The end of one partition is known, of the other it is not: a loss there would go unseen.
  EXPECT_FALSE(parse_history(told("sent 20 1 orders 1\nfinal orders 0 0 2 0:10 1:11\n")).has_value());
}

}  // namespace
}  // namespace taffrail
