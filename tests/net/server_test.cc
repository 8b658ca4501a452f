// Goal: what server.h promises a client and a handler: order, pipelining, back-pressure, and an end that
// leaves nothing behind. Method: a handler whose requests say what to do with them, and clients that
// write bytes by hand.
#include <gtest/gtest.h>

#include <map>

#include "net/server.h"
#include "net/support/loop_net.h"

namespace taffrail {
namespace {

using test::LoopRuntime;

Slice framed(std::string_view body) {
  ByteWriter out;
  out.sized(body);
  return Slice(out.view());
}

// "n..." is answered at once, "l..." when open() was called for it, "s..." begins after a second, "0..."
// is never answered, "e..." by an empty chain later, "x..." closes, "b..." by a megabyte. Answers repeat
// the request.
struct Handler final : RequestHandler {
  explicit Handler(LoopRuntime& r) : runtime(r) {}

  Begun begin(Task& task, ConnectionInfo& connection, Slice frame) override {
    const std::string text(as_text(frame));
    EXPECT_FALSE(beginning[connection.id]) << "one at a time";
    beginning[connection.id] = true;
    if (text.starts_with('s')) (void)runtime.sleep_for(task, 1_s);
    beginning[connection.id] = false;
    begun.push_back(text);
    switch (text.empty() ? 'n' : text.front()) {
      case 'l':
        return Begun::later([this, text](Task& inner) {
          ++waiting;
          const Result<> opened = gates[text].wait(inner);
          --waiting;
          if (!opened) ++cancelled;
          return Chain{framed(text)};
        });
      case 'e': return Begun::later([](Task&) { return Chain{}; });
      case '0': return Begun::nothing();
      case 'x': return Begun::close("said " + text);
      case 'b': return Begun::now({framed(std::string(1_MiB, 'b'))});
      default: return Begun::now({framed(text)});
    }
  }
  void open(const std::string& text) { gates[text].set(); }

  LoopRuntime& runtime;
  std::map<uint64_t, bool> beginning;
  std::vector<std::string> begun;
  std::map<std::string, Event> gates;
  int waiting = 0;
  int cancelled = 0;
};

struct ServerTest : testing::Test {
  void serve(ServerOptions options = {}) {
    server = std::make_unique<Server>(runtime, "PLAINTEXT", handler, options);
    runtime.run([&](Task& task) { ASSERT_TRUE(server->start(task, {"localhost", 0}).has_value()); });
  }
  /// Of the server, which outlives the test's body.
  MemoryBudget& budget(ByteCount limit) { return *(memory_budget = std::make_unique<MemoryBudget>(runtime, limit)); }
  std::unique_ptr<Connection> connect() {
    std::unique_ptr<Connection> made;
    runtime.run([&](Task& task) {
      made = *runtime.net().connect(task, server->local(), Instant::never());
    });
    return made;
  }
  /// Writes from a fiber of its own: a server that does not read makes it wait.
  void send(Connection& to, const std::vector<std::string>& bodies) {
    std::vector<Slice> frames;
    for (const std::string& body : bodies) frames.push_back(framed(body));
    runtime.start([&to, frames](Task& task) { (void)to.write(task, frames); });
    runtime.settle();
  }
  /// What has arrived by now, frame by frame; "EOF" at the end of the stream.
  std::vector<std::string> receive(Connection& from) {
    std::vector<std::string> got;
    runtime.start([&](Task& task) {
      uint8_t piece[1000];
      std::string& bytes = unread[&from];
      for (;;) {
        const auto count = from.read(task, piece, runtime.now() + 1_ms);
        if (count && *count > 0) bytes.append(reinterpret_cast<char*>(piece), *count);
        ByteReader in(as_bytes(bytes));
        while (in.left() >= 4) {
          ByteReader ahead = in;
          const ByteView body = ahead.sized();
          if (!ahead.ok()) break;
          got.emplace_back(as_text(body));
          in = ahead;
        }
        bytes.erase(0, bytes.size() - in.left());
        if (!count || *count == 0) {
          if (count || count.error().code == Errc::kClosed) got.emplace_back("EOF");
          return;
        }
      }
    });
    runtime.run_for(2_ms);
    return got;
  }
  /// A small request every 20 ms, each answered.
  void chat(Connection& client, Duration time) {
    for (const Instant end = runtime.now() + time; runtime.now() < end; runtime.run_for(18_ms)) {
      send(client, {"nobody waits"});
      EXPECT_EQ(receive(client), std::vector<std::string>{"nobody waits"});
    }
  }
  void TearDown() override {
    if (server == nullptr) return;
    runtime.run([&](Task& task) { server->stop(task); });
    EXPECT_EQ(server->connection_count(), 0u);
    runtime.settle();
    EXPECT_EQ(runtime.fiber_count(), 0u) << "stop() leaves no fiber";
    EXPECT_EQ(handler.waiting, 0);
  }

