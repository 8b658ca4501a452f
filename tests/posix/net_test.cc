// Goal: what only real sockets do: resets, a thousand connections, several shards behind one port,
// names that do not resolve, a process out of descriptors. Method: a node of one or two shards on
// loopback; where the peer has to misbehave it is a plain socket.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "posix/support/world.h"
#include "support/net_contract.h"

namespace taffrail::posix {
namespace {

using contract::net_detail::connected;
using contract::net_detail::expect_error;
using contract::net_detail::expect_ok;
using contract::net_detail::listening;
using contract::net_detail::Pair;
using contract::net_detail::pattern;
using contract::net_detail::read_up_to;

constexpr const char* kHost = "127.0.0.1";

// A blocking socket, connected to `port` here.
Fd plain_client(uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

void reset_on_close(const Fd& fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
}

TEST(PosixNet, AResetIsClosedForReaderAndWriter) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, kHost);
    Fd peer = plain_client(listener->local().port);
    const auto server = listener->accept(task);
    ASSERT_TRUE(server.has_value());
    Scope scope;
    shard.runtime.spawn(scope, "reader", [&](Task& inner) {
      std::vector<uint8_t> into(10);
      expect_error((*server)->read(inner, into), Errc::kClosed);
    });
    shard.runtime.spawn(scope, "writer", [&](Task& inner) {
      expect_error((*server)->write(inner, Slice(pattern(64 << 20, 1))), Errc::kClosed);
    });
    shard.runtime.scheduler().yield(task);
    reset_on_close(peer);
    peer.reset();
    scope.join(task);
  });
}

// The kernel tells of a reset once. If the writer hears of it, the reader must not take what
// follows for the peer's orderly end.
TEST(PosixNet, AResetThatTheWriterSawIsNoOrderlyEnd) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, kHost);
    Fd peer = plain_client(listener->local().port);
    const auto server = listener->accept(task);
    ASSERT_TRUE(server.has_value());
    reset_on_close(peer);
    peer.reset();
    expect_error((*server)->write(task, Slice("x")), Errc::kClosed);
    std::vector<uint8_t> into(10);
    expect_error((*server)->read(task, into), Errc::kClosed);
  });
}

TEST(PosixNet, AHalfClosedPeerStillGetsItsAnswer) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, kHost);
    const Fd peer = plain_client(listener->local().port);
    const auto server = listener->accept(task);
    ASSERT_TRUE(server.has_value());
    EXPECT_EQ(send(peer.get(), "question", 8, 0), 8);
    shutdown(peer.get(), SHUT_WR);
    EXPECT_EQ(read_up_to(task, **server, 100), "question");
    expect_ok((*server)->write(task, Slice("answer")));
    char back[6] = {};
    EXPECT_EQ(recv(peer.get(), back, sizeof back, MSG_WAITALL), 6);
    EXPECT_EQ(std::string_view(back, 6), "answer");
  });
}

TEST(PosixNet, SixtyFourMebibytesArriveWhole) {
  TestWorld().run([](Task& task, Shard& shard) {
    const Pair pair = connected(task, shard.runtime, kHost);
    ASSERT_TRUE(pair);
    const std::string whole = pattern(64 << 20, 7);
    Scope scope;
    shard.runtime.spawn(scope, "writer",
                        [&](Task& inner) { expect_ok(pair.client->write(inner, Slice(whole))); });
    EXPECT_TRUE(read_up_to(task, *pair.server, whole.size()) == whole);
    scope.join(task);
    EXPECT_EQ(shard.runtime.counters().net_bytes_sent, whole.size());
    EXPECT_EQ(shard.runtime.counters().net_bytes_received, whole.size());
  });
}

// One side always has something to read and never waits; a bystander must get its turns all the
// same.
TEST(PosixNet, ABusyConnectionLetsOthersRun) {
  TestWorld().run([](Task& task, Shard& shard) {
    const Pair pair = connected(task, shard.runtime, kHost);
    ASSERT_TRUE(pair);
    expect_ok(pair.server->write(task, Slice(std::string(2000, 'x'))));
    Scope scope;
    bool ran = false;
    shard.runtime.spawn(scope, "bystander", [&](Task&) { ran = true; });
    uint32_t reads = 0;
    for (uint8_t byte = 0; !ran && reads < 2000; ++reads)
      expect_ok(pair.client->read(task, {&byte, 1}));
    EXPECT_TRUE(ran);
    EXPECT_LT(reads, 100u);
    scope.join(task);
  });
}

void echo_until_end(Task& task, Connection& connection) {
  std::vector<uint8_t> buffer(4096);
  for (;;) {
    const Result<size_t> got = connection.read(task, buffer);
    if (!got || *got == 0) return;
    if (!connection.write(task, Slice(ByteView(buffer).first(*got)))) return;
  }
}

// Accepts until the listener is closed, and echoes on every connection.
struct EchoServer {
  Listener& listener;
  Runtime& runtime;
  std::vector<std::unique_ptr<Connection>> connections;
  size_t accepted = 0;
  Scope scope;

  void run(Task& task) {
    for (;;) {
      Result<std::unique_ptr<Connection>> got = listener.accept(task);
      if (!got) break;
      ++accepted;
      connections.push_back(std::move(*got));
      Connection* connection = connections.back().get();
      runtime.spawn(scope, "echo",
                    [connection](Task& inner) { echo_until_end(inner, *connection); });
    }
    scope.join(task);
  }
};

