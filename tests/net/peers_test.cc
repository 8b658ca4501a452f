// Goal: what peers.h promises two nodes: who may talk to whom, order while a link lives, answers to calls,
// and news of what broke. Method: several nodes on one scheduler and a network in memory; strangers
// write bytes by hand.
#include <gtest/gtest.h>

#include <map>

#include "net/peer_wire.h"
#include "net/peers.h"
#include "net/support/loop_net.h"

namespace taffrail {
namespace {

using test::LoopRuntime;
using Texts = std::vector<std::string>;

constexpr ClusterId kOurs{1, 1};
constexpr ClusterId kTheirs{2, 2};

PeerIdentity identity_of(int32_t node, ClusterId cluster = kOurs) {
  return {cluster, {BrokerId(node), {7, static_cast<uint64_t>(node)}}, 100};
}

Chain chain(std::string_view text) { return {Slice(text)}; }

struct Node {
  Node(LoopRuntime& r, int32_t number, PeerIdentity self, PeerOptions options = {})
      : runtime(r), id(number), peers(r, options) {
    peers.on_message = [this](const PeerIdentity& from, PeerKind kind, Slice body) {
      got.push_back(std::to_string(from.replica.node.value) + "/" + std::to_string(static_cast<int>(kind)) +
                    "/" + std::string(as_text(body)));
    };
    peers.on_link = [this](BrokerId node, bool up) {
      links.push_back(std::to_string(node.value) + (up ? " up" : " down"));
    };
    peers.on_sender_gone = [this](BrokerId node) { gone.push_back(std::to_string(node.value)); };
    peers.serve("echo", [](Task&, const PeerIdentity& from, Slice body) -> Result<Chain> {
      return Chain{Slice(std::to_string(from.replica.node.value) + ":"), body};
    });
    peers.serve("fail", [](Task&, const PeerIdentity&, Slice) -> Result<Chain> {
      return fail(Errc::kNotLeader, "ask another");
    });
    peers.serve("hang", [this](Task& task, const PeerIdentity&, Slice) -> Result<Chain> {
      ++hanging;
      const Result<> opened = gate.wait(task);
      --hanging;
      if (!opened) return std::unexpected(opened.error());
      return chain("late");
    });
    runtime.run([&](Task& task) { ASSERT_TRUE(peers.start(task, {"localhost", 0}, self).has_value()); });
  }
  ~Node() {
    runtime.run([&](Task& task) { peers.stop(task); });
  }
  void knows(const Node& other) { peers.set_address(BrokerId(other.id), other.peers.local()); }

  LoopRuntime& runtime;
  int32_t id;
  Peers peers;
  Texts got;
  Texts links;
  Texts gone;
  Event gate;
  int hanging = 0;
};

struct PeersTest : testing::Test {
  std::unique_ptr<Node> node(int32_t number, ClusterId cluster = kOurs, PeerOptions options = {}) {
    return std::make_unique<Node>(runtime, number, identity_of(number, cluster), options);
  }
  Result<Slice> call(Node& from, int32_t to, std::string_view service, std::string_view body,
                     Duration limit = 10_s) {
    Result<Slice> answer = fail(Errc::kInvalid, "not asked");
    runtime.run([&](Task& task) {
      answer = from.peers.call(task, BrokerId(to), service, chain(body), runtime.now() + limit);
    });
    return answer;
  }
  void TearDown() override {
    runtime.settle();
    EXPECT_EQ(runtime.fiber_count(), 0u) << "stop() leaves no fiber";
    EXPECT_EQ(runtime.net().open_ends, 0);
  }
  bool logged(std::string_view text) const {
    for (const std::string& line : runtime_log().lines)
      if (line.find(text) != std::string::npos) return true;
    return false;
  }
  const test::LoopLog& runtime_log() const { return const_cast<LoopRuntime&>(runtime).log(); }

