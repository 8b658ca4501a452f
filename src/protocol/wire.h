// Where bytes go to and come from while a message is walked. The only file that knows how Kafka's
// primitive types look on the wire; walks.h knows how structs are made of them.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/varint.h"
#include "protocol/codec.h"

namespace taffrail::protocol {

/// Strings are limited to this in both forms.
inline constexpr size_t kMaxString = INT16_MAX;

/// Collects bytes, or only counts them. Keeps the first error and goes on: the caller asks at the
/// end.
class Output {
 public:
  enum class Mode : uint8_t { kWrite, kCount };
  explicit Output(Mode mode = Mode::kWrite) : counting_(mode == Mode::kCount) {}

  void u8(uint8_t v) { put(v); }
  template <class T>
  void integer(T v) {
    using U = std::make_unsigned_t<T>;
    auto u = static_cast<U>(v);
    if constexpr (sizeof(T) == 2) u = __builtin_bswap16(u);
    if constexpr (sizeof(T) == 4) u = __builtin_bswap32(u);
    if constexpr (sizeof(T) == 8) u = __builtin_bswap64(u);
    put(u);
  }
  void uvarint(uint64_t v) { write_uvarint(*this, v); }
  void raw(ByteView bytes);
  void uuid(const Uuid& id);
  void string(std::string_view text, bool compact);
  void null_string(bool compact);
  /// Of bytes, records: uvarint n + 1, or int32.
  void length(size_t size, bool compact);
  void null_length(bool compact);
  void bytes(ByteView bytes, bool compact);
  void records(const Records& records, bool compact);

  void fail(Errc code, std::string message);
  const std::optional<Error>& error() const { return error_; }
  size_t size() const { return size_; }
  bool counting() const { return counting_; }
  /// What was written. With `framed`, the first four bytes become the length of what follows them.
  Chain take(bool framed = false);

 private:
  template <class T>
  void put(T v) {
    size_ += sizeof(T);
    if (!counting_) buffer_.append(reinterpret_cast<const char*>(&v), sizeof(T));
  }
  void splice(const Slice& piece);
  void flush();

  std::string buffer_;  ///< Since the last splice.
  std::vector<Slice> pieces_;
  size_t size_ = 0;
  bool counting_;
  std::optional<Error> error_;
};

/// Reads a frame that cannot be trusted. After the first failure everything reads as zero or empty;
/// each walk that it fails in adds its part of the path on the way out.
class Input {
 public:
  explicit Input(const Slice& frame);

  template <class T>
  T integer() {
    if (end_ - position_ < sizeof(T)) {
      ended_early(sizeof(T));
      return 0;
    }
    std::make_unsigned_t<T> u;
    std::memcpy(&u, frame_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    if constexpr (sizeof(T) == 2) u = __builtin_bswap16(u);
    if constexpr (sizeof(T) == 4) u = __builtin_bswap32(u);
    if constexpr (sizeof(T) == 8) u = __builtin_bswap64(u);
    return static_cast<T>(u);
  }
  uint32_t uvarint();
  Uuid uuid();
  /// -1 for null, else what is certainly there: at most the bytes left.
  int64_t string_length(bool compact);
  int64_t length(bool compact);
  /// -1 for null, else a count of elements of at least `min_size` bytes that may be there.
  int64_t count(bool compact, size_t min_size);
  std::string_view text(size_t size);
  Slice slice(size_t size);

  /// Books memory about to be set aside; false, and failed, past the budget.
  bool charge(size_t bytes);
  /// Ends the input after `size` more bytes and returns the end so far, for restore_end().
  size_t narrow(size_t size);
  void restore_end(size_t end) { end_ = end; }

  size_t left() const { return failed() ? 0 : end_ - position_; }
  bool failed() const { return error_.has_value(); }
  void fail(std::string what, Errc code = Errc::kCorrupt);
  void in_field(std::string_view name);
  void in_element(size_t index);
  /// With the path in front of the message.
  Error error() const;

 private:
  void ended_early(size_t wanted);

  const Slice& frame_;
  size_t position_ = 0;
  size_t end_;
  size_t budget_;
  std::optional<Error> error_;
  std::string path_;
};

/// Writes JSON text, and collects unknown tags beside it.
class Printer {
 public:
  void begin(char bracket);
  void end(char bracket);
  /// Kafka's spelling of one of our field names: "topic_id" is "topicId".
  void key(std::string_view snake, std::string_view suffix = {});
  /// Before each element of an array.
  void element() { comma(); }
  void null() { out_ += "null"; }
  void boolean(bool v) { out_ += v ? "true" : "false"; }
  void number(int64_t v);
  void number(double v);
  void text(std::string_view v);
  void base64(ByteView bytes);
  void uuid(const Uuid& id);
  void hex(ByteView bytes);

  /// The path of the struct being printed; push returns what to restore.
  size_t push_field(std::string_view snake);
  size_t push_element(size_t index);
  void pop(size_t size) { path_.resize(size); }
  void unknown(const UnknownTags& tags);
  Printed take();

 private:
  void comma();
  void add_name(std::string& to, std::string_view snake);
  std::string out_;
  std::string path_;
  std::vector<Printed::Unknown> unknown_;
  bool first_ = true;
};

/// Small random values for generate().
std::string random_text(Random& random);
Slice random_slice(Random& random);
UnknownTags random_tags(Random& random);

}  // namespace taffrail::protocol
