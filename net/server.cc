#include "net/server.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/plant.h"
#include "net/frame_buffer.h"

namespace taffrail {

namespace {

// What one write gathers, unless a single answer is larger: a peer has idle_max for each.
constexpr size_t kWriteMax = 4_MiB;
constexpr Duration kAcceptPause = 100_ms;
constexpr uint32_t kReadsPerTurn = 8;
// A request of which so much is there is a large one, and then read so much at a time: others wait for that.
constexpr size_t kPatientRead = 128_KiB;
constexpr size_t kPatientWrite = 512_KiB;
constexpr size_t kKnownAfter = 8;  // Answers that a connection has taken.
constexpr ByteCount kFiberBytes = 12_KiB;  // Two or three pages of its stack.
// More than a kernel holds for a peer that reads nothing: who took as much does read.
constexpr size_t kProven = 16_MiB;

// One request that was begun, in its place among the others of its connection.
struct Slot {
  size_t request_size = 0;
  std::move_only_function<Chain(Task&)> finish;
  bool done = false;
  Chain answer;
  size_t answer_size = 0;
};

// One client. Fibers: a reader for as long as the connection lives, which also ends it; one for each
// `finish`; a writer for as long as there is something to write. A quiet connection holds one stack and
// no buffer.
class ServerConnection final : public MemoryBudget::Holder {
 public:
  ServerConnection(Runtime& runtime, RequestHandler& handler, const ServerOptions& options,
                   std::unique_ptr<Connection> socket, ConnectionInfo info, std::string name);

  // The reader, start to end. Afterwards no fiber of this connection lives.
  void run(Task& task);

  Instant waits_since() const override;
  void break_off(std::string why) override;

 private:
  std::string serve(Task& task, std::optional<Patience>& stranger);
  Result<> begin(Task& task, Slice frame, std::string& close_because);
  Result<size_t> read_more(Task& task);
  Result<> await_voice(Task& task);
  Result<> await_room(Task& task, size_t frame_size);
  void await_answers_sent(Task& task);
  void complete(Slot& slot, Chain answer);
  void start_writer();
  void write_answers(Task& task);
  Chain take_ready(size_t& size);
  void fail_writing(const Error& error);
  void account();
  bool is_known() const { return answers_taken_ >= kKnownAfter; }
  void stand_back(Task& task, std::optional<Patience>& patience);

