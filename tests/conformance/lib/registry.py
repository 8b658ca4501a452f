"""A schema registry that keeps what it knows in a topic: Apicurio Registry, asked as clients of Confluent's registry ask."""

import json
import os
import re
import urllib.error
import urllib.request

from apps import Running
from clients import HERE
from cluster import free_port
from programs import attempt

NAME, SUBJECT = "Apicurio Registry", "ships-value"
# What it says once it has read its journal; before that it answers as if nothing were there.
READ = "storage bootstrapped"


def version():
    with open(os.path.join(HERE, "clients", "registry", "pom.xml")) as pom:
        return re.search(r"<artifactId>apicurio-registry-app</artifactId>\s*<version>(.*?)<", pom.read())[1]


def ship(*more):
    """A schema in Avro: a record with a name, and these fields (type, what stands for it where it is missing)."""
    fields = [{"name": "name", "type": "string"}]
    fields += [{"name": name, "type": kind, **({} if default is None else {"default": default})} for name, kind, default in more]
    return {"schema": json.dumps({"type": "record", "name": "Ship", "fields": fields})}


FIRST, WITH_TONS, WITH_FLAG = ship(), ship(("tons", "int", 0)), ship(("flag", "string", None))


class Registry:
    def __init__(self, command, bootstrap, directory, results):
        self.command = command
        self.bootstrap = bootstrap
        self.directory = directory
        self.results = results
        self.starts = 0

    def start(self):
        """A new process; its tables are in its memory, so that what it knows is what the topic has."""
        self.port = free_port()
        self.starts += 1
        log = os.path.join(self.directory, f"registry-{self.starts}.log")
        settings = {"apicurio.storage.kind": "kafkasql", "apicurio.kafkasql.bootstrap.servers": self.bootstrap,
                    "quarkus.http.host": "127.0.0.1", "quarkus.http.port": self.port}
        java, *rest = self.command
        runs = Running([java, *(f"-D{key}={value}" for key, value in settings.items()), *rest], log)

        def ready():
            with open(log, errors="replace") as said:
                return any(READ in line for line in said)
        try:
            runs.until(ready, "the registry is ready")
        except RuntimeError:
            runs.stop()
            raise
        return runs

    def ask(self, method, path, body=None):
        """Status and answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/apis/ccompat/v7/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")[:300]

    def expect(self, due, method, path, body=None, status=200):
        found = self.ask(method, path, body)
        if found[0] != status or not due(found[1]):
            raise RuntimeError(f"{method} {path}: {found}")
        return found[1]

    def register(self):
        self.identity = self.expect(lambda answer: answer["id"] > 0, "POST", f"subjects/{SUBJECT}/versions", FIRST)["id"]
        self.known(1, FIRST)

    def known(self, number, schema):
        same = lambda answer: json.loads(answer["schema"]) == json.loads(schema["schema"])  # noqa: E731
        self.expect(same, "GET", f"subjects/{SUBJECT}/versions/{number}")

    def evolve(self):
        self.expect(lambda answer: answer["compatibilityLevel"] == "BACKWARD", "PUT", f"config/{SUBJECT}", {"compatibility": "BACKWARD"})
        check, versions = f"compatibility/subjects/{SUBJECT}/versions/latest", f"subjects/{SUBJECT}/versions"
        self.expect(lambda answer: not answer["is_compatible"], "POST", check, WITH_FLAG)
        self.refused()
        self.expect(lambda answer: answer["is_compatible"], "POST", check, WITH_TONS)
        self.expect(lambda answer: answer["id"] != self.identity, "POST", versions, WITH_TONS)
        self.known(2, WITH_TONS)

    def refused(self):
        """A field that old records lack and that nothing stands for."""
        self.expect(lambda answer: "ncompatible" in answer, "POST", f"subjects/{SUBJECT}/versions", WITH_FLAG, status=409)

    def remembered(self):
        self.expect(lambda answer: answer == [1, 2], "GET", f"subjects/{SUBJECT}/versions")
        self.known(1, FIRST)
        self.known(2, WITH_TONS)
        self.expect(lambda answer: json.loads(answer["schema"]) == json.loads(FIRST["schema"]), "GET", f"schemas/ids/{self.identity}")
        self.refused()

    def process(self, *steps):
        runs = None

        def start():
            nonlocal runs
            runs = self.start()
        try:
            if why := attempt(start):
                for name, _ in steps:
                    self.results.set(NAME, name, why)
                return
            for name, body in steps:
                self.results.set(NAME, name, attempt(body))
        finally:
            if runs is not None:
                runs.stop()

    def run(self):
        self.process(("a schema is registered and read back", self.register),
                     ("a compatible schema is taken, an incompatible one refused", self.evolve))
        self.process(("after a restart it knows what it knew", self.remembered))
