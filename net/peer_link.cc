#include "net/peer_link.h"

#include <fmt/core.h>

#include <algorithm>

#include "net/peer_wire.h"

namespace taffrail {

Result<std::unique_ptr<PeerStream>> dial_peer(Task& task, PeerContext& context, const Endpoint& to,
                                              BrokerId meant, Instant deadline, PeerIdentity& who) {
  auto socket = TRY(context.runtime.net().connect(task, to, deadline));
  auto stream = std::make_unique<PeerStream>(context.runtime, context.options, std::move(socket));
  Greeting hello;
  hello.from = context.self;
  hello.meant = meant;
  TRY(stream->write(task, encode_greeting(hello), deadline));
  const Slice frame = TRY(stream->read(task, deadline));
  Greeting back = TRY(decode_greeting(frame));
  if (back.kind == GreetingKind::kRefusal)
    return fail(Errc::kRefused, fmt::format("refused: {}", escaped(back.reason)));
  if (back.kind != GreetingKind::kWelcome) return fail(Errc::kCorrupt, "a greeting was not answered");
  if (meant != kNoBroker && back.from.replica.node != meant)
    return fail(Errc::kRefused, fmt::format("node {} is there", back.from.replica.node.value));
  // Our own identity may have changed while we waited.
  if (std::string why = cluster_mismatch(context.self, back.from); !why.empty())
    return fail(Errc::kRefused, std::move(why));
  who = back.from;
  stream->trust();
  return stream;
}

PeerLink::PeerLink(PeerContext& context, BrokerId node, Endpoint at, std::unique_ptr<PeerLink> before)
    : context_(context), node_(node), at_(std::move(at)), name_(fmt::format("peers/{}", node.value)),
      before_(std::move(before)) {}

void PeerLink::start() {
  context_.runtime.spawn(scope_, name_, [this](Task& task) { run(task); });
}

void PeerLink::run(Task& task) {
  if (before_ != nullptr) {
    before_->stop();
    before_->join(task);
    before_.reset();
  }
  const Runtime& runtime = context_.runtime;
  Duration next_pause = context_.options.redial_min;
  while (!task.cancelled()) {
    if (const Result<> dialled = dial(task); dialled) {
      const Instant since = runtime.now();
      converse(task);
      // A node that takes links and breaks them at once is not dialled without end.
      if (runtime.now() - since >= context_.options.redial_max) next_pause = context_.options.redial_min;
    } else if (!task.cancelled()) {
      tell_failure(dialled.error());
    }
    if (!pause(task, next_pause)) return;
  }
}

Result<> PeerLink::dial(Task& task) {
  const Instant deadline = context_.runtime.now() + context_.options.dial_timeout;
  PeerIdentity who;
  auto stream = TRY(dial_peer(task, context_, at_, node_, deadline, who));
  session_.reset(new Session{std::move(stream), who, {}, {}});
  peer_shape_ = who.shape();
  return {};
}

// From on_link(up) to on_link(down).
void PeerLink::converse(Task& task) {
  last_failure_.clear();
  context_.runtime.log().info("peers", "link to node {} at {} is up", node_.value, at_.text());
  Session& session = *session_;
  context_.runtime.spawn(session.scope, name_ + "/writer",
                         [&session](Task& writer) { session.stream->write_queued(writer); });
  if (context_.peers.on_link) context_.peers.on_link(node_, true);
  std::string why = read_answers(task);
  end_session(task, std::move(why));
  if (context_.peers.on_link) context_.peers.on_link(node_, false);
}

// Until the link breaks; gives the reason. A quiet link is asked for a sign of life at half of
// stall_max: a peer that lost its power closes nothing, and our few bytes vanish in the kernel's buffers.
std::string PeerLink::read_answers(Task& task) {
  PeerStream& stream = *session_->stream;
  int quiet_rounds = 0;
  for (;;) {
    const Result<Slice> frame = stream.read(task, context_.runtime.now() + context_.options.stall_max / 2);
    if (frame) {
      quiet_rounds = 0;
      const Result<> taken = on_frame(*frame);
      if (!taken) return taken.error().text();
      continue;
    }
    if (frame.error().code != Errc::kTimedOut)
      return stream.closed() ? stream.why() : frame.error().text();
    // While bytes are queued the writer watches that they are taken, and an answer may stand behind them.
    if (stream.queued() > 0) quiet_rounds = 0;
    else if (++quiet_rounds >= 2)
      return fmt::format("silent for {} ms", context_.options.stall_max.ms());
    else
      stream.send(PeerKind::kCall, {encode_call_head(0, kPingService)});
  }
}

// Errors: kCorrupt: the other side does not keep to the protocol.
Result<> PeerLink::on_frame(const Slice& frame) {
  if (frame.empty() || frame.view()[0] != static_cast<uint8_t>(PeerKind::kAnswer))
    return fail(Errc::kCorrupt, "something else than an answer came back");
  const Slice body = frame.sub(1, frame.size() - 1);
  AnswerHead head = TRY(decode_answer_head(body));
  const auto found = session_->calls.find(head.id);
  if (found == session_->calls.end()) return {};  // Given up meanwhile, or a sign of life.
  if (head.outcome) found->second->answer = body.sub(head.size, body.size() - head.size);
  else found->second->answer = std::unexpected(std::move(head.outcome.error()));
  found->second->settled.set();
  session_->calls.erase(found);
  return {};
}

void PeerLink::end_session(Task& task, std::string why) {
  Session& session = *session_;
  session.stream->close(why);
  session.scope.cancel();
  session.scope.join(task);
  for (auto& [id, call] : session.calls) {
    call->answer = fail(Errc::kClosed, fmt::format("the link to node {} broke", node_.value));
    call->settled.set();
  }
  session_.reset();
  if (!task.cancelled())
    context_.runtime.log().warn("peers", "link to node {} at {} broke: {}", node_.value, at_.text(), why);
}

// Once for each reason, for we try many times a second.
void PeerLink::tell_failure(const Error& error) {
  std::string text = error.text();
  if (text == last_failure_) return;
  last_failure_ = std::move(text);
  context_.runtime.log().warn("peers", "cannot reach node {} at {}: {}", node_.value, at_.text(), last_failure_);
}

// Doubles up to redial_max; with jitter, so that nodes that lost each other do not dial in step.
Result<> PeerLink::pause(Task& task, Duration& next) {
  const Duration half = next / 2;
  const int64_t jitter = context_.runtime.random().between(0, half.ns);
  next = std::min(next * 2, context_.options.redial_max);
  Instant until = context_.runtime.now() + half + Duration{jitter};
  for (;;) {
    const Result<> hurried = pause_over_.wait(task, until);
    if (!hurried) return hurried.error().code == Errc::kTimedOut ? Result<>() : hurried;
    // Not at once: two nodes that break each other's links would do nothing else.
    next = context_.options.redial_min;
    until = std::min(until, context_.runtime.now() + next);
  }
}

void PeerLink::hurry() { pause_over_.notify_all(); }

bool PeerLink::up() const { return session_ != nullptr && !session_->stream->closed() && !scope_.cancelled(); }

ByteCount PeerLink::queued() const { return session_ == nullptr ? 0 : session_->stream->queued(); }

void PeerLink::send(PeerKind kind, Chain parts) {
  if (!up()) return;
  const size_t size = chain_size(parts) + 1;
  if (size > context_.options.frame_size_max) {
    // The other side would break the link for it.
    context_.runtime.log().error("peers", "a message of {} bytes to node {} was not sent: {} is the limit",
                                 size, node_.value, context_.options.frame_size_max);
    return;
  }
  session_->stream->send(kind, std::move(parts));
}

void PeerLink::drop(std::string why) {
  if (session_ != nullptr) session_->stream->close(std::move(why));
}

void PeerLink::drop_if_stranger() {
  if (session_ == nullptr) return;
  if (std::string why = cluster_mismatch(context_.self, session_->peer); !why.empty()) drop(std::move(why));
}

Result<PeerLink::CallTicket> PeerLink::begin_call(std::string_view service, Chain body) {
  if (!up()) return fail(Errc::kClosed, fmt::format("no link to node {}", node_.value));
  if (session_->calls.size() >= kPeerCallsMax)
    return fail(Errc::kBusy, fmt::format("{} calls to node {} are under way", kPeerCallsMax, node_.value));
  const uint64_t id = context_.next_call++;
  Chain parts{encode_call_head(id, service)};
  for (Slice& part : body) parts.push_back(std::move(part));
  if (chain_size(parts) + 1 > context_.options.frame_size_max)
    return fail(Errc::kTooLarge, fmt::format("a call of {} bytes, {} is the limit", chain_size(parts),
                                             context_.options.frame_size_max));
  if (!session_->stream->send(PeerKind::kCall, std::move(parts)))
    return fail(Errc::kClosed, fmt::format("the link to node {} was full", node_.value));
  CallTicket ticket{id, std::make_shared<Call>()};
  session_->calls.emplace(id, ticket.call);
  return ticket;
}

void PeerLink::end_call(uint64_t id) {
  if (session_ != nullptr) session_->calls.erase(id);
}

}  // namespace taffrail
