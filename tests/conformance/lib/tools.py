"""The command-line tools of Apache Kafka, each started as its shell script does: by the name of its class."""

import json
import os
import re
import time

from clients import HERE
from programs import attempt, program

CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
}
TOPIC, GROUP, RECORDS = "tools", "tools-group", 40


def version():
    with open(os.path.join(HERE, "clients", "tools", "pom.xml")) as pom:
        return re.search(r"<artifactId>kafka-tools</artifactId>\s*<version>(.*?)<", pom.read())[1]


class Tools:
    def __init__(self, command, cluster, directory, results):
        self.command = command
        self.cluster = cluster
        self.bootstrap = cluster.bootstrap
        self.nodes = cluster.nodes
        self.directory = directory
        self.results = results

    def call(self, tool, *words, stdin=None):
        """What the tool prints; it may also say that something failed and end well."""
        server = ["--bootstrap-server", self.bootstrap]
        # This one has subcommands, and its options belong to them.
        words = [words[0], *server, *words[1:]] if tool == "kafka-cluster" else [*server, *words]
        said = program([*self.command, CLASSES[tool], *words], stdin=stdin, timeout=90).decode(errors="replace")
        if re.search(r"^(Error|Exception)\b|Error while executing|\b\w+Exception: ", said, re.MULTILINE):
            raise RuntimeError(said[-1500:])
        return said

    def expect(self, pattern, tool, *words):
        said = self.call(tool, *words)
        if not re.search(pattern, said, re.MULTILINE):
            raise RuntimeError(f"no /{pattern}/ in: {said[-1500:]}")
        return said

    def soon(self, pattern, tool, *words):
        """Other brokers hear of a change a moment later."""
        end = time.monotonic() + 30
        while True:
            try:
                return self.expect(pattern, tool, *words)
            except RuntimeError:
                if time.monotonic() > end:
                    raise

    def refused(self, pattern, tool, *words):
        """Of what no cluster does."""
        try:
            said = self.call(tool, *words)
        except RuntimeError as error:
            said = "\n".join(str(each) for each in error.args)
        if not re.search(pattern, said, re.MULTILINE):
            raise RuntimeError(f"no /{pattern}/ in: {said[-1500:]}")

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(content)
        return path

    def topics(self):
        yield "create", lambda: self.call("kafka-topics", "--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", str(self.nodes),
                                          "--config", "retention.ms=3600000")
        yield "list", lambda: self.soon(f"^{TOPIC}$", "kafka-topics", "--list")
        yield "describe", lambda: self.soon(r"PartitionCount: 3\s+ReplicationFactor: 3\s+Configs: .*retention.ms=3600000", "kafka-topics",
                                            "--describe", "--topic", TOPIC)

        def alter():
            self.call("kafka-topics", "--alter", "--topic", TOPIC, "--partitions", "4")
            self.soon(r"PartitionCount: 4\s", "kafka-topics", "--describe", "--topic", TOPIC)
        yield "alter", alter

        def delete():
            self.call("kafka-topics", "--create", "--topic", "tools-unwanted")
            self.soon("^tools-unwanted$", "kafka-topics", "--list")
            self.call("kafka-topics", "--delete", "--topic", "tools-unwanted")
            self.soon(r"\A((?!tools-unwanted)[\s\S])*\Z", "kafka-topics", "--list")
        yield "delete", delete

    def console_producer(self):
        def write():
            with open(self.file("lines", "".join(f"key-{i}:value {i}\n" for i in range(RECORDS)))) as lines:
                self.call("kafka-console-producer", "--topic", TOPIC, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:",
                          stdin=lines)
        yield "write with keys", write

    def console_consumer(self):
        def read(*words):
            said = self.call("kafka-console-consumer", "--topic", TOPIC, "--from-beginning", "--max-messages", str(RECORDS), "--timeout-ms", "60000",
                             "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:", *words)
            due, found = {f"key-{i}:value {i}" for i in range(RECORDS)}, set(said.split("\n")) - {""}
            if due != found:
                raise RuntimeError(f"missing {sorted(due - found)[:3]}, not written {sorted(found - due)[:3]}")
        yield "read from the beginning", read
        yield "read as a group", lambda: read("--group", GROUP)
        yield "read as a group of the newer protocol", lambda: read("--group", f"{GROUP}-848", "--command-property", "group.protocol=consumer")

    def get_offsets(self):
        def sum_of(due, *words):
            said = self.call("kafka-get-offsets", "--topic", TOPIC, *words)
            ends = [int(line.split(":")[2]) for line in said.split()]
            if len(ends) != 4 or sum(ends) != due:
                raise RuntimeError(said)
        yield "latest", lambda: sum_of(RECORDS)
        yield "earliest", lambda: sum_of(0, "--time", "earliest")
        yield "of the latest timestamp", lambda: self.call("kafka-get-offsets", "--topic", TOPIC, "--time", "max-timestamp")

    def consumer_groups(self):
        tool, group = "kafka-consumer-groups", ("--group", GROUP)
        yield "list", lambda: self.expect(f"^{GROUP}$", tool, "--list")
        yield "list with states and types", lambda: [self.expect(rf"^{GROUP}\s+{what}", tool, "--list", option) for option, what in
                                                     (("--state", "Empty"), ("--type", "Classic"))]

        def lag():
            said = self.call(tool, "--describe", *group)
            rows = [line.split() for line in said.splitlines() if line.startswith(GROUP)]
            if len(rows) != 4 or sum(int(row[3]) for row in rows) != RECORDS or any(row[5] != "0" for row in rows):
                raise RuntimeError(said)
        yield "describe", lag
        yield "describe the state", lambda: self.expect(rf"{GROUP}\s.*Empty", tool, "--describe", "--state", *group)
        yield "describe the members", lambda: self.call(tool, "--describe", "--members", "--verbose", *group)
        yield "describe one of the newer protocol", lambda: self.expect(rf"^{GROUP}-848\s+{TOPIC}\s+0\s", tool, "--describe", "--group", f"{GROUP}-848")
        reset = ("--reset-offsets", *group, "--topic", TOPIC)
        yield "reset, dry run", lambda: self.expect(rf"{GROUP}\s+{TOPIC}\s+\d\s+0\b", tool, *reset, "--to-earliest", "--dry-run")

        def execute():
            self.call(tool, *reset, "--to-earliest", "--execute")
            self.expect(rf"^{GROUP}\s+{TOPIC}\s+0\s+0\s", tool, "--describe", *group)
        yield "reset", execute
        yield "delete offsets", lambda: self.expect("(?i)successful", tool, "--delete-offsets", *group, "--topic", f"{TOPIC}:0")
        yield "delete", lambda: self.expect("(?i)successful", tool, "--delete", *group)

    def groups(self):
        yield "list", lambda: self.expect(rf"^{GROUP}-848\s+Consumer\s+consumer", "kafka-groups", "--list")

    def configs(self):
        tool = "kafka-configs"
        topic, broker = ("--entity-type", "topics", "--entity-name", TOPIC), ("--entity-type", "brokers", "--entity-name", "1")
        yield "describe a topic", lambda: self.expect(r"retention.ms=3600000", tool, "--describe", *topic)

        def alter(entity, change, name):
            self.call(tool, "--alter", *entity, "--add-config", change)
            self.soon(re.escape(change), tool, "--describe", *entity)
            self.call(tool, "--alter", *entity, "--delete-config", name)
            self.soon(rf"\A((?!{re.escape(change)})[\s\S])*\Z", tool, "--describe", *entity)
        yield "alter a topic", lambda: alter(topic, "max.message.bytes=700000", "max.message.bytes")
        yield "describe a broker", lambda: self.expect(r"log.retention.ms=|log.segment.bytes=", tool, "--describe", "--all", *broker)
        yield "alter a broker", lambda: alter(broker, "log.segment.bytes=200000000", "log.segment.bytes")
        yield "alter all brokers", lambda: alter(("--entity-type", "brokers", "--entity-default"), "log.retention.ms=86400000", "log.retention.ms")
        yield "alter a group", lambda: alter(("--entity-type", "groups", "--entity-name", f"{GROUP}-848"), "consumer.session.timeout.ms=50000",
                                             "consumer.session.timeout.ms")
        user, client = ("--entity-type", "users", "--entity-name", "tools"), ("--entity-type", "clients", "--entity-name", "tools")
        yield "quotas of a client", lambda: alter(client, "producer_byte_rate=1000000.0", "producer_byte_rate")
        yield "quotas of a user", lambda: alter(user, "consumer_byte_rate=1000000.0", "consumer_byte_rate")
        yield "quotas of a user's client", lambda: alter((*user, *client), "request_percentage=75.0", "request_percentage")
        yield "quotas of all clients", lambda: alter(("--entity-type", "clients", "--entity-default"), "controller_mutation_rate=50.0",
                                                     "controller_mutation_rate")
        yield "quotas of an address", lambda: alter(("--entity-type", "ips", "--entity-name", "127.0.0.9"), "connection_creation_rate=50.0",
                                                    "connection_creation_rate")

    def delete_records(self):
        def trim():
            path = self.file("trim.json", json.dumps({"partitions": [{"topic": TOPIC, "partition": 0, "offset": 2}], "version": 1}))
            self.expect(rf"{TOPIC}-0.*low_watermark: 2", "kafka-delete-records", "--offset-json-file", path)
        yield "delete records", trim

    def leader_election(self):
        yield "preferred, one partition", lambda: self.expect("Successfully completed|Valid replica already elected", "kafka-leader-election",
                                                              "--election-type", "preferred", "--topic", TOPIC, "--partition", "0")
        yield "preferred, all", lambda: self.call("kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions")

    def reassign_partitions(self):
        tool = "kafka-reassign-partitions"

        def move():
            topics = self.file("topics.json", json.dumps({"topics": [{"topic": TOPIC}], "version": 1}))
            brokers = ",".join(str(n) for n in range(1, self.nodes + 1))
            said = self.call(tool, "--generate", "--topics-to-move-json-file", topics, "--broker-list", brokers)
            plan = json.loads(re.search(r"Proposed partition reassignment configuration\s+(\{.*\})", said)[1])
            # One replica less, so that there is something to do.
            for partition in plan["partitions"]:
                partition["replicas"] = partition["replicas"][:2]
                partition["log_dirs"] = ["any", "any"]
            path = self.file("plan.json", json.dumps(plan))
            self.expect("Successfully started", tool, "--execute", "--reassignment-json-file", path)
            said = self.soon(r"\A((?!still in progress)[\s\S])*\Z", tool, "--verify", "--reassignment-json-file", path)
            if said.count("is completed") < len(plan["partitions"]):
                raise RuntimeError(said)
        yield "generate, execute, verify", move
        yield "list", lambda: self.expect("No partition reassignments found", tool, "--list")

    def log_dirs(self):
        def describe():
            said = self.call("kafka-log-dirs", "--describe", "--topic-list", TOPIC)
            found = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
            held = [p["partition"] for broker in found["brokers"] for each in broker["logDirs"] for p in each["partitions"]]
            if len(found["brokers"]) != self.nodes or set(held) != {f"{TOPIC}-{p}" for p in range(4)}:
                raise RuntimeError(said)
        yield "describe", describe

    def metadata_quorum(self):
        yield "status", lambda: self.expect(r"LeaderId:\s+[1-9]", "kafka-metadata-quorum", "describe", "--status")
        yield "replication", lambda: self.expect(r"\sLeader\s*$", "kafka-metadata-quorum", "describe", "--replication")
        yield "remove a voter that is none", lambda: self.refused("VoterNotFoundException", "kafka-metadata-quorum", "remove-controller", "--controller-id", "9",
                                                                  "--controller-directory-id", "AAAAAAAAAAMAAAAAAAAAAw")

    def features(self):
        tool = "kafka-features"
        yield "describe", lambda: self.expect(r"Feature: group.version\s", tool, "describe")

        def level(verb, number):
            self.call(tool, verb, "--feature", f"group.version={number}")
            self.soon(rf"Feature: group.version\s.*FinalizedVersionLevel: {number}\b", tool, "describe")
        yield "downgrade and upgrade", lambda: (level("downgrade", 0), level("upgrade", 1))

    def cluster_tool(self):
        yield "cluster-id", lambda: self.expect(r"Cluster ID: \S{22}", "kafka-cluster", "cluster-id")
        yield "list-endpoints", lambda: self.expect(r"\b3\b.*\d{4}", "kafka-cluster", "list-endpoints")

        def unregister():
            fourth, listed = self.cluster.join(4), ("kafka-cluster", "list-endpoints", "--include-fenced-brokers")
            try:
                self.soon(r"^4\b", *listed)
            finally:
                fourth.terminate()
                fourth.wait(20)
            # Not before it is known to be gone.
            self.soon("no longer registered", "kafka-cluster", "unregister", "--id", "4")
            self.soon(r"\A(?![\s\S]*^4\b)", *listed)
        if self.cluster.pids:
            yield "unregister a broker that is gone", unregister
        yield "unregister one that is none", lambda: self.refused("not currently registered", "kafka-cluster", "unregister", "--id", "9")

    def acls(self):
        yield "list, where none are kept", lambda: self.refused("SecurityDisabledException", "kafka-acls", "--list")

    def broker_api_versions(self):
        yield "all brokers", lambda: self.expect(r"(?s)(id: \d.*Produce\(0\): .*){3}", "kafka-broker-api-versions")

    def run(self):
        started = time.monotonic()
        for tool in CLASSES:
            print(f"{tool}: after {time.monotonic() - started:.0f} s", flush=True)
            name = tool.removeprefix("kafka-").replace("-", "_")
            for step, body in getattr(self, "cluster_tool" if name == "cluster" else name)():
                self.results.set(tool, step, attempt(body))
