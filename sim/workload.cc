#include "sim/workload.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "client/admin.h"
#include "client/cluster_admin.h"
#include "client/consumer.h"
#include "client/producer.h"
#include "protocol/alter_client_quotas.h"
#include "protocol/describe_client_quotas.h"
#include "protocol/errors.h"

namespace taffrail::sim {
namespace {

constexpr uint64_t kNoId = UINT64_MAX;
constexpr uint32_t kBurst = 8;  // Records.

/// A setting of a topic, and what it is to be from now on.
std::pair<const std::string, std::optional<std::string>> drawn_config(Stream& draws) {
  const uint64_t which = draws.draw(6, "which setting");
  if (which == 0) return {"message.timestamp.type", draws.draw(2, "times") == 0 ? "CreateTime" : "LogAppendTime"};
  if (which == 1) return {"min.insync.replicas", std::to_string(draws.draw_between(1, 2, "in sync"))};
  if (which == 2) return {"retention.bytes", std::to_string(draws.draw(2, "keep all") == 0 ? -1 : draws.draw_between(5'000, 50'000, "retention"))};
  return {"compression.type", kTopicCodecs[draws.draw(kTopicCodecs.size(), "which codec")]};
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
  void on_fail(uint64_t id, const client::TopicPartition&, const Error& why) override {
    if (why.message.starts_with(protocol::error_name(protocol::ErrorCode::kOutOfOrderSequenceNumber))) history_.out_of_order(id);
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

uint64_t id_of(const client::ConsumedRecord& record) {
  // "<id>" and padding after a blank: what was sent is checked byte for byte by its batch's CRC.
  uint64_t id = kNoId;
  if (record.value) std::from_chars(record.value->data(), record.value->data() + record.value->size(), id);
  return id;
}

// Shared with the clients' fibers, which may outlive the workload in a world that is torn down.
struct Workload::Progress {
  bool created = false;
  uint32_t writers_left = 0;  ///< And administrators.
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
    const int16_t factor = options_.default_replication ? int16_t{-1} : options_.replication_factor;
    client::NewTopic topic{options_.topic, options_.partitions, factor, options_.topic_configs};
    topic.configs["min.insync.replicas"] = std::to_string(options_.min_insync_replicas);
    for (;;) {
      const auto created = admin.create_topic(task, topic, runtime.now() + 5_s);
      if (created || created.error().code == Errc::kExists) break;
      if (!runtime.sleep_for(task, 100_ms)) break;
    }
    progress->created = true;
    view.close(task);
  });

  if (options_.changes_settings) {
    ++progress_->writers_left;
    administrate();
  }

  uint64_t next_id = 0;
  for (uint32_t w = 0; w < writers; ++w) {
    client::ProducerOptions options;
    const uint64_t kind = draws.draw(10, "writer kind");
    options.idempotent = kind < 7;
    options.acks = kind == 9 ? 1 : kind == 8 ? 0 : -1;
    options.codec = static_cast<Codec>(draws.draw(2, "compressed") == 0 ? 0 : draws.draw_between(1, 4, "codec"));
    options.linger = Duration::from_ms(static_cast<int64_t>(draws.draw(20, "linger")));
    // In bursts several batches are on their way at a time.
    const bool bursts = options_.bursts && world.stream(StreamKind::kWorkload, w + 1, 1).hits(1, 2, "in bursts");
    if (bursts) options.linger = Duration{};
    // One in four has sent so much before that its sequences soon begin anew.
    Stream& past = world.stream(StreamKind::kWorkload, w + 1, 2);
    if (past.hits(1, 4, "a long past")) options.first_sequence = Sequence(INT32_MAX - static_cast<int32_t>(past.draw(20, "how long")));
    options.request_timeout = 2_s;
    options.delivery_timeout = options_.delivery_timeout;
    history_.writer(w, {options.acks == -1, options.idempotent});
    const uint32_t count = options_.operations / writers;
    const uint64_t first = next_id;
    next_id += count;
    const NodeId at = cluster_.client(w % static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count()));
    world.spawn(at, fmt::format("workload/writer-{}", w),
                [this, progress = progress_, w, options, bursts, count, first](Task& task, Runtime& runtime) {
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
          auto wait = static_cast<int64_t>(mine.draw(static_cast<uint64_t>(2 * pause.ns), "pause"));
          if (bursts) wait = i % kBurst == kBurst - 1 ? wait * kBurst : wait / 100;
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
        // Half of them are given little at a time.
        Stream& limits = cluster_.world().stream(StreamKind::kWorkload, 50 + r);
        const bool little = limits.hits(1, 2, "little at a time");
        const int64_t most = limits.draw_between(1, 30'000, "bytes of an answer");
        if (little) options.max_bytes = static_cast<int32_t>(most);
        if (little) options.partition_max_bytes = static_cast<int32_t>(limits.draw_between(1, most, "of a partition"));
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

// A quota for another client id each time: brokers that hear no answer ask again, so that of two values of one setting the
// earlier may well be written last.
void Workload::administrate() {
  World& world = cluster_.world();
  const auto clients = static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count());
  world.spawn(cluster_.client(clients - 1), "workload/settings",
              [this, progress = progress_, settings = settings_](Task& task, Runtime& runtime) {
    Stream& draws = cluster_.world().stream(StreamKind::kWorkload, 0, 1);
    client::Cluster view(runtime, cluster_.bootstrap());
    client::Admin admin(view);
    while (!progress->created)
      if (!runtime.sleep_for(task, 20_ms)) break;
    const Instant end = runtime.now() + options_.spread;
    const int64_t pause = options_.spread.ms() / 20;
    bool aside = false;
    for (int i = 0; runtime.now() < end && runtime.sleep_for(task, Duration::from_ms(draws.draw_between(1, 2 * pause, "pause"))); ++i) {
      if (options_.other_topics && draws.hits(1, 8, "another topic")) {
        // One that is there already, or not any more, is as good.
        if (aside) (void)admin.delete_topic(task, "aside", runtime.now() + 2_s);
        else (void)admin.create_topic(task, {"aside", 2, options_.replication_factor}, runtime.now() + 2_s);
        aside = !aside;
        continue;
      }
      if (options_.deletes_records && draws.hits(1, 4, "records go")) {
        const client::TopicPartition of{options_.topic, static_cast<int32_t>(draws.draw(static_cast<uint64_t>(options_.partitions), "of which"))};
        const auto range = admin.offsets(task, of, runtime.now() + 2_s);
        if (!range) continue;
        Offset before(draws.draw_between(range->begin.value, range->end.value, "before which"));
        // Who deletes what has been worked on does so again and again, and does not wait for each.
        Scope purges;
        for (int64_t more = draws.draw_between(0, 9, "and more"); more >= 0; --more) {
          runtime.spawn(purges, "workload/purge", [this, &view, of, before, deadline = runtime.now() + 2_s](Task& purge) {
            if (!client::ClusterAdmin(view).trim(purge, of, before, deadline)) return;
            ++deletions_;
            history_.deleted({of.topic, of.partition}, before);
          });
          before = std::min(range->end, before + draws.draw_between(1, 20, "up to where then"));
          if (!runtime.sleep_for(task, Duration{draws.draw_between(0, 5'000'000, "until then")})) break;
        }
        purges.join(task);
        continue;
      }
      if (options_.alters_topic && draws.hits(1, 4, "another setting")) {
        (void)admin.alter_topic(task, options_.topic, {drawn_config(draws)}, runtime.now() + 2_s);
        continue;
      }
      const std::string name = fmt::format("client-{}", i);
      protocol::AlterClientQuotasRequest request;
      request.entries.push_back({{{"client-id", name, {}}}, {{"producer_byte_rate", 1e9, false, {}}}, {}});
      const Instant deadline = runtime.now() + 2_s;
      const auto connection = view.connect_any(task, deadline);
      if (!connection) continue;
      const auto answer = (*connection)->call(task, request, deadline);
      if (answer && answer->entries.size() == 1 && answer->entries[0].error_code == protocol::ErrorCode::kNone) settings->insert(name);
    }
    view.close(task);
    --progress->writers_left;
  });
}

// I-M3. The reason if it cannot be asked.
std::optional<std::string> Workload::check_settings(Task& task, client::Cluster& view, Instant deadline) {
  protocol::DescribeClientQuotasRequest request;
  request.components.push_back({"client-id", protocol::QuotaMatch::kAny, {}, {}});
  const auto connection = view.connect_any(task, deadline);
  if (!connection) return connection.error().text();
  const auto answer = (*connection)->call(task, request, deadline);
  if (!answer) return answer.error().text();
  if (!answer->entries) return fmt::format("quotas: error {}", static_cast<int>(answer->error_code));
  std::set<std::string> there;
  for (const auto& entry : *answer->entries)
    for (const auto& entity : entry.entity) there.insert(entity.entity_name.value_or(""));
  lost_setting_.clear();
  for (const std::string& name : *settings_)
    if (!there.contains(name)) lost_setting_ = fmt::format("lost-setting: the quota of {} was acknowledged, and is not there", name);
  return std::nullopt;
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

void Workload::retire(uint32_t broker, int64_t how, std::function<void()> done) {
  const auto clients = static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count());
  cluster_.world().spawn(cluster_.client(clients - 1), "workload/retire", [this, broker, how, done = std::move(done)](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    client::ClusterAdmin admin(view);
    std::optional<std::string> value;
    if (how != 0) value = how == 1 ? "leaders" : "replicas";
    const std::map<std::string, std::optional<std::string>> changes{{"taffrail.retire", std::move(value)}};
    if (admin.alter_configs(task, BrokerId(static_cast<int32_t>(broker)), changes, runtime.now() + 5_s)) done();
    view.close(task);
  });
}

void Workload::go_without() {
  const auto clients = static_cast<uint32_t>(cluster_.machines().size() - cluster_.broker_count());
  cluster_.world().spawn(cluster_.client(clients - 1), "workload/go-without", [this](Task& task, Runtime& runtime) {
    client::Cluster view(runtime, cluster_.bootstrap());
    client::Admin admin(view);
    const auto elect = [&](const client::TopicPartition& of) {
      if (admin.elect_unclean(task, of, runtime.now() + 5_s)) ++gone_without_;
    };
    elect({kMetadataTopic, 0});
    if (const auto topics = view.list_topics(task, runtime.now() + 5_s))
      for (const client::TopicView& topic : *topics)
        for (const client::PartitionView& p : topic.partitions)
          elect({topic.name, p.index});
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
    if (!settings_->empty()) {
      problem = check_settings(task, view, deadline);
      while (problem && runtime.now() < deadline && runtime.sleep_for(task, 500_ms)) problem = check_settings(task, view, deadline);
    }
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
