#include "record/compression.h"

#include <fmt/core.h>
#include <lz4frame.h>
#include <snappy-sinksource.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/check.h"

namespace taffrail {
namespace {

template <auto kFree>
struct Freer {
  void operator()(auto* p) const { kFree(p); }
};
using ZstdReader = std::unique_ptr<ZSTD_DCtx, Freer<ZSTD_freeDCtx>>;
using ZstdWriter = std::unique_ptr<ZSTD_CCtx, Freer<ZSTD_freeCCtx>>;
// A context that grew past this, for a large window or a high level, is not kept.
constexpr size_t kScratchMax = 4 << 20;

}  // namespace

struct CodecScratch::State {
  ZstdReader reader;
  ZstdWriter writer;
};

namespace {

constexpr std::array<std::string_view, 5> kNames = {"none", "gzip", "snappy", "lz4", "zstd"};

// What has been made so far. Room is offered in steps that double what is there, so that memory follows bytes produced and
// never a length that somebody wrote into a header; one that outgrows kCopied gets address space up to the limit, which costs
// nothing until it is written to, and is not copied again: 2 MiB copied are a millisecond in which nobody else runs.
class Sink {
 public:
  Sink(size_t first, const CodecLimits& limits) : limits_(limits) { move_to(std::max<size_t>(first, 1024)); }

  /// Room for what comes next, a piece at most; empty at the limit.
  MutableBytes room() {
    if (used_ == buffer_.size() && !reserve(1)) return {};
    const MutableBytes all = buffer_.mutable_view().subspan(used_);
    return all.first(std::min(all.size(), kCodecPiece));
  }
  /// All room that is there behind room(), or reserve().
  MutableBytes rest() { return buffer_.mutable_view().subspan(used_); }
  /// Room for exactly `count` more, or false past the limit.
  bool reserve(size_t count) {
    if (count > limits_.max_bytes - used_) return false;
    if (used_ + count > buffer_.size()) move_to(std::max(used_ + count, buffer_.size() * 2));
    return true;
  }
  uint8_t* data() { return rest().data(); }
  void wrote(size_t count) { used_ += count; }
  void wrote(ByteView bytes) {
    std::memcpy(data(), bytes.data(), bytes.size());
    wrote(bytes.size());
  }
  /// So many bytes were read or made. False: no more is wanted.
  bool worked(size_t count) {
    work_ += count;
    if (work_ < kCodecPiece) return true;
    work_ = 0;
    return !limits_.keep_going || limits_.keep_going();
  }
  Slice take() const {
    const bool loose = used_ < buffer_.size() / 2 && used_ <= kCopied;
    return loose ? Slice(buffer_.view().first(used_)) : buffer_.sub(0, used_);
  }
  std::unexpected<Error> too_large() const { return fail(Errc::kTooLarge, fmt::format("comes to more than {} bytes", limits_.max_bytes)); }

 private:
  static constexpr size_t kCopied = 512 << 10;

  void move_to(size_t size) {
    buffer_ = Slice::make(size > kCopied ? limits_.max_bytes : std::min(size, limits_.max_bytes), [&](MutableBytes to) {
      if (used_ > 0) std::memcpy(to.data(), buffer_.data(), used_);
    });
  }