  LoopRuntime runtime;
};

TEST_F(PeersTest, MessagesArriveInOrderWithWhoSentThem) {
  const auto a = node(1);
  const auto b = node(2);
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("to nobody known"));
  a->knows(*b);
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("before the link is up"));
  runtime.settle();
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  EXPECT_FALSE(b->peers.connected(BrokerId{1})) << "the other direction is another link";
  a->peers.send(BrokerId{2}, PeerKind::kRaft, {Slice(std::string_view("x")), Slice(std::string_view("y"))});
  a->peers.send(BrokerId{2}, PeerKind::kHeartbeat, {});
  a->peers.send(BrokerId{2}, PeerKind::kLeaders, chain(std::string(5000, 'z')));
  runtime.settle();
  EXPECT_EQ(b->got, (Texts{"1/1/xy", "1/2/", "1/3/" + std::string(5000, 'z')}));
  EXPECT_EQ(a->links, Texts{"2 up"});
}

TEST_F(PeersTest, AThousandMessagesGoInFewWrites) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  const uint64_t before = runtime.net().writes;
  for (int i = 0; i < 1000; ++i)
    a->peers.send(BrokerId{2}, i % 2 == 0 ? PeerKind::kRaft : PeerKind::kHeartbeat,
                  chain(std::string(i % 10 == 0 ? 2000 : 20, 'm') + std::to_string(i)));
  EXPECT_GT(a->peers.queued(BrokerId{2}), 20'000u);
  runtime.settle();
  EXPECT_EQ(a->peers.queued(BrokerId{2}), 0u);
  EXPECT_LE(runtime.net().writes - before, 2u);
  ASSERT_EQ(b->got.size(), 1000u);
  for (size_t i = 0; i < 1000; ++i) EXPECT_TRUE(b->got[i].ends_with("m" + std::to_string(i))) << b->got[i];
}

TEST_F(PeersTest, CallsAreAnsweredByTheServiceOrByWhatWentWrong) {
  const auto a = node(1);
  const auto b = node(2);
  EXPECT_EQ(call(*a, 2, "echo", "x").error().code, Errc::kClosed);
  a->knows(*b);
  runtime.settle();
  EXPECT_EQ(as_text(*call(*a, 2, "echo", "hello")), "1:hello");
  EXPECT_EQ(as_text(*call(*a, 2, "echo", std::string(100'000, 'l'))), "1:" + std::string(100'000, 'l'));
  EXPECT_EQ(call(*a, 2, "fail", "").error(), (Error{Errc::kNotLeader, "ask another"}));
  EXPECT_EQ(call(*a, 2, "nonsense\n", "").error(), (Error{Errc::kNotFound, "no service \"nonsense\\x0a\" here"}));
}

TEST_F(PeersTest, AnswersFindTheirCallsInWhateverOrderTheyCome) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  Texts order;
  runtime.start([&](Task& task) {
    order.push_back(std::string(as_text(*a->peers.call(task, BrokerId{2}, "hang", {}, Instant::never()))));
  });
  runtime.settle();
  order.push_back(std::string(as_text(*call(*a, 2, "echo", "e"))));
  b->gate.set();
  runtime.settle();
  EXPECT_EQ(order, (Texts{"1:e", "late"}));
}

TEST_F(PeersTest, ACallThatTimesOutDoesNotDisturbTheNext) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  EXPECT_EQ(call(*a, 2, "hang", "", 1_s).error().code, Errc::kTimedOut);
  b->gate.set();
  runtime.settle();
  EXPECT_EQ(as_text(*call(*a, 2, "echo", "x")), "1:x");
}

TEST_F(PeersTest, CallsThatTimedOutDoNotCountAsUnderWay) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  int timed_out = 0;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 600; ++i) {
      runtime.start([&](Task& task) {
        const auto answer = a->peers.call(task, BrokerId{2}, "hang", {}, runtime.now() + 1_s);
        if (!answer && answer.error().code == Errc::kTimedOut) ++timed_out;
        else EXPECT_EQ(answer.error().message, "1024 calls are under way") << "there, and not here";
      });
    }
    runtime.run_for(2_s);
  }
  EXPECT_EQ(timed_out, 1024);
  b->gate.set();
  runtime.settle();
}

TEST_F(PeersTest, CallsUnderWayAreBounded) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  int busy = 0;
  for (int i = 0; i < 1030; ++i) {
    runtime.start([&](Task& task) {
      const auto answer = a->peers.call(task, BrokerId{2}, "hang", {}, Instant::never());
      if (!answer && answer.error().code == Errc::kBusy) ++busy;
    });
  }
  runtime.settle();
  EXPECT_EQ(busy, 6);
  EXPECT_EQ(b->hanging, 1024);
  b->gate.set();
  runtime.settle();
}

