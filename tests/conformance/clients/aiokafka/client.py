"""aiokafka: the verbs of lib/clients.py."""

import asyncio
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))

import records  # noqa: E402
import walk  # noqa: E402
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # noqa: E402
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete  # noqa: E402
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # noqa: E402


async def write(bootstrap, topic, codec, path):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, enable_idempotence=True, linger_ms=20)
    await producer.start()
    sent = []
    with open(path, "rb") as file:
        for record in records.Source(file).written():
            sent.append(await producer.send(topic, record.value, record.key, timestamp_ms=record.timestamp,
                                            headers=[(name.decode(), value) for name, value in record.headers]))
    await producer.flush()
    await asyncio.gather(*sent)
    await producer.stop()


async def read(bootstrap, partitions, *topics):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed")
    await consumer.start()
    assigned = [TopicPartition(t, p) for t in topics for p in range(int(partitions))]
    consumer.assign(assigned)
    await consumer.seek_to_beginning(*assigned)
    index = {topic: i for i, topic in enumerate(topics)}
    left = {at: end for at, end in (await consumer.end_offsets(assigned)).items() if end > 0}
    while left:
        for at, messages in (await consumer.getmany(timeout_ms=1000)).items():
            for m in messages:
                headers = [(name.encode(), value) for name, value in m.headers]
                sys.stdout.buffer.write(records.encode_read(index[m.topic], m.partition, m.offset, records.Record(m.timestamp, m.key, m.value, headers)))
            if at in left and messages[-1].offset + 1 >= left[at]:
                del left[at]
    sys.stdout.buffer.flush()
    await consumer.stop()


async def group(bootstrap, name, topic):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                                session_timeout_ms=6000, heartbeat_interval_ms=1000)
    await consumer.start()
    owned = []
    while not over.is_set():
        found = await consumer.getmany(timeout_ms=200)
        for messages in found.values():
            for m in messages:
                print(m.partition, m.offset)
        if found:
            await consumer.commit()
        now = sorted(at.partition for at in consumer.assignment())
        if now != owned:
            owned = now
            print("own", *owned)
        sys.stdout.flush()
    await consumer.stop()


def admin(bootstrap, topic, group):
    loop = asyncio.new_event_loop()
    wait = loop.run_until_complete
    check, soon = walk.check, walk.soon

    async def started(make):
        made = make()
        await made.start()
        return made

    client = wait(started(lambda: AIOKafkaAdminClient(bootstrap_servers=bootstrap)))

    def create():
        def code(answer):
            return answer.topic_errors[0][1]

        topics = [NewTopic(topic, 2, 3, topic_configs={"retention.ms": "3600000"})]
        answer = wait(client.create_topics(topics))
        check(code(answer) == 0, answer)
        answer = wait(client.create_topics(topics))
        check(code(answer) == 36, answer)

    def described(count):
        check(topic in wait(client.list_topics()), "not listed")
        about = wait(client.describe_topics([topic]))[0]
        check(len(about["partitions"]) == count and all(len(p["isr"]) == 3 for p in about["partitions"]), about)

    def retention(due):
        answer = wait(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": ""})]))[0]
        found = answer.resources[0][4]
        check([(entry[0], entry[1]) for entry in found] == [("retention.ms", due)], found)

    def configs():
        soon(lambda: retention("3600000"))
        answer = wait(client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})]))[0]
        check(answer.resources[0][0] == 0, answer)
        soon(lambda: retention("7200000"))

    def grow():
        wait(client.create_partitions({topic: NewPartitions(4)}))
        soon(lambda: described(4))

    def trim():
        async def body():
            producer = await started(lambda: AIOKafkaProducer(bootstrap_servers=bootstrap))
            for _ in range(10):
                await producer.send_and_wait(topic, b"value", partition=0)
            await producer.stop()
            at = TopicPartition(topic, 0)
            await client.delete_records({at: RecordsToDelete(7)})
            consumer = await started(lambda: AIOKafkaConsumer(bootstrap_servers=bootstrap))
            begin = await consumer.beginning_offsets([at])
            check(begin == {at: 7}, begin)
            await consumer.stop()
        wait(body())

    def groups():
        check(group in [found[0] for found in wait(client.list_consumer_groups())], "not listed")
        about = wait(client.describe_consumer_groups([group]))[0].groups[0]
        check(about[2] == "Empty", about)
        offsets = wait(client.list_consumer_group_offsets(group))
        check(len(offsets) == 3 and all(o.offset > 0 for o in offsets.values()), offsets)

    def gone():
        check(topic not in wait(client.list_topics()), "still listed")

    def delete():
        answer = wait(client.delete_topics([topic]))
        check(answer.topic_error_codes[0][1] == 0, answer)
        soon(gone)

    walk.walk([("create topic", create), ("list and describe topic", lambda: soon(lambda: described(2))), ("configs", configs), ("add partitions", grow),
               ("delete records", trim), ("groups", groups), ("delete topic", delete)])


verb, *rest = sys.argv[1:]
if verb == "admin":
    admin(*rest)
else:
    asyncio.run({"write": write, "read": read, "group": group}[verb](*rest))
