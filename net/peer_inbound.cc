#include "net/peer_inbound.h"

#include <fmt/core.h>

namespace taffrail {

namespace {

// The dialler shows a sign of life every half of its stall_max, which may be set to more than ours.
constexpr int64_t kQuietFactor = 10;

}  // namespace

PeerInbound::PeerInbound(PeerContext& context, uint64_t id, std::unique_ptr<Connection> socket)
    : context_(context), name_(fmt::format("peers/from/{}", id)),
      stream_(context.runtime, context.options, std::move(socket)) {}

Result<> PeerInbound::greet(Task& task) {
  const Instant deadline = context_.runtime.now() + context_.options.dial_timeout;
  const Slice frame = TRY(stream_.read(task, deadline));
  const Result<Greeting> hello = decode_greeting(frame);
  // Who does not even speak our words is not answered; who speaks another version of them is.
  if (!hello && hello.error().code != Errc::kUnsupported) return std::unexpected(hello.error());
  Greeting back;
  back.from = context_.self;
  back.reason = hello ? refusal(*hello) : hello.error().message;
  back.kind = back.reason.empty() ? GreetingKind::kWelcome : GreetingKind::kRefusal;
  // Known before we wait: who we are may change meanwhile, and with it whom we talk to.
  if (back.reason.empty()) peer_ = hello->from;
  TRY(stream_.write(task, encode_greeting(back), deadline));
  if (!back.reason.empty()) return fail(Errc::kRefused, std::move(back.reason));
  is_link_ = hello->meant != kNoBroker;
  stream_.trust();
  return {};
}

// Empty: welcome.
std::string PeerInbound::refusal(const Greeting& hello) const {
  const BrokerId here = context_.self.replica.node;
  if (hello.kind != GreetingKind::kHello) return "a hello was expected";
  if (hello.meant != kNoBroker && hello.meant != here)
    return fmt::format("node {} was meant, this is node {}", hello.meant.value, here.value);
  return cluster_mismatch(context_.self, hello.from);
}

void PeerInbound::run(Task& task) {
  context_.runtime.spawn(scope_, name_ + "/writer", [this](Task& writer) { stream_.write_queued(writer); });
  const Duration quiet_max = context_.options.stall_max * kQuietFactor;
  for (;;) {
    Result<Slice> frame = stream_.read(task, context_.runtime.now() + quiet_max);
    if (frame) {
      const Result<> taken = on_frame(std::move(*frame));
      if (taken) continue;
      return tell_end(taken.error().text());
    }
    const Errc code = frame.error().code;
    // Who waits for our answer is not expected to say anything meanwhile.
    if (code == Errc::kTimedOut && calls_ > 0) continue;
    if (stream_.closed()) return tell_end(stream_.why());
    // A peer that left, or our own stop, is not news.
    if (code == Errc::kTimedOut || code == Errc::kCorrupt) tell_end(frame.error().text());
    return;
  }
}

void PeerInbound::tell_end(std::string_view why) {
  context_.runtime.log().warn("peers", "closed the connection of node {} from {}: {}",
                              peer_.replica.node.value, stream_.peer().text(), why);
}

void PeerInbound::finish(Task& task) {
  stream_.close({});
  scope_.cancel();
  scope_.join(task);
}

// Errors: kCorrupt: the other side does not keep to the protocol.
Result<> PeerInbound::on_frame(Slice frame) {
  if (frame.empty()) return fail(Errc::kCorrupt, "an empty frame");
  const auto kind = static_cast<PeerKind>(frame.view()[0]);
  Slice body = frame.sub(1, frame.size() - 1);
  switch (kind) {
    case PeerKind::kRaft:
    case PeerKind::kHeartbeat:
    case PeerKind::kLeaders:
      if (context_.peers.on_message) context_.peers.on_message(peer_, kind, std::move(body));
      return {};
    case PeerKind::kCall:
      return on_call(body);
    case PeerKind::kAnswer:
      break;
  }
  return fail(Errc::kCorrupt, fmt::format("a frame of kind {}", static_cast<int>(kind)));
}

Result<> PeerInbound::on_call(const Slice& body) {
  const CallHead head = TRY(decode_call_head(body));
  if (head.service == kPingService) {
    answer(head.id, Chain{});
    return {};
  }
  const auto service = context_.services.find(head.service);
  if (service == context_.services.end()) {
    answer(head.id, fail(Errc::kNotFound, fmt::format("no service \"{}\" here", escaped(head.service))));
    return {};
  }
  if (calls_ >= kPeerCallsMax) {
    answer(head.id, fail(Errc::kBusy, fmt::format("{} calls are under way", calls_)));
    return {};
  }
  ++calls_;
  // A copy of the service: it may be replaced while this one runs.
  context_.runtime.spawn(scope_, name_ + "/" + escaped(head.service, 32),
                         [this, id = head.id, run = service->second,
                          rest = body.sub(head.size, body.size() - head.size)](Task& task) {
                           Result<Chain> outcome = run(task, peer_, rest);
                           --calls_;
                           if (!task.cancelled()) answer(id, std::move(outcome));
                         });
  return {};
}

void PeerInbound::answer(uint64_t id, Result<Chain> outcome) {
  if (outcome && chain_size(*outcome) + 64 > context_.options.frame_size_max)
    outcome = fail(Errc::kTooLarge, fmt::format("an answer of {} bytes", chain_size(*outcome)));
  Chain parts{encode_answer_head(id, outcome ? nullptr : &outcome.error())};
  if (outcome) {
    for (Slice& part : *outcome) parts.push_back(std::move(part));
  }
  // A full queue closes the stream: who does not take answers asks no more.
  (void)stream_.send(PeerKind::kAnswer, std::move(parts));
}

}  // namespace taffrail
