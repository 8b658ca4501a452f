"""docs/clients.md, out of the cells of a run of everything."""

import os
import re

import clients
import known
import registry
import tools
import wire
from programs import program

PATH = os.path.join(clients.HERE, "..", "..", "docs", "clients.md")

HEAD = """# Clients

What works against a cluster of three brokers, by clients and tools that were not written here, unchanged. This page is written by

    ./dev conformance --all --write-docs

which fetches each of them at the version below from its own registry (Rust, Go, Node, Python and Java are installed where they are
missing), starts the cluster and drives them; it takes some twenty minutes on two cores. Without `--write-docs` the page stays as it is.
`passed` and `failed` are of that run; `as Kafka` stands for what fails against Apache Kafka, too, with what both said [at the end](#as-kafka);
`-` for what the library has no call for. A client that could not be fetched or built fails the run. How answers to bad input compare
with Kafka's stands in [differences.md](differences.md).

## Libraries

- *writes CODEC*: records of mixed sizes, with and without keys, values, headers, at times of their own, under that codec, idempotent
  where the library can; the batches that the broker keeps carry that codec.
- *reads*: what each of the others wrote, under every codec: keys, values, headers, times, offsets and order are as written.
- *group*: two members share a topic, one leaves, the other takes over; everything is read once, and committed as far as it was read.
- *KIP-848*: the same with `group.protocol=consumer`.
- *administration*: a topic is created (and refused the second time), described, configured, grown, trimmed and deleted, and a group is
  listed, described and deleted, as far as the library has calls for it.
"""


def version(name):
    if name == "kcat":
        found = re.search(r"Version (\S+).*librdkafka (\S+?)[ )]", program(["kcat", "-V"]).decode())
        return f"{found[1]}, librdkafka {found[2]}"
    return clients.version(name)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row("---" for _ in head), *(row(each) for each in rows)]) + "\n"


def libraries(results, writers):
    from suite import Suite
    everything = [f"{writer} {codec}" for writer in writers for codec in wire.CODECS]
    rows = []
    for name, client in clients.CLIENTS.items():
        rows.append([client.title, version(name), *(results.of([f"{name} {codec}"], ["write"]) for codec in wire.CODECS),
                     results.of(everything, [f"{name} reads"]), results.of(["group"], [Suite.group_column(name, name)]),
                     results.of(["group"], [Suite.group_column(name, name, "consumer", "consumer")]),
                     results.of([f"{name} admin"], [column for row_, column in results.cells if row_ == f"{name} admin"])])
    text = table(["client", "version", *(f"writes {codec}" for codec in wire.CODECS), "reads", "group", "KIP-848", "administration"], rows)
    text += "\nMembers of two libraries in one group:\n\n"
    pairs = [(pair, ()) for pair in clients.PAIRS] + [(pair, ("consumer", "consumer")) for pair in clients.CONSUMER_PAIRS]
    return text + table(["members", "protocol", "group"], [
        [" and ".join(clients.CLIENTS[name].title for name in pair), protocols[0] if protocols else "classic",
         results.of(["group"], [Suite.group_column(*pair, *protocols)])] for pair, protocols in pairs])


def steps(results, names, head):
    return table([head, "what was asked", "result"], [[name, column, cell] for name in names for (row_, column), cell in results.cells.items() if row_ == name])


def as_kafka(results):
    rows = [[cell[0], cell[1], f"`{said}`", f"`{known.CELLS[cell].against_kafka}`", known.CELLS[cell].why] for cell, said in results.known.items()]
    text = "`tests/conformance/run --against BOOTSTRAP --clients ...` drives the same clients against brokers that are there already.\n\n"
    return text + table(["row", "cell", "against this tree", f"against Apache Kafka {tools.version()}", "why"], rows)


def write(results, writers, applications):
    text = HEAD + "\n" + libraries(results, writers)
    text += f"\n## Apache Kafka's command-line tools\n\nVersion {tools.version()}, each started by the class that its script names.\n\n"
    text += steps(results, tools.CLASSES, "tool")
    text += f"\n## Applications\n\nOf Apache Kafka {tools.version()}, and Apicurio Registry {registry.version()} with its storage in Kafka.\n\n"
    text += steps(results, applications, "application")
    text += "\n## As Kafka\n\n" + as_kafka(results)
    with open(PATH, "w") as file:
        file.write(text)
