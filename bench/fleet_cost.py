"""One fleet of servers, watched: a start, a quiet window, a window with scrapes; what each cost."""

import math
import os
import re
import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import checkout
import load
import yaml
from process import Program
from quantiles import cuts

from tests.integration.echo import EchoServer
from tests.integration.probe_log import LoggedProbe, read_log

SCRAPES = 4  # of each encoding
LOG = "probe.csv"
PATIENCE = 30.0  # seconds for the fleet to be up, and for a page


class Pings(NamedTuple):
    """What the probe log says of the servers that answer, in a window; p50, p99 and max, ms."""

    late: tuple[float, ...]  # from the moment that a PING was due until it was sent
    took: tuple[float, ...]
    skipped: int
    failed: int  # for any reason, skipped among them


class Cost(NamedTuple):
    """What was seen of one fleet; durations in seconds, CPU in seconds a second."""

    targets: int
    bad: int
    start: float  # until every good target was asked for a PING and an INFO
    start_cpu: float  # CPU seconds spent for it
    cpu: float
    rss: float  # MB
    server: dict[str, float]  # counters of the servers, a second
    connections: int
    samples: int
    pages: dict[str, tuple[float, int]]  # by encoding: median seconds, size
    waits: dict[str, float]  # longest wait for a small page: quiet, scraped
    pings: dict[str, Pings]  # starting, quiet, scraped


def measure(folder: Path, behind: int, count: int, bad: int, *, collectors: str, seconds: float) -> Cost:
    """Watch ``count`` servers, of which ``bad`` hang and as many refuse; the rest answer as the one at ``behind``."""
    folder.mkdir()
    with EchoServer(folder, count, behind=behind, hang=bad, refuse=bad) as servers:
        began = time.perf_counter()
        with _daemon(folder, servers, collectors) as program:
            _wait_until_up(servers, count - 2 * bad)
            start, start_cpu = time.perf_counter() - began, program.cpu()
            time.sleep(2)
            load.page(program.port, "", PATIENCE)  # renders what was never rendered
            seen = _Watched(program, servers)
            seen.be_quiet(seconds)
            seen.be_scraped()
            time.sleep(2.5)  # the log comes a second late
            rss = program.rss()
        good = set(servers.ports[: count - 2 * bad])
        slots = [slot for slot in read_log(folder / LOG) if slot.port in good]
        return Cost(
            count, bad, start, start_cpu, seen.cpu, rss, seen.server, seen.connections, seen.samples, seen.pages,
            seen.waits, {name: _pings(slots, *window) for name, window in seen.windows.items()},
        )  # fmt: skip


def _daemon(folder: Path, servers: EchoServer, collectors: str) -> Program:
    targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(servers.urls)]
    config: dict[str, Any] = {"targets": targets, "probe_log": {"file": str(folder / LOG), "size": 1 << 30}}
    if collectors != "default":
        config["collectors"] = collectors.split(",")
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(checkout.ROOT)
    return Program(
        "redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", PATIENCE, idle=True
    )


def _wait_until_up(servers: EchoServer, good: int) -> None:
    """Wait until as many PINGs and INFOs were asked as there are targets that answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        counters = servers.counters()
        if min(counters.get("PING", 0), counters.get("INFO", 0)) >= good:
            return
        if time.monotonic() > deadline:
            print(f"- not all of {good} targets were polled within {PATIENCE:g} s: {counters}", file=sys.stderr)
            return
        time.sleep(0.05)


class _Watched:
    """A daemon that watches a fleet, and what was seen of it so far; windows are in ns of CLOCK_REALTIME."""

    def __init__(self, program: Program, servers: EchoServer) -> None:
        self._program, self._servers = program, servers
        self.windows: dict[str, tuple[int, int]] = {"starting": (0, time.time_ns())}
        self.waits: dict[str, float] = {}

    def be_quiet(self, seconds: float) -> None:
        """Let it poll and ping, and count what that costs; then see how long a small page waits."""
        began_ns = time.time_ns()
        before, cpu, began = Counter(self._servers.counters()), self._program.cpu(), time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - began
        self.cpu = (self._program.cpu() - cpu) / elapsed
        after = Counter(self._servers.counters())
        self.server = {name: (after[name] - before[name]) / elapsed for name in after}
        self.connections = after["open"]
        self.windows["quiet"] = (began_ns, time.time_ns())
        self.waits["quiet"] = load.longest_wait(self._program.port, threading.Timer(3, lambda: None), PATIENCE)

    def be_scraped(self) -> None:
        """Fetch its page, each time beside a small page that tells whether the loop is blocked."""
        began_ns = time.time_ns()
        times: dict[str, list[float]] = {"plain": [], "gzip": []}
        bodies = {"plain": b"", "gzip": b""}
        longest = 0.0
        for encoding in ("plain", "gzip") * SCRAPES:
            if math.inf in times["plain"] + times["gzip"]:
                break

            def scrape(encoding: str = encoding) -> None:
                headers = load.PROMETHEUS if encoding == "gzip" else ""
                seconds, bodies[encoding] = load.page(self._program.port, headers, PATIENCE)
                times[encoding].append(seconds)

            longest = max(longest, load.longest_wait(self._program.port, threading.Thread(target=scrape), PATIENCE))
            time.sleep(0.5)
        self.waits["scraped"] = longest
        self.windows["scraped"] = (began_ns, time.time_ns())
        self.samples = len(re.findall(rb"^[a-z]", bodies["plain"].partition(b"\r\n\r\n")[2], re.MULTILINE))
        self.pages = {name: (statistics.median(times[name] or [math.inf]), len(body)) for name, body in bodies.items()}


def _pings(slots: list[LoggedProbe], began: int, ended: int) -> Pings:
    """Sum up the slots that were due between two moments, ns."""
    inside = [slot for slot in slots if began <= slot.due < ended]
    return Pings(
        cuts([(slot.sent - slot.due) / 1e6 for slot in inside if slot.sent]),
        cuts([slot.seconds * 1e3 for slot in inside if slot.outcome == "success"]),
        sum(slot.reason == "skipped" for slot in inside),
        sum(slot.outcome != "success" for slot in inside),
    )
