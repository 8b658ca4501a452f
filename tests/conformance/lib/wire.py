"""Looks at what a broker keeps and clients do not tell: which codecs its batches carry, for a client that compresses nothing
reads back just as well; and what a group has committed."""

import collections
import socket
import struct

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FETCH, VERSION = 1, 4
OFFSET_FETCH, OFFSET_FETCH_VERSION, NOT_COORDINATOR = 9, 3, 16
FIND_COORDINATOR, FIND_COORDINATOR_VERSION = 10, 1
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


def answer(connection):
    """The next one, without its length."""
    return receive(connection, struct.unpack(">i", receive(connection, 4))[0])


def ask(address, key, version, body):
    header = struct.pack(">hhi", key, version, 1) + string("conformance")
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        return answer(connection)


def coordinator(addresses, group):
    """The id of the broker that coordinates the group."""
    for address in addresses:
        answer = ask(address, FIND_COORDINATOR, FIND_COORDINATOR_VERSION, string(group) + b"\0")
        error, size = struct.unpack_from(">hh", answer, 8)
        if error == 0:
            return struct.unpack_from(">i", answer, 12 + max(size, 0))[0]
    raise RuntimeError(f"nobody coordinates {group}")


def committed(addresses, group, topic, partitions):
    """The group's offsets, by partition; -1: none."""
    body = string(group) + struct.pack(">i", 1) + string(topic) + struct.pack(f">i{partitions}i", partitions, *range(partitions))
    for address in addresses:
        answer = ask(address, OFFSET_FETCH, OFFSET_FETCH_VERSION, body)
        error = struct.unpack_from(">h", answer, len(answer) - 2)[0]
        if error == NOT_COORDINATOR:
            continue
        if error != 0:
            raise RuntimeError(f"offsets of {group}: error {error}")
        at = 4 + 4 + 4 + 2 + len(topic.encode()) + 4
        found = {}
        for _ in range(partitions):
            index, offset, size = struct.unpack_from(">iqh", answer, at)
            found[index] = offset
            at += 14 + max(size, 0) + 2
        return found
    raise RuntimeError(f"nobody coordinates {group}")


def fetch(address, topic, partition):
    """Error and batches of a partition, from offset 0, in one answer."""
    body = struct.pack(">iiiib", -1, 0, 1, MAX_BYTES, 0) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iiqi", 1, partition, 0, MAX_BYTES)
    answer = ask(address, FETCH, VERSION, body)
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
