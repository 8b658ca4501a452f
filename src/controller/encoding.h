// How brokers, topics and configs look in bytes: shared by metadata records, snapshots of the image and
// commands between brokers. Layouts in docs/formats.md, "Metadata records".
//
// Readers take bytes that cannot be trusted. What is wrong leaves the reader not ok(), as ByteReader has
// it, so that a decoder looks once, at its end. Nothing allocates more than a small multiple of the input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "controller/cluster_image.h"

namespace taffrail {

/// From here on `in` is not ok().
inline void spoil(ByteReader& in) { in.bytes(in.left() + 1); }
/// A count of elements of at least `element_bytes` each; 0 and not ok() if the rest cannot hold them.
uint32_t read_count(ByteReader& in, size_t element_bytes);

void write_flag(ByteWriter& out, bool flag);
/// Anything but 0 and 1 spoils `in`: one value, one spelling.
bool read_flag(ByteReader& in);
void write_optional_text(ByteWriter& out, const std::optional<std::string>& text);
std::optional<std::string> read_optional_text(ByteReader& in);
void write_uuid(ByteWriter& out, const Uuid& id);
Uuid read_uuid(ByteReader& in);

void write_configs(ByteWriter& out, const ConfigMap& configs);
/// Keys ascend strictly, or `in` is spoilt.
ConfigMap read_configs(ByteReader& in);
void write_broker(ByteWriter& out, const BrokerRecord& broker);
BrokerRecord read_broker(ByteReader& in);
/// BrokerRecord::more_disks, which write_broker() leaves out: a u8 count, below kDirectoriesMax, and the ids.
void write_disks(ByteWriter& out, const std::vector<DiskId>& disks);
std::vector<DiskId> read_disks(ByteReader& in);
void write_partitions(ByteWriter& out, const std::vector<PartitionRecord>& partitions);
std::vector<PartitionRecord> read_partitions(ByteReader& in);
void write_topic(ByteWriter& out, const TopicRecord& topic);
TopicRecord read_topic(ByteReader& in);

/// Checks the format byte that such a thing begins with. Errors: kCorrupt if `in` is empty, kUnsupported
/// for another format than `known`; the message begins with `what`.
Result<> read_format(ByteReader& in, uint8_t known, std::string_view what);
/// The same where `known` to `newest` are; which it is.
Result<uint8_t> read_format(ByteReader& in, uint8_t known, uint8_t newest, std::string_view what);

}  // namespace taffrail
