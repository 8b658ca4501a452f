// Groups, their members and their offsets: the walks over these messages, and over the records that they leave.
#include "protocol/consumer_group_describe.h"
#include "protocol/consumer_group_heartbeat.h"
#include "protocol/consumer_group_records.h"
#include "protocol/coordinator_records.h"
#include "protocol/delete_groups.h"
#include "protocol/describe_groups.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/list_groups.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_delete.h"
#include "protocol/offset_fetch.h"
#include "protocol/sync_group.h"
#include "protocol/walks.h"

namespace taffrail::protocol {

TAFFRAIL_REQUEST(JoinGroupRequest);
TAFFRAIL_RESPONSE(JoinGroupResponse);

TAFFRAIL_REQUEST(SyncGroupRequest);
TAFFRAIL_RESPONSE(SyncGroupResponse);

TAFFRAIL_REQUEST(HeartbeatRequest);
TAFFRAIL_RESPONSE(HeartbeatResponse);

TAFFRAIL_REQUEST(LeaveGroupRequest);
TAFFRAIL_RESPONSE(LeaveGroupResponse);

TAFFRAIL_REQUEST(OffsetCommitRequest);
TAFFRAIL_RESPONSE(OffsetCommitResponse);

TAFFRAIL_REQUEST(OffsetFetchRequest);
TAFFRAIL_RESPONSE(OffsetFetchResponse);

TAFFRAIL_REQUEST(OffsetDeleteRequest);
TAFFRAIL_RESPONSE(OffsetDeleteResponse);

TAFFRAIL_REQUEST(DescribeGroupsRequest);
TAFFRAIL_RESPONSE(DescribeGroupsResponse);

TAFFRAIL_REQUEST(ListGroupsRequest);
TAFFRAIL_RESPONSE(ListGroupsResponse);

TAFFRAIL_REQUEST(DeleteGroupsRequest);
TAFFRAIL_RESPONSE(DeleteGroupsResponse);

TAFFRAIL_REQUEST(ConsumerGroupHeartbeatRequest);
TAFFRAIL_RESPONSE(ConsumerGroupHeartbeatResponse);

TAFFRAIL_REQUEST(ConsumerGroupDescribeRequest);
TAFFRAIL_RESPONSE(ConsumerGroupDescribeResponse);

TAFFRAIL_MESSAGE(OffsetCommitKey);
TAFFRAIL_MESSAGE(OffsetCommitValue);
TAFFRAIL_MESSAGE(GroupMetadataKey);
TAFFRAIL_MESSAGE(GroupMetadataValue);
TAFFRAIL_MESSAGE(ConsumerGroupMetadataKey);
TAFFRAIL_MESSAGE(ConsumerGroupMetadataValue);
TAFFRAIL_MESSAGE(ConsumerGroupMemberMetadataKey);
TAFFRAIL_MESSAGE(ConsumerGroupMemberMetadataValue);
TAFFRAIL_MESSAGE(ConsumerGroupTargetAssignmentMetadataKey);
TAFFRAIL_MESSAGE(ConsumerGroupTargetAssignmentMetadataValue);
TAFFRAIL_MESSAGE(ConsumerGroupTargetAssignmentMemberKey);
TAFFRAIL_MESSAGE(ConsumerGroupTargetAssignmentMemberValue);
TAFFRAIL_MESSAGE(ConsumerGroupCurrentMemberAssignmentKey);
TAFFRAIL_MESSAGE(ConsumerGroupCurrentMemberAssignmentValue);
TAFFRAIL_MESSAGE(ConsumerGroupRegularExpressionKey);
TAFFRAIL_MESSAGE(ConsumerGroupRegularExpressionValue);

}  // namespace taffrail::protocol
