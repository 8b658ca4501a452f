"""Running what others wrote, with an end to it."""

import os
import signal
import subprocess
import tempfile

TIMEOUT = 240


def program(command, stdin=None, timeout=TIMEOUT):
    """Standard output of a client's program; RuntimeError with what it said if it failed or hung."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        try:
            output, hung = child.communicate(timeout=timeout)[0], False
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if hung:
            output = child.communicate()[0]
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
        # Where in the client a Java exception came from tells little, and hides what it says.
        said = "\n".join(line for line in said.splitlines() if not line.startswith("\tat "))
    if hung or child.returncode != 0:
        status = f"no end within {timeout} s" if hung else f"exit status {child.returncode}"
        raise RuntimeError(f"{status}: {said[-1500:] or 'nothing said'}", output)
    return output


def attempt(body):
    """Why `body` did not work, or an empty string."""
    try:
        body()
        return ""
    except (RuntimeError, ValueError, OSError, subprocess.TimeoutExpired) as error:
        return str(error.args[0] if error.args else error)
