"""Checks the daemon in a quiet period: the rules of ``chaos``, and what only a simulation can see.

A check is a generator. It yields seconds to wait, or a path to request, and receives the page.
"""

import resource
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from chaos import rules
from chaos.daemon import LogLine, Usage
from chaos.page import Page
from simulate.network import Network, Stream
from simulate.world import MAX_AGE, POLL_INTERVAL, PROBE_INTERVAL, World

#: A wait in seconds, or the path of a page. The generator receives the page, or None without one.
Step = float | str
Steps = Generator[Step, Any, None]
#: Pages in a row that must show a problem, and the seconds between them.
ATTEMPTS, ATTEMPT_INTERVAL = 4, 2.0
#: Connections of the daemon for each target: the probe, a poll, and one of a query of a topology.
MAX_CONNECTIONS = 3
#: Lines of a page that the rules about pings and targets need.
_NEEDED = (
    *("redis_up{", "redis_target_info{", "redis_uptime_in_seconds{", "redis_exporter_tasks"),
    *("redis_operations_in_flight{",),
)
_PING = 'operation="ping"'


class Checker:
    """Applies the rules to a world. ``report(rule, text)`` receives each violation."""

    def __init__(
        self,
        world: World,
        network: Network,
        lines: list[LogLine],
        report: Callable[[str, str], None],
    ) -> None:
        self._world, self._network, self._lines, self._report = world, network, lines, report
        self.checks = 0
        self.measures_memory = True
        #: whether there is no fault, so that no ping may fail
        self.is_quiet = False
        self._usage: list[Usage] = []
        self._first_counts: dict[str, float] = {}
        self._grown_before: set[str] = set()
        self._lines_read = 0
        self._last_full: Page | None = None
        self._first_pages: dict[str, Page] = {}
        self._gaps: dict[str, float] = {}
        self._skips: dict[str, float] = {}
        self._down_since: dict[str, float] = {}

    def add_check(self, rule: str, problems: Iterable[str]) -> None:
        """Count one check, and report each problem."""
        self.checks += 1
        for text in problems:
            self._report(rule, text)

    def check(self) -> Steps:
        """Apply every rule. Nothing changes meanwhile."""
        world = self._world
        world.permit(forget=True)
        world.undeclared.clear()
        expected = world.expected_targets()
        before = yield from self._page()
        if before is None:
            return
        self._forget_removed(before)
        yield from self._repeat("targets", lambda page: rules.expected_targets(page, expected))
        yield from self._repeat("addresses", lambda page: rules.expected_addresses(page, world.expected_addresses()))
        yield from self._repeat("up", lambda page: rules.up_matches_client(page, self._statuses(page)))
        yield from self._repeat("accounting", lambda page: rules.accounting(page, expected, self._gaps))
        yield 2 * POLL_INTERVAL + 1
        full = yield from self._page(full=True)
        if full is None:
            return
        statuses = self._statuses(full)
        self.add_check("well-formed", rules.well_formed(full))
        self.add_check("frozen", rules.no_frozen_series(before, full, statuses))
        self.add_check("stale", rules.no_stale_samples(full, self._long_down(full, statuses)))
        self.add_check("operations", rules.operations_accounting(full))
        self.add_check("schedule", self._schedule(full))
        self.add_check("undeclared", {f"a connect to {host}:{port}" for host, port in world.undeclared})
        if self._last_full is not None:
            counters = rules.counters_never_decrease(
                self._last_full, full, by_daemon=True, except_targets=world.removed
            )
            self.add_check("counters", counters)
        if self.is_quiet:
            self.add_check("lost", _lost_pings(full))
        self._last_full = full
        self._check_skips(full)
        self._check_growth(full, len(expected))
        self._check_log()
        self._reset(full)

    def _reset(self, page: Page) -> None:
        """Begin the next period here."""
        world = self._world
        for target in page.targets():
            self._first_pages[target] = page
        self._gaps = {target: rules.unaccounted_pings(page, target) for target in page.targets()}
        self._skips = {target: rules.skipped_pings(page, target) for target in page.targets()}
        world.changes.clear()
        world.event_count = world.reloads = 0
        world.removed.clear()
        world.may_skip = False

    def _forget_removed(self, page: Page) -> None:
        targets = page.targets() - self._world.removed
        for known in (self._first_pages, self._gaps, self._skips):
            for target in [*known]:
                if target not in targets:
                    del known[target]

    def _page(self, *, full: bool = False) -> Generator[Step, Any, Page | None]:
        loop = self._network.loop
        for _ in range(ATTEMPTS):
            requested_at = loop.time()
            text = yield "/metrics"
            if text is not None:
                needed = text if full else "\n".join(_needed_lines(text))
                return Page(needed, requested_at, loop.time())
            yield ATTEMPT_INTERVAL
        self._report("pages", "no page in a quiet period")
        return None

    def _repeat(self, rule: str, check: Callable[[Page], Iterable[str]]) -> Generator[Step, Any, None]:
        """Apply a rule to several pages. Only a problem on all of them is a violation."""
        self.checks += 1
        problems: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            page = yield from self._page()
            if page is None:
                return
            current = {text.split(":", 1)[0]: text for text in check(page)}
            problems = current if attempt == 0 else {key: current[key] for key in problems if key in current}
            if not problems:
                return
            yield ATTEMPT_INTERVAL
        for text in problems.values():
            self._report(rule, text)

    def _statuses(self, page: Page) -> dict[str, str]:
        servers = self._world.servers_by_address()
        addresses = rules.addresses(page)
        return {
            target: self._world.client_status(servers[address])
            for target, address in addresses.items()
            if address in servers
        }

    def _long_down(self, page: Page, statuses: dict[str, str]) -> list[str]:
        now = page.requested_at
        for target, status in statuses.items():
            if status == "up":
                self._down_since.pop(target, None)
            else:
                self._down_since.setdefault(target, now)
        return [target for target, since in self._down_since.items() if now - since > MAX_AGE + POLL_INTERVAL + 3]

    def _schedule(self, page: Page) -> Iterator[str]:
        for target, first in sorted(self._first_pages.items()):
            yield from rules.ping_schedule(first, page, target, PROBE_INTERVAL)

    def _check_skips(self, page: Page) -> None:
        if not self._world.may_skip:
            self.add_check("skipped", rules.few_skipped_pings(page, self._skips, PROBE_INTERVAL, 0.0))

    def _check_growth(self, page: Page, targets: int) -> None:
        network = self._network
        to_servers = [stream for stream in network.open.values() if stream.remote[1] < 30_000]
        hung = sum(len(threads) for threads in self._world.machine.hung.values())
        megabytes = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
        tasks = page.value("redis_exporter_tasks") or 0
        # The recorded series of the alerts are memory of the simulation, not of the daemon.
        self._usage.append(Usage(len(network.open), hung, megabytes if self.measures_memory else 0.0, tasks))
        self.add_check("level", rules.bounded_usage(self._usage))
        counts = {
            "series": float(len(page.samples)),
            "timers": float(len(network.loop._scheduled)),  # type: ignore[attr-defined]  # noqa: SLF001
            "bytes that wait to be sent": float(sum(stream.outstanding for stream in self._healthy(to_servers))),
        }
        self._first_counts = self._first_counts or counts
        self.add_check("growth", self._grown(counts))
        if len(to_servers) > MAX_CONNECTIONS * targets:
            self._report("connections", f"{len(to_servers)} connections to {targets} targets")

    def _healthy(self, streams: list[Stream]) -> list[Stream]:
        """Return the streams to hosts that read."""
        waiting = {server.host for server in self._world.servers_by_address().values() if not server.is_up()}
        return [stream for stream in streams if stream.host not in waiting]

    def _grown(self, counts: dict[str, float]) -> Iterator[str]:
        """Yield what is above its limit for the second time in a row. Once it may be a poll that is on its way."""
        grown = {name for name, count in counts.items() if count > 1.25 * self._first_counts[name] + 400}
        for name in sorted(grown & self._grown_before):
            yield f"{name} grew from {self._first_counts[name]:g} to {counts[name]:g}"
        self._grown_before = grown

    def _check_log(self) -> None:
        world = self._world
        new, self._lines_read = self._lines[self._lines_read :], len(self._lines)
        self.add_check("log", rules.log_lines(new, world.changes, events=world.event_count, reloads=world.reloads))


def _lost_pings(page: Page) -> Iterator[str]:
    """Yield the pings that failed, without a fault that explains it."""
    for labels, count in page.matching("redis_operation_failures_total", operation="ping"):
        if count:
            yield f"{labels['target']}: {count:g} pings failed with the reason {labels['reason']}"


def _needed_lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line.startswith(_NEEDED) or _PING in line:
            yield line
