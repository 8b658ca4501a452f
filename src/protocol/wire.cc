#include "protocol/wire.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace taffrail::protocol {

// Output.

void Output::raw(ByteView bytes) {
  size_ += bytes.size();
  if (!counting_) buffer_.append(as_text(bytes));
}

void Output::uuid(const Uuid& id) {
  integer(id.high);
  integer(id.low);
}

void Output::string(std::string_view text, bool compact) {
  if (text.size() > kMaxString)
    return fail(Errc::kTooLarge, fmt::format("a string of {} bytes", text.size()));
  if (compact) {
    uvarint(text.size() + 1);
  } else {
    integer(static_cast<int16_t>(text.size()));
  }
  raw(as_bytes(text));
}

void Output::null_string(bool compact) {
  if (compact) return u8(0);
  integer(int16_t{-1});
}

void Output::length(size_t size, bool compact) {
  if (size > INT32_MAX - 1) return fail(Errc::kTooLarge, fmt::format("a length of {}", size));
  if (compact) return uvarint(size + 1);
  integer(static_cast<int32_t>(size));
}

void Output::null_length(bool compact) {
  if (compact) return u8(0);
  integer(int32_t{-1});
}

void Output::bytes(ByteView bytes, bool compact) {
  length(bytes.size(), compact);
  raw(bytes);
}

void Output::records(const Records& records, bool compact) {
  length(records.size_bytes(), compact);
  records.for_each([&](const Slice& piece) { splice(piece); });
}

void Output::splice(const Slice& piece) {
  if (counting_ || piece.size() < kSpliceFromBytes) return raw(piece);
  flush();
  size_ += piece.size();
  pieces_.push_back(piece);
}

void Output::flush() {
  if (buffer_.empty()) return;
  pieces_.emplace_back(as_bytes(buffer_));
  buffer_.clear();
}

void Output::fail(Errc code, std::string message) {
  if (!error_) error_ = Error{code, std::move(message)};
}

Chain Output::take(bool framed) {
  flush();
  if (framed) {
    // Nobody else has seen the first piece yet: records are never the first.
    CHECK(!pieces_.empty() && pieces_[0].size() >= 4);
    const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(size_ - 4));
    std::memcpy(pieces_[0].mutable_view().data(), &length, 4);
  }
  return {std::move(pieces_), size_};
}

// Input.

Input::Input(const Slice& frame)
    : frame_(frame),
      end_(frame.size()),
      budget_(frame.size() * kDecodeBudgetFactor + kDecodeBudgetFloor) {}

uint32_t Input::uvarint() {
  uint32_t v = 0;
  for (int i = 0; i < 5; ++i) {
    const auto b = integer<uint8_t>();
    v |= static_cast<uint32_t>(b & 0x7f) << (7 * i);
    if (b < 0x80) return v;
  }
  fail("a varint without an end");
  return 0;
}

Uuid Input::uuid() {
  const auto high = integer<uint64_t>();
  const auto low = integer<uint64_t>();
  return {high, low};
}

int64_t Input::string_length(bool compact) {
  const int64_t size = compact ? int64_t{uvarint()} - 1 : integer<int16_t>();
  if (failed()) return 0;
  if (size > static_cast<int64_t>(kMaxString)) {
    fail(fmt::format("a string of {} bytes", size));
    return 0;
  }
  if (size > static_cast<int64_t>(left())) ended_early(static_cast<size_t>(size));
  return failed() ? 0 : std::max<int64_t>(size, -1);
}

int64_t Input::length(bool compact) {
  const int64_t size = compact ? int64_t{uvarint()} - 1 : integer<int32_t>();
  if (!failed() && size > static_cast<int64_t>(left())) ended_early(static_cast<size_t>(size));
  return failed() ? 0 : std::max<int64_t>(size, -1);
}

int64_t Input::count(bool compact, size_t min_size) {
  const int64_t count = compact ? int64_t{uvarint()} - 1 : integer<int32_t>();
  if (failed()) return 0;
  if (count > static_cast<int64_t>(left() / std::max<size_t>(min_size, 1))) {
    fail(fmt::format("{} elements with {} bytes left", count, left()));
    return 0;
  }
  return std::max<int64_t>(count, -1);
}

std::string_view Input::text(size_t size) {
  if (left() < size) {
    ended_early(size);
    return {};
  }
  const auto view = as_text(frame_.view().subspan(position_, size));
  position_ += size;
  return view;
}

Slice Input::slice(size_t size) {
  if (left() < size) {
    ended_early(size);
    return {};
  }
  Slice piece = frame_.sub(position_, size);
  position_ += size;
  return piece;
}

bool Input::charge(size_t bytes) {
  if (failed()) return false;
  if (bytes > budget_) {
    fail(fmt::format("takes more than {} times the {} bytes it came in", kDecodeBudgetFactor,
                     frame_.size()),
         Errc::kTooLarge);
    return false;
  }
  budget_ -= bytes;
  return true;
}

size_t Input::narrow(size_t size) {
  const size_t end = end_;
  if (left() < size) {
    ended_early(size);
  } else {
    end_ = position_ + size;
  }
  return end;
}

void Input::fail(std::string what, Errc code) {
  if (!error_) error_ = Error{code, fmt::format("{}, at byte {}", what, position_)};
}

