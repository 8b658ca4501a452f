// A partition's key as bytes, wherever one is written: in messages between brokers and in files.
#pragma once

#include "base/bytes.h"
#include "base/ids.h"

namespace taffrail {

/// uuid topic, i32 partition.
inline void write_key(ByteWriter& out, const PartitionKey& key) {
  out.u64(key.topic.high);
  out.u64(key.topic.low);
  out.i32(key.partition);
}

inline PartitionKey read_key(ByteReader& in) {
  PartitionKey key;
  key.topic.high = in.u64();
  key.topic.low = in.u64();
  key.partition = in.i32();
  return key;
}

}  // namespace taffrail
