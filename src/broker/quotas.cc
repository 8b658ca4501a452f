#include "broker/quotas.h"

#include <algorithm>

#include "base/plant.h"
#include "broker/context.h"
#include "broker/shard.h"

namespace taffrail {
namespace {

constexpr int64_t kSecondMs = 1000;
// One client is not silenced for longer by the time that it took: more of it will come (Kafka's request quotas).
constexpr Duration kRequestThrottleMax = 1_s;
// A bucket that nobody touched for so long is as good as new.
constexpr Duration kForgetAfter = 60_s;
constexpr double kBurstSeconds = 11;
// Who has not proved to be anybody.
constexpr std::string_view kUser = "ANONYMOUS";

std::string_view key_of(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kProduce: return "producer_byte_rate";
    case QuotaKind::kFetch: return "consumer_byte_rate";
    case QuotaKind::kRequest: return "request_percentage";
    case QuotaKind::kMutation: return "controller_mutation_rate";
  }
  return {};
}

Duration seconds(double count) {
  constexpr double kMost = 1e9;
  return Duration::from_ms(static_cast<int64_t>(std::min(count, kMost) * 1000));
}

}  // namespace

std::optional<QuotaLimit> find_quota(const ClusterSettings& settings, QuotaKind kind, const std::string& client_id) {
  if (settings.quotas.empty()) return std::nullopt;
  using Name = std::optional<std::string>;
  const Name user{std::string(kUser)};
  const Name client{client_id};
  const Name all;
  const QuotaEntity order[] = {
      {{"user", user}, {"client-id", client}}, {{"user", user}, {"client-id", all}}, {{"user", user}},
      {{"user", all}, {"client-id", client}},  {{"user", all}, {"client-id", all}},  {{"user", all}},
      {{"client-id", client}},                 {{"client-id", all}},
  };
  for (const QuotaEntity& entity : order) {
    const auto found = settings.quotas.find(entity);
    if (found == settings.quotas.end()) continue;
    const auto value = found->second.find(key_of(kind));
    if (value == found->second.end()) continue;
    // Whoever is meant by the default is counted alone all the same.
    std::string bucket;
    if (entity.contains("user")) bucket += "u" + *user;
    if (entity.contains("client-id")) bucket += "/c" + client_id;
    return QuotaLimit{kind, std::move(bucket), value->second};
  }
  return std::nullopt;
}

void Quotas::sweep(Instant now) {
  if (buckets_.size() < sweep_at_) return;
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.touched > kForgetAfter; });
  sweep_at_ = std::max<size_t>(1000, 2 * buckets_.size());
}

Quotas::Bucket& Quotas::bucket(const QuotaLimit& limit, Instant now) {
  sweep(now);
  const auto [it, fresh] = buckets_.try_emplace({limit.kind, limit.bucket});
  Bucket& bucket = it->second;
  const double most = limit.per_second * kBurstSeconds;
  if (fresh) {
    bucket.tokens = most;
    bucket.second.fill(-static_cast<int64_t>(kSamples));
  } else {
    const double gained = static_cast<double>((now - bucket.filled).ms()) / kSecondMs * limit.per_second;
    bucket.tokens = std::min(most, bucket.tokens + gained);
  }
  bucket.filled = now;
  bucket.touched = now;
  return bucket;
}

// Counts, and says for how long nothing more may come so that the rate is within the limit again.
Duration Quotas::rate(Bucket& bucket, const QuotaLimit& limit, double amount, Instant now) {
  const int64_t ms = now.ns / 1'000'000;
  const int64_t second = ms / kSecondMs;
  const auto slot = static_cast<size_t>(second % static_cast<int64_t>(kSamples));
  if (bucket.second[slot] != second) {
    bucket.second[slot] = second;
    bucket.used[slot] = 0;
  }
  bucket.used[slot] += amount;
  double sum = 0;
  for (size_t i = 0; i < kSamples; ++i)
    if (second - bucket.second[i] < static_cast<int64_t>(kSamples)) sum += bucket.used[i];
  // The last ten whole seconds, and of this one what has passed of it.
  const double span = static_cast<double>(kSamples - 1) + static_cast<double>(ms % kSecondMs) / kSecondMs;
  const double over = sum / span - limit.per_second;
  if (over <= 0) return Duration{};
  return seconds(over / limit.per_second * span);
}

Quotas::Taken Quotas::take(const QuotaLimit& limit, const std::vector<double>& amounts, bool strictly, Instant now) {
  Taken taken;
  Bucket& b = bucket(limit, now);
  for (const double amount : amounts) {
    if (limit.kind == QuotaKind::kMutation) {
      if (strictly && b.tokens < 0 && amount >= 0) break;
      b.tokens = std::min(limit.per_second * kBurstSeconds, b.tokens - amount);
    } else {
      taken.throttle = rate(b, limit, amount, now);
    }
    ++taken.count;
  }
  if (limit.kind == QuotaKind::kMutation && b.tokens < 0) taken.throttle = seconds(-b.tokens / limit.per_second);
  if (limit.kind == QuotaKind::kRequest) taken.throttle = std::min(taken.throttle, kRequestThrottleMax);
  return taken;
}

Quotas::Taken take_quota(Task& task, BrokerContext& broker, const QuotaLimit& limit, std::vector<double> amounts, bool strictly) {
  Runtime& runtime = broker.runtime();
  // Any bucket is on one shard, and all buckets are on all of them.
  uint64_t hash = 14695981039346656037U;
  for (const char c : limit.bucket) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211U;
  const ShardId home(PLANT("M53") ? runtime.shard().value : static_cast<uint32_t>(hash % runtime.shard_count()));
  if (home == runtime.shard()) return broker.quotas().take(limit, amounts, strictly, runtime.now());
  Question<Quotas::Taken> question(runtime);
  const size_t count = amounts.size();
  broker.shard(home).post(runtime, [limit, amounts = std::move(amounts), strictly, answer = question.answer()](BrokerShard& s) {
    answer.give(s.runtime(), s.quotas().take(limit, amounts, strictly, s.runtime().now()));
  });
  const Result<Quotas::Taken> taken = question.wait(task, runtime.now() + 5_s);
  return taken ? *taken : Quotas::Taken{count, {}};
}

}  // namespace taffrail
