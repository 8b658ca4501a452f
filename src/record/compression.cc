#include "record/compression.h"

#include <fmt/core.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

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

// What has been decompressed so far. Room is offered in steps that double what is there, so that
// memory follows bytes produced and never a length that somebody wrote into a header.
class Sink {
 public:
  Sink(size_t input_size, size_t max) : max_(max) {
    bytes_.resize(std::min(max_, std::max<size_t>(input_size * 2, 1024)));
  }
  MutableBytes room() { return MutableBytes(bytes_).subspan(used_); }
  void wrote(size_t count) { used_ += count; }
  bool full() const { return used_ == bytes_.size(); }
  /// More room, or false at the limit.
  bool grow() {
    if (bytes_.size() == max_) return false;
    bytes_.resize(std::min(max_, bytes_.size() * 2));
    return true;
  }
  /// Room for exactly `count` more, or false past the limit.
  bool reserve(size_t count) {
    if (count > max_ - used_) return false;
    if (used_ + count > bytes_.size())
      bytes_.resize(std::max(used_ + count, std::min(max_, bytes_.size() * 2)));
    return true;
  }
  Slice take() const { return Slice(ByteView(bytes_).first(used_)); }
  std::unexpected<Error> too_large() const {
    return fail(Errc::kTooLarge, fmt::format("decompresses to more than {} bytes", max_));
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
  size_t max_;
};

std::unexpected<Error> corrupt(const char* codec, std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("{}: {}", codec, what));
}

Result<Slice> read_gzip(ByteView input, Sink out) {
  z_stream z{};
  CHECK(inflateInit2(&z, 15 + 16) == Z_OK);  // +16: gzip's header and nothing else.
  const std::unique_ptr<z_stream, Freer<inflateEnd>> owner(&z);
  z.next_in = const_cast<Bytef*>(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  while (true) {
    if (out.full() && !out.grow()) {
      // Exactly at the limit is still fine, if nothing but the end is to come.
      uint8_t over = 0;
      z.next_out = &over;
      z.avail_out = 1;
      const int rc = inflate(&z, Z_NO_FLUSH);
      if (rc == Z_STREAM_END && z.avail_out == 1 && z.avail_in == 0) return out.take();
      return out.too_large();
    }
    const MutableBytes room = out.room();
    z.next_out = room.data();
    z.avail_out = static_cast<uInt>(room.size());
    const int rc = inflate(&z, Z_NO_FLUSH);
    out.wrote(room.size() - z.avail_out);
    if (rc == Z_STREAM_END) {
      if (z.avail_in == 0) return out.take();
      CHECK(inflateReset(&z) == Z_OK);  // Members follow each other as if they were one.
    } else if (rc != Z_OK && !(rc == Z_BUF_ERROR && z.avail_out == 0)) {
      return corrupt("gzip", z.msg != nullptr ? z.msg : "ends early");
    } else if (rc == Z_OK && z.avail_in == 0 && z.avail_out != 0) {
      return corrupt("gzip", "ends early");
    }
  }
}

constexpr std::array<uint8_t, 8> kXerialMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr size_t kXerialHeader = 16;
constexpr size_t kXerialBlock = 32 * 1024;

bool starts_xerial(ByteView bytes) {
  return bytes.size() >= kXerialHeader && equal(bytes.first(8), kXerialMagic);
}

Result<> read_snappy_block(ByteView block, Sink& out) {
  size_t size = 0;
  const auto* raw = reinterpret_cast<const char*>(block.data());
  if (!snappy::GetUncompressedLength(raw, block.size(), &size))
    return corrupt("snappy", "no length");
  // The densest block is made of 3-byte copies of 64 bytes each; whoever promises more lies, and
  // must not have memory set aside for it.
  if (size / 32 > block.size()) return corrupt("snappy", "promises more than it can hold");
  if (!out.reserve(size)) return out.too_large();
  if (!snappy::RawUncompress(raw, block.size(), reinterpret_cast<char*>(out.room().data())))
    return corrupt("snappy", "a block does not decode");
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
    const bool at_limit = out.full() && !out.grow();
    const MutableBytes room = at_limit ? MutableBytes(&over, 1) : out.room();
    size_t produced = room.size();
    size_t consumed = input.size() - at;
    const size_t hint =
        LZ4F_decompress(ctx.get(), room.data(), &produced, input.data() + at, &consumed, nullptr);
    if (LZ4F_isError(hint)) return corrupt("lz4", LZ4F_getErrorName(hint));
    if (at_limit && produced != 0) return out.too_large();
    out.wrote(produced);
    at += consumed;
    if (hint == 0) return out.take();  // Java stops after the first frame, and so does this.
    if (produced == 0 && consumed == 0) return corrupt("lz4", "ends early");
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
    const bool at_limit = out.full() && !out.grow();
    const MutableBytes room = at_limit ? MutableBytes(&over, 1) : out.room();
    ZSTD_outBuffer to{room.data(), room.size(), 0};
    const size_t consumed_before = in.pos;
    hint = ZSTD_decompressStream(ctx.get(), &to, &in);
    if (ZSTD_isError(hint)) return corrupt("zstd", ZSTD_getErrorName(hint));
    if (at_limit && to.pos != 0) return out.too_large();
    out.wrote(to.pos);
    if (hint != 0 && to.pos == 0 && in.pos == consumed_before) return corrupt("zstd", "ends early");
  }
  return out.take();
}