TEST_F(PeersTest, AnAddressCanBeAskedBeforeItsNodeIsKnown) {
  const auto a = node(1, {});
  const auto b = node(2);
  Result<Slice> answer;
  Result<Slice> nobody;
  Result<Slice> missing;
  runtime.run([&](Task& task) {
    const Instant limit = runtime.now() + 5_s;
    answer = a->peers.call_address(task, b->peers.local(), "echo", {Slice(std::string_view("h")), Slice(std::string_view("i"))}, limit);
    nobody = a->peers.call_address(task, {"localhost", 1}, "echo", {}, limit);
    missing = a->peers.call_address(task, b->peers.local(), "none", {}, limit);
  });
  EXPECT_EQ(as_text(*answer), "1:hi");
  EXPECT_EQ(nobody.error().code, Errc::kRefused);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
}

TEST_F(PeersTest, AnotherClusterIsRefusedAndTheReasonIsToldOnce) {
  const auto a = node(1, kOurs);
  const auto b = node(2, kTheirs);
  a->knows(*b);
  runtime.run_for(20_s);
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  EXPECT_TRUE(a->links.empty());
  EXPECT_GT(runtime.net().dials, 15u) << "and yet we go on asking";
  EXPECT_EQ(runtime.log().lines.size(), 2u) << "one line at each end";
  EXPECT_TRUE(logged("node 1 belongs to cluster " + kOurs.text()));
}

TEST_F(PeersTest, ANodeWithoutAClusterTalksToAll) {
  const auto a = node(1, {});
  const auto b = node(2, kTheirs);
  a->knows(*b);
  b->knows(*a);
  runtime.settle();
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  EXPECT_TRUE(b->peers.connected(BrokerId{1}));

  // It joins another cluster: both links go, and stay away.
  a->peers.set_identity(identity_of(1, kOurs));
  runtime.run_for(5_s);
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  EXPECT_FALSE(b->peers.connected(BrokerId{1}));
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down"}));

  // It joins theirs.
  a->peers.set_identity(identity_of(1, kTheirs));
  runtime.run_for(5_s);
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  EXPECT_TRUE(b->peers.connected(BrokerId{1}));
}

TEST_F(PeersTest, ANodeThatWasNotMeantRefuses) {
  const auto a = node(1);
  const auto b = node(2);
  a->peers.set_address(BrokerId{3}, b->peers.local());
  runtime.run_for(2_s);
  EXPECT_FALSE(a->peers.connected(BrokerId{3}));
  EXPECT_TRUE(logged("node 3 was meant, this is node 2"));
}

TEST_F(PeersTest, ABrokenLinkIsToldAndDialledAgain) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  Result<Slice> waiting;
  runtime.start([&](Task& task) {
    waiting = a->peers.call(task, BrokerId{2}, "hang", {}, Instant::never());
  });
  runtime.settle();
  EXPECT_EQ(b->hanging, 1);
  runtime.net().break_all();
  runtime.settle();
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  ASSERT_FALSE(waiting.has_value());
  EXPECT_EQ(waiting.error().code, Errc::kClosed);
  EXPECT_EQ(b->hanging, 0) << "a service ends with the connection that asked";
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down"}));
  EXPECT_EQ(a->gone, Texts{}) << "it never sent anything";
  EXPECT_EQ(b->gone, Texts{"1"});
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("lost"));
  runtime.run_for(1_s);
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("found"));
  runtime.settle();
  EXPECT_EQ(b->got, Texts{"1/1/found"});
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down", "2 up"}));
}

TEST_F(PeersTest, DialsWithPausesThatGrowAndVary) {
  const auto a = node(1);
  a->peers.set_address(BrokerId{2}, {"localhost", 1});
  runtime.run_for(10_s);
  const uint64_t early = runtime.net().dials;
  EXPECT_GE(early, 10u);
  EXPECT_LE(early, 30u);
  runtime.run_for(100_s);
  EXPECT_GE(runtime.net().dials - early, 100u);
  EXPECT_LE(runtime.net().dials - early, 200u);
  EXPECT_EQ(runtime.log().lines.size(), 1u) << "the same failure is told once";
}

