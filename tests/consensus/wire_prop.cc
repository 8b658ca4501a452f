// Goal: messages survive the wire, and nothing that comes over it can do harm.
// Method: every kind of message with random content is encoded and decoded; the same bytes cut
// short, lengthened or flipped give an Error or another well-formed message, never a crash (the
// sanitizers look on). Random bytes likewise.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "consensus/heartbeat.h"
#include "consensus/wire.h"

namespace taffrail {
namespace {

ReplicaId random_replica(Random& random) {
  ReplicaId replica;
  replica.node = BrokerId(static_cast<int32_t>(random.below(100)));
  replica.disk.high = random.next();
  replica.disk.low = random.next();
  return replica;
}

EntryId random_id(Random& random) {
  EntryId id;
  id.index = LogIndex(static_cast<int64_t>(random.below(1'000'000)));
  id.term = Term(static_cast<int64_t>(random.below(1000)));
  return id;
}

Configuration random_configuration(Random& random) {
  std::vector<ReplicaId> all;
  const uint64_t count = 1 + random.below(7);
  for (uint64_t i = 0; i < count; ++i) all.push_back(random_replica(random));
  all = sorted_replicas(std::move(all));
  Configuration configuration;
  for (const ReplicaId& replica : all) {
    const uint64_t part = random.below(3);
    if (part == 0 || configuration.voters.empty()) {
      configuration.voters.push_back(replica);
    } else {
      (part == 1 ? configuration.old_voters : configuration.learners).push_back(replica);
    }
  }
  configuration.revision = static_cast<int64_t>(random.below(1000));
  return configuration;
}

AppendRequest random_append(Random& random, std::vector<uint32_t>& sizes) {
  AppendRequest append;
  append.serial = random.next();
  append.prev = random_id(random);
  append.commit = random_id(random).index;
  EntryId before = append.prev;
  const uint64_t count = random.below(6);
  for (uint64_t i = 0; i < count; ++i) {
    EntryMeta entry;
    entry.index = before.index + 1;
    entry.term = before.term + static_cast<int64_t>(random.below(3));
    entry.kind = static_cast<EntryKind>(1 + random.below(4));
    entry.base_offset = Offset(static_cast<int64_t>(random.below(1u << 30)));
    entry.offset_count = static_cast<int32_t>(random.below(1000));
    entry.max_timestamp = static_cast<int64_t>(random.next());
    append.entries.push_back(entry);
    sizes.push_back(static_cast<uint32_t>(random.below(100)));
    before = entry.id();
  }
  append.term = before.term + static_cast<int64_t>(random.below(3));
  return append;
}

Message random_message(Random& random, std::vector<uint32_t>& sizes) {
  const EntryId id = random_id(random);
  const EntryId other = random_id(random);
  const Term term = random_id(random).term;
  const bool yes = random.chance(1, 2);
  const bool also = random.chance(1, 2);
  switch (random.below(std::variant_size_v<Message>)) {
    case 0:
      return VoteRequest{.term = term, .last = id, .pre = yes, .transfer = also};
    case 1:
      return VoteReply{.term = term, .pre = yes, .granted = also};
    case 2:
      return random_append(random, sizes);
    case 3: {
      const uint64_t serial = random.next();
      return AppendReply{
          .term = term, .serial = serial, .ok = yes, .match = other.index, .hint = id};
    }
    case 4:
      return CommitNotice{.term = term, .commit = id};
    case 5:
      return TimeoutNow{.term = term};
    case 6: {
      Configuration configuration = random_configuration(random);
      return SnapshotOffer{.term = term, .last = id, .configuration = std::move(configuration)};
    }
    case 7:
      return SnapshotReply{.term = term, .match = id.index};
    case 8:
      return TailQuery{.term = term, .last = id};
    default:
      return TailAnswer{.term = term, .asked = id, .last = other, .doubtful = yes};
  }
}

RaftEnvelope random_envelope(Random& random) {
  RaftEnvelope envelope;
  envelope.group.topic.high = random.next();
  envelope.group.topic.low = random.next();
  envelope.group.partition = static_cast<int32_t>(random.below(1000));
  envelope.from = random_replica(random);
  envelope.to = random_replica(random);
  envelope.message = random_message(random, envelope.payload_sizes);
  return envelope;
}

RC_GTEST_PROP(Wire, MessagesSurviveIt, (uint64_t key)) {
  CounterRandom random(key);
  const RaftEnvelope envelope = random_envelope(random);
  const std::string bytes = encode_envelope(envelope);
  const Result<RaftEnvelope> back = decode_envelope(as_bytes(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == envelope);
}

RC_GTEST_PROP(Wire, ACutOrLengthenedMessageIsAnError, (uint64_t key)) {
  CounterRandom random(key);
  const std::string bytes = encode_envelope(random_envelope(random));
  const std::string shorter = bytes.substr(0, random.below(bytes.size()));
  RC_ASSERT(!decode_envelope(as_bytes(shorter)).has_value());
  RC_ASSERT(!decode_envelope(as_bytes(bytes + "x")).has_value());
}

RC_GTEST_PROP(Wire, ADamagedMessageIsAnErrorOrAnotherMessage, (uint64_t key)) {
  CounterRandom random(key);
  std::string bytes = encode_envelope(random_envelope(random));
  const uint64_t flips = 1 + random.below(4);
  for (uint64_t i = 0; i < flips; ++i) {
    const uint64_t at = random.below(bytes.size());
    const auto bit = static_cast<char>(1u << random.below(8));
    bytes[at] = static_cast<char>(bytes[at] ^ bit);
  }
  const Result<RaftEnvelope> read = decode_envelope(as_bytes(bytes));
  // What is let in is well-formed: it is what its own encoding says.
  if (read) RC_ASSERT(encode_envelope(*read) == bytes);
}

RC_GTEST_PROP(Wire, RandomBytesDoNoHarm, (const std::string& bytes)) {
  (void)decode_envelope(as_bytes(bytes)).has_value();
  (void)decode_heartbeat(as_bytes(bytes)).has_value();
  (void)decode_heartbeat_answer(as_bytes(bytes)).has_value();
  (void)decode_configuration(as_bytes(bytes)).has_value();
}

TEST(Wire, TermsIndicesAndOrderAreChecked) {
  const auto refused = [](AppendRequest append) {
    RaftEnvelope envelope;
    envelope.payload_sizes.resize(append.entries.size());
    envelope.message = std::move(append);
    const Result<RaftEnvelope> read = decode_envelope(as_bytes(encode_envelope(envelope)));
    return !read && read.error().code == Errc::kCorrupt;
  };
  EntryMeta entry;
  entry.index = LogIndex(8);
  entry.term = Term(3);
  const AppendRequest good{.term = Term(4), .prev = {LogIndex(7), Term(2)}, .entries = {entry}};
  EXPECT_FALSE(refused(good));

  AppendRequest later = good;
  later.entries[0].term = Term(5);
  EXPECT_TRUE(refused(later)) << "an entry of a term above the sender's";
  AppendRequest earlier = good;
  earlier.entries[0].term = Term(1);
  EXPECT_TRUE(refused(earlier)) << "an entry of a term below the one before it";
  AppendRequest huge = good;
  huge.term = Term(int64_t{1} << 40);
  EXPECT_TRUE(refused(huge)) << "a term that is no leader epoch";
  AppendRequest negative = good;
  negative.commit = LogIndex(-1);
  EXPECT_TRUE(refused(negative)) << "a negative commit index";
}

TEST(Wire, AListThatLiesAboutItsLengthAsksForNoMemory) {
  RaftEnvelope envelope;
  envelope.message = AppendRequest{};
  std::string bytes = encode_envelope(envelope);
  bytes.replace(bytes.size() - 4, 4, "\x00\x00\xff\xff", 4);
  EXPECT_EQ(decode_envelope(as_bytes(bytes)).error().code, Errc::kCorrupt);
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff", 4);
  EXPECT_EQ(decode_envelope(as_bytes(bytes)).error().code, Errc::kTooLarge);
}

TEST(Wire, PayloadsMustFillTheBodyExactly) {
  RaftEnvelope envelope;
  envelope.payload_sizes = {3, 0, 2};
  const auto good = split_payloads(envelope, Slice("abcde"));
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(as_text((*good)[0]), "abc");
  EXPECT_TRUE((*good)[1].empty());
  EXPECT_EQ(as_text((*good)[2]), "de");
  EXPECT_FALSE(split_payloads(envelope, Slice("abcd")).has_value());
  EXPECT_FALSE(split_payloads(envelope, Slice("abcdef")).has_value());
}

TEST(Wire, MembershipsAreTakenFromTheirPayloads) {
  CounterRandom random(5);
  const Configuration members = random_configuration(random);
  EntryMeta batch;
  batch.kind = EntryKind::kBatch;
  EntryMeta config;
  config.kind = EntryKind::kConfig;
  AppendRequest request{.entries = {batch, config}};
  ASSERT_TRUE(fill_configurations(request, std::vector{Slice("x"), encode_configuration(members)}));
  EXPECT_EQ(request.configurations, std::vector{members});
  EXPECT_FALSE(fill_configurations(request, std::vector{Slice("x"), Slice("y")}).has_value());
  EXPECT_FALSE(fill_configurations(request, std::vector{Slice("x")}).has_value());
}

RC_GTEST_PROP(Wire, MembershipsSurviveIt, (uint64_t key)) {
  CounterRandom random(key);
  const Configuration members = random_configuration(random);
  const Result<Configuration> back = decode_configuration(encode_configuration(members));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == members);
}

TEST(Wire, AMembershipThatMakesNoSenseIsRefused) {
  CounterRandom random(1);
  const ReplicaId a = random_replica(random);
  const ReplicaId b = random_replica(random);
  EXPECT_FALSE(decode_configuration(encode_configuration({})).has_value()) << "no voters";
  EXPECT_FALSE(decode_configuration(encode_configuration({.voters = {a, a}})).has_value())
      << "twice";
  EXPECT_FALSE(decode_configuration(
                   encode_configuration({.voters = sorted_replicas({a, b}), .learners = {a}}))
                   .has_value())
      << "a learner that votes";
}

RC_GTEST_PROP(Wire, HeartbeatsSurviveIt, (uint64_t key)) {
  CounterRandom random(key);
  Heartbeat heartbeat;
  heartbeat.sequence = random.next();
  heartbeat.digest.count = random.next();
  heartbeat.digest.sum = random.next();
  HeartbeatAnswer answer;
  answer.sequence = random.next();
  answer.need_list = random.chance(1, 2);
  if (random.chance(1, 2)) {
    auto& list = heartbeat.list.emplace();
    const uint64_t count = random.below(5);
    for (uint64_t i = 0; i < count; ++i) {
      Listing listing;
      listing.group.topic.high = i;
      listing.group.partition = static_cast<int32_t>(random.below(100));
      listing.term = random_id(random).term;
      listing.leader = random_replica(random);
      list.push_back(listing);
      answer.refused.push_back(listing.group);
    }
  }
  const Result<Heartbeat> back = decode_heartbeat(as_bytes(encode_heartbeat(heartbeat)));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == heartbeat);
  const Result<HeartbeatAnswer> answered =
      decode_heartbeat_answer(as_bytes(encode_heartbeat_answer(answer)));
  RC_ASSERT(answered.has_value());
  RC_ASSERT(*answered == answer);
}

}  // namespace
}  // namespace taffrail
