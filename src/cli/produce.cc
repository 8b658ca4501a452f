// taffrail produce TOPIC [-v VALUE]. Without a value: one record per line of standard input.
#include <fmt/core.h>

#include <deque>

#include "cli/commands.h"
#include "client/producer.h"

namespace taffrail::cli {
namespace {

/// Records sent and not yet known to be delivered; past it the oldest is waited for.
constexpr size_t kOutstandingMax = 10'000;

Result<client::ProducerOptions> producer_options(const Produce& options) {
  client::ProducerOptions out;
  if (options.acks == "all" || options.acks == "-1") out.acks = -1;
  else if (options.acks == "1") out.acks = 1;
  else if (options.acks == "0") out.acks = 0;
  else return fail(Errc::kInvalid, fmt::format("--acks is all, 1 or 0, not \"{}\"", options.acks));
  out.idempotent = out.acks == -1;
  const auto codec = codec_named(options.codec);
  if (!codec)
    return fail(Errc::kInvalid,
                fmt::format("--codec is none, gzip, snappy, lz4 or zstd, not \"{}\"", options.codec));
  out.codec = *codec;
  return out;
}

Result<> send_lines(Task& task, Session& session, const Produce& options, client::Producer& producer,
                    const client::Record& pattern, uint64_t& delivered) {
  if (session.host.is_terminal(Stream::kInput))
    TRY(session.out.note(task, "one record per line; Ctrl-D ends"));
  LineReader lines(session.host, 64_MiB);
  std::deque<client::Delivery> outstanding;
  while (auto line = TRY(lines.next(task))) {
    client::Record record = pattern;
    const size_t at = options.key_separator.empty() ? std::string::npos
                                                    : line->find(options.key_separator);
    if (at == std::string::npos) {
      record.value = *std::move(line);
    } else {
      record.key = line->substr(0, at);
      record.value = line->substr(at + options.key_separator.size());
    }
    outstanding.push_back(
        TRY(producer.send(task, options.topic, options.partition, std::move(record))));
    while (outstanding.size() > kOutstandingMax || (!outstanding.empty() && outstanding.front().settled())) {
      TRY(outstanding.front().wait(task));
      outstanding.pop_front();
      ++delivered;
    }
  }
  TRY(producer.flush(task));
  for (const auto& delivery : outstanding) {
    TRY(delivery.wait(task));
    ++delivered;
  }
  return {};
}

Result<ExitCode> produce_with(Task& task, Session& session, const Produce& options,
                              client::Producer& producer, Instant deadline) {
  client::Record record;
  record.key = options.key;
  for (const std::string& pair : options.headers) {
    auto [name, value] = TRY(split_pair(pair));
    record.headers.push_back({std::move(name), std::move(value)});
  }
  if (!options.value) {
    uint64_t delivered = 0;
    const Result<> sent = send_lines(task, session, options, producer, record, delivered);
    TRY(session.out.note(task, fmt::format("{} records delivered to {}", delivered, options.topic)));
    if (!sent) return std::unexpected(sent.error());
    return ExitCode::kOk;
  }
  record.value = options.value;
  const auto delivery =
      TRY(producer.send(task, options.topic, options.partition, std::move(record), 0, deadline));
  TRY(producer.flush(task, deadline));
  const Offset offset = TRY(delivery.wait(task, deadline));
  TRY(session.out.fields(task, {{"topic", options.topic},
                                {"partition", int64_t{delivery.to().partition}},
                                {"offset", offset == kNoOffset ? Value() : Value(offset.value)}}));
  return ExitCode::kOk;
}

}  // namespace

Result<ExitCode> produce(Task& task, Session& session, const Produce& options) {
  client::ProducerOptions producer_opts = TRY(producer_options(options));
  if (options.value) {
    producer_opts.linger = {};
    producer_opts.delivery_timeout = Duration::from_ms(session.global.timeout_s * 1000);
  }
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    // Said here at once, and not after the whole delivery timeout, that nobody is there.
    TRY(cluster.connect_any(task, deadline));
    client::Producer producer(cluster, producer_opts);
    const Result<ExitCode> code = produce_with(task, session, options, producer, deadline);
    producer.close(task);
    return code;
  });
}

}  // namespace taffrail::cli
