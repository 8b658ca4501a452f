#include "probes.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <vector>

#include "base/crc32c.h"
#include "generator.h"

namespace taffrail::bench {
namespace {

constexpr double kSeconds = 0.3;

double sync_us(const std::string& scratch) {
  const std::string path = scratch + "/probe";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) die(path);
  const std::vector<uint8_t> bytes(4 << 20, 1);
  if (::pwrite(fd, bytes.data(), bytes.size(), 0) < 0 || ::fsync(fd) != 0) die(path);
  Latencies took;
  off_t at = 0;
  for (const double until = now() + kSeconds; now() < until; at = (at + 4096) % (4 << 20)) {
    const double begin = now();
    if (::pwrite(fd, bytes.data(), 4096, at) != 4096 || ::fdatasync(fd) != 0) die(path);
    took.all.push_back(static_cast<float>(now() - begin));
  }
  ::close(fd);
  ::unlink(path.c_str());
  return took.quantile(0.5) * 1e6;
}

double loopback_gb_per_s() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    die("no loopback");
  const pid_t sink = ::fork();
  if (sink == 0) {
    const int fd = ::accept(listener, nullptr, nullptr);
    std::vector<uint8_t> into(256 * 1024);
    while (::recv(fd, into.data(), into.size(), 0) > 0) {
    }
    ::_exit(0);
  }
  ::close(listener);
  const int fd = dial(ntohs(at.sin_port));
  if (fd < 0) die("no loopback");
  const std::vector<uint8_t> bytes(64 * 1024);
  double sent = 0;
  const double begin = now();
  while (now() < begin + kSeconds) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) die("loopback broke");
    sent += static_cast<double>(n);
  }
  const double took = now() - begin;
  ::close(fd);
  ::waitpid(sink, nullptr, 0);
  return sent / took / 1e9;
}

double crc_gb_per_s() {
  const std::vector<uint8_t> bytes(64 * 1024, 7);
  uint32_t crc = 0;
  double done = 0;
  // Of CPU time: it does not wait for anything.
  const double begin = own_cpu();
  while (own_cpu() < begin + kSeconds) {
    for (int i = 0; i < 64; ++i) crc = crc32c(bytes, crc);
    done += 64 * static_cast<double>(bytes.size());
  }
  if (crc == 0) die("a checksum that is never 0 was");
  return done / (own_cpu() - begin) / 1e9;
}

}  // namespace

Values probe_machine(const Setup& setup) {
  Values out;
  out.push_back({"fdatasync of 4 KiB", "us", sync_us(setup.scratch)});
  out.push_back({"loopback at 64 KiB", "GB/s", loopback_gb_per_s()});
  out.push_back({"CRC-32C", "GB/s", crc_gb_per_s()});
  return out;
}

}  // namespace taffrail::bench
