// taffrail consume TOPIC...: prints records as they come, values only or key and value; with -o json one
// object per line, with all there is to know.
#include <fmt/core.h>

#include <charconv>
#include <map>

#include "cli/commands.h"
#include "client/admin.h"
#include "client/consumer.h"

namespace taffrail::cli {
namespace {

struct From {
  client::StartAt at;
  int64_t before_end = 0;  ///< Not 0: that many records before the end.
};

Result<int64_t> number(std::string_view text, std::string_view whole) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(Errc::kInvalid,
                fmt::format("--from is start, end, OFFSET, -COUNT or @MILLISECONDS, not \"{}\"", whole));
  return value;
}

Result<From> parse_from(const std::string& text) {
  if (text == "start") return From{client::StartAt::start()};
  if (text == "end") return From{client::StartAt::end()};
  if (text.starts_with('@'))
    return From{client::StartAt::time(WallTime{TRY(number(std::string_view(text).substr(1), text))})};
  const int64_t value = TRY(number(text, text));
  if (value >= 0) return From{client::StartAt::offset(Offset(value))};
  return From{client::StartAt::end(), -value};
}

std::string text_of(const client::TopicPartition& at, const client::ConsumedRecord& r,
                    const Consume& options, Format format) {
  if (format == Format::kTable) {
    std::string line;
    if (!options.key_separator.empty()) line = r.key.value_or("") + options.key_separator;
    return line + r.value.value_or("") + "\n";
  }
  Fields fields{{"topic", at.topic},
                {"partition", int64_t{at.partition}},
                {"offset", r.offset.value},
                {"timestamp", r.timestamp_ms},
                {"key", r.key ? Value(*r.key) : Value()},
                {"value", r.value ? Value(*r.value) : Value()}};
  for (const auto& h : r.headers)
    fields.emplace_back("header." + h.key, h.value ? Value(*h.value) : Value());
  return render(fields, Format::kJson);
}

/// Where each partition stops being of interest, under --until-end.
using Ends = std::map<client::TopicPartition, Offset>;

Result<Ends> assign_all(Task& task, client::Cluster& cluster, client::Consumer& consumer,
                        const Consume& options, Instant deadline) {
  const From from = TRY(parse_from(options.from));
  client::Admin admin(cluster);
  Ends ends;
  for (const std::string& name : options.topics) {
    const client::TopicView topic = TRY(cluster.topic(task, name, deadline));
    if (options.partition && topic.find(*options.partition) == nullptr)
      return fail(Errc::kNotFound, fmt::format("topic {} has {} partitions, there is no {}", name,
                                               topic.partitions.size(), *options.partition));
    for (const auto& p : topic.partitions) {
      if (options.partition && p.index != *options.partition) continue;
      const client::TopicPartition at{name, p.index};
      client::StartAt start = from.at;
      if (options.until_end || from.before_end > 0) {
        const client::OffsetRange range = TRY(admin.offsets(task, at, deadline));
        if (options.until_end && range.begin < range.end) ends[at] = range.end;
        if (from.before_end > 0)
          start = client::StartAt::offset(
              Offset(std::max(range.begin.value, range.end.value - from.before_end)));
      }
      consumer.assign(at, start);
    }
  }
  return ends;
}

Result<ExitCode> read_on(Task& task, Session& session, const Consume& options,
                         client::Consumer& consumer, Ends ends) {
  uint64_t left = options.count == 0 ? UINT64_MAX : options.count;
  const auto drop_finished = [&] {
    std::erase_if(ends, [&](const auto& end) { return consumer.position(end.first) >= end.second; });
  };
  drop_finished();
  while (left > 0 && (!options.until_end || !ends.empty())) {
    const auto polled = TRY(consumer.poll(task, session.runtime.now() + 1_s));
    std::string text;
    for (const client::Polled& part : polled) {
      for (const auto& record : part.records) {
        if (left == 0) break;
        // What came after --until-end was asked for is not part of it.
        const auto end = ends.find(part.from);
        if (options.until_end && (end == ends.end() || record.offset >= end->second)) continue;
        text += text_of(part.from, record, options, session.out.format());
        --left;
      }
    }
    drop_finished();
    if (text.empty()) continue;
    const Result<> written = session.out.raw(task, text);
    if (!written && written.error().code == Errc::kClosed) return ExitCode::kOk;  // "| head".
    TRY(written);
  }
  return ExitCode::kOk;
}

}  // namespace

Result<ExitCode> consume(Task& task, Session& session, const Consume& options) {
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    client::ConsumerOptions consumer_options;
    if (options.committed_only)
      consumer_options.isolation = protocol::IsolationLevel::kReadCommitted;
    client::Consumer consumer(cluster, consumer_options);
    auto ends = assign_all(task, cluster, consumer, options, deadline);
    Result<ExitCode> code = ExitCode::kOk;
    if (ends) code = read_on(task, session, options, consumer, *std::move(ends));
    else code = std::unexpected(ends.error());
    consumer.close(task);
    return code;
  });
}

}  // namespace taffrail::cli
