#include "generator.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>

#include "protocol/fetch.h"
#include "protocol/produce.h"
#include "record/batch.h"
#include "record/builder.h"

namespace taffrail::bench {
namespace {

constexpr double kPatience = 60;

/// One connection, and the requests that wait for answers on it.
struct Line {
  int fd = -1;
  std::deque<std::string_view> to_send;
  size_t sent = 0;              ///< Of the first of them.
  std::deque<double> waiting;   ///< When each began.
  std::vector<uint8_t> in = std::vector<uint8_t>(256 * 1024);
  size_t end = 0;
  bool writing = false;
  size_t next = 0;              ///< The partition that comes next.
};

/// Many lines and one loop. `on_answer` gets the whole answer, less its length.
class Lines {
 public:
  Lines(const Leaders& leaders, int connections) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < connections; ++i) {
      auto line = std::make_unique<Line>();
      line->next = static_cast<size_t>(i) % leaders.port.size();
      line->fd = dial(leaders.port[line->next]);
      if (line->fd < 0) die("a broker refuses connections");
      ::fcntl(line->fd, F_SETFL, ::fcntl(line->fd, F_GETFL) | O_NONBLOCK);
      watch(*line, EPOLL_CTL_ADD, i);
      all_.push_back(std::move(line));
    }
  }
  ~Lines() {
    for (const auto& line : all_) ::close(line->fd);
    ::close(epoll_);
  }

  size_t count() const { return all_.size(); }
  Line& at(size_t i) { return *all_[i]; }
  std::function<void(Line&, ByteView)> on_answer;

  void queue(Line& line, std::string_view frame, double began) {
    line.to_send.push_back(frame);
    line.waiting.push_back(began);
    if (!line.writing) send(line);
  }
  // Waits at most until then.
  void turn(double until) {
    epoll_event events[64];
    const double left = std::max(0.0, until - now());
    const timespec wait{static_cast<time_t>(left),
                        static_cast<long>((left - std::floor(left)) * 1e9)};
    const int n = ::epoll_pwait2(epoll_, events, 64, &wait, nullptr);
    for (int i = 0; i < n; ++i) {
      Line& line = *all_[events[i].data.u32];
      if ((events[i].events & EPOLLOUT) != 0) send(line);
      if ((events[i].events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) receive(line);
    }
  }

 private:
  void watch(Line& line, int what, int index) {
    epoll_event event{};
    event.events = line.writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(index);
    if (::epoll_ctl(epoll_, what, line.fd, &event) != 0) die("epoll_ctl");
  }
  void send(Line& line) {
    while (!line.to_send.empty()) {
      const std::string_view frame = line.to_send.front();
      const ssize_t n = ::send(line.fd, frame.data() + line.sent, frame.size() - line.sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) die("a broker closed a connection under load");
      line.sent += static_cast<size_t>(n);
      if (line.sent < frame.size()) continue;
      line.sent = 0;
      line.to_send.pop_front();
    }
    if (line.writing == !line.to_send.empty()) return;
    line.writing = !line.to_send.empty();
    for (size_t i = 0; i < all_.size(); ++i)
      if (all_[i].get() == &line) watch(line, EPOLL_CTL_MOD, static_cast<int>(i));
  }
  void receive(Line& line) {
    const ssize_t n = ::recv(line.fd, line.in.data() + line.end, line.in.size() - line.end, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) die("a broker closed a connection under load");
    line.end += static_cast<size_t>(n);
    size_t begin = 0;
    while (line.end - begin >= 4) {
      const size_t size = ByteReader(ByteView(line.in).subspan(begin, 4)).u32();
      if (line.end - begin - 4 < size) {
        if (4 + size > line.in.size()) line.in.resize(4 + size + 64 * 1024);
        break;
      }
      on_answer(line, ByteView(line.in).subspan(begin + 4, size));
      line.waiting.pop_front();
      begin += 4 + size;
    }
    std::memmove(line.in.data(), line.in.data() + begin, line.end - begin);
    line.end -= begin;
  }

  int epoll_;
  std::vector<std::unique_ptr<Line>> all_;
};

// Produce v7 of one partition.
void check_produced(ByteView answer) {
  ByteReader in(answer);
  in.i32();
  in.i32();
  in.bytes(static_cast<size_t>(in.i16()));
  in.i32();
  in.i32();
  if (const int16_t error = in.i16(); error != 0) die(fmt::format("a produce was refused with error {}", error));
}

}  // namespace

