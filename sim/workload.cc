#include "sim/workload.h"

#include <fmt/core.h>

#include <charconv>

#include "client/admin.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace taffrail::sim {
namespace {

constexpr uint64_t kNoId = UINT64_MAX;

uint64_t id_of(const client::ConsumedRecord& record) {
  // "<id>" and padding after a blank: what was sent is checked byte for byte by its batch's CRC.
  uint64_t id = kNoId;
  if (record.value) std::from_chars(record.value->data(), record.value->data() + record.value->size(), id);
  return id;
}

/// Writes down what one client is told.
class Recorder final : public client::ClientObserver {
 public:
  Recorder(History& history, World& world, uint32_t who) : history_(history), world_(world), who_(who) {}

  void on_send(uint64_t id, const client::TopicPartition& to, const client::Record&) override {
    history_.sent(id, who_, {to.topic, to.partition});
  }
  void on_ack(uint64_t id, const client::TopicPartition&, Offset offset) override {
    history_.settled(id, History::Outcome::kAcked, offset, world_.now());
  }
  void on_fail(uint64_t id, const client::TopicPartition&, const Error&) override {
    history_.settled(id, History::Outcome::kFailed, kNoOffset, world_.now());
  }
  void on_unknown(uint64_t id, const client::TopicPartition&, const Error&) override {
    history_.settled(id, History::Outcome::kUnknown, kNoOffset, world_.now());
  }
  void on_poll(const client::TopicPartition& at, Offset from, Offset next,
               std::span<const client::ConsumedRecord> records, Offset high_watermark, Offset log_start) override {
    History::Poll poll{who_, {at.topic, at.partition}, from, next, {}, high_watermark, log_start, world_.now()};
    for (const client::ConsumedRecord& record : records) poll.records.push_back({record.offset, id_of(record)});
    history_.polled(std::move(poll));
  }
  void on_reset(const client::TopicPartition& at, Offset from, Offset, const Error&) override {
    history_.reset(who_, {at.topic, at.partition}, from);
  }

 private:
  History& history_;
  World& world_;
  uint32_t who_;
};

}  // namespace

// Shared with the clients' fibers, which may outlive the workload in a world that is torn down.
struct Workload::Progress {
  bool created = false;
  uint32_t writers_left = 0;
  uint32_t readers_left = 0;
  bool stop_readers = false;
};

Workload::Workload(SimCluster& cluster, WorkloadOptions options)
    : cluster_(cluster), options_(std::move(options)), progress_(std::make_shared<Progress>()) {}
Workload::~Workload() = default;

bool Workload::topic_created() const { return progress_->created; }
bool Workload::writers_done() const { return progress_->created && progress_->writers_left == 0; }
bool Workload::readers_done() const { return progress_->readers_left == 0; }
void Workload::stop_readers() { progress_->stop_readers = true; }

void Workload::start() {
  World& world = cluster_.world();
  const NodeId machine = cluster_.client(0);
  Stream& draws = world.stream(StreamKind::kWorkload);
  const auto writers = static_cast<uint32_t>(draws.draw_between(1, 3, "writers"));
  progress_->writers_left = writers;
  progress_->readers_left = options_.readers;

  world.spawn(machine, "workload/admin", [this, progress = progress_](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    client::Admin admin(view);
    client::NewTopic topic{options_.topic, options_.partitions, options_.replication_factor, options_.topic_configs};
    topic.configs["min.insync.replicas"] = std::to_string(options_.min_insync_replicas);
    for (;;) {
      const auto created = admin.create_topic(task, topic, runtime.now() + 5_s);
      if (created || created.error().code == Errc::kExists) break;
      if (!runtime.sleep_for(task, 100_ms)) break;
    }
    progress->created = true;
    view.close(task);
  });

  uint64_t next_id = 0;
  for (uint32_t w = 0; w < writers; ++w) {
    client::ProducerOptions options;
    const uint64_t kind = draws.draw(10, "writer kind");
    options.idempotent = kind < 7;
    options.acks = kind == 9 ? 1 : kind == 8 ? 0 : -1;
    options.codec = static_cast<Codec>(draws.draw(2, "compressed") == 0 ? 0 : draws.draw_between(1, 4, "codec"));
    options.linger = Duration::from_ms(static_cast<int64_t>(draws.draw(20, "linger")));
    options.request_timeout = 2_s;
    options.delivery_timeout = options_.delivery_timeout;
    history_.writer(w, {options.acks == -1, options.idempotent});
    const uint32_t count = options_.operations / writers;
    const uint64_t first = next_id;
    next_id += count;
    const NodeId at = cluster_.client(w % static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count()));
    world.spawn(at, fmt::format("workload/writer-{}", w),
                [this, progress = progress_, w, options, count, first](Task& task, Runtime& runtime) {
      World& the_world = cluster_.world();
      Recorder recorder(history_, the_world, w);
      Stream& mine = the_world.stream(StreamKind::kWorkload, w + 1);
      client::Cluster view(runtime, cluster_.bootstrap());
      {
        client::Producer producer(view, options, &recorder);
        while (!progress->created)
          if (!runtime.sleep_for(task, 20_ms)) break;
        const Duration pause = options_.spread / static_cast<int64_t>(std::max(count, 1u));
        for (uint32_t i = 0; i < count && !task.cancelled(); ++i) {
          const auto partition = static_cast<int32_t>(mine.draw(static_cast<uint64_t>(options_.partitions), "partition"));
          const uint64_t size = mine.draw(10, "large") == 0 ? mine.draw(20'000, "size") : mine.draw(200, "size");
          client::Record record;
          record.key = std::to_string(mine.draw(50, "key"));
          record.value = std::to_string(first + i) + " " + std::string(size, 'x');
          (void)producer.send(task, options_.topic, partition, std::move(record), first + i, runtime.now() + 5_s);
          const auto wait = static_cast<int64_t>(mine.draw(static_cast<uint64_t>(2 * pause.ns), "pause"));
          if (!runtime.sleep_for(task, Duration{wait})) break;
        }
        (void)producer.flush(task, runtime.now() + 120_s);
        producer.close(task);
      }
      view.close(task);
      --progress->writers_left;
    });
  }

  for (uint32_t r = 0; r < options_.readers; ++r) {
    world.spawn(machine, fmt::format("workload/reader-{}", r), [this, progress = progress_, r](Task& task, Runtime& runtime) {
      Recorder recorder(history_, cluster_.world(), 100 + r);
      client::Cluster view(runtime, cluster_.bootstrap());
      while (!progress->created)
        if (!runtime.sleep_for(task, 20_ms)) break;
      {
        client::ConsumerOptions options;
        options.request_timeout = 2_s;
        client::Consumer consumer(view, options, &recorder);
        for (int32_t p = 0; p < options_.partitions; ++p) consumer.assign({options_.topic, p}, client::StartAt::start());
        while (!progress->stop_readers && !task.cancelled()) {
          const auto polled = consumer.poll(task, runtime.now() + 500_ms);
          if (!polled && !runtime.sleep_for(task, 50_ms)) break;
        }
        consumer.close(task);
      }
      view.close(task);
      --progress->readers_left;
    });
  }
}

