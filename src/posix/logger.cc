#include "posix/logger.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

namespace taffrail::posix {

namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

}  // namespace

struct LogSink::Sink {
  std::shared_ptr<spdlog::sinks::sink> to;
};

LogSink::LogSink(const LogOptions& options)
    : level_(options.level),
      format_(options.format),
      node_(options.node),
      sink_(std::make_unique<Sink>()) {
  const bool terminal = options.file.empty() && isatty(STDERR_FILENO) == 1;
  if (format_ == LogFormat::kAuto) format_ = terminal ? LogFormat::kPretty : LogFormat::kLogfmt;
  if (!options.file.empty()) {
    // The library speaks in exceptions; they end here.
    try {
      sink_->to = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    } catch (const spdlog::spdlog_ex& e) {
      fmt::print(stderr, "taffrail: {}; logging to standard error\n", e.what());
    }
  }
  if (sink_->to == nullptr)
    sink_->to = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
        terminal ? spdlog::color_mode::automatic : spdlog::color_mode::never);
  using spdlog::pattern_time_type;
  std::unique_ptr<spdlog::formatter> formatter;
  if (format_ == LogFormat::kPretty) {
    formatter =
        std::make_unique<spdlog::pattern_formatter>("%H:%M:%S.%e %^%v%$", pattern_time_type::local);
  } else if (format_ == LogFormat::kJson) {
    formatter = std::make_unique<spdlog::pattern_formatter>(R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ",%v})",
                                                            pattern_time_type::utc);
  } else {
    formatter = std::make_unique<spdlog::pattern_formatter>("ts=%Y-%m-%dT%H:%M:%S.%eZ %v",
                                                            pattern_time_type::utc);
  }
  sink_->to->set_formatter(std::move(formatter));
}

LogSink::~LogSink() = default;

void LogSink::write(LogLevel level, std::string_view shard, std::string_view component,
                    std::string_view line) {
  std::string text;
  const std::string said = log_escaped(line, format_ != LogFormat::kPretty);
  switch (format_) {
    case LogFormat::kAuto:
    case LogFormat::kPretty:
      text = fmt::format("{:<5} ", level_name(level));
      if (!node_.empty() || !shard.empty())
        text += fmt::format("{}{}{} ", node_, node_.empty() || shard.empty() ? "" : "/", shard);
      text += fmt::format("{}: {}", component, said);
      break;
    case LogFormat::kLogfmt:
      text = fmt::format("level={} ", level_name(level));
      if (!node_.empty()) text += fmt::format("node={} ", node_);
      if (!shard.empty()) text += fmt::format("shard={} ", shard);
      text += fmt::format("component={} msg=\"{}\"", component, said);
      break;
    case LogFormat::kJson:
      text = fmt::format(R"("level":"{}",)", level_name(level));
      if (!node_.empty()) text += fmt::format(R"("node":"{}",)", node_);
      if (!shard.empty()) text += fmt::format(R"("shard":"{}",)", shard);
      text += fmt::format(R"("component":"{}","msg":"{}")", component, said);
      break;
  }
  sink_->to->log(spdlog::details::log_msg(spdlog::string_view_t(), spdlog_level(level), text));
  sink_->to->flush();
}

std::string log_escaped(std::string_view text, bool quoted) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      // Within quotes the backslash itself is doubled: JSON knows no \x.
      out.append(quoted ? "\\\\x" : "\\x").push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    } else {
      if (quoted && (c == '"' || c == '\\')) out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace taffrail::posix
