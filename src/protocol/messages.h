// Every message that is described, for the few who want them all: the table of described.h, tests,
// fuzz targets. Who wants one message includes its own header.
#pragma once

#include "protocol/alter_configs.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/api_versions.h"
#include "protocol/consumer_group_describe.h"
#include "protocol/consumer_group_heartbeat.h"
#include "protocol/consumer_group_records.h"
#include "protocol/coordinator_records.h"
#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_groups.h"
#include "protocol/delete_records.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_groups.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/describe_producers.h"
#include "protocol/describe_topic_partitions.h"
#include "protocol/elect_leaders.h"
#include "protocol/fetch.h"
#include "protocol/find_coordinator.h"
#include "protocol/frame.h"
#include "protocol/heartbeat.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/init_producer_id.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/list_groups.h"
#include "protocol/list_offsets.h"
#include "protocol/list_partition_reassignments.h"
#include "protocol/metadata.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_delete.h"
#include "protocol/offset_fetch.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/produce.h"
#include "protocol/sync_group.h"

namespace taffrail::protocol {

/// Calls `visit.template operator()<M>()` for each request and response, the two headers, and the
/// records of coordinators.
template <class Visit>
void for_each_message(Visit&& visit) {
  visit.template operator()<RequestHeader>();
  visit.template operator()<ResponseHeader>();
  visit.template operator()<OffsetCommitKey>();
  visit.template operator()<OffsetCommitValue>();
  visit.template operator()<GroupMetadataKey>();
  visit.template operator()<GroupMetadataValue>();
  visit.template operator()<ConsumerGroupMetadataKey>();
  visit.template operator()<ConsumerGroupMetadataValue>();
  visit.template operator()<ConsumerGroupMemberMetadataKey>();
  visit.template operator()<ConsumerGroupMemberMetadataValue>();
  visit.template operator()<ConsumerGroupTargetAssignmentMetadataKey>();
  visit.template operator()<ConsumerGroupTargetAssignmentMetadataValue>();
  visit.template operator()<ConsumerGroupTargetAssignmentMemberKey>();
  visit.template operator()<ConsumerGroupTargetAssignmentMemberValue>();
  visit.template operator()<ConsumerGroupCurrentMemberAssignmentKey>();
  visit.template operator()<ConsumerGroupCurrentMemberAssignmentValue>();
  visit.template operator()<ConsumerGroupRegularExpressionKey>();
  visit.template operator()<ConsumerGroupRegularExpressionValue>();
  visit.template operator()<AlterConfigsRequest>();
  visit.template operator()<AlterConfigsResponse>();
  visit.template operator()<AlterPartitionReassignmentsRequest>();
  visit.template operator()<AlterPartitionReassignmentsResponse>();
  visit.template operator()<ApiVersionsRequest>();
  visit.template operator()<ApiVersionsResponse>();
  visit.template operator()<ConsumerGroupDescribeRequest>();
  visit.template operator()<ConsumerGroupDescribeResponse>();
  visit.template operator()<ConsumerGroupHeartbeatRequest>();
  visit.template operator()<ConsumerGroupHeartbeatResponse>();
  visit.template operator()<CreatePartitionsRequest>();
  visit.template operator()<CreatePartitionsResponse>();
  visit.template operator()<CreateTopicsRequest>();
  visit.template operator()<CreateTopicsResponse>();
  visit.template operator()<DeleteGroupsRequest>();
  visit.template operator()<DeleteGroupsResponse>();
  visit.template operator()<DeleteRecordsRequest>();
  visit.template operator()<DeleteRecordsResponse>();
  visit.template operator()<DeleteTopicsRequest>();
  visit.template operator()<DeleteTopicsResponse>();
  visit.template operator()<DescribeClusterRequest>();
  visit.template operator()<DescribeClusterResponse>();
  visit.template operator()<DescribeConfigsRequest>();
  visit.template operator()<DescribeConfigsResponse>();
  visit.template operator()<DescribeGroupsRequest>();
  visit.template operator()<DescribeGroupsResponse>();
  visit.template operator()<DescribeLogDirsRequest>();
  visit.template operator()<DescribeLogDirsResponse>();
  visit.template operator()<DescribeProducersRequest>();
  visit.template operator()<DescribeProducersResponse>();
  visit.template operator()<DescribeTopicPartitionsRequest>();
  visit.template operator()<DescribeTopicPartitionsResponse>();
  visit.template operator()<ElectLeadersRequest>();
  visit.template operator()<ElectLeadersResponse>();
  visit.template operator()<FetchRequest>();
  visit.template operator()<FetchResponse>();
  visit.template operator()<FindCoordinatorRequest>();
  visit.template operator()<FindCoordinatorResponse>();
  visit.template operator()<HeartbeatRequest>();
  visit.template operator()<HeartbeatResponse>();
  visit.template operator()<IncrementalAlterConfigsRequest>();
  visit.template operator()<IncrementalAlterConfigsResponse>();
  visit.template operator()<InitProducerIdRequest>();
  visit.template operator()<InitProducerIdResponse>();
  visit.template operator()<JoinGroupRequest>();
  visit.template operator()<JoinGroupResponse>();
  visit.template operator()<LeaveGroupRequest>();
  visit.template operator()<LeaveGroupResponse>();
  visit.template operator()<ListGroupsRequest>();
  visit.template operator()<ListGroupsResponse>();
  visit.template operator()<ListOffsetsRequest>();
  visit.template operator()<ListOffsetsResponse>();
  visit.template operator()<ListPartitionReassignmentsRequest>();
  visit.template operator()<ListPartitionReassignmentsResponse>();
  visit.template operator()<MetadataRequest>();
  visit.template operator()<MetadataResponse>();
  visit.template operator()<OffsetCommitRequest>();
  visit.template operator()<OffsetCommitResponse>();
  visit.template operator()<OffsetDeleteRequest>();
  visit.template operator()<OffsetDeleteResponse>();
  visit.template operator()<OffsetFetchRequest>();
  visit.template operator()<OffsetFetchResponse>();
  visit.template operator()<OffsetForLeaderEpochRequest>();
  visit.template operator()<OffsetForLeaderEpochResponse>();
  visit.template operator()<ProduceRequest>();
  visit.template operator()<ProduceResponse>();
  visit.template operator()<SyncGroupRequest>();
  visit.template operator()<SyncGroupResponse>();
}

}  // namespace taffrail::protocol
