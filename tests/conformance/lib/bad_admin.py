"""Bad input for topics, configs, quotas and the cluster itself."""

import time
import uuid

from load import wait_until

TOPIC, ABSENT = "bad-admin", "bad-absent"
TOPIC_TYPE, BROKER, CLUSTER_TYPE, GROUP = 2, 4, 99, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def creating(p):
    def case(name, *topics, **more):
        p.case(f"CreateTopics: {name}", p.broker("CreateTopics", None, Topics=[{"Name": "bad-made", "NumPartitions": 1, "ReplicationFactor": 1, **each}
                                                                               for each in topics], **more))

    def placed(*partitions):
        return {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [{"PartitionIndex": i, "BrokerIds": brokers} for i, brokers in partitions]}

    def configured(name, value):
        return {"Configs": [{"Name": name, "Value": value}]}
    for name, wrong in (("no name", ""), ("a dot for a name", "."), ("two dots for a name", ".."), ("a name with a blank", "a b"), ("a name with a slash", "a/b"),
                        ("a name of 250 letters", "n" * 250), ("a name beyond ASCII", "größe"), ("the name of one that is there", TOPIC),
                        ("a name that differs in a dot", TOPIC.replace("-", ".") + "_x")):
        case(name, {"Name": wrong}, validateOnly=name != "a name that differs in a dot")
    case("a name that differs in an underscore", {"Name": TOPIC.replace("-", "_") + ".x"})
    case("no partitions", {"NumPartitions": 0})
    case("fewer than no partitions", {"NumPartitions": -2})
    case("no replicas", {"ReplicationFactor": 0})
    case("fewer than no replicas", {"ReplicationFactor": -2})
    case("more replicas than brokers", {"ReplicationFactor": 4})
    case("the same name twice", {"Name": "bad-twice"}, {"Name": "bad-twice"})
    case("one good and one bad", {"Name": "bad-good"}, {"NumPartitions": 0})
    case("a placement and a count", {**placed((0, [1])), "NumPartitions": 1})
    case("a broker that is not there", placed((0, [1, 9])))
    case("a broker twice", placed((0, [1, 1])))
    case("a broker below nought", placed((0, [-1])))
    case("a partition on no broker", placed((0, [])))
    case("a placement that does not begin at nought", placed((1, [1])))
    case("a placement with a gap", placed((0, [1]), (2, [1])))
    case("a partition placed twice", placed((0, [1]), (0, [2])))
    case("partitions of different counts of replicas", placed((0, [1]), (1, [1, 2])))
    case("a config that is none", configured("bad.config", "1"))
    case("a number that does not parse", configured("retention.ms", "soon"))
    case("a number out of range", configured("segment.bytes", "1"))
    case("a choice that is none", configured("cleanup.policy", "burn"))
    case("a yes or no that is neither", configured("preallocate", "maybe"))
    case("a config without a value", configured("retention.ms", None))
    case("more replicas in sync than there are", configured("min.insync.replicas", "9"))
    case("no replicas in sync", configured("min.insync.replicas", "0"))
    case("a config twice", {"Configs": [{"Name": "retention.ms", "Value": "1"}, {"Name": "retention.ms", "Value": "2"}]}, validateOnly=True)
    case("nothing")
    p.case("CreateTopics: what is there after all that", p.broker("Metadata", None, Topics=[{"Name": "bad-made"}], AllowAutoTopicCreation=False))