  const CodecLimits& limits_;
  Slice buffer_;
  size_t used_ = 0;
  size_t work_ = 0;
};

std::unexpected<Error> given_up() { return fail(Errc::kCancelled); }

std::unexpected<Error> corrupt(const char* codec, std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("{}: {}", codec, what));
}

Result<Slice> read_gzip(ByteView input, Sink out) {
  z_stream z{};
  CHECK(inflateInit2(&z, 15 + 16) == Z_OK);  // +16: gzip's header and nothing else.
  const std::unique_ptr<z_stream, Freer<inflateEnd>> owner(&z);
  z.next_in = const_cast<Bytef*>(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  uint8_t over = 0;
  while (true) {
    // Exactly at the limit is still fine, if nothing but the end is to come.
    const MutableBytes room = out.room();
    const bool at_limit = room.empty();
    const uInt before = z.avail_in;
    z.next_out = at_limit ? &over : room.data();
    z.avail_out = at_limit ? 1 : static_cast<uInt>(room.size());
    const int rc = inflate(&z, Z_NO_FLUSH);
    if (at_limit && !(rc == Z_STREAM_END && z.avail_out == 1 && z.avail_in == 0)) return out.too_large();
    const size_t made = at_limit ? 0 : room.size() - z.avail_out;
    out.wrote(made);
    if (rc == Z_STREAM_END) {
      if (z.avail_in == 0) return out.take();
      CHECK(inflateReset(&z) == Z_OK);  // Members follow each other as if they were one.
    } else if (rc != Z_OK && !(rc == Z_BUF_ERROR && z.avail_out == 0)) {
      return corrupt("gzip", z.msg != nullptr ? z.msg : "ends early");
    } else if (rc == Z_OK && z.avail_in == 0 && z.avail_out != 0) {
      return corrupt("gzip", "ends early");
    }
    if (!out.worked(made + (before - z.avail_in))) return given_up();
  }
}

constexpr std::array<uint8_t, 8> kXerialMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr size_t kXerialHeader = 16;
constexpr size_t kXerialBlock = 32 * 1024;

bool starts_xerial(ByteView bytes) {
  return bytes.size() >= kXerialHeader && equal(bytes.first(8), kXerialMagic);
}

// A raw block may be all there is: snappy is given it in bits, and between them others run.
class SnappyInput final : public snappy::Source {
 public:
  SnappyInput(ByteView block, Sink& out) : rest_(block), out_(out) {}
  bool is_given_up() const { return given_up_; }
  size_t Available() const override { return rest_.size(); }
  const char* Peek(size_t* size) override {
    *size = std::min(rest_.size(), kBit);
    return reinterpret_cast<const char*>(rest_.data());
  }
  void Skip(size_t count) override {
    rest_ = rest_.subspan(count);
    // What there is to copy from grows with it, and is at most kDensest times that.
    given_up_ = given_up_ || !out_.worked(count * kDensest);
    if (given_up_) rest_ = {};
  }

  /// The densest block is made of 3-byte copies of 64 bytes each.
  static constexpr size_t kDensest = 22;

 private:
  static constexpr size_t kBit = 4096;
  ByteView rest_;
  Sink& out_;
  bool given_up_ = false;
};

Result<> read_snappy_block(ByteView block, Sink& out) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(reinterpret_cast<const char*>(block.data()), block.size(), &size))
    return corrupt("snappy", "no length");
  // Whoever promises more lies, and must not have memory set aside for it.
  if (size / 32 > block.size()) return corrupt("snappy", "promises more than it can hold");
  if (!out.reserve(size)) return out.too_large();
  SnappyInput in(block, out);
  const bool done = snappy::RawUncompress(&in, reinterpret_cast<char*>(out.data()));
  if (in.is_given_up()) return given_up();
  if (!done) return corrupt("snappy", "a block does not decode");
  out.wrote(size);
  return {};
}

Result<Slice> read_snappy(ByteView input, Sink out) {
  if (!starts_xerial(input)) {
    // librdkafka and the Go clients send one raw block without any framing.
    TRY(read_snappy_block(input, out));
    return out.take();
  }
  ByteView rest = input;
  while (!rest.empty()) {
    if (starts_xerial(rest)) {
      rest = rest.subspan(kXerialHeader);  // Streams that were joined repeat it between blocks.
      continue;
    }
    ByteReader reader(rest);
    const uint32_t size = reader.u32();
    const ByteView block = reader.bytes(size);
    if (!reader.ok()) return corrupt("snappy", "a block ends early");
    TRY(read_snappy_block(block, out));
    rest = rest.subspan(4 + size);
  }
  return out.take();
}

constexpr std::array<uint8_t, 3> kGzipMagic = {0x1f, 0x8b, 0x08};
constexpr std::array<uint8_t, 4> kLz4Magic = {0x04, 0x22, 0x4d, 0x18};
constexpr std::array<uint8_t, 4> kZstdMagic = {0x28, 0xb5, 0x2f, 0xfd};
/// Behind any of sixteen first bytes, 0x50 to 0x5f: a frame to be skipped.
constexpr std::array<uint8_t, 3> kSkippedMagic = {0x2a, 0x4d, 0x18};

bool starts_with(ByteView input, ByteView magic) {
  return input.size() >= magic.size() && equal(input.first(magic.size()), magic);
}

