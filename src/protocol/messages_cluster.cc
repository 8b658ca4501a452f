// What a cluster is made of, and what it speaks: the walks over these messages.
#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_topic_partitions.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(ApiVersionsRequest);
TAFFRAIL_RESPONSE(ApiVersionsResponse);

TAFFRAIL_REQUEST(MetadataRequest);
TAFFRAIL_RESPONSE(MetadataResponse);

TAFFRAIL_REQUEST(DescribeClusterRequest);
TAFFRAIL_RESPONSE(DescribeClusterResponse);

TAFFRAIL_REQUEST(DescribeTopicPartitionsRequest);
TAFFRAIL_RESPONSE(DescribeTopicPartitionsResponse);

TAFFRAIL_REQUEST(FindCoordinatorRequest);
TAFFRAIL_RESPONSE(FindCoordinatorResponse);

}  // namespace taffrail::protocol
