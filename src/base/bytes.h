// Views of bytes, reference-counted owners of them, and big-endian readers and writers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace taffrail {

using ByteView = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// A span over `size` bytes at `from` of `bytes`; empty spans are fine.
inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
/// "00ff0a"; for messages and tests.
std::string to_hex(ByteView bytes);
/// The inverse; empty if `hex` is not hexadecimal of even length.
std::string from_hex(std::string_view hex);

/// A piece of an immutable, reference-counted buffer: what a socket received is checked once and then
/// shared, uncopied, by the log, the followers and the consumers. Copying a Slice shares; the bytes
/// go when the last one does. The count is atomic because a slice may be handed to another shard.
class Slice {
 public:
  Slice() = default;
  /// A buffer of its own, with a copy of `bytes`.
  explicit Slice(ByteView bytes);
  explicit Slice(std::string_view text) : Slice(as_bytes(text)) {}
  /// A new buffer of `size` bytes, filled by `fill(MutableBytes)` before anybody else sees it.
  template <class Fill>
  static Slice make(size_t size, Fill&& fill) {
    Slice s(size);
    fill(MutableBytes(const_cast<uint8_t*>(s.data_), size));
    return s;
  }
  Slice(const Slice& o) : buffer_(o.buffer_), data_(o.data_), size_(o.size_) { retain(); }
  Slice(Slice&& o) noexcept
      : buffer_(std::exchange(o.buffer_, nullptr)), data_(std::exchange(o.data_, nullptr)),
        size_(std::exchange(o.size_, 0)) {}
  Slice& operator=(Slice o) noexcept {
    std::swap(buffer_, o.buffer_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Slice() { release(); }

  ByteView view() const { return {data_, size_}; }
  operator ByteView() const { return view(); }  // NOLINT: a Slice is a view that also owns.
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// The same buffer, a smaller piece. `from + count` must lie within size().
  Slice sub(size_t from, size_t count) const;
  /// Writable bytes, for the one who fills base offset and leader epoch in place before the slice is
  /// shared. The caller answers for nobody else reading these bytes meanwhile.
  MutableBytes mutable_view() const { return {const_cast<uint8_t*>(data_), size_}; }
  /// Nobody else holds the buffer: its owner may use it again. Empty slices are unique.
  bool unique() const;
  /// Bytes of the whole buffer that this slice keeps alive: what a slow reader pins.
  size_t pinned_size() const;

  /// Buffers of `size_min` bytes and more end in `let_go(memory, size)`, which passes `memory` to free() when it likes; any
  /// thread. For a process as a whole; without it they are freed where their last slice goes.
  static void free_large_with(size_t size_min, void (*let_go)(void* memory, size_t size));

  friend bool operator==(const Slice& a, const Slice& b) { return equal(a, b); }

 private:
  struct Buffer;
  explicit Slice(size_t size);
  void retain();
  void release();
  Buffer* buffer_ = nullptr;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// Appends big-endian integers and bytes to a string of its own.
class ByteWriter {
 public:
  /// Room for what most messages come to: they are written without moving.
  ByteWriter() { out_.reserve(111); }
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(uint16_t v) { put(v); }
  void u32(uint32_t v) { put(v); }
  void u64(uint64_t v) { put(v); }
  void i8(int8_t v) { u8(static_cast<uint8_t>(v)); }
  void i16(int16_t v) { put(static_cast<uint16_t>(v)); }
  void i32(int32_t v) { put(static_cast<uint32_t>(v)); }
  void i64(int64_t v) { put(static_cast<uint64_t>(v)); }
  void bytes(ByteView v) { out_.append(as_text(v)); }
  /// u32 length, then the bytes.
  void sized(ByteView v) { u32(static_cast<uint32_t>(v.size())); bytes(v); }
  void sized(std::string_view v) { sized(as_bytes(v)); }
  size_t size() const { return out_.size(); }
  void reserve(size_t n) { out_.reserve(n); }
  /// Overwrites four bytes written earlier: for lengths and checksums known only afterwards.
  void patch_u32(size_t at, uint32_t v);
  ByteView view() const { return as_bytes(out_); }
  std::string take() { return std::move(out_); }

 private:
  template <class T>
  void put(T v) {
    if constexpr (sizeof(T) == 2) v = __builtin_bswap16(v);
    if constexpr (sizeof(T) == 4) v = __builtin_bswap32(v);
    if constexpr (sizeof(T) == 8) v = __builtin_bswap64(v);
    char raw[sizeof(T)];
    std::memcpy(raw, &v, sizeof(T));
    out_.append(raw, sizeof(T));
  }
  std::string out_;
};

/// Reads what ByteWriter wrote, from bytes that cannot be trusted. Reading past the end gives zeros
/// and leaves ok() false for good, so that a decoder checks once, at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}
  uint8_t u8() { return get<uint8_t>(); }
  uint16_t u16() { return get<uint16_t>(); }
  uint32_t u32() { return get<uint32_t>(); }
  uint64_t u64() { return get<uint64_t>(); }
  int8_t i8() { return static_cast<int8_t>(u8()); }
  int16_t i16() { return static_cast<int16_t>(u16()); }
  int32_t i32() { return static_cast<int32_t>(u32()); }
  int64_t i64() { return static_cast<int64_t>(u64()); }
  /// `count` bytes, still owned by the input; empty and not ok() if there are fewer.
  ByteView bytes(size_t count);
  ByteView sized() { return bytes(u32()); }
  std::string sized_text() { return std::string(as_text(sized())); }
  size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  /// ok() and nothing left over: the whole input was one well-formed thing.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  template <class T>
  T get() {
    if (rest_.size() < sizeof(T)) {
      ok_ = false;
      rest_ = {};
      return 0;
    }
    T v;
    std::memcpy(&v, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    if constexpr (sizeof(T) == 2) v = __builtin_bswap16(v);
    if constexpr (sizeof(T) == 4) v = __builtin_bswap32(v);
    if constexpr (sizeof(T) == 8) v = __builtin_bswap64(v);
    return v;
  }
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace taffrail