  Runtime& runtime_;
  RequestHandler& handler_;
  const ServerOptions& options_;
  std::unique_ptr<Connection> socket_;
  ConnectionInfo info_;
  std::string name_;           // "net/PLAINTEXT/17".
  FrameBuffer in_;
  uint32_t reads_ = 0;
  std::deque<Slot> slots_;     // Begun and not yet taken by the writer, oldest first.
  size_t in_flight_ = 0;       // Begun and not yet answered: slots_, and what the writer holds.
  ByteCount in_flight_bytes_ = 0;
  ByteCount answers_bytes_ = 0;  // Of these.
  ByteCount answered_ = 0;     // Bytes that writes took.
  size_t answers_taken_ = 0;
  bool writing_ = false;
  bool broken_ = false;        // Writing failed: nothing more is sent.
  bool waits_for_memory_ = false;
  std::string broken_because_; // Empty: the peer's own doing, not worth a line.
  Instant active_{};           // When the last whole request came or answer went.
  Instant write_began_{};
  WaitQueue sent_;             // Something left the connection, or cannot.
  Scope scope_;
};

ServerConnection::ServerConnection(Runtime& runtime, RequestHandler& handler,
                                   const ServerOptions& options, std::unique_ptr<Connection> socket,
                                   ConnectionInfo info, std::string name)
    : runtime_(runtime), handler_(handler), options_(options), socket_(std::move(socket)),
      info_(std::move(info)), name_(std::move(name)), in_(options.frame_size_max), active_(runtime.now()) {}

void ServerConnection::run(Task& task) {
  // A storm of connections comes, and goes, behind those that are known.
  std::optional<Patience> patience(task);
  const Duration turned_away = handler_.turn_away_for(task, info_);
  std::string why;
  if (turned_away > Duration{}) {
    runtime_.log().debug("net", "{}: turned {} away after {} ms", info_.listener, info_.peer.text(), turned_away.ms());
    (void)runtime_.sleep_for(task, turned_away);
  } else {
    why = serve(task, patience);
  }
  if (broken_ && !broken_because_.empty()) why = broken_because_;
  // One line for each connection that we ended; a peer that left, or our own stop, is not news.
  if (!why.empty() && !task.cancelled()) {
    runtime_.log().warn("net", "{}: closed the connection of {} (client \"{}\"): {}", info_.listener,
                        info_.peer.text(), escaped(info_.client_id), why);
  }
  socket_->close();
  scope_.cancel();
  scope_.join(task);
  if (options_.memory != nullptr) options_.memory->leave(*this);
}

// What this connection keeps in memory. The few bytes of a small request on its way are not worth counting, nor is the fiber
// of one that waits; those of sixty more are.
void ServerConnection::account() {
  if (options_.memory == nullptr) return;
  const ByteCount fibers = in_flight_ > 1 ? (in_flight_ - 1) * kFiberBytes : 0;
  options_.memory->hold(*this, in_flight_bytes_ + fibers + (in_.pending() > MemoryBudget::kFree ? in_.capacity() : 0), answers_bytes_,
                        info_.takes_answers);
}

Instant ServerConnection::waits_since() const {
  // Who asks for more meanwhile has taken nothing all the same.
  if (writing_) return PLANT("N63") ? active_ : write_began_;
  return in_.pending() > MemoryBudget::kFree && !waits_for_memory_ ? active_ : Instant::never();
}

// Why the connection ends; empty if that is the peer's doing.
std::string ServerConnection::serve(Task& task, std::optional<Patience>& stranger) {
  for (;;) {
    if (stranger && is_known()) stranger.reset();
    for (;;) {
      Result<std::optional<Slice>> frame = in_.next();
      if (!frame) {
        await_answers_sent(task);
        return frame.error().message;
      }
      if (!*frame) break;
      std::string close_because;
      if (!begin(task, std::move(**frame), close_because)) return {};
      if (!close_because.empty()) {
        await_answers_sent(task);
        return close_because;
      }
    }
    // Who sends without waiting for answers must not keep the loop to itself, and answers that are
    // ready go out before long. Most reads wait, and with that others have their turn anyway.
    if (++reads_ % kReadsPerTurn == 0) runtime_.scheduler().yield(task);
    // A large request comes piece by piece, and others go first.
    std::optional<Patience> patience;
    if (in_.pending() >= kPatientRead) {
      patience.emplace(task);
      runtime_.scheduler().yield(task);
    }
    const Result<size_t> count = read_more(task);
    if (!count && count.error().code == Errc::kTimedOut)
      return fmt::format("idle for {} ms", options_.idle_max.ms());
    if (!count || *count == 0) return {};
    in_.filled(*count);
    account();
  }
}

// Errors: the connection is over, and why is told elsewhere.
Result<> ServerConnection::begin(Task& task, Slice frame, std::string& close_because) {
  const size_t size = frame.size();
  TRY(await_voice(task));
  TRY(await_room(task, size));
  active_ = runtime_.now();
  Begun begun = handler_.begin(task, info_, std::move(frame));
  // The handler may have waited: the connection may be over.
  if (task.cancelled()) return fail(Errc::kCancelled);
  if (broken_) return fail(Errc::kClosed);
  close_because = std::move(begun.close_because);
  if (!begun.answer && !begun.finish) return {};

  ++in_flight_;
  in_flight_bytes_ += size;
  account();
  Slot& slot = slots_.emplace_back();
  slot.request_size = size;
  if (begun.answer) {
    complete(slot, std::move(*begun.answer));
    return {};
  }
  // The slot stays where it is until it is done: a deque moves nothing when its ends do.
  slot.finish = std::move(begun.finish);
  runtime_.spawn(scope_, name_ + "/finish", [this, &slot](Task& inner) {
    std::optional<Patience> patience;
    stand_back(inner, patience);
    Chain answer = slot.finish(inner);
    slot.finish = nullptr;
    if (inner.cancelled()) return;
    complete(slot, std::move(answer));
    if (!info_.close_because.empty()) break_off(info_.close_because);
  });
  return {};
}

// What a stranger wants waits until the others have had their turn.
void ServerConnection::stand_back(Task& task, std::optional<Patience>& patience) {
  if (is_known()) return;
  patience.emplace(task);
  runtime_.scheduler().yield(task);
}

// The peer's next bytes. Errors: kTimedOut when idle for too long; kClosed, kCancelled.
Result<size_t> ServerConnection::read_more(Task& task) {
  for (;;) {
    if (MemoryBudget* memory = options_.memory; memory != nullptr && in_.pending() > MemoryBudget::kFree) {
      // Meanwhile it is not its peer who lets us wait, and from then on it has as long as anybody.
      while (!broken_ && !memory->has_room(*this)) {
        waits_for_memory_ = true;
        TRY(memory->wait(task, *this));
        active_ = runtime_.now();
      }
      waits_for_memory_ = false;
      if (broken_) return fail(Errc::kClosed);
    }
    const Instant now = runtime_.now();
    // What waits here is not idle: a long poll may last longer than idle_max.
    const Instant idle_at = (in_flight_ > 0 ? now : active_) + options_.idle_max;
    if (now >= idle_at) return fail(Errc::kTimedOut);
    const bool holds_memory = in_.capacity() > 0 && in_.pending() == 0;
    const Instant nap_at = now + options_.nap_after;
    const Instant deadline = holds_memory && nap_at < idle_at ? nap_at : idle_at;
    MutableBytes room = in_.room();
    if (in_.pending() >= kPatientRead) room = room.first(std::min(room.size(), kPatientRead));
    Result<size_t> count = socket_->read(task, room, deadline);
    if (count || count.error().code != Errc::kTimedOut) return count;
    in_.shrink();
  }
}

// Until the connection is heard again. What the peer sends meanwhile stays in the kernel, and then with the peer.
Result<> ServerConnection::await_voice(Task& task) {
  while (!broken_ && runtime_.now() < info_.muted_until) {
    const Result<> waited = sent_.wait(task, info_.muted_until);
    if (!waited && waited.error().code == Errc::kCancelled) return waited;
  }
  if (broken_) return fail(Errc::kClosed);
  return {};
}

// Until one more request of this size may be begun. Alone, a request of any size may.
Result<> ServerConnection::await_room(Task& task, size_t frame_size) {
  while (!broken_ && in_flight_ > 0 &&
         (in_flight_ >= options_.in_flight_max ||
          in_flight_bytes_ + frame_size > options_.in_flight_bytes_max ||
          (options_.memory != nullptr && options_.memory->is_full()))) {
    TRY(sent_.wait(task));
  }
  if (broken_) return fail(Errc::kClosed);
  return {};
}

// What is due goes out before we close, unless the peer takes too long over it.
void ServerConnection::await_answers_sent(Task& task) {
  const Instant deadline = runtime_.now() + options_.idle_max;
  while (!broken_ && in_flight_ > 0) {
    if (!sent_.wait(task, deadline)) return;
  }
}

void ServerConnection::complete(Slot& slot, Chain answer) {
  slot.answer = std::move(answer);
  slot.answer_size = chain_size(slot.answer);
  slot.done = true;
  in_flight_bytes_ += slot.answer_size;
  answers_bytes_ += slot.answer_size;
  account();
  start_writer();
}

// A writer begins after all that is ready now has run: answers that become due in one round of the loop
// go out in one write.
void ServerConnection::start_writer() {
  if (writing_ || broken_ || slots_.empty() || !slots_.front().done) return;
  writing_ = true;
  write_began_ = runtime_.now();
  runtime_.spawn(scope_, name_ + "/writer", [this](Task& task) {
    std::optional<Patience> patience;
    stand_back(task, patience);
    write_answers(task);
  });
}

void ServerConnection::write_answers(Task& task) {
  while (!slots_.empty() && slots_.front().done) {
    size_t size = 0;
    const size_t slots_before = slots_.size();
    const Chain chain = take_ready(size);
    const size_t taken = slots_before - slots_.size();
    if (!chain.empty()) {
      // Who asks for more while much is on its way is in no hurry, and who has never taken much may take nothing at all:
      // it goes piece by piece, and others go first.
      std::optional<Patience> patience;
      if (chain_size(chain) >= kPatientWrite && (in_flight_ > taken || !info_.takes_answers)) {
        patience.emplace(task);
        runtime_.scheduler().yield(task);
      }
      write_began_ = runtime_.now();
      const Result<> written = socket_->write(task, chain, runtime_.now() + options_.idle_max);
      if (!written) return fail_writing(written.error());
      answered_ += chain_size(chain);
      info_.takes_answers = answered_ >= kProven;
    }
    in_flight_ -= taken;
    answers_taken_ += taken;
    in_flight_bytes_ -= size;
    answers_bytes_ -= chain_size(chain);
    active_ = runtime_.now();
    account();
    sent_.notify_all();
  }
  writing_ = false;
}

// The answers that are due, in order; `size` is what they and their requests count as in flight.
Chain ServerConnection::take_ready(size_t& size) {
  Chain chain;
  size_t gathered = 0;
  while (!slots_.empty() && slots_.front().done) {
    Slot& slot = slots_.front();
    if (gathered > 0 && gathered + slot.answer_size > kWriteMax) break;
    gathered += slot.answer_size;
    size += slot.request_size + slot.answer_size;
    const auto at = PLANT("N01") ? chain.begin() : chain.end();  // N01: what is due together goes out newest first.
    chain.insert(at, std::make_move_iterator(slot.answer.begin()), std::make_move_iterator(slot.answer.end()));
    slots_.pop_front();
  }
  return chain;
}

void ServerConnection::fail_writing(const Error& error) {
  break_off(error.code == Errc::kTimedOut ? fmt::format("took no answer for {} ms", options_.idle_max.ms())
                                          : std::string{});
}

void ServerConnection::break_off(std::string why) {
  if (broken_) return;
  broken_ = true;
  broken_because_ = std::move(why);
  socket_->close();  // The reader's wait ends, and the reader ends the rest.
  sent_.notify_all();
  if (options_.memory != nullptr) options_.memory->nudge(*this);
}

}  // namespace

size_t chain_size(const Chain& chain) {
  size_t size = 0;
  for (const Slice& part : chain) size += part.size();
  return size;
}

Begun Begun::now(Chain chain) {
  Begun begun;
  begun.answer = std::move(chain);
  return begun;
}

Begun Begun::later(std::move_only_function<Chain(Task&)> finish) {
  Begun begun;
  begun.finish = std::move(finish);
  return begun;
}

Begun Begun::nothing() { return {}; }

Begun Begun::close(std::string why) {
  Begun begun;
  begun.close_because = std::move(why);
  return begun;
}

struct Server::State {
  Runtime& runtime;
  std::string name;
  RequestHandler& handler;
  ServerOptions options;
  std::unique_ptr<Listener> listener;
  uint64_t next_id = 1;
  std::map<uint64_t, std::unique_ptr<ServerConnection>> connections;
  Scope scope;

