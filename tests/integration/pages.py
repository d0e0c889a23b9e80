"""The daemon's page as a test reads it, and what must hold on every one."""

import re
from collections import defaultdict

#: Seconds; the schedule of pings in every test, so that slots can be counted by the clock.
PROBE_INTERVAL, PROBE_TIMEOUT = 0.1, 0.3

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class Page:
    """One ``/metrics`` page; ``asked`` and ``answered`` are monotonic times around the request.

    Only what a test asks for is parsed: a test reads hundreds of pages of thousands of lines.
    """

    def __init__(self, text: str, asked: float, answered: float) -> None:
        self.text, self.asked, self.answered = text, asked, answered
        self._lines: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                self._lines[_NAME.match(line).group()].append(line)  # type: ignore[union-attr]

    def matching(self, name: str, **labels: str) -> dict[Labels, float]:
        """Return every sample of that name that bears these labels (and maybe more)."""
        found: dict[Labels, float] = {}
        for line in self._lines.get(name, ()):
            have = dict(_LABEL.findall(line))
            if labels.items() <= have.items():
                key = frozenset(have.items())
                assert key not in found, f"stands twice on the page: {line}"
                found[key] = float(line.rsplit(" ", 1)[1])
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one such sample, None when there is none."""
        found = self.matching(name, **labels)
        assert len(found) < 2, f"{name} {labels} is ambiguous: {sorted(map(sorted, found))}"
        return next(iter(found.values()), None)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of every such sample."""
        return sum(self.matching(name, **labels).values())

    def up(self, target: str | None = None) -> float | None:
        return self.value("redis_up", **_of(target))

    def failures(self, operation: str, reason: str | None = None, target: str | None = None) -> float:
        """Return how many slots of an operation failed, for one reason or for any."""
        reasons = {} if reason is None else {"reason": reason}
        return self.sum("redis_operation_failures_total", operation=operation, **reasons, **_of(target))

    def reasons(self, operation: str = "ping", target: str | None = None) -> dict[str, float]:
        """Return the failures of an operation that happened at all, by reason."""
        found = self.matching("redis_operation_failures_total", operation=operation, **_of(target))
        return {dict(labels)["reason"]: value for labels, value in found.items() if value}

    def slots(self, operation: str = "ping", target: str | None = None) -> float:
        return self.sum("redis_operations_total", operation=operation, **_of(target))

    def not_sent(self, target: str | None = None) -> float:
        """Return how many pings were due and not sent."""
        return self.sum("redis_pings_not_sent_total", **_of(target))

    def breaker(self, target: str | None = None) -> str:
        """Return the state of the breaker; exactly one of them must be marked."""
        states = self.matching("redis_circuit_breaker_state", **_of(target))
        marked = [dict(labels)["state"] for labels, value in states.items() if value == 1]
        assert len(marked) == 1, f"the breaker's state is not one-hot: {states}"
        assert sum(states.values()) == 1
        return marked[0]


def _of(target: str | None) -> dict[str, str]:
    return {} if target is None else {"target": target}


def opened_by(page: Page, reason: str) -> bool:
    """The target is down, its breaker is open, and pings failed for that reason."""
    return page.up() == 0 and page.breaker() == "open" and page.failures("ping", reason) > 0


def assert_reasons(page: Page, *reasons: str, operation: str = "ping") -> None:
    """Nothing but these reasons was given."""
    assert set(page.reasons(operation)) <= {*reasons}, page.reasons(operation)


def assert_slots_follow_the_clock(first: Page, last: Page, target: str | None = None) -> None:
    """Between two pages as many pings were counted as were scheduled: one each ``PROBE_INTERVAL``, none missing.

    The pages were made at some moment of their requests, hence the room of two slots.
    """
    grown = last.slots(target=target) - first.slots(target=target)
    least = (last.asked - first.answered) / PROBE_INTERVAL - 2
    most = (last.answered - first.asked) / PROBE_INTERVAL + 2
    assert least <= grown <= most, f"{grown} slots counted, {least:.1f} to {most:.1f} were scheduled"


def open_slots(page: Page, target: str | None = None) -> float:
    """Return how many pings were counted and have no outcome.

    An outcome is a success or a failure; a timeout is observed in the histogram too, at its deadline.
    """
    of = {} if target is None else {"target": target}
    observed = page.sum("redis_operation_duration_seconds_count", operation="ping", **of)
    successes = observed - page.failures("ping", "timeout", target)
    return page.slots(target=target) - successes - page.failures("ping", target=target)
