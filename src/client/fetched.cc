#include "client/fetched.h"

#include <fmt/core.h>

#include <set>

#include "record/batch.h"
#include "record/records.h"

namespace taffrail::client {
namespace {

constexpr int16_t kAbortMarker = 0;

std::optional<std::string> text_of(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(as_text(*bytes));
}

// Whether a control batch holds an abort marker; its key is version and type (KIP-98).
Result<bool> aborts(const BatchView& batch) {
  RecordWalk records = TRY(RecordWalk::open(batch));
  const auto record = TRY(records.next());
  if (!record || !record->key) return false;
  ByteReader key(*record->key);
  key.i16();
  const int16_t type = key.i16();
  return key.ok() && type == kAbortMarker;
}

Result<> read_batch(const BatchView& batch, Offset from, CodecScratch* scratch, std::vector<ConsumedRecord>& out) {
  RecordWalk records = TRY(RecordWalk::open(batch, {}, scratch));
  while (auto record = TRY(records.next())) {
    if (record->offset < from) continue;
    ConsumedRecord& r = out.emplace_back();
    r.offset = record->offset;
    r.timestamp_ms = record->timestamp;
    r.key = text_of(record->key);
    r.value = text_of(record->value);
    while (const auto h = record->headers.next())
      r.headers.push_back({std::string(as_text(h->key)), text_of(h->value)});
    r.leader_epoch = batch.leader_epoch();
  }
  return {};
}

class Reader {
 public:
  Reader(Offset from, std::span<const AbortedRange> aborted, CodecScratch* scratch)
      : from_(from), not_begun_(aborted), scratch_(scratch), out_{.records = {}, .next = from} {}

  Result<> take(const BatchView& batch) {
    if (!batch.check_crc()) return fail(Errc::kCorrupt, "its checksum is wrong");
    for (; !not_begun_.empty() && not_begun_.front().first <= batch.last_offset();
         not_begun_ = not_begun_.subspan(1))
      aborting_.insert(not_begun_.front().producer);
    if (batch.is_control()) {
      if (TRY(aborts(batch))) aborting_.erase(batch.producer_id());
    } else if (!batch.is_transactional() || !aborting_.contains(batch.producer_id())) {
      // All of a batch or nothing: a reader that stops in the middle of a bad one would show its
      // first records again and again.
      std::vector<ConsumedRecord> records;
      TRY(read_batch(batch, from_, scratch_, records));
      for (ConsumedRecord& r : records) out_.records.push_back(std::move(r));
    }
    out_.next = batch.next_offset();
    out_.leader_epoch = batch.leader_epoch();
    return {};
  }
  Fetched& out() { return out_; }

 private:
  Offset from_;
  std::span<const AbortedRange> not_begun_;
  CodecScratch* scratch_;
  std::set<ProducerId> aborting_;
  Fetched out_;
};

}  // namespace

Result<Fetched> read_fetched(ByteView bytes, Offset from, std::span<const AbortedRange> aborted,
                             CodecScratch* scratch) {
  Reader reader(from, aborted, scratch);
  BatchWalk walk(bytes);
  for (;;) {
    const auto batch = walk.next();
    const Offset at = reader.out().next;
    std::optional<Error> damage;
    if (!batch) {
      damage = batch.error();
    } else if (!*batch) {
      return std::move(reader.out());
    } else if ((*batch)->next_offset() > at) {
      const Result<> taken = reader.take(**batch);
      if (!taken) damage = taken.error();
    }
    if (!damage) continue;
    if (at > from) return std::move(reader.out());
    return std::unexpected(
        Error{damage->code, fmt::format("the batch at offset {}: {}", at.value, damage->message)});
  }
}

}  // namespace taffrail::client
