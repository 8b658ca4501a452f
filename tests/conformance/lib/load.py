"""An idempotent producer and a consumer under steady load, and the history of what they saw, for the checker of simulated runs."""

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOPIC = "load"
HEAD = struct.Struct(">q")  # What a value starts with: the number of its record.


def prepare():
    """The binary under test; the script goes on where confluent-kafka is."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        # The library lies in an environment of its own: go on in there.
        import install
        try:
            python = install.CLIENTS["confluent"]()[0]
        except install.Failed as error:
            sys.exit(f"confluent-kafka could not be installed:\n{error}")
        os.execv(python, [python, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = os.environ.get("TAFFRAIL") or os.path.join(HERE, "..", "..", "..", "build", "release", "taffrail")
    if not os.access(binary, os.X_OK):
        sys.exit(f"no binary at {binary}: build it, or set TAFFRAIL")
    return binary


class Load:
    """Numbered records at a steady rate, in a thread of its own; what was acknowledged, where and when."""

    def __init__(self, bootstrap, rate, partitions, seed, logger):
        from confluent_kafka import Producer
        self.fatal = None
        self.refused = []
        self.acknowledged = {}  # By number: partition and offset.
        self.sent = 0
        self.rate = rate
        self.partitions = partitions
        self.padding = random.Random(seed).randbytes(4096)
        self.lock = threading.Lock()
        self.clear_gaps()
        self.stopping = threading.Event()
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "error_cb": self.on_error}, logger=logger)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_error(self, error):
        if error.fatal():
            self.fatal = error

    def clear_gaps(self):
        with self.lock:
            now = time.monotonic()
            self.last = {None: now, **{p: now for p in range(self.partitions)}}
            self.longest = dict.fromkeys(self.last, 0.0)

    def gaps(self):
        """Longest since clear_gaps(), with those that are still open: over all partitions, and of one."""
        with self.lock:
            now = time.monotonic()
            gap = {p: max(self.longest[p], now - self.last[p]) for p in self.last}
        return gap[None], max(g for p, g in gap.items() if p is not None)

    def on_delivery(self, error, message):
        number = HEAD.unpack_from(message.value())[0]
        if error is not None:
            self.refused.append((number, error))
            return
        # None: acknowledged with a later one, after an answer that never came.
        offset = message.offset()
        self.acknowledged[number] = (message.partition(), -1 if offset is None else offset)
        with self.lock:
            now = time.monotonic()
            for p in (None, message.partition()):
                self.longest[p] = max(self.longest[p], now - self.last[p])
                self.last[p] = now

    def run(self):
        started = time.monotonic()
        while not self.stopping.is_set() and self.fatal is None:
            due = int((time.monotonic() - started) * self.rate)
            while self.sent < due:
                size = 50 + self.sent * 7919 % 900
                value = HEAD.pack(self.sent) + self.padding[:size]
                try:
                    self.producer.produce(TOPIC, value, partition=self.sent % self.partitions, on_delivery=self.on_delivery)
                except BufferError:
                    break  # The library holds as many as it may; what is due stays due.
                self.sent += 1
            self.producer.poll(0.005)
        self.seconds = time.monotonic() - started

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.producer.flush(120)


class Watch:
    """Who leads, and whether all is well, as the cluster's metadata says, or one broker's alone."""

    def __init__(self, bootstrap, logger):
        from confluent_kafka.admin import AdminClient
        self.logger = logger
        self.admin = AdminClient({"bootstrap.servers": bootstrap}, logger=logger)

    def partitions(self):
        from confluent_kafka import KafkaException
        try:
            return list(self.admin.list_topics(TOPIC, timeout=5).topics[TOPIC].partitions.values())
        except KafkaException:
            return []

    def loaded_leader(self):
        leaders = [p.leader for p in self.partitions() if p.leader > 0]
        return max(sorted(set(leaders)), key=leaders.count) if leaders else None

    def whole(self, count, replicas):
        found = self.partitions()
        return len(found) == count and all(p.leader > 0 and len(p.isrs) == replicas for p in found)

    def serves(self, address):
        """Whether the broker at `address` answers itself: a replica counts as in sync for a while after its broker died, so that
        the others' word is not enough."""
        host, port = address.rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                # ApiVersions 0 from a client without a name.
                connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                connection.settimeout(2)
                return len(connection.recv(4)) == 4
        except OSError:
            return False


