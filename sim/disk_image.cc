#include "sim/disk_image.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace taffrail::sim {
namespace {

bool all_zero(const uint8_t* at, size_t count) {
  return count == 0 || (at[0] == 0 && std::memcmp(at, at + 1, count - 1) == 0);
}

uint64_t page_digest(const PageRef& page) {
  if (page.is_zero() || all_zero(page.bytes(), kPageBytes)) return 0;
  return digest(ByteView(page.bytes(), kPageBytes));
}

// The bytes that `page` holds, for copying out of; zeros if it is null.
const uint8_t* bytes_or_zeros(const PageRef& page) {
  static constexpr uint8_t kZeros[kPageBytes] = {};
  return page.is_zero() ? kZeros : page.bytes();
}

uint64_t round_up(uint64_t size) { return (size + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

uint8_t* PageRef::own() {
  if (page_ == nullptr) {
    page_ = new Page;
    std::memset(page_->bytes, 0, kPageBytes);
  } else if (page_->owners > 1) {
    auto* copy = new Page;
    std::memcpy(copy->bytes, page_->bytes, kPageBytes);
    --page_->owners;
    page_ = copy;
  }
  return page_->bytes;
}

const Inode::Entry* Inode::find(uint64_t page) const {
  const uint64_t chunk = page / kChunkPages;
  if (chunk >= chunks_.size() || chunks_[chunk].empty()) return nullptr;
  return &chunks_[chunk][page % kChunkPages];
}

Inode::Entry& Inode::at(uint64_t page) {
  const uint64_t chunk = page / kChunkPages;
  if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
  if (chunks_[chunk].empty()) chunks_[chunk].resize(kChunkPages);
  return chunks_[chunk][page % kChunkPages];
}

void Inode::mark(uint64_t page, Entry& entry) {
  entry.bad = false;
  if (entry.dirty) return;
  entry.dirty = true;
  dirty_.push_back(page);
}

void Inode::set_size(uint64_t size) {
  size_ = size;
  *used_ -= charged_;
  charged_ = round_up(size);
  *used_ += charged_;
}

Result<size_t> Inode::read(uint64_t position, MutableBytes into) const {
  if (position >= size_) return size_t{0};
  const auto count = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - position));
  for (size_t done = 0; done < count;) {
    const uint64_t page = (position + done) / kPageBytes;
    const auto within = static_cast<uint32_t>((position + done) % kPageBytes);
    const size_t piece = std::min<size_t>(kPageBytes - within, count - done);
    const Entry* entry = find(page);
    if (entry != nullptr && entry->bad) return fail(Errc::kIo, fmt::format("cannot read page {}", page));
    if (entry == nullptr || entry->cache.is_zero()) {
      std::memset(into.data() + done, 0, piece);
    } else {
      std::memcpy(into.data() + done, entry->cache.bytes() + within, piece);
    }
    done += piece;
  }
  return count;
}

void Inode::write(uint64_t position, ByteView bytes, Stream& draws, uint32_t writeback_per_mille) {
  if (bytes.empty()) return;  // Writing nothing far away does not make a file longer.
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t page = (position + done) / kPageBytes;
    const auto within = static_cast<uint32_t>((position + done) % kPageBytes);
    const size_t piece = std::min<size_t>(kPageBytes - within, bytes.size() - done);
    const uint8_t* from = bytes.data() + done;
    done += piece;

    const Entry* existing = find(page);
    const bool blank = existing == nullptr || (existing->cache.is_zero() && existing->durable.is_zero());
    if (blank && all_zero(from, piece)) {
      if (existing != nullptr) at(page).bad = false;
      continue;
    }
    Entry& entry = at(page);
    // The kernel writes pages back when it likes: a state between two syncs may be what survives.
    if (entry.dirty && draws.hits(writeback_per_mille, 1000, "written back early")) entry.durable = entry.cache;
    if (piece == kPageBytes && all_zero(from, piece)) {
      entry.cache = PageRef();
    } else {
      std::memcpy(entry.cache.own() + within, from, piece);
    }
    mark(page, entry);
  }
  extend(position + bytes.size());
}

void Inode::note_beginning(uint64_t position) {
  if (position < size_ && find(position / kPageBytes) != nullptr)
    at(position / kPageBytes).began = static_cast<uint16_t>(position % kPageBytes);
}

