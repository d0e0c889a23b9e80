"""Watch one fleet of servers: a start, and windows without and with scrapes. Measure the cost of each."""

import csv
import json
import math
import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import load
import trustme
import yaml
from fleet_load import MemoryWatch, Scrapers, SmallPage, ages, count_samples, forget_peak, resident, waited
from process import Program, cpu_of
from quantiles import cuts

from tests.integration.echo import EchoServer

LOG, TARGETS = "probe.csv", "targets.json"
TIMEOUT = 30.0  # seconds until the fleet is up, and for a page
HEALTHY = "/-/healthy"
#: Other small pages, each measured in a window of its own. The largest of them take too long to be requested often.
PAGES = {"/-/ready": 0.01, "/redis/ping?target=t0": 0.01, "/health": 0.2, "/": 0.2}
#: Seconds of the longest of these windows, and of the one with plain pages.
PAGE_SECONDS, PLAIN_SECONDS = 8.0, 15.0
#: Share of the targets that others replace at each churn.
CHURN = 0.01
#: Share of a window for which the daemon may wait for a core. Beyond it, how late something was says nothing about it.
MAX_WAITING = 0.15
QUIET, GZIP, PLAIN, SMALL = "quiet", "gzip", "plain", "small"
WINDOWS = (QUIET, GZIP, PLAIN, SMALL)


class Plan(NamedTuple):
    """How to measure a fleet. Durations are in seconds."""

    targets: int
    bad: int
    packages: Path  # the folder with the package to measure
    collectors: str
    seconds: float
    long: float  # of the window with gzip pages
    scrapers: int
    every: float
    tls: float
    churn: float
    still: bool
    probe_log: bool
    settings: dict[str, Any]
    windows: tuple[str, ...]


@dataclass
class Window:
    """A period, and what it cost. Memory is in MB, times of pings and pages in ms, shares are of one core.

    A window that was left out has no numbers.
    """

    seconds: float = 0.0
    cpu: float = math.nan
    loop_cpu: float = math.nan  # of the thread with the event loop
    waiting: float = math.nan
    server_cpu: float = math.nan
    rss: float = math.nan
    peak: float = math.nan
    memory: list[float] = field(default_factory=list)
    server: dict[str, float] = field(default_factory=dict)  # counters of the servers, a second
    connections: int = 0
    longest: float = math.nan  # wait for the small page
    page: list[float] = field(default_factory=list)  # median and longest, and MB
    late: list[float] = field(default_factory=list)  # from the due time of a PING until it was sent: p50, p99, max
    took: list[float] = field(default_factory=list)
    skipped: int = 0
    failed: int = 0  # for any reason, including skipped


def measure(folder: Path, behind: int, plan: Plan) -> dict[str, Any]:
    """Watch a fleet whose servers reply like the server ``behind``. Return the measurements, ready for JSON."""
    folder.mkdir()
    good = plan.targets - 2 * plan.bad
    spare = max(1, round(plan.targets * CHURN)) * 5 if plan.churn else 0
    options: dict[str, Any] = {"hang": plan.bad, "refuse": plan.bad, "behind" if plan.still else "changing": behind}
    secure = round(good * plan.tls)
    if secure:
        options |= {"tls": secure, "certificate": _certificate(folder)}
    with EchoServer(folder, plan.targets + spare, **options) as servers:
        began = time.perf_counter()
        urls = [url.replace("redis", "rediss") if number < secure else url for number, url in enumerate(servers.urls)]
        with _daemon(folder, urls, plan) as program:
            wait_until_up(servers, good)
            start, start_cpu = time.perf_counter() - began, program.cpu()
            time.sleep(2)
            load.page(program.port, load.PROMETHEUS, TIMEOUT)  # rendering everything for the first page is not measured
            time.sleep(1)
            measurement = _Measurement(folder, program, servers, urls, plan)
            missing = ""
            try:
                measurement.measure()
            except (OSError, SystemExit) as error:  # what was measured until then is still worth something
                missing = repr(error)
                print(f"- {plan.targets} targets: the measurement ended early: {missing}", file=sys.stderr)
            time.sleep(2.5)  # the log is written a second late
        measurement.evaluate()
        if plan.probe_log:
            _add_pings(folder / LOG, set(servers.ports[:good]), measurement.periods, measurement.windows)
        return {
            "targets": plan.targets,
            "bad": plan.bad,
            "missing": missing,
            "start": start,
            "start_cpu": start_cpu,
            "windows": {name: vars(window) for name, window in measurement.windows.items()},
            "samples": measurement.samples,
            "age": measurement.age,
            "pages": measurement.pages,
            "holds": measurement.holds,
        }


