"""kafka-python: the verbs of lib/clients.py."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))

import records  # noqa: E402
import walk  # noqa: E402
from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # noqa: E402
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient  # noqa: E402
from kafka.errors import TopicAlreadyExistsError  # noqa: E402


def write(bootstrap, topic, codec, path):
    # Idempotent, with acks=all, unless told otherwise.
    producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), compression_type=None if codec == "none" else codec, linger_ms=20)
    with open(path, "rb") as file:
        sent = [producer.send(topic, record.value, record.key, [(name.decode(), value) for name, value in record.headers],
                              timestamp_ms=record.timestamp) for record in records.Source(file).written()]
    producer.flush(60)
    for future in sent:
        future.get(1)
    producer.close()


def read(bootstrap, partitions, *topics):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), group_id=None, enable_auto_commit=False, isolation_level="read_committed")
    assigned = [TopicPartition(t, p) for t in topics for p in range(int(partitions))]
    consumer.assign(assigned)
    consumer.seek_to_beginning(*assigned)
    index = {topic: i for i, topic in enumerate(topics)}
    left = {at: end for at, end in consumer.end_offsets(assigned).items() if end > 0}
    while left:
        for at, messages in consumer.poll(1000).items():
            for m in messages:
                headers = [(name.encode(), value) for name, value in m.headers]
                sys.stdout.buffer.write(records.encode_read(index[m.topic], m.partition, m.offset, records.Record(m.timestamp, m.key, m.value, headers)))
            if at in left and messages[-1].offset + 1 >= left[at]:
                del left[at]
    sys.stdout.buffer.flush()
    consumer.close()


def group(bootstrap, name, topic):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap.split(","), group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                             session_timeout_ms=6000, heartbeat_interval_ms=1000)
    owned = []
    while not over.is_set():
        found = consumer.poll(200)
        for messages in found.values():
            for m in messages:
                print(m.partition, m.offset)
        if found:
            consumer.commit()
        now = sorted(at.partition for at in consumer.assignment())
        if now != owned:
            owned = now
            print("own", *owned)
        sys.stdout.flush()
    consumer.close()


def admin(bootstrap, topic, group):
    client = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    check, soon = walk.check, walk.soon

    def create():
        client.create_topics({topic: {"num_partitions": 2, "replication_factor": 3, "configs": {"retention.ms": "3600000"}}})
        try:
            client.create_topics({topic: {"num_partitions": 2, "replication_factor": 3}})
        except TopicAlreadyExistsError:
            return
        raise AssertionError("was created twice")

    def described(count):
        check(topic in client.list_topics(), "not listed")
        about = client.describe_topics([topic])[0]
        check(len(about["partitions"]) == count and all(len(p["isr_nodes"]) == 3 for p in about["partitions"]), about)

    def retention(due):
        found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, None)])["topic"][topic]["retention.ms"]
        check(found["value"] == due, found)

    def configs():
        soon(lambda: retention("3600000"))
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})])
        soon(lambda: retention("7200000"))

    def grow():
        client.create_partitions({topic: 4})
        soon(lambda: described(4))

    def trim():
        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","))
        for _ in range(10):
            producer.send(topic, b"value", partition=0)
        producer.flush(30)
        producer.close()
        client.delete_records({TopicPartition(topic, 0): 7})
        consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","))
        check(list(consumer.beginning_offsets([TopicPartition(topic, 0)]).values()) == [7], "the log does not begin at 7")
        consumer.close()

    def groups():
        check(group in [g["group_id"] for g in client.list_groups()], "not listed")
        about = client.describe_groups([group])[group]
        check(about["group_state"] == "Empty", about)
        offsets = client.list_group_offsets({group: None})[group]
        check(len(offsets) == 3 and all(o.offset > 0 for o in offsets.values()), offsets)
        client.delete_groups([group])
        check(group not in [g["group_id"] for g in client.list_groups()], "still listed")

    def gone():
        check(topic not in client.list_topics(), "still listed")

    def delete():
        client.delete_topics([topic])
        soon(gone)

    walk.walk([("create topic", create), ("list and describe topic", lambda: soon(lambda: described(2))), ("configs", configs), ("add partitions", grow),
               ("delete records", trim), ("groups", groups), ("delete topic", delete)])


{"write": write, "read": read, "group": group, "admin": admin}[sys.argv[1]](*sys.argv[2:])