def topics(p):
    absent_id = uuid.UUID(int=5 << 64 | 5)
    for name, wanted in (("a name that is not there", [{"Name": ABSENT}]), ("an id that is not there", [{"TopicId": absent_id}]), ("neither name nor id", [{}]),
                         ("a name and an id", [{"Name": ABSENT, "TopicId": absent_id}]), ("the same name twice", [{"Name": ABSENT}, {"Name": ABSENT}]),
                         ("an empty name", [{"Name": ""}]), ("a name that none may have", [{"Name": "a b"}]), ("nothing", [])):
        p.case(f"DeleteTopics: {name}", p.broker("DeleteTopics", None, Topics=wanted, TimeoutMs=10000))

    def grow(name, topic=TOPIC, count=4, places=None, **more):
        request = {"Name": topic, "Count": count, "Assignments": None if places is None else [{"BrokerIds": each} for each in places]}
        p.case(f"CreatePartitions: {name}", p.broker("CreatePartitions", None, Topics=[request], TimeoutMs=10000, **more))
    grow("a topic that is not there", topic=ABSENT)
    grow("a topic without a name", topic="")
    grow("as many as there are", count=3)
    grow("fewer than there are", count=2)
    grow("none", count=0)
    grow("fewer than none", count=-1)
    grow("placed on too few", count=5, places=[[1]])
    grow("placed on too many", count=4, places=[[1], [2]])
    grow("placed on a broker that is not there", places=[[9]])
    grow("placed on a broker twice", places=[[1, 1, 2]])
    grow("placed on nothing", places=[[]])
    grow("placed on fewer replicas than the others", places=[[1]])
    grow("only asked", count=5, ValidateOnly=True)
    twice = [{"Name": TOPIC, "Count": 4, "Assignments": None}] * 2
    p.case("CreatePartitions: the same name twice", p.broker("CreatePartitions", None, Topics=twice, TimeoutMs=10000))
    p.case("CreatePartitions: what is there after all that", p.broker("Metadata", None, Topics=[{"Name": TOPIC}], AllowAutoTopicCreation=False))

    def trim(name, offset=0, partition=0, topic=TOPIC):
        wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Offset": offset}]}]
        p.case(f"DeleteRecords: {name}", p.leader("DeleteRecords", TOPIC, 0, Topics=wanted, TimeoutMs=10000), "LowWatermark")
    trim("beyond the end", offset=1)
    trim("far beyond the end", offset=1 << 62)
    trim("up to the end", offset=-1)
    trim("below nought", offset=-2)
    trim("at the start", offset=0)
    trim("a partition that is not there", partition=9)
    trim("a partition below nought", partition=-1)
    trim("a topic that is not there", topic=ABSENT)
    trim("a topic without a name", topic="")


def moving(p):
    def elect(name, kind, wanted):
        p.case(f"ElectLeaders: {name}", p.broker("ElectLeaders", None, ElectionType=kind, TopicPartitions=wanted, TimeoutMs=10000))
    here = lambda *partitions: [{"Topic": TOPIC, "Partitions": list(partitions)}]  # noqa: E731
    # Until it has gone to where it belongs.
    for _ in range(50):
        done = p.broker("ElectLeaders", None, ElectionType=0, TopicPartitions=here(0), TimeoutMs=10000)
        if done["ReplicaElectionResults"][0]["PartitionResult"][0]["ErrorCode"] == 84:
            break
        time.sleep(0.1)
    elect("nothing to do", 0, here(0))
    elect("nothing to do, at any price", 1, here(0))
    elect("a partition that is not there", 0, here(9))
    elect("a partition below nought", 0, here(-1))
    elect("a topic that is not there", 0, [{"Topic": ABSENT, "Partitions": [0]}])
    elect("a topic without a name", 0, [{"Topic": "", "Partitions": [0]}])
    elect("a kind that is none", 7, here(0))
    elect("no partitions", 0, here())
    elect("nothing", 0, [])
    elect("a partition twice", 0, here(0, 0))

    def move(name, replicas, partition=0, topic=TOPIC, **more):
        wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Replicas": replicas}]}]
        p.case(f"AlterPartitionReassignments: {name}", p.broker("AlterPartitionReassignments", None, Topics=wanted, **more))
    move("a broker that is not there", [1, 9])
    move("only brokers that are not there", [7, 8, 9])
    move("a broker twice", [1, 1])
    move("a broker below nought", [-1])
    move("to nobody", [])
    move("ended where none goes on", None)
    move("a partition that is not there", [1, 2], partition=9)
    move("a partition below nought", [1, 2], partition=-1)
    move("a topic that is not there", [1, 2], topic=ABSENT)
    move("a topic without a name", [1, 2], topic="")
    move("fewer replicas than may be", [1], AllowReplicationFactorChange=False)
    p.case("AlterPartitionReassignments: nothing", p.broker("AlterPartitionReassignments", None, Topics=[]))
    p.case("AlterPartitionReassignments: what is there after all that", p.broker("ListPartitionReassignments", None, Topics=None), "Topics")
    p.case("ListPartitionReassignments: a topic that is not there", p.broker("ListPartitionReassignments", None, Topics=[{"Name": ABSENT, "PartitionIndexes": [0]}]))
    p.case("ListPartitionReassignments: a partition that is not there", p.broker("ListPartitionReassignments", None, Topics=[{"Name": TOPIC, "PartitionIndexes": [9]}]))


