"""Layouts of the requests that the differential run sends, of one version each, and the names of the error codes. Facts of Kafka's
protocol guide: a line that names the request, its key and version, then what it (>) and its answer (<) hold. `[...]` is an array, `{...}`
a struct, `?` what may be null, `=x` what is sent where a case says nothing; fields with tags are left out."""

REQUESTS = """
FindCoordinator 10 v6
  > KeyType:i1 CoordinatorKeys:[string]
  < ThrottleTimeMs:i4 Coordinators:[Key:string NodeId:i4 Host:string Port:i4 ErrorCode:i2 ErrorMessage:?string]
JoinGroup 11 v9
  > GroupId:string SessionTimeoutMs:i4 RebalanceTimeoutMs:i4=-1 MemberId:string GroupInstanceId:?string=null ProtocolType:string
    Protocols:[Name:string Metadata:bytes] Reason:?string=null
  < ThrottleTimeMs:i4 ErrorCode:i2 GenerationId:i4=-1 ProtocolType:?string=null ProtocolName:?string Leader:string SkipAssignment:bool
    MemberId:string Members:[MemberId:string GroupInstanceId:?string=null Metadata:bytes]
SyncGroup 14 v5
  > GroupId:string GenerationId:i4 MemberId:string GroupInstanceId:?string=null ProtocolType:?string=null ProtocolName:?string=null
    Assignments:[MemberId:string Assignment:bytes]
  < ThrottleTimeMs:i4 ErrorCode:i2 ProtocolType:?string=null ProtocolName:?string=null Assignment:bytes
Heartbeat 12 v4
  > GroupId:string GenerationId:i4 MemberId:string GroupInstanceId:?string=null
  < ThrottleTimeMs:i4 ErrorCode:i2
LeaveGroup 13 v5
  > GroupId:string Members:[MemberId:string GroupInstanceId:?string=null Reason:?string=null]
  < ThrottleTimeMs:i4 ErrorCode:i2 Members:[MemberId:string GroupInstanceId:?string ErrorCode:i2]
OffsetCommit 8 v9
  > GroupId:string GenerationIdOrMemberEpoch:i4=-1 MemberId:string GroupInstanceId:?string=null Topics:[Name:string
    Partitions:[PartitionIndex:i4 CommittedOffset:i8 CommittedLeaderEpoch:i4=-1 CommittedMetadata:?string]]
  < ThrottleTimeMs:i4 Topics:[Name:string Partitions:[PartitionIndex:i4 ErrorCode:i2]]
OffsetFetch 9 v9
  > Groups:[GroupId:string MemberId:?string=null MemberEpoch:i4=-1 Topics:?[Name:string PartitionIndexes:[i4]]] RequireStable:bool
  < ThrottleTimeMs:i4 Groups:[GroupId:string Topics:[Name:string Partitions:[PartitionIndex:i4 CommittedOffset:i8
    CommittedLeaderEpoch:i4=-1 Metadata:?string ErrorCode:i2]] ErrorCode:i2]
OffsetDelete 47 v0 not flexible
  > GroupId:string Topics:[Name:string Partitions:[PartitionIndex:i4]]
  < ErrorCode:i2 ThrottleTimeMs:i4 Topics:[Name:string Partitions:[PartitionIndex:i4 ErrorCode:i2]]
DescribeGroups 15 v6
  > Groups:[string] IncludeAuthorizedOperations:bool
  < ThrottleTimeMs:i4 Groups:[ErrorCode:i2 ErrorMessage:?string=null GroupId:string GroupState:string ProtocolType:string
    ProtocolData:string Members:[MemberId:string GroupInstanceId:?string=null ClientId:string ClientHost:string MemberMetadata:bytes
    MemberAssignment:bytes] AuthorizedOperations:i4=-2147483648]
ListGroups 16 v5
  > StatesFilter:[string] TypesFilter:[string]
  < ThrottleTimeMs:i4 ErrorCode:i2 Groups:[GroupId:string ProtocolType:string GroupState:string GroupType:string]
DeleteGroups 42 v2
  > GroupsNames:[string]
  < ThrottleTimeMs:i4 Results:[GroupId:string ErrorCode:i2]
ConsumerGroupHeartbeat 68 v1
  > GroupId:string MemberId:string MemberEpoch:i4 InstanceId:?string=null RackId:?string=null RebalanceTimeoutMs:i4=-1
    SubscribedTopicNames:?[string] SubscribedTopicRegex:?string=null ServerAssignor:?string=null TopicPartitions:?[TopicId:uuid
    Partitions:[i4]]
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string=null MemberId:?string=null MemberEpoch:i4 HeartbeatIntervalMs:i4
    Assignment:?{TopicPartitions:[TopicId:uuid Partitions:[i4]]}
ConsumerGroupDescribe 69 v1
  > GroupIds:[string] IncludeAuthorizedOperations:bool
  < ThrottleTimeMs:i4 Groups:[ErrorCode:i2 ErrorMessage:?string=null GroupId:string GroupState:string GroupEpoch:i4 AssignmentEpoch:i4
    AssignorName:string Members:[MemberId:string InstanceId:?string=null RackId:?string=null MemberEpoch:i4 ClientId:string
    ClientHost:string SubscribedTopicNames:[string] SubscribedTopicRegex:?string=null Assignment:{TopicPartitions:[TopicId:uuid
    TopicName:string Partitions:[i4]]} TargetAssignment:{TopicPartitions:[TopicId:uuid TopicName:string Partitions:[i4]]}
    MemberType:i1=-1] AuthorizedOperations:i4=-2147483648]
CreateTopics 19 v7
  > Topics:[Name:string NumPartitions:i4 ReplicationFactor:i2 Assignments:[PartitionIndex:i4 BrokerIds:[i4]] Configs:[Name:string
    Value:?string]] timeoutMs:i4=60000 validateOnly:bool
  < ThrottleTimeMs:i4 Topics:[Name:string TopicId:uuid ErrorCode:i2 ErrorMessage:?string NumPartitions:i4=-1 ReplicationFactor:i2=-1
    Configs:?[Name:string Value:?string ReadOnly:bool ConfigSource:i1=-1 IsSensitive:bool]]
DeleteTopics 20 v6
  > Topics:[Name:?string=null TopicId:uuid] TimeoutMs:i4
  < ThrottleTimeMs:i4 Responses:[Name:?string TopicId:uuid ErrorCode:i2 ErrorMessage:?string=null]
CreatePartitions 37 v3
  > Topics:[Name:string Count:i4 Assignments:?[BrokerIds:[i4]]] TimeoutMs:i4 ValidateOnly:bool
  < ThrottleTimeMs:i4 Results:[Name:string ErrorCode:i2 ErrorMessage:?string=null]
DeleteRecords 21 v2
  > Topics:[Name:string Partitions:[PartitionIndex:i4 Offset:i8]] TimeoutMs:i4
  < ThrottleTimeMs:i4 Topics:[Name:string Partitions:[PartitionIndex:i4 LowWatermark:i8 ErrorCode:i2]]
ElectLeaders 43 v2
  > ElectionType:i1 TopicPartitions:?[Topic:string Partitions:[i4]] TimeoutMs:i4=60000
  < ThrottleTimeMs:i4 ErrorCode:i2 ReplicaElectionResults:[Topic:string PartitionResult:[PartitionId:i4 ErrorCode:i2
    ErrorMessage:?string]]
AlterPartitionReassignments 45 v1
  > TimeoutMs:i4=60000 AllowReplicationFactorChange:bool=true Topics:[Name:string Partitions:[PartitionIndex:i4 Replicas:?[i4]]]
  < ThrottleTimeMs:i4 AllowReplicationFactorChange:bool=true ErrorCode:i2 ErrorMessage:?string Responses:[Name:string
    Partitions:[PartitionIndex:i4 ErrorCode:i2 ErrorMessage:?string]]
ListPartitionReassignments 46 v0
  > TimeoutMs:i4=60000 Topics:?[Name:string PartitionIndexes:[i4]]
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string Topics:[Name:string Partitions:[PartitionIndex:i4 Replicas:[i4]
    AddingReplicas:[i4] RemovingReplicas:[i4]]]
DescribeConfigs 32 v4
  > Resources:[ResourceType:i1 ResourceName:string ConfigurationKeys:?[string]] IncludeSynonyms:bool IncludeDocumentation:bool
  < ThrottleTimeMs:i4 Results:[ErrorCode:i2 ErrorMessage:?string ResourceType:i1 ResourceName:string Configs:[Name:string Value:?string
    ReadOnly:bool ConfigSource:i1=-1 IsSensitive:bool Synonyms:[Name:string Value:?string Source:i1] ConfigType:i1 Documentation:?string]]
AlterConfigs 33 v2
  > Resources:[ResourceType:i1 ResourceName:string Configs:[Name:string Value:?string]] ValidateOnly:bool
  < ThrottleTimeMs:i4 Responses:[ErrorCode:i2 ErrorMessage:?string ResourceType:i1 ResourceName:string]
IncrementalAlterConfigs 44 v1
  > Resources:[ResourceType:i1 ResourceName:string Configs:[Name:string ConfigOperation:i1 Value:?string]] ValidateOnly:bool
  < ThrottleTimeMs:i4 Responses:[ErrorCode:i2 ErrorMessage:?string ResourceType:i1 ResourceName:string]
ListConfigResources 74 v1
  > ResourceTypes:[i1]
  < ThrottleTimeMs:i4 ErrorCode:i2 ConfigResources:[ResourceName:string ResourceType:i1=16]
DescribeClientQuotas 48 v1
  > Components:[EntityType:string MatchType:i1 Match:?string] Strict:bool
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string Entries:?[Entity:[EntityType:string EntityName:?string] Values:[Key:string
    Value:f8]]
AlterClientQuotas 49 v1
  > Entries:[Entity:[EntityType:string EntityName:?string] Ops:[Key:string Value:f8 Remove:bool]] ValidateOnly:bool
  < ThrottleTimeMs:i4 Entries:[ErrorCode:i2 ErrorMessage:?string Entity:[EntityType:string EntityName:?string]]
DescribeQuorum 55 v2
  > Topics:[TopicName:string Partitions:[PartitionIndex:i4]]
  < ErrorCode:i2 ErrorMessage:?string Topics:[TopicName:string Partitions:[PartitionIndex:i4 ErrorCode:i2 ErrorMessage:?string LeaderId:i4
    LeaderEpoch:i4 HighWatermark:i8 CurrentVoters:[ReplicaId:i4 ReplicaDirectoryId:uuid LogEndOffset:i8 LastFetchTimestamp:i8=-1
    LastCaughtUpTimestamp:i8=-1] Observers:[ReplicaId:i4 ReplicaDirectoryId:uuid LogEndOffset:i8 LastFetchTimestamp:i8=-1
    LastCaughtUpTimestamp:i8=-1]]] Nodes:[NodeId:i4 Listeners:[Name:string Host:string Port:u2]]
UpdateFeatures 57 v2
  > timeoutMs:i4=60000 FeatureUpdates:[Feature:string MaxVersionLevel:i2 UpgradeType:i1=1] ValidateOnly:bool
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string
UnregisterBroker 64 v0
  > BrokerId:i4
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string
AddRaftVoter 80 v1
  > ClusterId:?string TimeoutMs:i4 VoterId:i4 VoterDirectoryId:uuid Listeners:[Name:string Host:string Port:u2] AckWhenCommitted:bool=true
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string
RemoveRaftVoter 81 v0
  > ClusterId:?string VoterId:i4 VoterDirectoryId:uuid
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string
DescribeLogDirs 35 v5
  > Topics:?[Topic:string Partitions:[i4]]
  < ThrottleTimeMs:i4 ErrorCode:i2 Results:[ErrorCode:i2 LogDir:string Topics:[Name:string Partitions:[PartitionIndex:i4 PartitionSize:i8
    OffsetLag:i8 IsFutureKey:bool]] TotalBytes:i8=-1 UsableBytes:i8=-1 IsCordoned:bool]
DescribeProducers 61 v0
  > Topics:[Name:string PartitionIndexes:[i4]]
  < ThrottleTimeMs:i4 Topics:[Name:string Partitions:[PartitionIndex:i4 ErrorCode:i2 ErrorMessage:?string=null
    ActiveProducers:[ProducerId:i8 ProducerEpoch:i4 LastSequence:i4=-1 LastTimestamp:i8=-1 CoordinatorEpoch:i4
    CurrentTxnStartOffset:i8=-1]]]
DescribeTopicPartitions 75 v0
  > Topics:[Name:string] ResponsePartitionLimit:i4=2000 Cursor:?{TopicName:string PartitionIndex:i4}
  < ThrottleTimeMs:i4 Topics:[ErrorCode:i2 Name:?string TopicId:uuid IsInternal:bool Partitions:[ErrorCode:i2 PartitionIndex:i4
    LeaderId:i4 LeaderEpoch:i4=-1 ReplicaNodes:[i4] IsrNodes:[i4] EligibleLeaderReplicas:?[i4] LastKnownElr:?[i4] OfflineReplicas:[i4]]
    TopicAuthorizedOperations:i4=-2147483648] NextCursor:?{TopicName:string PartitionIndex:i4}
DescribeCluster 60 v2
  > IncludeClusterAuthorizedOperations:bool EndpointType:i1=1 IncludeFencedBrokers:bool
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string=null EndpointType:i1=1 ClusterId:string ControllerId:i4=-1 Brokers:[BrokerId:i4
    Host:string Port:i4 Rack:?string=null IsFenced:bool] ClusterAuthorizedOperations:i4=-2147483648
Metadata 3 v13
  > Topics:?[TopicId:uuid Name:?string] AllowAutoTopicCreation:bool=true IncludeTopicAuthorizedOperations:bool
  < ThrottleTimeMs:i4 Brokers:[NodeId:i4 Host:string Port:i4 Rack:?string=null] ClusterId:?string=null ControllerId:i4=-1
    Topics:[ErrorCode:i2 Name:?string TopicId:uuid IsInternal:bool Partitions:[ErrorCode:i2 PartitionIndex:i4 LeaderId:i4
    LeaderEpoch:i4=-1 ReplicaNodes:[i4] IsrNodes:[i4] OfflineReplicas:[i4]] TopicAuthorizedOperations:i4=-2147483648] ErrorCode:i2
ListOffsets 2 v10
  > ReplicaId:i4 IsolationLevel:i1 Topics:[Name:string Partitions:[PartitionIndex:i4 CurrentLeaderEpoch:i4=-1 Timestamp:i8]] TimeoutMs:i4
  < ThrottleTimeMs:i4 Topics:[Name:string Partitions:[PartitionIndex:i4 ErrorCode:i2 Timestamp:i8=-1 Offset:i8=-1 LeaderEpoch:i4=-1]]
OffsetForLeaderEpoch 23 v4
  > ReplicaId:i4=-2 Topics:[Topic:string Partitions:[Partition:i4 CurrentLeaderEpoch:i4=-1 LeaderEpoch:i4]]
  < ThrottleTimeMs:i4 Topics:[Topic:string Partitions:[ErrorCode:i2 Partition:i4 LeaderEpoch:i4=-1 EndOffset:i8=-1]]
InitProducerId 22 v5
  > TransactionalId:?string TransactionTimeoutMs:i4 ProducerId:i8=-1 ProducerEpoch:i2=-1
  < ThrottleTimeMs:i4 ErrorCode:i2 ProducerId:i8=-1 ProducerEpoch:i2
Produce 0 v12
  > TransactionalId:?string=null Acks:i2 TimeoutMs:i4 TopicData:[Name:string PartitionData:[Index:i4 Records:?bytes]]
  < Responses:[Name:string PartitionResponses:[Index:i4 ErrorCode:i2 BaseOffset:i8 LogAppendTimeMs:i8=-1 LogStartOffset:i8=-1
    RecordErrors:[BatchIndex:i4 BatchIndexErrorMessage:?string=null] ErrorMessage:?string=null]] ThrottleTimeMs:i4
Fetch 1 v16
  > MaxWaitMs:i4 MinBytes:i4 MaxBytes:i4=0x7fffffff IsolationLevel:i1 SessionId:i4 SessionEpoch:i4=-1 Topics:[TopicId:uuid
    Partitions:[Partition:i4 CurrentLeaderEpoch:i4=-1 FetchOffset:i8 LastFetchedEpoch:i4=-1 LogStartOffset:i8=-1 PartitionMaxBytes:i4]]
    ForgottenTopicsData:[TopicId:uuid Partitions:[i4]] RackId:string
  < ThrottleTimeMs:i4 ErrorCode:i2 SessionId:i4 Responses:[TopicId:uuid Partitions:[PartitionIndex:i4 ErrorCode:i2 HighWatermark:i8
    LastStableOffset:i8=-1 LogStartOffset:i8=-1 AbortedTransactions:?[ProducerId:i8 FirstOffset:i8] PreferredReadReplica:i4=-1
    Records:?bytes]]
DescribeUserScramCredentials 50 v0
  > Users:?[Name:string]
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string
    Results:[User:string ErrorCode:i2 ErrorMessage:?string CredentialInfos:[Mechanism:i1 Iterations:i4]]
DescribeAcls 29 v3
  > ResourceTypeFilter:i1 ResourceNameFilter:?string PatternTypeFilter:i1=3 PrincipalFilter:?string HostFilter:?string Operation:i1
    PermissionType:i1
  < ThrottleTimeMs:i4 ErrorCode:i2 ErrorMessage:?string Resources:[ResourceType:i1 ResourceName:string PatternType:i1=3
    Acls:[Principal:string Host:string Operation:i1 PermissionType:i1]]
"""

