"""Observes every circuit breaker of the daemon, and checks each change of its state."""

from collections.abc import Callable
from typing import Any

from redis_pulse.circuit_breaker import CircuitBreaker

#: From any state, a ping closes the breaker, and only the end of the open time makes it half-open.
LEGAL = {("closed", "open"), ("open", "half_open"), ("open", "closed"), ("half_open", "open"), ("half_open", "closed")}
#: Seconds of floating-point error.
_TOLERANCE = 1e-6


def observe(report: Callable[[str], None], now: Callable[[], float]) -> Callable[[], int]:
    """Check every change of every breaker from now on. Return a function that returns their number."""
    change: Any = CircuitBreaker._transition  # noqa: SLF001  # the only place where the state changes
    opened_at: dict[int, float] = {}
    count = 0

    def checked_change(breaker: Any, new: str) -> None:
        nonlocal count
        count += 1
        old, moment = breaker.state, now()
        settings = breaker._settings  # noqa: SLF001
        if (old, new) not in LEGAL:
            report(f"a breaker went from {old} to {new}")
        if settings.force == "auto" and new == "open":
            opened_at[id(breaker)] = moment
            open_seconds = breaker._open_time  # noqa: SLF001
            if not settings.open_interval <= open_seconds <= max(settings.open_interval, settings.open_interval_max):
                report(f"a breaker opened for {open_seconds:g} s")
        if (old, new) == ("open", "half_open"):
            waited = moment - opened_at.get(id(breaker), moment)
            if waited + _TOLERANCE < breaker._open_time:  # noqa: SLF001
                report(f"a breaker became half-open after {waited:g} s, before {breaker._open_time:g} s")  # noqa: SLF001
        change(breaker, new)

    CircuitBreaker._transition = checked_change  # type: ignore[method-assign, assignment]  # noqa: SLF001
    return lambda: count
