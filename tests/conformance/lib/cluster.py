"""A cluster of `taffrail up`, its processes and its end."""

import os
import re
import signal
import socket
import subprocess
import time


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Cluster:
    def __init__(self, binary, directory, nodes=3, cores=None):
        """`cores`: where the brokers run; everywhere if it is not given."""
        self.binary = os.path.abspath(binary)
        self.cores = cores
        self.directory = directory
        self.nodes = nodes
        self.parent = None
        self.pids = {}
        self.addresses = {}
        self.restarted = {}

    def start(self, timeout=60):
        ready, log = os.path.join(self.directory, "ready"), os.path.join(self.directory, "up.log")
        self.data = os.path.join(self.directory, "data")
        with open(log, "wb") as out:
            # A session of its own, so that a Ctrl-C ends the suite first, and the suite the cluster.
            self.parent = subprocess.Popen(
                [self.binary, "up", "--nodes", str(self.nodes), "--data", self.data, "--port", "0", "--ready-file", ready],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=self.cores and (lambda: os.sched_setaffinity(0, self.cores)))
        deadline = time.monotonic() + timeout
        while not (os.path.exists(ready) and self.read_table(log)):
            if self.parent.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the cluster did not start:\n{open(log).read()}")
            time.sleep(0.05)

    def read_table(self, log):
        for line in open(log):
            if found := re.match(r"\s*(\d+)\s+(\d+)\s+(\S+:\d+)\s", line):
                self.pids[int(found[1])] = int(found[2])
                self.addresses[int(found[1])] = found[3]
        return len(self.pids) == self.nodes

    @property
    def bootstrap(self):
        return ",".join(self.addresses[n] for n in sorted(self.addresses))

    def command(self, *words):
        done = subprocess.run([self.binary, "-b", self.bootstrap, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"taffrail {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def kill(self, node):
        os.kill(self.pids[node], signal.SIGKILL)
        if node in self.restarted:
            self.restarted[node].wait(10)
        self.wait_gone(self.pids[node])

    def wait_gone(self, pid, timeout=10):
        """Until `pid` runs no more; a zombie, whose parent may never ask, has let go of its files and ports too."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    if stat.read().rpartition(")")[2].split()[0] in "ZX":
                        return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.01)
        raise RuntimeError(f"process {pid} outlived kill -9")

    def restart(self, node):
        home = os.path.join(self.data, f"node-{node}")
        with open(os.path.join(home, "restarted.log"), "ab") as out:
            child = subprocess.Popen([self.binary, "serve", "--config", os.path.join(home, "node.toml")],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.restarted[node] = child
        self.pids[node] = child.pid

    def join(self, number):
        """A further broker, that the others did not know."""
        with open(os.path.join(self.data, "node-1", "node.toml")) as known:
            told = re.sub(r"(?m)^id = 1$", f"id = {number}", known.read())
        home = os.path.join(self.data, f"node-{number}")
        os.makedirs(home)
        with open(os.path.join(home, "node.toml"), "w") as out:
            # Each place to listen at is another one.
            out.write(re.sub(r'(?m)^bind = .*$', lambda _: f'bind = "127.0.0.1:{free_port()}"', told))
        with open(os.path.join(home, "log"), "wb") as out:
            return subprocess.Popen([self.binary, "serve", "--config", os.path.join(home, "node.toml")],
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def dead(self):
        """Nodes that ended by themselves."""
        gone = []
        for node, pid in self.pids.items():
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    if stat.read().rpartition(")")[2].split()[0] in "ZX":
                        gone.append(node)
            except (FileNotFoundError, ProcessLookupError):
                gone.append(node)
        return gone

    def stop(self):
        processes = [p for p in (*self.restarted.values(), self.parent) if p is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Elsewhere(Cluster):
    """Brokers that somebody else started and will stop: Apache Kafka's, to see whether a client fails there as well."""

    def __init__(self, binary, directory, bootstrap):
        addresses = dict(enumerate(bootstrap.split(","), 1))
        super().__init__(binary, directory, len(addresses))
        self.addresses = addresses

    def start(self, timeout=60):
        pass
