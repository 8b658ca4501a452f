"""The clients: what each is, where its version stands, and what it can do. How they get here is lib/install.py's.

A client is a program in clients/NAME with these verbs, as far as the library has the feature; kcat is driven as it is:
    write BOOTSTRAP TOPIC CODEC FILE            records of lib/records.py, idempotent where the library can
    read BOOTSTRAP PARTITIONS TOPIC...          all records of these topics, from offset 0
    group BOOTSTRAP GROUP TOPIC [PROTOCOL]      a member, see lib/groups.py
    admin BOOTSTRAP TOPIC GROUP                 a topic's life and a group's end; prints `passed STEP` or `failed STEP: WHY`
"""

import os
import re
from typing import NamedTuple, Tuple

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Client(NamedTuple):
    title: str
    does: Tuple[str, ...]  # Of: write, read, group, consumer (members of KIP-848), admin.
    pin: Tuple[str, str]  # File in its folder, and a pattern whose group is the version.
    usual: bool = False  # Part of every run; the others want --all.
    without: Tuple[str, ...] = ()  # What it cannot write: lib/records.py, generate().
    view: str = "exact"  # What it makes of what it reads: lib/records.py, VIEWS.


CLIENTS = {
    "kcat": Client("kcat", ("write", "read", "group"), ("", ""), usual=True, without=("bytes",)),
    "confluent": Client("confluent-kafka (Python, librdkafka)", ("write", "read", "group", "consumer", "admin"),
                        ("requirements.txt", r"confluent-kafka==(\S+)"), usual=True),
    "java": Client("kafka-clients (Java) 4.x", ("write", "read", "group", "consumer", "admin"),
                   ("pom.xml", r"<artifactId>kafka-clients</artifactId>\s*<version>(.*?)<"), usual=True),
    "java3": Client("kafka-clients (Java) 3.x", ("write", "read", "group", "admin"),
                    ("pom.xml", r"<artifactId>kafka-clients</artifactId>\s*<version>(.*?)<")),
    "franz": Client("franz-go", ("write", "read", "group", "admin"), ("go.mod", r"twmb/franz-go v(\S+)"), usual=True),
    "sarama": Client("sarama", ("write", "read", "group", "admin"), ("go.mod", r"IBM/sarama v(\S+)")),
    "segmentio": Client("segmentio kafka-go", ("write", "read", "group", "admin"), ("go.mod", r"segmentio/kafka-go v(\S+)"),
                        view="empty is null"),
    "kafkajs": Client("kafkajs", ("write", "read", "group", "admin"), ("package.json", r'"kafkajs": "(.*?)"'), usual=True,
                      without=("null headers", "twin headers"), view="headers by name"),
    "kafkapython": Client("kafka-python", ("write", "read", "group", "admin"), ("requirements.txt", r"kafka-python==(\S+)"),
                          without=("null headers", "bare records")),
    "aiokafka": Client("aiokafka", ("write", "read", "group", "admin"), ("requirements.txt", r"aiokafka==(\S+)"),
                       without=("bare records",)),
    "rust": Client("rust-rdkafka", ("write", "read", "group", "consumer", "admin"), ("Cargo.toml", r'rdkafka = \{ version = "=(.*?)"')),
}

# Members of different clients in one group, which need an assignor that both have.
PAIRS = (("java", "kcat"), ("confluent", "franz"), ("kafkapython", "java3"), ("sarama", "segmentio"), ("aiokafka", "kafkapython"), ("rust", "sarama"))
# The same for members of the newer protocol.
CONSUMER_PAIRS = (("confluent", "java"), ("rust", "java"))


def version(name):
    """As pinned; empty for what the distribution gives."""
    file, pattern = CLIENTS[name].pin
    if not file:
        return ""
    with open(os.path.join(HERE, "clients", name, file)) as pinned:
        return re.search(pattern, pinned.read())[1]