void Inode::truncate(uint64_t size) {
  if (size < size_) {
    const uint64_t first_gone = (size + kPageBytes - 1) / kPageBytes;
    for (uint64_t page = first_gone; page < chunks_.size() * kChunkPages; ++page) {
      const Entry* entry = find(page);
      if (entry == nullptr) {
        page += kChunkPages - 1 - page % kChunkPages;
        continue;
      }
      if (entry->cache.is_zero() && entry->durable.is_zero()) continue;
      Entry& gone = at(page);
      gone.cache = PageRef();
      mark(page, gone);
    }
    const auto keep = static_cast<uint32_t>(size % kPageBytes);
    const Entry* last = keep == 0 ? nullptr : find(size / kPageBytes);
    if (last != nullptr && !last->cache.is_zero()) {
      Entry& cut = at(size / kPageBytes);
      std::memset(cut.cache.own() + keep, 0, kPageBytes - keep);
      mark(size / kPageBytes, cut);
    }
  }
  set_size(size);
}

DiskImage::DiskImage() : used_(std::make_shared<uint64_t>(0)) { root_ = make(/*directory=*/true); }

Result<InodeRef> DiskImage::find(std::string_view path) const {
  InodeRef here = root_;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return fail(Errc::kInvalid, fmt::format("path {}", path));
    if (!here->directory_) return fail(Errc::kNotFound, fmt::format("{} is below a file", part));
    const auto at = here->names_.find(part);
    if (at == here->names_.end()) return fail(Errc::kNotFound, fmt::format("no {}", part));
    here = at->second;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) return fail(Errc::kInvalid, "a path does not end in /");
  }
  return here;
}

Result<std::pair<InodeRef, std::string>> DiskImage::parent_of(std::string_view path) const {
  const size_t slash = path.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (last.empty() || last == "." || last == "..") return fail(Errc::kInvalid, fmt::format("path {}", path));
  if (slash == 0) return fail(Errc::kInvalid, fmt::format("path {} is absolute", path));
  InodeRef parent = TRY(find(slash == std::string_view::npos ? "" : path.substr(0, slash)));
  if (!parent->directory_) return fail(Errc::kNotFound, fmt::format("{} is below a file", path));
  return std::pair{std::move(parent), std::string(last)};
}

Result<InodeRef> DiskImage::create(std::string_view path, bool directory) {
  auto [parent, name] = TRY(parent_of(path));
  if (parent->names_.contains(name)) return fail(Errc::kExists, std::string(path));
  InodeRef node = make(directory);
  parent->names_.emplace(name, node);
  pending_.push_back({OpKind::kCreate, parent, name, node, nullptr, {}});
  return node;
}

Result<> DiskImage::remove(std::string_view path, bool directory) {
  auto [parent, name] = TRY(parent_of(path));
  const auto at = parent->names_.find(name);
  if (at == parent->names_.end()) return fail(Errc::kNotFound, std::string(path));
  if (at->second->directory_ != directory)
    return fail(Errc::kInvalid, fmt::format("{} is {} directory", path, directory ? "no" : "a"));
  if (directory && !at->second->names_.empty()) return fail(Errc::kBusy, fmt::format("{} is not empty", path));
  pending_.push_back({OpKind::kRemove, parent, name, at->second, nullptr, {}});
  parent->names_.erase(at);
  return {};
}

Result<> DiskImage::rename(std::string_view from, std::string_view to) {
  auto [parent, name] = TRY(parent_of(from));
  auto [to_parent, to_name] = TRY(parent_of(to));
  const auto at = parent->names_.find(name);
  if (at == parent->names_.end()) return fail(Errc::kNotFound, std::string(from));
  const InodeRef node = at->second;
  const auto over = to_parent->names_.find(to_name);
  if (over != to_parent->names_.end()) {
    if (over->second == node) return {};
    if (over->second->directory_ && !over->second->names_.empty()) return fail(Errc::kBusy, std::string(to));
    if (over->second->directory_ != node->directory_) return fail(Errc::kInvalid, std::string(to));
  }
  if (node->directory_ && to.size() > from.size() && to.starts_with(from) && to[from.size()] == '/')
    return fail(Errc::kInvalid, fmt::format("{} lies in {}", to, from));
  parent->names_.erase(at);
  to_parent->names_[to_name] = node;
  pending_.push_back({OpKind::kRename, parent, name, node, to_parent, to_name});
  return {};
}

