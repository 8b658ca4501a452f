#include "broker/quotas.h"

#include <algorithm>

#include "base/ip_address.h"
#include "base/plant.h"
#include "broker/context.h"
#include "broker/shard.h"

namespace taffrail {
namespace {

// One client is not silenced for longer by what it will go on with anyway (Kafka: quota.window.size.seconds).
constexpr Duration kThrottleMax = 1_s;
// A bucket that nobody touched for so long is as good as new.
constexpr Duration kForgetAfter = 60_s;
constexpr Duration kWindow = 10_s;
constexpr Duration kBurst = 11_s;
// Who has not proved to be anybody.
constexpr std::string_view kUser = "ANONYMOUS";

std::string_view key_of(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kProduce: return "producer_byte_rate";
    case QuotaKind::kFetch: return "consumer_byte_rate";
    case QuotaKind::kRequest: return "request_percentage";
    case QuotaKind::kMutation: return "controller_mutation_rate";
    case QuotaKind::kConnection: return "connection_creation_rate";
  }
  return {};
}

// A quota is a float64 on the wire; from here on it is a whole number.
int64_t per_1000_s(QuotaKind kind, double value) {
  constexpr double kMost = 1e18;
  constexpr double kPercentNs = 1e7;
  return static_cast<int64_t>(std::clamp(value * 1000 * (kind == QuotaKind::kRequest ? kPercentNs : 1), 1.0, kMost));
}

/// How long an amount takes at the rate of its quota.
Duration price(int64_t amount, const QuotaLimit& limit) {
  constexpr __int128 kMost = INT64_MAX / 4;
  return {static_cast<int64_t>(std::clamp<__int128>(static_cast<__int128>(amount) * 1'000'000'000'000 / limit.per_1000_s, -kMost, kMost))};
}

/// The quota of that kind that is set for this entity.
const double* find_value(const ClusterSettings& settings, const QuotaEntity& entity, QuotaKind kind) {
  const auto found = settings.quotas.find(entity);
  if (found == settings.quotas.end()) return nullptr;
  const auto value = found->second.find(key_of(kind));
  return value == found->second.end() ? nullptr : &value->second;
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
    const double* value = find_value(settings, entity, kind);
    if (value == nullptr) continue;
    // Whoever is meant by the default is counted alone all the same.
    std::string bucket;
    if (entity.contains("user")) bucket += "u" + *user;
    if (entity.contains("client-id")) bucket += "/c" + client_id;
    return QuotaLimit{kind, std::move(bucket), per_1000_s(kind, *value)};
  }
  return std::nullopt;
}

std::optional<QuotaLimit> find_connection_quota(const ClusterSettings& settings, const std::string& host) {
  if (settings.quotas.empty()) return std::nullopt;
  constexpr QuotaKind kKind = QuotaKind::kConnection;
  const double* value = find_value(settings, {{"ip", host}}, kKind);
  // Of IPv6 addresses one has many texts.
  const auto address = value == nullptr ? parse_ip(host) : std::nullopt;
  for (auto it = settings.quotas.lower_bound({{"ip", std::nullopt}}); address && value == nullptr && it != settings.quotas.end(); ++it) {
    const auto name = it->first.find("ip");
    if (name == it->first.end()) break;
    if (name->second && name->second->find(':') != std::string::npos && parse_ip(*name->second) == address)
      value = find_value(settings, it->first, kKind);
  }
  if (value == nullptr) value = find_value(settings, {{"ip", std::nullopt}}, kKind);
  if (value == nullptr) return std::nullopt;
  return QuotaLimit{kKind, host, per_1000_s(kKind, *value)};
}

int64_t window_of(const QuotaLimit& limit) {
  static_assert(kWindow * 100 == 1000_s);
  return limit.per_1000_s / 100;
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
  if (fresh) bucket.second.fill(-static_cast<int64_t>(kSamples));
  bucket.touched = now;
  return bucket;
}

// Counts, and says for how long nothing more may come so that the rate is within the limit again.
Duration Quotas::over(Bucket& bucket, const QuotaLimit& limit, int64_t amount, Instant now) {
  constexpr int64_t kSecond = (1_s).ns;
  const int64_t second = now.ns / kSecond;
  const auto slot = static_cast<size_t>(second % static_cast<int64_t>(kSamples));
  if (bucket.second[slot] != second) {
    bucket.second[slot] = second;
    bucket.used[slot] = 0;
  }
  bucket.used[slot] += amount;
  int64_t sum = 0;
  for (size_t i = 0; i < kSamples; ++i)
    if (second - bucket.second[i] < static_cast<int64_t>(kSamples)) sum += bucket.used[i];
  // The last ten whole seconds, and of this one what has passed of it.
  const Duration span = kWindow + Duration{now.ns % kSecond};
  return std::max(price(sum, limit) - span, Duration{});
}

Quotas::Taken Quotas::take(const QuotaLimit& limit, const std::vector<int64_t>& amounts, bool strictly, Instant now) {
  Taken taken;
  Bucket& b = bucket(limit, now);
  for (const int64_t amount : amounts) {
    if (limit.kind == QuotaKind::kMutation) {
      if (strictly && b.paid > now + kBurst && amount >= 0) break;
      b.paid = std::max(b.paid, now) + price(amount, limit);
    } else {
      taken.throttle = over(b, limit, amount, now);
      if (limit.kind == QuotaKind::kConnection && taken.throttle > Duration{}) {
        if (!PLANT("M55")) (void)over(b, limit, -amount, now);
        break;
      }
    }
    ++taken.count;
  }
  if (limit.kind == QuotaKind::kMutation) taken.throttle = std::max(b.paid - (now + kBurst), Duration{});
  if (limit.kind == QuotaKind::kRequest || limit.kind == QuotaKind::kConnection)
    taken.throttle = std::min(taken.throttle, kThrottleMax);
  return taken;
}

Quotas::Taken take_quota(Task& task, BrokerContext& broker, const QuotaLimit& limit, std::vector<int64_t> amounts, bool strictly) {
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
