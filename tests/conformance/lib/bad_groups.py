"""Bad input for groups: the classic protocol, the newer one, their offsets."""

import uuid

from probe import subscription

TOPIC, ABSENT = "bad-groups", "bad-absent"
CONSUMER = "consumer"


def protocols(*names, topic=TOPIC):
    return [{"Name": name, "Metadata": subscription(topic)} for name in names]


def join(p, group, member="", **more):
    request = {"GroupId": group, "SessionTimeoutMs": 45000, "RebalanceTimeoutMs": 60000, "MemberId": member, "ProtocolType": CONSUMER,
               "Protocols": protocols("range"), **more}
    return p.coordinator("JoinGroup", group, **request)


def settle(p, group, instance=None, member=None):
    """A group of one member that has joined and has its assignment: its id and generation."""
    if member is None:
        member = "" if instance else join(p, group)["MemberId"]
    joined = join(p, group, member, GroupInstanceId=instance)
    if joined["ErrorCode"] != 0:
        raise RuntimeError(f"{group}: {joined}")
    member, generation = joined["MemberId"], joined["GenerationId"]
    p.alias(member, f"member of {group}")
    synced = p.coordinator("SyncGroup", group, GroupId=group, GenerationId=generation, MemberId=member, GroupInstanceId=instance, ProtocolType=CONSUMER,
                           ProtocolName="range", Assignments=[{"MemberId": member, "Assignment": b""}])
    if synced["ErrorCode"] != 0:
        raise RuntimeError(f"{group}: {synced}")
    return member, generation


def finding(p):
    for name, kind, keys in (("no group named", 0, [""]), ("a type that is none", 7, ["any"]), ("no keys", 0, []), ("the same group twice", 0, ["twice", "twice"])):
        answer = p.broker("FindCoordinator", None, KeyType=kind, CoordinatorKeys=keys)
        p.case(f"FindCoordinator: {name}", answer)


def joining(p):
    def case(name, group="bad-join", member="", **more):
        p.case(f"JoinGroup: {name}", join(p, group, member, **more))
    case("a session shorter than is allowed", SessionTimeoutMs=5999)
    case("a session longer than is allowed", SessionTimeoutMs=1800001)
    case("a session of no time", SessionTimeoutMs=0)
    case("a session of less than no time", SessionTimeoutMs=-1)
    case("a group without a name", group="")
    case("a member that nobody knows", member="nobody")
    case("a member that nobody knows, static", member="nobody", GroupInstanceId="bad-instance")
    case("no protocols", Protocols=[])
    case("no type of protocol", ProtocolType="")
    case("a member without an id")
    case("an instance without a name", GroupInstanceId="")
    case("an instance with a name that is none", GroupInstanceId="a/b c")


