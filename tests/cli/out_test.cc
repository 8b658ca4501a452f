// Goal: people get tables, programs get JSON, and no byte of a topic commands a terminal.
// Method: rendering is pure; expected texts are written out.
#include <gtest/gtest.h>

#include "cli/out.h"

namespace taffrail::cli {
namespace {

TEST(Out, ATableLinesUpWithNumbersToTheRight) {
  const Table table{{"TOPIC", "PARTS", "REPLICAS"},
                    {{std::string("a"), int64_t{7}, std::vector<int64_t>{1, 2}},
                     {std::string("orders"), int64_t{120}, std::vector<int64_t>{}}}};
  EXPECT_EQ(render(table, Format::kTable),
            "TOPIC   PARTS  REPLICAS\n"
            "a           7  1,2\n"
            "orders    120  -\n");
}

TEST(Out, JsonHasTheSameValuesWithTheirTypes) {
  const Table table{{"TOPIC", "WITHOUT LEADER", "OK", "RACK"}, {{std::string("a\"\n"), int64_t{0}, true, Value()}}};
  EXPECT_EQ(render(table, Format::kJson),
            "[{\"topic\":\"a\\\"\\n\",\"without_leader\":0,\"ok\":true,\"rack\":null}]\n");
  EXPECT_EQ(render(Table{{"A"}, {}}, Format::kJson), "[]\n");
  EXPECT_EQ(render(Fields{{"replication factor", int64_t{3}}}, Format::kJson), "{\"replication_factor\":3}\n");
}

TEST(Out, BytesThatAreNoTextDoNotBreakJson) {
  const std::string text = render(Fields{{"value", std::string("\xff\xfe")}}, Format::kJson);
  EXPECT_EQ(text.front(), '{');
  EXPECT_EQ(text.back(), '\n');
}

TEST(Out, ControlCharactersReachNoTerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
  EXPECT_EQ(render(Fields{{"k", std::string("\x07")}}, Format::kTable), "k  \\x07\n");
}

}  // namespace
}  // namespace taffrail::cli