Result<std::vector<std::string>> DiskImage::list(std::string_view path) const {
  const InodeRef here = TRY(find(path));
  if (!here->directory_) return fail(Errc::kNotFound, fmt::format("{} is no directory", path));
  std::vector<std::string> out;
  out.reserve(here->names_.size());
  for (const auto& [name, node] : here->names_) out.push_back(name);
  return out;
}

// Whether the durable names let `op` happen; if so, it has.
bool DiskImage::apply_durably(const NameOp& op) {
  auto& names = op.directory->durable_names_;
  const auto at = names.find(op.name);
  switch (op.kind) {
    case OpKind::kCreate:
      return at == names.end() && names.emplace(op.name, op.node).second;
    case OpKind::kRemove:
      if (at == names.end() || at->second != op.node) return false;
      names.erase(at);
      return true;
    case OpKind::kRename:
      if (at == names.end() || at->second != op.node) return false;
      names.erase(at);
      op.to_directory->durable_names_[op.to_name] = op.node;
      return true;
  }
  return false;
}

// A journal orders what depends on each other: with the changes of this directory go the earlier ones
// of the same files and the same names, wherever they were made.
Result<> DiskImage::sync_names(std::string_view path) {
  const InodeRef here = TRY(find(path));
  if (!here->directory_) return fail(Errc::kNotFound, fmt::format("{} is no directory", path));
  const auto shares = [](const NameOp& a, const NameOp& b) {
    const auto names = [](const NameOp& op, const InodeRef& dir, const std::string& name) {
      return (op.directory == dir && op.name == name) || (op.to_directory == dir && op.to_name == name);
    };
    return a.node == b.node || names(a, b.directory, b.name) ||
           (b.to_directory != nullptr && names(a, b.to_directory, b.to_name));
  };
  std::vector<bool> goes(pending_.size(), false);
  for (size_t i = pending_.size(); i-- > 0;) {
    goes[i] = pending_[i].directory == here || pending_[i].to_directory == here;
    for (size_t later = i + 1; later < pending_.size() && !goes[i]; ++later)
      goes[i] = goes[later] && shares(pending_[i], pending_[later]);
  }
  std::vector<NameOp> rest;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!goes[i]) {
      rest.push_back(std::move(pending_[i]));
    } else {
      const bool applied = apply_durably(pending_[i]);
      CHECK(applied, "a directory's journal replays in order");
    }
  }
  pending_ = std::move(rest);
  return {};
}

SyncSet DiskImage::begin_sync(const InodeRef& inode) {
  SyncSet set{.inode = inode, .size = inode->size_, .pages = {}};
  set.pages.reserve(inode->dirty_.size());
  for (const uint64_t page : inode->dirty_) {
    Inode::Entry& entry = inode->at(page);
    if (!entry.dirty) continue;
    entry.dirty = false;
    set.pages.emplace_back(page, entry.cache);
  }
  inode->dirty_.clear();
  return set;
}

std::string Inode::read_durable(uint64_t position, size_t size) const {
  const uint64_t end = std::min(position + size, durable_size_);
  std::string out;
  if (position < end) out.reserve(end - position);
  for (uint64_t at = position; at < end;) {
    const uint64_t within = at % kPageBytes;
    const uint64_t piece = std::min(end - at, kPageBytes - within);
    const Entry* entry = find(at / kPageBytes);
    if (entry == nullptr || entry->durable.is_zero()) out.append(piece, '\0');
    else out.append(reinterpret_cast<const char*>(entry->durable.bytes()) + within, piece);
    at += piece;
  }
  return out;
}

bool Inode::harmed(uint64_t position, uint64_t size) const {
  for (uint64_t page = position / kPageBytes; page * kPageBytes < position + size; ++page)
    if (const Entry* entry = find(page); entry != nullptr && entry->harmed) return true;
  return false;
}

