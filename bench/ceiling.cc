// taffrail-ceiling: what one core can do at most. The least program that takes Kafka's produce and fetch requests
// over TCP and keeps the bytes: one thread, one loop, one shared file. No replicas, no recovery, no topics, no
// limits: a yardstick that stands beside every figure of `taffrail bench`, never a broker.
//
// A round: read all that arrived, parse every complete request, compare checksums, fill in base offsets, copy the
// batches behind one another; then one pwrite and one fdatasync into a file that was written before and is used as a
// ring; then all answers. Modes leave steps out: null keeps nothing, crc compares checksums as well, durable does
// all of it.
//
// Speaks ApiVersions 0, Metadata 1 and 4, Produce 3-7, Fetch 4, ListOffsets 1 and InitProducerId 0-1: enough for
// the generator here, librdkafka and kcat. It trusts its clients, as nothing else in this tree does.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "record/batch.h"

namespace taffrail {
namespace {

constexpr size_t kReceiveBytes = 1 << 20;
constexpr size_t kAlign = 4096;
constexpr size_t kEvents = 256;
constexpr uint64_t kStoreBytes = uint64_t{1} << 31;  ///< Of address space, for what fetches read; touched as it fills.

enum class Mode : uint8_t { kNull, kCrc, kDurable };
enum class FetchFrom : uint8_t { kNone, kMemory, kFile };

struct Options {
  uint16_t port = 9092;
  int32_t partitions = 16;
  std::string directory = ".";
  uint64_t ring_bytes = uint64_t{512} << 20;
  Mode mode = Mode::kDurable;
  FetchFrom fetch = FetchFrom::kNone;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct Partition {
  int64_t next_offset = 0;
  // Only where fetches are served.
  struct Batch {
    int64_t base;
    uint64_t at;
    uint32_t size;
  };
  std::vector<Batch> batches;
  uint8_t* store = nullptr;
  uint64_t stored = 0;
  int fd = -1;
};

/// A part of an answer: bytes of our own, or some of a partition's.
struct Piece {
  std::string own;
  const uint8_t* memory = nullptr;
  int fd = -1;
  uint64_t at = 0;
  uint64_t size = 0;
};

struct Client {
  int fd = -1;
  std::vector<uint8_t> in = std::vector<uint8_t>(kReceiveBytes);
  size_t begin = 0;
  size_t end = 0;
  std::deque<Piece> out;
  bool writing = false;  ///< Asked epoll for room.
  bool waiting = false;  ///< Its next request is a fetch that found nothing, and may wait a round.
  bool queued = false;   ///< In answered_.
};

class Ceiling {
 public:
  explicit Ceiling(Options options) : o_(std::move(options)), partitions_(static_cast<size_t>(o_.partitions)) {}
  void run();

 private:
  void open_files();
  void accept_all();
  void receive(Client& c);
  void parse(Client& c);
  bool answer(Client& c, ByteView request);
  void produce(ByteReader& in, int16_t version, ByteWriter& out, bool& silent);
  bool fetch(ByteReader& in, Client& c, ByteWriter& out);
  void metadata(ByteReader& in, int16_t version, ByteWriter& out);
  void keep(Partition& p, ByteView batch);
  void make_durable();
  void send(Client& c);
  void close_client(Client& c);

