#include "consensus/wire.h"

#include <fmt/core.h>

#include "base/check.h"

namespace taffrail {

namespace {

constexpr uint8_t kFormat = 2;
constexpr size_t kEntryBytes = 8 + 1 + 8 + 4 + 8 + 4;
// A term is a leader epoch, which Kafka's clients read as 32 bits.
constexpr int64_t kMaxTerm = INT32_MAX;
// Half of the range, so that adding to it cannot overflow.
constexpr int64_t kMaxPlace = INT64_MAX / 2;

class Writer {
 public:
  explicit Writer(ByteWriter& out) : out_(out) {}
  void operator()(bool v) { out_.u8(v ? 1 : 0); }
  void operator()(uint64_t v) { out_.u64(v); }
  void operator()(Term v) { out_.i64(v.value); }
  void operator()(LogIndex v) { out_.i64(v.value); }
  void operator()(EntryId v) {
    (*this)(v.index);
    (*this)(v.term);
  }
  void operator()(const Configuration& v) { write_configuration(out_, v); }
  void operator()(const std::vector<ReplicaId>& v) {
    out_.u8(static_cast<uint8_t>(v.size()));
    for (const ReplicaId& replica : v) write_replica(out_, replica);
  }

 private:
  ByteWriter& out_;
};

// Reads like Writer writes, and remembers the first thing that cannot be.
class Reader {
 public:
  explicit Reader(ByteReader& in) : in_(in) {}
  void operator()(bool& v) {
    const uint8_t raw = in_.u8();
    if (raw > 1) wrong("a flag that is neither 0 nor 1");
    v = raw == 1;
  }
  void operator()(uint64_t& v) { v = in_.u64(); }
  void operator()(Term& v) { v = Term(within(kMaxTerm, "a term out of range")); }
  void operator()(LogIndex& v) { v = LogIndex(within(kMaxPlace, "an index out of range")); }
  void operator()(EntryId& v) {
    (*this)(v.index);
    (*this)(v.term);
  }
  void operator()(Configuration& v) {
    Result<Configuration> read = read_configuration(in_);
    if (read) {
      v = *std::move(read);
    } else if (!error_) {
      error_ = read.error();
    }
  }
  void operator()(std::vector<ReplicaId>& v) {
    for (uint8_t left = in_.u8(); left > 0 && in_.ok(); --left) v.push_back(read_replica(in_));
  }
  int64_t within(int64_t max, const char* what) {
    const int64_t v = in_.i64();
    if (v < 0 || v > max) wrong(what);
    return v < 0 || v > max ? 0 : v;
  }
  void wrong(const char* what) {
    if (!error_) error_ = Error{Errc::kCorrupt, std::string("raft message: ") + what};
  }
  ByteReader& in() { return in_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  ByteReader& in_;
  std::optional<Error> error_;
};

// One list of fields for each message, walked by both.
template <class M, class Walk>
void fields(M& m, Walk& walk) {
  using T = std::remove_const_t<M>;
  walk(m.term);
  if constexpr (std::is_same_v<T, VoteRequest>) {
    walk(m.last);
    walk(m.pre);
    walk(m.transfer);
  } else if constexpr (std::is_same_v<T, VoteReply>) {
    walk(m.pre);
    walk(m.granted);
  } else if constexpr (std::is_same_v<T, AppendRequest>) {
    walk(m.serial);
    walk(m.prev);
    walk(m.commit);
  } else if constexpr (std::is_same_v<T, AppendReply>) {
    walk(m.serial);
    walk(m.ok);
    walk(m.match);
    walk(m.hint);
  } else if constexpr (std::is_same_v<T, CommitNotice>) {
    walk(m.commit);
  } else if constexpr (std::is_same_v<T, SnapshotOffer>) {
    walk(m.last);
    walk(m.configuration);
  } else if constexpr (std::is_same_v<T, SnapshotReply>) {
    walk(m.match);
  } else if constexpr (std::is_same_v<T, TailQuery>) {
    walk(m.last);
  } else if constexpr (std::is_same_v<T, TailAnswer>) {
    walk(m.asked);
    walk(m.last);
    walk(m.doubtful);
    walk(m.voters);
  } else {
    static_assert(std::is_same_v<T, TimeoutNow>);
  }
}

// The message of type number `type`, its place in the variant; false if there is none.
template <size_t I = 0>
bool select(size_t type, Message& message) {
  if constexpr (I < std::variant_size_v<Message>) {
    if (type != I) return select<I + 1>(type, message);
    message.emplace<I>();
    return true;
  }
  return false;
}

bool known_kind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(EntryKind::kNoop) &&
         kind <= static_cast<uint8_t>(EntryKind::kCommand);
}

// Indices are not written: they continue from `prev`.
void write_entries(ByteWriter& out, const AppendRequest& request,
                   const std::vector<uint32_t>& payload_sizes) {
  CHECK(payload_sizes.size() == request.entries.size(), "one payload size for each entry");
  out.u32(static_cast<uint32_t>(request.entries.size()));
  for (size_t i = 0; i < request.entries.size(); ++i) {
    const EntryMeta& entry = request.entries[i];
    out.i64(entry.term.value);
    out.u8(static_cast<uint8_t>(entry.kind));
    out.i64(entry.base_offset.value);
    out.i32(entry.offset_count);
    out.i64(entry.max_timestamp);
    out.u32(payload_sizes[i]);
  }
}

Result<> read_entries(Reader& read, AppendRequest& request, std::vector<uint32_t>& payload_sizes) {
  ByteReader& in = read.in();
  const uint32_t count = in.u32();
  if (count > kMaxEntriesPerAppend) {
    return fail(Errc::kTooLarge, fmt::format("raft message: {} entries in one request", count));
  }
  if (in.left() < count * kEntryBytes) return fail(Errc::kCorrupt, "raft message: cut short");
  request.entries.reserve(count);
  payload_sizes.reserve(count);
  EntryId before = request.prev;
  for (uint32_t i = 0; i < count; ++i) {
    EntryMeta entry;
    entry.index = before.index + 1;
    read(entry.term);
    const uint8_t kind = in.u8();
    if (!known_kind(kind)) read.wrong("an entry of unknown kind");
    entry.kind = static_cast<EntryKind>(kind);
    entry.base_offset = Offset(read.within(kMaxPlace, "an offset out of range"));
    entry.offset_count = in.i32();
    if (entry.offset_count < 0) read.wrong("an entry of fewer than no records");
    entry.max_timestamp = in.i64();
    payload_sizes.push_back(in.u32());
    if (entry.term < before.term || entry.term > request.term) {
      read.wrong("an entry whose term does not fit its place");
    }
    if (read.error()) return std::unexpected(*read.error());
    request.entries.push_back(entry);
    before = entry.id();
  }
  return {};
}

}  // namespace

std::string encode_envelope(const RaftEnvelope& envelope) {
  ByteWriter out;
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>(envelope.message.index()));
  write_key(out, envelope.group);
  write_replica(out, envelope.from);
  write_replica(out, envelope.to);
  Writer write(out);
  std::visit([&](const auto& m) { fields(m, write); }, envelope.message);
  if (const auto* append = std::get_if<AppendRequest>(&envelope.message)) {
    write_entries(out, *append, envelope.payload_sizes);
  }
  return out.take();
}