TEST_F(PeersTest, WhoDialsIsDialledBackSoon) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  // Links that never last: the pauses grow to a second.
  for (int i = 0; i < 10; ++i) {
    runtime.run_for(1100_ms);
    if (i < 9) runtime.net().break_all();
  }
  runtime.net().break_all();
  runtime.settle();
  ASSERT_FALSE(a->peers.connected(BrokerId{2}));
  b->knows(*a);
  runtime.run_for(51_ms);
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
}

TEST_F(PeersTest, APeerThatVanishedWithoutAWordIsNoticed) {
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.run_for(60_s);
  EXPECT_EQ(a->links, Texts{"2 up"}) << "quiet is not dead";
  runtime.net().freeze();
  runtime.run_for(10_s);
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down"}));
  runtime.net().thaw();
  runtime.run_for(5_s);
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("x"));
  runtime.settle();
  EXPECT_EQ(b->got, Texts{"1/1/x"});
}

TEST_F(PeersTest, ALinkThatTakesNoBytesIsGivenUp) {
  runtime.net().pipe_capacity = 1000;
  const auto a = node(1);
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  runtime.net().freeze();
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain(std::string(5000, 'x')));
  runtime.run_for(4_s);
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  EXPECT_GT(a->peers.queued(BrokerId{2}), 0u);
  runtime.run_for(2_s);
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  EXPECT_TRUE(logged("took no bytes for 5000 ms"));
}