def living(p):
    """A classic group of one member that is alive."""
    group = "bad-living"
    member, generation = settle(p, group)
    case = lambda name, answer, *wanted: p.case(f"a living group, {name}", answer, *wanted)  # noqa: E731
    case("joined with another type of protocol", join(p, group, ProtocolType="connect"))
    case("joined with protocols that nobody has", join(p, group, Protocols=protocols("other")))
    case("joined by a member that nobody knows", join(p, group, "nobody"))

    def sync(name, **more):
        request = {"GroupId": group, "GenerationId": generation, "MemberId": member, "ProtocolType": CONSUMER, "ProtocolName": "range", **more}
        case(f"synced {name}", p.coordinator("SyncGroup", group, **request))
    sync("as it is")
    sync("with a generation to come", GenerationId=generation + 1)
    sync("with a generation that is over", GenerationId=generation - 1)
    sync("by a member that nobody knows", MemberId="nobody")
    sync("with another type of protocol", ProtocolType="connect")
    sync("with another protocol", ProtocolName="roundrobin")
    sync("by an instance that nobody knows", GroupInstanceId="bad-instance")

    def beat(name, **more):
        case(f"a heartbeat {name}", p.coordinator("Heartbeat", group, **{"GroupId": group, "GenerationId": generation, "MemberId": member, **more}))
    beat("as it is")
    beat("with a generation to come", GenerationId=generation + 1)
    beat("with a generation that is over", GenerationId=generation - 1)
    beat("by a member that nobody knows", MemberId="nobody")
    beat("by an instance that nobody knows", GroupInstanceId="bad-instance")

    commits(p, group, member, generation)
    case("is deleted", p.coordinator("DeleteGroups", group, GroupsNames=[group]))
    case("offsets of what it subscribes to are deleted", p.coordinator(
        "OffsetDelete", group, GroupId=group, Topics=[{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 9}]}]))
    case("offsets of what it does not subscribe to are deleted", p.coordinator(
        "OffsetDelete", group, GroupId=group, Topics=[{"Name": ABSENT, "Partitions": [{"PartitionIndex": 0}]}]))
    case("described as one of the newer protocol", p.coordinator("ConsumerGroupDescribe", group, GroupIds=[group]))
    case("described", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState", "ProtocolType", "ProtocolData")

    def leave(name, *members):
        case(f"left by {name}", p.coordinator("LeaveGroup", group, GroupId=group, Members=members))
    leave("a member that nobody knows", {"MemberId": "nobody"})
    leave("an instance that nobody knows", {"MemberId": "", "GroupInstanceId": "bad-instance"})
    leave("nobody")
    leave("its member and one that nobody knows", {"MemberId": member}, {"MemberId": "nobody"})
    case("after all have left", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState")


def commits(p, group, member, generation):
    """Each of these leaves what was committed as it was."""
    def fetch():
        return p.coordinator("OffsetFetch", group, Groups=[{"GroupId": group, "Topics": None}])["Groups"]

    def commit(name, offset=7, topic=TOPIC, partition=0, metadata="", keeps=True, **more):
        before = fetch()
        answer = p.coordinator("OffsetCommit", group, **{
            "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member,
            "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}]}], **more})
        p.case(f"a commit {name}", answer)
        p.case(f"a commit {name}: what it changes", {"Changed": fetch() != before}, "Changed")
    commit("as it is", offset=3)
    commit("with a generation to come", GenerationIdOrMemberEpoch=generation + 1)
    commit("with a generation that is over", GenerationIdOrMemberEpoch=generation - 1)
    commit("by a member that nobody knows", MemberId="nobody")
    commit("by nobody, into a living group", GenerationIdOrMemberEpoch=-1, MemberId="")
    commit("by an instance that nobody knows", GroupInstanceId="bad-instance")
    commit("with metadata of 4097 bytes", metadata="m" * 4097)
    commit("with metadata of 4096 bytes", metadata="m" * 4096, offset=4)
    commit("without metadata", metadata=None, offset=5)
    commit("for a topic that is not there", topic=ABSENT)
    commit("for a partition that is not there", partition=9)
    commit("for a partition below nought", partition=-1)
    commit("of an offset below nought", offset=-1)
    commit("of no topics", Topics=[])


def static(p):
    """A static member whose place another process has taken."""
    group, instance = "bad-static", "bad-instance-1"
    fenced, generation = settle(p, group, instance)
    p.alias(fenced, "the old member")
    member, generation = settle(p, group, instance)
    case = lambda name, answer, *wanted: p.case(f"a fenced static member {name}", answer, *wanted)  # noqa: E731
    case("joins", join(p, group, fenced, GroupInstanceId=instance))
    who = {"GroupId": group, "GenerationId": generation, "MemberId": fenced, "GroupInstanceId": instance}
    case("syncs", p.coordinator("SyncGroup", group, ProtocolType=CONSUMER, ProtocolName="range", **who))
    case("sends a heartbeat", p.coordinator("Heartbeat", group, **who))
    case("commits", p.coordinator("OffsetCommit", group, GroupId=group, GenerationIdOrMemberEpoch=generation, MemberId=fenced, GroupInstanceId=instance,
                                  Topics=[{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]))
    case("leaves", p.coordinator("LeaveGroup", group, GroupId=group, Members=[{"MemberId": fenced, "GroupInstanceId": instance}]))
    case("leaves the group as it was", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState")
    p.case("a static member leaves by its instance alone", p.coordinator(
        "LeaveGroup", group, GroupId=group, Members=[{"MemberId": "", "GroupInstanceId": instance}]))


def absent(p):
    """Groups that nobody has made."""
    group = "bad-nobodys"
    who = {"GroupId": group, "GenerationId": 1, "MemberId": "nobody"}
    case = lambda name, answer, *wanted: p.case(f"a group that is not there, {name}", answer, *wanted)  # noqa: E731
    case("synced", p.coordinator("SyncGroup", group, ProtocolType=CONSUMER, ProtocolName="range", **who))
    case("a heartbeat", p.coordinator("Heartbeat", group, **who))
    case("left", p.coordinator("LeaveGroup", group, GroupId=group, Members=[{"MemberId": "nobody"}]))
    topics = [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]
    case("a commit with a generation", p.coordinator("OffsetCommit", group, GroupId=group, GenerationIdOrMemberEpoch=1, MemberId="nobody", Topics=topics))
    case("a commit with a generation and no member", p.coordinator("OffsetCommit", group, GroupId=group, GenerationIdOrMemberEpoch=1, Topics=topics))
    case("offsets fetched", p.coordinator("OffsetFetch", group, Groups=[
        {"GroupId": group, "Topics": [{"Name": TOPIC, "PartitionIndexes": [0, 9]}, {"Name": ABSENT, "PartitionIndexes": [0]}]}]), "CommittedOffset", "Metadata")
    case("all offsets fetched", p.coordinator("OffsetFetch", group, Groups=[{"GroupId": group, "Topics": None}]))
    case("offsets fetched by a member of it", p.coordinator("OffsetFetch", group, Groups=[{"GroupId": group, "MemberId": "nobody", "MemberEpoch": 3, "Topics": None}]))
    case("described", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState")
    case("described as one of the newer protocol", p.coordinator("ConsumerGroupDescribe", group, GroupIds=[group]))
    case("deleted", p.coordinator("DeleteGroups", group, GroupsNames=[group]))
    case("offsets deleted", p.coordinator("OffsetDelete", group, GroupId=group, Topics=[{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}]))
    case("a commit by nobody", p.coordinator("OffsetCommit", group, GroupId=group, Topics=topics))
    case("described after that", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState", "ProtocolType")

    unnamed = lambda name, answer, *wanted: p.case(f"a group without a name, {name}", answer, *wanted)  # noqa: E731
    asked = lambda api, **request: p.coordinator(api, "", **request)  # noqa: E731
    unnamed("synced", asked("SyncGroup", GenerationId=1, MemberId="m", ProtocolType=CONSUMER, ProtocolName="range"))
    unnamed("a heartbeat", asked("Heartbeat", GenerationId=1, MemberId="m"))
    unnamed("left", asked("LeaveGroup", Members=[{"MemberId": "m"}]))
    unnamed("a commit by nobody", asked("OffsetCommit", Topics=topics))
    unnamed("a commit with a generation", asked("OffsetCommit", GenerationIdOrMemberEpoch=1, MemberId="m", Topics=topics))
    unnamed("described", asked("DescribeGroups", Groups=[""]), "GroupState")
    unnamed("deleted", asked("DeleteGroups", GroupsNames=[""]))
    unnamed("offsets deleted", asked("OffsetDelete", Topics=topics and [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}]))


def listing(p):
    for name, states, kinds in (("a state that is none", ["Sleeping"], []), ("a type that is none", [], ["modern"]), ("states in small letters", ["stable"], []),
                                ("types in capitals", [], ["CLASSIC"])):
        answer = p.broker("ListGroups", None, StatesFilter=states, TypesFilter=kinds)
        p.case(f"ListGroups: {name}", {"ErrorCode": answer["ErrorCode"]})


def beat(p, group, member, epoch=0, **more):
    request = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, **more}
    return p.coordinator("ConsumerGroupHeartbeat", group, **request)


JOINS = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [TOPIC], "TopicPartitions": []}


def newer(p):
    """Heartbeats that no member should send, and a group of the newer protocol that is alive."""
    group, member = "bad-newer", str(uuid.UUID(int=7))

    def refused(name, who=member, epoch=0, **more):
        p.case(f"ConsumerGroupHeartbeat: {name}", beat(p, more.pop("GroupId", group), who, epoch, **{**JOINS, **more}))
    refused("a group without a name", GroupId="")
    refused("a member without an id", who="")
    refused("joins without a time to rebalance", RebalanceTimeoutMs=-1)
    refused("joins with no time to rebalance", RebalanceTimeoutMs=0)
    refused("joins without topics", SubscribedTopicNames=None)
    refused("joins with no topics named", SubscribedTopicNames=[], GroupId="bad-newer-none")
    refused("joins owning partitions", TopicPartitions=[{"TopicId": uuid.UUID(int=9), "Partitions": [0]}])
    refused("joins without saying that it owns nothing", TopicPartitions=None)
    refused("an assignor that is not there", ServerAssignor="bad")
    refused("an assignor without a name", ServerAssignor="")
    refused("an expression that is none", SubscribedTopicNames=None, SubscribedTopicRegex="a(b")
    refused("an instance without a name", InstanceId="")
    refused("a rack without a name", RackId="")
    refused("an epoch of a group that is not there", epoch=3)
    refused("an epoch below those that mean something", epoch=-3)
    refused("leaves a group that is not there", epoch=-1)
    refused("leaves for a while without an instance", epoch=-2)
    p.case("ConsumerGroupHeartbeat: the group is not there after all that", p.coordinator("ConsumerGroupDescribe", group, GroupIds=[group]))

    refused("joins a topic that is not there", SubscribedTopicNames=[ABSENT], GroupId="bad-newer-absent")
    joined = beat(p, group, member, InstanceId="bad-instance-2", **JOINS)
    epoch = joined["MemberEpoch"]
    p.case("ConsumerGroupHeartbeat: joins", joined)
    for name, more in (("a member that nobody knows", {"who": "nobody", "epoch": epoch}), ("an epoch to come", {"epoch": epoch + 5}),
                       ("an epoch that is over", {"epoch": epoch - 1 or epoch - 2}), ("an instance that another has", {"who": "other", "InstanceId": "bad-instance-2"}),
                       ("another instance than it is", {"epoch": epoch, "InstanceId": "bad-other"}),
                       ("an assignor that is not there, later", {"epoch": epoch, "InstanceId": "bad-instance-2", "ServerAssignor": "bad"}),
                       ("an expression that is none, later", {"epoch": epoch, "InstanceId": "bad-instance-2", "SubscribedTopicRegex": "a(b"}),
                       ("leaves, being nobody", {"who": "nobody", "epoch": -1}), ("leaves for a while, being nobody", {"who": "nobody", "epoch": -2, "InstanceId": "bad-x"}),
                       ("leaves for a while, being another", {"who": "nobody", "epoch": -2, "InstanceId": "bad-instance-2"})):
        who, at = more.pop("who", member), more.pop("epoch", 0)
        p.case(f"a living group of the newer protocol: {name}", beat(p, group, who, at, **({**JOINS, **more} if at == 0 else more)))
    epoch = beat(p, group, member, epoch, InstanceId="bad-instance-2")["MemberEpoch"]

    topics = [{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]
    case = lambda name, answer, *wanted: p.case(f"a living group of the newer protocol, {name}", answer, *wanted)  # noqa: E731
    for name, who, at in (("as it is", member, epoch), ("with an epoch to come", member, epoch + 1), ("with an epoch that is over", member, epoch - 1),
                          ("by a member that nobody knows", "nobody", epoch), ("by nobody", "", -1)):
        case(f"a commit {name}", p.coordinator("OffsetCommit", group, GroupId=group, GenerationIdOrMemberEpoch=at, MemberId=who, Topics=topics))
        case(f"offsets fetched {name}", p.coordinator("OffsetFetch", group, Groups=[{"GroupId": group, "MemberId": who or None, "MemberEpoch": at, "Topics": None}]))
    case("joined by a classic member with another type of protocol", join(p, group, ProtocolType="connect"))
    case("a classic heartbeat", p.coordinator("Heartbeat", group, GroupId=group, GenerationId=epoch, MemberId=member))
    case("synced by a member of the newer protocol", p.coordinator("SyncGroup", group, GroupId=group, GenerationId=epoch, MemberId=member, ProtocolType=CONSUMER,
                                                                   ProtocolName="range"))
    case("described as a classic one", p.coordinator("DescribeGroups", group, Groups=[group]), "GroupState")
    case("deleted", p.coordinator("DeleteGroups", group, GroupsNames=[group]))
    case("offsets deleted", p.coordinator("OffsetDelete", group, GroupId=group, Topics=[{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0}]}]))
    case("left by nobody known", p.coordinator("LeaveGroup", group, GroupId=group, Members=[{"MemberId": "nobody"}]))

    other = "bad-connect"
    beat(p, other, member, -1)
    p.case("a heartbeat of the newer protocol into a living classic group of another type", into_connect(p, other, member))


def into_connect(p, group, member):
    who = join(p, group, ProtocolType="connect", Protocols=[{"Name": "eager", "Metadata": b"any"}])["MemberId"]
    join(p, group, who, ProtocolType="connect", Protocols=[{"Name": "eager", "Metadata": b"any"}])
    return beat(p, group, member, **JOINS)


def run(p):
    p.create(TOPIC, partitions=2)
    p.coordinator("OffsetFetch", "twice", Groups=[{"GroupId": "twice", "Topics": None}])
    p.led("__consumer_offsets")  # From here on every group has a coordinator.
    for part in (finding, joining, living, static, absent, listing, newer):
        part(p)
