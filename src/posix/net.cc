#include "posix/net.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "posix/errors.h"

namespace taffrail::posix {

namespace {

constexpr int kBacklog = 1024;
// Another address of the same name is not kept waiting for longer than this by one that is silent.
constexpr Duration kAddressPatience = 2_s;

bool out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Best effort: a kernel that lacks one of these still carries bytes. Accepted sockets inherit both.
void tune(int fd, const std::string& congestion) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!congestion.empty())
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
               static_cast<socklen_t>(congestion.size()));
}

std::unexpected<Error> listen_failure(int error, const Endpoint& at) {
  Errc code = Errc::kInvalid;
  if (error == EADDRINUSE) code = Errc::kBusy;
  if (error == EACCES || error == EPERM) code = Errc::kRefused;
  if (out_of_descriptors(error)) code = Errc::kUnavailable;
  return fail(code, fmt::format("listen on {}: {}", at.text(), errno_text(error)));
}

std::unexpected<Error> connect_failure(int error, const Endpoint& to) {
  Errc code = Errc::kRefused;
  if (error == ETIMEDOUT) code = Errc::kTimedOut;
  if (out_of_descriptors(error)) code = Errc::kUnavailable;
  return fail(code, fmt::format("connect to {}: {}", to.text(), errno_text(error)));
}

}  // namespace

Result<Fd> ListenerGroups::join(const Address& address, const std::string& congestion,
                                Member member, std::shared_ptr<Group>& out) {
  const std::lock_guard lock(mutex_);
  const Endpoint wanted = address.endpoint();
  std::shared_ptr<Group> group;
  for (const auto& g : groups_)
    if (wanted.port != 0 && g->at == wanted) group = g;
  if (group == nullptr) {
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return listen_failure(errno, wanted);
    const int on = 1;
    const int off = 0;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.family() == AF_INET6)
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    tune(fd.get(), congestion);
    Address bound;
    if (bind(fd.get(), address.raw(), address.size) != 0 || ::listen(fd.get(), kBacklog) != 0 ||
        getsockname(fd.get(), bound.raw(), &bound.size) != 0)
      return listen_failure(errno, wanted);
    group = std::make_shared<Group>();
    group->socket = std::move(fd);
    group->at = bound.endpoint();
    groups_.push_back(group);
  } else if (std::any_of(group->members.begin(), group->members.end(),
                         [&](const Member& m) { return m.net == member.net; })) {
    return listen_failure(EADDRINUSE, wanted);
  }
  // A descriptor of its own for each shard: each closes when it likes.
  Fd mine(fcntl(group->socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!mine.valid()) {
    const int error = errno;
    if (group->members.empty()) std::erase(groups_, group);
    return listen_failure(error, wanted);
  }
  group->members.push_back(member);
  out = std::move(group);
  return mine;
}

void ListenerGroups::leave(const std::shared_ptr<Group>& group, const Member& member) {
  const std::lock_guard lock(mutex_);
  std::erase_if(group->members, [&](const Member& m) {
    return m.net == member.net && m.listener == member.listener;
  });
  if (!group->members.empty()) return;
  group->socket.reset();
  std::erase(groups_, group);
}

ListenerGroups::Member ListenerGroups::take_turn(Group& group) {
  const std::lock_guard lock(mutex_);
  CHECK(!group.members.empty(), "who accepts is a member");
  return group.members[group.next++ % group.members.size()];
}

class PosixListener final : public Listener, private Watch {
 public:
  PosixListener(PosixNet& net, uint64_t id) : net_(net), id_(id) {}
  ~PosixListener() override { close(); }

  Result<> start(const Address& address) {
    fd_ = TRY(net_.groups_.join(address, net_.congestion_, self(), group_));
    at_ = group_->at;
    net_.listeners_[id_] = this;
    // Every member is woken for every connection, and whoever is first hands it to whose turn it
    // is: a member that does not accept at the moment can so never hold up what arrives for the
    // others.
    if (!net_.loop_.watch(fd_.get(), EPOLLIN | EPOLLET, *this)) return listen_failure(ENOMEM, at_);
    return {};
  }

