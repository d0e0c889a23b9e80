"""One episode: a seed, a number of virtual hours, and the result. It runs once in a process.

``python -m simulate.episode SEED HOURS`` prints the result as one line of JSON. ``--log`` prints the log too.
"""

import argparse
import asyncio
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from simulate import standard_library
from simulate.clock import START, VirtualClock
from simulate.loop import VirtualLoop
from simulate.network import Network
from simulate.sockets import Descriptors, SocketConnector, VirtualSocket

#: Seconds until all targets are connected.
BOOT_SECONDS = 60.0
#: Seconds within which the faults of a burst begin.
SPREAD = 30.0
#: Seconds after the last fault. Samples of servers that are down expire within 60 s.
SETTLE_SECONDS = 80.0
SCRAPE_INTERVAL = 15.0
#: The share of the faults that stay until the end of the next burst, of those that may.
STAY_RATIO = 0.25
#: Seconds that SIGTERM may take.
STOP_SECONDS = 5.0
#: Every so many seeds have no faults, and in every so many the shipped alerts are evaluated.
QUIET_EVERY, ALERTS_EVERY = 20, 5
#: Violations of one rule that are kept.
MAX_VIOLATIONS = 20


class NoNumbers:
    """Takes the place of a collector that reads the real process."""

    def __init__(self, registry: object = None) -> None:
        """Register nothing."""

    def collect(self) -> tuple[()]:
        """Return no metric."""
        return ()


class LogSink:
    """Takes the place of the thread that writes the log, and of standard error."""

    def __init__(self, now: Callable[[], float]) -> None:
        from chaos.daemon import LogLine, parse_log_line

        self._now, self._parse = now, parse_log_line
        self.lines: list[LogLine] = []
        self.times: list[float] = []
        self.digest = hashlib.sha256()
        self.folder = ""

    def write(self, *words: Any) -> int:
        """Take a line: of the log, with its stream, or of standard error."""
        for text in str(words[-1]).splitlines():
            clean = text.replace(self.folder, "FOLDER") if self.folder else text
            self.times.append(self._now())
            self.lines.append(self._parse(clean))
            self.digest.update(clean.encode())
        return len(str(words[-1]))

    def flush(self) -> None:
        """Do nothing."""

    def stop(self, _within: float) -> None:
        """Do nothing: every line has been taken."""