void Input::ended_early(size_t wanted) {
  fail(fmt::format("{} bytes wanted, {} left", wanted, left()));
}

void Input::in_field(std::string_view name) {
  const bool joined = path_.empty() || path_.front() == '[';
  path_.insert(0, joined ? std::string(name) : std::string(name) + ".");
}

void Input::in_element(size_t index) {
  const bool joined = path_.empty() || path_.front() == '[';
  path_.insert(0, fmt::format("[{}]{}", index, joined ? "" : "."));
}

Error Input::error() const {
  CHECK(failed());
  if (path_.empty()) return *error_;
  return {error_->code, fmt::format("{}: {}", path_, error_->message)};
}

// Printer.

namespace {

// Length of the UTF-8 sequence at the start of `s`, 0 if there is none.
size_t utf8_sequence(std::string_view s) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t lead = at(0);
  const size_t size = lead < 0x80                   ? 1
                      : lead >= 0xc2 && lead < 0xe0 ? 2
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xf0 && lead < 0xf5 ? 4
                                                    : 0;
  if (size == 0 || s.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  if (size == 1) return 1;
  // Over-long forms, surrogates, and what lies past the last code point.
  const uint8_t second = at(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90))
    return 0;
  return size;
}

}  // namespace

void Printer::comma() {
  if (!first_) out_ += ',';
  first_ = false;
}

void Printer::begin(char bracket) {
  out_ += bracket;
  first_ = true;
}

void Printer::end(char bracket) {
  out_ += bracket;
  first_ = false;
}

void Printer::add_name(std::string& to, std::string_view snake) {
  bool raise = false;
  for (const char c : snake) {
    if (c == '_') {
      raise = true;
      continue;
    }
    to += raise && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    raise = false;
  }
}

void Printer::key(std::string_view snake, std::string_view suffix) {
  comma();
  out_ += '"';
  add_name(out_, snake);
  out_ += suffix;
  out_ += "\":";
}

void Printer::number(int64_t v) { out_ += fmt::format("{}", v); }
void Printer::number(double v) { out_ += fmt::format("{}", v); }

void Printer::text(std::string_view v) {
  out_ += '"';
  while (!v.empty()) {
    const size_t size = utf8_sequence(v);
    const char c = v[0];
    if (size == 0) {
      out_ += "\xef\xbf\xbd";  // U+FFFD: strings are a client's bytes and may be anything.
    } else if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (size == 1 && static_cast<uint8_t>(c) < 0x20) {
      out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out_ += v.substr(0, size);
    }
    v.remove_prefix(std::max<size_t>(size, 1));
  }
  out_ += '"';
}

void Printer::base64(ByteView bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out_ += '"';
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = static_cast<uint32_t>(bytes[i]) << 16;
    if (i + 1 < bytes.size()) group |= static_cast<uint32_t>(bytes[i + 1]) << 8;
    if (i + 2 < bytes.size()) group |= bytes[i + 2];
    out_ += kDigits[group >> 18];
    out_ += kDigits[group >> 12 & 63];
    out_ += i + 1 < bytes.size() ? kDigits[group >> 6 & 63] : '=';
    out_ += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
  out_ += '"';
}

void Printer::uuid(const Uuid& id) { out_ += '"' + id.text() + '"'; }
void Printer::hex(ByteView bytes) { out_ += '"' + to_hex(bytes) + '"'; }

size_t Printer::push_field(std::string_view snake) {
  const size_t size = path_.size();
  if (!path_.empty()) path_ += '.';
  add_name(path_, snake);
  return size;
}

size_t Printer::push_element(size_t index) {
  const size_t size = path_.size();
  path_ += fmt::format("[{}]", index);
  return size;
}

void Printer::unknown(const UnknownTags& tags) {
  if (!tags.empty()) unknown_.push_back({path_, {tags.all().begin(), tags.all().end()}});
}

Printed Printer::take() { return {std::move(out_), std::move(unknown_)}; }

// Random values, and the Chain.

std::string random_text(Random& random) {
  std::string text(random.below(random.chance(1, 20) ? 300 : 12), '\0');
  for (char& c : text) c = static_cast<char>(random.between(' ', '~'));
  return text;
}

Slice random_slice(Random& random) {
  const size_t size = random.below(random.chance(1, 10) ? 3 * kSpliceFromBytes : 20);
  return Slice::make(size, [&](MutableBytes to) {
    for (uint8_t& b : to) b = static_cast<uint8_t>(random.next());
  });
}

UnknownTags random_tags(Random& random) {
  UnknownTags tags;
  if (!random.chance(1, 4)) return tags;
  // Numbers that no message of Kafka's uses.
  auto number = static_cast<uint32_t>(1000 + random.below(1 << 20));
  for (uint64_t left = random.below(3); left > 0; --left) {
    tags.add(number, random_text(random));
    number += static_cast<uint32_t>(1 + random.below(100));
  }
  return tags;
}

Slice Chain::flat() const {
  if (pieces.size() == 1) return pieces[0];
  return Slice::make(size_bytes, [&](MutableBytes to) {
    for (const Slice& piece : pieces) {
      std::memcpy(to.data(), piece.data(), piece.size());
      to = to.subspan(piece.size());
    }
  });
}

}  // namespace taffrail::protocol