Slice write_gzip(ByteView input, std::optional<int> level) {
  z_stream z{};
  // Tables for as much as there is: those for large inputs are a quarter of a megabyte, zeroed each time.
  const bool small = input.size() <= 4096;
  CHECK(deflateInit2(&z, level.value_or(Z_DEFAULT_COMPRESSION), Z_DEFLATED, (small ? 12 : 15) + 16, small ? 6 : 8,
                     Z_DEFAULT_STRATEGY) == Z_OK);
  const std::unique_ptr<z_stream, Freer<deflateEnd>> owner(&z);
  std::vector<uint8_t> out(deflateBound(&z, input.size()));
  z.next_in = const_cast<Bytef*>(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
  return Slice(ByteView(out).first(z.total_out));
}

Slice write_snappy(ByteView input) {
  ByteWriter out;
  out.bytes(kXerialMagic);
  out.u32(1);  // Version, and the oldest version that can read it.
  out.u32(1);
  std::vector<char> block(snappy::MaxCompressedLength(kXerialBlock));
  for (size_t at = 0; at < input.size(); at += kXerialBlock) {
    const ByteView piece = input.subspan(at, std::min(kXerialBlock, input.size() - at));
    size_t size = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(piece.data()), piece.size(), block.data(),
                        &size);
    out.sized(std::string_view(block.data(), size));
  }
  return Slice(out.view());
}

Slice write_lz4(ByteView input, std::optional<int> level) {
  LZ4F_preferences_t prefs{};
  prefs.frameInfo.blockMode = LZ4F_blockIndependent;
  prefs.frameInfo.blockSizeID = LZ4F_max64KB;
  prefs.compressionLevel = level.value_or(0);
  std::vector<uint8_t> out(LZ4F_compressFrameBound(input.size(), &prefs));
  const size_t size =
      LZ4F_compressFrame(out.data(), out.size(), input.data(), input.size(), &prefs);
  CHECK(!LZ4F_isError(size));
  return Slice(ByteView(out).first(size));
}

Slice write_zstd(ByteView input, std::optional<int> level, CodecScratch::State& scratch) {
  ZstdWriter& ctx = scratch.writer;
  if (!ctx) ctx.reset(ZSTD_createCCtx());
  CHECK(ctx != nullptr, "out of memory");
  std::vector<uint8_t> out(ZSTD_compressBound(input.size()));
  const size_t size =
      ZSTD_compressCCtx(ctx.get(), out.data(), out.size(), input.data(), input.size(), level.value_or(3));
  CHECK(!ZSTD_isError(size));
  if (ZSTD_sizeof_CCtx(ctx.get()) > kScratchMax) ctx.reset();
  return Slice(ByteView(out).first(size));
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

Result<Slice> decompress(Codec codec, ByteView input, const DecompressLimits& limits, CodecScratch* scratch) {
  if (input.size() > UINT32_MAX) return fail(Errc::kTooLarge, "more than 4 GiB of input");
  if (codec == Codec::kNone) {
    if (input.size() > limits.max_bytes)
      return fail(Errc::kTooLarge, fmt::format("more than {} bytes", limits.max_bytes));
    return Slice(input);
  }
  Sink out(input.size(), limits.max_bytes);
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
  CHECK(input.size() <= INT32_MAX);
  switch (codec) {
    case Codec::kNone:
      return Slice(input);
    case Codec::kGzip:
      return write_gzip(input, level);
    case Codec::kSnappy:
      return write_snappy(input);
    case Codec::kLz4:
      return write_lz4(input, level);
    case Codec::kZstd: {
      CodecScratch::State once;
      return write_zstd(input, level, scratch == nullptr ? once : scratch->state());
    }
  }
  CHECK(false, "a codec that does not exist");
}

}  // namespace taffrail
