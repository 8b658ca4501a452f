// DescribeLogDirs: what this broker holds in each of its data directories, and how large it is. Each shard is asked for its
// own.
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

struct Directory {
  uint32_t number = 0;
  std::string failure;
  std::optional<DiskSpace> space;
  std::vector<Held> held;
  std::vector<protocol::DescribeLogDirsResponse::Trouble> troubles;
};

Directory directory_of(Task& task, BrokerShard& shard) {
  Directory out;
  out.number = shard.runtime().directory();
  out.failure = shard.directory_failure();
  if (!out.failure.empty()) return out;
  for (const Partition* partition : shard.partitions()) {
    const ReadView view = partition->view();
    out.held.push_back({partition->topic_name(), partition->key().partition, partition->size_bytes(),
                        std::max<int64_t>(view.high_watermark - view.log_end, 0)});
    const std::string trouble = partition->group() == nullptr ? std::string() : partition->group()->trouble();
    if (!trouble.empty()) out.troubles.push_back({partition->topic_name(), partition->key().partition, trouble, {}});
  }
  const RaftGroup* metadata = shard.driver() == nullptr ? nullptr : shard.driver()->find(kMetadataPartition);
  if (const std::string trouble = metadata == nullptr ? std::string() : metadata->trouble(); !trouble.empty())
    out.troubles.push_back({kMetadataTopic, 0, trouble, {}});
  if (!shard.runtime().is_first_of_directory()) return out;
  if (const auto space = shard.runtime().disk().space(task)) out.space = *space;
  return out;
}

}  // namespace

Outcome<protocol::DescribeLogDirsResponse> describe_log_dirs(const Request& request, protocol::DescribeLogDirsRequest message) {
  return Outcome<protocol::DescribeLogDirsResponse>::later([&broker = request.broker, message = std::move(message)](Task& task) {
    protocol::DescribeLogDirsResponse response;
    std::vector<Question<Directory>> questions;
    for (uint32_t i = 0; i < broker.runtime().shard_count(); ++i) {
      const auto answer = questions.emplace_back(broker.runtime()).answer();
      broker.shard(ShardId(i)).post(broker.runtime(), [answer](BrokerShard& shard) {
        shard.run("broker/log-dirs", [&shard, answer](Task& t) { answer.give(shard.runtime(), directory_of(t, shard)); });
      });
    }
    std::set<std::pair<std::string, int32_t>> wanted;
    if (message.topics)
      for (const auto& topic : *message.topics)
        for (const int32_t partition : topic.partitions) wanted.emplace(topic.topic, partition);

    const std::vector<std::string>& names = broker.config().data_dirs;
    response.results.resize(broker.runtime().directory_count());
    for (size_t i = 0; i < response.results.size(); ++i) response.results[i].log_dir = i < names.size() ? names[i] : std::string();
    std::vector<std::map<std::string, std::vector<protocol::DescribeLogDirsResponse::Partition>>> topics(response.results.size());
    for (auto& question : questions) {
      const auto one = question.wait(task, broker.runtime().now() + 10_s);
      if (!one) {
        response.error_code = ErrorCode::kRequestTimedOut;
        for (auto& directory : response.results) directory.error_code = ErrorCode::kRequestTimedOut;
        return response;
      }
      auto& directory = response.results[one->number];
      if (!one->failure.empty()) directory.error_code = ErrorCode::kKafkaStorageError;
      for (const Held& held : one->held)
        if (!message.topics || wanted.contains({held.topic, held.partition}))
          topics[one->number][held.topic].push_back({held.partition, static_cast<int64_t>(held.size), held.lag, false, {}});
      directory.troubles.insert(directory.troubles.end(), one->troubles.begin(), one->troubles.end());
      if (one->space) {
        directory.total_bytes = static_cast<int64_t>(one->space->total);
        directory.usable_bytes = static_cast<int64_t>(one->space->free);
      }
    }
    for (size_t i = 0; i < topics.size(); ++i) {
      for (auto& [name, partitions] : topics[i]) {
        std::sort(partitions.begin(), partitions.end(), [](const auto& a, const auto& b) { return a.partition_index < b.partition_index; });
        response.results[i].topics.push_back({name, std::move(partitions), {}});
      }
    }
    return response;
  });
}

}  // namespace taffrail::handlers