Requests build_produces(const std::string& topic, int32_t partitions, uint32_t batch_bytes, uint32_t record_bytes) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  Requests out;
  for (int32_t p = 0; p < partitions; ++p) {
    BatchBuilder builder;
    std::string value(record_bytes, 'x');
    uint64_t state = 88172645463325252u + static_cast<uint64_t>(p);
    do {
      for (char& c : value) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        c = static_cast<char>(state);
      }
      builder.add(ms.count(), {}, as_bytes(value));
    } while (builder.size_bytes() + record_bytes + 16 <= batch_bytes);
    out.records = static_cast<uint32_t>(builder.record_count());
    const Slice batch = builder.finish();
    out.batch_bytes = static_cast<uint32_t>(batch.size());
    protocol::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    request.topic_data.push_back({.name = topic});
    request.topic_data[0].partition_data.push_back({.index = p, .records = batch});
    const auto frame = protocol::encode_request(p, "bench", request, 7);
    if (!frame) die("encode: " + frame.error().text());
    out.frames.emplace_back(as_text(frame->flat()));
  }
  return out;
}

double Latencies::quantile(double q) {
  if (all.empty()) return 0;
  const auto at = std::min(all.size() - 1, static_cast<size_t>(q * static_cast<double>(all.size())));
  std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(at), all.end());
  return static_cast<double>(all[at]);
}

Outcome produce_closed(const Leaders& leaders, const Requests& requests, int connections, int depth, uint64_t bytes,
                       const std::function<void(uint32_t)>& on_sent) {
  Lines lines(leaders, connections);
  Outcome out;
  const uint64_t wanted = (bytes + requests.batch_bytes - 1) / requests.batch_bytes;
  out.latency.all.reserve(wanted);
  uint64_t begun = 0;
  const auto send_next = [&](Line& line) {
    if (begun == wanted) return;
    ++begun;
    const size_t partition = line.next;
    // Only partitions of the same leader come along one connection.
    do line.next = (line.next + static_cast<size_t>(connections)) % leaders.port.size();
    while (leaders.port[line.next] != leaders.port[partition]);
    on_sent(requests.batch_bytes);
    lines.queue(line, requests.frames[partition], now());
  };
  lines.on_answer = [&](Line& line, ByteView answer) {
    check_produced(answer);
    out.latency.all.push_back(static_cast<float>(now() - line.waiting.front()));
    ++out.requests;
    send_next(line);
  };
  const double start = now();
  for (int d = 0; d < depth; ++d)
    for (size_t i = 0; i < lines.count(); ++i) send_next(lines.at(i));
  while (out.requests < wanted) {
    lines.turn(now() + 1);
    if (now() > start + kPatience) die("a broker does not answer");
  }
  out.seconds = now() - start;
  out.bytes = out.requests * requests.batch_bytes;
  return out;
}

