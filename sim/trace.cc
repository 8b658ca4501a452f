#include "sim/trace.h"

#include <fmt/core.h>

#include <bit>
#include <cstring>

namespace taffrail::sim {
namespace {

uint64_t multiply_fold(uint64_t a, uint64_t b) {
  const unsigned __int128 wide = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(wide) ^ static_cast<uint64_t>(wide >> 64);
}

uint64_t little_endian(const uint8_t* at, size_t count) {
  uint64_t word = 0;
  std::memcpy(&word, at, count);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

constexpr uint64_t kFirst = 0xa0761d6478bd642fULL;
constexpr uint64_t kSecond = 0xe7037ed1a0b428dbULL;

}  // namespace

std::string Hash128::text() const { return fmt::format("{:016x}{:016x}", high, low); }

uint64_t digest(ByteView bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint64_t state = multiply_fold(left ^ kFirst, kSecond);
  while (left >= 16) {
    const uint64_t a = little_endian(at, 8);
    const uint64_t b = little_endian(at + 8, 8);
    state = multiply_fold(a ^ kFirst ^ state, b ^ kSecond);
    at += 16;
    left -= 16;
  }
  const size_t head = left < 8 ? left : 8;
  const uint64_t a = head == 0 ? 0 : little_endian(at, head);
  const uint64_t b = left <= 8 ? 0 : little_endian(at + 8, left - 8);
  return multiply_fold(a ^ kSecond ^ state, b ^ kFirst ^ state);
}

uint64_t digest(std::string_view text) { return digest(as_bytes(text)); }

std::string Trace::Entry::text() const {
  constexpr const char* kKinds[] = {"nothing", "event", "choice", "delivery", "connection", "write", "sync", "names", "node", "fault", "clock"};
  return fmt::format("entry {} at {}.{:09} s: {} of {:x}: a {:x} b {:x}", number, at_ns / 1'000'000'000, at_ns % 1'000'000'000,
                     kKinds[static_cast<size_t>(kind)], who, a, b);
}

void Trace::tell(int32_t node, std::string text) {
  if (telling_) time_line_.push_back({at_ns_, node, std::move(text)});
}

std::string Trace::story() const {
  std::string out;
  for (const Moment& m : time_line_) {
    const std::string who = m.node < 0 ? "world" : fmt::format("n{}", m.node + 1);
    out += fmt::format("{:5}.{:09} {:6} {}\n", m.at_ns / 1'000'000'000, m.at_ns % 1'000'000'000, who, m.text);
  }
  return out;
}

}  // namespace taffrail::sim
