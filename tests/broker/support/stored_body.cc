#include "broker/support/stored_body.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "broker/founding.h"
#include "broker/identity.h"
#include "broker/leaders.h"
#include "consensus/configuration.h"
#include "consensus/heartbeat.h"
#include "consensus/wire.h"
#include "controller/cluster_image.h"
#include "controller/commands.h"
#include "group/table.h"
#include "net/peer_wire.h"
#include "partition/partition_state.h"
#include "partition/producers.h"
#include "storage/segment.h"
#include "storage/wal_format.h"

namespace taffrail {
namespace {

std::string_view text_of(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
ByteView bytes_of(const Slice& slice) { return slice.view(); }
ByteView bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

template <class Decode, class Encode>
bool goes_round(ByteView bytes, const Decode& decode, const Encode& encode) {
  const auto first = decode(bytes);
  if (!first) {
    CHECK(!first.error().text().empty(), "a refusal says why");
    return false;
  }
  const auto once = encode(*first);
  const auto second = decode(bytes_of(once));
  CHECK(second.has_value(), "what was written is read");
  CHECK(encode(*second) == once, "reading and writing change nothing");
  return true;
}
template <class Decode>
bool is_judged(ByteView bytes, const Decode& decode) {
  const auto read = decode(bytes);
  CHECK(read.has_value() || !read.error().text().empty(), "a refusal says why");
  return read.has_value();
}

const PartitionKey kKey{TopicId{1, 2}, 3};

struct Loader {
  bool (*exercise)(ByteView);  ///< Whether it was taken.
  Slice (*example)();
};

NodeIdentity known() {
  NodeIdentity identity;
  identity.replica = {BrokerId(1), DiskId{1, 2}};
  identity.voters = {{identity.replica, {"n1", 9}}};
  return identity;
}

Slice copy(const std::string& text) { return Slice(bytes_of(text)); }

constexpr std::array kLoaders = {
    Loader{[](ByteView b) { return goes_round(b, [](ByteView x) { return NodeIdentity::decode(text_of(x)); }, [](const auto& v) { return v.encode(); }); },
           [] { return copy(known().encode()); }},
    Loader{[](ByteView b) { return goes_round(b, decode_hard_state, encode_hard_state); }, [] { return copy(encode_hard_state({})); }},
    Loader{[](ByteView b) { return goes_round(b, decode_log_state, encode_log_state); }, [] { return copy(encode_log_state({})); }},
    Loader{[](ByteView b) { return goes_round(b, decode_configuration, encode_configuration); },
           [] { return encode_configuration({.voters = {{BrokerId(1), DiskId{1, 2}}, {BrokerId(2), DiskId{1, 3}}}}); }},
    Loader{[](ByteView b) { return goes_round(b, decode_heartbeat, encode_heartbeat); }, [] { return copy(encode_heartbeat({})); }},
    Loader{[](ByteView b) { return goes_round(b, decode_heartbeat_answer, encode_heartbeat_answer); }, [] { return copy(encode_heartbeat_answer({})); }},
    Loader{[](ByteView b) { return is_judged(b, decode_envelope); }, [] { return copy(encode_envelope({})); }},
    Loader{[](ByteView b) { return goes_round(b, decode_records, encode_records); },
           [] { return encode_records({CreateTopic{{TopicId{1, 2}, "t", {{}}, {{"retention.ms", "1"}}}}, DeleteTopic{TopicId{1, 2}}}); }},
    Loader{[](ByteView b) { return goes_round(b, ClusterImage::decode, [](const ClusterImage& v) { return v.encode(); }); }, [] { return ClusterImage().encode(); }},
    Loader{[](ByteView b) { return goes_round(b, decode_command, encode_command); },
           [] { return encode_command(CreateTopicsCommand{{NewTopic{.name = "t", .partition_count = 3, .replication_factor = 1}}, false}); }},
    Loader{[](ByteView b) { return goes_round(b, decode_reply, encode_reply); }, [] { return encode_reply({}); }},
    Loader{[](ByteView b) { return goes_round(b, PartitionCommand::decode, [](const PartitionCommand& v) { return v.encode(); }); },
           [] { return PartitionCommand().encode(); }},
    Loader{[](ByteView b) {
             ProducerTable producers;
             return is_judged(b, [&](ByteView x) { return producers.decode(x); });
           },
           [] { return ProducerTable().encode(); }},
    Loader{[](ByteView b) { return is_judged(b, group::Table::load); }, [] { return group::Table().save(); }},
    Loader{[](ByteView b) { return is_judged(b, Leaders::decode); }, [] { return Leaders::encode({}); }},
    Loader{[](ByteView b) { return goes_round(b, decode_addresses, encode_addresses); }, [] { return encode_addresses({{BrokerId(1), {"n1", 9}}}); }},
    Loader{[](ByteView b) { return is_judged(b, decode_discover); }, [] { return encode_discover({known(), {"n1", 9}, {{"n1", 9}, {"n2", 9}}}); }},
    Loader{[](ByteView b) { return is_judged(b, decode_greeting); }, [] { return encode_greeting({}).sub(4, encode_greeting({}).size() - 4); }},
    Loader{[](ByteView b) { return is_judged(b, decode_call_head); }, [] { return encode_call_head(1, "log"); }},
    Loader{[](ByteView b) { return is_judged(b, decode_answer_head); }, [] { return encode_answer_head(1, nullptr); }},
    Loader{[](ByteView b) { return is_judged(b, [](ByteView x) { return parse_segment_header(x, "f"); }); },
           [] { return copy(encode_segment_header(kKey, LogIndex(1), Offset(0))); }},
    Loader{[](ByteView b) {
             (void)is_judged(b, [](ByteView x) { return chunk_header_bytes(kKey, 4096, x); });
             return is_judged(b, [](ByteView x) { return parse_chunk(kKey, 4096, Slice(x)); });
           },
           [] {
             Entry entry;
             entry.meta.index = LogIndex(1);
             entry.payload = Slice(bytes_of(std::string("payload")));
             const uint32_t crc = 7;
             return copy(encode_chunk(kKey, 4096, std::span(&entry, 1), std::span(&crc, 1)).header);
           }},
    Loader{[](ByteView b) { return is_judged(b, [](ByteView x) { return parse_wal_segment_header(x, "f"); }); },
           [] { return copy(encode_wal_segment_header({.number = 1, .owner = {{1, 2}}, .capacity = 65536})); }},
    Loader{[](ByteView b) {
             (void)is_older_wal_group({{1, 2}}, 1, 4096, b);
             WalGroupHeader header;
             header.log_count = static_cast<uint32_t>(b.size() / 16);
             (void)parse_wal_logs(header, b);
             (void)parse_wal_frame_header({{1, 2}}, 1, b);
             return parse_wal_group_header({{1, 2}}, 1, 4096, b).has_value();
           },
           [] {
             WalGroupHeader header;
             header.segment = 1;
             header.position = 4096;
             return copy(encode_wal_group_header({{1, 2}}, header));
           }},
};

}  // namespace

size_t stored_kinds() { return kLoaders.size(); }

bool exercise_stored(ByteView bytes) { return !bytes.empty() && kLoaders[bytes[0] % kLoaders.size()].exercise(bytes.subspan(1)); }

Slice well_formed(size_t kind) { return kLoaders[kind].example(); }

}  // namespace taffrail
