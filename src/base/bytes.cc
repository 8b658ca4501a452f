#include "base/bytes.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "base/check.h"

namespace taffrail {

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const uint8_t b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

std::string from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return {};
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return {};
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

// The header stands before the bytes, in the same allocation.
struct Slice::Buffer {
  std::atomic<uint32_t> count;
  size_t size;
};

namespace {

std::atomic<size_t> large_min = SIZE_MAX;
std::atomic<void (*)(void*, size_t)> let_go_large = nullptr;

}  // namespace

Slice::Slice(size_t size) : size_(size) {
  if (size == 0) return;
  void* raw = std::malloc(sizeof(Buffer) + size);
  CHECK(raw != nullptr, "out of memory");
  buffer_ = new (raw) Buffer{{1}, size};
  data_ = reinterpret_cast<const uint8_t*>(buffer_ + 1);
}

Slice::Slice(ByteView bytes) : Slice(bytes.size()) {
  if (!bytes.empty()) std::memcpy(const_cast<uint8_t*>(data_), bytes.data(), bytes.size());
}

Slice Slice::sub(size_t from, size_t count) const {
  CHECK(from <= size_ && count <= size_ - from, "a slice within its slice");
  Slice s(*this);
  s.data_ += from;
  s.size_ = count;
  return s;
}

bool Slice::unique() const {
  return buffer_ == nullptr || buffer_->count.load(std::memory_order_acquire) == 1;
}

size_t Slice::pinned_size() const { return buffer_ == nullptr ? 0 : buffer_->size; }

void Slice::retain() {
  if (buffer_ != nullptr) buffer_->count.fetch_add(1, std::memory_order_relaxed);
}

void Slice::release() {
  if (buffer_ == nullptr || buffer_->count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const size_t size = sizeof(Buffer) + buffer_->size;
  buffer_->~Buffer();
  const auto let_go = size < large_min.load(std::memory_order_relaxed) ? nullptr : let_go_large.load(std::memory_order_acquire);
  if (let_go != nullptr) let_go(buffer_, size);
  else std::free(buffer_);
}

void Slice::free_large_with(size_t size_min, void (*let_go)(void* memory, size_t size)) {
  large_min.store(size_min, std::memory_order_relaxed);
  let_go_large.store(let_go, std::memory_order_release);
}

void ByteWriter::patch_u32(size_t at, uint32_t v) {
  CHECK(at + 4 <= out_.size());
  v = __builtin_bswap32(v);
  std::memcpy(out_.data() + at, &v, 4);
}

ByteView ByteReader::bytes(size_t count) {
  if (rest_.size() < count) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const ByteView taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

}  // namespace taffrail
