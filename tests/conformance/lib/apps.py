"""What is built on Kafka's clients: Connect with its file connectors, a word count of Streams, MirrorMaker 2 between two clusters."""

import os
import signal
import subprocess
import time

from cluster import Cluster
from programs import attempt, program

CONNECT, STREAMS, MIRROR = "Kafka Connect, standalone", "Kafka Streams", "MirrorMaker 2"
NAMES = (CONNECT, STREAMS, MIRROR)
LINES = 500


class Running:
    """A program that goes on until it is told to end."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def until(self, true, what, limit=180):
        end = time.monotonic() + limit
        while not true():
            if self.child.poll() is not None or time.monotonic() > end:
                with open(self.log, errors="replace") as said:
                    lines = [line for line in said if " WARN " in line or " ERROR " in line or "Exception" in line]
                raise RuntimeError(f"{what}: {'ended' if self.child.poll() is not None else 'not'} within {limit} s: {''.join(lines)[-1500:]}")
            time.sleep(0.2)

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Apps:
    def __init__(self, command, cluster, directory, results):
        self.command = command
        self.cluster = cluster
        self.directory = directory
        self.results = results

    def place(self, name):
        return os.path.join(self.directory, name)

    def properties(self, name, *lines):
        path = self.place(name)
        with open(path, "w") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path

    def connect(self):
        text = "org.apache.kafka.connect.storage.StringConverter"
        worker = self.properties(
            "worker.properties", f"bootstrap.servers={self.cluster.bootstrap}", f"key.converter={text}", f"value.converter={text}",
            f"offset.storage.file.filename={self.place('connect.offsets')}", "offset.flush.interval.ms=500", "listeners=http://127.0.0.1:0")
        source = self.properties(
            "source.properties", "name=lines-in", "connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector",
            f"file={self.place('lines.in')}", "topic=connect-lines", "topic.creation.default.replication.factor=3",
            "topic.creation.default.partitions=1")
        sink = self.properties(
            "sink.properties", "name=lines-out", "connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector",
            f"file={self.place('lines.out')}", "topics=connect-lines")

        def run(last):
            with open(self.place("lines.in"), "a") as lines:
                lines.writelines(f"line {i}\n" for i in range(last - LINES, last))
            worker_runs = Running([*self.command, "org.apache.kafka.connect.cli.ConnectStandalone", worker, source, sink], self.place("connect.log"))
            try:
                worker_runs.until(lambda: self.same("lines.in", "lines.out"), "the sink has what the source had")
                # Its offsets are written twice a second.
                time.sleep(2)
            finally:
                worker_runs.stop()
        self.results.set(CONNECT, "file source and file sink", attempt(lambda: run(LINES)))
        self.results.set(CONNECT, "goes on where it stopped", attempt(lambda: run(2 * LINES)))

    def same(self, one, other):
        if not os.path.exists(self.place(other)):
            return False
        with open(self.place(one)) as first, open(self.place(other)) as second:
            return first.read() == second.read()

    def streams(self):
        def run(number):
            program([*self.command, "WordCount", self.cluster.bootstrap, "stream-lines", "stream-counts", str(number), self.place("streams")])
        for topic in ("stream-lines", "stream-counts"):
            self.cluster.command("topic", "create", topic, "--partitions", "2", "--replicas", "3")
        self.results.set(STREAMS, "word count, at least once", attempt(lambda: run(LINES)))
        self.results.set(STREAMS, "goes on from its changelog", attempt(lambda: run(2 * LINES)))

    def mirror(self):
        home = self.place("other-cluster")
        os.mkdir(home)
        other = Cluster(self.cluster.binary, home, nodes=1)
        other.start()
        try:
            self.cluster.command("topic", "create", "mirrored", "--partitions", "2", "--replicas", "3")
            for i in range(20):
                self.cluster.command("produce", "mirrored", "-k", str(i), "-v", f"value {i}")
            kinds = ("checkpoints.topic", "heartbeats.topic", "offset-syncs.topic", "offset.storage", "status.storage", "config.storage")
            configs = self.properties(
                "mirror.properties", "clusters=here, there", f"here.bootstrap.servers={self.cluster.bootstrap}",
                f"there.bootstrap.servers={other.bootstrap}", "here->there.enabled=true", "here->there.topics=mirrored", "there->here.enabled=false",
                "replication.factor=1", *(f"{kind}.replication.factor=1" for kind in kinds), "refresh.topics.interval.seconds=2",
                "emit.heartbeats.interval.seconds=1")
            mirror = Running([*self.command, "org.apache.kafka.connect.mirror.MirrorMaker", configs], self.place("mirror.log"))

            def arrived():
                try:
                    found = other.command("consume", "here.mirrored", "--until-end", "-K", "=")
                except (RuntimeError, subprocess.TimeoutExpired):
                    return False
                return sorted(found.split("\n")) == sorted(["", *(f"{i}=value {i}" for i in range(20))])
            try:
                mirror.until(arrived, "the other cluster has the records")
            finally:
                mirror.stop()
        finally:
            other.stop()

    def run(self):
        self.connect()
        self.streams()
        self.results.set(MIRROR, "a topic, from one cluster to another", attempt(self.mirror))
