#include "sim/strangers.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "client/cluster_admin.h"
#include "client/fetch_session.h"
#include "client/fetched.h"
#include "net/peer_stream.h"
#include "net/peer_wire.h"
#include "protocol/codec.h"
#include "sim/workload.h"

namespace taffrail::sim {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr uint32_t kReader = 200;

}  // namespace

// Shared with their fibers, which may outlive them in a world that is torn down.
struct Strangers::Progress {
  bool stop = false;
  uint32_t running = 0;
  std::string wrong;
  uint64_t sessions = 0;
  uint64_t refusals = 0;
  uint64_t unread = 0;

  void tell(std::string what) {
    if (wrong.empty()) wrong = std::move(what);
  }
};

/// With one broker, from its first request to the last.
struct Strangers::Session {
  BrokerId broker = kNoBroker;
  int16_t version_max = 0;
  int32_t id = 0;
  int32_t epoch = 0;
  FetchRequest request;                    ///< All that it asks for, but for the offsets.
  std::map<int32_t, int32_t> epochs;       ///< By partition: of the leader that it asks for.
  std::map<int32_t, Offset> watermarks;    ///< As last told; none after an error.
  std::map<int32_t, uint32_t> passed_by;   ///< Answers in a row that had records of others only.
  std::set<int32_t> moved;                 ///< What is to be named anew.
};

Strangers::Strangers(SimCluster& cluster, History& history, StrangerOptions options)
    : cluster_(cluster), history_(history), options_(std::move(options)), progress_(std::make_shared<Progress>()) {}
Strangers::~Strangers() = default;

void Strangers::stop() { progress_->stop = true; }
bool Strangers::gone() const { return progress_->running == 0; }
const std::string& Strangers::told_wrong() const { return progress_->wrong; }
uint64_t Strangers::sessions() const { return progress_->sessions; }
uint64_t Strangers::refusals() const { return progress_->refusals; }
uint64_t Strangers::unread() const { return progress_->unread; }

void Strangers::start() {
  progress_->running = 3;
  cluster_.world().spawn(cluster_.client(0), "stranger/deaf", [this, progress = progress_](Task& task, Runtime& runtime) {
    ask_and_not_read(task, runtime, progress);
    --progress->running;
  });
  cluster_.world().spawn(cluster_.client(0), "stranger/fetcher", [this, progress = progress_](Task& task, Runtime& runtime) {
    fetch(task, runtime, progress);
    --progress->running;
  });
  cluster_.world().spawn(cluster_.client(0), "stranger/broker", [this, progress = progress_](Task& task, Runtime& runtime) {
    greet(task, runtime, progress);
    --progress->running;
  });
}

void Strangers::fetch(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress) {
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 400);
  client::Cluster view(runtime, cluster_.bootstrap());
  // In half of the runs followers are read from, too (KIP-392).
  bool asks_followers = draws.hits(1, 2, "from followers");
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(10, 300, "pause")))) {
    const std::map<std::string, std::optional<std::string>> anywhere{{"replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"}};
    if (asks_followers && client::ClusterAdmin(view).alter_configs(task, std::nullopt, anywhere, runtime.now() + 1_s)) asks_followers = false;
    Session session;
    session.broker = BrokerId(static_cast<int32_t>(1 + draws.draw(cluster_.broker_count(), "whom")));
    session.version_max = draws.draw(2, "topics by id") == 0 ? 12 : 17;
    const bool older = draws.hits(1, 4, "an older leader");
    const bool little = draws.hits(1, 2, "little at a time");
    const int64_t most = draws.draw_between(1, 3'000, "bytes of an answer");
    if (!view.refresh(task, {options_.topic}, runtime.now() + 1_s)) continue;
    const client::TopicView* topic = view.find_topic(options_.topic);
    if (topic == nullptr || topic->error != ErrorCode::kNone) continue;
    session.request.max_wait_ms = 100;
    session.request.min_bytes = 1;
    session.request.max_bytes = little ? static_cast<int32_t>(most) : 1 << 20;
    session.request.topics.push_back({topic->name, topic->id, {}, {}});
    for (const client::PartitionView& p : topic->partitions) {
      if (p.leader_epoch < 0) continue;
      const int32_t epoch = older ? std::max(0, p.leader_epoch - 1) : p.leader_epoch;
      session.epochs[p.index] = epoch;
      session.moved.insert(p.index);
      session.request.topics[0].partitions.push_back({.partition = p.index, .current_leader_epoch = epoch, .partition_max_bytes = 1 << 20});
    }
    if (!session.epochs.empty()) converse(task, view, session, *progress);
  }
  view.close(task);
}

