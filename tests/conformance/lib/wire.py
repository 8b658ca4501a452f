"""One look at the bytes a broker keeps: which codecs its batches carry. A client that compresses nothing reads back just as well,
so that what the clients read cannot tell."""

import collections
import socket
import struct

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FETCH, VERSION = 1, 4
MAX_BYTES = 50_000_000


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def receive(connection, n):
    data = bytearray()
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise RuntimeError("the broker closed the connection")
        data += piece
    return bytes(data)


def fetch(address, topic, partition):
    """Error and batches of a partition, from offset 0, in one answer."""
    header = struct.pack(">hhi", FETCH, VERSION, 1) + string("conformance")
    body = struct.pack(">iiiib", -1, 0, 1, MAX_BYTES, 0) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iiqi", 1, partition, 0, MAX_BYTES)
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        answer = receive(connection, struct.unpack(">i", receive(connection, 4))[0])
    at = 4 + 4 + 4  # Correlation, throttle time, one topic.
    at += 2 + struct.unpack_from(">h", answer, at)[0] + 4  # Its name, one partition.
    _, error, _, _, aborted = struct.unpack_from(">ihqqi", answer, at)
    at += 26 + max(aborted, 0) * 16
    size = struct.unpack_from(">i", answer, at)[0]
    return error, answer[at + 4 : at + 4 + max(size, 0)]


def codecs_of(addresses, topic, partitions):
    """How many batches of the topic carry each codec."""
    found = collections.Counter()
    for partition in range(partitions):
        for address in addresses:
            error, batches = fetch(address, topic, partition)
            if error == 0:
                break
        else:
            raise RuntimeError(f"no leader of {topic}-{partition} (error {error})")
        at = 0
        while at + 23 <= len(batches):
            found[CODECS[struct.unpack_from(">h", batches, at + 21)[0] & 7]] += 1
            at += 12 + struct.unpack_from(">i", batches, at + 8)[0]
    return found
