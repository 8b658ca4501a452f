#include "cli/command.h"

#include <fmt/core.h>

namespace taffrail::cli {

ExitCode exit_code_of(const Error& error) {
  switch (error.code) {
    case Errc::kCancelled: return ExitCode::kInterrupted;
    case Errc::kTimedOut: return ExitCode::kTimedOut;
    case Errc::kNotFound: return ExitCode::kNotFound;
    case Errc::kExists: return ExitCode::kExists;
    case Errc::kUnavailable:
    case Errc::kClosed: return ExitCode::kCannotConnect;
    case Errc::kRefused: return ExitCode::kNotAllowed;
    default: return ExitCode::kFailed;
  }
}

std::string next_step(const Error& error) {
  const bool about_topic = error.message.find("topic") != std::string::npos;
  const bool about_group = error.message.find("group") != std::string::npos;
  switch (error.code) {
    case Errc::kUnavailable:
    case Errc::kClosed:
      return "is a broker running there? start some with `taffrail up`, or name others with -b HOST:PORT";
    case Errc::kNotFound:
      return about_topic ? "`taffrail topic ls` shows what there is, `taffrail topic create NAME` makes one"
             : about_group ? "`taffrail group ls` shows what there is"
                           : "";
    case Errc::kExists: return about_topic ? "`taffrail topic show NAME` shows it" : "";
    case Errc::kTimedOut: return "`taffrail cluster show` tells who is there; --timeout SECONDS waits longer";
    case Errc::kNoSpace: return "make room on the disk of the data directory, then start again";
    case Errc::kBusy:
      if (about_group) return "`taffrail group show NAME` tells who they are";
      return "another process has it: stop that one, or choose another directory or port";
    case Errc::kUnsupported: return "the other side is older or newer than this program";
    case Errc::kCorrupt: return "`taffrail inspect` looks at files of a store without changing them";
    default: return "";
  }
}

std::string error_text(const Error& error) {
  const std::string step = next_step(error);
  std::string text = fmt::format("taffrail: {}\n", printable(error.text()));
  if (!step.empty()) text += fmt::format("  next: {}\n", step);
  return text;
}

}  // namespace taffrail::cli