Result<Slice> read_lz4(ByteView input, Sink out) {
  TRY(check_stream_start(Codec::kLz4, input));
  LZ4F_dctx* raw = nullptr;
  CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION)));
  const std::unique_ptr<LZ4F_dctx, Freer<LZ4F_freeDecompressionContext>> ctx(raw);
  size_t at = 0;
  uint8_t over = 0;
  while (true) {
    const MutableBytes room = out.room();
    const bool at_limit = room.empty();
    size_t produced = at_limit ? 1 : room.size();
    size_t consumed = input.size() - at;
    const size_t hint =
        LZ4F_decompress(ctx.get(), at_limit ? &over : room.data(), &produced, input.data() + at, &consumed, nullptr);
    if (LZ4F_isError(hint)) return corrupt("lz4", LZ4F_getErrorName(hint));
    if (at_limit && produced != 0) return out.too_large();
    out.wrote(produced);
    at += consumed;
    if (hint == 0) return out.take();  // Java stops after the first frame, and so does this.
    if (produced == 0 && consumed == 0) return corrupt("lz4", "ends early");
    if (!out.worked(produced + consumed)) return given_up();
  }
}

Result<Slice> read_zstd(ByteView input, Sink out, int window_log_max, CodecScratch::State& scratch) {
  ZstdReader& ctx = scratch.reader;
  // A call that failed may have left a large one.
  if (!ctx || ZSTD_sizeof_DCtx(ctx.get()) > kScratchMax) ctx.reset(ZSTD_createDCtx());
  CHECK(ctx != nullptr, "out of memory");
  ZSTD_DCtx_reset(ctx.get(), ZSTD_reset_session_only);
  ZSTD_DCtx_setParameter(ctx.get(), ZSTD_d_windowLogMax, window_log_max);
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  uint8_t over = 0;
  size_t hint = 1;
  while (in.pos < in.size || hint != 0) {
    const MutableBytes room = out.room();
    const bool at_limit = room.empty();
    ZSTD_outBuffer to{at_limit ? &over : room.data(), at_limit ? 1 : room.size(), 0};
    const size_t consumed_before = in.pos;
    hint = ZSTD_decompressStream(ctx.get(), &to, &in);
    if (ZSTD_isError(hint)) return corrupt("zstd", ZSTD_getErrorName(hint));
    if (at_limit && to.pos != 0) return out.too_large();
    out.wrote(to.pos);
    const size_t consumed = in.pos - consumed_before;
    if (hint != 0 && to.pos == 0 && consumed == 0) return corrupt("zstd", "ends early");
    if (!out.worked(to.pos + consumed)) return given_up();
  }
  return out.take();
}

// Gives `use` the input piece by piece, and whether it is the last; what that fails with is the end.
template <class Use>
Result<> in_pieces(ByteView input, Sink& out, Use use) {
  size_t at = 0;
  do {
    const ByteView piece = input.subspan(at, std::min(kCodecPiece, input.size() - at));
    at += piece.size();
    TRY(use(piece, at == input.size()));
    if (at < input.size() && !out.worked(piece.size())) return given_up();
  } while (at < input.size());
  return {};
}

// Codecs ask for more room than they then use.
constexpr size_t kSlack = 4 * kCodecPiece;