TEST_F(PeersTest, AQueueThatIsFullResetsTheLink) {
  runtime.net().pipe_capacity = 1000;
  const auto a = node(1, kOurs, {.queue_max = 100'000});
  const auto b = node(2);
  a->knows(*b);
  runtime.settle();
  for (int i = 0; i < 15; ++i) a->peers.send(BrokerId{2}, PeerKind::kRaft, chain(std::string(10'000, 'x')));
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  EXPECT_EQ(a->peers.queued(BrokerId{2}), 0u);
  runtime.run_for(1_s);
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down", "2 up"}));
  EXPECT_TRUE(logged("are queued and not taken"));
}

TEST_F(PeersTest, ANodeThatMovedIsFoundAtItsNewAddress) {
  const auto a = node(1);
  auto b = node(2);
  const auto elsewhere = node(2);
  a->knows(*b);
  runtime.settle();
  a->knows(*b);  // The same address changes nothing.
  runtime.settle();
  EXPECT_EQ(a->links, Texts{"2 up"});
  a->knows(*elsewhere);
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
  runtime.settle();
  EXPECT_TRUE(a->peers.connected(BrokerId{2}));
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("x"));
  runtime.settle();
  EXPECT_TRUE(b->got.empty());
  EXPECT_EQ(elsewhere->got, Texts{"1/1/x"});
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down", "2 up"}));
}

TEST_F(PeersTest, AForgottenNodeIsLeftAlone) {
  const auto a = node(1);
  const auto b = node(2);
  for (int round = 0; round < 3; ++round) {
    a->knows(*b);
    runtime.settle();
    EXPECT_TRUE(a->peers.connected(BrokerId{2}));
    a->peers.forget(BrokerId{2});
    EXPECT_FALSE(a->peers.connected(BrokerId{2}));
    if (round == 1) runtime.run_for(1_s);  // Else it is known again while it still ends.
  }
  const uint64_t dials = runtime.net().dials;
  runtime.run_for(10_s);
  EXPECT_EQ(runtime.net().dials, dials);
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down", "2 up", "2 down", "2 up", "2 down"}));
  EXPECT_EQ(runtime.net().open_ends, 0);
}

// Half dead at the old connection, alive at the new one: what the old one still holds must not come
// after what the new one brings.
TEST_F(PeersTest, ANewLinkOfANodeTakesThePlaceOfItsOldOne) {
  const auto b = node(2);
  std::vector<std::unique_ptr<Connection>> ends;
  for (int i = 0; i < 2; ++i) {
    runtime.run([&](Task& task) {
      ends.push_back(*runtime.net().connect(task, b->peers.local(), Instant::never()));
      Greeting hello{GreetingKind::kHello, identity_of(1), BrokerId{2}, {}};
      ASSERT_TRUE(ends.back()->write(task, encode_greeting(hello)).has_value());
      uint8_t welcome[200];
      ASSERT_GT(*ends.back()->read(task, welcome, runtime.now() + 1_s), 0u);
    });
    runtime.settle();
  }
  runtime.run([&](Task& task) {
    uint8_t byte[1];
    EXPECT_EQ(ends[0]->read(task, byte, runtime.now() + 1_s).value_or(1), 0u) << "closed";
    EXPECT_EQ(ends[1]->read(task, byte, runtime.now() + 1_s).error().code, Errc::kTimedOut) << "open";
  });
  EXPECT_EQ(b->gone, Texts{}) << "it still sends, by the newer one";
  ends.clear();
  runtime.settle();
  EXPECT_EQ(b->gone, Texts{"1"});
}

TEST_F(PeersTest, StrangersAreTurnedAway) {
  const auto b = node(2);
  Greeting hello{GreetingKind::kHello, identity_of(1), BrokerId{2}, {}};
  const Slice good = encode_greeting(hello);
  std::string later_version(as_text(good));
  later_version[9] = 3;
  ByteWriter lie;
  lie.u32(2000);
  const std::vector<std::pair<std::string, bool>> cases = {
      {"GET / HTTP/1.1\r\n\r\n", false},
      {std::string("\0\0\0\0", 4), false},
      {std::string(as_text(lie.view())), false},
      {later_version, true},
  };
  for (const auto& [bytes, answered] : cases) {
    runtime.log().lines.clear();
    std::string back;
    runtime.run([&](Task& task) {
      const auto socket = *runtime.net().connect(task, b->peers.local(), Instant::never());
      ASSERT_TRUE(socket->write(task, Slice(bytes)).has_value());
      uint8_t piece[500];
      const auto count = socket->read(task, piece, runtime.now() + 60_s);
      if (count) back.assign(reinterpret_cast<char*>(piece), *count);
    });
    runtime.settle();
    EXPECT_EQ(!back.empty(), answered);
    if (answered) {
      const auto refusal = decode_greeting(as_bytes(back).subspan(4));
      ASSERT_TRUE(refusal.has_value());
      EXPECT_EQ(refusal->kind, GreetingKind::kRefusal);
      EXPECT_NE(refusal->reason.find("format version 3"), std::string::npos);
    }
    EXPECT_EQ(runtime.log().lines.size(), 1u);
  }
  // And one that says nothing.
  runtime.run([&](Task& task) {
    const auto socket = *runtime.net().connect(task, b->peers.local(), Instant::never());
    uint8_t piece[10];
    EXPECT_EQ(socket->read(task, piece, runtime.now() + 10_s).value_or(1), 0u);
  });
  runtime.settle();
}

TEST_F(PeersTest, FramesThatMakeNoSenseEndTheConnectionAndNothingElse) {
  const auto b = node(2);
  for (const std::string& frame : Texts{
           std::string("\0\0\0\0", 4),                   // No kind.
           std::string("\0\0\0\1\x63", 5),               // An unknown kind.
           std::string("\0\0\0\1\5", 5),                 // An answer: nothing was asked on this connection.
           std::string("\0\0\0\3\4\0\0", 7),             // A call without an id.
           std::string("\xff\xff\xff\xff", 4),           // A length that lies.
           std::string("\0\0\0\x0d\4\0\0\0\0\0\0\0\1\xff\xff\xff\xff", 17),  // A name that lies.
       }) {
    runtime.log().lines.clear();
    runtime.run([&](Task& task) {
      const auto socket = *runtime.net().connect(task, b->peers.local(), Instant::never());
      Greeting hello{GreetingKind::kHello, identity_of(1), BrokerId{2}, {}};
      ASSERT_TRUE(socket->write(task, encode_greeting(hello)).has_value());
      ASSERT_TRUE(socket->write(task, Slice(frame)).has_value());
      uint8_t piece[500];
      ASSERT_GT(socket->read(task, piece, runtime.now() + 1_s).value_or(0), 0u) << "the welcome";
      EXPECT_EQ(socket->read(task, piece, runtime.now() + 1_s).value_or(1), 0u) << to_hex(as_bytes(frame));
    });
    runtime.settle();
    ASSERT_EQ(runtime.log().lines.size(), 1u) << to_hex(as_bytes(frame));
    EXPECT_NE(runtime.log().lines[0].find("node 1"), std::string::npos);
  }
}

TEST_F(PeersTest, StopEndsLinksDialsCallsAndServices) {
  auto a = node(1);
  auto b = node(2);
  a->knows(*b);
  b->knows(*a);
  a->peers.set_address(BrokerId{3}, {"localhost", 1});
  runtime.settle();
  Result<Slice> waiting;
  runtime.start([&](Task& task) { waiting = a->peers.call(task, BrokerId{2}, "hang", {}, Instant::never()); });
  runtime.settle();
  runtime.run([&](Task& task) { a->peers.stop(task); });
  runtime.settle();
  EXPECT_EQ(waiting.error().code, Errc::kClosed);
  EXPECT_EQ(a->links, (Texts{"2 up", "2 down"}));
  EXPECT_EQ(b->links, (Texts{"1 up", "1 down"}));
  EXPECT_EQ(b->hanging, 0);
  a->knows(*b);
  a->peers.send(BrokerId{2}, PeerKind::kRaft, chain("x"));
  runtime.run_for(1_s);
  EXPECT_FALSE(a->peers.connected(BrokerId{2}));
}

// Under any order of fibers: what arrives is a run of what was sent, in order, broken only where the link
// broke, and ups and downs alternate.
TEST(Peers, OrderHoldsUnderEverySchedule) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    LoopRuntime runtime(seed);
    runtime.net().read_max = 1 + seed * 7 % 900;
    runtime.net().pipe_capacity = 2000;
    {
      Node a(runtime, 1, identity_of(1));
      Node b(runtime, 2, identity_of(2));
      Node moved(runtime, 2, identity_of(2));
      a.knows(b);
      for (int i = 0; i < 200; ++i) {
        const uint64_t dice = mix64(seed, static_cast<uint64_t>(i)) % 40;
        if (dice == 0) runtime.net().break_all();
        if (dice == 1) a.knows(i % 4 < 2 ? b : moved);
        if (dice == 2) a.peers.forget(BrokerId{2});
        if (dice == 3) a.knows(b);
        if (dice < 10) runtime.run_for(Duration{static_cast<int64_t>(dice) * 20'000'000});
        a.peers.send(BrokerId{2}, PeerKind::kRaft, chain(std::to_string(100'000 + i) + std::string(dice * 60, '.')));
        for (uint64_t steps = 0; steps < dice; ++steps) (void)runtime.loop().run_one();
      }
      runtime.run_for(2_s);
      for (const Node* node : {&b, &moved}) {
        for (size_t i = 1; i < node->got.size(); ++i)
          ASSERT_LT(node->got[i - 1].substr(0, 10), node->got[i].substr(0, 10)) << "seed " << seed;
      }
      for (size_t i = 0; i < a.links.size(); ++i)
        ASSERT_EQ(a.links[i], i % 2 == 0 ? "2 up" : "2 down") << "seed " << seed;
    }
    EXPECT_EQ(runtime.fiber_count(), 0u);
    EXPECT_EQ(runtime.net().open_ends, 0);
  }
}

TEST(Peers, ACrashMayHitAnywhere) {
  for (int steps = 0; steps < 200; ++steps) {
    LoopRuntime runtime(static_cast<uint64_t>(steps));
    Peers a(runtime, {});
    Peers b(runtime, {});
    b.serve("hang", [&](Task& task, const PeerIdentity&, Slice) -> Result<Chain> {
      (void)runtime.sleep_for(task, 1000_s);
      return Chain{};
    });
    runtime.start([&](Task& task) {
      ASSERT_TRUE(a.start(task, {"localhost", 0}, identity_of(1)).has_value());
      ASSERT_TRUE(b.start(task, {"localhost", 0}, identity_of(2)).has_value());
      a.set_address(BrokerId{2}, b.local());
      b.set_address(BrokerId{1}, a.local());
      for (int i = 0; i < 10; ++i) {
        runtime.scheduler().yield(task);
        a.send(BrokerId{2}, PeerKind::kRaft, chain("x"));
      }
      (void)a.call(task, BrokerId{2}, "hang", {}, runtime.now() + 1_s);
    });
    for (int i = 0; i < steps; ++i) (void)runtime.loop().run_one();
    runtime.loop().unwind_all();
  }
}

}  // namespace
}  // namespace taffrail
