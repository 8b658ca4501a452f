#include "posix/disk_queue.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "posix/vectors.h"

namespace taffrail::posix {

namespace {

// The kernel takes 1024; fewer cost one more call per 16 KiB of vectors and nothing that can be
// measured.
constexpr size_t kVectorsPerCall = 256;

void write_all(DiskOp& op) {
  Vectors<ByteView, kVectorsPerCall> vectors(op.parts);
  uint64_t total = 0;
  for (const ByteView part : op.parts) total += part.size();
  while (op.bytes < total) {
    const auto step = op.direct == nullptr ? DirectWrites::Step{total - op.bytes, false}
                                           : op.direct->next_step(op.fd, op.position, total, op.bytes);
    ssize_t wrote = 0;
    if (step.direct) {
      const std::span<uint8_t> buffer = DirectWrites::buffer(step.size);
      wrote = op.direct->write(op.position + op.bytes, buffer.first(vectors.copy(buffer)));
      if (wrote == 0) continue;
    } else {
      const std::span<iovec> next = vectors.next(step.size);
      wrote = pwritev(op.fd, next.data(), static_cast<int>(next.size()), static_cast<off_t>(op.position + op.bytes));
    }
    if (wrote < 0) {
      if (errno == EINTR) continue;
      op.error = errno;
      return;
    }
    if (wrote == 0) {
      op.error = EIO;  // A file that takes nothing and says nothing would be asked for ever.
      return;
    }
    op.bytes += static_cast<uint64_t>(wrote);
    vectors.advance(static_cast<size_t>(wrote));
  }
}

void read_all(DiskOp& op) {
  if (op.into.size() >= kReadPastCache && op.position % 4096 == 0) op.bytes = read_past_cache(op.fd, op.position, op.into);
  while (op.bytes < op.into.size()) {
    const ssize_t got = pread(op.fd, op.into.data() + op.bytes, op.into.size() - op.bytes,
                              static_cast<off_t>(op.position + op.bytes));
    if (got < 0) {
      if (errno == EINTR) continue;
      op.error = errno;
      return;
    }
    if (got == 0) return;
    op.bytes += static_cast<uint64_t>(got);
  }
}

void sync_data(DiskOp& op) {
  // Interrupted is not failed: nothing was reported, and the kernel has not forgotten the error.
  while (fdatasync(op.fd) != 0) {
    if (errno == EINTR) continue;
    op.error = errno;
    return;
  }
}

// Most of what these threads do is to tell the kernel something and wait. Since Linux 6.12 a thread may say that its turns
// are short, and then need not wait until that of a busy loop on the same core is over; before, this changes nothing.
void take_short_turns() {
  // sched_setattr(2), which the C library does not wrap.
  struct {
    uint32_t size = 48;
    uint32_t policy = 0;
    uint64_t flags = 0x08;  // SCHED_FLAG_KEEP_POLICY.
    int32_t nice = getpriority(PRIO_PROCESS, 0);
    uint32_t priority = 0;
    uint64_t slice = 100'000;  // Nanoseconds; the least.
    uint64_t deadline = 0;
    uint64_t period = 0;
  } attributes;
  static_assert(sizeof attributes == 48);
  (void)syscall(SYS_sched_setattr, 0, &attributes, 0u);
}

}  // namespace

void perform(DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::kWrite:
      return write_all(op);
    case DiskOp::Kind::kRead:
      return read_all(op);
    case DiskOp::Kind::kSync:
      return sync_data(op);
    case DiskOp::Kind::kWriteAndSync:
      write_all(op);
      if (op.error != 0) return;
      op.synced = true;
      return sync_data(op);
    case DiskOp::Kind::kCall:
      op.error = op.call(op.argument);
      return;
  }
}

ThreadDiskQueue::ThreadDiskQueue(Loop& loop, uint32_t threads) : loop_(loop), readings_max_(threads > 1 ? threads - 1 : 1) {
  CHECK(threads > 0);
  // Signals are for the threads that run loops; a thread inherits its mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), "disk");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadDiskQueue::~ThreadDiskQueue() {
  {
    const std::lock_guard lock(mutex_);
    CHECK(reads_.first == nullptr && others_.first == nullptr, "a disk outlives what was asked of it");
    stopping_ = true;
  }
  more_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadDiskQueue::List::push(DiskOp& op) {
  op.next = nullptr;
  if (first == nullptr) first = &op;
  else last->next = &op;
  last = &op;
}

DiskOp* ThreadDiskQueue::List::pop() {
  DiskOp* op = first;
  first = static_cast<DiskOp*>(op->next);
  return op;
}

void ThreadDiskQueue::submit(DiskOp& op) {
  loop_.handed_over();
  {
    const std::lock_guard lock(mutex_);
    (op.kind == DiskOp::Kind::kRead ? reads_ : others_).push(op);
  }
  more_.notify_one();
}

// With the lock held; null if there is nothing that may be begun.
DiskOp* ThreadDiskQueue::next() {
  if (others_.first != nullptr) return others_.pop();
  if (reads_.first == nullptr || readings_ == readings_max_) return nullptr;
  ++readings_;
  return reads_.pop();
}

void ThreadDiskQueue::work() {
  take_short_turns();
  for (;;) {
    DiskOp* op = nullptr;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [&] { return (op = next()) != nullptr || stopping_; });
      if (op == nullptr) return;
    }
    perform(*op);
    if (op->kind == DiskOp::Kind::kRead) {
      const std::lock_guard lock(mutex_);
      --readings_;
    }
    loop_.complete(*op);
  }
}

}  // namespace taffrail::posix