// I-N5: a session goes from one epoch to the next, and what was asked for once stands.
void Strangers::converse(Task& task, client::Cluster& view, Session& session, Progress& progress) {
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 400);
  const int64_t turns = draws.draw_between(2, 60, "requests of a session");
  for (int64_t turn = 0; turn < turns && !progress.stop && !task.cancelled(); ++turn) {
    FetchRequest request = session.request;
    const bool wrong = session.epoch > 0 && draws.hits(1, 20, "another epoch than is due");
    const bool again = wrong && draws.hits(1, 2, "one that was") && session.epoch > 1;
    request.session_id = session.id;
    request.session_epoch = again ? session.epoch - 1 : wrong ? session.epoch + 1 : session.epoch;
    auto& partitions = request.topics[0].partitions;
    std::erase_if(partitions, [&](const auto& p) { return !session.moved.contains(p.partition); });
    for (auto& p : partitions) p.fetch_offset = next_[p.partition];
    if (partitions.empty()) request.topics.clear();
    session.moved.clear();
    const Instant deadline = view.runtime().now() + 2_s;
    const auto connection = view.connect(task, session.broker, deadline);
    if (!connection) return;
    const auto answer = (*connection)->call(task, request, deadline, session.version_max);
    if (!answer) return;
    if (wrong && answer->error_code == ErrorCode::kNone)
      progress.tell(fmt::format("I-N5 fetch sessions: broker {} takes epoch {} where {} is due", session.broker.value,
                                request.session_epoch, session.epoch));
    if (answer->error_code != ErrorCode::kNone || answer->session_id == 0) return;
    if (session.epoch == 1) ++progress.sessions;
    session.id = answer->session_id;
    session.epoch = client::FetchSession::epoch_after(session.epoch);
    hear(*answer, session, progress);
  }
}

void Strangers::hear(const FetchResponse& answer, Session& session, Progress& progress) {
  std::set<int32_t> served;
  std::map<int32_t, Offset> before = next_;
  const std::map<int32_t, Offset> known = session.watermarks;
  for (const auto& topic : answer.responses)
    for (const auto& p : topic.partitions) {
      const int32_t index = p.partition_index;
      const HistoryKey at{options_.topic, index};
      if (!session.epochs.contains(index)) continue;
      if (p.error_code != ErrorCode::kNone) {
        session.watermarks.erase(index);
        if (p.error_code != ErrorCode::kOffsetOutOfRange) continue;
        history_.reset(kReader, at, next_[index]);
        next_[index] = std::max(Offset(0), p.log_start_offset);
        session.moved.insert(index);
        continue;
      }
      session.watermarks[index] = p.high_watermark;
      const auto read = client::read_fetched(p.records.flat(), next_[index], {});
      if (!read) {
        progress.tell(fmt::format("I-N2 payloads verified: broker {} gives {}-{} from {} on: {}", session.broker.value, options_.topic,
                                  index, next_[index].value, read.error().text()));
        continue;
      }
      History::Poll poll{kReader, at, next_[index], read->next, {}, p.high_watermark, p.log_start_offset, cluster_.world().now()};
      for (const client::ConsumedRecord& record : read->records) {
        poll.records.push_back({record.offset, id_of(record)});
        if (record.leader_epoch > session.epochs[index])
          progress.tell(fmt::format("I-D6 epochs: broker {} gives a record of leader epoch {} to who asked for the leader of {}",
                                    session.broker.value, record.leader_epoch, session.epochs[index]));
      }
      history_.polled(std::move(poll));
      if (read->next == next_[index]) continue;
      next_[index] = read->next;
      session.moved.insert(index);
      served.insert(index);
    }
  if (served.empty()) return;
  // Whoever was given records waits behind the others.
  constexpr uint32_t kTurns = 10;
  for (const auto& [index, epoch] : session.epochs) {
    const auto told = known.find(index);
    const bool waits = told != known.end() && told->second > before[index] && session.watermarks.contains(index) && !served.contains(index);
    uint32_t& passed_by = session.passed_by[index];
    passed_by = waits ? passed_by + 1 : 0;
    if (passed_by > kTurns)
      progress.tell(fmt::format("I-N5 fetch sessions: broker {} has records of {}-{} from {} on, and gives those of others {} times in a row",
                                session.broker.value, options_.topic, index, before[index].value, passed_by));
  }
}