Result<Slice> write_gzip(ByteView input, std::optional<int> level, const CodecLimits& limits) {
  z_stream z{};
  // Tables for as much as there is: those for large inputs are a quarter of a megabyte, zeroed each time.
  const bool small = input.size() <= 4096;
  CHECK(deflateInit2(&z, level.value_or(Z_DEFAULT_COMPRESSION), Z_DEFLATED, (small ? 12 : 15) + 16, small ? 6 : 8,
                     Z_DEFAULT_STRATEGY) == Z_OK);
  const std::unique_ptr<z_stream, Freer<deflateEnd>> owner(&z);
  Sink out(std::min<size_t>(deflateBound(&z, input.size()), kCodecPiece), limits);
  TRY(in_pieces(input, out, [&](ByteView piece, bool last) -> Result<> {
    z.next_in = const_cast<Bytef*>(piece.data());
    z.avail_in = static_cast<uInt>(piece.size());
    int rc = Z_OK;
    do {
      const MutableBytes room = out.room();
      if (room.empty()) return out.too_large();
      z.next_out = room.data();
      z.avail_out = static_cast<uInt>(room.size());
      rc = deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
      CHECK(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
      out.wrote(room.size() - z.avail_out);
    } while (last ? rc != Z_STREAM_END : z.avail_out == 0);
    return {};
  }));
  return out.take();
}

Result<Slice> write_snappy(ByteView input, const CodecLimits& limits) {
  ByteWriter header;
  header.bytes(kXerialMagic);
  header.u32(1);  // Version, and the oldest version that can read it.
  header.u32(1);
  Sink out(std::min(kXerialHeader + input.size(), kCodecPiece), limits);
  if (!out.reserve(header.size())) return out.too_large();
  out.wrote(header.view());
  const size_t most = snappy::MaxCompressedLength(kXerialBlock);
  for (size_t at = 0; at < input.size(); at += kXerialBlock) {
    const ByteView piece = input.subspan(at, std::min(kXerialBlock, input.size() - at));
    if (!out.reserve(4 + most)) return out.too_large();
    size_t size = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(piece.data()), piece.size(), reinterpret_cast<char*>(out.data()) + 4, &size);
    ByteWriter length;
    length.u32(static_cast<uint32_t>(size));
    out.wrote(length.view());
    out.wrote(size);
    if (!out.worked(piece.size())) return given_up();
  }
  return out.take();
}

Result<Slice> write_lz4(ByteView input, std::optional<int> level, const CodecLimits& limits) {
  LZ4F_preferences_t prefs{};
  prefs.frameInfo.blockMode = LZ4F_blockIndependent;
  prefs.frameInfo.blockSizeID = LZ4F_max64KB;
  prefs.compressionLevel = level.value_or(0);
  LZ4F_cctx* raw = nullptr;
  CHECK(!LZ4F_isError(LZ4F_createCompressionContext(&raw, LZ4F_VERSION)));
  const std::unique_ptr<LZ4F_cctx, Freer<LZ4F_freeCompressionContext>> ctx(raw);
  Sink out(LZ4F_HEADER_SIZE_MAX + std::min(input.size(), kCodecPiece), limits);
  if (!out.reserve(LZ4F_HEADER_SIZE_MAX)) return out.too_large();
  const auto wrote = [&](size_t size) {
    CHECK(!LZ4F_isError(size));
    out.wrote(size);
  };
  wrote(LZ4F_compressBegin(ctx.get(), out.data(), LZ4F_HEADER_SIZE_MAX, &prefs));
  TRY(in_pieces(input, out, [&](ByteView piece, bool last) -> Result<> {
    const size_t most = LZ4F_compressBound(piece.size(), &prefs);
    if (!out.reserve(most)) return out.too_large();
    wrote(LZ4F_compressUpdate(ctx.get(), out.data(), most, piece.data(), piece.size(), nullptr));
    const size_t end = LZ4F_compressBound(0, &prefs);
    if (last && !out.reserve(end)) return out.too_large();
    if (last) wrote(LZ4F_compressEnd(ctx.get(), out.data(), end, nullptr));
    return {};
  }));
  return out.take();
}

