// Appending, reading and finding records: the walks over these messages.
#include "protocol/fetch.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/produce.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(ProduceRequest);
TAFFRAIL_RESPONSE(ProduceResponse);

TAFFRAIL_REQUEST(FetchRequest);
TAFFRAIL_RESPONSE(FetchResponse);

TAFFRAIL_REQUEST(ListOffsetsRequest);
TAFFRAIL_RESPONSE(ListOffsetsResponse);

TAFFRAIL_REQUEST(OffsetForLeaderEpochRequest);
TAFFRAIL_RESPONSE(OffsetForLeaderEpochResponse);

TAFFRAIL_REQUEST(InitProducerIdRequest);
TAFFRAIL_RESPONSE(InitProducerIdResponse);

}  // namespace taffrail::protocol