class Episode:
    """Builds the world, runs the daemon's main program in it, and collects the result."""

    def __init__(self, seed: int, hours: float, folder: Path) -> None:
        self.seed, self.hours, self.folder = seed, hours, folder
        #: without faults, no alert at all may fire; otherwise none for a target without a fault
        self.has_faults = seed % QUIET_EVERY != 0
        self.has_alerts = seed % ALERTS_EVERY == 0
        self._touched: set[str] = set()
        self.random = random.Random(f"redis-pulse simulation {seed}")
        self.clock = VirtualClock()
        self.loop = VirtualLoop(self.clock)
        self.network = Network(self.loop, self.random)
        VirtualSocket.network, VirtualSocket.descriptors = self.network, Descriptors()
        self.loop.connector = SocketConnector(self.network, VirtualSocket.descriptors)
        self.machine = standard_library.Machine(self.clock, self.loop, random.Random(f"daemon {seed}"))
        standard_library.install(self.machine)
        self.violations: list[dict[str, Any]] = []
        #: the alerts that fired, and may fire because of a fault
        self.alerts: set[str] = set()
        self.faults: Counter[str] = Counter()
        self.history: list[str] = []
        self.pages = 0
        self.page_digest = hashlib.sha256()
        self._staying: list[tuple[Any, tuple[str, ...]]] = []

    def run(self) -> dict[str, Any]:
        """Run to the end, and return the result."""
        started = standard_library.process_cpu_seconds()
        setattr(asyncio.events, "new_event_loop", lambda: self.loop)  # noqa: B010  # asyncio.run calls it
        from redis_pulse import cli, log
        from redis_pulse.daemon import lifecycle
        from redis_pulse.telemetry import exporter_metrics
        from simulate.alerts import RuleSeries
        from simulate.breakers import observe
        from simulate.checks import Checker
        from simulate.world import World

        self.series = RuleSeries()
        self.log = sink = LogSink(self.loop.time)
        sink.folder = str(self.folder)
        setattr(log, "LogWriter", lambda _on_dropped: sink)  # noqa: B010  # it would start a thread
        setattr(lifecycle, "find_trim", lambda: None)  # noqa: B010  # real memory would decide when it runs
        # Numbers of the real process differ in length. So the parts of a page would end at other places in a replay.
        for name in ("ProcessCollector", "ProcessLimitsAndNetwork", "GCCollector"):
            setattr(exporter_metrics, name, NoNumbers)
        sys.stderr = sink
        try:
            self.world = World(self.machine, self.network, self.random, self.folder)
            self.checker = Checker(self.world, self.network, sink.lines, self.report)
            self.checker.measures_memory = not self.has_alerts
            self.checker.is_quiet = not self.has_faults
            count_breakers = observe(lambda text: self.report("breaker", text), self.loop.time)
            self.loop.set_exception_handler(self._report_exception)
            self._start(self._scenario())
            self.loop.call_later(SCRAPE_INTERVAL, self._scrape)
            code = cli.main(["--config", str(self.world.config), "--listen", ":9121"])
            self._check_end(code)
            self._check_alerts()
        finally:
            sys.stderr = sys.__stderr__
        cpu = standard_library.process_cpu_seconds() - started
        hours = (self.clock.now - START) / 3600
        return {
            "seed": self.seed,
            "target_hours": round(hours * len(self.world.expected_targets()), 3),
            "cpu_seconds": round(cpu, 2),
            "faults": dict(self.faults),
            "checks": self.checker.checks,
            "breaker_changes": count_breakers(),
            "pages": self.pages,
            "violations": self.violations,
            "digest": hashlib.sha256(sink.digest.digest() + self.page_digest.digest()).hexdigest(),
            "log_lines": len(sink.lines),
            "alerts": sorted(self.alerts),
            "logins": self.world.lease.logins,
            "cut_connections": self.world.lease.cuts,
        }

    def report(self, rule: str, text: str) -> None:
        """Record a violation with its virtual time."""
        if sum(one["rule"] == rule for one in self.violations) < MAX_VIOLATIONS:
            self.violations.append({"rule": rule, "text": text, "at": round(self.loop.time() - START, 3)})

    def _report_exception(self, _loop: Any, context: dict[str, Any]) -> None:
        self.report("exception", f"{context.get('message')}: {context.get('exception')!r}")

    def _scrape(self) -> None:
        """Scrape as Prometheus does."""
        self.loop.call_later(SCRAPE_INTERVAL, self._scrape)
        self._request("/metrics", self._take_page)

    def _take_page(self, text: str | None) -> None:
        if self.has_alerts:
            self.series.add(text)
        if text is None and not self.world.may_skip and not self._is_stopping:
            self.report("pages", "a scrape failed")

    def _request(self, path: str, done: Callable[[str | None], None]) -> None:
        from simulate.scraper import PageRequest

        def take(status: int, body: bytes) -> None:
            self.pages += status == 200
            if status == 200:
                folder = str(self.folder).encode()
                self.page_digest.update(body.replace(folder, b"FOLDER"))
            done(body.decode() if status == 200 else None)

        PageRequest(self.network, "10.2.0.1", path, take)

    _is_stopping = False

    def _start(self, steps: Any) -> None:
        """Run a generator that yields seconds to wait, or the path of a page."""

        def advance(value: Any = None) -> None:
            try:
                step = steps.send(value)
            except StopIteration:
                return
            if isinstance(step, str):
                self._request(step, advance)
            else:
                self.loop.call_later(step, advance)

        self.loop.call_soon(advance)

    def _scenario(self) -> Iterator[Any]:
        end = START + self.hours * 3600
        yield BOOT_SECONDS
        self.world.record_change(*self.world.expected_targets())  # each is connected for the first time
        self.world.event_count += 1
        yield from self.checker.check()
        while self.loop.time() < end:
            yield from self._burst()
            yield from self.checker.check()
        self._is_stopping = True
        for fault, _ in self._staying:
            fault.end()
        yield 30.0
        self._stopped_at = self.loop.time()
        self.loop.send_signal(signal.SIGTERM)

    def _burst(self) -> Iterator[Any]:
        if not self.has_faults:
            yield 300.0
            return
        from simulate.faults import KINDS

        staying, self._staying = self._staying, []
        rng = self.random
        longest = SPREAD
        for _ in range(rng.randint(1, 4)):
            (kind,) = rng.choices(KINDS, [kind.weight for kind in KINDS])
            at, duration = rng.uniform(0, SPREAD), rng.uniform(*kind.duration)
            stays = kind.stays and rng.random() < STAY_RATIO
            longest = max(longest, at if stays else at + duration)
            self.loop.call_later(at, self._begin, kind, None if stays else duration)
        yield longest + 0.5
        for fault, affected in staying:
            self.world.record_change(*affected)
            self._end(fault)
        yield SETTLE_SECONDS

    def _begin(self, kind: Any, duration: float | None) -> None:
        before = self.world.changes.copy()
        fault = kind.begin(self.world, self.random)
        if fault is None:
            return
        affected = tuple((self.world.changes - before).elements())
        self._touched.update(affected)
        self._touched.update(name.partition("/")[0] for name in affected)  # the name of a set
        self.faults[kind.name] += 1
        self.history.append(f"{self.loop.time() - START:9.1f} s: {kind.name}: {fault.subject}, {duration} s")
        self.world.permit()
        if duration is None:
            self._staying.append((fault, affected))
        else:
            self.loop.call_later(duration, self._end, fault)

    def _end(self, fault: Any) -> None:
        fault.end()
        self.world.permit()

    def _check_alerts(self) -> None:
        """Report every alert without a fault."""
        fired = self.series.firing(self.folder) if self.has_alerts else None
        if fired is None:
            return
        if self.has_faults:
            self.alerts = {name for name, _ in fired}
            fired = {(name, target) for name, target in fired if target and target not in self._touched}
        problems = [f"{name} fired for {target or 'the exporter'}" for name, target in sorted(fired)]
        self.checker.add_check("alerts", problems)

    def _check_end(self, code: int) -> None:
        from chaos import rules

        seconds = self.loop.time() - self._stopped_at
        self.checker.add_check("sigterm", rules.stopped_in_time(code, seconds, STOP_SECONDS))
        left = [f"{stream.local} to {stream.remote}" for stream in self.network.open.values()]
        left = [text for text in left if "9121" not in text]
        self.checker.add_check("end", [f"a connection is still open: {text}" for text in left])


def main() -> None:
    """Run one episode, and print its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("hours", type=float, help="virtual hours")
    parser.add_argument("--log", action="store_true", help="print the log and the faults")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="simulate-"))
    try:
        episode = Episode(arguments.seed, arguments.hours, folder)
        result = episode.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.log:
        for at, line in zip(episode.log.times, episode.log.lines, strict=True):
            sys.stdout.write(f"{at - START:9.3f} {line.text}\n")
        sys.stdout.write("\n".join(episode.history) + "\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
