"""One broker cluster under question, and what it answered: an outcome is one line that can be compared with another cluster's."""

import struct
import time
import uuid

import wire
from load import wait_until
from messages import ERRORS, Connection

# What an element of an answer is called by, and what of it is compared beside error codes only where a case asks for it.
LABELS = ("Name", "Topic", "TopicName", "TopicId", "ResourceName", "GroupId", "Key", "MemberId", "EntityName", "User", "Feature", "PartitionIndex", "PartitionId",
          "Partition", "Index", "BrokerId")
HUNG_UP = "hangs up"
MOVED = (14, 15, 16)  # The coordinator loads, is not there, is another.


def subscription(*topics):
    """What a classic member of a consumer group says about itself."""
    return struct.pack(">hi", 0, len(topics)) + b"".join(wire.string(topic) for topic in topics) + struct.pack(">i", -1)


def label(element):
    return next((str(element[name]) for name in LABELS if element.get(name) not in (None, "", uuid.UUID(int=0))), "")


def codes(answer, wanted=(), path=""):
    """(path, what) for each error code, and each field of `wanted`, in the order of their labels."""
    found = []
    for name, value in answer.items():
        if name == "ErrorCode":
            found.append((path, ERRORS.get(value, str(value))))
        elif name in wanted:
            found.append((f"{path}.{name}" if path else name, repr(value)))
        elif isinstance(value, dict):
            found += codes(value, wanted, path)
        elif isinstance(value, list):
            parts = [codes(each, wanted, "-".join(part for part in (path, label(each)) if part)) for each in value if isinstance(each, dict)]
            found += [pair for part in sorted(parts) for pair in part]
    return found


class Probe:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap.split(",")
        self.connections = {}
        self.aliases = {}
        self.outcomes = {}
        about = self.broker("Metadata", None, Topics=[])
        self.nodes = {broker["NodeId"]: f"{broker['Host']}:{broker['Port']}" for broker in about["Brokers"]}
        self.cluster_id = about["ClusterId"]

    def broker(self, api, node, **request):
        """What this broker answers, any if none is named; None if it hangs up."""
        address = self.nodes[node] if node is not None else self.bootstrap[0]
        try:
            if address not in self.connections:
                self.connections[address] = Connection(address)
            return self.connections[address].ask(api, **request)
        except OSError:
            self.connections.pop(address).close()
            return None

    def coordinator(self, api, group, **request):
        """The same of the group's coordinator."""
        for _ in range(100):
            found = self.broker("FindCoordinator", None, CoordinatorKeys=[group])["Coordinators"][0]
            if found["ErrorCode"] == 0:
                answer = self.broker(api, found["NodeId"], **request)
                if answer is None or not any(word in text for _, text in codes(answer) for word in (ERRORS[code] for code in MOVED)):
                    return answer
            time.sleep(0.1)
        raise RuntimeError(f"nobody coordinates {group}")

    def topic(self, name):
        return self.broker("Metadata", None, Topics=[{"Name": name}], AllowAutoTopicCreation=False)["Topics"][0]

    def leader(self, api, topic, partition=0, **request):
        """The same of the partition's leader."""
        for _ in range(100):
            found = next((each for each in self.topic(topic)["Partitions"] if each["PartitionIndex"] == partition), None)
            if found and found["ErrorCode"] == 0:
                return self.broker(api, found["LeaderId"], **request)
            time.sleep(0.1)
        raise RuntimeError(f"nobody leads {topic}-{partition}")

    def led(self, name):
        """Waits until every broker knows a leader of each of the topic's partitions."""
        def knows(node):
            found = self.broker("Metadata", node, Topics=[{"Name": name}], AllowAutoTopicCreation=False)["Topics"][0]
            return found["ErrorCode"] == 0 and all(each["ErrorCode"] == 0 and each["LeaderId"] >= 0 for each in found["Partitions"])
        for node in self.nodes:
            wait_until(lambda node=node: knows(node), 10, f"broker {node} knows {name}")

    def create(self, name, partitions=1, replicas=1, assignments=()):
        """A topic that all brokers have heard of."""
        counts = {} if assignments else {"NumPartitions": partitions, "ReplicationFactor": replicas}
        request = {"Name": name, "NumPartitions": -1, "ReplicationFactor": -1, **counts,
                   "Assignments": [{"PartitionIndex": i, "BrokerIds": list(each)} for i, each in enumerate(assignments)]}
        made = self.broker("CreateTopics", None, Topics=[request])["Topics"][0]
        if made["ErrorCode"] != 0:
            raise RuntimeError(f"{name}: {made}")
        self.alias(str(made["TopicId"]), f"id of {name}")
        self.led(name)
        return made["TopicId"]

    def alias(self, real, name):
        """`name` stands for what every cluster makes up for itself."""
        self.aliases[real] = name
        return real

    def case(self, name, answer, *wanted):
        """What became of the case: its error codes, and these fields."""
        if name in self.outcomes:
            raise ValueError(f"two cases are called {name}")
        if answer is None:
            text = HUNG_UP
        else:
            pairs = codes(answer, wanted)
            # The one code of all is all there is to say.
            text = ", ".join(f"{path} {what}" if path else what for path, what in pairs) or "an answer without codes"
        for real, short in self.aliases.items():
            text = text.replace(real, short)
        self.outcomes[name] = text
