"""Checks the daemon from outside in a quiet period."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from chaos import resp, rules
from chaos.daemon import STOP_TIMEOUT, Usage
from chaos.page import Page
from chaos.sets import wait_until
from chaos.watch import DelayMeter, Watcher
from chaos.world import MAX_AGE, POLL_INTERVAL, PROBE_INTERVAL, World

#: Seconds without a change of addresses and of the client's results, after which redis_up must match these results.
SETTLE_SECONDS = 3.0
#: Seconds in which the daemon must query every source of targets again. Their intervals are 1 to 2 s.
DISCOVERY_SECONDS = 8.0
#: Seconds to wait until the servers are healthy again. After that, the check is left out.
RECOVERY_TIMEOUT = 60.0
#: A problem may be true for a moment. It is a violation only if so many pages in a row show it.
ATTEMPTS = 4
#: Seconds between two such pages.
ATTEMPT_INTERVAL = 0.6
#: If the machine stops for this many seconds, a ping or a poll may exceed its timeout of 1 s.
MIN_STALL = 0.8
#: Seconds to observe a violation further. This shows whether the daemon was only late.
FOLLOW_UP_SECONDS = 10.0


@dataclass
class Verdicts:
    """The number of checks and the violations."""

    log: Callable[[str], None]
    checks: int = 0
    violations: list[tuple[str, str]] = field(default_factory=list)

    def add_violation(self, rule: str, text: str) -> None:
        """Record and log one violation."""
        self.violations.append((rule, text))
        self.log(f"VIOLATION [{rule}] {text}")

    def add_check(self, rule: str, problems: Iterable[str]) -> None:
        """Count one check, and record each problem as a violation."""
        self.checks += 1
        for text in problems:
            self.add_violation(rule, text)


class Checker:
    """Applies the rules to a world in a quiet period."""

    def __init__(self, world: World, watcher: Watcher, delay_meter: DelayMeter, verdicts: Verdicts) -> None:
        self._world, self._watcher, self._delay_meter, self._verdicts = world, watcher, delay_meter, verdicts
        self._usage: list[Usage] = []
        self._lines_read = 0
        #: pings without an outcome that were already reported, by target
        self._reported_gaps: dict[str, float] = {}
        #: skipped pings at the end of the last quiet period, by target
        self._earlier_skips: dict[str, float] = {}
        #: time of the first failed client ping since the last successful one, by address
        self._down_since: dict[str, float] = {}

    def forget(self) -> None:
        """Forget the old process of the daemon. A new one runs now."""
        self._usage = []
        self._reported_gaps = {}
        self._earlier_skips = {}

    def wait_for_servers(self) -> None:
        """Wait until the servers are healthy.

        Raises TimeoutError if they do not recover. Then the daemon cannot be checked, and is not to blame.
        """
        wait_until(self._world.queue.is_healthy, "the Sentinel set is healthy", RECOVERY_TIMEOUT)
        wait_until(self._world.cart.is_healthy, "the cluster is healthy", RECOVERY_TIMEOUT)

    def check(self) -> None:
        """Apply every rule."""
        page = self._wait_until_steady()
        if page is None:
            return
        add_check = self._verdicts.add_check
        expected = self._world.expected_targets()
        self._check_repeatedly("targets", lambda page: rules.expected_targets(page, expected))
        self._check_repeatedly("addresses", lambda page: rules.expected_addresses(page, self._expected_addresses()))
        self._check_repeatedly("up", lambda page: rules.up_matches_client(page, self._client_statuses(page)))
        before = self._page()
        time.sleep(2 * POLL_INTERVAL + 1 + 2 * self._delay_meter.max_delay(5))
        after = self._page()
        if before is not None and after is not None:
            statuses = self._client_statuses(after)
            add_check("frozen", rules.no_frozen_series(before, after, self._also_on(before, statuses)))
            add_check("stale", rules.no_stale_samples(after, self._long_down(after)))
            add_check("counters of servers", rules.counters_never_decrease(before, after, by_daemon=False))
        self._check_repeatedly("accounting", lambda page: rules.accounting(page, expected, self._reported_gaps))
        self._check_repeatedly("schedule", self._schedule)
        self._reset_reported_faults(expected)
        delays = self._delay_meter.take_delays()
        self._check_skips(sum(delays))
        self._check_process()
        self._check_log(sum(delay > MIN_STALL for delay in delays))

    def stop_daemon(self) -> None:
        """Stop the daemon with SIGTERM, and check that it ends in time."""
        limit = STOP_TIMEOUT + 2 * self._delay_meter.max_delay(10)
        code, seconds = self._world.daemon.stop(limit + 10)
        self._verdicts.add_check("sigterm", rules.stopped_in_time(code, seconds, limit))

    def _page(self) -> Page | None:
        for _ in range(ATTEMPTS):
            page = self._watcher.scrape()
            if page is not None:
                return page
            time.sleep(ATTEMPT_INTERVAL)
        self._verdicts.add_violation("pages", "no page in a quiet period")
        return None

    def _wait_until_steady(self) -> Page | None:
        """Return a page after addresses and the client's results stopped changing, or None without a page."""
        began = since = time.monotonic()
        last_facts: object = None
        while True:
            page = self._page()
            if page is None:
                return None
            facts = (rules.addresses(page), self._client_statuses(page))
            now = time.monotonic()
            if facts != last_facts:
                last_facts, since = facts, now
            delay = 2 * self._delay_meter.max_delay(10)
            if now - since > SETTLE_SECONDS + delay and now - began > DISCOVERY_SECONDS + delay:
                return page
            if now - began > RECOVERY_TIMEOUT:
                self._verdicts.log("note: the results of the plain client keep changing; the check starts anyway")
                return page
            time.sleep(0.5)

    def _client_statuses(self, page: Page) -> dict[str, str]:
        """Return the result of a plain client's ping for each target, at the target's address on the page."""
        servers = self._world.servers_by_address()
        by_address: dict[str, str] = {}
        by_target = {}
        for target, address in rules.addresses(page).items():
            server = servers.get(address)
            if server is None:
                continue
            if address not in by_address:
                by_address[address] = resp.ping_status(server.socket_address, self._world.login_of(server))
            by_target[target] = by_address[address]
        now = time.monotonic()
        for address, status in by_address.items():
            if status == "up":
                self._down_since.pop(address, None)
            else:
                self._down_since.setdefault(address, now)
        return by_target

    def _expected_addresses(self) -> dict[str, str | None]:
        expected = self._world.expected_targets()
        return {name: None if server is None else server.address for name, server in expected.items()}

    def _long_down(self, page: Page) -> list[str]:
        """Return the targets whose samples must be gone from the page."""
        min_seconds = MAX_AGE + POLL_INTERVAL + 3
        down_before = page.requested_at - min_seconds
        return [
            target
            for target, address in rules.addresses(page).items()
            if address in self._down_since and self._down_since[address] < down_before
        ]

    @staticmethod
    def _also_on(before: Page, statuses: dict[str, str]) -> dict[str, str]:
        """Leave out the targets that the earlier page does not have."""
        return {target: status for target, status in statuses.items() if target in before.targets()}

    def _schedule(self, page: Page) -> Iterator[str]:
        for target, first in sorted(self._watcher.first_pages.items()):
            yield from rules.ping_schedule(first, page, target, PROBE_INTERVAL)

    def _reset_reported_faults(self, targets: Iterable[str]) -> None:
        """Count from here where a ping was lost, so that the next quiet period does not report it again."""
        page = self._watcher.last_page
        if page is not None:
            self._reported_gaps = {target: rules.unaccounted_pings(page, target) for target in targets}
            for target, first in self._watcher.first_pages.items():
                if list(rules.ping_schedule(first, page, target, PROBE_INTERVAL)):
                    self._watcher.first_pages[target] = page

    def _check_repeatedly(self, rule: str, check: Callable[[Page], Iterable[str]]) -> None:
        """Apply a rule to several pages. Only a problem on all of them is a violation."""
        self._verdicts.checks += 1
        problems: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            page = self._page()
            if page is None:
                return
            current = {_subject(text): text for text in check(page)}
            persistent = {subject: current[subject] for subject in problems if subject in current}
            problems = current if attempt == 0 else persistent
            if not problems:
                return
            time.sleep(ATTEMPT_INTERVAL)
        # A lost ping stays lost, so it is not observed further.
        solved_after = {} if rule in {"accounting", "schedule"} else self._follow_up(check, problems)
        for subject, text in problems.items():
            suffix = f"; correct {solved_after[subject]:.1f} s later" if subject in solved_after else ""
            self._verdicts.add_violation(rule, text + suffix)

    def _follow_up(self, check: Callable[[Page], Iterable[str]], problems: Iterable[str]) -> dict[str, float]:
        """Observe problems further, and return after how many seconds each of them ended."""
        pending = set(problems)
        solved_after: dict[str, float] = {}
        began = time.monotonic()
        while pending and time.monotonic() - began < FOLLOW_UP_SECONDS:
            page = self._page()
            if page is None:
                break
            solved = pending - {_subject(text) for text in check(page)}
            solved_after |= dict.fromkeys(solved, time.monotonic() - began)
            pending -= solved
            time.sleep(ATTEMPT_INTERVAL)
        return solved_after

    def _check_process(self) -> None:
        usage = self._world.daemon.usage()
        page = self._watcher.last_page
        tasks = page.value("redis_exporter_tasks") if page is not None else None
        self._usage.append(usage._replace(tasks=tasks or 0))
        self._verdicts.add_check("level", rules.bounded_usage(self._usage))

    def _check_skips(self, delay: float) -> None:
        page = self._watcher.last_page
        if page is None:
            return
        if not self._world.may_skip:
            problems = rules.few_skipped_pings(page, self._earlier_skips, PROBE_INTERVAL, delay)
            self._verdicts.add_check("skipped", problems)
        self._world.may_skip = False
        self._earlier_skips = {target: rules.skipped_pings(page, target) for target in self._watcher.first_pages}

    def _check_log(self, stalls: int) -> None:
        world = self._world
        lines = world.daemon.lines
        new_lines, self._lines_read = lines[self._lines_read :], len(lines)
        if stalls:
            self._verdicts.log(f"note: the machine stopped {stalls} times for more than {MIN_STALL} s")
        problems = rules.log_lines(
            new_lines, world.changes, events=world.event_count, reloads=world.reloads, stalls=stalls
        )
        self._verdicts.add_check("log", problems)


def _subject(text: str) -> str:
    """Return the target that a problem names, or the whole text if it names none."""
    return text.split(":", 1)[0] if not text[:1].isdigit() else text
