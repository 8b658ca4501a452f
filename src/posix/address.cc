#include "posix/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <deque>
#include <utility>

#include "runtime/log.h"

namespace taffrail::posix {

Endpoint Address::endpoint() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return {text, ntohs(v4->sin_port)};
  }
  if (family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    // A dual-stack listener sees IPv4 peers as ::ffff:10.0.0.1; people and access rules know them
    // without.
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
    } else {
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    }
    return {text, ntohs(v6->sin6_port)};
  }
  return {};
}

namespace {

// 0 or an EAI_ code.
int look_up(const std::string& host, uint16_t port, AddressUse use, int flags,
            std::vector<Address>& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV | (use == AddressUse::kListen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const std::string service = fmt::format("{}", port);
  const int error =
      getaddrinfo(host.empty() ? nullptr : host.c_str(), service.c_str(), &hints, &found);
  if (error != 0) return error;
  for (const addrinfo* i = found; i != nullptr; i = i->ai_next) {
    Address address;
    address.size = i->ai_addrlen;
    std::memcpy(&address.storage, i->ai_addr, i->ai_addrlen);
    // "Every address" comes as 0.0.0.0 and ::. The latter takes both kinds, so it is tried first.
    if (use == AddressUse::kListen && host.empty() && i->ai_family == AF_INET6) {
      out.insert(out.begin(), address);
    } else {
      out.push_back(address);
    }
  }
  freeaddrinfo(found);
  return 0;
}

}  // namespace

struct Resolver::Lookup {
  std::string host;
  uint16_t port = 0;
  AddressUse use = AddressUse::kConnect;
  int error = 0;
  std::vector<Address> found;
  Event done;  // The loop's thread only.
};

struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable more;
  std::deque<std::shared_ptr<Lookup>> queue;
  Loop* loop;  // Null once the resolver is gone.
  bool busy = false;
  explicit Shared(Loop* l) : loop(l) {}
};

Resolver::Resolver(Loop& loop) : shared_(std::make_shared<Shared>(&loop)) {}

Resolver::~Resolver() {
  bool busy = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->loop = nullptr;
    shared_->queue.clear();
    busy = shared_->busy;
  }
  shared_->more.notify_all();
  if (!thread_.joinable()) return;
  if (busy) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void Resolver::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->more.wait(lock, [&] { return shared->loop == nullptr || !shared->queue.empty(); });
    if (shared->loop == nullptr) return;
    std::shared_ptr<Lookup> lookup = std::move(shared->queue.front());
    shared->queue.pop_front();
    shared->busy = true;
    lock.unlock();
    lookup->error = look_up(lookup->host, lookup->port, lookup->use, 0, lookup->found);
    lock.lock();
    shared->busy = false;
    if (shared->loop != nullptr)
      shared->loop->post([lookup = std::move(lookup)] { lookup->done.set(); });
  }
}

Result<std::vector<Address>> Resolver::resolve(Task& task, const Endpoint& endpoint, AddressUse use,
                                               Instant deadline) {
  std::vector<Address> numeric;
  if (look_up(endpoint.host, endpoint.port, use, AI_NUMERICHOST, numeric) == 0 && !numeric.empty())
    return numeric;
  if (endpoint.host.find('\0') != std::string::npos)
    return fail(Errc::kNotFound, fmt::format("host \"{}\" is not a name", escaped(endpoint.host)));

  const auto lookup = std::make_shared<Lookup>();
  lookup->host = endpoint.host;
  lookup->port = endpoint.port;
  lookup->use = use;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->queue.push_back(lookup);
  }
  if (!thread_.joinable()) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([shared = shared_] { work(shared); });
    pthread_setname_np(thread_.native_handle(), "resolver");
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  shared_->more.notify_one();
  if (const Result<> waited = lookup->done.wait(task, deadline); !waited) {
    if (waited.error().code != Errc::kTimedOut) return std::unexpected(waited.error());
    return fail(Errc::kTimedOut,
                fmt::format("looking up host {} took too long", escaped(endpoint.host)));
  }
  if (lookup->error != 0 || lookup->found.empty())
    return fail(Errc::kNotFound,
                fmt::format("host {}: {}", escaped(endpoint.host),
                            lookup->error == 0 ? "no address" : gai_strerror(lookup->error)));
  return std::move(lookup->found);
}

}  // namespace taffrail::posix
