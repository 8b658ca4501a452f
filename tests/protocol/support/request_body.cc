#include "protocol/support/request_body.h"

#include <string>

#include "base/check.h"
#include "protocol/described.h"
#include "protocol/frame.h"

namespace taffrail::protocol {
namespace {

void exercise_body(const DescribedMessage& message, const Slice& body, int16_t version) {
  const auto first = message.rewrite(body, version);
  if (!first) {
    CHECK(!message.print(body, version).has_value());
    CHECK(!first.error().message.empty());
    return;
  }
  CHECK(message.print(body, version).has_value());
  // What was read can be written; and from then on reading and writing change nothing.
  const Slice once = first->flat();
  const auto second = message.rewrite(once, version);
  CHECK(second.has_value());
  CHECK(second->flat() == once);
  CHECK(second->size_bytes == once.size());
}

}  // namespace

void exercise_message(ByteView bytes) {
  if (bytes.size() < 2) return;
  const auto messages = described_messages();
  const DescribedMessage& message = messages[bytes[0] % messages.size()];
  const VersionRange& versions = message.api.versions;
  const auto count = static_cast<uint8_t>(versions.max - versions.min + 1);
  const auto version = static_cast<int16_t>(versions.min + bytes[1] % count);
  exercise_body(message, Slice(bytes.subspan(2)), version);

  const auto frame = decode_request_header(Slice(bytes));
  if (!frame) return;
  CHECK(frame->api != nullptr);
  const DescribedMessage* request =
      find_described(frame->api->key, DescribedMessage::Kind::kRequest);
  if (request == nullptr || !request->api.versions.contains(frame->header.request_api_version))
    return;
  exercise_body(*request, frame->body, frame->header.request_api_version);
}

}  // namespace taffrail::protocol
