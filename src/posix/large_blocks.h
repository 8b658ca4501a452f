// Large buffers that nobody needs any more, on their way back to the system.
#pragma once

#include <cstddef>
#include <vector>

namespace taffrail::posix {

/// A hundred MiB given back at once hold a thread up for ten milliseconds. While one of these is its thread's, the buffers of
/// slices that end on that thread wait here and go a piece at a time.
class LargeBlocks {
 public:
  /// Blocks smaller than this are freed where they end.
  static constexpr size_t kMin = 2 << 20;

  LargeBlocks() = default;
  ~LargeBlocks();
  LargeBlocks(const LargeBlocks&) = delete;
  LargeBlocks& operator=(const LargeBlocks&) = delete;

  /// The calling thread's from here on; null: none.
  static void take_over(LargeBlocks* blocks);
  /// A piece goes, of 512 KiB; and all beyond 128 MiB, whatever it costs.
  void give_back_some();
  bool empty() const { return blocks_.empty(); }
  size_t waiting_bytes() const { return waiting_; }

 private:
  struct Block {
    char* memory;
    size_t size;  // What is left of it, at its beginning.
  };
  static void let_go(void* memory, size_t size);

  std::vector<Block> blocks_;
  size_t waiting_ = 0;
};

}  // namespace taffrail::posix
