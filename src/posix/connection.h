// A TCP connection on a shard's loop.
#pragma once

#include <optional>
#include <string>

#include "posix/address.h"
#include "posix/fd.h"
#include "posix/loop.h"
#include "runtime/net.h"
#include "runtime/sync.h"

namespace taffrail::posix {

class PosixConnection final : public Connection, private Watch {
 public:
  /// `fd` is connected and non-blocking.
  PosixConnection(Loop& loop, Fd fd, Endpoint peer);
  ~PosixConnection() override;

  using Connection::write;
  Result<size_t> read(Task& task, MutableBytes into, Instant deadline) override;
  Result<> write(Task& task, std::span<const Slice> parts, Instant deadline) override;
  Result<> send_file(Task& task, File& file, uint64_t position, uint64_t count,
                     Instant deadline) override;
  void close() override;
  Endpoint peer() const override { return peer_; }
  Endpoint local() const override;

 private:
  void on_events(uint32_t events) override;
  /// Nothing if a call on the socket may be tried; lets other fibers run now and then.
  Result<> may_try(Task& task);
  Result<> wait(Task& task, WaitQueue& queue, Instant deadline);
  /// Sends the whole of `bytes`, which outlives the call.
  Result<> send_bytes(Task& task, ByteView bytes, Instant deadline);
  std::unexpected<Error> broken(int error);
  std::unexpected<Error> closed_here() const;

  Loop& loop_;
  Fd fd_;
  const Endpoint peer_;
  bool watched_ = false;
  bool broken_ = false;   // An error was reported once, which the kernel does not repeat.
  bool readable_ = true;  // Until a read finds nothing.
  bool ended_ =
      false;  // The peer's end or an error is there to be read: no further event will say so.
  bool reading_ = false;
  bool writing_ = false;
  uint64_t sent_ = 0;
  uint32_t tries_ = 0;
  WaitQueue readers_;
  WaitQueue writers_;
};

}  // namespace taffrail::posix
