// Log lines of this process, to standard error or a file.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/log.h"

namespace taffrail::posix {

enum class LogFormat : uint8_t {
  kAuto,    ///< kPretty on a terminal, else kLogfmt.
  kPretty,  ///< For eyes: local time, colour on a terminal.
  kLogfmt,  ///< ts=... level=info node=1 shard=0 component=wal msg="..."
  kJson,    ///< The same fields, one object a line.
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
  std::string node;  ///< Put on every line if not empty: "1".
  std::string file;  ///< Appended to; empty: standard error.
};

/// Where the lines of all shards meet. Any thread; a line is written as a whole before write()
/// returns, so the last words of a process that stops are not lost in a queue.
class LogSink {
 public:
  /// A file that cannot be opened is reported on standard error, which then takes the lines.
  explicit LogSink(const LogOptions& options);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  bool enabled(LogLevel level) const { return level >= level_; }
  void write(LogLevel level, std::string_view shard, std::string_view component,
             std::string_view line);

 private:
  struct Sink;  // Keeps spdlog out of this header.
  const LogLevel level_;
  LogFormat format_;
  const std::string node_;
  std::unique_ptr<Sink> sink_;
};

/// One shard's voice.
class ShardLogger final : public Logger {
 public:
  /// `shard` is put on each line if not empty.
  ShardLogger(LogSink& sink, std::string shard) : sink_(sink), shard_(std::move(shard)) {}
  bool enabled(LogLevel level) const override { return sink_.enabled(level); }
  void write(LogLevel level, std::string_view component, std::string_view line) override {
    sink_.write(level, shard_, component, line);
  }

 private:
  LogSink& sink_;
  const std::string shard_;
};

/// `text` with what could forge a line or colour a terminal as \xNN. `quoted`: also safe between
/// double quotes of logfmt and JSON.
std::string log_escaped(std::string_view text, bool quoted);

}  // namespace taffrail::posix
