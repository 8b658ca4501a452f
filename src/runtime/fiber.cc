#include "runtime/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>
#include <new>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define TAFFRAIL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TAFFRAIL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TAFFRAIL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TAFFRAIL_TSAN 1
#endif
#endif

#ifdef TAFFRAIL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TAFFRAIL_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace taffrail {

namespace ctx = boost::context::detail;

namespace {

// Free ones beyond these give their memory back: a storm of connections shall not weigh for ever.
constexpr size_t kWarmMax = 256;
// A process may have 65,530 mappings (vm.max_map_count), and a guard that is one splits another in two. Who has more stacks
// than this on a kernel without the lighter kind (before Linux 6.13) has the rest of them without: an attacker who opens
// connections shall not end the process.
constexpr size_t kGuardMappingsMax = 12'000;
constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, newer than Debian 12's headers.

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

StackPool::StackPool(size_t stack_size) : stack_size_(stack_size) {}

StackPool::~StackPool() {
  CHECK(outstanding_ == 0, "every fiber of a shard ends before the shard does");
  for (const auto* free : {&warm_, &cold_})
    for (void* stack : *free) munmap(static_cast<char*>(stack) - page_size(), stack_size_ + page_size());
}

void* StackPool::take() {
  ++outstanding_;
  for (auto* free : {&warm_, &cold_}) {
    if (free->empty()) continue;
    void* stack = free->back();
    free->pop_back();
    return stack;
  }
  const size_t guard = page_size();
  void* all = mmap(nullptr, stack_size_ + guard, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(all != MAP_FAILED, "memory for a fiber's stack");
  if (madvise(all, guard, kGuardInstall) != 0 && guard_mappings_ < kGuardMappingsMax) {
    ++guard_mappings_;
    CHECK(mprotect(all, guard, PROT_NONE) == 0, "a guard page below a fiber's stack");
  }
  return static_cast<char*>(all) + guard;
}

void StackPool::give_back(void* stack) {
  --outstanding_;
#ifdef TAFFRAIL_ASAN
  __asan_unpoison_memory_region(stack, stack_size_);
#endif
  if (warm_.size() < kWarmMax) return warm_.push_back(stack);
  CHECK(madvise(stack, stack_size_, MADV_DONTNEED) == 0, "a stack that nobody uses is given back");
  cold_.push_back(stack);
}

size_t StackPool::default_stack_size() {
#if defined(TAFFRAIL_ASAN) || defined(TAFFRAIL_TSAN)
  return 512 * 1024;
#else
  return 128 * 1024;
#endif
}

struct Fiber::Switch {
  Fiber* fiber = nullptr;
  ctx::fcontext_t inside = nullptr;   // Where the fiber stopped.
  ctx::fcontext_t outside = nullptr;  // Where its resumer waits.
#ifdef TAFFRAIL_ASAN
  void* inside_fake = nullptr;
  void* outside_fake = nullptr;
  const void* outside_bottom = nullptr;
  size_t outside_size = 0;
#endif
#ifdef TAFFRAIL_TSAN
  void* inside_tsan = nullptr;
  void* outside_tsan = nullptr;
#endif
};

Fiber::Fiber(StackPool& pool, std::function<void()> body) : pool_(pool), body_(std::move(body)) {}

Fiber::~Fiber() { CHECK(finished_ || !started_, "a fiber ends before it is destroyed"); }

void Fiber::entry(Switch* s) {
#ifdef TAFFRAIL_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &s->outside_bottom, &s->outside_size);
#endif
  s->fiber->body_();
  s->fiber->finished_ = true;
#ifdef TAFFRAIL_ASAN
  // A null fake stack: this one will not be returned to.
  __sanitizer_start_switch_fiber(nullptr, s->outside_bottom, s->outside_size);
#endif
#ifdef TAFFRAIL_TSAN
  __tsan_switch_to_fiber(s->outside_tsan, 0);
#endif
  ctx::jump_fcontext(s->outside, nullptr);
  std::abort();  // A finished fiber is never resumed.
}

void Fiber::start() {
  started_ = true;
  stack_ = pool_.take();
  const size_t size = pool_.stack_size() - pool_.next_shift() - (sizeof(Switch) + 63) / 64 * 64;
  switch_ = new (static_cast<char*>(stack_) + size) Switch;
  switch_->fiber = this;
  switch_->inside = ctx::make_fcontext(switch_, size, [](ctx::transfer_t t) {
    auto* s = static_cast<Switch*>(t.data);
    s->outside = t.fctx;
    entry(s);
  });
#ifdef TAFFRAIL_TSAN
  switch_->inside_tsan = __tsan_create_fiber(0);
#endif
}

void Fiber::resume() {
  CHECK(!finished_);
  if (!started_) start();
  Switch& s = *switch_;
#ifdef TAFFRAIL_TSAN
  s.outside_tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(s.inside_tsan, 0);
#endif
#ifdef TAFFRAIL_ASAN
  __sanitizer_start_switch_fiber(&s.outside_fake, stack_, pool_.stack_size());
#endif
  const ctx::transfer_t back = ctx::jump_fcontext(s.inside, &s);
#ifdef TAFFRAIL_ASAN
  __sanitizer_finish_switch_fiber(s.outside_fake, nullptr, nullptr);
#endif
  s.inside = back.fctx;
  if (finished_) {
#ifdef TAFFRAIL_TSAN
    __tsan_destroy_fiber(s.inside_tsan);
#endif
    switch_ = nullptr;
    pool_.give_back(stack_);
    stack_ = nullptr;
    body_ = nullptr;
  }
}

void Fiber::trim_stack() {
  if (switch_ == nullptr) return;
  const auto below = static_cast<size_t>(static_cast<char*>(switch_->inside) - static_cast<char*>(stack_));
  const size_t unused = below / page_size() * page_size();
  CHECK(madvise(stack_, unused, MADV_DONTNEED) == 0, "the unused part of a fiber's stack is given back");
}

void Fiber::suspend() {
  Switch& s = *switch_;
#ifdef TAFFRAIL_TSAN
  __tsan_switch_to_fiber(s.outside_tsan, 0);
#endif
#ifdef TAFFRAIL_ASAN
  __sanitizer_start_switch_fiber(&s.inside_fake, s.outside_bottom, s.outside_size);
#endif
  const ctx::transfer_t back = ctx::jump_fcontext(s.outside, nullptr);
#ifdef TAFFRAIL_ASAN
  __sanitizer_finish_switch_fiber(s.inside_fake, &s.outside_bottom, &s.outside_size);
#endif
  s.outside = back.fctx;
}

}  // namespace taffrail