ERRORS = """
UNKNOWN_SERVER_ERROR=-1 NONE=0 OFFSET_OUT_OF_RANGE=1 CORRUPT_MESSAGE=2 UNKNOWN_TOPIC_OR_PARTITION=3 INVALID_FETCH_SIZE=4
LEADER_NOT_AVAILABLE=5 NOT_LEADER_OR_FOLLOWER=6 REQUEST_TIMED_OUT=7 BROKER_NOT_AVAILABLE=8 REPLICA_NOT_AVAILABLE=9 MESSAGE_TOO_LARGE=10
STALE_CONTROLLER_EPOCH=11 OFFSET_METADATA_TOO_LARGE=12 NETWORK_EXCEPTION=13 COORDINATOR_LOAD_IN_PROGRESS=14 COORDINATOR_NOT_AVAILABLE=15
NOT_COORDINATOR=16 INVALID_TOPIC_EXCEPTION=17 RECORD_LIST_TOO_LARGE=18 NOT_ENOUGH_REPLICAS=19 NOT_ENOUGH_REPLICAS_AFTER_APPEND=20
INVALID_REQUIRED_ACKS=21 ILLEGAL_GENERATION=22 INCONSISTENT_GROUP_PROTOCOL=23 INVALID_GROUP_ID=24 UNKNOWN_MEMBER_ID=25
INVALID_SESSION_TIMEOUT=26 REBALANCE_IN_PROGRESS=27 INVALID_COMMIT_OFFSET_SIZE=28 TOPIC_AUTHORIZATION_FAILED=29
GROUP_AUTHORIZATION_FAILED=30 CLUSTER_AUTHORIZATION_FAILED=31 INVALID_TIMESTAMP=32 UNSUPPORTED_SASL_MECHANISM=33 ILLEGAL_SASL_STATE=34
UNSUPPORTED_VERSION=35 TOPIC_ALREADY_EXISTS=36 INVALID_PARTITIONS=37 INVALID_REPLICATION_FACTOR=38 INVALID_REPLICA_ASSIGNMENT=39
INVALID_CONFIG=40 NOT_CONTROLLER=41 INVALID_REQUEST=42 UNSUPPORTED_FOR_MESSAGE_FORMAT=43 POLICY_VIOLATION=44
OUT_OF_ORDER_SEQUENCE_NUMBER=45 DUPLICATE_SEQUENCE_NUMBER=46 INVALID_PRODUCER_EPOCH=47 INVALID_TXN_STATE=48 INVALID_PRODUCER_ID_MAPPING=49
INVALID_TRANSACTION_TIMEOUT=50 CONCURRENT_TRANSACTIONS=51 TRANSACTION_COORDINATOR_FENCED=52 TRANSACTIONAL_ID_AUTHORIZATION_FAILED=53
SECURITY_DISABLED=54 OPERATION_NOT_ATTEMPTED=55 KAFKA_STORAGE_ERROR=56 LOG_DIR_NOT_FOUND=57 SASL_AUTHENTICATION_FAILED=58
UNKNOWN_PRODUCER_ID=59 REASSIGNMENT_IN_PROGRESS=60 DELEGATION_TOKEN_AUTH_DISABLED=61 DELEGATION_TOKEN_NOT_FOUND=62
DELEGATION_TOKEN_OWNER_MISMATCH=63 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED=64 DELEGATION_TOKEN_AUTHORIZATION_FAILED=65
DELEGATION_TOKEN_EXPIRED=66 INVALID_PRINCIPAL_TYPE=67 NON_EMPTY_GROUP=68 GROUP_ID_NOT_FOUND=69 FETCH_SESSION_ID_NOT_FOUND=70
INVALID_FETCH_SESSION_EPOCH=71 LISTENER_NOT_FOUND=72 TOPIC_DELETION_DISABLED=73 FENCED_LEADER_EPOCH=74 UNKNOWN_LEADER_EPOCH=75
UNSUPPORTED_COMPRESSION_TYPE=76 STALE_BROKER_EPOCH=77 OFFSET_NOT_AVAILABLE=78 MEMBER_ID_REQUIRED=79 PREFERRED_LEADER_NOT_AVAILABLE=80
GROUP_MAX_SIZE_REACHED=81 FENCED_INSTANCE_ID=82 ELIGIBLE_LEADERS_NOT_AVAILABLE=83 ELECTION_NOT_NEEDED=84 NO_REASSIGNMENT_IN_PROGRESS=85
GROUP_SUBSCRIBED_TO_TOPIC=86 INVALID_RECORD=87 UNSTABLE_OFFSET_COMMIT=88 THROTTLING_QUOTA_EXCEEDED=89 PRODUCER_FENCED=90
RESOURCE_NOT_FOUND=91 DUPLICATE_RESOURCE=92 UNACCEPTABLE_CREDENTIAL=93 INCONSISTENT_VOTER_SET=94 INVALID_UPDATE_VERSION=95
FEATURE_UPDATE_FAILED=96 PRINCIPAL_DESERIALIZATION_FAILURE=97 SNAPSHOT_NOT_FOUND=98 POSITION_OUT_OF_RANGE=99 UNKNOWN_TOPIC_ID=100
DUPLICATE_BROKER_REGISTRATION=101 BROKER_ID_NOT_REGISTERED=102 INCONSISTENT_TOPIC_ID=103 INCONSISTENT_CLUSTER_ID=104
TRANSACTIONAL_ID_NOT_FOUND=105 FETCH_SESSION_TOPIC_ID_ERROR=106 INELIGIBLE_REPLICA=107 NEW_LEADER_ELECTED=108
OFFSET_MOVED_TO_TIERED_STORAGE=109 FENCED_MEMBER_EPOCH=110 UNRELEASED_INSTANCE_ID=111 UNSUPPORTED_ASSIGNOR=112 STALE_MEMBER_EPOCH=113
MISMATCHED_ENDPOINT_TYPE=114 UNSUPPORTED_ENDPOINT_TYPE=115 UNKNOWN_CONTROLLER_ID=116 UNKNOWN_SUBSCRIPTION_ID=117 TELEMETRY_TOO_LARGE=118
INVALID_REGISTRATION=119 TRANSACTION_ABORTABLE=120 INVALID_RECORD_STATE=121 SHARE_SESSION_NOT_FOUND=122 INVALID_SHARE_SESSION_EPOCH=123
FENCED_STATE_EPOCH=124 INVALID_VOTER_KEY=125 DUPLICATE_VOTER=126 VOTER_NOT_FOUND=127 INVALID_REGULAR_EXPRESSION=128
REBOOTSTRAP_REQUIRED=129 STREAMS_INVALID_TOPOLOGY=130 STREAMS_INVALID_TOPOLOGY_EPOCH=131 STREAMS_TOPOLOGY_FENCED=132
SHARE_SESSION_LIMIT_REACHED=133 GROUP_DELETION_FAILED=134 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED=135 CONTROLLER_ID_NOT_REGISTERED=136
"""
