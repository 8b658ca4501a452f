// The topics of the cluster's image, as coordinators of groups ask for them.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "controller/cluster_view.h"
#include "controller/setting_keys.h"
#include "group/topics.h"

namespace taffrail {

class ImageTopics final : public group::Topics {
 public:
  /// Outlives this. Before it there is nothing.
  void set(const ClusterView& cluster) { cluster_ = &cluster; }
  /// The image may be another one.
  void on_applied() { ++version_; }

  int64_t version() const override { return version_; }
  std::optional<group::Topic> find(std::string_view name) const override {
    return cluster_ == nullptr ? std::nullopt : shown(cluster_->image().find_topic(name));
  }
  std::optional<group::Topic> find(const TopicId& id) const override {
    return cluster_ == nullptr ? std::nullopt : shown(cluster_->image().find_topic(id));
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    if (cluster_ == nullptr) return out;
    for (const auto& [name, id] : cluster_->image().names()) out.push_back(name);
    return out;
  }
  std::vector<std::vector<std::string>> racks(const TopicId& id) const override {
    std::vector<std::vector<std::string>> out;
    const TopicRecord* topic = cluster_ == nullptr ? nullptr : cluster_->image().find_topic(id);
    if (topic == nullptr) return out;
    for (const PartitionRecord& partition : topic->partitions) {
      std::set<std::string> racks;
      for (const ReplicaId& replica : partition.replicas)
        if (const BrokerRecord* broker = cluster_->image().find_broker(replica.node); broker != nullptr && broker->rack)
          racks.insert(*broker->rack);
      out.emplace_back(racks.begin(), racks.end());
    }
    return out;
  }

  group::Settings settings_of(std::string_view group) const override {
    if (cluster_ == nullptr || cluster_->image().settings().groups.empty()) return {};
    const GroupSettings set = group_settings(cluster_->image(), group);
    return {set.session_timeout, set.heartbeat_interval, set.assignment_interval};
  }

 private:
  static std::optional<group::Topic> shown(const TopicRecord* topic) {
    if (topic == nullptr) return std::nullopt;
    return group::Topic{topic->id, topic->name, static_cast<int32_t>(topic->partitions.size())};
  }

  const ClusterView* cluster_ = nullptr;
  int64_t version_ = 0;
};

}  // namespace taffrail
