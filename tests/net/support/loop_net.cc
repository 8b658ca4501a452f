#include "net/support/loop_net.h"

#include <algorithm>

namespace taffrail::test {

LoopConnection::LoopConnection(LoopNet& net, std::shared_ptr<LoopPipe> in, std::shared_ptr<LoopPipe> out,
                               Endpoint local, Endpoint peer)
    : net_(net), in_(std::move(in)), out_(std::move(out)), local_(std::move(local)), peer_(std::move(peer)) {
  ++net_.open_ends;
}

LoopConnection::~LoopConnection() {
  --net_.open_ends;
  if (!closed_) close();
}

Result<size_t> LoopConnection::read(Task& task, MutableBytes into, Instant deadline) {
  CHECK(!into.empty(), "a read has room");
  ++net_.reads;
  net_.read_room = into.size();
  const std::shared_ptr<LoopPipe> pipe = in_;
  for (;;) {
    if (task.cancelled()) return fail(Errc::kCancelled);
    if (closed_ || pipe->abandoned) return fail(Errc::kClosed);
    if (!pipe->frozen && !pipe->data.empty()) {
      const size_t count = std::min({into.size(), pipe->data.size(), net_.read_max});
      std::memcpy(into.data(), pipe->data.data(), count);
      pipe->data.erase(0, count);
      pipe->writable.notify_all();
      return count;
    }
    if (!pipe->frozen && pipe->ended) return size_t{0};
    TRY(pipe->readable.wait(task, deadline));
  }
}

Result<> LoopConnection::write(Task& task, std::span<const Slice> parts, Instant deadline) {
  ++net_.writes;
  const std::shared_ptr<LoopPipe> pipe = out_;
  for (const Slice& part : parts) {
    for (size_t at = 0; at < part.size();) {
      if (task.cancelled()) return fail(Errc::kCancelled);
      if (closed_ || (pipe->abandoned && !pipe->frozen)) return fail(Errc::kClosed);
      const size_t room = pipe->capacity - std::min(pipe->capacity, pipe->data.size());
      if (room == 0) {
        TRY(pipe->writable.wait(task, deadline));
        continue;
      }
      const size_t count = std::min(room, part.size() - at);
      pipe->data.append(as_text(part.view().subspan(at, count)));
      at += count;
      if (!pipe->frozen) pipe->readable.notify_all();
    }
  }
  return {};
}

void LoopConnection::close() {
  closed_ = true;
  out_->ended = true;
  in_->abandoned = true;
  for (LoopPipe* pipe : {in_.get(), out_.get()}) {
    pipe->readable.notify_all();
    pipe->writable.notify_all();
  }
}

class LoopListener final : public Listener {
 public:
  LoopListener(LoopNet& net, std::shared_ptr<LoopNet::Accepting> accepting, Endpoint local)
      : net_(net), accepting_(std::move(accepting)), local_(std::move(local)) {}
  ~LoopListener() override { close(); }
  Result<std::unique_ptr<Connection>> accept(Task& task) override {
    for (;;) {
      if (accepting_->closed) return fail(Errc::kClosed);
      if (net_.accept_error == Errc::kUnavailable && !accepting_->ready.empty()) {
        net_.accept_error = Errc::kClosed;
        return fail(Errc::kUnavailable, "out of descriptors");
      }
      if (!accepting_->ready.empty()) {
        std::unique_ptr<Connection> first = std::move(accepting_->ready.front());
        accepting_->ready.erase(accepting_->ready.begin());
        return first;
      }
      TRY(accepting_->arrived.wait(task));
    }
  }
  Endpoint local() const override { return local_; }
  void close() override {
    if (accepting_->closed) return;
    accepting_->closed = true;
    accepting_->ready.clear();
    accepting_->arrived.notify_all();
    net_.listening_.erase(local_.port);
  }

 private:
  LoopNet& net_;
  std::shared_ptr<LoopNet::Accepting> accepting_;
  Endpoint local_;
};

Result<std::unique_ptr<Listener>> LoopNet::listen(Task&, const Endpoint& at) {
  Endpoint local = at;
  if (local.port == 0) local.port = next_port_++;
  if (listening_.contains(local.port)) return fail(Errc::kBusy, local.text() + " is in use");
  auto accepting = std::make_shared<Accepting>();
  listening_[local.port] = accepting;
  return std::make_unique<LoopListener>(*this, accepting, local);
}

Result<std::unique_ptr<Connection>> LoopNet::connect(Task& task, const Endpoint& to, Instant deadline) {
  ++dials;
  task.scheduler().yield(task);
  if (task.cancelled()) return fail(Errc::kCancelled);
  if (frozen_) {
    TRY(task.scheduler().sleep_until(task, deadline));
    return fail(Errc::kTimedOut, "nobody answers at " + to.text());
  }
  const auto found = listening_.find(to.port);
  if (found == listening_.end()) return fail(Errc::kRefused, "nobody listens at " + to.text());
  auto there = std::make_shared<LoopPipe>();
  auto back = std::make_shared<LoopPipe>();
  there->capacity = back->capacity = pipe_capacity;
  pipes_.push_back(there);
  pipes_.push_back(back);
  const Endpoint here{"client", next_port_++};
  found->second->ready.push_back(std::make_unique<LoopConnection>(*this, there, back, to, here));
  found->second->arrived.notify_one();
  return std::make_unique<LoopConnection>(*this, back, there, here, to);
}

void LoopNet::freeze() {
  frozen_ = true;
  for (const std::weak_ptr<LoopPipe>& weak : pipes_) {
    if (const auto pipe = weak.lock()) pipe->frozen = true;
  }
}

void LoopNet::break_all() {
  for (const std::weak_ptr<LoopPipe>& weak : pipes_) {
    if (const auto pipe = weak.lock()) {
      pipe->abandoned = true;
      pipe->data.clear();
      pipe->readable.notify_all();
      pipe->writable.notify_all();
    }
  }
  pipes_.clear();
}

void LoopRuntime::settle() {
  for (uint64_t steps = 0; scheduler_.run_one(); ++steps) CHECK(steps < 50'000'000, "a loop that does not end");
}

void LoopRuntime::run_for(Duration duration) {
  const Instant end = clock_ + duration;
  for (;;) {
    settle();
    const Instant next = scheduler_.next_deadline();
    if (next > end) break;
    clock_ = std::max(clock_, next);
    scheduler_.fire_timers(clock_);
  }
  clock_ = end;
}

bool LoopRuntime::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = clock_ + limit;
  settle();
  while (!done()) {
    const Instant next = scheduler_.next_deadline();
    if (next > end) return false;
    clock_ = std::max(clock_, next);
    scheduler_.fire_timers(clock_);
    settle();
  }
  return true;
}

void LoopRuntime::run(std::function<void(Task&)> body) {
  bool ended = false;
  start([&](Task& task) {
    body(task);
    ended = true;
  });
  CHECK(run_until([&] { return ended; }, 3600_s), "a test's fiber ends");
}

}  // namespace taffrail::test
