// Frames: the length, the header and the body of one request or response. Kafka protocol guide,
// "Protocol Primitives" and "Headers".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/api.h"
#include "protocol/codec.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

/// Before every request body. v2 is the flexible one.
struct RequestHeader {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "RequestHeader", .versions = {1, 2}, .flexible_from = 2};

  int16_t request_api_key = 0;
  int16_t request_api_version = 0;
  int32_t correlation_id = 0;  ///< The answer repeats it. Answers come in the order of requests.
  std::optional<std::string> client_id;
  UnknownTags unknown_tags;

  static void fields(auto& self, auto& walk) {
    walk("request_api_key", self.request_api_key);
    walk("request_api_version", self.request_api_version);
    walk("correlation_id", self.correlation_id);
    walk("client_id", self.client_id, always().never_compact());
  }
  bool operator==(const RequestHeader&) const = default;
};

/// Before every response body. v1 is the flexible one.
struct ResponseHeader {
  static constexpr Api kApi{
      .key = ApiKey::kNone, .name = "ResponseHeader", .versions = {0, 1}, .flexible_from = 1};

  int32_t correlation_id = 0;
  UnknownTags unknown_tags;

  static void fields(auto& self, auto& walk) { walk("correlation_id", self.correlation_id); }
  bool operator==(const ResponseHeader&) const = default;
};

struct RequestFrame {
  RequestHeader header;
  const ApiInfo* api = nullptr;  ///< Never null; the version may be one that does not exist.
  Slice body;
};

/// Reads the header of a frame, less the four bytes of its length. The body is a piece of `frame`.
/// Errors: kUnsupported for an API that does not exist, whose header cannot be told; kCorrupt.
Result<RequestFrame> decode_request_header(const Slice& frame);

struct ResponseFrame {
  int32_t correlation_id = 0;
  Slice body;
};

/// As decode_request_header(), for the answer to a request of that API and version.
Result<ResponseFrame> decode_response_header(const Slice& frame, ApiKey key, int16_t version);

/// A request with its length and header, ready to be sent. Errors: as encode().
template <class Request>
Result<Chain> encode_request(int32_t correlation_id, const std::optional<std::string>& client_id,
                             const Request& request, int16_t version);

/// Likewise a response to a request of that version.
template <class Response>
Result<Chain> encode_response(int32_t correlation_id, const Response& response, int16_t version);

// How the two are made.

class Output;
/// Writes room for the length, and the header.
void start_request(Output& out, ApiKey key, int16_t version, int32_t correlation_id,
                   const std::optional<std::string>& client_id);
void start_response(Output& out, ApiKey key, int16_t version, int32_t correlation_id);

}  // namespace taffrail::protocol
