// taffrail consume TOPIC...: prints records as they come, values only or key and value; with -o json one
// object per line, with all there is to know.
#include <fmt/core.h>

#include <charconv>
#include <map>

#include "cli/commands.h"
#include "client/admin.h"
#include "client/consumer.h"
#include "client/group_member.h"

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

/// What all partitions hold now, under --until-end.
Result<Ends> ends_of(Task& task, client::Cluster& cluster, const Consume& options, Instant deadline) {
  client::Admin admin(cluster);
  Ends ends;
  for (const std::string& name : options.topics) {
    const client::TopicView topic = TRY(cluster.topic(task, name, deadline));
    if (!options.until_end) continue;
    for (const auto& p : topic.partitions) ends[{name, p.index}] = TRY(admin.offsets(task, {name, p.index}, deadline)).end;
  }
  return ends;
}

// What was printed is committed: after each answer's worth, and before partitions go to somebody else.
Result<> read_as_member(Task& task, Session& session, const Consume& options, client::GroupMember& member, const Ends& ends) {
  uint64_t left = options.count == 0 ? UINT64_MAX : options.count;
  std::map<client::TopicPartition, Offset> printed;
  member.before_giving_back = [&](Task& t) {
    if (!printed.empty()) (void)member.commit(t, printed, session.runtime.now() + 5_s);
    printed.clear();
  };
  const auto is_over = [&] {
    if (left == 0 || session.stop.is_set()) return true;
    if (!options.until_end || member.place().generation < 0) return false;
    for (const auto& at : member.owned())
      if (const auto end = ends.find(at); end != ends.end() && member.position(at) < end->second) return false;
    return true;
  };
  Result<> done;
  while (done && !is_over()) {
    const auto polled = TRY(member.poll(task, session.runtime.now() + 300_ms));
    std::string text;
    for (const client::Polled& part : polled)
      for (const auto& record : part.records) {
        if (left == 0) break;
        text += text_of(part.from, record, options, session.out.format());
        printed[part.from] = record.offset + 1;
        --left;
      }
    if (text.empty()) continue;
    done = session.out.raw(task, text);
    // Nobody took it: it is not read.
    if (!done) printed.clear();
    if (done && member.commit(task, printed, session.runtime.now() + 5_s)) printed.clear();
  }
  (void)member.leave(task, session.runtime.now() + 5_s);
  return done;
}

Result<ExitCode> consume_in_group(Task& task, Session& session, const Consume& options) {
  if (options.from != "start" && options.from != "end")
    return fail(Errc::kInvalid, "a group reads on from what it has committed; --from start or end says where it begins without, and "
                                "`taffrail group seek` moves it");
  return with_cluster(task, session, [&](client::Cluster& cluster, Instant deadline) -> Result<ExitCode> {
    const Ends ends = TRY(ends_of(task, cluster, options, deadline));
    client::GroupMemberOptions member_options;
    member_options.group = options.group;
    member_options.topics = options.topics;
    if (options.from == "end") member_options.consumer.reset = client::ResetTo::kEnd;
    if (options.committed_only) member_options.consumer.isolation = protocol::IsolationLevel::kReadCommitted;
    client::GroupMember member(cluster, member_options);
    const Result<> read = read_as_member(task, session, options, member, ends);
    member.close(task);
    if (!read && read.error().code != Errc::kClosed) return std::unexpected(read.error());  // kClosed: "| head".
    return ExitCode::kOk;
  });
}

}  // namespace

Result<ExitCode> consume(Task& task, Session& session, const Consume& options) {
  if (!options.group.empty()) return consume_in_group(task, session, options);
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
