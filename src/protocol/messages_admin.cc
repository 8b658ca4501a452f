// Topics and configs: the walks over these messages.
#include "protocol/alter_configs.h"
#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_records.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/describe_producers.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(CreateTopicsRequest);
TAFFRAIL_RESPONSE(CreateTopicsResponse);

TAFFRAIL_REQUEST(DeleteTopicsRequest);
TAFFRAIL_RESPONSE(DeleteTopicsResponse);

TAFFRAIL_REQUEST(AlterConfigsRequest);
TAFFRAIL_RESPONSE(AlterConfigsResponse);

TAFFRAIL_REQUEST(DeleteRecordsRequest);
TAFFRAIL_RESPONSE(DeleteRecordsResponse);

TAFFRAIL_REQUEST(DescribeLogDirsRequest);
TAFFRAIL_RESPONSE(DescribeLogDirsResponse);

TAFFRAIL_REQUEST(DescribeProducersRequest);
TAFFRAIL_RESPONSE(DescribeProducersResponse);

TAFFRAIL_REQUEST(CreatePartitionsRequest);
TAFFRAIL_RESPONSE(CreatePartitionsResponse);

TAFFRAIL_REQUEST(DescribeConfigsRequest);
TAFFRAIL_RESPONSE(DescribeConfigsResponse);

TAFFRAIL_REQUEST(IncrementalAlterConfigsRequest);
TAFFRAIL_RESPONSE(IncrementalAlterConfigsResponse);

}  // namespace taffrail::protocol