// I-R14: a broker of another cluster, which was given one of our addresses.
void Strangers::greet(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress) {
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 401);
  const PeerOptions options;
  Greeting hello;
  hello.from.cluster = {draws.draw(UINT64_MAX, "its cluster"), 1};
  hello.from.incarnation = 1;
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(100, 2'000, "pause")))) {
    const auto whom = static_cast<uint32_t>(draws.draw(cluster_.broker_count(), "whom"));
    const BrokerId named(static_cast<int32_t>(whom + 1));
    hello.from.replica.node = BrokerId(static_cast<int32_t>(1 + draws.draw(cluster_.broker_count(), "who")));
    hello.from.replica.disk = {draws.draw(UINT64_MAX, "its disk"), 1};
    hello.meant = draws.draw(2, "for one call") == 0 ? named : kNoBroker;
    const Instant deadline = runtime.now() + 2_s;
    auto socket = runtime.net().connect(task, {cluster_.world().name(cluster_.broker(whom)), SimCluster::kInternalPort}, deadline);
    if (!socket) continue;
    PeerStream stream(runtime, options, std::move(*socket));
    const Result<> said = stream.write(task, encode_greeting(hello), deadline);
    const Result<Slice> heard = said ? stream.read(task, deadline) : Result<Slice>(std::unexpected(said.error()));
    const auto back = heard ? decode_greeting(*heard) : Result<Greeting>(std::unexpected(heard.error()));
    if (back && back->kind == GreetingKind::kRefusal) ++progress->refusals;
    // One that is in no cluster yet takes whoever comes.
    if (back && back->kind == GreetingKind::kWelcome && !back->from.cluster.is_zero())
      progress->tell(fmt::format("I-R14 identity: broker {} of cluster {} welcomes one of {}", named.value, back->from.cluster.text(),
                                 hello.from.cluster.text()));
    stream.close({});
  }
}

void Strangers::ask_and_not_read(Task& task, Runtime& runtime, std::shared_ptr<Progress> progress) {
  Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 402);
  const std::vector<Endpoint> brokers = cluster_.bootstrap().bootstrap;
  while (!progress->stop && !task.cancelled() && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(100, 2'000, "pause")))) {
    protocol::FetchRequest request;
    request.max_wait_ms = static_cast<int32_t>(draws.draw(500, "longest wait"));
    request.max_bytes = 1 << 20;
    protocol::FetchRequest::Topic& topic = request.topics.emplace_back();
    topic.topic = options_.topic;
    for (int32_t p = 0; p < options_.partitions; ++p) topic.partitions.push_back({.partition = p, .fetch_offset = Offset(0), .partition_max_bytes = 1 << 20});
    const auto chain = protocol::encode_request<protocol::FetchRequest>(1, "deaf", request, 8);
    CHECK(chain.has_value());
    const std::vector<Slice> frames(1 + draws.draw(4, "how many"), chain->flat());
    const auto whom = draws.draw(brokers.size(), "whom");
    const Duration stays = Duration::from_ms(draws.draw_between(100, 8'000, "for how long"));
    auto socket = runtime.net().connect(task, brokers[whom], runtime.now() + 2_s);
    if (!socket) continue;
    if ((*socket)->write(task, frames, runtime.now() + 2_s)) ++progress->unread;
    for (const Instant end = runtime.now() + stays; !progress->stop && runtime.now() < end;)
      if (!runtime.sleep_for(task, 100_ms)) break;
  }
}

}  // namespace taffrail::sim
