#include "base/result.h"

namespace taffrail {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::kCancelled: return "cancelled";
    case Errc::kTimedOut: return "timed_out";
    case Errc::kIo: return "io";
    case Errc::kNoSpace: return "no_space";
    case Errc::kNotFound: return "not_found";
    case Errc::kExists: return "exists";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kInvalid: return "invalid";
    case Errc::kUnsupported: return "unsupported";
    case Errc::kTooLarge: return "too_large";
    case Errc::kOutOfRange: return "out_of_range";
    case Errc::kClosed: return "closed";
    case Errc::kRefused: return "refused";
    case Errc::kNotLeader: return "not_leader";
    case Errc::kFenced: return "fenced";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kBusy: return "busy";
  }
  return "unknown";
}

std::string Error::text() const {
  std::string out(errc_name(code));
  if (!message.empty()) out.append(": ").append(message);
  return out;
}

std::unexpected<Error> fail(const Error& error, std::string_view context) {
  std::string message(context);
  if (!error.message.empty()) message.append(": ").append(error.message);
  return std::unexpected(Error{error.code, std::move(message)});
}

}  // namespace taffrail