  Options o_;
  std::vector<Partition> partitions_;
  std::vector<std::unique_ptr<Client>> clients_;  ///< By descriptor.
  std::vector<Client*> answered_;
  int listener_ = -1;
  int epoll_ = -1;
  int ring_ = -1;
  uint64_t ring_at_ = 0;
  std::vector<uint8_t> group_;  ///< What this round makes durable.
  size_t group_size_ = 0;
};

void put_i64(uint8_t* at, int64_t v) {
  const uint64_t big = __builtin_bswap64(static_cast<uint64_t>(v));
  std::memcpy(at, &big, 8);
}

void text(ByteWriter& out, std::string_view s) {
  out.i16(static_cast<int16_t>(s.size()));
  out.bytes(as_bytes(s));
}

ByteView read_text(ByteReader& in) {
  const int16_t n = in.i16();
  return n < 0 ? ByteView() : in.bytes(static_cast<size_t>(n));
}

void Ceiling::open_files() {
  const std::string path = o_.directory + "/ceiling.ring";
  ring_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (ring_ < 0) die(path.c_str());
  struct stat st {};
  if (::fstat(ring_, &st) != 0) die("fstat");
  // Blocks that were written once cost no journal commit when they are synced.
  const std::vector<uint8_t> zeros(1 << 20);
  for (auto at = static_cast<uint64_t>(st.st_size); at < o_.ring_bytes; at += zeros.size())
    if (::pwrite(ring_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) die("write zeros");
  if (::fdatasync(ring_) != 0) die("fdatasync");
  if (o_.fetch == FetchFrom::kNone) return;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    Partition& p = partitions_[i];
    if (o_.fetch == FetchFrom::kMemory) {
      void* at = ::mmap(nullptr, kStoreBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (at == MAP_FAILED) die("mmap");
      p.store = static_cast<uint8_t*>(at);
    } else {
      const std::string file = o_.directory + "/ceiling-" + std::to_string(i);
      p.fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
      if (p.fd < 0) die(file.c_str());
    }
  }
}

void Ceiling::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    if (clients_.size() <= static_cast<size_t>(fd)) clients_.resize(static_cast<size_t>(fd) + 1);
    clients_[static_cast<size_t>(fd)] = std::make_unique<Client>();
    clients_[static_cast<size_t>(fd)]->fd = fd;
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }
}

void Ceiling::close_client(Client& c) {
  std::erase(answered_, &c);
  ::close(c.fd);
  clients_[static_cast<size_t>(c.fd)] = nullptr;
}

void Ceiling::receive(Client& c) {
  if (c.begin > 0) {
    std::memmove(c.in.data(), c.in.data() + c.begin, c.end - c.begin);
    c.end -= c.begin;
    c.begin = 0;
  }
  if (c.end == c.in.size()) c.in.resize(c.in.size() * 2);
  const ssize_t n = ::recv(c.fd, c.in.data() + c.end, c.in.size() - c.end, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close_client(c);
  c.end += static_cast<size_t>(n);
  c.waiting = false;
  parse(c);
}

void Ceiling::parse(Client& c) {
  bool any = false;
  while (c.end - c.begin >= 4) {
    ByteReader length(ByteView(c.in).subspan(c.begin, 4));
    const size_t size = length.u32();
    if (c.end - c.begin - 4 < size) break;
    if (!answer(c, ByteView(c.in).subspan(c.begin + 4, size))) {
      c.waiting = true;
      break;
    }
    any = true;
    c.begin += 4 + size;
  }
  if (any && !c.out.empty() && !std::exchange(c.queued, true)) answered_.push_back(&c);
}

// False if there is nothing to answer yet.
bool Ceiling::answer(Client& c, ByteView request) {
  ByteReader in(request);
  const int16_t key = in.i16();
  const int16_t version = in.i16();
  const uint32_t correlation = in.u32();
  read_text(in);
  ByteWriter out;
  out.u32(0);
  out.u32(correlation);
  bool silent = false;
  const size_t before = c.out.size();
  switch (key) {
    case 0: produce(in, version, out, silent); break;
    case 1: {
      if (!fetch(in, c, out)) return false;
      break;
    }
    case 2: {  // ListOffsets 1, of one partition.
      in.i32();
      in.i32();
      const ByteView topic = read_text(in);
      in.i32();
      const int32_t index = in.i32();
      const bool start = in.i64() == -2;
      out.i32(1);
      text(out, as_text(topic));
      out.i32(1);
      out.i32(index);
      out.i16(0);
      out.i64(-1);
      out.i64(start ? 0 : partitions_.at(static_cast<size_t>(index)).next_offset);
      break;
    }
    case 3: metadata(in, version, out); break;
    case 18: {
      // A newer one is answered in v0, with what there is, and asked again.
      out.i16(version > 0 ? 35 : 0);
      static constexpr int16_t kSpoken[][3] = {{0, 3, 7}, {1, 4, 4}, {2, 1, 1}, {3, 1, 4}, {18, 0, 0}, {22, 0, 1}};
      out.i32(std::size(kSpoken));
      for (const auto& [api, min, max] : kSpoken) {
        out.i16(api);
        out.i16(min);
        out.i16(max);
      }
      break;
    }
    case 22:
      out.i32(0);
      out.i16(0);
      out.i64(1000);
      out.i16(0);
      break;
    default:
      // Whoever came before it listened may take it for a broker that has to be asked for a topic.
      ::shutdown(c.fd, SHUT_RDWR);
      return false;
  }
  if (silent) return true;
  uint64_t behind = 0;
  for (size_t i = before; i < c.out.size(); ++i) behind += c.out[i].size;
  out.patch_u32(0, static_cast<uint32_t>(out.size() - 4 + behind));
  Piece piece;
  piece.own = out.take();
  c.out.insert(c.out.begin() + static_cast<ptrdiff_t>(before), std::move(piece));
  return true;
}

void Ceiling::keep(Partition& p, ByteView batch) {
  const int64_t base = p.next_offset;
  ByteReader count(batch.subspan(BatchLayout::kRecordCount, 4));
  p.next_offset += count.i32();
  if (o_.mode == Mode::kDurable) {
    // 16 bytes of the ring's own before each, as a log that can be read again needs.
    const size_t need = group_size_ + 16 + batch.size() + kAlign;
    if (group_.size() < need) group_.resize(need * 2);
    uint8_t* at = group_.data() + group_size_;
    put_i64(at, static_cast<int64_t>(batch.size()));
    put_i64(at + 8, base);
    std::memcpy(at + 16, batch.data(), batch.size());
    put_i64(at + 16, base);
    group_size_ += 16 + batch.size();
  }
  if (o_.fetch == FetchFrom::kNone) return;
  p.batches.push_back({base, p.stored, static_cast<uint32_t>(batch.size())});
  if (p.store != nullptr) {
    std::memcpy(p.store + p.stored, batch.data(), batch.size());
    put_i64(p.store + p.stored, base);
  } else {
    std::vector<uint8_t> copy(batch.begin(), batch.end());
    put_i64(copy.data(), base);
    if (::pwrite(p.fd, copy.data(), copy.size(), static_cast<off_t>(p.stored)) < 0) die("write");
  }
  p.stored += batch.size();
}

void Ceiling::produce(ByteReader& in, int16_t version, ByteWriter& out, bool& silent) {
  read_text(in);
  silent = in.i16() == 0;
  in.i32();
  const int32_t topics = in.i32();
  out.i32(topics);
  for (int32_t t = 0; t < topics; ++t) {
    text(out, as_text(read_text(in)));
    const int32_t count = in.i32();
    out.i32(count);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t index = in.i32();
      const ByteView batch = in.sized();
      Partition& p = partitions_.at(static_cast<size_t>(index));
      int16_t error = 0;
      const int64_t base = p.next_offset;
      if (o_.mode != Mode::kNull) {
        ByteReader crc(batch.subspan(BatchLayout::kCrc, 4));
        if (crc32c(batch.subspan(BatchLayout::kAttributes)) != crc.u32()) error = 2;
      }
      if (error == 0) keep(p, batch);
      out.i32(index);
      out.i16(error);
      out.i64(base);
      out.i64(-1);
      if (version >= 5) out.i64(0);
    }
  }
  out.i32(0);
}

// Of one partition. False if there is nothing behind the offset.
bool Ceiling::fetch(ByteReader& in, Client& c, ByteWriter& out) {
  in.bytes(4 + 4 + 4 + 4 + 1 + 4);
  const ByteView topic = read_text(in);
  in.i32();
  const int32_t index = in.i32();
  const int64_t offset = in.i64();
  const auto max = static_cast<uint64_t>(in.i32());
  Partition& p = partitions_.at(static_cast<size_t>(index));
  if (offset >= p.next_offset && !c.waiting) return false;
  auto from = std::upper_bound(p.batches.begin(), p.batches.end(), offset,
                               [](int64_t o, const Partition::Batch& b) { return o < b.base; });
  if (from != p.batches.begin()) --from;
  uint64_t size = 0;
  auto to = from;
  while (offset < p.next_offset && to != p.batches.end() && (size == 0 || size + to->size <= max)) size += (to++)->size;
  out.i32(0);
  out.i32(1);
  text(out, as_text(topic));
  out.i32(1);
  out.i32(index);
  out.i16(0);
  out.i64(p.next_offset);
  out.i64(p.next_offset);
  out.i32(-1);
  out.i32(static_cast<int32_t>(size));
  if (size == 0) return true;
  Piece piece;
  piece.at = from->at;
  piece.size = size;
  if (p.store != nullptr) piece.memory = p.store + from->at;
  piece.fd = p.fd;
  c.out.push_back(std::move(piece));
  return true;
}

void Ceiling::metadata(ByteReader& in, int16_t version, ByteWriter& out) {
  std::vector<std::string> topics;
  const int32_t count = in.i32();
  for (int32_t i = 0; i < count; ++i) topics.emplace_back(as_text(read_text(in)));
  if (version >= 3) out.i32(0);
  out.i32(1);
  out.i32(1);
  text(out, "127.0.0.1");
  out.i32(o_.port);
  out.i16(-1);
  if (version >= 2) text(out, "ceiling");
  out.i32(1);
  out.i32(static_cast<int32_t>(topics.size()));
  for (const std::string& topic : topics) {
    out.i16(0);
    text(out, topic);
    out.u8(0);
    out.i32(o_.partitions);
    for (int32_t p = 0; p < o_.partitions; ++p) {
      out.i16(0);
      out.i32(p);
      out.i32(1);
      for (int list = 0; list < 2; ++list) {
        out.i32(1);
        out.i32(1);
      }
    }
  }
}

void Ceiling::make_durable() {
  if (group_size_ == 0) return;
  const size_t whole = (group_size_ + kAlign - 1) / kAlign * kAlign;
  std::memset(group_.data() + group_size_, 0, whole - group_size_);
  if (ring_at_ + whole > o_.ring_bytes) ring_at_ = 0;
  for (size_t done = 0; done < whole;) {
    const ssize_t n = ::pwrite(ring_, group_.data() + done, whole - done, static_cast<off_t>(ring_at_ + done));
    if (n < 0) die("write");
    done += static_cast<size_t>(n);
  }
  if (::fdatasync(ring_) != 0) die("fdatasync");
  ring_at_ += whole;
  group_size_ = 0;
}

void Ceiling::send(Client& c) {
  while (!c.out.empty()) {
    ssize_t n = 0;
    if (c.out.front().fd >= 0) {
      auto at = static_cast<off_t>(c.out.front().at);
      n = ::sendfile(c.fd, c.out.front().fd, &at, c.out.front().size);
    } else {
      iovec parts[64];
      size_t count = 0;
      for (const Piece& p : c.out) {
        if (count == std::size(parts) || p.fd >= 0) break;
        const void* data = p.memory != nullptr ? static_cast<const void*>(p.memory) : p.own.data() + p.at;
        const size_t size = p.memory != nullptr ? p.size : p.own.size() - p.at;
        parts[count++] = {const_cast<void*>(data), size};
      }
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      const bool more = count < c.out.size();
      n = ::sendmsg(c.fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n <= 0) return close_client(c);
    for (auto left = static_cast<uint64_t>(n); left > 0;) {
      Piece& p = c.out.front();
      const bool own = p.memory == nullptr && p.fd < 0;
      const uint64_t size = own ? p.own.size() - p.at : p.size;
      const uint64_t took = std::min(left, size);
      left -= took;
      if (took == size) {
        c.out.pop_front();
        continue;
      }
      p.at += took;
      if (!own) p.size -= took;
      if (p.memory != nullptr) p.memory += took;
    }
  }
  if (c.writing == !c.out.empty()) return;
  c.writing = !c.out.empty();
  epoll_event event{.events = c.writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {.fd = c.fd}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void Ceiling::run() {
  open_files();
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(o_.port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0) die("bind");
  if (::listen(listener_, 1024) != 0) die("listen");
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) die("epoll_ctl");

  epoll_event events[kEvents];
  for (;;) {
    const bool anyone_waits = std::any_of(clients_.begin(), clients_.end(), [](const auto& c) { return c && c->waiting; });
    const int n = ::epoll_wait(epoll_, events, kEvents, anyone_waits ? 5 : -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener_) {
        accept_all();
        continue;
      }
      Client* c = clients_[static_cast<size_t>(fd)].get();
      if (c != nullptr && (events[i].events & EPOLLOUT) != 0) send(*c);
      c = clients_[static_cast<size_t>(fd)].get();
      if (c != nullptr && (events[i].events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) receive(*c);
    }
    for (size_t i = 0; anyone_waits && i < clients_.size(); ++i)
      if (Client* c = clients_[i].get(); c != nullptr && c->waiting) {
        parse(*c);
        c->waiting = c->begin != c->end;
      }
    make_durable();
    const std::vector<Client*> answered = std::exchange(answered_, {});
    for (Client* c : answered) {
      c->queued = false;
      send(*c);
    }
  }
}

}  // namespace
}  // namespace taffrail

int main(int argc, char** argv) {
  using namespace taffrail;
  ::signal(SIGPIPE, SIG_IGN);
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view key = word.substr(0, equals);
    const std::string value(word.substr(std::min(equals + 1, word.size())));
    if (key == "--port") o.port = static_cast<uint16_t>(std::stoi(value));
    else if (key == "--partitions") o.partitions = std::stoi(value);
    else if (key == "--dir") o.directory = value;
    else if (key == "--ring-mib") o.ring_bytes = std::stoull(value) << 20;
    else if (key == "--mode" && value == "null") o.mode = Mode::kNull;
    else if (key == "--mode" && value == "crc") o.mode = Mode::kCrc;
    else if (key == "--mode" && value == "durable") o.mode = Mode::kDurable;
    else if (key == "--fetch" && value == "writev") o.fetch = FetchFrom::kMemory;
    else if (key == "--fetch" && value == "sendfile") o.fetch = FetchFrom::kFile;
    else {
      std::fputs(
          "usage: taffrail-ceiling [--port=9092] [--partitions=16] [--dir=.] [--ring-mib=512]\n"
          "                        [--mode=null|crc|durable] [--fetch=writev|sendfile]\n",
          stderr);
      return 2;
    }
  }
  Ceiling(o).run();
}
