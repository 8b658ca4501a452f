// DescribeLogDirs: what this broker holds, and how large it is. Of all shards: each is asked for its own.
#include <map>
#include <set>

#include "broker/handlers.h"
#include "broker/shard.h"

namespace taffrail::handlers {

using protocol::ErrorCode;

namespace {

struct Held {
  std::string topic;
  int32_t partition = 0;
  ByteCount size = 0;
  int64_t lag = 0;
};

std::vector<Held> held_by(BrokerShard& shard) {
  std::vector<Held> out;
  for (const Partition* partition : shard.partitions()) {
    const ReadView view = partition->view();
    out.push_back({partition->topic_name(), partition->key().partition, partition->size_bytes(),
                   std::max<int64_t>(view.high_watermark - view.log_end, 0)});
  }
  return out;
}

}  // namespace

Outcome<protocol::DescribeLogDirsResponse> describe_log_dirs(const Request& request, protocol::DescribeLogDirsRequest message) {
  return Outcome<protocol::DescribeLogDirsResponse>::later([&broker = request.broker, message = std::move(message)](Task& task) {
    protocol::DescribeLogDirsResponse response;
    std::vector<Question<std::vector<Held>>> questions;
    for (uint32_t i = 0; i < broker.runtime().shard_count(); ++i) {
      const auto answer = questions.emplace_back(broker.runtime()).answer();
      broker.shard(ShardId(i)).post(broker.runtime(), [answer](BrokerShard& shard) { answer.give(shard.runtime(), held_by(shard)); });
    }
    std::set<std::pair<std::string, int32_t>> wanted;
    if (message.topics)
      for (const auto& topic : *message.topics)
        for (const int32_t partition : topic.partitions) wanted.emplace(topic.topic, partition);

    auto& directory = response.results.emplace_back();
    directory.log_dir = broker.config().data_dir;
    std::map<std::string, std::vector<protocol::DescribeLogDirsResponse::Partition>> topics;
    for (auto& question : questions) {
      const auto held = question.wait(task, broker.runtime().now() + 10_s);
      if (!held) {
        directory.error_code = response.error_code = ErrorCode::kRequestTimedOut;
        return response;
      }
      for (const Held& one : *held)
        if (!message.topics || wanted.contains({one.topic, one.partition}))
          topics[one.topic].push_back({one.partition, static_cast<int64_t>(one.size), one.lag, false, {}});
    }
    for (auto& [name, partitions] : topics) {
      std::sort(partitions.begin(), partitions.end(), [](const auto& a, const auto& b) { return a.partition_index < b.partition_index; });
      directory.topics.push_back({name, std::move(partitions), {}});
    }
    if (const auto space = broker.runtime().disk().space(task)) {
      directory.total_bytes = static_cast<int64_t>(space->total);
      directory.usable_bytes = static_cast<int64_t>(space->free);
    }
    return response;
  });
}

}  // namespace taffrail::handlers