Result<RaftEnvelope> decode_envelope(ByteView bytes) {
  ByteReader in(bytes);
  const uint8_t format = in.u8();
  if (in.ok() && format != kFormat) {
    return fail(Errc::kUnsupported, fmt::format("raft message of format {}", format));
  }
  const uint8_t type = in.u8();
  RaftEnvelope envelope;
  envelope.group = read_key(in);
  envelope.from = read_replica(in);
  envelope.to = read_replica(in);
  if (!in.ok()) return fail(Errc::kCorrupt, "raft message: cut short");
  if (!select(type, envelope.message)) {
    return fail(Errc::kUnsupported, fmt::format("raft message of type {}", type));
  }
  Reader read(in);
  std::visit([&](auto& m) { fields(m, read); }, envelope.message);
  if (read.error()) return std::unexpected(*read.error());
  if (auto* append = std::get_if<AppendRequest>(&envelope.message)) {
    if (append->prev.term > append->term) {
      return fail(Errc::kCorrupt, "raft message: a previous entry of a later term");
    }
    TRY(read_entries(read, *append, envelope.payload_sizes));
  }
  if (!in.ok()) return fail(Errc::kCorrupt, "raft message: cut short");
  if (!in.done()) return fail(Errc::kCorrupt, "raft message: bytes behind its end");
  return envelope;
}

Result<std::vector<Slice>> split_payloads(const RaftEnvelope& envelope, const Slice& body) {
  std::vector<Slice> payloads;
  payloads.reserve(envelope.payload_sizes.size());
  size_t at = 0;
  for (const uint32_t size : envelope.payload_sizes) {
    if (size > body.size() - at) {
      return fail(Errc::kCorrupt,
                  fmt::format("payloads need more than the {} bytes that came", body.size()));
    }
    payloads.push_back(body.sub(at, size));
    at += size;
  }
  if (at != body.size()) {
    return fail(Errc::kCorrupt, fmt::format("{} bytes behind the payloads", body.size() - at));
  }
  return payloads;
}

Result<> fill_configurations(AppendRequest& request, std::span<const Slice> payloads) {
  if (payloads.size() != request.entries.size()) {
    return fail(Errc::kCorrupt,
                fmt::format("{} payloads for {} entries", payloads.size(), request.entries.size()));
  }
  request.configurations.clear();
  for (size_t i = 0; i < payloads.size(); ++i) {
    if (request.entries[i].kind != EntryKind::kConfig) continue;
    request.configurations.push_back(TRY(decode_configuration(payloads[i])));
  }
  return {};
}

}  // namespace taffrail
