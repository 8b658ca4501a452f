// Kafka's framing on a listener: a 4-byte big-endian length, then that many bytes, both ways; requests of
// one connection are begun in order and answered in order, and the next is read while the last waits.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "net/memory_budget.h"
#include "runtime/net.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

namespace taffrail {

/// Bytes in the order in which they go out, length prefix included. Record batches stand in it as they
/// came off a socket or out of the log: nobody copies them.
using Chain = std::vector<Slice>;
size_t chain_size(const Chain& chain);

/// What a connection is known by. Lives as long as the connection does; a handler may keep state in it.
struct ConnectionInfo {
  uint64_t id = 0;            ///< Counted per server.
  std::string listener;       ///< Name of the listener that accepted it ("PLAINTEXT").
  Endpoint peer;
  std::string client_id;      ///< As the last request gave it; escape before logging.
  std::string software_name;  ///< From ApiVersions 3+, else empty.
  std::string software_version;
  /// Its peer has taken more answers than a kernel holds for one that never reads.
  bool takes_answers = false;
  /// Set by the handler: no request of this connection is begun before. What was begun goes on.
  Instant muted_until = {};
  /// Added to by the handler: work that other shards did for this connection, and nobody has counted yet.
  Duration worked_elsewhere = {};
  /// Set by a `finish`: once that has returned, the connection is closed. What is due before it may get lost.
  std::string close_because;
};

/// What became of a request when the handler's ordered part returned.
struct Begun {
  /// The answer, or empty and `finish` set, or both empty: no answer is due (acks=0).
  std::optional<Chain> answer;
  /// Runs in a fiber of its own and gives the answer, an empty chain if none is due after all; it may
  /// wait as long as it likes (a long poll, a commit). Later requests are begun meanwhile, but answered
  /// after. Cancelled when the connection ends first; what it then gives is dropped.
  std::move_only_function<Chain(Task&)> finish;
  /// Set: the connection is closed after what is due before has been sent; one log line names the peer
  /// and this reason.
  std::string close_because;

  static Begun now(Chain chain);
  static Begun later(std::move_only_function<Chain(Task&)> finish);
  static Begun nothing();
  static Begun close(std::string why);
};

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  /// Asked once of each connection, before anything of it is read. For so long it is kept open, not heard, and then
  /// closed; zero: it is served.
  virtual Duration turn_away_for(Task& task, const ConnectionInfo& connection) {
    (void)task, (void)connection;
    return {};
  }
  /// `frame` is one request without its length. The next request of the same connection is not begun
  /// before this returns, so what must keep its order (appending) happens here.
  virtual Begun begin(Task& task, ConnectionInfo& connection, Slice frame) = 0;
};

struct ServerOptions {
  uint32_t frame_size_max = 104'857'600;  ///< socket.request.max.bytes: larger closes the connection.
  uint32_t in_flight_max = 64;            ///< Requests of one connection begun and not yet answered.
  ByteCount in_flight_bytes_max = 128_MiB;  ///< Of one connection, requests and unsent answers.
  uint32_t connections_max = 100'000;     ///< Further ones are closed at once.
  Duration idle_max = 600_s;  ///< connections.max.idle.ms, see Server.
  Duration nap_after = 1_s;   ///< A connection quiet for this long gives its buffer back.
  MemoryBudget* memory = nullptr;  ///< Shared with other servers; none: each connection has its own limit alone.
};

/// One listener and its connections.
///
/// A connection ends when the peer ends it, when the handler says so, at a length that is negative or
/// past the limit, and after idle_max in which nothing is in flight and no whole request came: a request
/// that dribbles in does not keep it, nor does a peer that takes none of its answers for as long. What
/// ends a connection against the peer's will is one log line. Requests in flight are cancelled then.
class Server {
 public:
  Server(Runtime& runtime, std::string listener_name, RequestHandler& handler, ServerOptions options);
  ~Server();

  /// bind() and accept_clients().
  Result<> start(Task& task, const Endpoint& at);
  /// Binds: local() is known, and nobody is accepted yet. Errors: as Net::listen.
  Result<> bind(Task& task, const Endpoint& at);
  void accept_clients();
  /// With the port really bound.
  Endpoint local() const;
  /// Accepts no more, closes every connection, ends every fiber.
  void stop(Task& task);
  size_t connection_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taffrail
