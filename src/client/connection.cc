#include "client/connection.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/api_versions.h"

namespace taffrail::client {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

constexpr size_t kReadAhead = 16 << 10;
/// Memory for an answer grows with the bytes that came, not with those that were announced.
constexpr size_t kFirstPiece = 1 << 20;

Errc errc_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kResourceNotFound: return Errc::kNotFound;
    case ErrorCode::kTopicAlreadyExists: return Errc::kExists;
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kNotController:
    case ErrorCode::kLeaderNotAvailable: return Errc::kNotLeader;
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kProducerFenced: return Errc::kFenced;
    case ErrorCode::kOffsetOutOfRange: return Errc::kOutOfRange;
    case ErrorCode::kCorruptMessage: return Errc::kCorrupt;
    case ErrorCode::kRequestTimedOut: return Errc::kTimedOut;
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kRecordListTooLarge: return Errc::kTooLarge;
    case ErrorCode::kUnsupportedVersion:
    case ErrorCode::kUnsupportedCompressionType:
    case ErrorCode::kUnsupportedForMessageFormat: return Errc::kUnsupported;
    case ErrorCode::kTopicAuthorizationFailed:
    case ErrorCode::kGroupAuthorizationFailed:
    case ErrorCode::kClusterAuthorizationFailed: return Errc::kRefused;
    default: return protocol::is_retriable(code) ? Errc::kUnavailable : Errc::kInvalid;
  }
}

}  // namespace

Error kafka_error(ErrorCode code, std::string_view context) {
  const std::string_view name = protocol::error_name(code);
  if (context.empty()) return {errc_of(code), std::string(name)};
  return {errc_of(code), fmt::format("{} ({}): {}", name, static_cast<int>(code), context)};
}

KafkaConnection::KafkaConnection(Key, Runtime& runtime, std::unique_ptr<Connection> stream,
                                 Endpoint peer, ConnectionOptions options)
    : runtime_(runtime),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      options_(std::move(options)) {}

KafkaConnection::~KafkaConnection() = default;

Result<std::shared_ptr<KafkaConnection>> KafkaConnection::dial(Task& task, Runtime& runtime,
                                                               const Endpoint& to,
                                                               const ConnectionOptions& options,
                                                               Instant deadline) {
  const Instant connected_by = std::min(deadline, runtime.now() + options.connect_timeout);
  auto stream = runtime.net().connect(task, to, connected_by);
  if (!stream) return fail(stream.error(), to.text());
  const auto made =
      std::make_shared<KafkaConnection>(Key{}, runtime, *std::move(stream), to, options);
  KafkaConnection& connection = *made;
  runtime.spawn(connection.scope_, "client/read " + to.text(),
                [&connection](Task& t) { connection.run_reader(t); });
  runtime.spawn(connection.scope_, "client/write " + to.text(),
                [&connection](Task& t) { connection.run_writer(t); });
  const Result<> spoken = connection.negotiate(task, connected_by);
  if (!spoken) {
    connection.close(task);
    return fail(spoken.error(), to.text());
  }
  return made;
}

Result<> KafkaConnection::negotiate(Task& task, Instant deadline) {
  protocol::ApiVersionsRequest ask;
  ask.client_software_name = "taffrail";
  ask.client_software_version = "0.1.0";
  // A broker that does not know the version asked for answers in version 0 with error 35 and what it
  // does know (KIP-511), so the first answer's layout is known only from its first two bytes.
  int16_t version = 3;
  for (;;) {
    const auto pending = TRY(submit(ask, version));
    const Slice frame = TRY(wait(task, *pending, deadline));
    ByteReader peek(frame);
    peek.u32();
    const bool refused = peek.i16() == static_cast<int16_t>(ErrorCode::kUnsupportedVersion);
    if (refused && version == 0) return fail(Errc::kUnsupported, "it knows no ApiVersions");
    if (refused) {
      version = 0;
      ask = {};
      continue;
    }
    const auto body = TRY(read<protocol::ApiVersionsResponse>(frame, *pending));
    if (body.error_code != ErrorCode::kNone)
      return std::unexpected(kafka_error(body.error_code, "ApiVersions"));
    for (const auto& api : body.api_keys)
      spoken_[static_cast<ApiKey>(api.api_key)] = {api.min_version, api.max_version};
    return {};
  }
}

Result<int16_t> KafkaConnection::version_of(ApiKey key, int16_t max) const {
  const protocol::ApiInfo& ours = protocol::api_of(key);
  const auto theirs = spoken_.find(key);
  if (theirs == spoken_.end())
    return fail(Errc::kUnsupported, fmt::format("{} does not serve {}", peer_.text(), ours.name));
  const int16_t low = std::max(ours.defined.min, theirs->second.min);
  const int16_t high = std::min({ours.advertised.max, theirs->second.max, max});
  if (high < low)
    return fail(Errc::kUnsupported,
                fmt::format("{} serves {} {} to {}, this client speaks {} to {}", peer_.text(),
                            ours.name, theirs->second.min, theirs->second.max, ours.defined.min,
                            std::min(ours.advertised.max, max)));
  return high;
}

Result<std::shared_ptr<PendingAnswer>> KafkaConnection::enqueue(protocol::Chain frame,
                                                                ApiKey key, int16_t version,
                                                                int32_t correlation,
                                                                bool answered) {
  if (!open_) return fail(Errc::kClosed, fmt::format("connection to {} is closed", peer_.text()));
  auto pending = std::make_shared<PendingAnswer>();
  pending->key = key;
  pending->version = version;
  pending->correlation = correlation;
  pending->answered = answered;
  if (answered) awaited_.push_back(pending);
  outgoing_.push_back({std::move(frame.pieces), answered ? nullptr : pending});
  work_.notify_one();
  return pending;
}

