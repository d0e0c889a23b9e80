"""The page ``/metrics`` of the daemon as tests read it, and assertions that hold for every page."""

import re
from collections import defaultdict

#: Seconds between two pings in every test. So tests can compare the number of pings with the elapsed time.
PROBE_INTERVAL = 0.1
PROBE_TIMEOUT = 0.3

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


class Page:
    """One page ``/metrics``. ``requested_at`` and ``received_at`` are monotonic times before and after the request.

    Lines are parsed on demand, because a test reads hundreds of pages with thousands of lines.
    """

    def __init__(self, text: str, requested_at: float, received_at: float, delay: float = 0.0) -> None:
        self.text, self.requested_at, self.received_at = text, requested_at, received_at
        #: Seconds for which the machine has kept the processes of the test from running.
        self.delay = delay
        self._lines: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                self._lines[_NAME.match(line).group()].append(line)  # type: ignore[union-attr]

    def matching(self, name: str, **labels: str) -> dict[Labels, float]:
        """Return every sample with this name and these labels. It may have more labels."""
        samples: dict[Labels, float] = {}
        for line in self._lines.get(name, ()):
            all_labels = dict(_LABEL.findall(line))
            if labels.items() <= all_labels.items():
                key = frozenset(all_labels.items())
                assert key not in samples, f"the page has this series twice: {line}"
                samples[key] = float(line.rsplit(" ", 1)[1])
        return samples

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the only matching sample, or None if no sample matches."""
        samples = self.matching(name, **labels)
        assert len(samples) < 2, f"{name} {labels} is ambiguous: {sorted(map(sorted, samples))}"
        return next(iter(samples.values()), None)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all matching samples."""
        return sum(self.matching(name, **labels).values())

    def up(self, target: str | None = None) -> float | None:
        return self.value("redis_up", **_of(target))

    def failures(self, operation: str, reason: str | None = None, target: str | None = None) -> float:
        """Return the number of failures of an operation, for one reason or for all."""
        reasons = {} if reason is None else {"reason": reason}
        return self.sum("redis_operation_failures_total", operation=operation, **reasons, **_of(target))

    def has_failed(self, operation: str, reason: str, runs: float = 1) -> bool:
        """Return whether an operation ever failed for a reason, and ran so often.

        Only the series counts: its first failures are shown as 0 for some seconds.
        """
        is_there = bool(self.matching("redis_operation_failures_total", operation=operation, reason=reason))
        return is_there and self.operations(operation) >= runs

    def reasons(self, operation: str = "ping", target: str | None = None) -> dict[str, float]:
        """Return the number of failures of an operation by reason. Only pings have reasons that never occurred."""
        samples = self.matching("redis_operation_failures_total", operation=operation, **_of(target))
        return {dict(labels)["reason"]: value for labels, value in samples.items() if value or operation != "ping"}

    def operations(self, operation: str = "ping", target: str | None = None) -> float:
        return self.sum("redis_operations_total", operation=operation, **_of(target))

    def not_sent(self, target: str | None = None) -> float:
        """Return the number of pings that were due but not sent."""
        return self.sum("redis_pings_not_sent_total", **_of(target))

    def breaker(self, target: str | None = None) -> str:
        """Return the state of the circuit breaker. Exactly one of the states must be 1."""
        states = self.matching("redis_circuit_breaker_state", **_of(target))
        active = [dict(labels)["state"] for labels, value in states.items() if value == 1]
        assert len(active) == 1, f"not exactly one state of the breaker is 1: {states}"
        assert sum(states.values()) == 1
        return active[0]


def _of(target: str | None) -> dict[str, str]:
    return {} if target is None else {"target": target}


def opened_by(page: Page, reason: str) -> bool:
    """Return whether the target is down, its breaker is open, and pings failed for this reason."""
    return page.up() == 0 and page.breaker() == "open" and page.failures("ping", reason) > 0


def caused_by_machine(page: Page) -> set[str]:
    """Return the reasons of failures that a busy machine may have caused so far."""
    return {"timeout", "skipped"} if page.delay > PROBE_TIMEOUT else set()


def assert_reasons(page: Page, *reasons: str, operation: str = "ping") -> None:
    """Assert that an operation failed for no other reasons, apart from those of a busy machine."""
    assert set(page.reasons(operation)) <= {*reasons} | caused_by_machine(page), page.reasons(operation)


def assert_no_new_failures(last: Page, first: Page, target: str | None = None) -> None:
    """Assert that no ping failed between two pages, apart from failures of a busy machine."""
    before, after = first.reasons(target=target), last.reasons(target=target)
    new = {reason for reason, count in after.items() if count != before.get(reason)}
    assert new <= caused_by_machine(last), f"{before} became {after}"


def wrong_number_of_pings(first: Page, last: Page, target: str | None = None) -> str:
    """Return an empty text if one ping was counted for each ``PROBE_INTERVAL`` between two pages, or the problem.

    A page was made at some moment of its request, so the number may differ by two pings.
    """
    counted = last.operations(target=target) - first.operations(target=target)
    least = (last.requested_at - first.received_at) / PROBE_INTERVAL - 2
    most = (last.received_at - first.requested_at) / PROBE_INTERVAL + 2
    return "" if least <= counted <= most else f"{counted} pings counted, {least:.1f} to {most:.1f} were scheduled"


def pending_pings(page: Page, target: str | None = None) -> float:
    """Return the number of counted pings without an outcome.

    An outcome is a success or a failure. The histogram has timeouts too, with the time of their deadlines.
    """
    observed = page.sum("redis_operation_duration_seconds_count", operation="ping", **_of(target))
    successes = observed - page.failures("ping", "timeout", target)
    return page.operations(target=target) - successes - page.failures("ping", target=target)
