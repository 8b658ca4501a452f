#include "crowd.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace taffrail::bench {

Crowd::Crowd(uint16_t port, size_t clients) : clients_(clients), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) die("no epoll left");
  for (size_t i = 0; i < clients; ++i) {
    clients_[i].fd = dial(port);
    if (clients_[i].fd < 0) die("a broker takes no more connections");
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.u64 = i;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, clients_[i].fd, &interest);
  }
}

Crowd::~Crowd() {
  for (const Client& c : clients_)
    if (c.fd >= 0) ::close(c.fd);
  ::close(epoll_);
}

void Crowd::send(size_t client, ByteView frame) {
  Client& c = clients_[client];
  if (c.waits) die("a client that waits asks again");
  c.waits = true;
  while (!frame.empty()) {
    const ssize_t n = ::send(c.fd, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (n <= 0) die("a broker has closed a connection");
    frame = frame.subspan(static_cast<size_t>(n));
  }
}

std::vector<Crowd::Answer> Crowd::wait(double until) {
  epoll_event events[256];
  const int left_ms = static_cast<int>(std::max(0.0, until - now()) * 1000);
  const int count = ::epoll_wait(epoll_, events, 256, left_ms);
  std::vector<Answer> out;
  for (int i = 0; i < count; ++i) {
    Client& c = clients_[events[i].data.u64];
    char piece[16384];
    const ssize_t n = ::recv(c.fd, piece, sizeof(piece), MSG_DONTWAIT);
    if (n <= 0) die("a broker has closed a connection");
    c.in.append(piece, static_cast<size_t>(n));
    if (c.in.size() < 4) continue;
    const size_t length = ByteReader(as_bytes(c.in)).u32();
    if (c.in.size() < 4 + length) continue;
    out.push_back({events[i].data.u64, Slice(as_bytes(c.in).subspan(4, length))});
    c.in.clear();
    c.waits = false;
  }
  return out;
}

}  // namespace taffrail::bench