# Of which kind, called what, changed how.
CHANGES = (
    ("a topic that is not there", TOPIC_TYPE, ABSENT, [("retention.ms", SET, "1000")]),
    ("a topic without a name", TOPIC_TYPE, "", [("retention.ms", SET, "1000")]),
    ("a topic with a name that none may have", TOPIC_TYPE, "a b", [("retention.ms", SET, "1000")]),
    ("a config that is none", TOPIC_TYPE, TOPIC, [("bad.config", SET, "1")]),
    ("a config without a name", TOPIC_TYPE, TOPIC, [("", SET, "1")]),
    ("a number that does not parse", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "soon")]),
    ("a number with more behind it", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "10s")]),
    ("a number beyond 64 bits", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "9223372036854775808")]),
    ("a number that is empty", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "")]),
    ("a number between blanks", TOPIC_TYPE, TOPIC, [("retention.ms", SET, " 1000 ")]),
    ("a number out of range", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "-2")]),
    ("a share beyond one", TOPIC_TYPE, TOPIC, [("min.cleanable.dirty.ratio", SET, "1.5")]),
    ("a choice that is none", TOPIC_TYPE, TOPIC, [("compression.type", SET, "brotli")]),
    ("a list with an element that is none", TOPIC_TYPE, TOPIC, [("cleanup.policy", SET, "delete,burn")]),
    ("no value", TOPIC_TYPE, TOPIC, [("retention.ms", SET, None)]),
    ("more for what is no list", TOPIC_TYPE, TOPIC, [("retention.ms", APPEND, "1")]),
    ("less for what is no list", TOPIC_TYPE, TOPIC, [("retention.ms", SUBTRACT, "1")]),
    ("more for a list, of what is none", TOPIC_TYPE, TOPIC, [("cleanup.policy", APPEND, "burn")]),
    ("less for a list, to nothing", TOPIC_TYPE, TOPIC, [("cleanup.policy", SUBTRACT, "delete")]),
    ("an operation that is none", TOPIC_TYPE, TOPIC, [("retention.ms", 9, "1")]),
    ("deletes what was never set", TOPIC_TYPE, TOPIC, [("retention.ms", DELETE, None)]),
    ("deletes what is none", TOPIC_TYPE, TOPIC, [("bad.config", DELETE, None)]),
    ("a config twice", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "1000"), ("retention.ms", SET, "2000")]),
    ("one good and one bad", TOPIC_TYPE, TOPIC, [("retention.ms", SET, "1000"), ("bad.config", SET, "1")]),
    ("nothing", TOPIC_TYPE, TOPIC, []),
    ("a broker that is not there", BROKER, "9", [("log.cleaner.threads", SET, "1")]),
    ("a broker that is no number", BROKER, "one", [("log.cleaner.threads", SET, "1")]),
    ("a broker, a config that is none", BROKER, "1", [("bad.config", SET, "1")]),
    ("a broker, a config that wants a restart", BROKER, "1", [("log.dirs", SET, "/nowhere")]),
    ("a broker, its own number", BROKER, "1", [("node.id", SET, "7")]),
    ("a broker, a number that does not parse", BROKER, "1", [("num.io.threads", SET, "many")]),
    ("all brokers, a number that does not parse", BROKER, "", [("log.retention.ms", SET, "soon")]),
    ("all brokers, a number out of range", BROKER, "", [("message.max.bytes", SET, "-1")]),
    ("all brokers, a config that wants a restart", BROKER, "", [("log.dirs", SET, "/nowhere")]),
    ("a group, a config that is none", GROUP, "bad-group", [("bad.config", SET, "1")]),
    ("a group, a number that does not parse", GROUP, "bad-group", [("consumer.session.timeout.ms", SET, "soon")]),
    ("a group, shorter than is allowed", GROUP, "bad-group", [("consumer.session.timeout.ms", SET, "1")]),
    ("a group, longer than is allowed", GROUP, "bad-group", [("consumer.heartbeat.interval.ms", SET, "99999999")]),
    ("a group without a name", GROUP, "", [("consumer.session.timeout.ms", SET, "50000")]),
    ("a kind that is none", CLUSTER_TYPE, "any", [("retention.ms", SET, "1")]),
    ("a kind that means nothing", 0, "any", [("retention.ms", SET, "1")]),
)


