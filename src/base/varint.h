// Variable-length integers as Kafka writes them: 7 bits a byte, low group first, bit 7 means
// "more". Messages use the unsigned form for lengths and tags; records the zigzag form for
// everything.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace taffrail {

constexpr uint64_t zigzag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t unzigzag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

/// Bytes that write_uvarint() takes: 1 to 10.
constexpr size_t uvarint_size(uint64_t v) {
  size_t size = 1;
  for (; v >= 0x80; v >>= 7) ++size;
  return size;
}
constexpr size_t varint_size(int64_t v) { return uvarint_size(zigzag(v)); }

/// Writes the shortest form. `Writer` is anything with u8().
template <class Writer>
void write_uvarint(Writer& out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.u8(static_cast<uint8_t>(v | 0x80));
  out.u8(static_cast<uint8_t>(v));
}
template <class Writer>
void write_varint(Writer& out, int64_t v) {
  write_uvarint(out, zigzag(v));
}

namespace detail {
// Over-long forms are read, as Kafka's own reader does; what does not end in time spoils the
// reader.
template <int kMaxBytes>
uint64_t read_groups(ByteReader& in) {
  uint64_t v = 0;
  for (int i = 0; i < kMaxBytes; ++i) {
    const uint8_t b = in.u8();
    v |= static_cast<uint64_t>(b & 0x7f) << (7 * i);
    if (b < 0x80) return v;
  }
  in.bytes(SIZE_MAX);
  return 0;
}
}  // namespace detail

/// At most 5 bytes; past the end or without an end, `in` is no longer ok() and the result is 0.
inline uint32_t read_uvarint32(ByteReader& in) {
  return static_cast<uint32_t>(detail::read_groups<5>(in));
}
inline int32_t read_varint32(ByteReader& in) {
  return static_cast<int32_t>(unzigzag(read_uvarint32(in)));
}
/// At most 10 bytes, 64 bits.
inline int64_t read_varint64(ByteReader& in) { return unzigzag(detail::read_groups<10>(in)); }

}  // namespace taffrail
