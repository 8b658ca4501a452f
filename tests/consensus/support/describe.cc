#include "consensus/support/describe.h"

#include <fmt/core.h>

namespace taffrail::testing {

namespace {

std::string text(EntryId id) { return fmt::format("{}@{}", id.index.value, id.term.value); }
std::string text(const ReplicaId& replica) { return std::to_string(replica.node.value); }

std::string line(const VoteRequest& m) {
  return fmt::format("{} term {} last {}{}", m.pre ? "pre-vote?" : "vote?", m.term.value,
                     text(m.last), m.transfer ? " transfer" : "");
}
std::string line(const VoteReply& m) {
  return fmt::format("{} {} term {}", m.pre ? "pre-vote" : "vote", m.granted ? "yes" : "no",
                     m.term.value);
}
std::string line(const AppendRequest& m) {
  std::string entries;
  for (const EntryMeta& entry : m.entries) entries += " " + text(entry.id());
  return fmt::format("append term {} after {}:{} commit {}", m.term.value, text(m.prev),
                     entries.empty() ? " nothing" : entries, m.commit.value);
}
std::string line(const AppendReply& m) {
  return m.ok ? fmt::format("appended to {} term {}", m.match.value, m.term.value)
              : fmt::format("refused term {} hint {}", m.term.value, text(m.hint));
}
std::string line(const CommitNotice& m) {
  return fmt::format("committed {} term {}", text(m.commit), m.term.value);
}
std::string line(const TimeoutNow& m) { return fmt::format("timeout-now term {}", m.term.value); }
std::string line(const SnapshotOffer& m) {
  return fmt::format("snapshot term {} last {}", m.term.value, text(m.last));
}
std::string line(const SnapshotReply& m) {
  return fmt::format("snapshot to {} term {}", m.match.value, m.term.value);
}
std::string line(const TailQuery& m) { return fmt::format("tail? beyond {}", text(m.last)); }
std::string line(const TailAnswer& m) {
  return fmt::format("tail ends at {}{}", text(m.last), m.doubtful ? " perhaps" : "");
}

std::string line(const effect::Send& e) {
  return fmt::format("send {}: {}", text(e.to), describe(e.message));
}
std::string line(const effect::SendOnceDurable& e) {
  return fmt::format("once durable {}: {}", text(e.to), describe(e.message));
}
std::string line(const effect::PersistHardState& e) {
  return fmt::format("persist term {}{}", e.state.term.value,
                     e.state.vote ? " vote " + text(*e.state.vote) : "");
}
std::string line(const effect::TruncateFrom& e) { return fmt::format("cut from {}", e.from.value); }
std::string line(const effect::Accept& e) {
  return fmt::format("accept {} to {}", e.first.value, e.last.value);
}
std::string line(const effect::AppendOwn& e) {
  return e.kind == EntryKind::kNoop ? "append no-op"
                                    : fmt::format("append members {}", e.configuration.text());
}
std::string line(const effect::CommitAdvanced& e) {
  return fmt::format("commit {}", e.commit.value);
}
std::string line(const effect::RoleChanged& e) {
  return fmt::format("{} of term {}{}", role_name(e.role), e.term.value,
                     e.leader ? ", leader " + text(*e.leader) : "");
}
std::string line(const effect::Quarantine& e) {
  return fmt::format("quarantine {}, because of {}: {}", e.invariant, text(e.from), e.detail);
}
std::string line(const effect::WantAppend& e) { return fmt::format("want append {}", text(e.to)); }
std::string line(const effect::WantSnapshot& e) {
  return fmt::format("want snapshot {}", text(e.to));
}
std::string line(const effect::FetchSnapshot& e) {
  return fmt::format("fetch snapshot {} from {}", text(e.offer.last), text(e.from));
}
std::string line(const effect::TailSettled&) { return "tail settled"; }

}  // namespace

std::string describe(const Message& message) {
  return std::visit([](const auto& m) { return line(m); }, message);
}

std::string describe(const Effect& effect) {
  return std::visit([](const auto& e) { return line(e); }, effect);
}

}  // namespace taffrail::testing
