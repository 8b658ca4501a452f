"""A process that stands between the nodes of a cluster: what others dial to a node goes through it, and can be made to stand still.

    links.py PORT:TARGET...      reads "stop PORT" and "go PORT" from standard input, ends with it
"""

import selectors
import socket
import sys

READ = selectors.EVENT_READ


class Links:
    def __init__(self, pairs):
        self.selector = selectors.DefaultSelector()
        self.stopped = set()
        self.peers = {}   # Socket: the other end's socket, and the port that it came by.
        for port, target in pairs:
            listener = socket.create_server(("127.0.0.1", port), backlog=64)
            listener.setblocking(False)
            self.selector.register(listener, READ, ("listener", port, target))
        self.selector.register(sys.stdin.buffer.raw, READ, ("commands", 0, 0))

    def run(self):
        while True:
            for key, _ in self.selector.select():
                what, port, target = key.data
                if what == "commands":
                    line = key.fileobj.readline().split()
                    if not line:
                        return
                    self.obey(line[0].decode(), int(line[1]))
                elif what == "listener":
                    self.accept(key.fileobj, port, target)
                else:
                    self.carry(key.fileobj, port)

    def obey(self, word, port):
        (self.stopped.add if word == "stop" else self.stopped.discard)(port)
        for one, (_, by) in self.peers.items():
            if by == port:
                self.watch(one, by)

    def watch(self, one, port):
        known = one in self.selector.get_map()
        if port in self.stopped and known:
            self.selector.unregister(one)
        elif port not in self.stopped and not known:
            self.selector.register(one, READ, ("pipe", port, None))

    def accept(self, listener, port, target):
        dialled = None
        try:
            one, _ = listener.accept()
            dialled = socket.create_connection(("127.0.0.1", target), 1)
        except OSError:
            # Nobody is there: whoever dialled is told so.
            if dialled is None and "one" in locals():
                one.close()
            return
        for end, other in ((one, dialled), (dialled, one)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(10)
            self.peers[end] = (other, port)
            self.watch(end, port)

    def carry(self, one, port):
        if one not in self.peers:
            return
        other, _ = self.peers[one]
        try:
            data = one.recv(1 << 18)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            if end in self.selector.get_map():
                self.selector.unregister(end)
            self.peers.pop(end, None)
            end.close()


if __name__ == "__main__":
    Links([tuple(int(p) for p in pair.split(":")) for pair in sys.argv[1:]]).run()
