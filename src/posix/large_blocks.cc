#include "posix/large_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"

namespace taffrail::posix {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPiece = 512 << 10;
constexpr size_t kWaitingMax = 128 << 20;

thread_local LargeBlocks* mine = nullptr;

}  // namespace

LargeBlocks::~LargeBlocks() {
  if (mine == this) mine = nullptr;
  for (const Block& block : blocks_) std::free(block.memory);
}

void LargeBlocks::take_over(LargeBlocks* blocks) {
  mine = blocks;
  if (blocks != nullptr) Slice::free_large_with(kMin, &let_go);
}

void LargeBlocks::let_go(void* memory, size_t size) {
  if (mine == nullptr) return std::free(memory);
  mine->blocks_.push_back({static_cast<char*>(memory), size});
  mine->waiting_ += size;
}

void LargeBlocks::give_back_some() {
  size_t count = std::max(kPiece, waiting_ - std::min(waiting_, kWaitingMax));
  while (count > 0 && !blocks_.empty()) {
    Block& block = blocks_.back();
    const size_t piece = std::min(count, block.size);
    block.size -= piece;
    waiting_ -= piece;
    count -= piece;
    if (block.size == 0) {
      std::free(block.memory);
      blocks_.pop_back();
      continue;
    }
    // From its end, whole pages. An error leaves them to free().
    const auto from = (reinterpret_cast<uintptr_t>(block.memory + block.size) + kPage - 1) / kPage * kPage;
    const auto to = reinterpret_cast<uintptr_t>(block.memory + block.size + piece) / kPage * kPage;
    if (from < to) (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
}

}  // namespace taffrail::posix