def _certificate(folder: Path) -> Path:
    """Write a certificate with its key, and the authority that the daemon trusts."""
    authority, file = trustme.CA(), folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return file


def _daemon(folder: Path, urls: list[str], plan: Plan) -> Program:
    config: dict[str, Any] = dict(plan.settings)
    if plan.probe_log:
        config["probe_log"] = {"file": str(folder / LOG), "size": 1 << 30}
    if plan.collectors != "default":
        names = plan.collectors.split(",")
        config["collectors"] = names[0] if names == ["lean"] else names
    if plan.tls:
        config["tls"] = {"ca_file": str(folder / "ca.pem")}
    if plan.churn:
        write_targets(folder / TARGETS, urls, plan.targets, 0)
        config["discovery"] = {"files": [{"path": str(folder / TARGETS), "interval": "1s"}]}
    else:
        config["targets"] = [{"name": f"t{number}", "url": url} for number, url in enumerate(urls)]
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(plan.packages)
    return Program(
        "redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", TIMEOUT, idle=True
    )


def write_targets(file: Path, urls: list[str], count: int, turn: int) -> None:
    """Write ``count`` targets into a file for the discovery. With each turn, a few of them are others.

    The first half never changes. t0 is among it, and is requested by its name.
    """
    stay, step = count // 2, max(1, round(count * CHURN))
    moving = list(range(stay, len(urls)))
    first = turn * step % len(moving)
    chosen = [*range(stay), *(moving[first:] + moving[:first])[: count - stay]]
    groups = [{"targets": [urls[number]], "labels": {"__name": f"t{number}"}} for number in chosen]
    new = file.with_suffix(".new")
    new.write_text(json.dumps(groups))
    new.rename(file)