Result<Slice> KafkaConnection::wait(Task& task, PendingAnswer& pending, Instant deadline) {
  const Result<> done =
      pending.done.wait(task, std::min(deadline, runtime_.now() + options_.request_timeout));
  if (done) {
    if (!pending.frame) return std::unexpected(pending.frame.error());
    return *pending.frame;
  }
  if (done.error().code == Errc::kTimedOut) {
    const Error why{Errc::kTimedOut,
                    fmt::format("{} did not answer {}", peer_.text(),
                                protocol::api_name(static_cast<int16_t>(pending.key)))};
    shut(why);
    return std::unexpected(why);
  }
  return std::unexpected(done.error());
}

void KafkaConnection::shut(const Error& why) {
  if (!open_) return;
  open_ = false;
  stream_->close();
  scope_.cancel();
  for (const auto& pending : awaited_) {
    pending->frame = std::unexpected(Error{Errc::kClosed, why.message});
    pending->done.set();
  }
  for (const Outgoing& out : outgoing_) {
    if (!out.to_settle) continue;
    out.to_settle->frame = std::unexpected(Error{Errc::kClosed, why.message});
    out.to_settle->done.set();
  }
  awaited_.clear();
  outgoing_.clear();
}

void KafkaConnection::close(Task& task) {
  shut({Errc::kClosed, fmt::format("connection to {} was closed", peer_.text())});
  scope_.join(task);
}

void KafkaConnection::run_writer(Task& task) {
  while (open_) {
    if (outgoing_.empty()) {
      if (!work_.wait(task)) return;
      continue;
    }
    // One write for all that is there: what comes meanwhile shares the next.
    std::vector<Slice> parts;
    std::vector<std::shared_ptr<PendingAnswer>> sent;
    for (Outgoing& out : outgoing_) {
      for (Slice& part : out.frame) parts.push_back(std::move(part));
      if (out.to_settle) sent.push_back(std::move(out.to_settle));
    }
    outgoing_.clear();
    const Result<> written =
        stream_->write(task, parts, runtime_.now() + options_.request_timeout);
    for (const auto& pending : sent) {
      if (!written) pending->frame = std::unexpected(written.error());
      pending->done.set();
    }
    if (!written) {
      shut({Errc::kClosed, fmt::format("{}: {}", peer_.text(), written.error().text())});
      return;
    }
  }
}

void KafkaConnection::run_reader(Task& task) {
  while (open_) {
    auto frame = read_frame(task);
    if (!open_) return;
    if (!frame) {
      if (frame.error().code == Errc::kCorrupt) runtime_.log().error("client", "{}: {}", peer_.text(), frame.error().message);
      shut({Errc::kClosed, fmt::format("{}: {}", peer_.text(), frame.error().text())});
      return;
    }
    const int32_t correlation = ByteReader(*frame).i32();
    if (awaited_.empty() || awaited_.front()->correlation != correlation) {
      const Error wrong{Errc::kCorrupt, fmt::format("{} answered {}, which is not the oldest question", peer_.text(), correlation)};
      runtime_.log().error("client", "{}", wrong.message);
      shut(wrong);
      return;
    }
    const auto pending = std::move(awaited_.front());
    awaited_.pop_front();
    pending->frame = *std::move(frame);
    pending->done.set();
  }
}

Result<> KafkaConnection::read_exactly(Task& task, MutableBytes into) {
  while (!into.empty()) {
    if (ahead_used_ < ahead_size_) {
      const size_t n = std::min(into.size(), ahead_size_ - ahead_used_);
      std::copy_n(ahead_.data() + ahead_used_, n, into.data());
      ahead_used_ += n;
      into = into.subspan(n);
      continue;
    }
    if (into.size() >= kReadAhead) {
      const size_t n = TRY(stream_->read(task, into));
      if (n == 0) return fail(Errc::kClosed, "the broker closed the connection");
      into = into.subspan(n);
      continue;
    }
    ahead_used_ = ahead_size_ = 0;
    if (ahead_.empty()) ahead_ = Slice::make(kReadAhead, [](MutableBytes) {});
    ahead_size_ = TRY(stream_->read(task, ahead_.mutable_view()));
    if (ahead_size_ == 0) return fail(Errc::kClosed, "the broker closed the connection");
  }
  return {};
}

Result<Slice> KafkaConnection::read_frame(Task& task) {
  uint8_t prefix[4];
  TRY(read_exactly(task, prefix));
  const uint32_t size = ByteReader(prefix).u32();
  if (size < 4 || size > options_.frame_size_max)
    return fail(Errc::kCorrupt, fmt::format("an answer of {} bytes", size));
  Slice frame = Slice::make(std::min<size_t>(size, kFirstPiece), [](MutableBytes) {});
  TRY(read_exactly(task, frame.mutable_view()));
  while (frame.size() < size) {
    const size_t so_far = frame.size();
    Slice larger = Slice::make(std::min<size_t>(size, so_far * 2), [&](MutableBytes to) {
      std::copy_n(frame.data(), so_far, to.data());
    });
    frame = std::move(larger);
    TRY(read_exactly(task, frame.mutable_view().subspan(so_far)));
  }
  return frame;
}

}  // namespace taffrail::client