  void accept_all(Task& task);
  void take_in(std::unique_ptr<Connection> socket);
};

void Server::State::accept_all(Task& task) {
  // However many come at once, those who are here are served meanwhile.
  const Patience patience(task);
  bool told = false;
  for (;;) {
    Result<std::unique_ptr<Connection>> socket = listener->accept(task);
    if (socket) {
      told = false;
      take_in(std::move(*socket));
      runtime.scheduler().yield(task);
      continue;
    }
    if (socket.error().code != Errc::kUnavailable) {
      if (!task.cancelled())
        runtime.log().error("net", "{}: accepts no more: {}", name, socket.error().text());
      return;
    }
    // Out of descriptors: others may close some.
    if (!told) runtime.log().warn("net", "{}: cannot accept: {}", name, socket.error().text());
    told = true;
    if (!runtime.sleep_for(task, kAcceptPause)) return;
  }
}

void Server::State::take_in(std::unique_ptr<Connection> socket) {
  if (connections.size() >= options.connections_max) {
    runtime.log().debug("net", "{}: turned {} away: {} connections are the limit", name,
                        socket->peer().text(), options.connections_max);
    return;  // Closes it.
  }
  const uint64_t id = next_id++;
  ConnectionInfo info;
  info.id = id;
  info.listener = name;
  info.peer = socket->peer();
  std::string fiber_name = fmt::format("net/{}/{}", name, id);
  auto owned = std::make_unique<ServerConnection>(runtime, handler, options, std::move(socket),
                                                  std::move(info), fiber_name);
  ServerConnection* connection = owned.get();
  connections.emplace(id, std::move(owned));
  runtime.spawn(scope, std::move(fiber_name), [this, id, connection](Task& task) {
    connection->run(task);
    if (!PLANT("N04")) connections.erase(id);
  });
}

Server::Server(Runtime& runtime, std::string listener_name, RequestHandler& handler, ServerOptions options)
    : state_(new State{runtime, std::move(listener_name), handler, options, {}, 1, {}, {}}) {}

Server::~Server() = default;

Result<> Server::start(Task& task, const Endpoint& at) {
  TRY(bind(task, at));
  accept_clients();
  return {};
}

Result<> Server::bind(Task& task, const Endpoint& at) {
  CHECK(state_->listener == nullptr, "a server starts once");
  state_->listener = TRY(state_->runtime.net().listen(task, at));
  return {};
}

void Server::accept_clients() {
  state_->runtime.spawn(state_->scope, fmt::format("net/{}/accept", state_->name),
                        [state = state_.get()](Task& inner) { state->accept_all(inner); });
}

Endpoint Server::local() const {
  return state_->listener == nullptr ? Endpoint{} : state_->listener->local();
}

void Server::stop(Task& task) {
  if (state_->listener != nullptr) state_->listener->close();
  state_->scope.cancel();
  state_->scope.join(task);
}

size_t Server::connection_count() const { return state_->connections.size(); }

}  // namespace taffrail
