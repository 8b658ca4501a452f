#include "sim/checkers/history_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace taffrail {
namespace {

constexpr std::string_view kFirstLine = "taffrail history, format 1";

/// The words of one line, taken one after the other. The first that is not as it should be is remembered.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view word() {
    const size_t from = std::min(rest_.find_first_not_of(' '), rest_.size());
    const size_t to = std::min(rest_.find(' ', from), rest_.size());
    const std::string_view found = rest_.substr(from, to - from);
    rest_.remove_prefix(to);
    if (found.empty()) wrong("something is missing at the end");
    return found;
  }
  bool at_end() const { return rest_.find_first_not_of(' ') == std::string_view::npos; }
  template <class T>
  T number() {
    return number_of<T>(word());
  }
  HistoryKey key() {
    std::string topic(word());
    const auto partition = number<int32_t>();
    return {std::move(topic), partition};
  }
  bool choice(std::string_view yes, std::string_view no) {
    const std::string_view found = word();
    if (found != yes && found != no) wrong(fmt::format("{} or {} is due", yes, no));
    return found == yes;
  }
  /// "OFFSET:ID" until the line ends.
  std::vector<History::Seen> records() {
    std::vector<History::Seen> out;
    while (!at_end() && wrong_.empty()) {
      const std::string_view pair = word();
      const size_t colon = pair.find(':');
      if (colon == std::string_view::npos) {
        wrong(fmt::format("\"{}\" is not OFFSET:ID", pair));
        break;
      }
      const Offset offset(number_of<int64_t>(pair.substr(0, colon)));
      out.push_back({offset, number_of<uint64_t>(pair.substr(colon + 1))});
    }
    return out;
  }
  void wrong(std::string why) {
    if (wrong_.empty()) wrong_ = std::move(why);
  }
  /// Empty if all was as it should be.
  const std::string& trouble() const { return wrong_; }

 private:
  template <class T>
  T number_of(std::string_view digits) {
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) wrong(fmt::format("\"{}\" is no such number", digits));
    return value;
  }

  std::string_view rest_;
  std::string wrong_;
};

struct Reading {
  History history;
  std::set<HistoryKey> written;
  std::set<HistoryKey> found;

  void settle(Words& line, History::Outcome outcome) {
    const auto id = line.number<uint64_t>();
    const Offset offset = outcome == History::Outcome::kAcked ? Offset(line.number<int64_t>()) : kNoOffset;
    if (!line.trouble().empty()) return;
    const auto sent = history.sends().find(id);
    if (sent == history.sends().end()) return line.wrong(fmt::format("record {} was never sent", id));
    if (sent->second.outcome != History::Outcome::kPending) return line.wrong(fmt::format("record {} was settled before", id));
    history.settled(id, outcome, offset, Instant{});
  }

  void take(Words& line) {
    const std::string_view event = line.word();
    if (event == "writer") {
      const auto writer = line.number<uint32_t>();
      WriterPromise promise;
      promise.acks_all = line.choice("acks=all", "acks=1");
      promise.idempotent = line.choice("idempotent", "plain");
      history.writer(writer, promise);
    } else if (event == "sent") {
      const auto id = line.number<uint64_t>();
      const auto writer = line.number<uint32_t>();
      const HistoryKey to = line.key();
      if (!line.trouble().empty()) return;
      if (history.sends().contains(id)) return line.wrong(fmt::format("record {} was sent before", id));
      history.sent(id, writer, to);
      written.insert(to);
    } else if (event == "acked") {
      settle(line, History::Outcome::kAcked);
    } else if (event == "failed") {
      settle(line, History::Outcome::kFailed);
    } else if (event == "unknown") {
      settle(line, History::Outcome::kUnknown);
    } else if (event == "poll") {
      History::Poll poll;
      poll.reader = line.number<uint32_t>();
      poll.at = line.key();
      poll.from = Offset(line.number<int64_t>());
      poll.next = Offset(line.number<int64_t>());
      poll.high_watermark = Offset(line.number<int64_t>());
      poll.log_start = Offset(line.number<int64_t>());
      poll.records = line.records();
      history.polled(std::move(poll));
    } else if (event == "reset") {
      const auto reader = line.number<uint32_t>();
      const HistoryKey at = line.key();
      history.reset(reader, at, line.at_end() ? kNoOffset : Offset(line.number<int64_t>()));
    } else if (event == "final") {
      const HistoryKey at = line.key();
      const Offset start(line.number<int64_t>());
      const Offset end(line.number<int64_t>());
      history.final_read(at, line.records(), start, end);
      if (!found.insert(at).second) line.wrong("there is a final read of this partition already");
    } else {
      line.wrong(fmt::format("\"{}\" is no event", event));
    }
    if (!line.at_end()) line.wrong("there is more than belongs there");
  }
};

}  // namespace

Result<ToldHistory> parse_history(std::string_view text) {
  Reading reading;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (number == 1) {
      if (line != kFirstLine) return fail(Errc::kInvalid, fmt::format("line 1: a history begins with \"{}\"", kFirstLine));
      continue;
    }
    if (line.empty() || line.front() == '#') continue;
    Words words(line);
    reading.take(words);
    if (!words.trouble().empty()) return fail(Errc::kInvalid, fmt::format("line {}: {}", number, words.trouble()));
  }
  if (number == 0) return fail(Errc::kInvalid, "an empty file is no history");
  const bool complete = std::includes(reading.found.begin(), reading.found.end(), reading.written.begin(), reading.written.end());
  if (!complete && !reading.found.empty())
    return fail(Errc::kInvalid, "some partitions that were written to have a final read, others have none");
  return ToldHistory{std::move(reading.history), complete};
}

}  // namespace taffrail
