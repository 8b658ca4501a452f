"""The clients' part of the suite: each writes, each reads what all have written, members share a topic, a topic is administered."""

import io
import os
import re
import time

import groups
import known
import records
import wire
from clients import CLIENTS, CONSUMER_PAIRS, PAIRS
from programs import TIMEOUT, attempt, program

PARTITIONS = 3
# Between a key and a value, and after a record, in what kcat reads; neither occurs in text.
KEY_END, RECORD_END = b"\x1f", b"\x1e"


def able(commands, what):
    return [name for name in commands if what in CLIENTS[name].does]


class Suite:
    def __init__(self, options, cluster, commands, directory, results):
        self.options = options
        self.cluster = cluster
        self.commands = commands
        self.directory = directory
        self.results = results
        self.writers = able(commands, "write")
        self.readers = able(commands, "read")
        self.views = sorted({"exact", *(CLIENTS[reader].view for reader in self.readers)})
        self.written = {}  # Tallies by topic and view.
        self.total = 0

    def exact(self):
        return [(topic, tally) for (topic, view), tally in self.written.items() if view == "exact"]

    def topic(self, writer, codec):
        return f"{writer}-{codec}"

    def per_topic(self):
        # As many in all as asked for, though a listed writer may be missing.
        return -(-self.options.records // (len(self.writers) * len(self.options.codecs)))

    def write(self, writer, codec):
        topic = self.topic(writer, codec)
        tallies = [records.Tally(writer != "kcat", view) for view in self.views]
        path = os.path.join(self.directory, "records")
        made = records.generate(f"{self.options.seed}-{topic}", self.per_topic(), CLIENTS[writer].without)
        with open(path, "wb") as file:
            for record in made:
                for tally in tallies:
                    tally.add(record)
                file.write(self.line(record) if writer == "kcat" else records.encode(record))

        def body():
            self.cluster.command("topic", "create", topic, "--partitions", str(PARTITIONS), "--replicas", str(self.cluster.nodes))
            if writer == "kcat":
                with open(path, "rb") as file:
                    program([*self.commands["kcat"], "-b", self.cluster.bootstrap, "-P", "-t", topic, "-z", codec, "-X",
                             "enable.idempotence=true", "-K", KEY_END.decode(), "-D", RECORD_END.decode(), "-H", "origin=text", "-H", "empty="],
                            stdin=file)
            else:
                program([*self.commands[writer], "write", self.cluster.bootstrap, topic, codec, path])
            found = wire.codecs_of(list(self.cluster.addresses.values()), topic, PARTITIONS)
            # A batch that would only grow is left as it is by some.
            if found[codec] * 2 <= found.total():
                raise RuntimeError(f"batches by codec are {dict(found)}")

        self.results.set(f"{writer} {codec}", "write", attempt(body))
        for tally in tallies:
            self.written[topic, tally.view] = tally
        self.total += tallies[0].count()

    @staticmethod
    def line(record):
        return (b"" if record.key is None else record.key + KEY_END) + record.value + RECORD_END

    def read(self, reader, codec):
        """All topics at once; where that fails, one by one, so that it is seen whose records are to blame."""
        topics = {writer: self.topic(writer, codec) for writer in self.writers}
        apart = {writer for writer in topics if (f"{writer} {codec}", f"{reader} reads") in known.CELLS}
        for writer in apart:
            self.results.set_known(f"{writer} {codec}", f"{reader} reads", self.difference(reader, [topics[writer]], known.LIMIT)[topics[writer]])
        told = self.difference(reader, [topics[writer] for writer in topics if writer not in apart])
        if any(told.values()) and reader != "kcat":
            told = {topic: self.difference(reader, [topic], 60)[topic] for topic in told}
        for writer, topic in topics.items():
            if writer not in apart:
                self.results.set(f"{writer} {codec}", f"{reader} reads", told[topic])

    def difference(self, reader, topics, timeout=TIMEOUT):
        """By topic, what differs between what was written and what this client reads."""
        written = {topic: self.written[topic, CLIENTS[reader].view] for topic in topics}
        tallies = {topic: records.Tally(tally.with_timestamps, tally.view) for topic, tally in written.items()}
        if reader == "kcat":
            trouble = {topic: attempt(lambda: self.kcat_read(topic, tallies[topic])) for topic in topics}
        else:
            def all_topics():
                output = program([*self.commands[reader], "read", self.cluster.bootstrap, str(PARTITIONS), *topics], timeout=timeout)
                for index, partition, offset, record in records.Source(io.BytesIO(output)):
                    tallies[topics[index]].add_read(partition, offset, record)
            trouble = dict.fromkeys(topics, attempt(all_topics))
        return {topic: trouble[topic] or written[topic].difference(tallies[topic]) for topic in topics}

    def kcat_read(self, topic, tally):
        output = program([*self.commands["kcat"], "-b", self.cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-X",
                          "check.crcs=true", "-f", "%p %o %T %K %S\n%k%s%h\n"])
        source = io.BytesIO(output)
        while head := source.readline():
            partition, offset, timestamp, key_size, value_size = (int(word) for word in head.split())
            key = None if key_size < 0 else source.read(key_size)
            value = None if value_size < 0 else source.read(value_size)
            text = source.readline().rstrip(b"\n")
            # It prints NULL for no value; no record here has that text for one.
            headers = [(name, None if value_of == b"NULL" else value_of) for name, _, value_of in
                       (header.partition(b"=") for header in text.split(b",") if header)]
            tally.add_read(partition, offset, records.Record(timestamp, key, value, headers))

    def kcat_extras(self):
        def metadata():
            listed = program(["kcat", "-b", self.cluster.bootstrap, "-L"]).decode()
            for topic, _ in self.exact():
                if f'topic "{topic}" with {PARTITIONS} partitions' not in listed:
                    raise RuntimeError(f"{topic} is not in:\n{listed[:1000]}")
            if f" {self.cluster.nodes} brokers" not in listed:
                raise RuntimeError(listed[:1000])

        def offsets():
            for topic, tally in self.exact():
                ends = 0
                for partition in range(PARTITIONS):
                    answer = program(["kcat", "-b", self.cluster.bootstrap, "-Q", "-t", f"{topic}:{partition}:-1"]).decode()
                    ends += int(re.search(r"offset (\d+)", answer)[1])
                if ends != tally.count():
                    raise RuntimeError(f"{topic} ends at {ends} in all, {tally.count()} were written")

        self.results.set("kcat", "list metadata", attempt(metadata))
        self.results.set("kcat", "query offsets", attempt(offsets))

    @staticmethod
    def group_name(first, second, *protocols):
        return "-".join(("group-of", first, second, *protocols))

    def group(self, first, second, *protocols):
        """Records are read once each: nobody is killed, and every member commits what it has read before it lets go."""
        topic = self.topic(self.writers[0], self.options.codecs[0])
        count, group = self.written[topic, "exact"].count(), self.group_name(first, second, *protocols)

        def body():
            read = groups.share(first, second, self.commands, self.cluster.bootstrap, group, topic, PARTITIONS, count,
                                 protocols or ("classic", "classic"))
            if twice := [place for place, times in read.items() if times > 1]:
                raise RuntimeError(f"{len(twice)} of {count} records were read more than once: {sorted(twice)[:3]}")
            ends = {p: 1 + max((o for at, o in read if at == p), default=-1) for p in range(PARTITIONS)}
            committed = wire.committed(list(self.cluster.addresses.values()), group, topic, PARTITIONS)
            if committed != ends:
                raise RuntimeError(f"committed {committed}, read up to {ends}")

        self.results.set("group", self.group_column(first, second, *protocols), attempt(body))

    @staticmethod
    def group_column(first, second, *protocols):
        names = first if first == second else f"{first} and {second}"
        return ", ".join((names, *(f"{p} protocol" for p in sorted(set(protocols)))))

    def groups(self):
        for name in able(self.commands, "group"):
            self.group(name, name)
        for name in able(self.commands, "consumer"):
            self.group(name, name, "consumer", "consumer")
        for pairs, protocols in ((PAIRS, ()), (CONSUMER_PAIRS, ("consumer", "consumer"))):
            for pair in pairs:
                if all(name in self.readers for name in pair):
                    self.group(*pair, *protocols)

    def admin(self, name):
        """Steps as the client's program tells them. The group is the one that two members of this client have left."""
        trouble = ""
        try:
            output = program([*self.commands[name], "admin", self.cluster.bootstrap, f"{name}-admin", self.group_name(name, name)])
        except RuntimeError as error:
            trouble, output = error.args[0], error.args[1]
        told = [line.partition(" ") for line in output.decode().splitlines()]
        told = [(word, rest) for word, _, rest in told if word in ("passed", "failed")]
        for word, rest in told:
            step, _, why = rest.partition(": ")
            self.results.set(f"{name} admin", step, "" if word == "passed" else why or "no reason given")
        if not told or (trouble and all(word == "passed" for word, _ in told)):
            self.results.set(f"{name} admin", "run", trouble or "nothing said")

    def run(self):
        started = time.monotonic()
        for codec in self.options.codecs:
            for writer in self.writers:
                self.write(writer, codec)
            for reader in self.readers:
                self.read(reader, codec)
            print(f"{codec}: {time.monotonic() - started:.0f} s, {self.total} records so far", flush=True)
        self.groups()
        print(f"groups: {time.monotonic() - started:.0f} s", flush=True)
        if "kcat" in self.commands:
            self.kcat_extras()
        for name in able(self.commands, "admin"):
            self.admin(name)
        print(f"administration: {time.monotonic() - started:.0f} s", flush=True)

    def report(self):
        rows = [f"{w} {c}" for c in self.options.codecs for w in self.writers]
        print(f"\n{self.total} records written, {sum(t.bytes for _, t in self.exact()) >> 20} MiB in keys and values, read by each reader")
        if rows:
            self.results.table(rows, ["write", *(f"{r} reads" for r in self.readers)])
        print()
        for (row, column), cell in self.results.cells.items():
            if row not in rows:
                print(f"{row}: {column}: {cell}")
