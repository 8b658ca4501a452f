"""Records: how they are made, how they travel between this suite and a client's program, how they are compared.

The stream a writer's program reads, integers big-endian, -1 as a length meaning null:
    int64 timestamp, int32 length + key, int32 length + value, int32 count, count times (int32 length + name, int32 length + value)
What a reader's program prints is, per record, int32 index of the topic, int32 partition, int64 offset, and then the same.
"""

import collections
import hashlib
import random
import struct
import time

Record = collections.namedtuple("Record", "timestamp key value headers")

VALUE_MAX = 200_000


def field(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def encode(record):
    parts = [struct.pack(">q", record.timestamp), field(record.key), field(record.value), struct.pack(">i", len(record.headers))]
    for name, value in record.headers:
        parts += [field(name), field(value)]
    return b"".join(parts)


def encode_read(topic, partition, offset, record):
    return struct.pack(">iiq", topic, partition, offset) + encode(record)


class Source:
    """Decodes what a reader's program printed. A stream cut short is an error, not an end."""

    def __init__(self, stream):
        self.stream = stream

    def take(self, n):
        data = self.stream.read(n)
        if len(data) != n:
            raise ValueError(f"output ends {n - len(data)} bytes short")
        return data

    def number(self, code):
        return struct.unpack(">" + code, self.take(struct.calcsize(code)))[0]

    def field(self):
        n = self.number("i")
        return None if n < 0 else self.take(n)

    def record(self):
        timestamp, key, value = self.number("q"), self.field(), self.field()
        headers = [(self.field(), self.field()) for _ in range(self.number("i"))]
        return Record(timestamp, key, value, headers)

    def written(self):
        """Records of the stream that a writer's program reads."""
        while self.stream.peek(1):
            yield self.record()

    def __iter__(self):
        while first := self.stream.read(4):
            topic = struct.unpack(">i", first)[0]
            yield topic, self.number("i"), self.number("q"), self.record()


def size_of_value(rng):
    """Mostly small, some of a page or more, few that fill a batch by themselves."""
    kind = rng.random()
    if kind < 0.04:
        return 0
    if kind < 0.65:
        return rng.randint(1, 200)
    if kind < 0.92:
        return rng.randint(200, 2_000)
    if kind < 0.995:
        return rng.randint(2_000, 20_000)
    return rng.randint(100_000, VALUE_MAX)


def generate(seed, count, without=()):
    """`count` records of `seed`, timestamps a millisecond apart so that order can be seen. `without`: what a client cannot write.
    "bytes" keeps to what can pass through lines of text (no null values, one set of headers, an empty value only under a key);
    "null headers" are those without a value, "twin headers" two of one name, "bare records" have neither key nor value."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 9)).hex().encode() for _ in range(400)]
    # Half of it compresses well and half hardly, so that codecs meet both.
    pool = b" ".join(rng.choice(words) for _ in range(30_000))
    noise = rng.randbytes(len(pool))
    if "bytes" in without:
        noise = noise.hex().encode()
    start = int(time.time() * 1000) - count
    for i in range(count):
        size = size_of_value(rng)
        origin = noise if rng.random() < 0.5 else pool
        at = rng.randrange(len(origin) - VALUE_MAX)
        value = origin[at : at + size]
        kind = rng.random()
        key = None if kind < 0.3 else b"" if kind < 0.35 else b"key-%d" % rng.randrange(500)
        headers = []
        if "bytes" in without:
            headers = [(b"origin", b"text"), (b"empty", b"")]
            if size == 0 and key is None:
                key = b""
        else:
            if rng.random() < 0.03:
                value = None
                if key is None and "bare records" in without:
                    key = b""
            for n in range(rng.choice((0, 0, 0, 1, 2, 5))):
                headers.append((b"h%d" % n, rng.choice((b"", b"v" * rng.randint(1, 60), b"" if "null headers" in without else None))))
            if "twin headers" not in without and headers and rng.random() < 0.3:
                headers.append((b"h0", b"again"))
        yield Record(start + i, key, value, headers)


def headers_by_name(record):
    """For a library that keeps headers in a map."""
    return record._replace(headers=sorted(record.headers, key=lambda header: header[0]))


def empty_is_null(record):
    """For a library that tells nothing empty from nothing."""
    return record._replace(key=record.key or None, value=record.value or None, headers=[(name, value or None) for name, value in record.headers])


VIEWS = {"exact": lambda record: record, "headers by name": headers_by_name, "empty is null": empty_is_null}


class Tally:
    """What was written to a topic, or read from it, such that two tallies are equal whatever the order: a checksum of each
    record, added up. Timestamps count where the writer could set them. `view`: what a reader's library makes of records, VIEWS."""

    def __init__(self, with_timestamps, view="exact"):
        self.with_timestamps = with_timestamps
        self.view = view
        self.sums = collections.Counter()
        self.about = {}
        self.bytes = 0
        self.broken = []  # What is wrong by itself: gaps in the offsets, order turned round.
        self.next = collections.defaultdict(int)
        self.latest = {}

    def add(self, record):
        counted = record if self.with_timestamps else record._replace(timestamp=0)
        counted = VIEWS[self.view](counted)
        digest = hashlib.blake2b(encode(counted), digest_size=16).digest()
        self.sums[digest] += 1
        sizes = [None if x is None else len(x) for x in (record.key, record.value)]
        self.about[digest] = f"key {sizes[0]} B, value {sizes[1]} B, headers {record.headers}, time {record.timestamp}"
        self.bytes += (sizes[0] or 0) + (sizes[1] or 0)

    def add_read(self, partition, offset, record):
        if offset != self.next[partition]:
            self.broken.append(f"partition {partition}: offset {offset} where {self.next[partition]} was due")
        if record.timestamp < self.latest.get(partition, 0):
            self.broken.append(f"partition {partition}: the record at {offset} is older than the one before")
        self.next[partition] = offset + 1
        self.latest[partition] = record.timestamp
        self.add(record)

    def count(self):
        return sum(self.sums.values())

    def checksum(self):
        total = sum(int.from_bytes(digest, "big") * times for digest, times in self.sums.items())
        return f"{total % 2**128:032x}"

    def difference(self, read):
        """Why `read` is not what was written, or an empty string."""
        if read.broken:
            return "; ".join(read.broken[:3])
        if self.checksum() == read.checksum() and self.count() == read.count():
            return ""
        lost, extra = self.sums - read.sums, read.sums - self.sums
        text = f"{self.count()} written, {read.count()} read; {sum(lost.values())} missing, {sum(extra.values())} not written so"
        for what, some, about in (("missing", lost, self.about), ("read", extra, read.about)):
            for digest in list(some)[:2]:
                text += f"; {what}: {about[digest]}"
        return text