# Kafka does some of what it then calls an error.
LATE = ("IncrementalAlterConfigs: an operation that is none",)


def configs(p):
    def state():
        wanted = [{"ResourceType": TOPIC_TYPE, "ResourceName": TOPIC, "ConfigurationKeys": None}, {"ResourceType": BROKER, "ResourceName": "", "ConfigurationKeys": None}]
        return [sorted(each.items() for each in result["Configs"] if each["ConfigSource"] not in (4, 5)) for result in
                p.broker("DescribeConfigs", 1, Resources=wanted)["Results"]]

    def case(name, before, answer):
        p.case(name, answer)
        # What was taken is seen a moment later, and must not be taken for the next one's.
        taken = all(each["ErrorCode"] == 0 for each in answer["Responses"]) if answer else False
        end = time.monotonic() + 1
        while (changed := state() != before) is False and (taken or name in LATE) and time.monotonic() < end:
            time.sleep(0.02)
        p.case(f"{name}: what it changes", {"Changed": changed}, "Changed")
    for name, kind, who, changes in CHANGES:
        before = state()
        words = [{"Name": key, "ConfigOperation": how, "Value": value} for key, how, value in changes]
        case(f"IncrementalAlterConfigs: {name}", before, p.broker("IncrementalAlterConfigs", None, Resources=[
            {"ResourceType": kind, "ResourceName": who, "Configs": words}], ValidateOnly=name in ("deletes what was never set", "nothing")))
    for name, kind, who, changes in CHANGES:
        if all(how == SET for _, how, _ in changes):
            before = state()
            words = [{"Name": key, "Value": value} for key, _, value in changes]
            case(f"AlterConfigs: {name}", before, p.broker("AlterConfigs", None, Resources=[
                {"ResourceType": kind, "ResourceName": who, "Configs": words}], ValidateOnly=name in ("a config twice", "nothing", "a number between blanks")))
    twice = {"ResourceType": TOPIC_TYPE, "ResourceName": TOPIC, "Configs": [{"Name": "retention.ms", "ConfigOperation": SET, "Value": "1000"}]}
    case("IncrementalAlterConfigs: the same topic twice", state(), p.broker("IncrementalAlterConfigs", None, Resources=[twice, twice], ValidateOnly=True))

    for name, kind, who, keys in (("a topic that is not there", TOPIC_TYPE, ABSENT, None), ("a topic without a name", TOPIC_TYPE, "", None),
                                  ("a topic with a name that none may have", TOPIC_TYPE, "a b", None), ("a broker that is not there", BROKER, "9", None),
                                  ("a broker that is no number", BROKER, "one", None), ("a kind that is none", CLUSTER_TYPE, "any", None),
                                  ("a kind that means nothing", 0, "any", None), ("a group without a name", GROUP, "", None), ("a group that is not there", GROUP, "bad-x", []),
                                  ("the loggers of a broker that is not there", 8, "9", None), ("keys that are none", TOPIC_TYPE, TOPIC, ["bad.config"])):
        answer = p.broker("DescribeConfigs", 1, Resources=[{"ResourceType": kind, "ResourceName": who, "ConfigurationKeys": keys}])
        p.case(f"DescribeConfigs: {name}", answer)
    for name, kinds in (("a kind that is none", [99]), ("a kind that means nothing", [0]), ("one good and one bad", [2, 99]), ("a kind below nought", [-1])):
        answer = p.broker("ListConfigResources", None, ResourceTypes=kinds)
        p.case(f"ListConfigResources: {name}", answer and {"ErrorCode": answer["ErrorCode"]})


