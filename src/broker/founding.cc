#include "broker/founding.h"

#include <fmt/core.h>

#include <algorithm>

namespace taffrail {
namespace {

constexpr uint16_t kFormat = 1;

void write_endpoint(ByteWriter& out, const Endpoint& e) {
  out.sized(std::string_view(e.host));
  out.u16(e.port);
}
Endpoint read_endpoint(ByteReader& in) {
  Endpoint e;
  e.host = in.sized_text();
  e.port = in.u16();
  return e;
}

}  // namespace

Slice encode_discover(const DiscoverAnswer& answer) {
  ByteWriter out;
  out.u16(kFormat);
  out.sized(std::string_view(answer.identity.encode()));
  write_endpoint(out, answer.internal);
  out.u16(static_cast<uint16_t>(answer.seeds.size()));
  for (const Endpoint& seed : answer.seeds) write_endpoint(out, seed);
  return Slice(out.view());
}

Result<DiscoverAnswer> decode_discover(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); format != kFormat)
    return fail(Errc::kUnsupported, fmt::format("an answer in format {}", format));
  DiscoverAnswer answer;
  const std::string identity = in.sized_text();
  answer.internal = read_endpoint(in);
  for (uint16_t left = in.u16(); left > 0 && in.ok(); --left) answer.seeds.push_back(read_endpoint(in));
  if (!in.done()) return fail(Errc::kCorrupt, "an answer cut short or too long");
  answer.identity = TRY(NodeIdentity::decode(identity));
  return answer;
}

Slice encode_addresses(const std::map<BrokerId, Endpoint>& addresses) {
  ByteWriter out;
  out.u16(kFormat);
  out.u16(static_cast<uint16_t>(addresses.size()));
  for (const auto& [id, at] : addresses) {
    out.i32(id.value);
    write_endpoint(out, at);
  }
  return Slice(out.view());
}

Result<std::map<BrokerId, Endpoint>> decode_addresses(ByteView bytes) {
  ByteReader in(bytes);
  if (const uint16_t format = in.u16(); format != kFormat)
    return fail(Errc::kUnsupported, fmt::format("addresses in format {}", format));
  std::map<BrokerId, Endpoint> addresses;
  for (uint16_t left = in.u16(); left > 0 && in.ok(); --left) {
    const BrokerId id(in.i32());
    addresses[id] = read_endpoint(in);
  }
  if (!in.done()) return fail(Errc::kCorrupt, "addresses cut short or too long");
  return addresses;
}

FoundingDecision decide_founding(const NodeIdentity& self, const Endpoint& internal,
                                 const std::vector<Endpoint>& seeds, const std::vector<SeedAnswer>& answers) {
  FoundingDecision decision;
  for (const SeedAnswer& seed : answers) {
    if (!seed.answer || seed.answer->identity.cluster.is_zero()) continue;
    const NodeIdentity& found = seed.answer->identity;
    decision.identity = self;
    decision.identity.cluster = found.cluster;
    decision.identity.voters = found.voters;
    const bool counted = std::any_of(found.voters.begin(), found.voters.end(),
                                     [&](const FoundingVoter& v) { return v.replica == self.replica; });
    decision.kind = counted ? FoundingDecision::Kind::kFollow : FoundingDecision::Kind::kJoin;
    return decision;
  }

  std::vector<FoundingVoter> voters;
  std::string waiting;
  for (const SeedAnswer& seed : answers) {
    if (!seed.answer) {
      waiting += fmt::format("{}{} ({})", waiting.empty() ? "" : ", ", seed.seed.text(), seed.answer.error().text());
    } else if (seed.answer->seeds != seeds) {
      waiting += fmt::format("{}{} (it was given another list of seeds: make the lists equal)",
                             waiting.empty() ? "" : ", ", seed.seed.text());
    } else {
      voters.push_back({seed.answer->identity.replica, seed.answer->internal});
    }
  }
  std::sort(voters.begin(), voters.end(),
            [](const FoundingVoter& a, const FoundingVoter& b) { return a.replica < b.replica; });
  for (size_t i = 1; i < voters.size(); ++i)
    if (voters[i].replica.node == voters[i - 1].replica.node)
      waiting = fmt::format("two seeds say that they are node {}: give each its own id", voters[i].replica.node.value);
  if (seeds.empty()) voters.push_back({self.replica, internal});
  const bool listed = std::any_of(voters.begin(), voters.end(),
                                  [&](const FoundingVoter& v) { return v.replica == self.replica; });
  if (!waiting.empty() || !listed) {
    decision.waiting_for = waiting.empty() ? "the seeds to found a cluster; this node is not one of them" : waiting;
    return decision;
  }
  if (voters.front().replica != self.replica) {
    decision.waiting_for = fmt::format("node {} to found the cluster", voters.front().replica.node.value);
    return decision;
  }
  decision.kind = FoundingDecision::Kind::kFound;
  decision.identity = self;
  decision.identity.voters = std::move(voters);
  return decision;
}

Result<NodeIdentity> join_or_found(Task& task, Runtime& runtime, Peers& peers, NodeIdentity self,
                                   const Endpoint& internal, std::vector<Endpoint> seeds) {
  std::sort(seeds.begin(), seeds.end());
  // By value: a question may still be under way when this function has returned.
  const auto serve_discover = [&] {
    peers.serve("discover", [answer = encode_discover({self, internal, seeds})](Task&, const PeerIdentity&, Slice) {
      return Result<Chain>(Chain{answer});
    });
  };
  serve_discover();
  std::string said;
  for (;;) {
    std::vector<SeedAnswer> answers;
    for (const Endpoint& seed : seeds) {
      if (seed == internal) {
        answers.push_back({seed, DiscoverAnswer{self, internal, seeds}});
        continue;
      }
      Result<Slice> body = peers.call_address(task, seed, "discover", {}, runtime.now() + 2_s);
      if (task.cancelled()) return fail(Errc::kCancelled);
      if (!body) {
        answers.push_back({seed, std::unexpected(body.error())});
      } else {
        answers.push_back({seed, decode_discover(*body)});
      }
    }
    FoundingDecision decision = decide_founding(self, internal, seeds, answers);
    if (decision.kind == FoundingDecision::Kind::kWait) {
      if (decision.waiting_for != said) runtime.log().info("node", "waiting for {}", decision.waiting_for);
      said = decision.waiting_for;
      TRY(runtime.sleep_for(task, 200_ms));
      continue;
    }
    if (decision.kind == FoundingDecision::Kind::kFound) {
      decision.identity.cluster.high = runtime.random().next();
      decision.identity.cluster.low = runtime.random().next();
    }
    // Durable before anybody is told: the others follow what they are answered.
    TRY(save_identity(task, runtime, decision.identity));
    self = decision.identity;
    const char* how = decision.kind == FoundingDecision::Kind::kFound ? "founded" : decision.kind == FoundingDecision::Kind::kFollow ? "founded with others" : "joined";
    runtime.log().info("node", "cluster {}: {}", self.cluster.text(), how);
    serve_discover();
    return self;
  }
}

}  // namespace taffrail
