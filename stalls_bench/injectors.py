"""What makes a server stall. Each function makes one stall and returns when its cause is over.

``scale`` is a random factor for its length. A function that makes two stalls in a row returns when each took place.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stalls_bench.cable import Cable
from stalls_bench.processes import ROOT, end, may_raise, start
from stalls_bench.resp import Link, pack
from stalls_bench.server import SCRIPT, Server

#: Seconds that a stall usually takes. A ping a second then meets it.
USUAL = 1.2
#: Keys that expire in the same moment.
EXPIRING = 1_000_000
_LAST = "that was the last reply"


class Phase(NamedTuple):
    """What was done to the server, in Unix time."""

    cause: str
    began: float
    ended: float


class Subject(NamedTuple):
    """The server that stalls, and the cable to it if it has one."""

    server: Server
    cable: Cable | None = None


Inject = Callable[[Subject, float], list[Phase] | None]


def commands(*words: tuple[str | int, ...]) -> Inject:
    """Send commands at once on one connection, and wait for all replies."""

    def inject(subject: Subject, _: float) -> None:
        link = subject.server.link()
        link.socket.sendall(b"".join(pack(*command) for command in words) + pack("ECHO", _LAST))
        link.drain(_LAST.encode() + b"\r\n")
        link.close()

    return inject


def script(seconds: float = USUAL, *, as_function: bool = False) -> Inject:
    """Run a loop in a script or in a function."""

    def inject(subject: Subject, scale: float) -> None:
        turns = round(seconds * scale * subject.server.turns_per_second)
        words = ("FCALL", "spin", 0) if as_function else ("EVAL", SCRIPT, 0)
        subject.server.run(*words, turns)

    return inject


def flushall(subject: Subject, scale: float) -> None:
    """Delete all keys. Redis 8 does it in the background, except in a transaction."""
    flush: tuple[str | int, ...] = ("FLUSHALL", "SYNC")
    words = (("MULTI",), flush, ("EXEC",)) if subject.server.software == "redis8" else (flush,)
    commands(*words)(subject, scale)


def sleep(subject: Subject, scale: float) -> None:
    """Send DEBUG SLEEP."""
    subject.server.run("DEBUG", "SLEEP", f"{USUAL * scale:.3f}")


def pause(subject: Subject, scale: float) -> None:
    """Pause all clients."""
    seconds = USUAL * scale
    subject.server.run("CLIENT", "PAUSE", round(seconds * 1000), "ALL")
    time.sleep(seconds)


def stop(subject: Subject, scale: float) -> None:
    """Stop the process."""
    subject.server.stop()
    time.sleep(USUAL * scale)
    subject.server.go_on()


def stop_in_keys(subject: Subject, scale: float) -> None:
    """Stop the process inside a KEYS."""
    link = subject.server.link()
    link.send("KEYS", "*zzz")
    time.sleep(0.05)
    subject.server.stop()
    time.sleep(1.5 * scale)
    subject.server.go_on()
    link.read()
    link.close()


def starve(subject: Subject, scale: float) -> None:
    """Let the process run for a tenth of the time only."""
    duty(subject.server.pid, 2.0 * scale)


def duty(pid: int, seconds: float) -> None:
    """Stop a process for 270 of 300 ms, again and again."""
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.27)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.03)


def cpu_limit_folder() -> Path | None:
    """Return the folder for CPU limits of cgroups v1, or None without."""
    folder = Path("/sys/fs/cgroup/cpu")
    return folder if os.access(folder / "cgroup.procs", os.W_OK) else None


def limit(subject: Subject, scale: float) -> None:
    """Limit the process to 1 ms of CPU in 800 ms by a cgroup, as Kubernetes does with CPU limits."""
    top = cpu_limit_folder()
    assert top is not None
    group = top / f"stalls-{subject.server.pid}"
    group.mkdir(exist_ok=True)
    (group / "cpu.cfs_period_us").write_text("800000")
    (group / "cpu.cfs_quota_us").write_text("1000")
    (group / "cgroup.procs").write_text(str(subject.server.pid))
    time.sleep(2.0 * scale)
    (top / "cgroup.procs").write_text(str(subject.server.pid))
    group.rmdir()


def fork(subject: Subject, scale: float) -> None:
    """Let the fork of BGSAVE take long."""
    _slow_fork(subject.server, 0.9 * scale)
    _wait_for_child(subject.server)


def _slow_fork(server: Server, seconds: float) -> None:
    server.slow("fork", round(seconds * 1000))
    server.run("BGSAVE")
    server.slow("fork", 0)


def _wait_for_child(server: Server) -> None:
    while "rdb_bgsave_in_progress:1" in server.run("INFO", "persistence").decode():
        time.sleep(0.05)


def fsync_always(subject: Subject, scale: float) -> None:
    """Let one fsync take long."""
    seconds = 1.1 * scale
    subject.server.slow("fsync", round(seconds * 1000))
    time.sleep(0.2)
    subject.server.slow("fsync", 0)
    time.sleep(seconds)


def fsync_everysec(subject: Subject, _: float) -> None:
    """Let an fsync in the background take long: after 2 s the server writes, and that write waits for it."""
    subject.server.slow("fsync", 3500)
    time.sleep(1.2)
    subject.server.slow("fsync", 0)
    time.sleep(3.5)


def restart(subject: Subject, scale: float) -> None:
    """Stop the process, kill it, and start it without data: clients wait, and lose their connection."""
    subject.server.stop()
    time.sleep(USUAL * scale)
    subject.server.kill()
    time.sleep(0.2)
    subject.server.start()
    subject.server.calibrate()


def load_data(subject: Subject, _: float) -> None:
    """Kill the server and start it with data that load slowly."""
    server = subject.server
    server.kill()
    server.start(key_load_delay="30", loading_process_events_interval_bytes="1024")
    while "loading:1" in server.run("INFO", "persistence").decode():
        time.sleep(0.05)
    server.set(key_load_delay=0)
    (server.folder / "dump.rdb").unlink()


def lazy_expire(subject: Subject, _: float) -> None:
    """Read a huge key that has expired."""
    link = subject.server.link()
    link.run("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    link.run("PEXPIRE", "big", 1)
    time.sleep(0.01)
    link.run("GET", "big")
    link.run("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    link.close()


def expire_now(subject: Subject, _: float) -> None:
    """Let the huge key in database 2 expire."""
    server = subject.server
    began = time.monotonic()
    link = server.link()
    link.run("SELECT", 2)
    link.run("PEXPIRE", "apart", 1)
    while link.run("DBSIZE") and time.monotonic() < began + 8:
        time.sleep(0.05)
    link.close()


def expire_many(subject: Subject, _: float) -> None:
    """Let a million small keys of database 2 expire in the same moment."""
    link = subject.server.link()
    link.run("SELECT", 2)
    moment = int(time.time() * 1000) + 4500
    text = "for i=ARGV[1],ARGV[1]+1999 do redis.call('PEXPIREAT','m:'..i,ARGV[2]) end"
    sha = link.run("SCRIPT", "LOAD", text).decode()
    for first in range(0, EXPIRING, 2000):
        link.run("EVALSHA", sha, 0, first, moment)
    deadline = time.monotonic() + 15
    while link.run("DBSIZE") and time.monotonic() < deadline:
        time.sleep(0.05)
    link.close()


def evict(to: float, policy: str) -> Inject:
    """Lower ``maxmemory`` to this share of what is used (0: 5 MB below)."""

    def inject(subject: Subject, _: float) -> None:
        server = subject.server
        used = int(server.info("memory")["used_memory"])
        server.set(maxmemory_policy=policy)
        server.set(maxmemory=round(used * to) if to else used - 5_000_000)
        time.sleep(1.5)
        server.set(maxmemory=0)

    return inject


def flood(subject: Subject, scale: float) -> None:
    """Send cheap commands on many connections."""
    server = subject.server
    process = start(
        [sys.executable, "-m", "stalls_bench.load", server.sock, "--flood", f"{1.8 * scale:.2f}"],
        server.folder / "flood.log",
        cwd=ROOT,
        priority="high" if may_raise() else "",
    )
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        end(process)
    server.run("PING")


def _cable(subject: Subject) -> Cable:
    assert subject.cable is not None, "this kind needs a cable"
    return subject.cable


def unplug(side: str) -> Inject:
    """Take a link down and up again."""

    def inject(subject: Subject, scale: float) -> None:
        _cable(subject).unplug(side)
        time.sleep(1.5 * scale)
        _cable(subject).plug(side)

    return inject


def disturb(seconds: float, delay: float = 0.0, loss: float = 0.0) -> Inject:
    """Delay or lose frames."""

    def inject(subject: Subject, scale: float) -> None:
        _cable(subject).set(delay, loss)
        time.sleep(seconds * scale)
        _cable(subject).repair()

    return inject


# Two in a row. Both delay the same clients, and the longer one in a wait is its main cause.


def _moment(link: Link) -> float:
    """Read the reply of TIME, in Unix time. Replies of a pipeline arrive together, so our own clock is no help."""
    seconds, microseconds = link.read()
    return int(seconds) + int(microseconds) / 1e6


def stop_then_script(subject: Subject, scale: float) -> list[Phase]:
    """Stop the process; a script follows at once."""
    server, link = subject.server, subject.server.link()
    began = time.time()
    server.stop()
    link.send("EVAL", SCRIPT, 0, round(0.4 * server.turns_per_second))
    time.sleep(1.1 * scale)
    server.go_on()
    middle = time.time()
    link.read()
    link.close()
    return [Phase("not_running", began, middle), Phase("script", middle, time.time())]


def script_then_pause(subject: Subject, scale: float) -> list[Phase]:
    """Run a short script, then pause all clients."""
    server, link = subject.server, subject.server.link()
    seconds = 0.9 * scale
    began = time.time()
    link.send("EVAL", SCRIPT, 0, round(0.4 * server.turns_per_second))
    link.send("TIME")
    link.send("CLIENT", "PAUSE", round(seconds * 1000), "ALL")
    link.read()
    middle = _moment(link)
    link.read()
    time.sleep(seconds)
    link.close()
    return [Phase("script", began, middle), Phase("paused", middle, time.time())]


def fork_then_script(subject: Subject, scale: float) -> list[Phase]:
    """Let a fork take long, then run a script."""
    server, link = subject.server, subject.server.link()
    server.slow("fork", 400)
    began = time.time()
    link.send("BGSAVE")
    link.send("TIME")
    link.send("EVAL", SCRIPT, 0, round(1.0 * scale * server.turns_per_second))
    link.read()
    middle = _moment(link)
    link.read()
    ended = time.time()
    server.slow("fork", 0)
    link.close()
    _wait_for_child(server)
    return [Phase("fork", began, middle), Phase("script", middle, ended)]


def keys_then_script(subject: Subject, scale: float) -> list[Phase]:
    """Send KEYS, then a script that takes longer."""
    server, link = subject.server, subject.server.link()
    began = time.time()
    link.send("KEYS", "*zzz")
    link.send("TIME")
    link.send("EVAL", SCRIPT, 0, round(1.0 * scale * server.turns_per_second))
    link.read()
    middle = _moment(link)
    link.read()
    ended = time.time()
    link.close()
    return [Phase("command", began, middle), Phase("script", middle, ended)]


def script_then_fsync(subject: Subject, scale: float) -> list[Phase]:
    """Run a short script that writes, and let its fsync take long (``appendfsync always``)."""
    server, link = subject.server, subject.server.link()
    seconds = 1.1 * scale
    writing = SCRIPT.replace("return 1", "return redis.call('SET',KEYS[1],x)")
    began = time.time()
    link.send("EVAL", writing, 1, "w:1", round(0.35 * server.turns_per_second))
    time.sleep(0.1)
    server.slow("fsync", round(seconds * 1000))
    time.sleep(0.65)  # the script is over by then, and its fsync is not
    server.slow("fsync", 0)
    link.read()
    ended = time.time()
    link.close()
    middle = max(began, ended - seconds)
    return [Phase("script", began, middle), Phase("disk", middle, ended)]
