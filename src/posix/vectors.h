// Many pieces of memory for one system call, and what is left of them after a call that took some.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/bytes.h"

namespace taffrail::posix {

/// Walks over `parts` (ByteViews or Slices, which outlive this), at most kMax pieces a call.
template <class Part, size_t kMax>
class Vectors {
 public:
  explicit Vectors(std::span<const Part> parts) : parts_(parts) {}

  /// What the next call is given, `most` bytes or less; empty when nothing is left. Empty parts are skipped: a call with
  /// nothing but those would look like one that made no progress.
  std::span<iovec> next(size_t most = SIZE_MAX) {
    size_t count = 0;
    size_t skip = within_;
    for (size_t i = part_; i < parts_.size() && count < kMax && most > 0; ++i) {
      ByteView rest = ByteView(parts_[i]).subspan(skip);
      skip = 0;
      if (rest.size() > most) rest = rest.first(most);
      most -= rest.size();
      if (!rest.empty()) vectors_[count++] = {const_cast<uint8_t*>(rest.data()), rest.size()};
    }
    return {vectors_.data(), count};
  }

  /// Copies what is next, as much as fits, and returns how much that is.
  size_t copy(std::span<uint8_t> to) const {
    size_t filled = 0;
    size_t skip = within_;
    for (size_t i = part_; i < parts_.size() && filled < to.size(); ++i) {
      ByteView rest = ByteView(parts_[i]).subspan(skip);
      skip = 0;
      rest = rest.first(std::min(rest.size(), to.size() - filled));
      if (!rest.empty()) std::memcpy(to.data() + filled, rest.data(), rest.size());
      filled += rest.size();
    }
    return filled;
  }

  /// `taken` bytes of what next() gave, or copy() copied, are done.
  void advance(size_t taken) {
    while (part_ < parts_.size() && taken >= parts_[part_].size() - within_) {
      taken -= parts_[part_].size() - within_;
      within_ = 0;
      ++part_;
    }
    within_ += taken;
  }

 private:
  std::span<const Part> parts_;
  size_t part_ = 0;
  size_t within_ = 0;
  std::array<iovec, kMax> vectors_;
};

}  // namespace taffrail::posix