  LoopRuntime runtime;
  Handler handler{runtime};
  std::unique_ptr<MemoryBudget> memory_budget;
  std::unique_ptr<Server> server;
  std::map<Connection*, std::string> unread;
};

using Texts = std::vector<std::string>;

TEST_F(ServerTest, AnswersInTheOrderOfTheRequestsWhateverIsReadyFirst) {
  serve();
  const auto client = connect();
  send(*client, {"l1", "n2", "l3", "n4"});
  EXPECT_EQ(handler.begun, (Texts{"l1", "n2", "l3", "n4"})) << "later requests are begun meanwhile";
  EXPECT_EQ(receive(*client), Texts{});
  handler.open("l3");
  EXPECT_EQ(receive(*client), Texts{});
  handler.open("l1");
  EXPECT_EQ(receive(*client), (Texts{"l1", "n2", "l3", "n4"}));
}

TEST_F(ServerTest, OrderHoldsUnderEverySchedule) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    LoopRuntime shuffled(seed);
    Handler own(shuffled);
    Server server_here(shuffled, "PLAINTEXT", own, {.in_flight_max = 3});
    Texts sent;
    for (int i = 0; i < 30; ++i)
      sent.push_back(std::string(1, "nl"[mix64(seed, static_cast<uint64_t>(i)) & 1]) + std::to_string(i));
    for (const std::string& text : sent) own.gates[text];
    Texts got;
    shuffled.run([&](Task& task) {
      ASSERT_TRUE(server_here.start(task, {"localhost", 0}).has_value());
      const auto client = *shuffled.net().connect(task, server_here.local(), Instant::never());
      for (const std::string& text : sent) ASSERT_TRUE(client->write(task, framed(text)).has_value());
      shuffled.start([&](Task& opener) {
        for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
          (void)shuffled.sleep_for(opener, 1_ms);
          own.open(*it);
        }
      });
      std::string bytes;
      uint8_t piece[7];
      while (got.size() < sent.size()) {
        ByteReader in(as_bytes(bytes));
        const ByteView body = in.sized();
        if (in.ok()) {
          got.emplace_back(as_text(body));
          bytes.erase(0, bytes.size() - in.left());
          continue;
        }
        const auto count = client->read(task, piece);
        ASSERT_TRUE(count && *count > 0);
        bytes.append(reinterpret_cast<char*>(piece), *count);
      }
      server_here.stop(task);
    });
    ASSERT_EQ(got, sent) << "seed " << seed;
  }
}

TEST_F(ServerTest, NothingIsSentForARequestThatIsNotAnswered) {
  serve({.in_flight_max = 2});
  const auto client = connect();
  send(*client, {"01", "02", "03", "n4", "e5", "n6"});
  EXPECT_EQ(receive(*client), (Texts{"n4", "n6"}));
}

