#include "sim/checkers/history.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace taffrail {
namespace {

std::string name(const HistoryKey& key) { return fmt::format("{}-{}", key.first, key.second); }

}  // namespace

void History::sent(uint64_t id, uint32_t writer, const HistoryKey& to) {
  const auto [it, fresh] = sends_.emplace(id, Send{writer, to, next_order_[{writer, to}]++});
  CHECK(fresh, "ids are unique over a history");
}

void History::settled(uint64_t id, Outcome outcome, Offset offset, Instant at) {
  Send& send = sends_.at(id);
  send.outcome = outcome;
  send.offset = offset;
  send.acked_at = at;
}

void History::final_read(const HistoryKey& at, std::vector<Seen> records, Offset log_start, Offset end) {
  finals_[at] = {std::move(records), log_start, end};
}

size_t History::count(Outcome outcome) const {
  return static_cast<size_t>(std::count_if(sends_.begin(), sends_.end(),
                                           [&](const auto& s) { return s.second.outcome == outcome; }));
}

WriterPromise History::promise_of(uint64_t id) const {
  const auto send = sends_.find(id);
  if (send == sends_.end()) return {};
  const auto promise = promises_.find(send->second.writer);
  return promise == promises_.end() ? WriterPromise{} : promise->second;
}

std::map<HistoryKey, std::map<Offset, std::set<uint64_t>>> History::all_claims() const {
  std::map<HistoryKey, std::map<Offset, std::set<uint64_t>>> claims;
  for (const auto& [id, send] : sends_)
    // What acks=1 acknowledged may be lost with its leader, and its offset be used again.
    if (send.outcome == Outcome::kAcked && send.offset >= Offset(0) && promise_of(id).acks_all)
      claims[send.to][send.offset].insert(id);
  for (const Poll& poll : polls_)
    for (const Seen& seen : poll.records) claims[poll.at][seen.offset].insert(seen.id);
  for (const auto& [key, final] : finals_)
    for (const Seen& seen : final.records) claims[key][seen.offset].insert(seen.id);
  return claims;
}

// inconsistent-offsets (I-D2): one offset, two values. duplicate (I-T5): one value, two offsets.
void History::check_offsets(std::vector<std::string>& out) const {
  for (const auto& [key, offsets] : all_claims()) {
    std::map<uint64_t, Offset> first_at;
    for (const auto& [offset, ids] : offsets) {
      if (ids.size() > 1)
        out.push_back(fmt::format("inconsistent-offsets: {} offset {} holds record {} and record {}", name(key),
                                  offset.value, *ids.begin(), *ids.rbegin()));
      for (const uint64_t id : ids) {
        const auto [it, fresh] = first_at.emplace(id, offset);
        if (!fresh && promise_of(id).idempotent)
          out.push_back(fmt::format("duplicate: record {} is in {} at offset {} and at {}", id, name(key),
                                    it->second.value, offset.value));
      }
    }
  }
}

// G1a: a read of what was said to have failed. phantom: a read of what nobody sent, or sent elsewhere (I-N2).
// poll-skip, nonmonotonic-poll (I-D9): one reader, one position to the next.
void History::check_reads(std::vector<std::string>& out) const {
  const auto look = [&](const HistoryKey& at, const Seen& seen) {
    const auto send = sends_.find(seen.id);
    if (send == sends_.end()) {
      out.push_back(fmt::format("phantom: {} offset {} holds record {}, which nobody sent", name(at), seen.offset.value, seen.id));
    } else if (send->second.to != at) {
      out.push_back(fmt::format("phantom: record {} was sent to {} and read from {} at {} (I-D7)", seen.id,
                                name(send->second.to), name(at), seen.offset.value));
    } else if (send->second.outcome == Outcome::kFailed) {
      out.push_back(fmt::format("G1a: {} offset {} holds record {}, whose writer was told that it failed", name(at),
                                seen.offset.value, seen.id));
    }
  };
  std::map<std::pair<uint32_t, HistoryKey>, Offset> position;
  for (const Poll& poll : polls_) {
    const auto place = std::pair(poll.reader, poll.at);
    if (poll.from == kNoOffset) {
      position.erase(place);
      continue;
    }
    if (const auto last = position.find(place); last != position.end() && last->second != poll.from)
      out.push_back(fmt::format("{}: reader {} of {} went on at {} after {}",
                                last->second < poll.from ? "poll-skip" : "nonmonotonic-poll", poll.reader,
                                name(poll.at), poll.from.value, last->second.value));
    position[place] = poll.next;
    Offset before = poll.from - 1;
    for (const Seen& seen : poll.records) {
      if (seen.offset <= before || seen.offset >= poll.next)
        out.push_back(fmt::format("int-nonmonotonic-poll: reader {} of {} was given {} after {} in [{}, {})", poll.reader,
                                  name(poll.at), seen.offset.value, before.value, poll.from.value, poll.next.value));
      before = seen.offset;
      look(poll.at, seen);
      if (seen.offset >= poll.high_watermark)
        out.push_back(fmt::format("early-read: reader {} of {} was given {}, above the watermark {} of the same answer (I-D3)",
                                  poll.reader, name(poll.at), seen.offset.value, poll.high_watermark.value));
    }
  }
  for (const auto& [key, final] : finals_)
    for (const Seen& seen : final.records) look(key, seen);
}