Result<Slice> write_zstd(ByteView input, std::optional<int> level, const CodecLimits& limits, CodecScratch::State& scratch) {
  ZstdWriter& ctx = scratch.writer;
  if (!ctx) ctx.reset(ZSTD_createCCtx());
  CHECK(ctx != nullptr, "out of memory");
  ZSTD_CCtx_reset(ctx.get(), ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(ctx.get(), ZSTD_c_compressionLevel, level.value_or(3));
  ZSTD_CCtx_setPledgedSrcSize(ctx.get(), input.size());
  // What fits into one piece is made in one go, without buffers between.
  Sink out(ZSTD_compressBound(std::min(input.size(), kCodecPiece)), limits);
  TRY(in_pieces(input, out, [&](ByteView piece, bool last) -> Result<> {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    size_t left = 1;
    do {
      if (out.room().empty()) return out.too_large();
      const MutableBytes room = out.rest();
      ZSTD_outBuffer to{room.data(), room.size(), 0};
      left = ZSTD_compressStream2(ctx.get(), &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      CHECK(!ZSTD_isError(left));
      out.wrote(to.pos);
    } while (last ? left != 0 : in.pos < in.size);
    return {};
  }));
  if (ZSTD_sizeof_CCtx(ctx.get()) > kScratchMax) ctx.reset();
  return out.take();
}

Result<Slice> write(Codec codec, ByteView input, std::optional<int> level, const CodecLimits& limits, CodecScratch* scratch) {
  CHECK(input.size() <= INT32_MAX);
  switch (codec) {
    case Codec::kNone:
      return Slice(input);
    case Codec::kGzip:
      return write_gzip(input, level, limits);
    case Codec::kSnappy:
      return write_snappy(input, limits);
    case Codec::kLz4:
      return write_lz4(input, level, limits);
    case Codec::kZstd:
      break;
  }
  CHECK(codec == Codec::kZstd, "a codec that does not exist");
  CodecScratch::State once;
  return write_zstd(input, level, limits, scratch == nullptr ? once : scratch->state());
}

}  // namespace

std::string_view codec_name(Codec codec) { return kNames[static_cast<size_t>(codec)]; }

std::optional<Codec> codec_named(std::string_view name) {
  const auto it = std::find(kNames.begin(), kNames.end(), name);
  if (it == kNames.end()) return {};
  return static_cast<Codec>(it - kNames.begin());
}

Result<> check_stream_start(Codec codec, ByteView input) {
  switch (codec) {
    case Codec::kNone:
    case Codec::kSnappy:
      return {};
    case Codec::kGzip:
      if (!starts_with(input, kGzipMagic)) return corrupt("gzip", "not a stream");
      return {};
    case Codec::kLz4: {
      constexpr size_t kHeaderMin = 7;
      constexpr uint8_t kIndependentBlocks = 1 << 5;
      if (input.size() < kHeaderMin || !starts_with(input, kLz4Magic)) return corrupt("lz4", "not a frame");
      if ((input[4] & kIndependentBlocks) == 0)
        return fail(Errc::kUnsupported, "lz4: linked blocks, which Java clients cannot read");
      return {};
    }
    case Codec::kZstd:
      if (starts_with(input, kZstdMagic)) return {};
      if (input.size() > 4 && (input[0] & 0xf0) == 0x50 && starts_with(input.subspan(1), kSkippedMagic)) return {};
      return corrupt("zstd", "not a frame");
  }
  return fail(Errc::kUnsupported, fmt::format("codec {}", static_cast<int>(codec)));
}

CodecScratch::CodecScratch() : state_(std::make_unique<State>()) {}

CodecScratch::~CodecScratch() = default;

Result<Slice> decompress(Codec codec, ByteView input, const CodecLimits& limits, CodecScratch* scratch) {
  if (input.size() > UINT32_MAX) return fail(Errc::kTooLarge, "more than 4 GiB of input");
  if (codec == Codec::kNone) {
    if (input.size() > limits.max_bytes)
      return fail(Errc::kTooLarge, fmt::format("more than {} bytes", limits.max_bytes));
    return Slice(input);
  }
  Sink out(input.size() * 2, limits);
  switch (codec) {
    case Codec::kGzip:
      return read_gzip(input, std::move(out));
    case Codec::kSnappy:
      return read_snappy(input, std::move(out));
    case Codec::kLz4:
      return read_lz4(input, std::move(out));
    case Codec::kZstd: {
      CodecScratch::State once;
      return read_zstd(input, std::move(out), limits.zstd_window_log_max, scratch == nullptr ? once : scratch->state());
    }
    case Codec::kNone:
      break;
  }
  return fail(Errc::kUnsupported, fmt::format("codec {}", static_cast<int>(codec)));
}

Slice compress(Codec codec, ByteView input, std::optional<int> level, CodecScratch* scratch) {
  return *write(codec, input, level, {.max_bytes = 2 * input.size() + kSlack}, scratch);
}

Result<Slice> compress_within(Codec codec, ByteView input, const CodecLimits& limits) {
  CodecLimits with_slack = limits;
  with_slack.max_bytes = std::min(limits.max_bytes, 2 * input.size()) + kSlack;
  const Slice out = TRY(write(codec, input, {}, with_slack, nullptr));
  if (out.size() > limits.max_bytes) return fail(Errc::kTooLarge, fmt::format("comes to more than {} bytes", limits.max_bytes));
  return out;
}

}  // namespace taffrail
