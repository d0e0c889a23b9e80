"""What must be true in a quiet period, found from outside."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from chaos import resp, rules
from chaos.daemon import STOP_WITHIN, Usage
from chaos.page import Page
from chaos.sets import until
from chaos.watch import Ticker, Watcher
from chaos.world import INTERVAL, MAX_AGE, POLL, World

#: Seconds after which redis_up must be what a plain client finds, once that and the address stand still.
SETTLED = 3.0
#: Seconds in which every source of targets must have been asked again: their intervals are 1 to 2 s.
DISCOVERED = 8.0
#: Seconds that servers may take to become whole again, before we give up on them.
WHOLE = 60.0
#: Looks before something is called wrong that may be true for a moment, and seconds between them.
LOOKS, APART = 4, 0.6
#: Seconds for which the machine must stand still that a ping of 1 s may time out, or a poll.
STALL = 0.8
#: Seconds that a wrong thing is looked at further, to tell a late one from one that stays.
FURTHER = 10.0


@dataclass
class Verdicts:
    """What was checked and what was wrong."""

    say: Callable[[str], None]
    checks: int = 0
    violations: list[tuple[str, str]] = field(default_factory=list)

    def violation(self, rule: str, text: str) -> None:
        """Take note of what is wrong."""
        self.violations.append((rule, text))
        self.say(f"VIOLATION [{rule}] {text}")

    def take(self, rule: str, found: Iterable[str]) -> bool:
        """Take note of what a rule found; tell whether that was nothing."""
        self.checks += 1
        texts = list(found)
        for text in texts:
            self.violation(rule, text)
        return not texts


class Checker:
    """Applies the rules to a world in a quiet period."""

    def __init__(self, world: World, watcher: Watcher, ticker: Ticker, verdicts: Verdicts) -> None:
        self._world, self._watcher, self._ticker, self._verdicts = world, watcher, ticker, verdicts
        self._usage: list[Usage] = []
        self._read = 0
        #: pings of each target that are without an outcome, as it was told before
        self._gaps: dict[str, float] = {}
        #: pings of each target that were skipped until the quiet period before
        self._skips: dict[str, float] = {}
        #: when each server was first found down in a row, by address
        self._down: dict[str, float] = {}

    def forget(self) -> None:
        """Begin anew: the daemon is another process."""
        self._usage = []
        self._gaps = {}
        self._skips = {}

    def settle(self) -> None:
        """Wait until the servers themselves are whole. Raises TimeoutError: then it is no fault of the daemon."""
        until(self._world.queue.is_whole, "the Sentinel set is whole", WHOLE)
        until(self._world.cart.is_whole, "the cluster is whole", WHOLE)

    def check(self) -> None:
        """Check everything."""
        page = self._stand_still()
        if page is None:
            return
        take = self._verdicts.take
        expected = self._world.expected()
        self._again("targets", lambda page: rules.present(page, expected))
        self._again("places", lambda page: rules.placed(page, self._places()))
        self._again("up", lambda page: rules.up(page, self._findings(page)))
        before = self._page()
        time.sleep(2 * POLL + 1 + 2 * self._ticker.latest(5))
        after = self._page()
        if before is not None and after is not None:
            found = self._findings(after)
            take("frozen", rules.alive(before, after, self._answering(before, found)))
            take("stale", rules.gone(after, self._long_dead(after)))
            take("counters of servers", rules.never_less(before, after, own=False))
        self._again("books", lambda page: rules.books(page, expected, self._gaps))
        self._again("schedule", self._schedule)
        self._tell_no_fault_twice(expected)
        delays = self._ticker.delays()
        self._look_at_skips(sum(delays))
        self._look_at_process()
        self._look_at_log(sum(delay > STALL for delay in delays))

    def stop_daemon(self) -> None:
        """SIGTERM must end it."""
        room = 2 * self._ticker.latest(10)
        code, took = self._world.daemon.stop(STOP_WITHIN + room + 10)
        self._verdicts.take("sigterm", rules.stopped(code, took, STOP_WITHIN + room))

    def _page(self) -> Page | None:
        for _ in range(LOOKS):
            page = self._watcher.look()
            if page is not None:
                return page
            time.sleep(APART)
        self._verdicts.violation("pages", "no page in a quiet period")
        return None

    def _stand_still(self) -> Page | None:
        """Return a page when what a plain client finds, and where the targets are, has not changed for a while."""
        began = since = time.monotonic()
        known: object = None
        while True:
            page = self._page()
            if page is None:
                return None
            facts = (rules.addresses(page), self._findings(page))
            now = time.monotonic()
            if facts != known:
                known, since = facts, now
            late = 2 * self._ticker.latest(10)
            if now - since > SETTLED + late and now - began > DISCOVERED + late:
                return page
            if now - began > WHOLE:
                self._verdicts.say("note: what a plain client finds does not stand still; judged as it is")
                return page
            time.sleep(0.5)

    def _findings(self, page: Page) -> dict[str, str]:
        """Return what a plain client finds where the page says that the targets are."""
        servers = self._world.servers_by_address()
        by_address: dict[str, str] = {}
        found = {}
        for target, address in rules.addresses(page).items():
            server = servers.get(address)
            if server is None:
                continue
            if address not in by_address:
                by_address[address] = resp.finding(server.place, self._world.login_of(server))
            found[target] = by_address[address]
        now = time.monotonic()
        for address, what in by_address.items():
            if what == "up":
                self._down.pop(address, None)
            else:
                self._down.setdefault(address, now)
        return found

    def _places(self) -> dict[str, str | None]:
        return {name: None if one is None else one.address for name, one in self._world.expected().items()}

    def _long_dead(self, page: Page) -> list[str]:
        least = MAX_AGE + POLL + 3
        now = page.asked
        there = rules.addresses(page).items()
        return [name for name, where in there if where in self._down and now - self._down[where] > least]

    @staticmethod
    def _answering(before: Page, found: dict[str, str]) -> dict[str, str]:
        """Leave out what has not been there on the page before."""
        return {target: what for target, what in found.items() if target in before.targets()}

    def _schedule(self, page: Page) -> Iterator[str]:
        for target, first in sorted(self._watcher.first.items()):
            yield from rules.schedule(first, page, target, INTERVAL)

    def _tell_no_fault_twice(self, targets: Iterable[str]) -> None:
        """Begin to count anew where a ping was lost: it stays lost, and the next quiet period is about others."""
        page = self._watcher.last
        if page is not None:
            self._gaps = {target: rules.gap(page, target) for target in targets}
            for target, first in self._watcher.first.items():
                if list(rules.schedule(first, page, target, INTERVAL)):
                    self._watcher.first[target] = page

    def _again(self, rule: str, judge: Callable[[Page], Iterable[str]]) -> None:
        """Apply a rule to some pages; what is wrong on all of them is wrong."""
        self._verdicts.checks += 1
        wrong: dict[str, str] = {}
        for look in range(LOOKS):
            page = self._page()
            if page is None:
                return
            found = {_who(text): text for text in judge(page)}
            wrong = found if look == 0 else {who: found[who] for who in wrong if who in found}
            if not wrong:
                return
            time.sleep(APART)
        began = time.monotonic()
        ended: dict[str, float] = {}
        while rule not in {"books", "schedule"} and time.monotonic() - began < FURTHER and len(ended) < len(wrong):
            page = self._page()
            if page is None:
                break
            still = {_who(text) for text in judge(page)}
            for who in wrong:
                if who not in still:
                    ended.setdefault(who, time.monotonic() - began)
            time.sleep(APART)
        for who, text in wrong.items():
            then = f"; right {ended[who]:.1f} s later" if who in ended else ""
            self._verdicts.violation(rule, text + then)

    def _look_at_process(self) -> None:
        usage = self._world.daemon.usage()
        page = self._watcher.last
        tasks = page.value("redis_exporter_tasks") if page is not None else None
        self._usage.append(usage._replace(tasks=tasks or 0))
        self._verdicts.take("level", rules.level(self._usage))

    def _look_at_skips(self, late: float) -> None:
        page = self._watcher.last
        if page is None:
            return
        if not self._world.may_skip:
            self._verdicts.take("skipped", rules.punctual(page, self._skips, INTERVAL, late))
        self._world.may_skip = False
        self._skips = {target: rules.skips(page, target) for target in self._watcher.first}

    def _look_at_log(self, stalls: int) -> None:
        world = self._world
        lines = world.daemon.lines
        fresh, self._read = lines[self._read :], len(lines)
        if stalls:
            self._verdicts.say(f"note: the machine stood still {stalls} times for more than {STALL} s")
        found = rules.log_lines(fresh, world.changes, events=world.others, reloads=world.reloads, stalls=stalls)
        self._verdicts.take("log", found)


def _who(text: str) -> str:
    return text.split(":", 1)[0] if not text[:1].isdigit() else text
