// The words in which a message describes itself: one list of fields per struct, and for each field
// the versions that have it. What is done with the list (encode, decode, print, generate) is in
// codec.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/api_key.h"

namespace taffrail::protocol {

/// Both ends included.
struct VersionRange {
  int16_t min = 0;
  int16_t max = -1;
  constexpr bool contains(int16_t v) const { return v >= min && v <= max; }
  constexpr bool empty() const { return max < min; }
  constexpr bool operator==(const VersionRange&) const = default;
};

/// What stands above a message's fields.
struct Api {
  ApiKey key;
  const char* name;       ///< "HeartbeatRequest".
  VersionRange versions;  ///< Those that decode and encode, unstable ones included.
  /// First version with compact lengths and tagged fields (KIP-482); kNever: none.
  int16_t flexible_from;

  static constexpr int16_t kNever = INT16_MAX;
};

/// When a field is on the wire, and how.
struct Spec {
  int16_t min = 0;
  int16_t max = INT16_MAX;
  int16_t null_from = 0;
  int16_t tag_number = -1;
  bool may_be_dropped = false;
  bool plain_lengths = false;

  /// Null is allowed from this version on; before it, encoding a null fails.
  constexpr Spec null_since(int16_t version) const {
    Spec s = *this;
    s.null_from = version;
    return s;
  }
  /// In flexible versions the field travels in the tag buffer, and only if it is not at its
  /// default.
  constexpr Spec tag(int16_t number) const {
    Spec s = *this;
    s.tag_number = number;
    return s;
  }
  /// Encoding for a version that lacks the field drops it in silence. Without this mark a value
  /// other than the default is an error there: the caller asked for something the peer cannot be
  /// told.
  constexpr Spec ignorable() const {
    Spec s = *this;
    s.may_be_dropped = true;
    return s;
  }
  /// The two-byte length stays in flexible versions: the client id of a request header, which a
  /// broker has to read before it knows the version.
  constexpr Spec never_compact() const {
    Spec s = *this;
    s.plain_lengths = true;
    return s;
  }

  constexpr bool present(int16_t version) const { return version >= min && version <= max; }
};

constexpr Spec always() { return {}; }
constexpr Spec since(int16_t version) { return {.min = version}; }
constexpr Spec until(int16_t version) { return {.max = version}; }
constexpr Spec between(int16_t first, int16_t last) { return {.min = first, .max = last}; }

/// Tagged fields of a struct that this tree does not know, kept so that what was read can be
/// written back to the byte. Nearly always empty, and then one pointer.
class UnknownTags {
 public:
  struct Tag {
    uint32_t number = 0;
    std::string data;
    bool operator==(const Tag&) const = default;
  };

  UnknownTags() = default;
  UnknownTags(const UnknownTags& o) : tags_(o.empty() ? nullptr : new std::vector<Tag>(*o.tags_)) {}
  UnknownTags(UnknownTags&&) noexcept = default;
  UnknownTags& operator=(UnknownTags o) noexcept {
    tags_ = std::move(o.tags_);
    return *this;
  }

  bool empty() const { return tags_ == nullptr || tags_->empty(); }
  std::span<const Tag> all() const { return empty() ? std::span<const Tag>() : *tags_; }
  bool contains(uint32_t number) const;
  /// Keeps them in ascending order. `number` must not be there yet.
  void add(uint32_t number, std::string data);
  bool operator==(const UnknownTags& o) const;

 private:
  std::unique_ptr<std::vector<Tag>> tags_;
};

/// A `records` field: null, or record batches as they were received or stored, one or several
/// slices that are sent one after the other without being copied together.
class Records {
 public:
  Records() = default;
  Records(Slice bytes) : first_(std::move(bytes)), null_(false) {}  // NOLINT: it is that value.

  bool is_null() const { return null_; }
  size_t size_bytes() const;
  /// Appends; empty slices vanish, but make a null field an empty one.
  void add(Slice piece);
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (!first_.empty()) visit(first_);
    for (const Slice& piece : rest_) visit(piece);
  }
  /// One slice: copies only if there are several. What was decoded is always one. Empty if null.
  Slice flat() const;
  /// By bytes, however they are cut.
  bool operator==(const Records& o) const;

 private:
  Slice first_;
  std::vector<Slice> rest_;
  bool null_ = true;
};

}  // namespace taffrail::protocol
