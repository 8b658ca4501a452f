// One connection between brokers, seen from either end: frames in, and a queue of frames out that one
// fiber writes, all that is there in one write.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "net/frame_buffer.h"
#include "net/peers.h"
#include "runtime/sync.h"

namespace taffrail {

/// Frames on their way out. Heads and small parts are copied together, so that a thousand small messages
/// are a few pieces of memory and not thousands; larger parts stand as they came.
class Outbox {
 public:
  static constexpr size_t kCopyMax = 512;

  void add(PeerKind kind, Chain parts);
  /// The first `max` bytes; a part that crosses that line is cut there.
  Chain take(size_t max);
  void clear();
  ByteCount size() const { return size_; }

 private:
  void gather();
  std::deque<Slice> ready_;
  ByteWriter small_;  ///< Behind `ready_`.
  ByteCount size_ = 0;
};

class PeerStream {
 public:
  PeerStream(Runtime& runtime, const PeerOptions& options, std::unique_ptr<Connection> socket);

  /// The next frame without its length. After kTimedOut it may be called again; any other error ends the
  /// stream. Errors: kTimedOut, kClosed, kCancelled, kCorrupt (a length past the limit).
  Result<Slice> read(Task& task, Instant deadline);
  /// Past the queue: for the greeting.
  Result<> write(Task& task, const Slice& bytes, Instant deadline);
  /// Greeted: frames may be as large as the options say.
  void trust() { in_.set_frame_size_max(options_.frame_size_max); }

  /// Queues a frame. False: the queue is full, the stream is closed for it, and the frame is lost.
  bool send(PeerKind kind, Chain parts);
  /// The writer's fiber: writes what is queued until the stream closes.
  void write_queued(Task& task);
  /// Bytes queued or being written.
  ByteCount queued() const { return out_.size() + writing_; }

  /// Closes; the first reason stays. An empty one: the end is not worth telling.
  void close(std::string why);
  bool closed() const { return closed_; }
  const std::string& why() const { return why_; }
  Endpoint peer() const { return socket_->peer(); }

 private:
  Runtime& runtime_;
  const PeerOptions& options_;
  std::unique_ptr<Connection> socket_;
  FrameBuffer in_;
  uint32_t reads_ = 0;
  Outbox out_;
  ByteCount writing_ = 0;
  bool closed_ = false;
  std::string why_;
  WaitQueue to_write_;
};

}  // namespace taffrail