def quotas(p):
    def alter(name, entity, *ops, again=1, **more):
        entry = {"Entity": [{"EntityType": kind, "EntityName": who} for kind, who in entity],
                 "Ops": [{"Key": key, "Value": value, "Remove": value is None} if value is not None else {"Key": key, "Remove": True} for key, value in ops]}
        answer = p.broker("AlterClientQuotas", None, Entries=[entry] * again, **more)
        p.case(f"AlterClientQuotas: {name}", answer and {"Entries": [{"ErrorCode": each["ErrorCode"]} for each in answer["Entries"]]})
    user = [("user", "bad-user")]
    alter("a key that is none", user, ("bad_rate", 1.0))
    alter("a rate below nought", user, ("producer_byte_rate", -1.0))
    alter("a rate of nought", user, ("producer_byte_rate", 0.0))
    alter("a rate that is no number", user, ("producer_byte_rate", float("nan")))
    alter("a rate without bounds", user, ("producer_byte_rate", float("inf")))
    alter("a part of a byte", user, ("producer_byte_rate", 1.5))
    alter("a part of a percent", user, ("request_percentage", 0.5), ValidateOnly=True)
    alter("a rate of connections for a user", user, ("connection_creation_rate", 1.0))
    alter("a part of a connection", [("ip", "127.0.0.9")], ("connection_creation_rate", 1.5))
    alter("nobody", [], ("producer_byte_rate", 1.0))
    alter("an entity that is none", [("bad", "x")], ("producer_byte_rate", 1.0))
    alter("a user and an address", [("user", "u"), ("ip", "127.0.0.1")], ("producer_byte_rate", 1.0))
    alter("a user twice", [("user", "u"), ("user", "v")], ("producer_byte_rate", 1.0))
    alter("a user without a name", [("user", "")], ("producer_byte_rate", 1.0))
    alter("a client without a name", [("client-id", "")], ("producer_byte_rate", 1.0))
    alter("an address that is none", [("ip", "somewhere else")], ("connection_creation_rate", 1.0))
    alter("bytes for an address", [("ip", "127.0.0.9")], ("producer_byte_rate", 1.0))
    alter("the same entity twice", user, ("producer_byte_rate", 1000.0), again=2, ValidateOnly=True)
    alter("the same key twice", user, ("producer_byte_rate", 1000.0), ("producer_byte_rate", 2000.0), ValidateOnly=True)
    alter("no change", user)
    alter("takes away what is not there", user, ("producer_byte_rate", None))
    alter("takes away what is none", user, ("bad_rate", None))

    def describe(name, *components, strict=False):
        answer = p.broker("DescribeClientQuotas", None, Components=[{"EntityType": kind, "MatchType": how, "Match": what} for kind, how, what in components],
                          Strict=strict)
        p.case(f"DescribeClientQuotas: {name}", answer, "Entries")
    everybody = [{"EntityType": "user", "MatchType": 2, "Match": None}]
    wait_until(lambda: "bad-user" not in str(p.broker("DescribeClientQuotas", None, Components=everybody, Strict=False)), 10,
               "a broker has heard of what its controller took away")
    describe("what is there after all that", ("user", 2, None))
    describe("an entity that is none", ("bad", 0, "x"))
    describe("an entity without a kind", ("", 0, "x"))
    describe("a kind of match that is none", ("user", 7, "x"))
    describe("an exact match of nothing", ("user", 0, None))
    describe("a default with a name", ("user", 1, "x"))
    describe("any, with a name", ("user", 2, "x"))
    describe("a user twice", ("user", 2, None), ("user", 2, None))
    describe("a user and an address", ("user", 2, None), ("ip", 2, None))


