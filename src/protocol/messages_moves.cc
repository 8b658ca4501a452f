// Where partitions are, and who leads them: the walks over these messages.
#include "protocol/alter_partition_reassignments.h"
#include "protocol/elect_leaders.h"
#include "protocol/list_partition_reassignments.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(AlterPartitionReassignmentsRequest);
TAFFRAIL_RESPONSE(AlterPartitionReassignmentsResponse);

TAFFRAIL_REQUEST(ListPartitionReassignmentsRequest);
TAFFRAIL_RESPONSE(ListPartitionReassignmentsResponse);

TAFFRAIL_REQUEST(ElectLeadersRequest);
TAFFRAIL_RESPONSE(ElectLeadersResponse);

}  // namespace taffrail::protocol