TEST(PosixNet, AThousandConnectionsEcho) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const size_t count = files.rlim_cur >= 2200 ? 1000 : 200;
  TestWorld().run([&](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, kHost);
    EchoServer server{*listener, shard.runtime, {}, 0, {}};
    Scope scope;
    shard.runtime.spawn(scope, "server", [&](Task& inner) { server.run(inner); });
    Scope clients;
    size_t good = 0;
    Event all_connected;
    size_t connected_count = 0;
    for (size_t i = 0; i < count; ++i) {
      shard.runtime.spawn(clients, "client", [&, i](Task& inner) {
        const auto connection =
            shard.runtime.net().connect(inner, listener->local(), Instant::never());
        expect_ok(connection);
        if (++connected_count == count) all_connected.set();
        if (!connection) return;
        // All of them are there at once before the first one speaks.
        expect_ok(all_connected.wait(inner));
        for (int round = 0; round < 3; ++round) {
          const std::string text = pattern(100 + i, i);
          expect_ok((*connection)->write(inner, Slice(text)));
          if (read_up_to(inner, **connection, text.size()) == text) ++good;
        }
      });
    }
    clients.join(task);
    EXPECT_EQ(good, 3 * count);
    listener->close();
    scope.join(task);
    EXPECT_EQ(server.accepted, count);
  });
}

// Each shard listens at the same port, and each gets its share whoever of them was idle.
TEST(PosixNet, ShardsShareAPortInTurn) {
  TestWorld world;
  world.options.shards = 2;
  std::atomic<uint16_t> port = 0;
  std::array<std::atomic<size_t>, 2> accepted{};
  constexpr size_t kClients = 50;
  world.run([&](Task& task, Shard& shard) {
    const uint32_t self = shard.runtime.shard().value;
    if (self == 1) {
      // Shard 0 sends the port that it got.
      while (port.load() == 0) expect_ok(shard.runtime.sleep_for(task, 1_ms));
    }
    const auto listener = shard.runtime.net().listen(task, {kHost, port.load()});
    ASSERT_TRUE(listener.has_value()) << listener.error().text();
    expect_error(shard.runtime.net().listen(task, (*listener)->local()), Errc::kBusy);
    EchoServer server{**listener, shard.runtime, {}, 0, {}};
    Scope scope;
    shard.runtime.spawn(scope, "server", [&](Task& inner) { server.run(inner); });
    if (self == 0) {
      port.store((*listener)->local().port);
      Event other_listens;
      // The other's loop answers only once it has run its main fiber up to accept.
      while (!other_listens.is_set()) {
        shard.runtime.post(ShardId(1), [&] {
          if (accepted[1].load() == SIZE_MAX)
            shard.runtime.post(ShardId(0), [&] { other_listens.set(); });
        });
        expect_ok(shard.runtime.sleep_for(task, 1_ms));
      }
      Scope clients;
      size_t good = 0;
      for (size_t i = 0; i < kClients; ++i) {
        shard.runtime.spawn(clients, "client", [&](Task& inner) {
          const auto connection =
              shard.runtime.net().connect(inner, (*listener)->local(), Instant::never());
          expect_ok(connection);
          if (!connection) return;
          expect_ok((*connection)->write(inner, Slice("hello")));
          if (read_up_to(inner, **connection, 5) == "hello") ++good;
        });
      }
      clients.join(task);
      EXPECT_EQ(good, kClients);
      port.store(0);  // Done.
    } else {
      accepted[1].store(SIZE_MAX);
      while (port.load() != 0) expect_ok(shard.runtime.sleep_for(task, 1_ms));
    }
    (*listener)->close();
    scope.join(task);
    accepted[self].store(server.accepted);
  });
  EXPECT_EQ(accepted[0].load(), kClients / 2);
  EXPECT_EQ(accepted[1].load(), kClients / 2);
}

TEST(PosixNet, ANameThatIsNoneIsNotFound) {
  TestWorld().run([](Task& task, Shard& shard) {
    expect_error(
        shard.runtime.net().connect(task, {std::string("bad\0host", 8), 1}, Instant::never()),
        Errc::kNotFound);
    expect_error(shard.runtime.net().connect(task, {"not a host name", 1}, Instant::never()),
                 Errc::kNotFound);
  });
}

TEST(PosixNet, AnAddressThatIsNotOursIsInvalid) {
  TestWorld().run([](Task& task, Shard& shard) {
    // TEST-NET-1 (RFC 5737) is nobody's.
    expect_error(shard.runtime.net().listen(task, {"192.0.2.1", 0}), Errc::kInvalid);
  });
}

TEST(PosixNet, AnEmptyHostListensOnEveryAddress) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, "");
    const Fd peer = plain_client(listener->local().port);
    const auto server = listener->accept(task);
    ASSERT_TRUE(server.has_value());
    // Not "::ffff:127.0.0.1": people and access rules know it by its own name.
    EXPECT_EQ((*server)->peer().host, "127.0.0.1");
  });
}

TEST(PosixNet, OutOfDescriptorsIsUnavailableAndPasses) {
  TestWorld().run([](Task& task, Shard& shard) {
    const auto listener = listening(task, shard.runtime, kHost);
    const Fd peer = plain_client(listener->local().port);
    std::vector<Fd> all;
    for (;;) {
      Fd fd(dup(peer.get()));
      if (!fd.valid()) break;
      all.push_back(std::move(fd));
    }
    expect_error(listener->accept(task), Errc::kUnavailable);
    expect_error(shard.runtime.net().connect(task, listener->local(), Instant::never()),
                 Errc::kUnavailable);
    all.clear();
    expect_ok(listener->accept(task));
  });
}

}  // namespace
}  // namespace taffrail::posix