  Result<std::unique_ptr<Connection>> accept(Task& task) override {
    for (;;) {
      if (task.cancelled()) return fail(Errc::kCancelled);
      if (!fd_.valid())
        return fail(Errc::kClosed, fmt::format("no longer listening on {}", at_.text()));
      if (!arrived_.empty()) {
        Arrived next = std::move(arrived_.front());
        arrived_.pop_front();
        ++net_.loop_.counters().accepts;
        return std::make_unique<PosixConnection>(net_.loop_, std::move(next.fd),
                                                 std::move(next.peer));
      }
      Address from;
      Fd fd(accept4(fd_.get(), from.raw(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) {
        const ListenerGroups::Member to = net_.groups_.take_turn(*group_);
        if (to.net == &net_) {
          arrived_.push_back({std::move(fd), from.endpoint()});
        } else {
          to.loop->post([to, fd = std::move(fd), peer = from.endpoint()]() mutable {
            to.net->deliver(to.listener, std::move(fd), peer);
          });
        }
        continue;
      }
      if (errno == EAGAIN) {
        TRY(waiting_.wait(task));
      } else if (out_of_descriptors(errno)) {
        return fail(Errc::kUnavailable,
                    fmt::format("accept on {}: {}", at_.text(), errno_text(errno)));
      }
      // Anything else is about a connection that died in the queue, or a network that is away for
      // the moment (accept(2), "Error handling"): the next one may be fine.
    }
  }

  Endpoint local() const override { return at_; }

  void close() override {
    if (!fd_.valid()) return;
    net_.loop_.unwatch(fd_.get());
    net_.groups_.leave(group_, self());
    net_.listeners_.erase(id_);
    fd_.reset();
    arrived_.clear();
    waiting_.notify_all();
  }

  void arrive(Fd fd, const Endpoint& peer) {
    arrived_.push_back({std::move(fd), peer});
    waiting_.notify_one();
  }

 private:
  struct Arrived {
    Fd fd;
    Endpoint peer;
  };
  void on_events(uint32_t) override { waiting_.notify_all(); }
  ListenerGroups::Member self() const { return {&net_.loop_, &net_, id_}; }

  PosixNet& net_;
  const uint64_t id_;
  Fd fd_;
  Endpoint at_;
  std::shared_ptr<ListenerGroups::Group> group_;
  std::deque<Arrived> arrived_;  // Bounded by the process's descriptors.
  WaitQueue waiting_;
};

PosixNet::PosixNet(Loop& loop, ListenerGroups& groups, std::string congestion)
    : loop_(loop), groups_(groups), congestion_(std::move(congestion)), resolver_(loop) {}

PosixNet::~PosixNet() { CHECK(listeners_.empty(), "a net outlives its listeners"); }

void PosixNet::deliver(uint64_t listener, Fd fd, const Endpoint& peer) {
  const auto found = listeners_.find(listener);
  if (found != listeners_.end()) found->second->arrive(std::move(fd), peer);
}

Result<std::unique_ptr<Listener>> PosixNet::listen(Task& task, const Endpoint& at) {
  const std::vector<Address> addresses =
      TRY(resolver_.resolve(task, at, AddressUse::kListen, Instant::never()));
  for (size_t i = 0;; ++i) {
    auto listener = std::make_unique<PosixListener>(*this, next_listener_++);
    const Result<> started = listener->start(addresses[i]);
    if (started) return listener;
    // A machine without IPv6 still resolves "::"; an address that is taken is taken, though.
    if (i + 1 == addresses.size() || started.error().code == Errc::kBusy)
      return std::unexpected(started.error());
  }
}

Result<std::unique_ptr<Connection>> PosixNet::connect(Task& task, const Endpoint& to,
                                                      Instant deadline) {
  const std::vector<Address> addresses =
      TRY(resolver_.resolve(task, to, AddressUse::kConnect, deadline));
  for (size_t i = 0;; ++i) {
    const bool last = i + 1 == addresses.size();
    const Duration left =
        deadline == Instant::never() ? Duration{INT64_MAX} : deadline - loop_.now();
    const Instant until = last ? deadline : loop_.now() + std::min(left / 2, kAddressPatience);
    auto connected = connect_one(task, addresses[i], until);
    if (connected || last || connected.error().code == Errc::kCancelled) return connected;
  }
}

namespace {

// Waits for one event of a descriptor. The fiber's own, so it lives on its stack.
class Readiness final : public Watch {
 public:
  explicit Readiness(Loop& loop, int fd) : loop_(loop), fd_(fd) {}
  ~Readiness() {
    if (watched_) loop_.unwatch(fd_);
  }
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  bool start(uint32_t events) { return watched_ = loop_.watch(fd_, events, *this); }
  Result<> wait(Task& task, Instant deadline) { return ready_.wait(task, deadline); }

 private:
  void on_events(uint32_t) override { ready_.set(); }
  Loop& loop_;
  int fd_;
  bool watched_ = false;
  Event ready_;
};

}  // namespace

Result<std::unique_ptr<Connection>> PosixNet::connect_one(Task& task, const Address& address,
                                                          Instant deadline) {
  if (task.cancelled()) return fail(Errc::kCancelled);
  const Endpoint to = address.endpoint();
  ++loop_.counters().connects;
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return connect_failure(errno, to);
  tune(fd.get(), congestion_);
  if (::connect(fd.get(), address.raw(), address.size) != 0) {
    // EINTR: the attempt goes on by itself (connect(2)).
    if (errno != EINPROGRESS && errno != EINTR) return connect_failure(errno, to);
    Readiness ready(loop_, fd.get());
    if (!ready.start(EPOLLOUT)) return connect_failure(errno, to);
    if (const Result<> waited = ready.wait(task, deadline); !waited) {
      if (waited.error().code != Errc::kTimedOut) return std::unexpected(waited.error());
      return connect_failure(ETIMEDOUT, to);
    }
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return connect_failure(error, to);
  }
  return std::make_unique<PosixConnection>(loop_, std::move(fd), to);
}

}  // namespace taffrail::posix
