"""Bad input for records: what is written, what is asked for, producers."""

import struct
import time
import uuid

TOPIC, ABSENT = "bad-data", "bad-absent-data"
CRC = tuple(range(256))
for _ in range(8):
    CRC = tuple((value >> 1) ^ (0x82F63B78 if value & 1 else 0) for value in CRC)


def crc32c(data):
    found = 0xFFFFFFFF
    for byte in data:
        found = CRC[(found ^ byte) & 255] ^ (found >> 8)
    return found ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def record(offset=0, value=b"value", key=b"key"):
    body = b"\0" + varint(0) + varint(offset) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


NOW = int(time.time() * 1000)  # What is older than a week may be gone at any moment, and so may producers of yesterday.


def batch(records=(record(),), count=None, attributes=0, base=0, last=None, time=NOW, time_max=None, producer=-1, epoch=-1, sequence=-1, magic=2, crc=None, grow=0,
          tail=b""):
    """One of format 2, and what can be wrong about it."""
    count = len(records) if count is None else count
    last = len(records) - 1 if last is None else last
    body = struct.pack(">hiqqqhii", attributes, last, time, time if time_max is None else time_max, producer, epoch, sequence, count) + b"".join(records) + tail
    crc = crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", base, 9 + len(body) + grow, -1, magic, crc) + body


