"""confluent-kafka for Python: the verbs of lib/clients.py."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))

import records  # noqa: E402
import walk  # noqa: E402
from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer,  # noqa: E402
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec  # noqa: E402


def write(bootstrap, topic, codec, path):
    failed = []

    def on_delivery(error, _):
        if error is not None:
            failed.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
    with open(path, "rb") as file:
        for timestamp, key, value, headers in records.Source(file).written():
            while True:
                try:
                    producer.produce(topic, value, key, timestamp=timestamp, headers=[(name.decode(), value) for name, value in headers],
                                     on_delivery=on_delivery)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
    left = producer.flush(60)
    if failed or left:
        sys.exit(f"{len(failed)} refused, {left} never answered: {failed[:1]}")


def read(bootstrap, partitions, *topics):
    # A group is named because the library wants one; partitions are assigned and nothing is committed.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "enable.auto.offset.store": False,
                         "enable.partition.eof": True, "check.crcs": True})
    left = {(t, p) for t in topics for p in range(int(partitions))}
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in sorted(left)])
    out = sys.stdout.buffer
    index = {topic: i for i, topic in enumerate(topics)}
    while left:
        for message in consumer.consume(500, 1.0):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                left.discard((message.topic(), message.partition()))
                continue
            headers = [(name.encode(), value) for name, value in message.headers() or []]
            record = records.Record(message.timestamp()[1], message.key(), message.value(), headers)
            out.write(records.encode_read(index[message.topic()], message.partition(), message.offset(), record))
    out.flush()
    consumer.close()


PASSING = (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.STALE_MEMBER_EPOCH, KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError._NO_OFFSET,
           KafkaError._WAIT_COORD, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ASSIGNMENT_LOST,
           KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)


def group(bootstrap, name, topic, protocol="classic"):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
    settings = {"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    if protocol == "classic":
        settings.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000, "partition.assignment.strategy": "cooperative-sticky"})
    else:
        # What else there is to say about sessions and assignments is said by the broker.
        settings["group.protocol"] = protocol
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    owned = []
    while not over.is_set():
        messages = consumer.consume(200, 0.2)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            print(message.partition(), message.offset())
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as refused:
                # The group begins anew, or looks for its coordinator: what is not committed is read again.
                if not refused.args[0].retriable() and refused.args[0].code() not in PASSING:
                    raise
        now = sorted(at.partition for at in consumer.assignment())
        if now != owned:
            owned = now
            print("own", *owned)
        sys.stdout.flush()
    consumer.close()


def admin(bootstrap, topic, group):
    client = AdminClient({"bootstrap.servers": bootstrap})
    check, soon = walk.check, walk.soon

    def one(futures):
        """The only answer's content."""
        return list(futures.values())[0].result(30)

    def create():
        one(client.create_topics([NewTopic(topic, 2, 3, config={"retention.ms": "3600000"})]))
        try:
            one(client.create_topics([NewTopic(topic, 2, 3)]))
        except KafkaException as refused:
            check(refused.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, refused)
            return
        raise AssertionError("was created twice")

    def described(count):
        partitions = one(client.describe_topics(TopicCollection([topic]))).partitions
        check(len(partitions) == count and all(len(p.isr) == 3 for p in partitions), partitions)

    def retention(due):
        found = one(client.describe_configs([ConfigResource("topic", topic)]))["retention.ms"]
        check(found.value == due, found)

    def configs():
        soon(lambda: retention("3600000"))
        change = ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)
        one(client.incremental_alter_configs([ConfigResource("topic", topic, incremental_configs=[change])]))
        soon(lambda: retention("7200000"))

    def grow():
        one(client.create_partitions([NewPartitions(topic, 4)]))
        soon(lambda: described(4))

    def trim():
        producer = Producer({"bootstrap.servers": bootstrap})
        for _ in range(10):
            producer.produce(topic, b"value", partition=0)
        check(producer.flush(30) == 0, "not written")
        one(client.delete_records([TopicPartition(topic, 0, 7)]))
        begin = one(client.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()}))
        check(begin.offset == 7, begin)

    def listed():
        return [found.group_id for found in client.list_consumer_groups().result(30).valid]

    def groups():
        check(group in listed(), "not listed")
        about = one(client.describe_consumer_groups([group]))
        check(about.state.name == "EMPTY", about.state)
        offsets = one(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).topic_partitions
        check(len(offsets) == 3 and all(at.offset > 0 for at in offsets), offsets)
        one(client.delete_consumer_groups([group]))
        check(group not in listed(), "still listed")

    def gone():
        # Of all topics: a request that librdkafka 2.16 makes three bytes too long.
        check(topic not in client.list_topics(timeout=20).topics, "still listed")

    def delete():
        one(client.delete_topics([topic]))
        soon(gone)

    walk.walk([("create topic", create), ("list and describe topic", lambda: soon(lambda: described(2))), ("configs", configs), ("add partitions", grow),
               ("delete records", trim), ("groups", groups), ("delete topic", delete)])


{"write": write, "read": read, "group": group, "admin": admin}[sys.argv[1]](*sys.argv[2:])
