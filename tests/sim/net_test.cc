// Goal: links and connections fail the way their faults say: held, not lost, behind a blocked link; silent
// after a power cut; told after the death of a process. Method: two or three nodes, one fault at a time.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/world.h"

namespace taffrail::sim {
namespace {

// Counts what arrives on port 9000 and keeps the connections open.
class Sink {
 public:
  Sink(Runtime& runtime, std::string& into, std::string& ending) : runtime_(runtime), into_(into), ending_(ending) {
    runtime.spawn(scope_, "sink", [this](Task& task) {
      const auto listener = runtime_.net().listen(task, {"", 9000});
      ASSERT_TRUE(listener.has_value());
      for (;;) {
        Result<std::unique_ptr<Connection>> got = (*listener)->accept(task);
        if (!got) return;
        runtime_.spawn(scope_, "reader", [this, c = std::shared_ptr<Connection>(std::move(*got))](Task& inner) {
          uint8_t buffer[4096];
          for (;;) {
            const Result<size_t> n = c->read(inner, buffer);
            if (!n || *n == 0) {
              ending_ += n ? "end;" : "reset;";
              return;
            }
            into_.append(reinterpret_cast<const char*>(buffer), *n);
          }
        });
      }
    });
  }

 private:
  Runtime& runtime_;
  std::string& into_;
  std::string& ending_;
  Scope scope_;
};

class TwoNodes : public testing::Test {
 protected:
  void SetUp() override { begin(1); }
  void begin(uint64_t seed, const Knobs& knobs = {}) {
    connection.reset();
    world = std::make_unique<World>(seed, knobs);
    server = world->add_node();
    client = world->add_node();
    world->start(server, [this](Runtime& rt) { return std::make_shared<Sink>(rt, received, ending); });
    world->start(client);
    world->run_for(10_ms);
  }
  void TearDown() override {
    // Before its world; a connection of a dead process only frees memory.
    connection.reset();
  }
  void connect() {
    ASSERT_TRUE(on_client([this](Task& task, Runtime& rt) {
      Result<std::unique_ptr<Connection>> got = rt.net().connect(task, {"n1", 9000}, rt.now() + 5_s);
      ASSERT_TRUE(got.has_value());
      connection = std::move(*got);
    }));
  }
  bool on_client(std::function<void(Task&, Runtime&)> body) { return world->run_fiber(client, std::move(body), 300_s); }
  Result<> send(std::string_view bytes, Duration patience = 1_s) {
    Result<> result;
    on_client([&](Task& task, Runtime& rt) { result = connection->write(task, Slice(bytes), rt.now() + patience); });
    return result;
  }
  Result<size_t> read(Duration patience = 1_s) {
    Result<size_t> result = size_t{0};
    uint8_t buffer[16];
    on_client([&](Task& task, Runtime& rt) { result = connection->read(task, buffer, rt.now() + patience); });
    return result;
  }
  std::unique_ptr<World> world;
  NodeId server;
  NodeId client;
  std::string received;
  std::string ending;
  std::unique_ptr<Connection> connection;
};

using SimNetTest = TwoNodes;

TEST_F(SimNetTest, ABlockedLinkHoldsBytesUntilItHeals) {
  connect();
  ASSERT_TRUE(send("before "));
  world->run_for(100_ms);
  world->block(client, server);
  ASSERT_TRUE(send("during ")) << "the sender's kernel takes it";
  world->run_for(20_s);
  EXPECT_EQ(received, "before ");
  world->unblock(client, server);
  world->run_for(5_s);
  EXPECT_EQ(received, "before during ");
  EXPECT_GE(world->net().stats().held, 1u);
}

TEST_F(SimNetTest, AOneWayBlockIsOneWay) {
  world->block(server, client);
  EXPECT_TRUE(on_client([](Task& task, Runtime& rt) {
    EXPECT_EQ(rt.net().connect(task, {"n1", 9000}, rt.now() + 3_s).error().code, Errc::kTimedOut);
  }));
  world->unblock(server, client);
  connect();
  world->block(server, client);
  ASSERT_TRUE(send("heard"));
  world->run_for(1_s);
  EXPECT_EQ(received, "heard");
}

TEST_F(SimNetTest, BlocksNest) {
  connect();
  world->block(client, server);
  world->isolate(server);
  world->unblock(client, server);
  ASSERT_TRUE(send("x"));
  world->run_for(10_s);
  EXPECT_EQ(received, "");
  world->heal();
  world->run_for(5_s);
  EXPECT_EQ(received, "x");
}

TEST_F(SimNetTest, AConnectionWaitsOutAShortPartition) {
  world->block(client, server);
  world->after(2_s, [&] { world->unblock(client, server); });
  connect();
  EXPECT_GE(world->now(), Instant{} + 2_s) << "the kernel asks again";
}

TEST_F(SimNetTest, TheDeathOfAProcessIsHeardByItsPeers) {
  connect();
  world->kill(server);
  const Result<size_t> got = read();
  EXPECT_TRUE(!got ? got.error().code == Errc::kClosed : *got == 0);
  const Result<> first = send("a");
  world->run_for(1_s);
  EXPECT_EQ(send("b").error().code, Errc::kClosed) << "nobody is there: reset";
  EXPECT_TRUE(on_client([](Task& task, Runtime& rt) {
    EXPECT_EQ(rt.net().connect(task, {"n1", 9000}, rt.now() + 3_s).error().code, Errc::kRefused);
  }));
  (void)first;
}

TEST_F(SimNetTest, APowerCutIsNotHeardAtAll) {
  connect();
  world->power_cut(server);
  EXPECT_EQ(read(30_s).error().code, Errc::kTimedOut);
  ASSERT_TRUE(send("into the void"));
  EXPECT_EQ(send(std::string(10 << 20, 'x'), 30_s).error().code, Errc::kTimedOut) << "writes pile up";
  EXPECT_TRUE(on_client([](Task& task, Runtime& rt) {
    EXPECT_EQ(rt.net().connect(task, {"n1", 9000}, rt.now() + 3_s).error().code, Errc::kTimedOut);
  }));
  // Back again, the machine does not know the connection and says so to what is sent to it.
  world->restart(server);
  EXPECT_EQ(read(10_s).error().code, Errc::kClosed);
  EXPECT_EQ(received, "");
}

TEST_F(SimNetTest, ABlackHoleEndsOneConnectionForEver) {
  connect();
  EXPECT_EQ(world->net().black_hole(client.value, server.value), 1u);
  ASSERT_TRUE(send("lost"));
  world->heal();
  world->run_for(60_s);
  EXPECT_EQ(received, "");
  connect();
  ASSERT_TRUE(send("new"));
  world->run_for(1_s);
  EXPECT_EQ(received, "new");
}

TEST_F(SimNetTest, AResetIsHeardByOneSideAtLeast) {
  int both = 0;
  int late = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    received.clear();
    ending.clear();
    begin(seed);
    connect();
    EXPECT_EQ(world->net().reset_connections(client.value, server.value, world->stream(StreamKind::kTest)), 1u);
    world->run_for(1_s);
    const bool server_heard = !ending.empty();
    const Result<size_t> here = read(100_ms);
    const bool client_heard = !here && here.error().code == Errc::kClosed;
    EXPECT_TRUE(server_heard || client_heard);
    if (server_heard && client_heard) {
      ++both;
    } else if (!client_heard) {
      ++late;
      (void)send("so?");
      world->run_for(1_s);
      EXPECT_EQ(send("so?").error().code, Errc::kClosed);
    }
  }
  EXPECT_GT(both, 5);
  EXPECT_GT(late, 3);
}

TEST_F(SimNetTest, BytesKeepTheirOrderInEveryWorld) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    received.clear();
    Engine scratch(seed);
    begin(seed, Knobs::drawn(scratch.tape));
    connect();
    std::string sent;
    for (int i = 0; i < 200; ++i) sent += fmt::format("{},", i * 7919);
    on_client([&](Task& task, Runtime&) {
      for (size_t at = 0; at < sent.size(); at += 50) ASSERT_TRUE(connection->write(task, Slice(std::string_view(sent).substr(at, 50))));
    });
    world->run_for(30_s);
    EXPECT_EQ(received, sent) << "seed " << seed;
  }
}

