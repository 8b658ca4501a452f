"""Members of a consumer group: real clients that say what they own and what they read."""

import collections
import re
import signal
import subprocess
import threading
import time


class Member:
    """A client's program with the verb `group`: it prints `own PARTITION...` when that has changed and `PARTITION OFFSET` for each record, commits
    what it has read, and leaves when its input ends. kcat says the same in its own words."""

    def __init__(self, name, command, bootstrap, group, topic, protocol="classic"):
        self.name = name
        self.kcat = name.startswith("kcat")
        if self.kcat:
            command = [*command, "-b", bootstrap, "-G", group, "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-u",
                       "-f", "%p %o\n", topic]
        else:
            command = [*command, "group", bootstrap, group, topic, *([] if protocol == "classic" else [protocol])]
        self.partitions = set()
        self.seen = collections.Counter()
        self.said = collections.deque(maxlen=30)
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.threads = [threading.Thread(target=self.listen, args=(stream,), daemon=True) for stream in (self.child.stdout, self.child.stderr)]
        for thread in self.threads:
            thread.start()

    def listen(self, stream):
        for line in stream:
            words = line.decode(errors="replace").strip()
            if found := re.fullmatch(r"(\d+) (\d+)", words):
                self.seen[int(found[1]), int(found[2])] += 1
            elif words == "own" or words.startswith("own "):
                self.partitions = {int(p) for p in words.split()[1:]}
            elif found := re.search(r"rebalanced \(memberid .*?\): (assigned|revoked):(.*)", words):
                self.partitions = {int(p) for p in re.findall(r"\[(\d+)\]", found[2])} if found[1] == "assigned" else set()
            else:
                self.said.append(words)

    @property
    def owned(self):
        return len(self.partitions)

    def leave(self):
        if self.kcat:
            self.child.send_signal(signal.SIGINT)
        self.child.stdin.close()
        try:
            code = self.child.wait(60)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name} does not leave: {self.words()}") from None
        for thread in self.threads:
            thread.join(10)
        if code != 0:
            raise RuntimeError(f"{self.name} ended with {code}: {self.words()}")

    def words(self):
        return " | ".join(self.said) or "nothing said"

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def until(true, what, members, limit=90):
    deadline = time.monotonic() + limit
    while not true():
        for member in members:
            if member.child.poll() is not None:
                raise RuntimeError(f"{member.name} ended before {what}: {member.words()}")
        if time.monotonic() > deadline:
            state = ", ".join(f"{m.name} owns {m.owned} and read {len(m.seen)}: {m.words()}" for m in members)
            raise RuntimeError(f"no {what} within {limit} s: {state}")
        time.sleep(0.05)


def share(first, second, command_of, bootstrap, group, topic, partitions, records, protocols=("classic", "classic")):
    """Two members share a topic, one leaves, the other takes over. What both read, with how often."""
    members = []
    try:
        for name, protocol in zip((first, second), protocols):
            members.append(Member(name, command_of[name], bootstrap, group, topic, protocol))
        until(lambda: all(m.owned for m in members) and sum(m.owned for m in members) == partitions, "sharing", members)
        until(lambda: len(members[0].seen + members[1].seen) == records, "reading to the end", members)
        members[0].leave()
        until(lambda: members[1].owned == partitions, "taking over", members[1:])
        members[1].leave()
        return members[0].seen + members[1].seen
    finally:
        for member in members:
            member.kill()