def producing(p):
    def case(name, records, topic=TOPIC, partition=0, acks=-1, *wanted, **more):
        ends = end(p)
        request = {"Acks": acks, "TimeoutMs": 5000, "TopicData": [{"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}], **more}
        p.case(f"Produce: {name}", p.leader("Produce", TOPIC, 0, **request), *wanted)
        p.case(f"Produce: {name}: what it adds", {"Added": end(p) - ends}, "Added")
    case("as it is", batch())
    case("copies that no one counts", batch(), TOPIC, 0, 2)
    case("a topic that is not there", batch(), topic=ABSENT)
    case("a topic without a name", batch(), topic="")
    case("a topic with a name that none may have", batch(), topic="a b")
    case("a partition that is not there", batch(), partition=9)
    case("a partition below nought", batch(), partition=-1)
    case("nothing", None)
    case("no bytes", b"")
    case("a few bytes", b"12345")
    case("a batch cut short", batch()[:-1])
    case("a batch with more behind it", batch() + b"more")
    case("two batches", batch() + batch())
    case("a wrong checksum", batch(crc=1))
    case("a format to come", batch(magic=3))
    case("a format of old", batch(magic=1))
    case("a codec that is none", batch(attributes=7))
    case("a codec that the bytes are not of", batch(attributes=2))
    case("fewer records than it says", batch(count=2))
    case("more records than it says", batch((record(), record(1)), count=1))
    case("no records", batch((), last=0))
    case("offsets that do not begin at nought", batch((record(3),)))
    case("a gap in its offsets", batch((record(), record(2)), last=2))
    case("a last offset that is not its last", batch(last=5))
    case("a last offset below nought", batch(last=-1))
    case("a record that is longer than its batch", batch((b"\x7f\x00",)))
    case("bytes behind its last record", batch(tail=b"tail"))
    case("a base that is not nought", batch(base=7))
    case("a base below nought", batch(base=-7))
    case("a control batch", batch(attributes=0x20))
    case("a batch of a transaction, of nobody's", batch(attributes=0x10))
    case("a batch of a transaction without its name", batch(attributes=0x10, producer=1, epoch=0, sequence=0))
    case("a time below nought", batch(time=-5))
    case("a batch beyond what may be", batch((record(value=b"v" * 1_100_000),)))
    case("a time a century on", batch(time=NOW + 100 * 365 * 86400000))

    def claims(name, producer, epoch, sequence, count=1):
        case(name, batch(tuple(record(i) for i in range(count)), producer=producer, epoch=epoch, sequence=sequence))
    for _ in range(100):  # The first one waits until there are any.
        made = p.broker("InitProducerId", None, TransactionalId=None, TransactionTimeoutMs=60000)
        if made["ErrorCode"] == 0:
            break
        time.sleep(0.1)
    producer = made["ProducerId"]
    claims("a producer that nobody has named, from its middle", 999_999, 0, 5)
    claims("a producer begins", producer, 0, 0)
    claims("a producer, the same again", producer, 0, 0)
    claims("a producer leaves one out", producer, 0, 2)
    claims("a producer goes on", producer, 0, 1)
    claims("a producer, half of it again", producer, 0, 1, count=2)
    claims("a producer of a later epoch, from its middle", producer, 3, 7)
    claims("a producer of a later epoch", producer, 3, 0)
    claims("a producer of an epoch that is over", producer, 0, 2)
    claims("a producer without an epoch", producer, -1, 0)
    claims("a producer without a sequence", producer, 3, -1)
    p.case("InitProducerId: a transaction without a name", p.broker("InitProducerId", None, TransactionalId="", TransactionTimeoutMs=60000))
    p.case("InitProducerId: an epoch without an id", p.broker("InitProducerId", None, TransactionalId=None, TransactionTimeoutMs=60000, ProducerEpoch=3))


def end(p):
    return p.leader("ListOffsets", TOPIC, 0, ReplicaId=-1, Topics=[{"Name": TOPIC, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}])[
        "Topics"][0]["Partitions"][0]["Offset"]


def reading(p, topic_id):
    def fetch(name, offset=0, topic=topic_id, partition=0, **more):
        part = {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1000, **more.pop("part", {})}
        request = {"MaxWaitMs": 10, "MinBytes": 1, "Topics": [{"TopicId": topic, "Partitions": [part]}], **more}
        answer = p.leader("Fetch", TOPIC, 0, **request)
        # What comes is of each cluster's own choice; where it may come from is not.
        p.case(f"Fetch: {name}", answer)
    last = end(p)
    fetch("at the end", offset=last)
    fetch("beyond the end", offset=last + 1)
    fetch("below nought", offset=-5)
    fetch("a topic that is not there", topic=uuid.UUID(int=5 << 64 | 5))
    fetch("a topic without an id", topic=uuid.UUID(int=0))
    fetch("a partition that is not there", partition=9)
    fetch("a partition below nought", partition=-1)
    fetch("an epoch to come", part={"CurrentLeaderEpoch": 1000})
    fetch("an epoch to come of what it has", part={"LastFetchedEpoch": 1000})
    fetch("a session that is not there", SessionId=77, SessionEpoch=3)
    fetch("a session that is not there, to be ended", SessionId=77, SessionEpoch=-1)
    fetch("a session of no epoch", SessionId=0, SessionEpoch=5)
    fetch("no bytes at most", MaxBytes=0)
    fetch("fewer than no bytes of a partition", part={"PartitionMaxBytes": -1})
    fetch("an isolation that is none", IsolationLevel=7)
    p.case("Fetch: nothing", p.broker("Fetch", None, MaxWaitMs=1, MinBytes=0, Topics=[]))

    def offsets(name, time, topic=TOPIC, partition=0, epoch=-1, *wanted):
        request = [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": time, "CurrentLeaderEpoch": epoch}]}]
        p.case(f"ListOffsets: {name}", p.leader("ListOffsets", TOPIC, 0, ReplicaId=-1, Topics=request), *wanted)
    offsets("a time that means nothing", -9, TOPIC, 0, -1, "Offset")
    offsets("a time to come", 1 << 60, TOPIC, 0, -1, "Offset", "Timestamp")
    offsets("tiered, without tiers", -5, TOPIC, 0, -1, "Offset")
    offsets("the earliest that is here", -4, TOPIC, 0, -1, "Offset")
    offsets("a topic that is not there", -1, topic=ABSENT)
    offsets("a topic without a name", -1, topic="")
    offsets("a partition that is not there", -1, partition=9)
    offsets("an epoch to come", -1, epoch=1000)
    twice = {"PartitionIndex": 0, "Timestamp": -1}
    p.case("ListOffsets: a partition twice", p.leader("ListOffsets", TOPIC, 0, ReplicaId=-1, Topics=[{"Name": TOPIC, "Partitions": [twice, twice]}]))

    def epochs(name, asked, current=-1, topic=TOPIC, partition=0):
        request = [{"Topic": topic, "Partitions": [{"Partition": partition, "CurrentLeaderEpoch": current, "LeaderEpoch": asked}]}]
        p.case(f"OffsetForLeaderEpoch: {name}", p.leader("OffsetForLeaderEpoch", TOPIC, 0, ReplicaId=-1, Topics=request))
    epochs("an epoch to come", 1000)
    epochs("an epoch below nought", -1)
    epochs("of a leader to come", 0, current=1000)
    epochs("a topic that is not there", 0, topic=ABSENT)
    epochs("a partition that is not there", 0, partition=9)


def describing(p):
    absent = uuid.UUID(int=5 << 64 | 5)
    for name, topics, more in (("a topic that is not there, and is made", [{"Name": "bad-made-by-asking"}], {}),
                               ("a topic that is not there", [{"Name": ABSENT}], {"AllowAutoTopicCreation": False}),
                               ("a topic with a name that none may have", [{"Name": "a b"}], {}), ("a topic without a name", [{"Name": ""}], {}),
                               ("an id that is not there", [{"TopicId": absent, "Name": None}], {}), ("neither name nor id", [{"Name": None}], {})):
        p.case(f"Metadata: {name}", p.broker("Metadata", None, Topics=topics, **more))
    for name, topics, more in (("a topic that is not there", [ABSENT], {}), ("a topic without a name", [""], {}), ("no partitions at most", [TOPIC], {"ResponsePartitionLimit": 0}),
                               ("a place that is not asked for", [TOPIC], {"Cursor": {"TopicName": "zzz", "PartitionIndex": 0}}),
                               ("a place before all that is asked for", [TOPIC], {"Cursor": {"TopicName": "aaa", "PartitionIndex": 0}}),
                               ("a place below nought", [TOPIC], {"Cursor": {"TopicName": TOPIC, "PartitionIndex": -1}}),
                               ("a place beyond the last", [TOPIC], {"Cursor": {"TopicName": TOPIC, "PartitionIndex": 9}})):
        p.case(f"DescribeTopicPartitions: {name}", p.broker("DescribeTopicPartitions", None, Topics=[{"Name": each} for each in topics], **more), "NextCursor")
    for name, topic, partition in (("a topic that is not there", ABSENT, 0), ("a topic without a name", "", 0), ("a partition that is not there", TOPIC, 9)):
        p.case(f"DescribeProducers: {name}", p.leader("DescribeProducers", TOPIC, 0, Topics=[{"Name": topic, "PartitionIndexes": [partition]}]))


def run(p):
    topic_id = p.create(TOPIC, replicas=3)
    producing(p)
    reading(p, topic_id)
    describing(p)
