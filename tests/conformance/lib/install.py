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
    r"|could not resolve|no such host|name resolution|ENOTFOUND|EAI_AGAIN|unknown host", re.IGNORECASE)


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


def place(client):
    """Where what belongs to the client in its present state goes, and whether it is complete there."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(glob.glob(os.path.join(HERE, "clients", client, "*"))):
        with open(path, "rb") as file:
            digest.update(os.path.basename(path).encode() + b"\0" + file.read())
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "taffrail", "conformance", f"{client}-{digest.hexdigest()[:12]}")


def built(client, build):
    """The client's place, after build(place) where it was not complete."""
    where = place(client)
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


def confluent():
    def has_venv():
        return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def build(where):
        packages([(has_venv, "python3-venv")])
        step([sys.executable, "-m", "venv", where])
        step([os.path.join(where, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "-r",
              source("confluent", "requirements.txt")], fetches=True)

    return [os.path.join(built("confluent", build), "bin", "python"), "-B", source("confluent", "client.py")]


def java():
    packages([(command("javac"), "default-jdk-headless")])

    def build(where):
        packages([(command("mvn"), "maven")])
        jars = os.path.join(where, "lib")
        step(["mvn", "-q", "-B", "-f", source("java", "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], fetches=True)
        sources = sorted(glob.glob(source("java", "*.java")))
        step(["javac", "-Xlint:all", "-Werror", "-d", os.path.join(where, "classes"), "-cp", os.path.join(jars, "*"), *sources])

    where = built("java", build)
    return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
            f"{where}/classes:{where}/lib/*", "Client"]


def franz():
    def build(where):
        packages([(command("go"), "golang-go")])
        env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
        step(["go", "mod", "download"], fetches=True, cwd=source("franz", ""), env=env)
        step(["go", "build", "-buildvcs=false", "-o", os.path.join(where, "franz"), "."], cwd=source("franz", ""), env=env)

    return [os.path.join(built("franz", build), "franz")]


def kafkajs():
    packages([(command("node"), "nodejs")])

    def build(where):
        packages([(command("npm"), "npm")])
        for name in ("package.json", "package-lock.json", "write.js"):
            shutil.copy(source("kafkajs", name), where)
        step(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], fetches=True, cwd=where)

    return ["node", os.path.join(built("kafkajs", build), "write.js")]


CLIENTS = {"kcat": kcat, "confluent": confluent, "java": java, "franz": franz, "kafkajs": kafkajs}