TEST_F(ServerTest, TheNextRequestIsNotBegunBeforeTheLastIs) {
  serve();
  const auto client = connect();
  send(*client, {"s1", "n2"});
  EXPECT_TRUE(handler.begun.empty());
  runtime.run_for(2_s);
  EXPECT_EQ(handler.begun, (Texts{"s1", "n2"}));
}

TEST_F(ServerTest, AnswersThatAreDueTogetherGoOutInOneWrite) {
  serve();
  const auto client = connect();
  const uint64_t before = runtime.net().writes;
  Texts sent;
  for (int i = 0; i < 50; ++i) sent.push_back("n" + std::to_string(i));
  send(*client, sent);
  EXPECT_EQ(receive(*client), sent);
  EXPECT_LE(runtime.net().writes - before, 1 + 3u) << "the client's own, and few of the server's";
}

TEST_F(ServerTest, AStreamInSingleBytesIsTheSameStream) {
  runtime.net().read_max = 1;
  serve();
  const auto client = connect();
  send(*client, {"n1", "", "n333333", "n" + std::string(300, '4')});
  runtime.net().read_max = SIZE_MAX;
  EXPECT_EQ(receive(*client), (Texts{"n1", "", "n333333", "n" + std::string(300, '4')}));
}

TEST_F(ServerTest, StopsReadingAtTheLimitOfRequestsInFlight) {
  serve({.in_flight_max = 2});
  const auto client = connect();
  send(*client, {"l1", "l2", "l3", "l4"});
  EXPECT_EQ(handler.begun, (Texts{"l1", "l2"}));
  handler.open("l2");
  runtime.settle();
  EXPECT_EQ(handler.begun.size(), 2u) << "done, but not answered before the first";
  handler.open("l1");
  EXPECT_EQ(receive(*client), (Texts{"l1", "l2"}));
  EXPECT_EQ(handler.begun.size(), 4u);
}

TEST_F(ServerTest, StopsReadingWhileAnswersAreNotTaken) {
  runtime.net().pipe_capacity = 64_KiB;
  serve({.in_flight_bytes_max = 4_MiB});
  const auto client = connect();
  send(*client, Texts(100, "b"));
  EXPECT_LE(handler.begun.size(), 6u);
  EXPECT_GE(handler.begun.size(), 4u);
  size_t answers = 0;
  for (int i = 0; i < 1000 && answers < 100; ++i) answers += receive(*client).size();
  EXPECT_EQ(answers, 100u);
}