TEST_F(SimNetTest, BandwidthAndSlownessTakeTime) {
  Knobs knobs;
  knobs.net.bytes_per_second = 1'000'000;
  begin(1, knobs);
  connect();
  Instant from = world->now();
  ASSERT_TRUE(send(std::string(1'000'000, 'x'), 60_s));
  world->run_until([&] { return received.size() == 1'000'000; }, 60_s);
  EXPECT_GE(world->now(), from + 900_ms);
  EXPECT_LE(world->now(), from + 1500_ms);
  world->net().slow(client.value, server.value, 5);
  from = world->now();
  ASSERT_TRUE(send(std::string(1'000'000, 'x'), 60_s));
  world->run_until([&] { return received.size() == 2'000'000; }, 60_s);
  EXPECT_GE(world->now(), from + 4500_ms);
}

TEST_F(SimNetTest, TheEndOfASleepingConnectorLeavesNothingBehind) {
  world->block(client, server);
  world->spawn(client, "connector", [](Task& task, Runtime& rt) {
    (void)rt.net().connect(task, {"n1", 9000}, Instant::never());
    ADD_FAILURE() << "killed first";
  });
  world->run_for(100_ms);
  world->kill(client);
  world->heal();
  world->run_for(60_s);
  EXPECT_EQ(world->net().connection_count(), 0u);
  world->restart(client);
  connect();
  EXPECT_EQ(world->net().connection_count(), 1u);
  connection.reset();
  world->run_for(1_s);
  EXPECT_EQ(world->net().connection_count(), 0u);
}

