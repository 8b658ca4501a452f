// What clients may use of this broker (KIP-13, KIP-124, KIP-546, KIP-599, KIP-612): how much they used lately, and for
// how long one that used too much is not heard.
//
// Use is counted per bucket: of a user, of a client id, or of both, as the quota that applies says; of an address. A
// bucket lives on one shard of the broker, wherever its clients are connected; only who has a quota is counted at all.
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
  kProduce,     ///< producer_byte_rate: bytes of Produce requests.
  kFetch,       ///< consumer_byte_rate: bytes of Fetch answers.
  kRequest,     ///< request_percentage: of one thread's time. Counted in nanoseconds.
  kMutation,    ///< controller_mutation_rate: partitions created and deleted.
  kConnection,  ///< connection_creation_rate: connections that one address opens.
};

struct QuotaLimit {
  QuotaKind kind;
  std::string bucket;
  int64_t per_1000_s = 0;  ///< At least 1.
};

/// The quota that applies to a client; nothing if none does. Of those that are set the most special one counts, in the
/// order of KIP-55: user and client id, the user alone, the client id alone, each by name before the default.
std::optional<QuotaLimit> find_quota(const ClusterSettings& settings, QuotaKind kind, const std::string& client_id);
/// The one of connections from `host`, as Connection::peer() has it: its own, whichever way that is written, or the
/// default one.
std::optional<QuotaLimit> find_connection_quota(const ClusterSettings& settings, const std::string& host);
/// What may be used at once after a silence, where a rate is kept.
int64_t window_of(const QuotaLimit& limit);

/// The buckets of one shard.
///
/// Bytes, time and connections are a rate over the last ten to eleven seconds (quota.window.num = 11): whoever was quiet
/// may use ten seconds' worth at once. Mutations are taken out of a bucket of tokens that holds eleven seconds' worth
/// (KIP-599).
class Quotas {
 public:
  struct Taken {
    size_t count = 0;   ///< So many of the amounts were granted; the rest was not.
    Duration throttle;  ///< Until the client is within its quota again; 0: it is. For time and connections 1 s at most.
  };
  /// Counts `amounts`, one after the other. A connection beyond the quota is not granted, and does not count. Of mutations,
  /// with `strictly`, none is granted while the bucket is overdrawn; everything else is granted, and paid for in time. A
  /// negative amount is given back.
  Taken take(const QuotaLimit& limit, const std::vector<int64_t>& amounts, bool strictly, Instant now);
  size_t bucket_count() const { return buckets_.size(); }

 private:
  static constexpr size_t kSamples = 11;
  struct Bucket {
    std::array<int64_t, kSamples> used{};  ///< In each of the last seconds, by the second's number.
    std::array<int64_t, kSamples> second{};
    Instant paid;     ///< Of tokens: when all that was taken is there again.
    Instant touched;
  };
  Bucket& bucket(const QuotaLimit& limit, Instant now);
  static Duration over(Bucket& bucket, const QuotaLimit& limit, int64_t amount, Instant now);
  void sweep(Instant now);

  std::map<std::pair<QuotaKind, std::string>, Bucket> buckets_;
  size_t sweep_at_ = 1000;
};

/// The same, on whatever shard the bucket lives. What cannot be asked, because this broker is stopping, costs nothing.
Quotas::Taken take_quota(Task& task, BrokerContext& broker, const QuotaLimit& limit, std::vector<int64_t> amounts,
                         bool strictly = false);

}  // namespace taffrail
