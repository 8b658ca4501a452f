// What a function that may fail gives back, and the words for why it failed.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace taffrail {

/// Why something did not happen. Few and general: callers branch on these, people read the message.
enum class Errc : unsigned char {
  kCancelled,    ///< The fiber was asked to stop; carried home, never retried.
  kTimedOut,     ///< A deadline passed first.
  kIo,           ///< The disk failed (EIO, a failed sync).
  kNoSpace,      ///< ENOSPC, EDQUOT, or a simulated disk that is full.
  kNotFound,     ///< A file, a topic, a broker: the message names it.
  kExists,       ///< It is there already.
  kCorrupt,      ///< Bytes whose checksum or structure is wrong; the message says where.
  kInvalid,      ///< The caller asked for something that makes no sense.
  kUnsupported,  ///< Known, but not served: a version, a codec, a newer format.
  kTooLarge,     ///< Past a limit that the message names.
  kOutOfRange,   ///< An offset, index or position outside what exists.
  kClosed,       ///< The other side went away, or this object was closed.
  kRefused,      ///< Nobody listens there, or the peer would not have us.
  kNotLeader,    ///< Another replica leads, or nobody does.
  kFenced,       ///< The caller's epoch, term or incarnation is over.
  kUnavailable,  ///< Not now: no majority, loading, overloaded. May be retried.
  kBusy,         ///< A bounded queue is full, or a lock is held.
};

/// Stable lower-case word for logs: "timed_out".
std::string_view errc_name(Errc code);

struct Error {
  Errc code;
  std::string message;  ///< One line, no final stop; says what and where, for a person.

  /// "corrupt: wal/0007 at 4096: frame checksum is 1, expected 2".
  std::string text() const;
  bool operator==(const Error&) const = default;
};

/// A value or an Error. Leaving one unread does not compile.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message = {}) {
  return std::unexpected(Error{code, std::move(message)});
}

/// The same error, with what the caller was doing put before it.
[[nodiscard]] std::unexpected<Error> fail(const Error& error, std::string_view context);

}  // namespace taffrail

/// The value of a Result, or an early return of its Error.
#define TRY(...) TAFFRAIL_TRY_(TAFFRAIL_JOIN_(try_result_, __COUNTER__), __VA_ARGS__)

// A name of its own for each use: one TRY may stand inside another.
#define TAFFRAIL_JOIN_(a, b) TAFFRAIL_JOIN_2_(a, b)
#define TAFFRAIL_JOIN_2_(a, b) a##b
#define TAFFRAIL_TRY_(name, ...)                          \
  ({                                                      \
    auto&& name = (__VA_ARGS__);                          \
    if (!name) [[unlikely]]                               \
      return std::unexpected(std::move(name).error());    \
    *std::move(name);                                     \
  })
