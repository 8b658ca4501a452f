#include "net/peer_stream.h"

#include <fmt/core.h>

#include "base/check.h"
#include "net/peer_wire.h"

namespace taffrail {

namespace {

// What one write gathers. A link that moves less than this in stall_max is given up.
constexpr size_t kWriteMax = 1_MiB;
constexpr size_t kGatherMax = 64_KiB;
// Most reads wait, and with that others have their turn anyway.
constexpr uint32_t kReadsPerTurn = 8;

}  // namespace

void Outbox::add(PeerKind kind, Chain parts) {
  const size_t body = chain_size(parts);
  CHECK(body < UINT32_MAX, "the sender keeps to the size of a frame");
  small_.u32(static_cast<uint32_t>(body + 1));
  small_.u8(static_cast<uint8_t>(kind));
  for (Slice& part : parts) {
    if (part.size() <= kCopyMax) {
      small_.bytes(part);
      if (small_.size() >= kGatherMax) gather();
      continue;
    }
    gather();
    ready_.push_back(std::move(part));
  }
  size_ += 5 + body;
}

void Outbox::gather() {
  if (small_.size() == 0) return;
  ready_.push_back(Slice(small_.view()));
  small_ = ByteWriter();
}

Chain Outbox::take(size_t max) {
  gather();
  Chain taken;
  size_t left = max;
  while (!ready_.empty() && left > 0) {
    Slice& first = ready_.front();
    if (first.size() > left) {
      taken.push_back(first.sub(0, left));
      first = first.sub(left, first.size() - left);
      left = 0;
      break;
    }
    left -= first.size();
    taken.push_back(std::move(first));
    ready_.pop_front();
  }
  size_ -= max - left;
  return taken;
}

void Outbox::clear() {
  ready_.clear();
  small_ = ByteWriter();
  size_ = 0;
}

PeerStream::PeerStream(Runtime& runtime, const PeerOptions& options, std::unique_ptr<Connection> socket)
    : runtime_(runtime), options_(options), socket_(std::move(socket)), in_(kGreetingSizeMax) {}

Result<Slice> PeerStream::read(Task& task, Instant deadline) {
  for (;;) {
    if (closed_) return fail(Errc::kClosed, why_);
    Result<std::optional<Slice>> frame = in_.next();
    if (!frame) return fail(Errc::kCorrupt, std::move(frame.error().message));
    if (*frame) return std::move(**frame);
    // A peer that sends without end must not keep the loop to itself.
    if (++reads_ % kReadsPerTurn == 0) runtime_.scheduler().yield(task);
    const size_t count = TRY(socket_->read(task, in_.room(), deadline));
    if (count == 0) return fail(Errc::kClosed, "the other side closed");
    in_.filled(count);
  }
}

Result<> PeerStream::write(Task& task, const Slice& bytes, Instant deadline) {
  return socket_->write(task, bytes, deadline);
}

bool PeerStream::send(PeerKind kind, Chain parts) {
  if (closed_) return false;
  if (queued() + chain_size(parts) > options_.queue_max) {
    close(fmt::format("{} bytes are queued and not taken", queued()));
    return false;
  }
  out_.add(kind, std::move(parts));
  to_write_.notify_one();
  return true;
}

void PeerStream::write_queued(Task& task) {
  while (!closed_) {
    if (out_.size() == 0) {
      if (!to_write_.wait(task)) return;
      continue;
    }
    const Chain chain = out_.take(kWriteMax);
    writing_ = chain_size(chain);
    const Result<> written = socket_->write(task, chain, runtime_.now() + options_.stall_max);
    writing_ = 0;
    if (written) continue;
    const bool stalled = written.error().code == Errc::kTimedOut;
    return close(stalled ? fmt::format("it took no bytes for {} ms", options_.stall_max.ms())
                         : written.error().text());
  }
}

void PeerStream::close(std::string why) {
  if (closed_) return;
  closed_ = true;
  why_ = std::move(why);
  out_.clear();
  socket_->close();
  to_write_.notify_all();
}

}  // namespace taffrail
