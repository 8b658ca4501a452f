#include "posix/connection.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/plant.h"
#include "posix/disk.h"
#include "posix/errors.h"
#include "posix/vectors.h"

namespace taffrail::posix {

namespace {

// On a fiber's small stack; more parts than this take another call.
constexpr size_t kVectorsPerCall = 128;
// A peer as fast as ourselves never makes us wait. After so many calls the other fibers get a turn.
constexpr uint32_t kTriesPerTurn = 32;
// As much of a file is looked up in the page cache, and sent, at a time.
constexpr uint64_t kFileChunk = 512_KiB;
// What is sent or received at a time: a hundred microseconds or so. Who has more lets others go first.
constexpr size_t kPiece = 512 << 10;
// A kernel that holds all it may for a peer that reads nothing tidies up at every piece, for milliseconds where there are
// many such peers. Who has taken more than a kernel holds does read; until then pieces are small.
constexpr size_t kUnreadMax = 16 << 20;
constexpr size_t kFirstPiece = 64 << 10;

// True while its fiber is in a call of one direction.
class InUse {
 public:
  InUse(bool& flag, const char* rule) : flag_(flag) {
    CHECK(!flag_, rule);
    flag_ = true;
  }
  ~InUse() { flag_ = false; }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  bool& flag_;
};

}  // namespace

PosixConnection::PosixConnection(Loop& loop, Fd fd, Endpoint peer)
    : loop_(loop), fd_(std::move(fd)), peer_(std::move(peer)) {
  // Edge-triggered, once for both directions: no further call says what is waited for.
  watched_ = loop_.watch(fd_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
}

PosixConnection::~PosixConnection() { close(); }

void PosixConnection::close() {
  if (!fd_.valid()) return;
  loop_.unwatch(fd_.get());
  fd_.reset();
  readers_.notify_all();
  writers_.notify_all();
}

void PosixConnection::on_events(uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if (ended_ || (events & EPOLLIN) != 0) {
    readable_ = true;
    readers_.notify_all();
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writers_.notify_all();
}

std::unexpected<Error> PosixConnection::closed_here() const {
  return fail(Errc::kClosed,
              fmt::format("the connection to {} was closed on this side", peer_.text()));
}

std::unexpected<Error> PosixConnection::broken(int error) {
  broken_ = true;
  return fail(Errc::kClosed,
              fmt::format("the connection to {} broke: {}", peer_.text(), errno_text(error)));
}

Result<> PosixConnection::may_try(Task& task) {
  if (task.cancelled()) return fail(Errc::kCancelled);
  if (++tries_ % kTriesPerTurn == 0) loop_.yield(task);
  if (!fd_.valid()) return closed_here();
  // The kernel reports a reset once, to whichever direction asks first; to the other it would look
  // like the peer's orderly end.
  if (broken_)
    return fail(Errc::kClosed, fmt::format("the connection to {} broke earlier", peer_.text()));
  if (!watched_) return fail(Errc::kClosed, "the kernel has no memory left to watch a connection");
  return {};
}

Result<> PosixConnection::wait(Task& task, WaitQueue& queue, Instant deadline) {
  const Result<> waited = queue.wait(task, deadline);
  if (waited) return {};
  if (waited.error().code != Errc::kTimedOut) return waited;
  return fail(Errc::kTimedOut, fmt::format("{} did not answer in time", peer_.text()));
}

Result<size_t> PosixConnection::read(Task& task, MutableBytes into, Instant deadline) {
  CHECK(!into.empty(), "a read of nothing would look like the peer's end");
  const InUse use(reading_, "one reader at a time");
  for (;;) {
    TRY(may_try(task));
    if (readable_) {
      ++loop_.counters().net_receives;
      into = into.first(std::min(into.size(), kPiece));
      const ssize_t got = recv(fd_.get(), into.data(), into.size(), 0);
      if (got >= 0) {
        // Less than asked for: the socket is empty, and more is an event of its own. Not so an end
        // that was announced together with the last bytes (epoll(7), "Questions and answers", 9).
        if (static_cast<size_t>(got) < into.size() && !ended_) readable_ = false;
        loop_.counters().net_bytes_received += static_cast<uint64_t>(got);
        return static_cast<size_t>(got);
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return broken(errno);
      readable_ = ended_ = false;
    }
    TRY(wait(task, readers_, deadline));
  }
}

Result<> PosixConnection::write(Task& task, std::span<const Slice> parts, Instant deadline) {
  const InUse use(writing_, "one writer at a time");
  Vectors<Slice, kVectorsPerCall> vectors(parts);
  size_t left = 0;
  for (const Slice& part : parts) left += part.size();
  for (;;) {
    const std::span<iovec> next = vectors.next(sent_ < kUnreadMax ? kFirstPiece : kPiece);
    if (next.empty()) return {};
    TRY(may_try(task));
    msghdr message{};
    message.msg_iov = next.data();
    message.msg_iovlen = next.size();
    ++loop_.counters().net_sends;
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return broken(errno);
      TRY(wait(task, writers_, deadline));
      continue;
    }
    loop_.counters().net_bytes_sent += static_cast<uint64_t>(sent);
    sent_ += static_cast<size_t>(sent);
    vectors.advance(static_cast<size_t>(sent));
    left -= static_cast<size_t>(sent);
    if (left == 0 || PLANT("N02")) return {};
    loop_.yield(task);
  }
}

Result<> PosixConnection::send_bytes(Task& task, ByteView bytes, Instant deadline) {
  while (!bytes.empty()) {
    TRY(may_try(task));
    ++loop_.counters().net_sends;
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      loop_.counters().net_bytes_sent += static_cast<uint64_t>(sent);
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      TRY(wait(task, writers_, deadline));
    } else if (errno != EINTR) {
      return broken(errno);
    }
  }
  return {};
}

Result<> PosixConnection::send_file(Task& task, File& file, uint64_t position, uint64_t count,
                                    Instant deadline) {
  auto* source = dynamic_cast<PosixFile*>(&file);
  if (source == nullptr)
    return fail(Errc::kInvalid, "only a file of this machine's disk can be sent");
  const InUse use(writing_, "one writer at a time");
  const uint64_t size = TRY(source->size(task));
  const auto past_end = [&] {
    return fail(Errc::kOutOfRange, fmt::format("{} has {} bytes; {} from {} were to be sent",
                                               source->path(), size, count, position));
  };
  if (position > size || count > size - position) return past_end();
  const uint64_t end = position + count;
  uint64_t warm_until = position;
  while (position < end) {
    if (position >= warm_until) {
      warm_until = std::min(end, position + kFileChunk);
      TRY(source->warm(task, position, warm_until - position));
    }
    TRY(may_try(task));
    ++loop_.counters().net_sends;
    auto at = static_cast<off_t>(position);
    const ssize_t sent = sendfile(fd_.get(), source->fd(), &at, warm_until - position);
    if (sent > 0) {
      loop_.counters().net_bytes_sent += static_cast<uint64_t>(sent);
      position += static_cast<uint64_t>(sent);
    } else if (sent == 0) {
      return past_end();  // Cut meanwhile. Part of it is on the wire, so the stream is useless.
    } else if (errno == EAGAIN) {
      TRY(wait(task, writers_, deadline));
    } else if (errno == EIO) {
      return file_failure(EIO, "read", source->path());
    } else if (errno == EINVAL || errno == ENOSYS) {
      // A file system that cannot lend its pages: read and sent by hand.
      std::vector<uint8_t> buffer(warm_until - position);
      const size_t got = TRY(source->read_at(task, position, buffer));
      if (got == 0) return past_end();
      TRY(send_bytes(task, ByteView(buffer).first(got), deadline));
      position += got;
    } else if (errno != EINTR) {
      return broken(errno);
    }
  }
  return {};
}

Endpoint PosixConnection::local() const {
  Address address;
  if (!fd_.valid() || getsockname(fd_.get(), address.raw(), &address.size) != 0) return {};
  return address.endpoint();
}

}  // namespace taffrail::posix
