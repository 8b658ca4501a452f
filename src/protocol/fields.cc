#include "protocol/fields.h"

#include <algorithm>

#include "base/check.h"

namespace taffrail::protocol {

bool UnknownTags::contains(uint32_t number) const {
  return std::ranges::any_of(all(), [&](const Tag& t) { return t.number == number; });
}

void UnknownTags::add(uint32_t number, std::string data) {
  if (tags_ == nullptr) tags_ = std::make_unique<std::vector<Tag>>();
  const auto at = std::ranges::lower_bound(*tags_, number, {}, &Tag::number);
  CHECK(at == tags_->end() || at->number != number, "one value per tag");
  tags_->insert(at, {number, std::move(data)});
}

bool UnknownTags::operator==(const UnknownTags& o) const {
  return std::ranges::equal(all(), o.all());
}

size_t Records::size_bytes() const {
  size_t size = 0;
  for_each([&](const Slice& piece) { size += piece.size(); });
  return size;
}

void Records::add(Slice piece) {
  null_ = false;
  if (piece.empty()) return;
  if (first_.empty()) {
    first_ = std::move(piece);
  } else {
    rest_.push_back(std::move(piece));
  }
}

Slice Records::flat() const {
  if (rest_.empty()) return first_;
  return Slice::make(size_bytes(), [&](MutableBytes to) {
    for_each([&](const Slice& piece) {
      std::memcpy(to.data(), piece.data(), piece.size());
      to = to.subspan(piece.size());
    });
  });
}

bool Records::operator==(const Records& o) const { return null_ == o.null_ && flat() == o.flat(); }

}  // namespace taffrail::protocol