def wait_until_up(servers: EchoServer, good: int) -> None:
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
    """The measurements of a daemon that watches a fleet. Periods are in ns of CLOCK_REALTIME."""

    def __init__(self, folder: Path, program: Program, servers: EchoServer, urls: list[str], plan: Plan) -> None:
        self._folder, self._program, self._servers, self._urls, self._plan = folder, program, servers, urls, plan
        self.windows: dict[str, Window] = {name: Window() for name in ("starting", QUIET, GZIP, PLAIN)}
        self.periods: dict[str, tuple[int, int]] = {"starting": (0, time.time_ns())}
        self._pages: list[tuple[float, bytes]] = []
        self.samples: list[float] = []
        self.age: list[float] = []
        self.pages: dict[str, float] = {}
        self.holds: dict[str, float] = {}

    def measure(self) -> None:
        """Measure one window after the other: quiet, gzip, plain, and one for each other small page."""
        plan, port = self._plan, self._program.port
        if QUIET in plan.windows:
            with self._window(QUIET):
                time.sleep(plan.seconds)
            small = SmallPage(port, HEALTHY, TIMEOUT)
            with small.requested():
                time.sleep(3)
            self.windows[QUIET].longest = small.longest
        if GZIP in plan.windows:
            self._pages = self._scraped(GZIP, load.PROMETHEUS, plan.long).pages
        if PLAIN in plan.windows:
            self._scraped(PLAIN, "", min(plan.seconds, PLAIN_SECONDS))
        for path, pause in PAGES.items() if SMALL in plan.windows else ():
            self._small_page(path, pause)

    def evaluate(self) -> None:
        """Read the pages, when the daemon has ended: that takes seconds of a core."""
        if self._pages:
            self.samples = list(count_samples(self._pages[-1][1], self._plan.targets))
            self.age = list(cuts(ages(self._pages)))

    def _scraped(self, name: str, headers: str, seconds: float) -> Scrapers:
        """Measure a window with scrapes, and the small page meanwhile."""
        plan, port = self._plan, self._program.port
        scrapers = Scrapers(port, plan.scrapers, plan.every, headers, TIMEOUT)
        load.page(port, headers, TIMEOUT)  # the first page of its kind renders more than the others
        time.sleep(1)
        small, memory = SmallPage(port, HEALTHY, TIMEOUT), MemoryWatch(self._program.pid)
        with self._window(name), small.requested(), memory.watched(), self._churn():
            scrapers.run(seconds)
        window = self.windows[name]
        window.longest = small.longest
        window.memory = memory.megabytes
        times = scrapers.seconds or [math.inf]
        window.page = [statistics.median(times) * 1e3, max(times) * 1e3, scrapers.size / 1e6]
        return scrapers

    def _small_page(self, path: str, pause: float) -> None:
        """Request a page beside scrapes. Then beside another small page, which shows how long it holds the loop."""
        plan, port = self._plan, self._program.port
        seconds = min(plan.seconds, PAGE_SECONDS)
        page = SmallPage(port, path, TIMEOUT, pause)
        with page.requested():
            Scrapers(port, plan.scrapers, plan.every, load.PROMETHEUS, TIMEOUT).run(seconds)
        self.pages[path] = page.longest
        if pause > 0.1:
            time.sleep(1)
            small = SmallPage(port, HEALTHY, TIMEOUT, 0.002)
            with SmallPage(port, path, TIMEOUT, pause).requested(), small.requested():
                time.sleep(seconds / 2)
            self.holds[path] = small.longest

    @contextmanager
    def _window(self, name: str) -> Iterator[None]:
        """Measure what the block costs."""
        program, servers, pid = self._program, self._servers, self._program.pid
        forget_peak(pid)
        before, waits = Counter(servers.counters()), waited(pid)
        cpu, loop_cpu, server_cpu = program.cpu(), _thread_cpu(pid), cpu_of(servers.pid)
        began, began_ns = time.perf_counter(), time.time_ns()
        yield
        elapsed = time.perf_counter() - began
        memory, after = resident(pid), Counter(servers.counters())
        self.periods[name] = began_ns, time.time_ns()
        self.windows[name] = Window(
            seconds=elapsed,
            cpu=(program.cpu() - cpu) / elapsed,
            loop_cpu=(_thread_cpu(pid) - loop_cpu) / elapsed,
            waiting=sum(now - waits.get(thread, 0.0) for thread, now in waited(pid).items()) / elapsed,
            server_cpu=(cpu_of(servers.pid) - server_cpu) / elapsed,
            rss=memory["VmRSS"],
            peak=memory["VmHWM"],
            server={key: (after[key] - before[key]) / elapsed for key in after},
            connections=after["open"],
        )

    @contextmanager
    def _churn(self) -> Iterator[None]:
        """Replace some targets again and again until the block ends, if that is wanted."""
        is_over = threading.Event()

        def replace() -> None:
            turn = 0
            while not is_over.wait(self._plan.churn):
                turn += 1
                write_targets(self._folder / TARGETS, self._urls, self._plan.targets, turn)

        thread = threading.Thread(target=replace if self._plan.churn else is_over.wait)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def _thread_cpu(pid: int) -> float:
    """Return the CPU seconds of the first thread of a process."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _add_pings(file: Path, ports: set[int], periods: dict[str, tuple[int, int]], windows: dict[str, Window]) -> None:
    """Add the figures of the probe log to each window, for these ports. An hour has millions of lines."""
    late: dict[str, list[float]] = {name: [] for name in windows}
    took: dict[str, list[float]] = {name: [] for name in windows}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if not row["reason"] and row["outcome"] is None:
                continue  # the line is incomplete
            if int(row["port"]) not in ports or (name := _period(int(row["due_ns"]), periods)) is None:
                continue
            if row["sent_ns"]:
                late[name].append((int(row["sent_ns"]) - int(row["due_ns"])) / 1e6)
            if row["outcome"] == "success":
                took[name].append((int(row["received_ns"]) - int(row["sent_ns"])) / 1e6)
            else:
                windows[name].failed += 1
                windows[name].skipped += row["reason"] == "skipped"
    for name, window in windows.items():
        window.late, window.took = (
            list(cuts(values)) if len(values) > 1 else [] for values in (late[name], took[name])
        )


def _period(moment: int, periods: dict[str, tuple[int, int]]) -> str | None:
    """Return the period that contains this moment, or None."""
    return next((name for name, (began, ended) in periods.items() if began <= moment < ended), None)
