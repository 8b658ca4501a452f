#include "wire.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "protocol/create_topics.h"

namespace taffrail::bench {

int dial(uint16_t port, double patience_s) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("no sockets left");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // The same for all peers, whatever the machine's default is: over loopback BBR costs half of the speed.
  ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  const timeval patience{static_cast<time_t>(patience_s),
                         static_cast<suseconds_t>((patience_s - static_cast<double>(static_cast<time_t>(patience_s))) * 1e6)};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0) return fd;
  ::close(fd);
  return -1;
}

Wire::~Wire() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<Slice> Wire::exchange(ByteView frame) {
  if (fd_ < 0) return std::nullopt;
  while (!frame.empty()) {
    const ssize_t n = ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (n <= 0) return std::nullopt;
    frame = frame.subspan(static_cast<size_t>(n));
  }
  const auto read = [&](MutableBytes into) {
    while (!into.empty()) {
      const ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
      if (n <= 0) return false;
      into = into.subspan(static_cast<size_t>(n));
    }
    return true;
  };
  uint8_t length[4];
  if (!read(length)) return std::nullopt;
  bool whole = false;
  Slice answer = Slice::make(ByteReader(length).u32(), [&](MutableBytes into) { whole = read(into); });
  if (!whole) return std::nullopt;
  return answer;
}

bool Leaders::complete() const {
  return !port.empty() && std::find(port.begin(), port.end(), uint16_t{0}) == port.end();
}

std::optional<Leaders> ask_leaders(uint16_t port, const std::string& topic) {
  Wire wire(port, 5);
  protocol::MetadataRequest request;
  request.topics.emplace();
  request.topics->push_back({.name = topic});
  request.allow_auto_topic_creation = false;
  const auto answer = wire.ask(request, 4);
  if (!answer || answer->topics.size() != 1 || answer->topics[0].error_code != protocol::ErrorCode::kNone)
    return std::nullopt;
  Leaders leaders;
  for (const auto& b : answer->brokers) leaders.brokers.push_back(static_cast<uint16_t>(b.port));
  leaders.port.resize(answer->topics[0].partitions.size());
  leaders.in_sync_min = SIZE_MAX;
  for (const auto& p : answer->topics[0].partitions) {
    leaders.in_sync_min = std::min(leaders.in_sync_min, p.isr_nodes.size());
    for (const auto& b : answer->brokers)
      if (b.node_id == p.leader_id && p.error_code == protocol::ErrorCode::kNone)
        leaders.port.at(static_cast<size_t>(p.partition_index)) = static_cast<uint16_t>(b.port);
  }
  return leaders;
}

Leaders create_topic(const std::vector<uint16_t>& ports, const std::string& topic, int32_t partitions, int16_t replicas) {
  protocol::CreateTopicsRequest request;
  request.topics.push_back({.name = topic, .num_partitions = partitions, .replication_factor = replicas});
  std::string last = "no broker answered";
  std::vector<uint16_t> before;
  double unchanged = 0;
  // Asking costs the broker as well: for many partitions, one part in five of its time.
  double asked = 0;
  for (const double until = now() + 120; now() < until; sleep_until(now() + std::max(0.001, 4 * asked))) {
    const double begin = now();
    const auto leaders = ask_leaders(ports.front(), topic);
    asked = now() - begin;
    if (leaders && leaders->complete() && leaders->in_sync_min >= static_cast<size_t>(replicas)) {
      if (ports.size() == 1) return *leaders;
      // Leaders go to where they are preferred, once those brokers are up.
      if (leaders->port != before) unchanged = now();
      if (now() - unchanged > 1.5) return *leaders;
      before = leaders->port;
      continue;
    }
    if (leaders) {
      last = fmt::format("{} of {} partitions are led, the fewest in sync are {}",
                         leaders->port.size() - static_cast<size_t>(std::count(leaders->port.begin(), leaders->port.end(), uint16_t{0})),
                         leaders->port.size(), leaders->in_sync_min);
      continue;
    }
    Wire wire(ports.front(), 60);
    const auto answer = wire.ask(request, 4);
    if (answer && !answer->topics.empty() && answer->topics[0].error_message) last = *answer->topics[0].error_message;
  }
  die(fmt::format("topic {} with {} partitions did not come up: {}", topic, partitions, last));
}

}  // namespace taffrail::bench
