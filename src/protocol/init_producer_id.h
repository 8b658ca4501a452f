// InitProducerId: an identity for an idempotent or transactional producer (KIP-98, KIP-360).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "protocol/errors.h"
#include "protocol/fields.h"

namespace taffrail::protocol {

struct InitProducerIdResponse;

/// v2 is flexible; v3 bumps the epoch of a producer that still has one (KIP-360); v6, unstable,
/// prepares transactions for an outside coordinator (KIP-939).
struct InitProducerIdRequest {
  static constexpr Api kApi{.key = ApiKey::kInitProducerId,
                            .name = "InitProducerIdRequest",
                            .versions = {0, 6},
                            .flexible_from = 2};
  using Response = InitProducerIdResponse;

  std::optional<std::string> transactional_id = {};  ///< Null: only idempotent.
  int32_t transaction_timeout_ms = 0;  ///< After which the coordinator aborts an open transaction.
  ProducerId producer_id = kNoProducer;  ///< What the producer has; kNoProducer: nothing yet.
  ProducerEpoch producer_epoch{-1};
  bool enable_2_pc = false;
  bool keep_prepared_txn = false;
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("transactional_id", self.transactional_id);
    walk("transaction_timeout_ms", self.transaction_timeout_ms);
    walk("producer_id", self.producer_id, since(3));
    walk("producer_epoch", self.producer_epoch, since(3));
    walk("enable_2_pc", self.enable_2_pc, since(6));
    walk("keep_prepared_txn", self.keep_prepared_txn, since(6));
  }
  bool operator==(const InitProducerIdRequest&) const = default;
};

/// Sequences of a new id or epoch start at 0.
struct InitProducerIdResponse {
  static constexpr Api kApi{.key = ApiKey::kInitProducerId,
                            .name = "InitProducerIdResponse",
                            .versions = {0, 6},
                            .flexible_from = 2};

  int32_t throttle_time_ms = 0;  ///< How long the client shall stay quiet; 0: not at all.
  ErrorCode error_code = ErrorCode::kNone;
  ProducerId producer_id = kNoProducer;
  ProducerEpoch producer_epoch{-1};
  ProducerId ongoing_txn_producer_id = kNoProducer;
  ProducerEpoch ongoing_txn_producer_epoch{-1};
  UnknownTags unknown_tags = {};

  static void fields(auto& self, auto& walk) {
    walk("throttle_time_ms", self.throttle_time_ms);
    walk("error_code", self.error_code);
    walk("producer_id", self.producer_id);
    walk("producer_epoch", self.producer_epoch);
    walk("ongoing_txn_producer_id", self.ongoing_txn_producer_id, since(6));
    walk("ongoing_txn_producer_epoch", self.ongoing_txn_producer_epoch, since(6));
  }
  bool operator==(const InitProducerIdResponse&) const = default;
};

}  // namespace taffrail::protocol
