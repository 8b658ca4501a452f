#include "protocol/frame.h"

#include <fmt/core.h>

#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_MESSAGE(RequestHeader);
TAFFRAIL_MESSAGE(ResponseHeader);

Result<RequestFrame> decode_request_header(const Slice& frame) {
  ByteReader peek(frame);
  const int16_t key = peek.i16();
  const int16_t version = peek.i16();
  if (!peek.ok()) return fail(Errc::kCorrupt, fmt::format("a request of {} bytes", frame.size()));
  const ApiInfo* api = find_api(key);
  if (api == nullptr) return fail(Errc::kUnsupported, fmt::format("no API has key {}", key));

  Input in(frame);
  RequestHeader header;
  const int16_t header_version = api->request_header_version(version);
  walks::decode_struct(in, walks::shape_of<RequestHeader>(header_version), header);
  if (in.failed()) return fail(in.error(), fmt::format("header of {} v{}", api->name, version));
  return RequestFrame{std::move(header), api, in.slice(in.left())};
}

Result<ResponseFrame> decode_response_header(const Slice& frame, ApiKey key, int16_t version) {
  const ApiInfo& api = api_of(key);
  Input in(frame);
  ResponseHeader header;
  const int16_t header_version = api.response_header_version(version);
  walks::decode_struct(in, walks::shape_of<ResponseHeader>(header_version), header);
  if (in.failed()) return fail(in.error(), fmt::format("header of {} v{}", api.name, version));
  return ResponseFrame{header.correlation_id, in.slice(in.left())};
}

void start_request(Output& out, ApiKey key, int16_t version, int32_t correlation_id,
                   const std::optional<std::string>& client_id) {
  const RequestHeader header{static_cast<int16_t>(key), version, correlation_id, client_id, {}};
  const int16_t header_version = api_of(key).request_header_version(version);
  out.integer(int32_t{0});
  walks::encode_struct(out, walks::shape_of<RequestHeader>(header_version), header);
}

void start_response(Output& out, ApiKey key, int16_t version, int32_t correlation_id) {
  const int16_t header_version = api_of(key).response_header_version(version);
  out.integer(int32_t{0});
  walks::encode_struct(out, walks::shape_of<ResponseHeader>(header_version),
                       ResponseHeader{correlation_id, {}});
}

}  // namespace taffrail::protocol