Outcome produce_open(const Leaders& leaders, const Requests& requests, int connections, double rate, double seconds) {
  Lines lines(leaders, connections);
  Outcome out;
  const auto wanted = static_cast<uint64_t>(rate * seconds);
  out.latency.all.reserve(wanted);
  // To each partition by a line to its leader, in turn.
  std::vector<std::vector<size_t>> to(leaders.port.size());
  for (size_t p = 0; p < to.size(); ++p)
    for (size_t i = 0; i < lines.count(); ++i)
      if (leaders.port[lines.at(i).next] == leaders.port[p]) to[p].push_back(i);
  lines.on_answer = [&](Line& line, ByteView answer) {
    check_produced(answer);
    out.latency.all.push_back(static_cast<float>(now() - line.waiting.front()));
    ++out.requests;
  };
  const double start = now();
  uint64_t begun = 0;
  while (out.requests < wanted) {
    while (begun < wanted && start + static_cast<double>(begun) / rate <= now()) {
      const size_t p = begun % to.size();
      if (to[p].empty()) die("more connections are needed: a leader has none");
      lines.queue(lines.at(to[p][begun / to.size() % to[p].size()]), requests.frames[p],
                  start + static_cast<double>(begun) / rate);
      ++begun;
    }
    lines.turn(begun < wanted ? start + static_cast<double>(begun) / rate : now() + 1);
    if (now() > start + seconds + kPatience) die("a broker does not answer");
  }
  out.seconds = now() - start;
  out.bytes = out.requests * requests.batch_bytes;
  return out;
}

Outcome fetch_closed(const Leaders& leaders, const std::string& topic, int connections, uint32_t max_bytes,
                     uint64_t bytes) {
  Lines lines(leaders, connections);
  Outcome out;
  std::vector<int64_t> offsets(static_cast<size_t>(connections));
  std::vector<std::string> frames(static_cast<size_t>(connections));
  uint64_t asked = 0;
  const auto ask = [&](size_t i) {
    protocol::FetchRequest request;
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = static_cast<int32_t>(max_bytes);
    request.topics.push_back({.topic = topic});
    request.topics[0].partitions.push_back({.partition = static_cast<int32_t>(lines.at(i).next),
                                            .fetch_offset = Offset(offsets[i]),
                                            .partition_max_bytes = static_cast<int32_t>(max_bytes)});
    const auto frame = protocol::encode_request(static_cast<int32_t>(i), "bench", request, 4);
    if (!frame) die("encode: " + frame.error().text());
    frames[i] = as_text(frame->flat());
    ++asked;
    lines.queue(lines.at(i), frames[i], now());
  };
  lines.on_answer = [&](Line& line, ByteView answer) {
    ByteReader in(answer);
    const auto i = static_cast<size_t>(in.i32());
    in.bytes(4 + 4);
    in.bytes(static_cast<size_t>(in.i16()));
    in.bytes(4 + 4);
    if (const int16_t error = in.i16(); error != 0) die(fmt::format("a fetch was refused with error {}", error));
    const int64_t high_watermark = in.i64();
    in.bytes(8);
    if (const int32_t aborted = in.i32(); aborted > 0) die("aborted transactions where there were none");
    ByteView records = in.sized();
    out.bytes += records.size();
    // Only the batches' heads: a client would look at every record.
    while (records.size() > BatchLayout::kHeaderSize) {
      const size_t size = BatchLayout::kLogOverhead + ByteReader(records.subspan(BatchLayout::kLength, 4)).u32();
      if (size > records.size()) break;
      offsets[i] = ByteReader(records.subspan(BatchLayout::kBaseOffset, 8)).i64() +
                   ByteReader(records.subspan(BatchLayout::kLastOffsetDelta, 4)).i32() + 1;
      records = records.subspan(size);
    }
    if (offsets[i] >= high_watermark) offsets[i] = 0;
    out.latency.all.push_back(static_cast<float>(now() - line.waiting.front()));
    ++out.requests;
    if (out.bytes < bytes) ask(i);
  };
  const double start = now();
  for (size_t i = 0; i < lines.count(); ++i) ask(i);
  while (out.requests < asked) {
    lines.turn(now() + 1);
    if (now() > start + kPatience) die("a broker does not answer");
  }
  out.seconds = now() - start;
  return out;
}

}  // namespace taffrail::bench
