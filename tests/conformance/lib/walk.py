"""How the Python clients' `admin` goes: steps by name, each tried until it holds, for other brokers hear of a change a moment later."""

import sys
import time

SOON = 20


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def soon(body):
    """`body()` once it raises nothing any more."""
    end = time.monotonic() + SOON
    while True:
        try:
            return body()
        except Exception:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def walk(steps):
    """Runs (name, body) pairs and prints what became of each; exit status 1 if one failed."""
    failed = False
    for name, body in steps:
        try:
            body()
            print("passed", name, flush=True)
        except Exception as error:
            failed = True
            print(f"failed {name}: {error!r}".replace("\n", " "), flush=True)
    sys.exit(1 if failed else 0)