def cluster(p):
    def quorum(name, topic="__cluster_metadata", partition=0):
        p.case(f"DescribeQuorum: {name}", p.broker("DescribeQuorum", None, Topics=[{"TopicName": topic, "Partitions": [{"PartitionIndex": partition}]}]))
    quorum("as it is")
    quorum("another topic", topic=TOPIC)
    quorum("another partition", partition=1)
    p.case("DescribeQuorum: nothing", p.broker("DescribeQuorum", None, Topics=[]))

    def update(name, *updates, **more):
        words = [{"Feature": feature, "MaxVersionLevel": level, "UpgradeType": how} for feature, level, how in updates]
        p.case(f"UpdateFeatures: {name}", p.broker("UpdateFeatures", None, FeatureUpdates=words, **more))
    update("nothing")
    update("a feature that is none", ("bad.feature", 1, 1))
    update("a feature without a name", ("", 1, 1))
    update("a level that nobody has", ("group.version", 99, 1))
    update("a level below nought", ("group.version", -1, 1))
    update("down, called up", ("group.version", 0, 1))
    update("a kind of change that is none", ("group.version", 1, 9))
    update("a kind of change that means nothing", ("group.version", 1, 0))
    update("the level that it has", ("group.version", 1, 1), ValidateOnly=True)
    update("metadata to a level that nobody has", ("metadata.version", 999, 1))
    update("metadata to a level that is none", ("metadata.version", 0, 3))
    update("taken away, called up", ("metadata.version", 0, 1))
    update("the same twice", ("group.version", 1, 1), ("group.version", 1, 1))
    for name, broker in (("one that is not there", 9), ("one below nought", -1)):
        p.case(f"UnregisterBroker: {name}", p.broker("UnregisterBroker", None, BrokerId=broker))

    nowhere = [{"Name": "CONTROLLER", "Host": "127.0.0.1", "Port": 1}]
    some = uuid.UUID(int=3 << 64 | 3)

    def add(name, **more):
        request = {"ClusterId": p.cluster_id, "TimeoutMs": 2000, "VoterId": 9, "VoterDirectoryId": some, "Listeners": nowhere, **more}
        p.case(f"AddRaftVoter: {name}", p.broker("AddRaftVoter", None, **request))

    def remove(name, **more):
        p.case(f"RemoveRaftVoter: {name}", p.broker("RemoveRaftVoter", None, **{"ClusterId": p.cluster_id, "VoterId": 9, "VoterDirectoryId": some, **more}))
    add("of another cluster", ClusterId="another")
    add("one that votes already", VoterId=1)
    add("one below nought", VoterId=-1)
    add("no directory", VoterDirectoryId=uuid.UUID(int=0))
    add("no listeners", Listeners=[])
    add("one that is nowhere")
    remove("of another cluster", ClusterId="another")
    remove("one that does not vote")
    remove("one that votes, in another directory", VoterId=1)
    remove("one below nought", VoterId=-1)

    p.case("DescribeCluster: a kind of endpoint that is none", {"ErrorCode": p.broker("DescribeCluster", None, EndpointType=7)["ErrorCode"]})
    p.case("DescribeCluster: the controllers", {"ErrorCode": p.broker("DescribeCluster", None, EndpointType=2)["ErrorCode"]})
    held = p.broker("DescribeLogDirs", 1, Topics=[{"Topic": ABSENT, "Partitions": [0]}])
    p.case("DescribeLogDirs: a topic that is not there", {"ErrorCode": held["ErrorCode"], "Topics": [each["Topics"] for each in held["Results"]]}, "Topics")
    for name, users in (("nobody", ["bad-user"]), ("nobody twice", ["bad-user", "bad-user"]), ("all", None), ("no name", [""])):
        p.case(f"DescribeUserScramCredentials: {name}", p.broker("DescribeUserScramCredentials", None, Users=users and [{"Name": each} for each in users]))
    p.case("DescribeAcls: without an authorizer", p.broker("DescribeAcls", None, ResourceTypeFilter=1, PatternTypeFilter=1, Operation=1, PermissionType=1,
                                                          ResourceNameFilter=None, PrincipalFilter=None, HostFilter=None))


def run(p):
    # The first broker of each partition leads it: so there is nothing to elect.
    p.create(TOPIC, assignments=((1, 2, 3), (2, 3, 1), (3, 1, 2)))
    for part in (creating, topics, moving, configs, quotas, cluster):
        part(p)