TEST_F(ServerTest, WhoSendsHalfARequestGivesItsMemoryUpWhenOthersNeedIt) {
  MemoryBudget& memory = budget(100'000);
  serve({.memory = &memory});
  const auto slow = connect();
  const auto honest = connect();
  ByteWriter half;
  half.u32(200'000);
  half.bytes(as_bytes(std::string(120'000, 'n')));
  const Slice out(half.view());
  runtime.start([&](Task& task) { (void)slow->write(task, out); });
  runtime.settle();
  EXPECT_GE(memory.used(), 100'000u);

  const std::string large = "n" + std::string(30'000, 'x');
  send(*honest, {"n1", large});
  EXPECT_EQ(receive(*honest), Texts{"n1"}) << "a few bytes always fit";
  // Others who hold a little and give it back make no room, and change nothing about that.
  const auto chatty = connect();
  chat(*chatty, MemoryBudget::kPatience * 2);
  EXPECT_EQ(receive(*honest), Texts{large});
  EXPECT_EQ(receive(*slow), Texts{"EOF"});
  ASSERT_EQ(runtime.log().lines.size(), 1u);
  EXPECT_NE(runtime.log().lines[0].find("others need the memory"), std::string::npos) << runtime.log().lines[0];
  EXPECT_EQ(memory.used(), 0u);
}

TEST_F(ServerTest, WhoTakesNoAnswersGivesItsMemoryUpWhenOthersNeedIt) {
  runtime.net().pipe_capacity = 64_KiB;
  MemoryBudget& memory = budget(2_MiB);
  serve({.memory = &memory});
  const auto deaf = connect();
  const auto honest = connect();
  send(*deaf, Texts(100, "b"));
  EXPECT_LE(memory.used(), 4_MiB) << "it is not answered further ahead than that";
  const std::string large = "n" + std::string(30'000, 'x');
  send(*honest, {large});
  runtime.run_for(MemoryBudget::kPatience * 2);
  EXPECT_EQ(receive(*honest), Texts{large});
  EXPECT_EQ(memory.used(), 0u);
}

TEST_F(ServerTest, WhoAsksForMoreMeanwhileHasTakenNothingAllTheSame) {
  runtime.net().pipe_capacity = 64_KiB;
  MemoryBudget& memory = budget(2_MiB);
  serve({.memory = &memory});
  const auto deaf = connect();
  send(*deaf, {"b"});
  std::optional<Errc> told;
  runtime.start([&](Task& task) {
    const auto room = memory.reserve(task, MemoryBudget::records(1_MiB, false), runtime.now() + 6_s);
    told = room ? std::optional<Errc>() : room.error().code;
  });
  for (int i = 0; i < 7; ++i) {
    send(*deaf, {"n" + std::to_string(i)});
    runtime.run_for(1_s);
  }
  EXPECT_EQ(told, Errc::kTimedOut);
  ASSERT_EQ(runtime.log().lines.size(), 1u);
  EXPECT_NE(runtime.log().lines[0].find("others need the memory"), std::string::npos) << runtime.log().lines[0];
  EXPECT_EQ(memory.used(), 0u);
}

TEST_F(ServerTest, RequestsThatOnlyWaitForOneAnotherAllComeThrough) {
  MemoryBudget& memory = budget(100'000);
  serve({.memory = &memory});
  std::vector<std::unique_ptr<Connection>> clients;
  const std::string large = "n" + std::string(200'000, 'x');
  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  for (const auto& client : clients) {
    const Slice out = framed(large);
    runtime.start([&client, out](Task& task) {
      // All at the same pace: no one of them is done before the memory is used up.
      for (size_t at = 0; at < out.size(); at += 10'000) {
        const Slice piece = out.sub(at, std::min<size_t>(10'000, out.size() - at));
        if (!client->write(task, std::span(&piece, 1))) return;
        task.scheduler().yield(task);
      }
    });
  }
  const auto chatty = connect();
  uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    chat(*chatty, 100_ms);
    most = std::max(most, memory.used());
  }
  for (const auto& client : clients) EXPECT_EQ(receive(*client), Texts{large});
  EXPECT_LE(most, 100'000u + 2 * 262'144u) << "past the limit by one request's buffers, not by all";
  EXPECT_EQ(memory.used(), 0u);
  EXPECT_TRUE(runtime.log().lines.empty());
}

TEST_F(ServerTest, ARequestLargerThanTheLimitIsServedAlone) {
  serve({.in_flight_bytes_max = 10});
  const auto client = connect();
  const std::string large = "n" + std::string(1000, 'x');
  send(*client, {large, "n2", large});
  EXPECT_EQ(receive(*client), (Texts{large, "n2", large}));
}

TEST_F(ServerTest, AFrameThatLiesAboutItsLengthEndsTheConnectionWithOneLine) {
  serve({.frame_size_max = 1000});
  for (const auto& [length, word] : std::vector<std::pair<uint32_t, std::string>>{
           {0xffffffff, "-1 bytes"}, {1001, "the limit is 1000"}, {0x7fffffff, "2147483647"}}) {
    runtime.log().lines.clear();
    const auto client = connect();
    ByteWriter bytes;
    bytes.bytes(framed("n1"));
    bytes.u32(length);
    const Slice out(bytes.view());
    runtime.start([&](Task& task) { (void)client->write(task, out); });
    EXPECT_EQ(receive(*client), (Texts{"n1", "EOF"})) << "what was due before is sent";
    ASSERT_EQ(runtime.log().lines.size(), 1u);
    EXPECT_NE(runtime.log().lines[0].find(word), std::string::npos) << runtime.log().lines[0];
    EXPECT_NE(runtime.log().lines[0].find("client:"), std::string::npos) << "names the peer";
  }
  EXPECT_EQ(server->connection_count(), 0u);
}

TEST_F(ServerTest, AHandlerClosesAfterWhatWasDueBefore) {
  serve();
  const auto client = connect();
  send(*client, {"l1", "xbad", "n3"});
  EXPECT_EQ(receive(*client), Texts{});
  handler.open("l1");
  EXPECT_EQ(receive(*client), (Texts{"l1", "EOF"}));
  EXPECT_EQ(handler.begun, (Texts{"l1", "xbad"}));
  ASSERT_EQ(runtime.log().lines.size(), 1u);
  EXPECT_NE(runtime.log().lines[0].find("said xbad"), std::string::npos);
}

TEST_F(ServerTest, APeerThatLeavesDuringALongPollLeavesNothingBehind) {
  serve();
  for (const bool orderly : {true, false}) {
    auto client = connect();
    send(*client, {"l1", "l2", "n3"});
    EXPECT_EQ(handler.waiting, 2);
    EXPECT_EQ(server->connection_count(), 1u);
    if (orderly) client->close(); else runtime.net().break_all();
    runtime.settle();
    EXPECT_EQ(handler.waiting, 0);
    EXPECT_EQ(server->connection_count(), 0u);
    client.reset();
    EXPECT_EQ(runtime.net().open_ends, 0);
    EXPECT_EQ(runtime.fiber_count(), 1u) << "who accepts";
  }
  EXPECT_EQ(handler.cancelled, 4);
  EXPECT_TRUE(runtime.log().lines.empty()) << "a peer that leaves is not news";
}

TEST_F(ServerTest, APeerThatLeavesWhileItsRequestBeginsLeavesNothingBehind) {
  serve();
  auto client = connect();
  send(*client, {"s1", "n2"});
  client.reset();
  runtime.run_for(5_s);
  EXPECT_EQ(server->connection_count(), 0u);
  EXPECT_EQ(runtime.net().open_ends, 0);
}

TEST_F(ServerTest, AnIdleConnectionEnds) {
  serve({.idle_max = 10_s});
  const auto silent = connect();
  const auto talking = connect();
  const auto polling = connect();
  send(*polling, {"l1"});
  for (int i = 0; i < 3; ++i) {
    runtime.run_for(6_s);
    send(*talking, {"n1"});
    EXPECT_EQ(receive(*talking), Texts{"n1"});
  }
  EXPECT_EQ(receive(*silent), Texts{"EOF"});
  EXPECT_EQ(server->connection_count(), 2u) << "neither who talks nor who waits for us is idle";
  ASSERT_EQ(runtime.log().lines.size(), 1u);
  EXPECT_NE(runtime.log().lines[0].find("idle for 10000 ms"), std::string::npos);

  handler.open("l1");
  EXPECT_EQ(receive(*polling), Texts{"l1"});
  runtime.run_for(9_s);
  EXPECT_EQ(receive(*polling), Texts{});
  runtime.run_for(2_s);
  EXPECT_EQ(receive(*polling), Texts{"EOF"});
}

TEST_F(ServerTest, ARequestThatDribblesInKeepsNoConnectionAlive) {
  serve({.idle_max = 10_s});
  const auto client = connect();
  const Slice whole = framed("n" + std::string(100, 'x'));
  for (size_t i = 0; i < 12; ++i) {
    runtime.start([&, i](Task& task) { (void)client->write(task, whole.sub(i, 1)); });
    runtime.run_for(1_s);
  }
  EXPECT_EQ(receive(*client), Texts{"EOF"});
}

TEST_F(ServerTest, AConnectionServesOnAfterItsNap) {
  serve();
  const auto client = connect();
  for (const std::string& text : Texts{"n1", "n" + std::string(5000, '2'), "n3"}) {
    runtime.run_for(20_s);
    send(*client, {text});
    EXPECT_EQ(receive(*client), Texts{text});
  }
}

TEST_F(ServerTest, AQuietConnectionHoldsNoBuffer) {
  serve();
  const auto client = connect();
  EXPECT_LE(runtime.net().read_room, 64u);
  send(*client, {"n1"});
  EXPECT_GE(runtime.net().read_room, 1000u) << "busy: large reads";
  runtime.run_for(2_s);
  EXPECT_LE(runtime.net().read_room, 64u) << "quiet: a few bytes inside the connection";
}

TEST_F(ServerTest, APeerThatTakesNoAnswerForTooLongIsClosed) {
  runtime.net().pipe_capacity = 64_KiB;
  serve({.idle_max = 10_s});
  const auto client = connect();
  send(*client, {"b", "l2"});
  runtime.run_for(9_s);
  EXPECT_EQ(server->connection_count(), 1u);
  runtime.run_for(2_s);
  EXPECT_EQ(server->connection_count(), 0u);
  ASSERT_EQ(runtime.log().lines.size(), 1u);
  EXPECT_NE(runtime.log().lines[0].find("took no answer"), std::string::npos) << runtime.log().lines[0];
}

TEST_F(ServerTest, FurtherConnectionsThanAllowedAreClosedAtOnce) {
  serve({.connections_max = 2});
  auto first = connect();
  const auto second = connect();
  const auto third = connect();
  EXPECT_EQ(receive(*third), Texts{"EOF"});
  EXPECT_EQ(server->connection_count(), 2u);
  first.reset();
  const auto fourth = connect();
  send(*fourth, {"n1"});
  EXPECT_EQ(receive(*fourth), Texts{"n1"});
}

TEST_F(ServerTest, AcceptsAgainAfterDescriptorsRanOut) {
  serve();
  runtime.net().accept_error = Errc::kUnavailable;
  const auto client = connect();
  send(*client, {"n1"});
  runtime.run_for(1_s);
  EXPECT_EQ(receive(*client), Texts{"n1"});
}

TEST_F(ServerTest, StopEndsLongPollsAndStuckWrites) {
  runtime.net().pipe_capacity = 1_KiB;
  serve();
  const auto polling = connect();
  const auto stuck = connect();
  const auto beginning = connect();
  send(*polling, {"l1"});
  send(*stuck, {"b"});
  send(*beginning, {"s1"});
  EXPECT_EQ(server->connection_count(), 3u);
  runtime.run([&](Task& task) { server->stop(task); });
  EXPECT_EQ(server->connection_count(), 0u);
  EXPECT_EQ(receive(*polling), Texts{"EOF"});
  EXPECT_TRUE(runtime.log().lines.empty());
}

// A crash: every fiber is unwound where it stands, the server goes afterwards.
TEST_F(ServerTest, ACrashMayHitAnywhere) {
  runtime.net().pipe_capacity = 1_KiB;
  for (int steps = 0; steps < 120; ++steps) {
    auto own = std::make_unique<Server>(runtime, "PLAINTEXT", handler, ServerOptions{});
    runtime.start([&](Task& task) {
      ASSERT_TRUE(own->start(task, {"localhost", 0}).has_value());
      const auto client = *runtime.net().connect(task, own->local(), Instant::never());
      (void)client->write(task, std::vector{framed("l1"), framed("n2"), framed("b"), framed("s1")});
    });
    for (int i = 0; i < steps; ++i) (void)runtime.loop().run_one();
    runtime.loop().unwind_all();
    own.reset();
    handler.waiting = 0;
    handler.beginning.clear();
  }
  EXPECT_EQ(runtime.net().open_ends, 0);
}

}  // namespace
}  // namespace taffrail
