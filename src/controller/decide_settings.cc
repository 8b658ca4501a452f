// What operators set beside topics: who is registered and who votes, feature levels, quotas. Errors and texts as Kafka's
// controller has them.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/ip_address.h"
#include "base/plant.h"
#include "controller/decide.h"
#include "controller/features.h"
#include "controller/setting_keys.h"

namespace taffrail {
namespace {

using protocol::ErrorCode;

void refuse(ItemReply& reply, ErrorCode error, std::string message) {
  reply.error = error;
  reply.message = std::move(message);
}

}  // namespace

Decision decide_unregister_broker(const ClusterImage& image, const UnregisterBrokerCommand& command,
                                  const DecisionContext& context) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  const BrokerId id = command.broker;
  const bool alive = std::binary_search(context.alive.begin(), context.alive.end(), id);
  if (image.find_broker(id) == nullptr) {
    refuse(reply, ErrorCode::kBrokerIdNotRegistered, fmt::format("Broker ID {} is not currently registered", id.value));
  } else if (image.has_replicas_on(id)) {
    // Kafka forgets such a broker all the same, and keeps its name in the assignments: a promise that nobody can keep.
    refuse(reply, ErrorCode::kInvalidRequest,
           fmt::format("Broker {} still has replicas: `taffrail cluster decommission {}` moves them away first", id.value, id.value));
  } else if (command.retired && (retirement_of(image, id) != Retirement::kReplicas || (context.quorum.is_voter(id) && !PLANT("M50")))) {
    refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Broker {} is not to leave, or votes in group 0", id.value));
  } else if (!command.retired && alive) {
    refuse(reply, ErrorCode::kInvalidRequest,
           fmt::format("Broker {} is alive: stop it, or let `taffrail cluster decommission {}` do all of it", id.value, id.value));
  } else {
    out.records.push_back(UnregisterBroker{id});
  }
  return out;
}

Decision decide_update_features(const ClusterImage& image, const UpdateFeaturesCommand& command) {
  using Type = UpdateFeaturesCommand::Type;
  Decision out;
  std::set<std::string_view> names;
  for (const auto& update : command.updates) {
    ItemReply item;
    item.name = update.name;
    const auto invalid = [&](std::string why) {
      refuse(item, ErrorCode::kInvalidUpdateVersion,
             fmt::format("Invalid update version {} for feature {}. {}", update.level, update.name, why));
    };
    const Feature* feature = find_feature(update.name);
    const int16_t now = feature_level(image, update.name);
    if (!names.insert(update.name).second) {
      refuse(item, ErrorCode::kInvalidRequest, fmt::format("Feature {} appears more than once.", update.name));
    } else if (update.level < 0) {
      invalid("A feature version cannot be less than 0.");
    } else if (feature == nullptr) {
      invalid("The controller does not support this feature.");
    } else if (update.level < feature->min || update.level > feature->max) {
      invalid(fmt::format("The controller only supports versions {}-{}", feature->min, feature->max));
    } else if (update.level < now && update.type == Type::kUpgrade) {
      invalid("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe "
              "downgrade.");
    } else if (update.level > now && update.type != Type::kUpgrade) {
      invalid("Can't downgrade to a newer version.");
    } else if (update.level != now) {
      out.records.push_back(SetFeature{update.name, update.level});
    }
    if (item.error != ErrorCode::kNone) {
      out.records.clear();
      item.message = "The update failed for all features since the following feature had an error: " + item.message;
      out.reply.items = {std::move(item)};
      return out;
    }
    out.reply.items.push_back(std::move(item));
  }
  if (command.validate_only) out.records.clear();
  return out;
}

Decision decide_change_voter(const ClusterImage& image, const ChangeVoterCommand& command, const DecisionContext& context) {
  Decision out;
  ItemReply& reply = out.reply.items.emplace_back();
  const BrokerId id = command.replica.node;
  const auto& members = context.quorum.members;
  const BrokerRecord* broker = image.find_broker(id);
  const auto& votes = image.settings().votes;
  if (!command.vote) {
    const bool is_voter = std::any_of(members.begin(), members.end(), [&](const QuorumView::Member& member) {
      return member.voter && member.replica == command.replica;
    });
    // Those that were told to go may still be there.
    const auto others = std::count_if(members.begin(), members.end(), [&](const QuorumView::Member& member) {
      const auto told = votes.find(member.replica.node);
      return member.voter && member.replica.node != id && (told == votes.end() || told->second);
    });
    if (!is_voter || broker == nullptr)
      refuse(reply, ErrorCode::kVoterNotFound, fmt::format("Cannot remove voter {} from the set of voters: it is not among them.", id.value));
    else if (others == 0)
      refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Cannot remove voter {} from the set of voters: it is the last.", id.value));
    else if (const auto told = votes.find(id); told == votes.end() || told->second)
      out.records.push_back(SetMetadataVote{id, false});
    return out;
  }
  if (broker == nullptr) {
    refuse(reply, ErrorCode::kBrokerIdNotRegistered, fmt::format("Broker {} is not registered: it cannot be given a vote.", id.value));
  } else if (const auto told = votes.find(id); context.quorum.is_voter(id) && (told == votes.end() || told->second)) {
    refuse(reply, ErrorCode::kDuplicateVoter, fmt::format("The voter id for {} is already part of the set of voters.", id.value));
  } else if (broker->replica != command.replica) {
    refuse(reply, ErrorCode::kInvalidVoterKey, fmt::format("Broker {} has the directory id {}.", id.value, broker->replica.disk.text()));
  } else if (retirement_of(image, id) == Retirement::kReplicas) {
    refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Broker {} is being decommissioned.", id.value));
  } else if (told == votes.end() || !told->second) {
    out.records.push_back(SetMetadataVote{id, true});
  }
  return out;
}