// lost-write (I-D1) and unseen: acknowledged, and not there at the end. regress (I-D4): seen, and not
// there at the end. out-of-range (I-D8): told to be out of a range that it was in. poll-skip against what is there (I-D9). wrong-ack (I-T9): acknowledged at an offset where it is not.
void History::check_final(std::vector<std::string>& out) const {
  for (const uint64_t id : out_of_order_)
    if (promise_of(id).idempotent)
      out.push_back(fmt::format("out-of-order: record {} was refused for its sequence by {}, and nothing before it is missing (I-T5)", id,
                                name(sends_.at(id).to)));
  for (const auto& [key, before] : deleted_)
    if (const auto final = finals_.find(key); final != finals_.end() && final->second.log_start < before)
      out.push_back(fmt::format("lost-delete: what {} held before {} was deleted, and it begins at {}", name(key), before.value,
                                final->second.log_start.value));
  for (const auto& [key, final] : finals_) {
    std::map<uint64_t, Offset> at;
    std::map<Offset, uint64_t> by_offset;
    for (const Seen& seen : final.records) {
      at.emplace(seen.id, seen.offset);
      by_offset[seen.offset] = seen.id;
    }
    for (const auto& [id, send] : sends_) {
      if (send.to != key || send.outcome != Outcome::kAcked || !promise_of(id).acks_all) continue;
      if (send.offset >= Offset(0) && send.offset < final.log_start) continue;  // Retention took it.
      const auto found = at.find(id);
      if (found == at.end()) {
        if (send.offset == kNoOffset && final.log_start > Offset(0)) continue;
        out.push_back(fmt::format("lost-write: record {} was acknowledged at {} of {} and is not there (log is [{}, {}))",
                                  id, send.offset.value, name(key), final.log_start.value, final.end.value));
      } else if (send.offset != kNoOffset && found->second != send.offset && promise_of(id).idempotent) {
        out.push_back(fmt::format("wrong-ack: record {} was acknowledged at {} of {} and stands at {} (I-T9)", id,
                                  send.offset.value, name(key), found->second.value));
      }
    }
    Offset told_to_be_there;  // The end of what some reader was told to be committed, so far.
    for (const Poll& poll : polls_) {
      if (poll.at != key) continue;
      told_to_be_there = std::max(told_to_be_there, poll.high_watermark);
      if (poll.from == kNoOffset) {
        if (poll.next != kNoOffset && poll.next >= final.log_start && poll.next <= told_to_be_there)
          out.push_back(fmt::format("out-of-range: reader {} of {} was told that {} is not there; the log begins at {}, and {} "
                                    "was committed (I-D8)", poll.reader, name(key), poll.next.value, final.log_start.value,
                                    told_to_be_there.value));
        continue;
      }
      if (poll.next > final.end)
        out.push_back(fmt::format("regress: reader {} of {} came to {}, and the log ends at {} (I-D4)", poll.reader,
                                  name(key), poll.next.value, final.end.value));
      // Every record that is there between two positions of a reader was given to it.
      auto expected = by_offset.lower_bound(std::max(poll.from, final.log_start));
      for (const Seen& seen : poll.records) {
        if (seen.offset < final.log_start) continue;
        if (expected != by_offset.end() && expected->first < seen.offset && expected->first < poll.next)
          out.push_back(fmt::format("poll-skip: reader {} of {} was not given record {} at {}", poll.reader, name(key),
                                    expected->second, expected->first.value));
        expected = by_offset.upper_bound(seen.offset);
        if (!by_offset.contains(seen.offset))
          out.push_back(fmt::format("regress: reader {} of {} was given record {} at {}, and it is not there any more (I-D4)",
                                    poll.reader, name(key), seen.id, seen.offset.value));
      }
      if (expected != by_offset.end() && expected->first < poll.next)
        out.push_back(fmt::format("poll-skip: reader {} of {} went past record {} at {}", poll.reader, name(key),
                                  expected->second, expected->first.value));
    }
  }
}

// nonmonotonic-send: an idempotent writer's acknowledged records stand in the order in which it sent them.
void History::check_order(std::vector<std::string>& out) const {
  std::map<std::pair<uint32_t, HistoryKey>, std::vector<std::pair<uint64_t, std::pair<Offset, uint64_t>>>> acked;
  for (const auto& [id, send] : sends_)
    if (send.outcome == Outcome::kAcked && send.offset >= Offset(0) && promise_of(id).idempotent)
      acked[{send.writer, send.to}].push_back({send.order, {send.offset, id}});
  for (auto& [writer, list] : acked) {
    std::sort(list.begin(), list.end());
    for (size_t i = 1; i < list.size(); ++i)
      if (list[i].second.first <= list[i - 1].second.first)
        out.push_back(fmt::format("nonmonotonic-send: writer {} sent record {} before record {} to {}, and they stand at {} and {}",
                                  writer.first, list[i - 1].second.second, list[i].second.second, name(writer.second),
                                  list[i - 1].second.first.value, list[i].second.first.value));
  }
}

std::vector<std::string> History::check(bool complete) const {
  std::vector<std::string> out;
  check_offsets(out);
  check_reads(out);
  check_order(out);
  if (complete) check_final(out);
  return out;
}

}  // namespace taffrail
