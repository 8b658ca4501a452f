"""Requests as Python's dictionaries, over the layouts of lib/layouts.py: what a case does not say is zero, empty, or the layout's default."""

import re
import socket
import struct
import uuid
from typing import NamedTuple

import layouts
import wire

ERRORS = {int(code): name for name, code in (word.split("=") for word in layouts.ERRORS.split())}
NUMBERS = {"i1": ">b", "i2": ">h", "i4": ">i", "i8": ">q", "u2": ">H", "f8": ">d", "bool": ">?"}


class Field(NamedTuple):
    name: str
    kind: str       # A number, string, bytes, uuid, array or struct.
    nullable: bool
    default: str
    of: object      # Of an array: a kind, or fields; of a struct: fields.


class Layout(NamedTuple):
    key: int
    version: int
    flexible: bool
    request: list
    response: list


def fields(words):
    """The fields up to the bracket that closes them."""
    found = []
    while words and words[0] not in ("]", "}"):
        name, _, rest = words.pop(0).partition(":")
        nullable, rest = rest.startswith("?"), rest.lstrip("?")
        if rest in ("[", "{"):
            kind = "array" if rest == "[" else "struct"
            of = words.pop(0) if kind == "array" and ":" not in words[0] else fields(words)
            words.pop(0)
            found.append(Field(name, kind, nullable, "", of))
        else:
            kind, _, default = rest.partition("=")
            found.append(Field(name, kind, nullable, default, None))
    return found


def read_layouts():
    found = {}
    pattern = re.compile(r"^(\w+) (\d+) v(\d+)( not flexible)?\n  >(.*?)\n  <(.*?)(?=\n\w|\Z)", re.MULTILINE | re.DOTALL)
    for name, key, version, rigid, request, response in pattern.findall(layouts.REQUESTS.strip()):
        split = [re.sub(r"([\[{])", r"\1 ", re.sub(r"([\]}])", r" \1", text)).split() for text in (request, response)]
        found[name] = Layout(int(key), int(version), not rigid, fields(split[0]), fields(split[1]))
    return found


LAYOUTS = read_layouts()


def unsigned(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


class Writer:
    def __init__(self, flexible):
        self.flexible = flexible
        self.out = bytearray()

    def size(self, n, rigid):
        """Of something of n bytes or elements; None: of nothing."""
        self.out += unsigned(0 if n is None else n + 1) if self.flexible else struct.pack(rigid, -1 if n is None else n)

    def struct(self, of, value):
        value = dict(value)
        for field in of:
            self.field(field, value.pop(field.name) if field.name in value else self.default(field))
        if value:
            raise ValueError(f"no such fields: {list(value)}")
        if self.flexible:
            self.out += b"\0"

    @staticmethod
    def default(field):
        if field.kind in NUMBERS:
            return {"": 0, "true": True}[field.default] if not re.match(r"[-\d]", field.default) else int(field.default, 0)
        if field.nullable and field.default == "null":
            return None
        return {"string": "", "bytes": b"", "uuid": uuid.UUID(int=0), "array": [], "struct": None if field.nullable else {}}[field.kind]

    def field(self, field, value):
        if field.kind == "array":
            self.size(None if value is None else len(value), ">i")
            for each in value or ():
                self.struct(field.of, each) if isinstance(field.of, list) else self.plain(field.of, each)
        elif field.kind == "struct":
            if field.nullable:
                self.out += struct.pack(">b", -1 if value is None else 1)
            if value is not None:
                self.struct(field.of, value)
        else:
            self.plain(field.kind, value)

    def plain(self, kind, value):
        if kind in NUMBERS:
            self.out += struct.pack(NUMBERS[kind], value)
        elif kind == "uuid":
            self.out += value.bytes
        else:
            raw = value.encode() if isinstance(value, str) else value
            self.size(None if raw is None else len(raw), ">h" if kind == "string" else ">i")
            self.out += raw or b""


class Reader:
    def __init__(self, data, flexible):
        self.data = data
        self.flexible = flexible
        self.at = 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError(f"an answer ends {self.at + n - len(self.data)} bytes too early")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def unsigned(self):
        found = shift = 0
        while True:
            byte = self.take(1)[0]
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found

    def tags(self):
        for _ in range(self.unsigned()):
            self.unsigned()
            self.take(self.unsigned())

    def size(self, rigid):
        return self.unsigned() - 1 if self.flexible else self.number(rigid)

    def struct(self, of):
        found = {field.name: self.field(field) for field in of}
        if self.flexible:
            self.tags()
        return found

    def field(self, field):
        if field.kind == "array":
            n = self.size(">i")
            return None if n < 0 else [self.struct(field.of) if isinstance(field.of, list) else self.plain(field.of) for _ in range(n)]
        if field.kind == "struct":
            return None if field.nullable and self.number(">b") < 0 else self.struct(field.of)
        return self.plain(field.kind)

    def plain(self, kind):
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == "uuid":
            return uuid.UUID(bytes=bytes(self.take(16)))
        n = self.size(">h" if kind == "string" else ">i")
        return None if n < 0 else self.take(n).decode() if kind == "string" else bytes(self.take(n))


class Connection:
    """To one broker. A request that it answers by hanging up raises ConnectionError."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 30)

    def ask(self, api, **request):
        layout = LAYOUTS[api]
        writer = Writer(layout.flexible)
        writer.out += struct.pack(">hhi", layout.key, layout.version, 1) + wire.string("conformance") + (b"\0" if layout.flexible else b"")
        writer.struct(layout.request, request)
        self.socket.sendall(struct.pack(">i", len(writer.out)) + writer.out)
        try:
            answer = wire.answer(self.socket)
        except RuntimeError as hung_up:
            raise ConnectionError(str(hung_up)) from None
        reader = Reader(answer, layout.flexible)
        reader.take(4)
        if layout.flexible:
            reader.tags()
        found = reader.struct(layout.response)
        if reader.at != len(answer):
            raise ValueError(f"{len(answer) - reader.at} bytes are left of an answer to {api}")
        return found

    def close(self):
        self.socket.close()
