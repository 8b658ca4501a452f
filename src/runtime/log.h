// What a node tells the people who run it: one line each, stamped by the world it runs in.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace taffrail {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarn, kError };

class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const = 0;
  /// `component` is the module that speaks ("wal", "raft"); `line` is escaped by the writer, so that
  /// a client's bytes cannot forge a line or colour a terminal.
  virtual void write(LogLevel level, std::string_view component, std::string_view line) = 0;

  template <class... A>
  void debug(std::string_view component, fmt::format_string<A...> f, A&&... a) {
    if (enabled(LogLevel::kDebug)) write(LogLevel::kDebug, component, fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void info(std::string_view component, fmt::format_string<A...> f, A&&... a) {
    if (enabled(LogLevel::kInfo)) write(LogLevel::kInfo, component, fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void warn(std::string_view component, fmt::format_string<A...> f, A&&... a) {
    if (enabled(LogLevel::kWarn)) write(LogLevel::kWarn, component, fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void error(std::string_view component, fmt::format_string<A...> f, A&&... a) {
    if (enabled(LogLevel::kError)) write(LogLevel::kError, component, fmt::format(f, std::forward<A>(a)...));
  }
};

/// `text` with control characters, quotes and what is not UTF-8 as \xNN, cut after `limit` bytes:
/// for names that came from a client.
std::string escaped(std::string_view text, size_t limit = 256);

}  // namespace taffrail
