// Holes in a log, and how they are filled.
#include <fmt/core.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/plant.h"
#include "record/batch.h"
#include "storage/checkpointer.h"
#include "storage/log.h"
#include "storage/store.h"

namespace taffrail {

std::shared_ptr<Segment> Log::patch_of(LogIndex index) const {
  for (const auto& patch : patches_)
    if (patch->first() <= index && index < patch->next()) return patch;
  return nullptr;
}

void Log::note_damage(Segment& segment, LogIndex index) {
  // A patch that went bad is a hole again: it was never more than a copy.
  const auto patch = std::find_if(patches_.begin(), patches_.end(), [&](const auto& p) { return p.get() == &segment; });
  if (patch != patches_.end()) {
    patches_.erase(patch);
  } else if (!segment.add_hole_at(index)) {
    return;
  }
  if (store_.hole_hook_) store_.hole_hook_(key_);
}

// What is known on both sides of the hole has to fit: an entry that contradicts it is another history's.
Result<> Log::check_fits(std::span<const Entry> entries, LogIndex hole_end) const {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::kInvalid, fmt::format("{}: what was given for entry {} does not fit: {}", key_.text(),
                                            entries.front().meta.index.value, why));
  };
  if (entries.back().meta.index >= hole_end) return refuse("it reaches past the hole");
  const EntryMeta* before = nullptr;
  for (const Entry& entry : entries) {
    const EntryMeta& meta = entry.meta;
    if (before != nullptr && (meta.index != before->index + 1 || meta.base_offset != before->next_offset() || meta.term < before->term))
      return refuse("entries do not follow each other");
    before = &meta;
    if (meta.kind != EntryKind::kBatch) {
      if (meta.offset_count != 0) return refuse("an offset for what is no batch");
      continue;
    }
    const Result<BatchView> batch = BatchView::parse(entry.payload);
    if (!batch || !batch->check_crc()) return refuse("a batch whose checksum does not match");
    if (batch->base_offset() != meta.base_offset) return refuse("a batch of other offsets");
  }
  if (const auto term = term_at(entries.front().meta.index - 1); term && entries.front().meta.term < *term)
    return refuse("its term falls");
  if (const auto term = term_at(entries.back().meta.index + 1); term && *term < entries.back().meta.term)
    return refuse("the term after it falls");
  if (entries.front().meta.index == first_index() && entries.front().meta.base_offset != prefix_offset_)
    return refuse("it does not begin where the log does");
  if (entries.back().meta.index == last_.index && (entries.back().meta.id() != last_ || before->next_offset() != next_offset_))
    return refuse("it does not end where the log does");
  return {};
}

Result<> Log::fill_hole(Task& task, std::span<const Entry> entries) {
  if (entries.empty()) return {};
  const auto lock = TRY(store_.checkpointer_->lock_files(task));
  const auto open = holes();
  const auto hole = std::find_if(open.begin(), open.end(), [&](const auto& h) { return h.first == entries.front().meta.index; });
  if (hole == open.end())
    return fail(Errc::kInvalid, fmt::format("{}: no hole begins at entry {}", key_.text(), entries.front().meta.index.value));
  if (!PLANT("S30")) TRY(check_fits(entries, hole->second));
  std::vector<uint32_t> crcs;
  crcs.reserve(entries.size());
  for (const Entry& entry : entries) crcs.push_back(crc32c(entry.payload.view()));
  TRY(make_own_directory(task));
  const uint64_t cuts = cuts_;
  std::shared_ptr<Segment> patch = TRY(Segment::create(task, store_.runtime_.disk(), key_, directory_,
                                                       entries.front().meta.index, entries.front().meta.base_offset, /*patch=*/true));
  TRY(patch->append(task, entries, crcs));
  TRY(patch->sync(task));
  // The log may have got another beginning meanwhile: then the file is of no use, and the next start drops it.
  if (cuts_ != cuts || patch->next() <= first_index()) return {};
  adopt_patch(std::move(patch));
  return {};
}

void Log::note_config(const Entry& config) {
  const auto at = std::lower_bound(configs_.begin(), configs_.end(), config.meta.index,
                                   [](const Entry& c, LogIndex i) { return c.meta.index < i; });
  if (at == configs_.end() || at->meta.index != config.meta.index) configs_.insert(at, config);
}

void Log::adopt_patch(std::shared_ptr<Segment> patch) {
  for (const Segment::TermStart& run : patch->terms()) terms_.push_back({run.first, run.term, run.start});
  std::sort(terms_.begin(), terms_.end(), [](const TermRun& a, const TermRun& b) { return a.first < b.first; });
  const auto again = std::unique(terms_.begin(), terms_.end(), [](const TermRun& a, const TermRun& b) { return a.term == b.term; });
  terms_.erase(again, terms_.end());
  for (const Entry& config : patch->configs()) note_config(config);
  const auto at = std::lower_bound(patches_.begin(), patches_.end(), patch->first(),
                                   [](const auto& p, LogIndex i) { return p->first() < i; });
  patches_.insert(at, std::move(patch));
}

}  // namespace taffrail