// Every shard of the server accepts; connection after connection, each of them has to be met, and a shard that
// stops listening leaves the rest to the others.
TEST(SimNetShards, ShareAPortAndADrawDecidesWhoAccepts) {
  World world(7);
  const NodeId server = world.add_node({.shards = 3});
  const NodeId client = world.add_node();
  std::vector<int> accepted(3);
  struct Shard {
    Shard(Runtime& runtime, int& count) {
      runtime.spawn(scope, "accept", [this, &runtime, &count](Task& task) {
        listener = *runtime.net().listen(task, {"", 9000});
        EXPECT_EQ(runtime.net().listen(task, {"", 9000}).error().code, Errc::kBusy);
        while (auto got = listener->accept(task)) {
          ++count;
          kept.push_back(*std::move(got));
        }
      });
    }
    std::unique_ptr<Listener> listener;
    std::vector<std::unique_ptr<Connection>> kept;
    Scope scope;
  };
  std::vector<std::weak_ptr<Shard>> shards;
  world.start(server, [&](Runtime& runtime) {
    auto shard = std::make_shared<Shard>(runtime, accepted[runtime.shard().value]);
    shards.push_back(shard);
    return shard;
  });
  world.start(client);
  world.run_for(10_ms);
  const auto dial = [&](int times) {
    EXPECT_TRUE(world.run_fiber(client, [&](Task& task, Runtime& runtime) {
      for (int i = 0; i < times; ++i) EXPECT_TRUE(runtime.net().connect(task, {"n1", 9000}, Instant::never()).has_value());
    }));
    world.run_for(10_ms);
  };
  dial(60);
  EXPECT_EQ(accepted[0] + accepted[1] + accepted[2], 60);
  for (const int count : accepted) EXPECT_GT(count, 5);
  shards[1].lock()->listener->close();
  const int before = accepted[1];
  dial(20);
  EXPECT_EQ(accepted[1], before);
  EXPECT_EQ(accepted[0] + accepted[1] + accepted[2], 80);
}

}  // namespace
}  // namespace taffrail::sim
