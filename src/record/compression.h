// The five codecs of Kafka's record batches, as whole buffers. Decompression is what an attacker
// would aim at, so it is capped before it allocates, never after.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace taffrail {

/// The numbers are those of a batch's attributes, bits 0 to 2.
enum class Codec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

/// "none", "gzip", "snappy", "lz4", "zstd": the words of `compression.type`.
std::string_view codec_name(Codec codec);
std::optional<Codec> codec_named(std::string_view name);

/// What zstd keeps from call to call. To make it asks the processor what it can do, which in a virtual machine takes
/// longer than a small batch: who (de)compresses often owns one. Used by one call at a time; all content is lost.
class CodecScratch {
 public:
  CodecScratch();
  ~CodecScratch();
  CodecScratch(const CodecScratch&) = delete;
  CodecScratch& operator=(const CodecScratch&) = delete;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct CodecLimits {
  /// Of the result. The output grows geometrically as bytes arrive and never past this, whatever a
  /// header promises.
  size_t max_bytes = 100u << 20;
  /// What Kafka's own reader takes. The window is address space until it is really written to.
  int zstd_window_log_max = 27;
  /// Asked about every kCodecPiece of work, where it is set: a fiber lets others run meanwhile. False: that is enough
  /// (kCancelled).
  std::function<bool()> keep_going = nullptr;
};
/// Takes a tenth of a millisecond, more or less.
inline constexpr size_t kCodecPiece = 64 << 10;

/// Reads whole payloads: several gzip members, several zstd frames, xerial or raw snappy, and the
/// first LZ4 frame. kNone copies.
/// Errors: kCorrupt; kTooLarge past a limit; kUnsupported for an LZ4 frame of linked blocks, which
/// Java clients cannot read; kCancelled.
Result<Slice> decompress(Codec codec, ByteView input, const CodecLimits& limits = {},
                         CodecScratch* scratch = nullptr);

/// Looks at how a payload begins, and decompresses nothing: what cannot be a stream of that codec, and an LZ4 frame of
/// linked blocks. Kafka's brokers decompress what they are sent and refuse both; who keeps such bytes unread
/// gives them to consumers that stop there for good. Snappy without frames has no beginning to tell it by.
/// Errors: kCorrupt, kUnsupported.
Result<> check_stream_start(Codec codec, ByteView input);

/// Snappy is written in xerial blocks of 32 KiB, LZ4 as independent blocks of 64 KiB: the forms
/// that every client reads. `level` is the codec's own scale, its default if absent; snappy has
/// none.
Slice compress(Codec codec, ByteView input, std::optional<int> level = {}, CodecScratch* scratch = nullptr);

/// The same at the codec's default level, within limits.max_bytes and with its pauses. Errors: kTooLarge, kCancelled.
Result<Slice> compress_within(Codec codec, ByteView input, const CodecLimits& limits);

}  // namespace taffrail