def wait_until(holds, timeout, what):
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {timeout} s still not: {what}")
        time.sleep(0.05)


def read_back(bootstrap, partitions):
    """Per partition, the numbers in the order of their offsets."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True,
                         "check.crcs": True})
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in range(partitions)])
    found = {p: [] for p in range(partitions)}
    left = set(found)
    deadline = time.monotonic() + 300
    while left:
        if time.monotonic() > deadline:
            raise RuntimeError(f"reading back has not come to the end of partitions {sorted(left)}")
        for message in consumer.consume(1000, 1.0):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                left.discard(message.partition())
            else:
                found[message.partition()].append((message.offset(), HEAD.unpack_from(message.value())[0]))
    consumer.close()
    return found


class Reader:
    """Follows all partitions from their start, in a thread of its own; what each poll gave, as lines of a history."""

    def __init__(self, bootstrap, partitions, logger):
        from confluent_kafka import Consumer, TopicPartition
        self.lines = []
        self.records = 0
        self.trouble = ""
        self.next = dict.fromkeys(range(partitions), 0)
        self.stopping = threading.Event()
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
                                  "auto.offset.reset": "error", "check.crcs": True}, logger=logger)
        self.consumer.assign([TopicPartition(TOPIC, p, 0) for p in self.next])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set() and not self.trouble:
            given = {}
            for message in self.consumer.consume(2000, 0.2):
                if message.error():
                    self.trouble = str(message.error())
                else:
                    given.setdefault(message.partition(), []).append((message.offset(), HEAD.unpack_from(message.value())[0]))
            for partition, records in given.items():
                self.note(partition, records)

    def note(self, partition, records):
        from confluent_kafka import TopicPartition
        # The watermark that the library heard last: of that answer, or of a later one.
        start, watermark = self.consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), cached=True)
        after = records[-1][0] + 1
        if watermark < 0:
            watermark = after  # A later answer was an error, which carries none.
        self.lines.append(f"poll 1 {TOPIC} {partition} {self.next[partition]} {after} {watermark} {max(start, 0)} {pairs(records)}")
        self.next[partition] = after
        self.records += len(records)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.consumer.close()


def pairs(records):
    return " ".join(f"{offset}:{number}" for offset, number in records)


def write_history(path, load, reader, found):
    """What clients saw, in the text of docs/simulation.md."""
    with open(path, "w") as out:
        out.write("taffrail history, format 1\nwriter 1 acks=all idempotent\n")
        refused = {number for number, _ in load.refused}
        for number in range(load.sent):
            out.write(f"sent {number} 1 {TOPIC} {number % load.partitions}\n")
            if number in load.acknowledged:
                out.write(f"acked {number} {load.acknowledged[number][1]}\n")
            elif number in refused:
                out.write(f"unknown {number}\n")  # The library does not say whether it may have arrived.
        for line in reader.lines:
            out.write(line + "\n")
        for partition, records in found.items():
            out.write(f"final {TOPIC} {partition} 0 {records[-1][0] + 1 if records else 0} {pairs(records)}\n")


def judge(binary, path):
    """What the checker says."""
    done = subprocess.run([binary, "sim", "check-history", path], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    print(f"\ntaffrail sim check-history:\n{done.stdout}{done.stderr}")
    lines = (done.stdout + done.stderr).splitlines()
    return "" if done.returncode == 0 else f"exit status {done.returncode}: {'; '.join(lines[:3])}"
