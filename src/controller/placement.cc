#include "controller/placement.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace taffrail {
namespace {

struct Seat {
  BrokerId id;
  size_t rack = 0;  ///< By number; the same for all if racks do not count.
};

// Brokers in an order in which neighbours stand in different racks, as far as that goes: the first of
// each rack, then the second of each, and so on.
std::vector<Seat> seats_of(const std::vector<PlacementBroker>& brokers) {
  std::vector<Seat> seats;
  seats.reserve(brokers.size());
  const bool all_have_racks =
      std::all_of(brokers.begin(), brokers.end(), [](const PlacementBroker& b) { return b.rack.has_value(); });
  std::map<std::string, std::vector<BrokerId>> racks;
  for (const PlacementBroker& broker : brokers) racks[all_have_racks ? *broker.rack : ""].push_back(broker.id);
  for (size_t row = 0; seats.size() < brokers.size(); ++row) {
    size_t number = 0;
    for (const auto& [name, members] : racks) {
      if (row < members.size()) seats.push_back({members[row], number});
      ++number;
    }
  }
  return seats;
}

// One partition: the leader at `first`, then the others in their ring, turned by `shift`; of those that
// are free, the first whose rack holds the fewest.
std::vector<BrokerId> place_one(const std::vector<Seat>& seats, size_t first, size_t shift, size_t replicas) {
  const size_t n = seats.size();
  std::vector<BrokerId> chosen = {seats[first].id};
  std::vector<bool> taken(n, false);
  std::vector<size_t> in_rack(n, 0);
  taken[first] = true;
  ++in_rack[seats[first].rack];
  while (chosen.size() < replicas) {
    size_t best = n;
    for (size_t k = 0; k + 1 < n; ++k) {
      const size_t at = (first + 1 + (shift + k) % (n - 1)) % n;
      if (taken[at]) continue;
      if (best == n || in_rack[seats[at].rack] < in_rack[seats[best].rack]) best = at;
    }
    CHECK(best < n);
    chosen.push_back(seats[best].id);
    taken[best] = true;
    ++in_rack[seats[best].rack];
  }
  return chosen;
}

}  // namespace

std::vector<std::vector<BrokerId>> place_replicas(const std::vector<PlacementBroker>& brokers, int32_t partitions,
                                                  int16_t replicas, Random& random) {
  CHECK(partitions >= 0 && replicas >= 1 && static_cast<size_t>(replicas) <= brokers.size());
  const std::vector<Seat> seats = seats_of(brokers);
  const size_t n = seats.size();
  const size_t start = random.below(n);
  size_t shift = random.below(n);
  std::vector<std::vector<BrokerId>> out;
  out.reserve(static_cast<size_t>(partitions));
  for (size_t p = 0; p < static_cast<size_t>(partitions); ++p) {
    if (p > 0 && p % n == 0) ++shift;
    out.push_back(place_one(seats, (start + p) % n, shift, static_cast<size_t>(replicas)));
  }
  return out;
}

}  // namespace taffrail
