"""Child processes that end with their parent, their priority, and ports for them."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: With this variable of the environment, no process gets a higher priority.
USUAL_PRIORITY = "STALLS_USUAL_PRIORITY"
_FIRST_PORT, _LAST_PORT = 12000, 22000
_offset = os.getpid() * 61 % (_LAST_PORT - _FIRST_PORT)
_ports = (_FIRST_PORT + (_offset + number) % (_LAST_PORT - _FIRST_PORT) for number in itertools.count())


def free_port() -> int:
    """Return a free port of 127.0.0.1. It never returns a port twice."""
    for port in itertools.islice(_ports, _LAST_PORT - _FIRST_PORT):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


@cache
def may_raise() -> bool:
    """Return whether this user may raise the priority of a process, so that other work does not disturb the run."""
    if os.environ.get(USUAL_PRIORITY) or shutil.which("chrt") is None:
        return False
    return subprocess.run(["chrt", "-r", "1", "true"], capture_output=True, check=False).returncode == 0


def start(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    priority: str = "",
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own. Its output goes to ``log``.

    ``priority`` is ``real time`` for a process that rarely runs, ``high`` for one that may fill a core, or empty.
    """
    setpriv = shutil.which("setpriv")
    words = [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *command]
    if priority == "real time":
        words = ["chrt", "-r", "1", *words]
    with log.open("ab") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, start_new_session=True
        )
    if priority == "high":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, -19)
        # The scheduler groups processes by session. Then only the priority of the group counts.
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/autogroup").write_text("-19")
    return process


def end(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a process, also a stopped one."""
    if process is not None:
        process.kill()
        process.wait()
