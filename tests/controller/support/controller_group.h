// Controllers over the real driver, log and links, in a simulated world: group 0 without the rest of a broker.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/controller.h"
#include "sim/world.h"
#include "storage/store.h"

namespace taffrail {

inline constexpr uint16_t kInternalPort = 9093;

/// One process: what a broker has around group 0, and nothing else.
struct ControllerProcess {
  ControllerProcess(Runtime& r, uint32_t n, uint32_t c, ControllerOptions o, DriverOptions d)
      : runtime(r), number(n), count(c), options(o), driver_options(d), peers(r, {}) {
    runtime.spawn(scope, "main", [this](Task& task) {
      const Result<> started = start(task);
      if (!started && started.error().code != Errc::kCancelled) runtime.stop_node(started.error().text());
    });
  }

  static ReplicaId replica_of(uint32_t n) {
    return {BrokerId(static_cast<int32_t>(n) + 1), DiskId{9, n + uint64_t{1}}};
  }
  static std::string host_of(uint32_t n) { return "n" + std::to_string(n + 1); }

  Result<> start(Task& task) {
    StoreOptions store_options;
    store_options.owner.disk = replica_of(number).disk;
    store_options.wal_first_segment_bytes = 64_KiB;
    store_options.wal_segment_bytes = 64_KiB;
    store_options.chunk_bytes = 4_KiB;
    store_options.quiet_bytes = 1_KiB;
    store_options.segment_bytes = 16_KiB;
    store = TRY(Store::open(task, runtime, store_options));
    driver = std::make_unique<RaftDriver>(runtime, *store, peers, replica_of(number), driver_options);
    driver->on_quarantine = [this](const PartitionKey&, const std::string& why) { quarantine = why; };
    driver->start();
    peers.on_message = [this](const PeerIdentity& from, PeerKind kind, Slice body) {
      driver->on_message(from, kind, std::move(body));
    };
    peers.on_link = [this](BrokerId node, bool up) { driver->on_link(node, up); };
    peers.serve("snapshot", [this](Task& t, const PeerIdentity&, Slice body) {
      return driver->serve(t, "snapshot", std::move(body));
    });
    PeerIdentity self{{1, 1}, replica_of(number), runtime.random().next()};
    TRY(peers.start(task, {host_of(number), kInternalPort}, self));
    Configuration voters;
    for (uint32_t n = 0; n < count; ++n) {
      voters.voters.push_back(replica_of(n));
      if (n != number) peers.set_address(replica_of(n).node, {host_of(n), kInternalPort});
    }
    Log* log = store->find_log(kMetadataPartition);
    if (log == nullptr) log = TRY(store->create_log(kMetadataPartition));
    controller = std::make_unique<Controller>(runtime, *driver, *log, peers, options);
    controller->on_applied = [this](const Entry*) { ++applied_calls; };
    TRY(controller->start(task, voters));
    ready = true;
    return {};
  }

  void stop(Task& task) {
    ready = false;
    controller->stop(task);
    driver->stop(task);
    peers.stop(task);
    controller.reset();
    driver.reset();
    store->close(task);
    store.reset();
  }

  Runtime& runtime;
  const uint32_t number;
  const uint32_t count;
  const ControllerOptions options;
  const DriverOptions driver_options;
  bool ready = false;
  std::string quarantine;
  uint64_t applied_calls = 0;
  std::unique_ptr<Store> store;
  Peers peers;
  std::unique_ptr<RaftDriver> driver;
  std::unique_ptr<Controller> controller;
  Scope scope;
};

class ControllerGroup {
 public:
  ControllerGroup(sim::World& world, uint32_t count, ControllerOptions options = {}, DriverOptions driver = {})
      : world_(world), processes_(count) {
    for (uint32_t n = 0; n < count; ++n) {
      world.add_node();
      world.start(node(n), [this, n, count, options, driver](Runtime& runtime) {
        auto process = std::make_shared<ControllerProcess>(runtime, n, count, options, driver);
        processes_[n] = process;
        return process;
      });
    }
  }

  static sim::NodeId node(uint32_t n) { return sim::NodeId(n); }
  uint32_t count() const { return static_cast<uint32_t>(processes_.size()); }
  /// Null while it is down or starting.
  ControllerProcess* process(uint32_t n) const {
    const auto process = processes_[n].lock();
    return process && process->ready && world_.up(node(n)) ? process.get() : nullptr;
  }
  Controller* controller(uint32_t n) const {
    ControllerProcess* p = process(n);
    return p == nullptr ? nullptr : p->controller.get();
  }
  /// The member that leads, in the highest term that any claims; nothing if none does.
  std::optional<uint32_t> leader() const {
    std::optional<uint32_t> best;
    Term best_term;
    for (uint32_t n = 0; n < count(); ++n) {
      Controller* c = controller(n);
      if (c == nullptr || !c->is_leader()) continue;
      const Term term = process(n)->driver->find(kMetadataPartition)->term();
      if (!best || term > best_term) {
        best = n;
        best_term = term;
      }
    }
    return best;
  }
  uint32_t await_leader() {
    EXPECT_TRUE(world_.run_until([this] { return leader().has_value(); }, 30_s)) << "nobody came to lead";
    return leader().value_or(0);
  }

  /// Asks member `n`, in a fiber of its own; the world goes on until it has an answer.
  Result<ControllerReply> ask(uint32_t n, const ControllerCommand& command, Duration limit = 10_s) {
    Result<ControllerReply> reply = fail(Errc::kInvalid, "not asked");
    world_.run_fiber(node(n), [&](Task& task, Runtime& runtime) {
      Controller* c = controller(n);
      if (c != nullptr) reply = c->submit(task, command, runtime.now() + limit);
    });
    return reply;
  }
  void register_all() {
    for (uint32_t n = 0; n < count(); ++n) {
      BrokerRecord broker;
      broker.replica = ControllerProcess::replica_of(n);
      broker.internal = {ControllerProcess::host_of(n), kInternalPort};
      const auto reply = ask(n, RegisterBrokerCommand{broker});
      ASSERT_TRUE(reply.has_value()) << reply.error().text();
      ASSERT_EQ(reply->items[0].error, protocol::ErrorCode::kNone);
    }
  }

  bool converged() const {
    const ClusterImage* first = nullptr;
    for (uint32_t n = 0; n < count(); ++n) {
      Controller* c = controller(n);
      if (c == nullptr) return false;
      if (first == nullptr) first = &c->image();
      if (!(c->image() == *first)) return false;
    }
    return leader().has_value();
  }
  /// Everybody is up, somebody leads, and one last command has reached all: then all images are equal.
  void expect_converged() {
    world_.heal();
    for (uint32_t n = 0; n < count(); ++n)
      if (!world_.up(node(n))) world_.restart(node(n));
    ASSERT_TRUE(world_.run_until([this] {
      for (uint32_t n = 0; n < count(); ++n)
        if (controller(n) == nullptr) return false;
      return true;
    }, 60_s));
    await_leader();
    const auto last = ask(0, AllocateProducerIdsCommand{ControllerProcess::replica_of(0).node}, 30_s);
    ASSERT_TRUE(last.has_value()) << last.error().text();
    ASSERT_TRUE(world_.run_until([this] { return converged(); }, 30_s)) << "the images differ";
    for (uint32_t n = 0; n < count(); ++n) EXPECT_EQ(process(n)->quarantine, "");
    EXPECT_FALSE(world_.failure().has_value()) << *world_.failure();
  }

 private:
  sim::World& world_;
  std::vector<std::weak_ptr<ControllerProcess>> processes_;
};

}  // namespace taffrail
