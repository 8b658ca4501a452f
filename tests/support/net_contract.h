// What runtime/net.h promises, as scripts that any world can be put through. Both ends are on one
// shard; `host` is the name under which it reaches itself. No script cares how fast anything is.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/runtime.h"

namespace taffrail::contract {

struct NetScript {
  const char* claim;
  void (*run)(Task& task, Runtime& runtime, const std::string& host);
};
inline void PrintTo(const NetScript& script, std::ostream* out) { *out << script.claim; }

namespace net_detail {

inline void expect_ok(const auto& result) {
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text());
}

inline void expect_error(const auto& result, Errc code) {
  EXPECT_FALSE(result.has_value());
  if (!result) {
    EXPECT_EQ(result.error().code, code) << result.error().text();
  }
}

struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connection> client;
  std::unique_ptr<Connection> server;
  explicit operator bool() const { return client != nullptr && server != nullptr; }
};

inline std::unique_ptr<Listener> listening(Task& task, Runtime& runtime, const std::string& host) {
  Result<std::unique_ptr<Listener>> listener = runtime.net().listen(task, {host, 0});
  expect_ok(listener);
  return listener ? std::move(*listener) : nullptr;
}

inline Pair connected(Task& task, Runtime& runtime, const std::string& host) {
  Pair pair;
  pair.listener = listening(task, runtime, host);
  if (!pair.listener) return pair;
  Scope scope;
  runtime.spawn(scope, "accept", [&](Task& inner) {
    Result<std::unique_ptr<Connection>> got = pair.listener->accept(inner);
    expect_ok(got);
    if (got) pair.server = std::move(*got);
  });
  Result<std::unique_ptr<Connection>> got =
      runtime.net().connect(task, pair.listener->local(), runtime.now() + 60_s);
  expect_ok(got);
  if (got) {
    pair.client = std::move(*got);
  } else {
    scope.cancel();
  }
  scope.join(task);
  return pair;
}

/// Up to `count` bytes; fewer at the peer's end or an error.
inline std::string read_up_to(Task& task, Connection& from, size_t count) {
  std::string text(count, '?');
  size_t at = 0;
  while (at < count) {
    const Result<size_t> got =
        from.read(task, {reinterpret_cast<uint8_t*>(text.data()) + at, count - at});
    if (!got || *got == 0) break;
    at += *got;
  }
  text.resize(at);
  return text;
}

inline std::string pattern(size_t count, uint64_t key) {
  std::string text(count, '\0');
  for (size_t i = 0; i < count; ++i) text[i] = static_cast<char>(mix64(key, i / 8) >> (i % 8 * 8));
  return text;
}

inline void echo(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  EXPECT_EQ(pair.client->peer(), pair.server->local());
  EXPECT_EQ(pair.server->peer(), pair.client->local());
  EXPECT_EQ(pair.listener->local().port, pair.client->peer().port);
  expect_ok(pair.client->write(task, Slice("ping")));
  EXPECT_EQ(read_up_to(task, *pair.server, 4), "ping");
  expect_ok(pair.server->write(task, Slice("pong!")));
  EXPECT_EQ(read_up_to(task, *pair.client, 5), "pong!");
}

inline void refused(Task& task, Runtime& runtime, const std::string& host) {
  const std::unique_ptr<Listener> listener = listening(task, runtime, host);
  if (!listener) return;
  const Endpoint at = listener->local();
  EXPECT_NE(at.port, 0);
  listener->close();
  expect_error(runtime.net().connect(task, at, runtime.now() + 60_s), Errc::kRefused);
}

inline void in_use(Task& task, Runtime& runtime, const std::string& host) {
  const std::unique_ptr<Listener> listener = listening(task, runtime, host);
  if (!listener) return;
  expect_error(runtime.net().listen(task, listener->local()), Errc::kBusy);
  const Endpoint at = listener->local();
  listener->close();
  const auto again = runtime.net().listen(task, at);
  expect_ok(again);
}