void DiskImage::settle(const SyncSet& set, uint64_t page, const PageRef& content, Landing landing) {
  Inode& file = *set.inode;
  if (landing == Landing::kRight) {
    file.at(page).durable = content;
    return;
  }
  if (landing == Landing::kAstray && set.astray != nullptr) {
    // Over what was there; the cache follows the medium unless it is newer.
    Inode::Entry& victim = set.astray->at(set.astray_page);
    const bool newer = victim.dirty || !victim.cache.same_as(victim.durable);
    victim.durable = content;
    victim.harmed = true;
    if (!newer) victim.cache = content;
  }
  // What went nowhere or astray is gone once its page is read from the medium again.
  Inode::Entry& own = file.at(page);
  own.harmed = true;
  if (!own.dirty) own.cache = own.durable;
}

void DiskImage::abandon(const SyncSet& set) {
  for (const auto& [page, content] : set.pages) set.inode->mark(page, set.inode->at(page));
}

void DiskImage::commit_some(const SyncSet& set, Stream& draws) {
  for (const auto& [page, content] : set.pages)
    if (draws.draw(2, "reached the disk before the cut") == 0) set.inode->at(page).durable = content;
}

void DiskImage::cut_pages(Inode& file, Stream& draws, CutCounts& counts) {
  for (const uint64_t page : file.dirty_) {
    Inode::Entry& entry = file.at(page);
    if (!entry.dirty) continue;
    entry.dirty = false;
    if (entry.cache.same_as(entry.durable)) continue;
    const uint64_t fate = draws.draw(3, "an unsynced page");  // 0 whole, 1 gone, 2 torn.
    if (fate == 0) entry.durable = entry.cache;
    if (fate == 1) ++counts.pages_lost;
    if (fate == 2) {
      ++counts.pages_torn;
      const uint64_t kept = draws.draw(256, "sectors of a torn page");
      PageRef torn = entry.durable;
      uint8_t* into = torn.own();
      const uint8_t* from = bytes_or_zeros(entry.cache);
      for (uint32_t i = 0; i < kPageBytes / kTearBytes; ++i)
        if ((kept >> i & 1) != 0) std::memcpy(into + i * kTearBytes, from + i * kTearBytes, kTearBytes);
      entry.durable = torn;
    }
  }
  file.dirty_.clear();

  // A size that was not synced: the new one, the old one, or, grown page by page, one between.
  uint64_t size = file.size_;
  if (file.size_ != file.durable_size_) {
    const uint64_t fate = draws.draw(3, "an unsynced size");
    if (fate == 1) size = file.durable_size_;
    if (fate == 2) {
      const uint64_t low = std::min(file.size_, file.durable_size_);
      const uint64_t span = std::max(file.size_, file.durable_size_) - low;
      size = low + draws.draw(span / kTearBytes + 1, "a size between") * kTearBytes;
    }
    if (size != file.size_) ++counts.sizes_undone;
  }
  // What a page holds past the end of the file is not the file's: a later extension reads zeros there.
  for (uint64_t chunk = 0; chunk < file.chunks_.size(); ++chunk) {
    for (uint32_t i = 0; i < file.chunks_[chunk].size(); ++i) {
      Inode::Entry& entry = file.chunks_[chunk][i];
      const uint64_t begin = (chunk * Inode::kChunkPages + i) * kPageBytes;
      if (begin >= size) {
        entry = {};
        continue;
      }
      if (begin + kPageBytes > size && !entry.durable.is_zero())
        std::memset(entry.durable.own() + (size - begin), 0, begin + kPageBytes - size);
      entry.cache = entry.durable;
    }
  }
  file.set_size(size);
  file.durable_size_ = size;
}

DiskImage::CutCounts DiskImage::power_cut(Stream& draws) {
  CutCounts counts;
  // Names: either the journal got so far and no further, or any part of it that makes sense.
  if (!pending_.empty()) {
    const bool prefix = draws.draw(2, "names survive as a prefix") == 0;
    const uint64_t upto = prefix ? pending_.size() - draws.draw(pending_.size() + 1, "names lost") : 0;
    for (size_t i = 0; i < pending_.size(); ++i) {
      const bool kept = prefix ? i < upto : draws.draw(2, "a name change lost") == 0;
      if (!kept || !apply_durably(pending_[i])) ++counts.names_undone;
    }
    pending_.clear();
  }
  std::vector<Inode*> open{root_.get()};
  while (!open.empty()) {
    Inode& here = *open.back();
    open.pop_back();
    if (!here.directory_) {
      cut_pages(here, draws, counts);
      continue;
    }
    here.names_ = here.durable_names_;
    for (const auto& [name, node] : here.names_) open.push_back(node.get());
  }
  return counts;
}

