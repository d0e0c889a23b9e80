"""Watch one fleet of servers: a start, a quiet window, and a window with scrapes. Measure the cost of each."""

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
TIMEOUT = 30.0  # seconds until the fleet is up, and for a page


class Pings(NamedTuple):
    """Pings of the answering servers in a window, from the probe log. Times are p50, p99 and max in ms."""

    late: tuple[float, ...]  # from the due time of a PING until it was sent
    took: tuple[float, ...]
    skipped: int
    failed: int  # for any reason, including skipped


class Cost(NamedTuple):
    """The measurements of one fleet. Durations are in seconds, CPU is in seconds per second."""

    targets: int
    bad: int
    start: float  # until every good target has received a PING and an INFO
    start_cpu: float  # CPU seconds spent for it
    cpu: float
    rss: float  # MB
    server: dict[str, float]  # counters of the servers, per second
    connections: int
    samples: int
    pages: dict[str, tuple[float, int]]  # by encoding: median seconds, size
    waits: dict[str, float]  # longest wait for a small page: quiet, scraped
    pings: dict[str, Pings]  # starting, quiet, scraped


def measure(folder: Path, behind: int, count: int, bad: int, *, collectors: str, seconds: float) -> Cost:
    """Watch ``count`` servers: ``bad`` of them hang, and ``bad`` refuse. The rest reply like the server ``behind``."""
    folder.mkdir()
    with EchoServer(folder, count, behind=behind, hang=bad, refuse=bad) as servers:
        began = time.perf_counter()
        with _daemon(folder, servers, collectors) as program:
            _wait_until_up(servers, count - 2 * bad)
            start, start_cpu = time.perf_counter() - began, program.cpu()
            time.sleep(2)
            load.page(program.port, "", TIMEOUT)  # rendering everything for the first page is not measured
            measurement = _Measurement(program, servers)
            measurement.measure_quiet(seconds)
            measurement.measure_scrapes()
            time.sleep(2.5)  # the log is written a second late
            rss = program.rss()
        good = set(servers.ports[: count - 2 * bad])
        probes = [probe for probe in read_log(folder / LOG) if probe.port in good]
        return Cost(
            targets=count,
            bad=bad,
            start=start,
            start_cpu=start_cpu,
            cpu=measurement.cpu,
            rss=rss,
            server=measurement.server,
            connections=measurement.connections,
            samples=measurement.samples,
            pages=measurement.pages,
            waits=measurement.waits,
            pings={name: _pings(probes, *window) for name, window in measurement.windows.items()},
        )


def _daemon(folder: Path, servers: EchoServer, collectors: str) -> Program:
    targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(servers.urls)]
    config: dict[str, Any] = {"targets": targets, "probe_log": {"file": str(folder / LOG), "size": 1 << 30}}
    if collectors != "default":
        config["collectors"] = collectors.split(",")
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(checkout.PACKAGES)
    return Program(
        "redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", TIMEOUT, idle=True
    )


def _wait_until_up(servers: EchoServer, good: int) -> None:
    """Wait until the servers have received as many PINGs and INFOs as there are targets that answer."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        counters = servers.counters()
        if min(counters.get("PING", 0), counters.get("INFO", 0)) >= good:
            return
        if time.monotonic() > deadline:
            print(f"- not all of {good} targets were polled within {TIMEOUT:g} s: {counters}", file=sys.stderr)
            return
        time.sleep(0.05)


class _Measurement:
    """The measurements of a daemon that watches a fleet. Windows are in ns of CLOCK_REALTIME."""

    def __init__(self, program: Program, servers: EchoServer) -> None:
        self._program, self._servers = program, servers
        self.windows: dict[str, tuple[int, int]] = {"starting": (0, time.time_ns())}
        self.waits: dict[str, float] = {}

    def measure_quiet(self, seconds: float) -> None:
        """Measure the cost of polls and pings; then measure how long a small page takes."""
        began_ns = time.time_ns()
        before, cpu, began = Counter(self._servers.counters()), self._program.cpu(), time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - began
        self.cpu = (self._program.cpu() - cpu) / elapsed
        after = Counter(self._servers.counters())
        self.server = {name: (after[name] - before[name]) / elapsed for name in after}
        self.connections = after["open"]
        self.windows["quiet"] = (began_ns, time.time_ns())
        self.waits["quiet"] = load.longest_wait(self._program.port, threading.Timer(3, lambda: None), TIMEOUT)

    def measure_scrapes(self) -> None:
        """Fetch the page several times. Fetch a small page meanwhile, which shows whether the event loop is blocked."""
        began_ns = time.time_ns()
        times: dict[str, list[float]] = {"plain": [], "gzip": []}
        bodies = {"plain": b"", "gzip": b""}
        longest = 0.0
        for encoding in ("plain", "gzip") * SCRAPES:
            if math.inf in times["plain"] + times["gzip"]:
                break

            def scrape(encoding: str = encoding) -> None:
                headers = load.PROMETHEUS if encoding == "gzip" else ""
                seconds, bodies[encoding] = load.page(self._program.port, headers, TIMEOUT)
                times[encoding].append(seconds)

            longest = max(longest, load.longest_wait(self._program.port, threading.Thread(target=scrape), TIMEOUT))
            time.sleep(0.5)
        self.waits["scraped"] = longest
        self.windows["scraped"] = (began_ns, time.time_ns())
        self.samples = len(re.findall(rb"^[a-z]", bodies["plain"].partition(b"\r\n\r\n")[2], re.MULTILINE))
        self.pages = {name: (statistics.median(times[name] or [math.inf]), len(body)) for name, body in bodies.items()}


def _pings(probes: list[LoggedProbe], began: int, ended: int) -> Pings:
    """Return the figures of the probes that were due between two times in ns."""
    inside = [probe for probe in probes if began <= probe.due < ended]
    return Pings(
        cuts([(probe.sent - probe.due) / 1e6 for probe in inside if probe.sent]),
        cuts([probe.seconds * 1e3 for probe in inside if probe.outcome == "success"]),
        sum(probe.reason == "skipped" for probe in inside),
        sum(probe.outcome != "success" for probe in inside),
    )
