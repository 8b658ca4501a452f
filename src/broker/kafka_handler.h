// Kafka's requests, from frame to answer: finds the API, decodes, asks its handler, encodes.
#pragma once

#include <memory>

#include "broker/context.h"
#include "net/server.h"

namespace taffrail {

/// `context` outlives the handler.
std::unique_ptr<RequestHandler> make_kafka_handler(BrokerContext& context);

}  // namespace taffrail
