// Which requests exist, in which versions, and which header goes with them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/api_key.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct ApiInfo {
  ApiKey key;
  const char* name;      ///< "Produce".
  VersionRange defined;  ///< Has a layout; empty: withdrawn.
  /// What a broker that serves this API says in ApiVersions. Without unstable versions; and Produce
  /// from 0 although 3 is the oldest that decodes, as Kafka 4 says it: librdkafka takes a broker
  /// without Produce v0 for one without any (KAFKA-18659).
  VersionRange advertised;
  int16_t flexible_request;  ///< First flexible version, Api::kNever: none.
  int16_t flexible_response;

  /// 2 has tagged fields, 1 has not. Of versions that do not exist, too: a broker has to read the
  /// header of those before it can say so.
  int16_t request_header_version(int16_t version) const {
    return version >= flexible_request ? 2 : 1;
  }
  /// 1 has tagged fields, 0 has not. ApiVersions always answers with 0: a client that does not know
  /// yet what the broker speaks has to be able to read it (KIP-511).
  int16_t response_header_version(int16_t version) const {
    return version >= flexible_response && key != ApiKey::kApiVersions ? 1 : 0;
  }
};

/// One row per key from 0 on.
std::span<const ApiInfo> all_apis();
/// Null for a key that does not exist, or not any more.
const ApiInfo* find_api(int16_t key);
/// Of a key that this program named itself.
const ApiInfo& api_of(ApiKey key);
/// "Fetch"; "unknown" for what does not exist.
std::string_view api_name(int16_t key);

}  // namespace taffrail::protocol
