// Goal: a log line says who speaks, and holds nothing that could pass for another line. Method:
// write to a file in each format, read it back.
#include "posix/logger.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "support/temporary_directory.h"
#include "support/tree_paths.h"

namespace taffrail::posix {
namespace {

std::string logged(LogOptions options, std::string_view line) {
  TemporaryDirectory directory(tests::binary_dir() + "/tmp");
  options.file = directory.path() + "/log";
  {
    LogSink sink(options);
    ShardLogger logger(sink, "3");
    logger.debug("wal", "not shown at this level");
    logger.warn("wal", "{}", line);
  }
  std::ostringstream text;
  text << std::ifstream(options.file).rdbuf();
  return text.str();
}

// The time is not the test's to know.
std::string without_time(const std::string& text) {
  return std::regex_replace(text, std::regex("[0-9T-]*[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z?"),
                            "T");
}

constexpr std::string_view kForged = "a \"b\" \\\n\x1b[31mlevel=error";

TEST(Logger, LogfmtIsOneLineWhateverIsSaid) {
  EXPECT_EQ(without_time(logged({.format = LogFormat::kLogfmt, .node = "7", .file = {}}, kForged)),
            "ts=T level=warn node=7 shard=3 component=wal msg=\"a \\\"b\\\" "
            "\\\\\\\\x0a\\\\x1b[31mlevel=error\"\n");
}

TEST(Logger, JsonIsOneObjectALine) {
  EXPECT_EQ(without_time(logged({.format = LogFormat::kJson, .node = "7", .file = {}}, kForged)),
            R"({"ts":"T","level":"warn","node":"7","shard":"3","component":"wal",)"
            R"("msg":"a \"b\" \\\\x0a\\x1b[31mlevel=error"})"
            "\n");
}

TEST(Logger, PrettyKeepsQuotesAndNoControlCharacters) {
  EXPECT_EQ(without_time(logged({.format = LogFormat::kPretty, .node = {}, .file = {}}, kForged)),
            "T warn  3 wal: a \"b\" \\\\x0a\\x1b[31mlevel=error\n");
}

TEST(Logger, AFileThatCannotBeOpenedIsNoReasonToStop) {
  testing::internal::CaptureStderr();
  LogSink sink({.node = {}, .file = "/dev/null/log"});
  ShardLogger(sink, "").info("node", "hello");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("logging to standard error"), std::string::npos) << text;
  EXPECT_NE(text.find("msg=\"hello\""), std::string::npos) << text;
}

}  // namespace
}  // namespace taffrail::posix