inline void orderly_end(Task& task, Runtime& runtime, const std::string& host) {
  Pair pair = connected(task, runtime, host);
  if (!pair) return;
  expect_ok(pair.server->write(task, Slice("last words")));
  pair.server.reset();
  EXPECT_EQ(read_up_to(task, *pair.client, 100), "last words");
  std::vector<uint8_t> into(10);
  const Result<size_t> end = pair.client->read(task, into);
  expect_ok(end);
  if (end) {
    EXPECT_EQ(*end, 0u);
  }
}

inline void gathers(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  const std::string whole = pattern(2'000'000, 1);
  const Slice bytes(whole);
  std::vector<Slice> parts;
  size_t at = 0;
  for (size_t i = 0; at < whole.size(); ++i) {
    const size_t size = i % 5 == 0 ? 0 : std::min<size_t>(i % 3001, whole.size() - at);
    parts.push_back(bytes.sub(at, size));
    at += size;
  }
  EXPECT_GT(parts.size(), 1024u);
  Scope scope;
  runtime.spawn(scope, "writer", [&](Task& inner) {
    expect_ok(pair.client->write(inner, parts));
    pair.client->close();
  });
  EXPECT_TRUE(read_up_to(task, *pair.server, whole.size() + 1) == whole);
  scope.join(task);
}

inline void back_pressure(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  // More than any window holds, to a peer that does not read.
  const Slice flood(pattern(64 << 20, 2));
  expect_error(pair.client->write(task, flood, runtime.now() + 50_ms), Errc::kTimedOut);
  // What the peer does read then is the beginning of it.
  EXPECT_TRUE(read_up_to(task, *pair.server, 1000) == as_text(flood.view().first(1000)));
}

inline void full_duplex(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  constexpr size_t kBytes = 3 << 20;
  Scope scope;
  // Each side sends all of its own before it is done reading: neither may wait for the other to
  // finish.
  for (Connection* side : {pair.client.get(), pair.server.get()}) {
    const uint64_t mine = side == pair.client.get() ? 10 : 11;
    runtime.spawn(scope, "writer", [side, mine](Task& inner) {
      expect_ok(side->write(inner, Slice(pattern(kBytes, mine))));
    });
    runtime.spawn(scope, "reader", [side, mine](Task& inner) {
      EXPECT_TRUE(read_up_to(inner, *side, kBytes) == pattern(kBytes, 21 - mine));
    });
  }
  scope.join(task);
}

inline void cancel_read(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  Scope scope;
  runtime.spawn(scope, "reader", [&](Task& inner) {
    std::vector<uint8_t> into(10);
    expect_error(pair.client->read(inner, into), Errc::kCancelled);
  });
  runtime.scheduler().yield(task);
  scope.cancel();
  scope.join(task);
  // The stream itself is none the worse for it.
  expect_ok(pair.server->write(task, Slice("still")));
  EXPECT_EQ(read_up_to(task, *pair.client, 5), "still");
}

inline void deadline(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  std::vector<uint8_t> into(10);
  const Instant until = runtime.now() + 5_ms;
  expect_error(pair.client->read(task, into, until), Errc::kTimedOut);
  EXPECT_GE(runtime.now(), until);
  expect_ok(pair.server->write(task, Slice("late")));
  EXPECT_EQ(read_up_to(task, *pair.client, 4), "late");
}

inline void close_wakes(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  Scope scope;
  runtime.spawn(scope, "reader", [&](Task& inner) {
    std::vector<uint8_t> into(10);
    expect_error(pair.client->read(inner, into), Errc::kClosed);
  });
  runtime.spawn(scope, "writer", [&](Task& inner) {
    expect_error(pair.client->write(inner, Slice(pattern(64 << 20, 3))), Errc::kClosed);
  });
  // Until both wait: the writer does once the window is full.
  expect_ok(runtime.sleep_for(task, 20_ms));
  pair.client->close();
  scope.join(task);
  std::vector<uint8_t> into(10);
  expect_error(pair.client->read(task, into), Errc::kClosed);
  expect_error(pair.client->write(task, Slice("x")), Errc::kClosed);
}