void Workload::change(int32_t partition, const std::vector<uint32_t>& brokers, std::function<void()> done) {
  const auto clients = static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count());
  cluster_.world().spawn(cluster_.client(clients - 1), "workload/change",
                         [this, partition, brokers, done = std::move(done)](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    client::Admin admin(view);
    const client::TopicPartition at{options_.topic, partition};
    std::vector<BrokerId> to;
    for (const uint32_t broker : brokers) to.push_back(BrokerId(static_cast<int32_t>(broker)));
    const Instant deadline = runtime.now() + 5_s;
    const Result<> asked = to.empty() ? admin.elect_preferred(task, at, deadline) : admin.move_partition(task, at, to, deadline);
    if (asked) done();
    view.close(task);
  });
}

std::optional<std::string> Workload::read_finally(Duration limit) {
  std::optional<std::string> problem = "the final reader did not end";
  const bool ended = cluster_.world().run_fiber(cluster_.client(0), [&](Task& task, Runtime& runtime) {
    const Instant deadline = runtime.now() + limit;
    client::Cluster view(runtime, cluster_.bootstrap());
    client::Admin admin(view);
    problem.reset();
    for (int32_t p = 0; p < options_.partitions && !problem; ++p) {
      const client::TopicPartition at{options_.topic, p};
      Result<client::OffsetRange> asked = admin.offsets(task, at, deadline);
      // A leader that is cut off may still be named by another that is: ask until somebody knows better.
      while (!asked && runtime.now() < deadline && runtime.sleep_for(task, 500_ms))
        asked = admin.offsets(task, at, deadline);
      if (!asked) {
        problem = fmt::format("offsets of {}: {}", at.text(), asked.error().text());
        break;
      }
      const client::OffsetRange range = *asked;
      std::vector<History::Seen> records;
      client::Consumer consumer(view, {});
      consumer.assign(at, client::StartAt::offset(range.begin));
      while (consumer.position(at) < range.end) {
        const auto polled = consumer.poll(task, deadline);
        if (!polled || polled->empty()) {
          problem = fmt::format("reading {} stopped at {} of {}: {}", at.text(), consumer.position(at).value, range.end.value,
                                polled ? "no answer" : polled.error().text());
          break;
        }
        for (const client::Polled& part : *polled)
          for (const client::ConsumedRecord& record : part.records) records.push_back({record.offset, id_of(record)});
      }
      consumer.close(task);
      if (problem) break;
      // Retention may have moved the start while it was read.
      const Result<client::OffsetRange> now = admin.offsets(task, at, deadline);
      if (!now) {
        problem = fmt::format("offsets of {}: {}", at.text(), now.error().text());
        break;
      }
      std::erase_if(records, [&](const History::Seen& seen) { return seen.offset < now->begin; });
      history_.final_read({options_.topic, p}, std::move(records), now->begin, range.end);
    }
    view.close(task);
  }, limit + 5_s);
  if (!ended && !problem) problem = "the final reader did not end";
  return problem;
}

}  // namespace taffrail::sim
