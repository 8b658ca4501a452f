#include "broker/retiring.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/plant.h"
#include "controller/retiring.h"
#include "controller/setting_keys.h"

namespace taffrail {
namespace {

constexpr Duration kLook = 500_ms;

}  // namespace

std::optional<ReplicaId> pass_on(RaftGroup& group, const ClusterImage& image, const std::vector<BrokerId>& alive) {
  return group.hand_over([&](BrokerId node) { return takes_replicas(image, node) && std::binary_search(alive.begin(), alive.end(), node); });
}

// A look now and then for as long as there is something to do, and none otherwise.
Result<> Retiring::await_retirement(Task& task, const std::function<bool()>& wanted) {
  while (!wanted()) TRY(changed_.wait(task));
  return runtime_.sleep_for(task, kLook);
}

void Retiring::run_moves(Task& task) {
  size_t said = 0;
  const auto somebody = [this] {
    const auto& brokers = controller_.image().settings().brokers;
    return std::any_of(brokers.begin(), brokers.end(), [this](const auto& broker) {
      return retirement_of(controller_.image(), broker.first) == Retirement::kReplicas;
    });
  };
  while (await_retirement(task, somebody)) {
    if (controller_.is_leader()) {
      const RetiringStep step = next_retiring_step(controller_.image(), alive_());
      if (step.stuck != said && step.stuck > 0)
        runtime_.log().warn("node", "{} partitions cannot leave the brokers that retire: no broker that stays is alive "
                            "and has none of their replicas", step.stuck);
      said = step.stuck;
      // What is refused, or comes to nothing, is decided anew on what is then the image.
      if (!step.moves.partitions.empty()) (void)controller_.submit(task, step.moves, runtime_.now() + 5_s);
    } else {
      said = 0;
    }
  }
}

void Retiring::run_leaving(Task& task) {
  const auto me = [this] { return retirement_of(controller_.image(), self_.node) == Retirement::kReplicas; };
  // The image may say so before the answer does, and forgets then that this broker was to leave.
  const auto gone = [this] { return controller_.image().settings().unregistered.contains(self_.node) && !PLANT("M64"); };
  const auto end = [this] { runtime_.stop_node(fmt::format("broker {} has left the cluster: nothing is left on it", self_.node.value)); };
  while (await_retirement(task, [&] { return me() || gone(); })) {
    if (gone()) return end();
    if (!me() || controller_.image().has_replicas_on(self_.node)) continue;
    const RaftGroup* group = driver_.find(kMetadataPartition);
    if (group == nullptr || group->configuration().is_voter(self_)) continue;
    const Result<ControllerReply> reply =
        controller_.submit_and_go(task, UnregisterBrokerCommand{self_.node, true}, runtime_.now() + 5_s);
    if (!reply || reply->items.size() != 1) continue;
    // An answer that got lost: it has happened before.
    const protocol::ErrorCode error = reply->items[0].error;
    if (error != protocol::ErrorCode::kNone && error != protocol::ErrorCode::kBrokerIdNotRegistered) continue;
    return end();
  }
}

bool Retiring::pass_on_group_zero() {
  RaftGroup* group = driver_.find(kMetadataPartition);
  if (group == nullptr || group->role() != Role::kLeader) return false;
  if (takes_replicas(controller_.image(), self_.node)) return false;
  return pass_on(*group, controller_.image(), alive_()).has_value();
}

}  // namespace taffrail