namespace {

struct QuotaKey {
  std::string_view name;
  int64_t most;  ///< Without fractions; 0: anything.
  bool of_ip;
};
constexpr int64_t kLongMost = int64_t{1} << 62;
constexpr QuotaKey kQuotaKeys[] = {
    {"producer_byte_rate", kLongMost, false}, {"consumer_byte_rate", kLongMost, false}, {"request_percentage", 0, false},
    {"controller_mutation_rate", 0, false},   {"connection_creation_rate", INT32_MAX, true},
};

/// Names of hosts are taken as they are: nobody is asked what they stand for.
bool may_be_address(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == ':' || c == '-' || c == '%' || c == '_';
  });
}

/// Nothing, and a refusal, if there is no such entity.
std::optional<QuotaEntity> entity_of(const AlterQuotasCommand::Entry& entry, ItemReply& reply) {
  const auto refused = [&](std::string message) {
    refuse(reply, ErrorCode::kInvalidRequest, std::move(message));
    return std::nullopt;
  };
  if (entry.entity.empty()) return refused("Invalid empty client quota entity");
  QuotaEntity entity;
  for (const auto& [type, name] : entry.entity) {
    if (type != "user" && type != "client-id" && type != "ip")
      return refused(fmt::format("Unhandled client quota entity type: {}", type));
    if (name && name->empty()) return refused(fmt::format("Empty {} not supported", type));
    if (type == "ip" && name && !may_be_address(*name)) return refused(fmt::format("{} is not a valid IP or resolvable host.", *name));
    if (!entity.emplace(type, name).second) return refused(fmt::format("Duplicate {} quota entity", type));
  }
  if (!well_formed(entity))
    return refused("Invalid quota entity combination, IP entity should not be used with User or ClientId entities");
  // Kafka also takes names, and each of its brokers looks for itself what addresses they have at its start.
  if (const auto ip = entity.find("ip"); ip != entity.end() && ip->second && !parse_ip(*ip->second))
    return refused(fmt::format("{} is not a valid IP or resolvable host.", *ip->second));
  return entity;
}

void alter_quotas(const ClusterImage& image, const AlterQuotasCommand::Entry& entry, ItemReply& reply,
                  std::vector<MetadataRecord>& records) {
  const std::optional<QuotaEntity> entity = entity_of(entry, reply);
  if (!entity) return;
  const auto& all = image.settings().quotas;
  const auto known = all.find(*entity);
  const QuotaValues before = known == all.end() ? QuotaValues() : known->second;
  QuotaValues values = before;
  std::set<std::string_view> keys;
  for (const auto& change : entry.changes) {
    if (!keys.insert(change.key).second)
      return refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Duplicate quota key {}", change.key));
    if (change.remove) {
      values.erase(change.key);
      continue;
    }
    const auto* key = std::ranges::find(kQuotaKeys, std::string_view(change.key), &QuotaKey::name);
    if (key == std::end(kQuotaKeys) || key->of_ip != entity->contains("ip"))
      return refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Invalid configuration key {}", change.key));
    // Written so that NaN is refused.
    if (!(change.value > 0) || !std::isfinite(change.value))
      return refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Quota {} must be greater than 0", change.key));
    if (key->most > 0 && change.value > static_cast<decltype(change.value)>(key->most))
      return refuse(reply, ErrorCode::kInvalidRequest, fmt::format("Proposed value for {} is too large for {}.", change.key, key->of_ip ? "an INT" : "a LONG"));
    if (key->most > 0 && change.value != std::floor(change.value))
      return refuse(reply, ErrorCode::kInvalidRequest, fmt::format("{} cannot be a fractional value.", change.key));
    values[change.key] = change.value;
  }
  if (values != before) records.push_back(SetQuotas{*entity, std::move(values)});
}

}  // namespace

Decision decide_alter_quotas(const ClusterImage& image, const AlterQuotasCommand& command) {
  Decision out;
  const auto entity = [](const AlterQuotasCommand::Entry& entry) { return QuotaEntity(entry.entity.begin(), entry.entity.end()); };
  std::map<QuotaEntity, int> mentions;
  for (const auto& entry : command.entries) ++mentions[entity(entry)];
  for (const auto& entry : command.entries) {
    ItemReply& reply = out.reply.items.emplace_back();
    if (mentions[entity(entry)] > 1) {
      refuse(reply, ErrorCode::kInvalidRequest, "Each client quota entity must appear at most once.");
      continue;
    }
    alter_quotas(image, entry, reply, out.records);
  }
  if (command.validate_only) out.records.clear();
  return out;
}

}  // namespace taffrail
