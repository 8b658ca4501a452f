#include "record/recompress.h"

#include "base/crc32c.h"

namespace taffrail {

Result<Slice> recompress(const BatchView& batch, Codec codec, const CodecLimits& limits) {
  const auto present = batch.codec();
  if (!present) return fail(Errc::kUnsupported, "the batch names a codec that does not exist");
  const Slice records = TRY(decompress(*present, batch.payload(), limits));
  const Slice payload = TRY(compress_within(codec, records, limits));
  const ByteView header = batch.bytes().first(BatchLayout::kRecords);
  ByteWriter out;
  out.reserve(header.size() + payload.size());
  out.bytes(header.first(BatchLayout::kLength));
  out.u32(static_cast<uint32_t>(BatchLayout::kHeaderSize - BatchLayout::kLogOverhead + payload.size()));
  out.bytes(header.subspan(BatchLayout::kLeaderEpoch, BatchLayout::kAttributes - BatchLayout::kLeaderEpoch));
  out.u16(static_cast<uint16_t>((batch.attributes() & ~BatchAttributes::kCodecMask) | static_cast<uint16_t>(codec)));
  out.bytes(header.subspan(BatchLayout::kLastOffsetDelta));
  out.bytes(payload);
  out.patch_u32(BatchLayout::kCrc, crc32c(out.view().subspan(BatchLayout::kAttributes)));
  return Slice(out.view());
}

}  // namespace taffrail
