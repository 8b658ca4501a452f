"""Getting the clients: commands from the distribution, libraries from each client's own registry, programs compiled. What is
fetched and built lies in the user's cache, under a name that changes with the pins and the sources."""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEP_TIMEOUT = 900

# A registry that says no (or is not to be reached at all) says one of these. Anything else that goes wrong is ours.
REFUSALS = re.compile(
    r"forbidden|unauthorized|legal reasons|\bE40[137]\b|status code: 40[137]|http error 40[137]|connection refused|access denied"
    r"|could not resolve host|no such host|name resolution|ENOTFOUND|EAI_AGAIN|unknown host", re.IGNORECASE)


class Failed(Exception):
    """A step did not work. `refused`: because a registry would not give."""

    def __init__(self, output, refused=False):
        super().__init__(output)
        self.refused = refused


def step(command, fetches=False, cwd=None, env=None):
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=STEP_TIMEOUT)
        output, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as e:
        output, code = (e.stdout or b"").decode(errors="replace") + f"\nno end within {STEP_TIMEOUT} s", -1
    if code != 0:
        raise Failed(f"$ {' '.join(command)}\n{output.rstrip()}", fetches and bool(REFUSALS.search(output)))
    return output


updated = False


def packages(wanted):
    """Installs the packages of (test, package) pairs whose test does not hold."""
    global updated
    missing = [package for holds, package in wanted if not holds()]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Failed(f"needed, and no apt-get to install it: {' '.join(missing)}")
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if become and not shutil.which("sudo"):
        raise Failed(f"needed, and only root may install it: apt-get install {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if not updated:
        step([*become, "apt-get", "update", "-qq"], fetches=True, env=quiet)
        updated = True
    step([*become, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], fetches=True, env=quiet)


def command(name):
    return lambda: shutil.which(name) is not None


def place(client, also=()):
    """Where what belongs to the client in its present state goes. `also`: other folders that it is made of."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in (client, *also):
        for path in sorted(glob.glob(os.path.join(HERE, "clients", folder, "**"), recursive=True)):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    digest.update(os.path.basename(path).encode() + b"\0" + file.read())
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "taffrail", "conformance", f"{client}-{digest.hexdigest()[:12]}")


def built(client, build, also=()):
    """The client's place, after build(place) where it was not complete."""
    where = place(client, also)
    mark = os.path.join(where, "complete")
    if not os.path.exists(mark):
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        build(where)
        open(mark, "w").close()
    return where


def source(client, name):
    return os.path.join(HERE, "clients", client, name)


def kcat():
    packages([(command("kcat"), "kcat")])
    return ["kcat"]


def python(client):
    """A library of PyPI in an environment of its own, and client.py over it."""
    def has_venv():
        return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def build(where):
        packages([(has_venv, "python3-venv")])
        step([sys.executable, "-m", "venv", where])
        step([os.path.join(where, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "-r",
              source(client, "requirements.txt")], fetches=True)

    return lambda: [os.path.join(built(client, build), "bin", "python"), "-B", source(client, "client.py")]


# What every Java program here runs with.
JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def jars(pom, where):
    """The jars that a pom names, and what they need, in where/lib."""
    packages([(command("javac"), "default-jdk-headless"), (command("mvn"), "maven")])
    step(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={where}/lib"], fetches=True)


def java(client, *borrowed):
    """The client's own sources, and those that it borrows: (client, file)."""
    def build(where):
        jars(source(client, "pom.xml"), where)
        sources = sorted(glob.glob(source(client, "*.java"))) + [source(*each) for each in borrowed]
        step(["javac", "-Xlint:all", "-Werror", "-d", os.path.join(where, "classes"), "-cp", os.path.join(where, "lib", "*"), *sources])

    def commands():
        packages([(command("java"), "default-jdk-headless")])
        where = built(client, build, tuple(other for other, _ in borrowed))
        return [*JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{where}/classes:{where}/lib/*", "Client"]

    return commands


def tools():
    """A command that a class of the tools is appended to."""
    packages([(command("java"), "default-jdk-headless")])
    where = built("tools", lambda place: jars(source("tools", "pom.xml"), place))
    # As their scripts start them, but for the heap: several of them are short.
    return [*JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{where}/lib/*"]


def apps():
    """The same for what is built on Kafka's clients, and the word count of Streams."""
    packages([(command("java"), "default-jdk-headless")])

    def build(where):
        jars(source("apps", "pom.xml"), where)
        step(["javac", "-Xlint:all", "-Werror", "-d", os.path.join(where, "classes"), "-cp", os.path.join(where, "lib", "*"), source("apps", "WordCount.java")])

    where = built("apps", build)
    return [*JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{where}/classes:{where}/lib/*"]


def registry():
    """The schema registry, a program in one jar that names the others."""
    packages([(command("java"), "default-jdk-headless"), (command("mvn"), "maven")])
    where = built("registry", lambda place: step(["mvn", "-q", "-B", "-f", source("registry", "pom.xml"), "dependency:unpack", f"-Dwhere={place}"],
                                                 fetches=True))
    return [*JVM, "-jar", *glob.glob(f"{where}/apicurio-registry-app-*-runner.jar")]


def go(client):
    def build(where):
        packages([(command("go"), "golang-go")])
        env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
        step(["go", "mod", "download"], fetches=True, cwd=source(client, ""), env=env)
        step(["go", "build", "-buildvcs=false", "-o", os.path.join(where, client), "."], cwd=source(client, ""), env=env)

    return lambda: [os.path.join(built(client, build, ("golib",)), client)]


def rust():
    def build(where):
        packages([(command("cargo"), "cargo-web"), (command("rustc"), "rustc-web"), (command("c++"), "g++"), (command("make"), "make")])
        # Kept over changes of the program beside it: librdkafka takes minutes to compile.
        target = os.path.join(os.path.dirname(where), "cargo-target")
        step(["cargo", "fetch", "--locked"], fetches=True, cwd=source("rust", ""))
        step(["cargo", "build", "--release", "--locked", "--offline"], cwd=source("rust", ""), env={"CARGO_TARGET_DIR": target})
        shutil.copy(os.path.join(target, "release", "conformance-rust"), where)

    return [os.path.join(built("rust", build), "conformance-rust")]


def kafkajs():
    packages([(command("node"), "nodejs")])

    def build(where):
        packages([(command("npm"), "npm")])
        for name in ("package.json", "package-lock.json", "client.js"):
            shutil.copy(source("kafkajs", name), where)
        step(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], fetches=True, cwd=where)

    return ["node", os.path.join(built("kafkajs", build), "client.js")]


CLIENTS = {
    "kcat": kcat,
    "confluent": python("confluent"),
    "java": java("java"),
    "java3": java("java3", ("java", "Client.java")),
    "franz": go("franz"),
    "sarama": go("sarama"),
    "segmentio": go("segmentio"),
    "kafkajs": kafkajs,
    "kafkapython": python("kafkapython"),
    "aiokafka": python("aiokafka"),
    "rust": rust,
}
OTHERS = {"tools": tools, "apps": apps, "registry": registry}
