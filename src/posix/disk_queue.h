// Where blocking calls go so that only the fiber that asked waits. The interface is that of a queue
// of operations, so that io_uring can stand behind it as well as threads do.
//
// Threads were chosen: for one sync at a time io_uring was measured to be no faster (its own workers do
// the same hop), and a shard's log has one group in flight.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "posix/direct_writes.h"
#include "posix/loop.h"

namespace taffrail::posix {

/// One operation. Lives on the stack of the fiber that waits for it.
struct DiskOp : Completion {
  enum class Kind : uint8_t {
    kWrite,         ///< `parts`, one behind the other, at `position` of `fd`; all of them or an error.
    kRead,          ///< Into `into` from `position` on; short only at the end of the file.
    kSync,          ///< fdatasync of `fd`.
    kWriteAndSync,  ///< The first, and then the third.
    kCall,          ///< `error = call(argument)`, for what is rare.
  };
  Kind kind = Kind::kCall;
  int fd = -1;
  DirectWrites* direct = nullptr;  ///< Of the file that `fd` is; null: all goes through the page cache.
  uint64_t position = 0;
  std::span<const ByteView> parts;
  MutableBytes into;
  int (*call)(void*) = nullptr;
  void* argument = nullptr;

  int error = 0;       ///< An errno; 0 if it was done.
  uint64_t bytes = 0;  ///< Written or read.
  bool synced = false;  ///< Of kWriteAndSync: it is the sync that failed, if `error` is set.
};

class DiskQueue {
 public:
  virtual ~DiskQueue() = default;
  /// Starts `op`. It and what it points to stay where they are until op.done is set.
  virtual void submit(DiskOp& op) = 0;

  /// Waits until `op` is done, cancelled or not: the kernel is using the caller's memory.
  void run(Task& task, DiskOp& op) {
    submit(op);
    op.done.wait_through(task);
  }
  /// Runs `work`, a callable that returns an errno, where it may block.
  template <class Work>
  int call(Task& task, Work&& work) {
    DiskOp op;
    op.kind = DiskOp::Kind::kCall;
    op.call = [](void* argument) -> int {
      return (*static_cast<std::remove_reference_t<Work>*>(argument))();
    };
    op.argument = const_cast<void*>(static_cast<const void*>(&work));
    run(task, op);
    return op.error;
  }
};

/// A few threads. Operations start in order, several are under way at once; but nobody's write or sync waits for a crowd of
/// reads: these have an order of their own, are begun when nothing else waits, and leave a thread free.
class ThreadDiskQueue final : public DiskQueue {
 public:
  ThreadDiskQueue(Loop& loop, uint32_t threads);
  /// Nothing is under way any more: every fiber that asked has its answer.
  ~ThreadDiskQueue() override;
  void submit(DiskOp& op) override;

 private:
  struct List {
    DiskOp* first = nullptr;
    DiskOp* last = nullptr;
    void push(DiskOp& op);
    DiskOp* pop();
  };
  void work();
  DiskOp* next();

  Loop& loop_;
  const uint32_t readings_max_;
  std::mutex mutex_;
  std::condition_variable more_;
  List reads_;
  List others_;
  uint32_t readings_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Does `op` on the calling thread: what the threads of the queue run.
void perform(DiskOp& op);

}  // namespace taffrail::posix