inline void listener_close(Task& task, Runtime& runtime, const std::string& host) {
  const std::unique_ptr<Listener> listener = listening(task, runtime, host);
  if (!listener) return;
  Scope cancelled;
  runtime.spawn(cancelled, "accept",
                [&](Task& inner) { expect_error(listener->accept(inner), Errc::kCancelled); });
  runtime.scheduler().yield(task);
  cancelled.cancel();
  cancelled.join(task);
  Scope closed;
  runtime.spawn(closed, "accept",
                [&](Task& inner) { expect_error(listener->accept(inner), Errc::kClosed); });
  runtime.scheduler().yield(task);
  listener->close();
  closed.join(task);
  expect_error(listener->accept(task), Errc::kClosed);
}

inline void sends_files(Task& task, Runtime& runtime, const std::string& host) {
  const Pair pair = connected(task, runtime, host);
  if (!pair) return;
  const std::string content = pattern(3'000'001, 4);
  const auto file = runtime.disk().open(task, "segment", OpenMode::kCreate);
  expect_ok(file);
  if (!file) return;
  expect_ok((*file)->write_at(task, 0, as_bytes(content)));
  expect_error(pair.client->send_file(task, **file, 3'000'000, 2), Errc::kOutOfRange);
  expect_error(pair.client->send_file(task, **file, 4'000'000, 0), Errc::kOutOfRange);
  Scope scope;
  runtime.spawn(scope, "sender", [&](Task& inner) {
    expect_ok(pair.client->write(inner, Slice("head:")));
    expect_ok(pair.client->send_file(inner, **file, 17, 2'500'000));
    expect_ok(pair.client->send_file(inner, **file, 3'000'001, 0));
    expect_ok(pair.client->send_file(inner, **file, 3'000'000, 1));
    pair.client->close();
  });
  const std::string want = "head:" + content.substr(17, 2'500'000) + content.substr(3'000'000);
  EXPECT_TRUE(read_up_to(task, *pair.server, want.size() + 1) == want);
  scope.join(task);
}

inline void peer_gone(Task& task, Runtime& runtime, const std::string& host) {
  Pair pair = connected(task, runtime, host);
  if (!pair) return;
  pair.server.reset();
  // The first write may still find room here; that nobody takes it is found out in the end.
  const Slice bytes(pattern(1 << 20, 5));
  Result<> wrote;
  for (int i = 0; i < 100 && wrote; ++i) {
    wrote = pair.client->write(task, bytes, runtime.now() + 60_s);
    expect_ok(runtime.sleep_for(task, 1_ms));
  }
  expect_error(wrote, Errc::kClosed);
  expect_error(pair.client->write(task, bytes), Errc::kClosed);
}

}  // namespace net_detail

inline const std::vector<NetScript>& net_scripts() {
  using namespace net_detail;  // NOLINT: the scripts above, and nothing else.
  static const std::vector<NetScript> scripts{
      {"BytesGoBothWaysBetweenNamedEnds", echo},
      {"ConnectingToNobodyIsRefused", refused},
      {"AnAddressHasOneListener", in_use},
      {"TheLastBytesComeBeforeTheEnd", orderly_end},
      {"WritesTakeThousandsOfParts", gathers},
      {"AWriterWaitsForItsReader", back_pressure},
      {"BothSidesSendAtOnce", full_duplex},
      {"CancellationEndsARead", cancel_read},
      {"ADeadlineEndsARead", deadline},
      {"CloseWakesReaderAndWriter", close_wakes},
      {"AListenerEndsByCancelAndClose", listener_close},
      {"FilesAreSentByRange", sends_files},
      {"AWriterLearnsThatItsPeerIsGone", peer_gone},
  };
  return scripts;
}

}  // namespace taffrail::contract
