// Listeners and byte streams. A stream may stall, deliver a byte at a time, or be half dead: a peer
// that vanished without a word is noticed only by a deadline of the caller's own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/disk.h"
#include "runtime/scheduler.h"

namespace taffrail {

struct Endpoint {
  std::string host;
  uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  /// "host:port", with brackets around an IPv6 address.
  std::string text() const;
  /// Errors: kInvalid, naming what is wrong with `text`.
  static Result<Endpoint> parse(std::string_view text);
};

/// One reader and one writer at a time, which may be two fibers.
class Connection {
 public:
  /// Closes at once; what was not sent yet may be lost.
  virtual ~Connection() = default;

  /// At least one byte and at most into.size(); 0 when the peer ended its side in order.
  /// Errors: kClosed (reset, or closed by ourselves meanwhile), kTimedOut, kCancelled. After kTimedOut it
  /// may be asked again: no byte was lost.
  virtual Result<size_t> read(Task& task, MutableBytes into, Instant deadline = Instant::never()) = 0;
  /// Returns when the last byte was handed to the transport, which says nothing about the peer. Waits
  /// while the peer does not read. After an error, kTimedOut too, nobody knows how much of it left: the
  /// stream is useless for writing. Errors: as read().
  virtual Result<> write(Task& task, std::span<const Slice> parts, Instant deadline = Instant::never()) = 0;
  Result<> write(Task& task, const Slice& bytes, Instant deadline = Instant::never()) {
    return write(task, std::span(&bytes, 1), deadline);
  }
  /// Sends a range of a file without taking its bytes into memory; they are read when they are sent,
  /// so the range must not change. Errors: as read(), and kIo, kOutOfRange past the file's end.
  virtual Result<> send_file(Task& task, File& file, uint64_t position, uint64_t count,
                             Instant deadline = Instant::never()) = 0;
  /// Ends both directions; waiting fibers get kClosed.
  virtual void close() = 0;
  virtual Endpoint peer() const = 0;
  virtual Endpoint local() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  /// Errors: kClosed, kCancelled; kUnavailable when the process is out of descriptors: try later.
  virtual Result<std::unique_ptr<Connection>> accept(Task& task) = 0;
  /// With the port that was really bound.
  virtual Endpoint local() const = 0;
  virtual void close() = 0;
};

class Net {
 public:
  virtual ~Net() = default;
  /// Port 0: any free one. Each shard of a node may listen at the same endpoint, once; every connection
  /// that arrives there goes to one of them, and which one is not promised: not evenly, not by peer.
  /// Errors: kBusy (address in use, by another process or by this shard), kInvalid, kRefused (not
  /// allowed).
  virtual Result<std::unique_ptr<Listener>> listen(Task& task, const Endpoint& at) = 0;
  /// Errors: kRefused, kTimedOut, kNotFound (the name does not resolve), kCancelled.
  virtual Result<std::unique_ptr<Connection>> connect(Task& task, const Endpoint& to, Instant deadline) = 0;
};

}  // namespace taffrail