bool DiskImage::has_unsynced() const {
  if (!pending_.empty()) return true;
  for (const auto& [path, file] : files())
    if (!file->dirty_.empty() || file->size_ != file->durable_size_) return true;
  return false;
}

std::vector<std::pair<std::string, InodeRef>> DiskImage::files() const {
  std::vector<std::pair<std::string, InodeRef>> out;
  std::vector<std::pair<std::string, InodeRef>> open{{"", root_}};
  while (!open.empty()) {
    const auto [path, here] = open.back();
    open.pop_back();
    if (!here->directory_) {
      if (here->size_ > 0) out.emplace_back(path, here);
      continue;
    }
    for (const auto& [name, node] : here->names_)
      open.emplace_back(path.empty() ? name : fmt::format("{}/{}", path, name), node);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

std::vector<uint64_t> DiskImage::pages_at_rest(const Inode& file) {
  std::vector<uint64_t> cold;
  for (uint64_t page = 0; page * kPageBytes < file.size_; ++page) {
    const Inode::Entry* entry = file.find(page);
    if (entry != nullptr && !entry->dirty && entry->cache.same_as(entry->durable) && !entry->durable.is_zero())
      cold.push_back(page);
  }
  return cold;
}

std::optional<uint32_t> DiskImage::beginning(const Inode& file, uint64_t page) {
  const Inode::Entry* entry = file.find(page);
  if (entry == nullptr || entry->began == kPageBytes || page * kPageBytes + entry->began >= file.size_) return std::nullopt;
  return entry->began;
}

void DiskImage::rot(Inode& file, uint64_t page, uint32_t bits, Stream& draws, uint32_t from, uint32_t within) {
  Inode::Entry& entry = file.at(page);
  const uint64_t end = std::min<uint64_t>({kPageBytes, uint64_t{from} + within, file.size_ - page * kPageBytes});
  PageRef rotten = entry.durable;
  uint8_t* bytes = rotten.own();
  for (uint32_t i = 0; i < bits; ++i) {
    const uint64_t bit = from * 8 + draws.draw((end - from) * 8, "which bit rots");
    bytes[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
  }
  entry.durable = rotten;
  entry.cache = rotten;
  entry.harmed = true;
}

void DiskImage::spoil(Inode& file, uint64_t page) {
  file.at(page).bad = true;
  file.at(page).harmed = true;
}

void DiskImage::cut(Inode& file, uint64_t size) {
  file.truncate(size);
  for (uint64_t page = size / kPageBytes; page < file.chunks_.size() * Inode::kChunkPages; ++page) {
    if (file.find(page) == nullptr) continue;
    Inode::Entry& entry = file.at(page);
    // What of it stays and was not synced yet is now.
    entry.durable = entry.cache;
    entry.harmed = true;
  }
  file.durable_size_ = size;
}

uint64_t DiskImage::digest_tree(bool durable) const {
  uint64_t sum = 0;
  std::vector<std::pair<std::string, const Inode*>> open{{"", root_.get()}};
  while (!open.empty()) {
    const auto [path, here] = open.back();
    open.pop_back();
    sum = mix64(sum, digest(path));
    if (here->directory_) {
      for (const auto& [name, node] : durable ? here->durable_names_ : here->names_)
        open.emplace_back(fmt::format("{}/{}", path, name), node.get());
      continue;
    }
    sum = mix64(sum, durable ? here->durable_size_ : here->size_);
    for (uint64_t page = 0; page < here->chunks_.size() * Inode::kChunkPages; ++page) {
      const Inode::Entry* entry = here->find(page);
      const uint64_t content = entry == nullptr ? 0 : page_digest(durable ? entry->durable : entry->cache);
      if (content != 0) sum = mix64(mix64(sum, page), content);
    }
  }
  return sum;
}

uint64_t DiskImage::durable_digest() const { return digest_tree(true); }
uint64_t DiskImage::cache_digest() const { return digest_tree(false); }

}  // namespace taffrail::sim
