"""confluent-kafka for Python: `client.py write BOOTSTRAP TOPIC CODEC FILE`, `client.py read BOOTSTRAP PARTITIONS TOPIC...`,
`client.py group BOOTSTRAP GROUP TOPIC [PROTOCOL]` (lib/groups.py). The streams are those of lib/records.py."""

import struct
import sys
import threading

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition


def records(path):
    with open(path, "rb") as file:
        def number(code):
            return struct.unpack(">" + code, file.read(struct.calcsize(code)))[0]

        def field():
            n = number("i")
            return None if n < 0 else file.read(n)

        while file.peek(1):
            timestamp, key, value = number("q"), field(), field()
            yield timestamp, key, value, [(field().decode(), field()) for _ in range(number("i"))]


def write(bootstrap, topic, codec, path):
    failed = []

    def on_delivery(error, _):
        if error is not None:
            failed.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
    for timestamp, key, value, headers in records(path):
        while True:
            try:
                producer.produce(topic, value, key, timestamp=timestamp, headers=headers, on_delivery=on_delivery)
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

    def field(data):
        out.write(struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data)

    index = {topic: i for i, topic in enumerate(topics)}
    while left:
        for message in consumer.consume(500, 1.0):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                left.discard((message.topic(), message.partition()))
                continue
            out.write(struct.pack(">iiqq", index[message.topic()], message.partition(), message.offset(), message.timestamp()[1]))
            field(message.key())
            field(message.value())
            headers = message.headers() or []
            out.write(struct.pack(">i", len(headers)))
            for name, value in headers:
                field(name.encode())
                field(value)
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


{"write": write, "read": read, "group": group}[sys.argv[1]](*sys.argv[2:])
