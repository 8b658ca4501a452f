#include "broker/remote_peers.h"

#include <fmt/core.h>

#include "base/check.h"

namespace taffrail {
namespace {

// Guests of shard 0, by what they are here for.
constexpr uint64_t kCallGuests = 0;
constexpr uint64_t kSubmitGuests = 1;
GuestId guest_id(Runtime& runtime, uint64_t kind, uint64_t number) { return {runtime.shard(), number << 1 | kind}; }

// Has `work`, which keeps to a deadline of its own, done by a guest of shard 0; it is called off when the asker's
// own fiber is.
template <class R>
Result<R> ask_home(Task& task, Runtime& runtime, const Remote<NodeHome>& home, const GuestId& id, std::string name,
                   std::function<Result<R>(Task&, NodeHome&)> work) {
  Question<Result<R>> question(runtime);
  home.post(runtime, [id, name = std::move(name), work = std::move(work), answer = question.answer()](NodeHome& h) {
    if (!h.guests.admit(id)) return answer.give(h.runtime, fail(Errc::kUnavailable, "this broker is stopping"));
    h.guests.run(id, name, [&h, work, answer](Task& guest) {
      Result<R> done = work(guest, h);
      answer.give(h.runtime, std::move(done));
    });
  });
  Result<Result<R>> answered = question.wait(task);
  if (answered && !*answered && answered->error().code == Errc::kCancelled)
    return fail(Errc::kUnavailable, "this broker is stopping");
  if (answered) return *std::move(answered);
  home.post(runtime, [id](NodeHome& h) { h.guests.cancel(id); });
  return std::unexpected(answered.error());
}

}  // namespace

void RemotePeers::send(BrokerId to, PeerKind kind, Chain parts) {
  if (!connected(to)) return;
  outbox_.push_back({to, kind, std::move(parts)});
  if (outbox_.size() > 1) return;
  door_.from(runtime_.shard()).post(runtime_, [](RemotePeers& self) { self.flush(); });
}

void RemotePeers::flush() {
  home_.post(runtime_, [batch = std::move(outbox_)](NodeHome& home) mutable {
    for (Outgoing& one : batch) home.peers.send(one.to, one.kind, std::move(one.parts));
  });
  outbox_.clear();
}

bool RemotePeers::connected(BrokerId node) const {
  const auto it = links_.find(node);
  return it != links_.end() && it->second.up;
}

NodeShape RemotePeers::shape_of(BrokerId node) const {
  const auto it = links_.find(node);
  return it == links_.end() ? NodeShape() : it->second.shape;
}

Result<Slice> RemotePeers::call(Task& task, BrokerId to, std::string_view service, Chain body, Instant deadline) {
  return ask_home<Slice>(task, runtime_, home_, guest_id(runtime_, kCallGuests, next_call_++), "node/call",
                         [to, service = std::string(service), body = std::move(body), deadline](Task& t, NodeHome& home) {
                           return home.peers.call(t, to, service, body, deadline);
                         });
}

// What the command changed was posted here, entry by entry, before the answer: it is applied when this returns.
Result<ControllerReply> RemoteView::submit(Task& task, const ControllerCommand& command, Instant deadline) {
  return ask_home<ControllerReply>(
      task, runtime_, home_, guest_id(runtime_, kSubmitGuests, next_submit_++), "node/submit",
      [command, deadline](Task& t, NodeHome& home) -> Result<ControllerReply> {
        if (home.controller == nullptr) return fail(Errc::kUnavailable, "this broker is stopping");
        return home.controller->submit(t, command, deadline);
      });
}

void RemoteView::apply(ByteView records, LogIndex index) {
  const auto decoded = decode_records(records);
  CHECK(decoded.has_value(), "shard 0 has applied it");
  for (const MetadataRecord& record : *decoded) CHECK(image_.apply(record, index), "I-M2 what applied there applies here");
}

}  // namespace taffrail
