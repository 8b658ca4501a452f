// One connection to one broker: requests are queued at once and in order, many may be on their way, and
// answers come in the order of the requests.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/api.h"
#include "protocol/codec.h"
#include "protocol/errors.h"
#include "protocol/frame.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail::client {

/// What went wrong at a broker, as an Error: the message starts with Kafka's name for it.
Error kafka_error(protocol::ErrorCode code, std::string_view context);

struct ConnectionOptions {
  std::string client_id = "taffrail";
  Duration connect_timeout = 10_s;
  Duration request_timeout = 30_s;       ///< Of an answer; past it the connection is given up.
  uint32_t frame_size_max = 256u << 20;  ///< Of an answer: a longer one ends the connection.
};

/// An answer that is on its way. Shared by the connection and by who waits for it; either may go first.
struct PendingAnswer {
  protocol::ApiKey key = protocol::ApiKey::kNone;
  int16_t version = 0;
  int32_t correlation = 0;
  bool answered = true;  ///< False: no answer is due (acks=0), `done` says that it was sent.
  Event done;
  Result<Slice> frame = Slice();  ///< Without its length; response header first.
};

class KafkaConnection {
 public:
  /// Connects and asks what the broker speaks (ApiVersions, falling back to version 0 as KIP-511 has it).
  /// Errors: as Net::connect; kClosed, kTimedOut, kCorrupt; kUnsupported if the peer is no Kafka broker.
  static Result<std::shared_ptr<KafkaConnection>> dial(Task& task, Runtime& runtime,
                                                       const Endpoint& to,
                                                       const ConnectionOptions& options,
                                                       Instant deadline);
  ~KafkaConnection();

  /// Whether requests can still be sent. False for good once it broke.
  bool is_open() const { return open_; }
  const Endpoint& peer() const { return peer_; }
  /// The highest version of `key` that both sides speak, at most `max`. Errors: kUnsupported.
  Result<int16_t> version_of(protocol::ApiKey key, int16_t max = INT16_MAX) const;

  /// Queues `request` behind those before it; does not wait. Where it fails nothing was sent.
  /// Errors: kClosed; kInvalid if the request says something that the version cannot.
  template <class Request>
  Result<std::shared_ptr<PendingAnswer>> submit(const Request& request, int16_t version,
                                                bool answered = true) {
    const int32_t correlation = next_correlation_++;
    protocol::Chain frame =
        TRY(protocol::encode_request<Request>(correlation, options_.client_id, request, version));
    return enqueue(std::move(frame), Request::kApi.key, version, correlation, answered);
  }
  /// Waits for the answer and reads it. Past `deadline` the connection is broken: a broker answers in
  /// order, so that what comes after would wait for this one too. After an error the broker may have
  /// done what was asked, or may still do it.
  /// Errors: kTimedOut, kClosed, kCorrupt, kCancelled.
  template <class Response>
  Result<Response> receive(Task& task, PendingAnswer& pending, Instant deadline) {
    const Slice frame = TRY(wait(task, pending, deadline));
    auto answer = read<Response>(frame, pending);
    if (!answer) shut({Errc::kClosed, "the peer's answer does not decode"});
    return answer;
  }
  /// Both, with the highest common version.
  template <class Request>
  Result<typename Request::Response> call(Task& task, const Request& request, Instant deadline,
                                          int16_t version_max = INT16_MAX) {
    const int16_t version = TRY(version_of(Request::kApi.key, version_max));
    const auto pending = TRY(submit(request, version));
    return receive<typename Request::Response>(task, *pending, deadline);
  }

  /// Breaks the connection: waiting fibers get kClosed. Its own fibers end by and by.
  void shut(const Error& why);
  /// Breaks the connection and waits until its fibers have ended. Before the destructor.
  void close(Task& task);

 private:
  struct Key {};  // Only dial() makes connections.

 public:
  KafkaConnection(Key, Runtime& runtime, std::unique_ptr<Connection> stream, Endpoint peer,
                  ConnectionOptions options);

 private:
  template <class Response>
  Result<Response> read(const Slice& frame, const PendingAnswer& pending) {
    const auto header =
        TRY(protocol::decode_response_header(frame, pending.key, pending.version));
    auto body = protocol::decode<Response>(header.body, pending.version);
    if (!body) return fail(body.error(), peer_.text());
    return *std::move(body);
  }
  Result<> negotiate(Task& task, Instant deadline);
  Result<std::shared_ptr<PendingAnswer>> enqueue(protocol::Chain frame,
                                                 protocol::ApiKey key, int16_t version,
                                                 int32_t correlation, bool answered);
  Result<Slice> wait(Task& task, PendingAnswer& pending, Instant deadline);
  void run_reader(Task& task);
  void run_writer(Task& task);
  Result<Slice> read_frame(Task& task);
  Result<> read_exactly(Task& task, MutableBytes into);

  Runtime& runtime_;
  std::unique_ptr<Connection> stream_;
  Endpoint peer_;
  ConnectionOptions options_;
  std::map<protocol::ApiKey, protocol::VersionRange> spoken_;
  bool open_ = true;
  int32_t next_correlation_ = 1;

  struct Outgoing {
    std::vector<Slice> frame;
    std::shared_ptr<PendingAnswer> to_settle;  ///< Only where no answer is due.
  };
  std::deque<Outgoing> outgoing_;
  std::deque<std::shared_ptr<PendingAnswer>> awaited_;
  WaitQueue work_;  ///< For the writer.

  Slice ahead_;  ///< Bytes read and not yet used: from `ahead_used_` to `ahead_size_`.
  size_t ahead_used_ = 0;
  size_t ahead_size_ = 0;
  Scope scope_;
};

}  // namespace taffrail::client
