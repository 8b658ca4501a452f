// Goal: what no client should ask is refused with the code that Kafka has for it, and changes nothing. Method: one broker,
// asked over the wire; tests/conformance/differential asks Kafka itself the same.
#include "broker/support/broker_world.h"

namespace taffrail::test {
namespace {

using protocol::ErrorCode;

TEST(Refusals, ATypeOfCoordinatorThatIsNone) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    protocol::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    find.key_type = static_cast<protocol::CoordinatorType>(7);
    EXPECT_EQ(wire.ask(find, 6).coordinators.at(0).error_code, ErrorCode::kInvalidRequest);
  });
}

TEST(Refusals, ATypeOfElectionThatIsNone) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    protocol::ElectLeadersRequest elect;
    elect.election_type = 7;
    elect.topic_partitions.emplace().push_back({"t", {0}, {}});
    const auto answer = wire.ask(elect, 2);
    EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(answer.replica_election_results.at(0).partition_result.at(0).error_code, ErrorCode::kInvalidRequest);
    elect.topic_partitions.reset();
    EXPECT_EQ(wire.ask(elect, 2).error_code, ErrorCode::kInvalidRequest);
  });
}

TEST(Refusals, PlacesWhereNoPageOfTopicsCanHaveEnded) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    const auto refused = [&](const std::string& topic, int32_t partition) {
      protocol::DescribeTopicPartitionsRequest describe;
      describe.topics.push_back({"t", {}});
      describe.cursor = protocol::TopicPartitionsCursor{topic, partition, {}};
      const auto answer = wire.ask(describe, 0);
      return answer.topics.size() == 1 && answer.topics[0].error_code == ErrorCode::kInvalidRequest;
    };
    EXPECT_TRUE(refused("a", 0)) << "before all that was asked for";
    EXPECT_TRUE(refused("z", 0));
    EXPECT_TRUE(refused("t", -1));
    EXPECT_FALSE(refused("t", 9)) << "beyond the last may be a topic that was made anew";
  });
}

TEST(Refusals, NamesThatNoTopicGroupOrTransactionHas) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    protocol::DescribeProducersRequest producers;
    producers.topics.push_back({"", {0}, {}});
    EXPECT_EQ(wire.ask(producers, 0).topics.at(0).partitions.at(0).error_code, ErrorCode::kInvalidTopicException);
    protocol::OffsetDeleteRequest offsets;
    offsets.topics.push_back({"t", {{0, {}}}, {}});
    EXPECT_EQ(wire.ask(offsets, 0).error_code, ErrorCode::kInvalidGroupId);
    protocol::InitProducerIdRequest init;
    init.transactional_id = "";
    EXPECT_EQ(wire.ask(init, 5).error_code, ErrorCode::kInvalidRequest);
    init.transactional_id.reset();
    init.producer_epoch = ProducerEpoch(3);
    EXPECT_EQ(wire.ask(init, 5).error_code, ErrorCode::kInvalidRequest) << "an epoch of nobody";
    protocol::AddRaftVoterRequest voter;
    voter.voter_id = BrokerId(1);
    EXPECT_EQ(wire.ask(voter, 1).error_code, ErrorCode::kInvalidRequest) << "no directory";
    protocol::RemoveRaftVoterRequest gone;
    gone.voter_id = BrokerId(-1);
    EXPECT_EQ(wire.ask(gone, 0).error_code, ErrorCode::kInvalidRequest);
  });
}

TEST(Refusals, ATimeThatMeansNothing) {
  BrokerWorld w(1, 1);
  w.create_topic("t");
  w.run([&](Wire& wire) {
    EXPECT_EQ(wire.offset_at("t", -9).error_code, ErrorCode::kUnsupportedVersion);
    EXPECT_EQ(wire.offset_at("t", -2).error_code, ErrorCode::kNone);
  });
}

TEST(Refusals, WhoAsksForRulesHearsThatNoneAreKept) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    for (int16_t version = 1; version <= 3; ++version)
      EXPECT_EQ(wire.ask(protocol::DescribeAclsRequest{}, version).error_code, ErrorCode::kSecurityDisabled);
  });
}

TEST(Refusals, WhoAsksForPasswordsOfAUserHearsThatThereAreNone) {
  BrokerWorld w(1, 1);
  w.run([&](Wire& wire) {
    protocol::DescribeUserScramCredentialsRequest describe;
    EXPECT_TRUE(wire.ask(describe, 0).results.empty());
    *describe.users = {{"u", {}}, {"twice", {}}, {"twice", {}}};
    const auto answer = wire.ask(describe, 0);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    ASSERT_EQ(answer.results.size(), 2u);
    EXPECT_EQ(answer.results[0].error_code, ErrorCode::kDuplicateResource);
    EXPECT_EQ(answer.results[1].error_code, ErrorCode::kResourceNotFound);
    describe.users.reset();
    EXPECT_EQ(wire.ask(describe, 0).error_code, ErrorCode::kNone);
  });
}

}  // namespace
}  // namespace taffrail::test
