// What clients may use of this broker (KIP-13, KIP-124, KIP-546, KIP-599): how much they used lately, and for how long one
// that used too much is not heard.
//
// Use is counted per bucket: of a user, of a client id, or of both, as the quota that applies says. A bucket lives on one
// shard of the broker, wherever its clients are connected; only who has a quota is counted at all.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "controller/cluster_settings.h"

namespace taffrail {

class BrokerContext;
class Task;

enum class QuotaKind : uint8_t {
  kProduce,   ///< producer_byte_rate: bytes of Produce requests.
  kFetch,     ///< consumer_byte_rate: bytes of Fetch answers.
  kRequest,   ///< request_percentage: of one thread's time.
  kMutation,  ///< controller_mutation_rate: partitions created and deleted.
};

struct QuotaLimit {
  QuotaKind kind;
  std::string bucket;
  double per_second = 0;
};

/// The quota that applies to a client; nothing if none does. Of those that are set the most special one counts, in the
/// order of KIP-55: user and client id, the user alone, the client id alone, each by name before the default.
std::optional<QuotaLimit> find_quota(const ClusterSettings& settings, QuotaKind kind, const std::string& client_id);

/// The buckets of one shard.
///
/// Bytes and time are a rate over the last ten to eleven seconds (quota.window.num = 11): whoever was quiet may use ten
/// seconds' worth at once. Mutations are taken out of a bucket of tokens that holds eleven seconds' worth (KIP-599).
class Quotas {
 public:
  struct Taken {
    size_t count = 0;   ///< So many of the amounts were granted; the rest was not.
    Duration throttle;  ///< Until the client is within its quota again; 0: it is.
  };
  /// Counts `amounts`, one after the other. Of mutations, with `strictly`, none is granted while the bucket is
  /// overdrawn; everything else is granted, and paid for in time. A negative amount is given back.
  Taken take(const QuotaLimit& limit, const std::vector<double>& amounts, bool strictly, Instant now);
  size_t bucket_count() const { return buckets_.size(); }

 private:
  static constexpr size_t kSamples = 11;
  struct Bucket {
    std::array<double, kSamples> used{};   ///< Per second, by the second's number.
    std::array<int64_t, kSamples> second{};
    double tokens = 0;
    Instant filled;
    Instant touched;
  };
  Bucket& bucket(const QuotaLimit& limit, Instant now);
  static Duration rate(Bucket& bucket, const QuotaLimit& limit, double amount, Instant now);
  void sweep(Instant now);

  std::map<std::pair<QuotaKind, std::string>, Bucket> buckets_;
  size_t sweep_at_ = 1000;
};

/// The same, on whatever shard the bucket lives. What cannot be asked, because this broker is stopping, costs nothing.
Quotas::Taken take_quota(Task& task, BrokerContext& broker, const QuotaLimit& limit, std::vector<double> amounts,
                         bool strictly = false);

}  // namespace taffrail
