"""What the breaker remembers of the last seconds.

The circuit breaker of a target, and the backoff of its connections: plain state, a clock passed in, no I/O.

    permit = breaker.acquire()        # for heavy work: a poll, a canary, a cold connect
    if permit is None:
        raise breaker.rejection()     # open: nothing may be sent; the error is the one that opened the breaker
    try: …                            # exactly one of success(), failure(error), release() must follow

closed → open after ``failure_threshold`` failures in a row, or by a failure that finds at least ``minimum_calls`` in
the last ``window`` seconds with a ratio of failures of ``failure_ratio`` or more, or a ratio of calls slower than
``slow_call_duration`` of ``slow_call_ratio`` or more. Open → half-open with the first heavy call after the open time.
Half-open lets one heavy call through at a time: its failure (or slowness) opens again, and so does its success while
pings fail: a server that loads its dataset answers INFO. Otherwise its success closes. ``force`` keeps the breaker open
or closed whatever happens.

Pings are the breaker's own trials. While it is not closed, ``acquire_probe`` permits one ping per ``trial_interval``.
Its success closes the breaker at once, so a recovery is noticed with the first ping that is answered. Its failure
changes nothing: heavy work waits for its own open time.

Each state lasts one *period*. A heavy verdict counts only within the period that gave its permit: the success of a call
sent long before the breaker opened does not close it, and its failure does not open it again. The verdict of a trial
ping counts within the *outage* that gave its permit, which lasts from one closed state to the next.
"""

import math
import random
from collections.abc import Callable
from typing import Literal

from redis_pulse.backoff import Backoff, Jitter
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import RejectedError, TargetError

_PARTS = 12  # the window forgets in steps of a twelfth


class CallWindow:
    """Calls, failures and slow calls of the last seconds, in a ring of parts of fixed size."""

    __slots__ = ("_part_seconds", "_parts", "_tick", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._part_seconds = seconds / _PARTS
        self._tick = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._parts = [(0, 0, 0)] * _PARTS
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count a call that ended now."""
        tick = int(now / self._part_seconds)
        for passed in range(max(self._tick + 1, tick - _PARTS + 1), tick + 1):
            self._count(-1, *self._parts[passed % _PARTS])
            self._parts[passed % _PARTS] = (0, 0, 0)
        self._tick = tick
        calls, failures, slow_calls = self._parts[tick % _PARTS]
        self._parts[tick % _PARTS] = (calls + 1, failures + failed, slow_calls + slow)
        self._count(1, 1, failed, slow)

    def _count(self, sign: int, calls: int, failures: int, slow: int) -> None:
        self.calls += sign * calls
        self.failures += sign * failures
        self.slow += sign * slow


State = Literal["closed", "open", "half_open"]
Verdict = Literal["success", "failure", "released"]
OnChange = Callable[[State, State], None]
STATES: tuple[State, ...] = ("closed", "open", "half_open")
#: Share of ``trial_interval`` by which a trial ping may come early: due times are sums of floats.
EARLY = 0.01


class Permit:
    """Leave to make one call. It ends with the first verdict; further ones are ignored."""

    __slots__ = ("_breaker", "acquired_at", "generation", "is_trial_ping")

    def __init__(self, breaker: "CircuitBreaker", period: int, given: float, *, is_trial_ping: bool = False) -> None:
        self._breaker: CircuitBreaker | None = breaker
        #: the breaker's period; of a trial ping, the period in which the outage began
        self.generation = period
        self.acquired_at = given
        self.is_trial_ping = is_trial_ping

    def success(self) -> None:
        """End it: the target answered, be it with an error that only a live server gives."""
        self._end("success")

    def failure(self, error: TargetError) -> None:
        """End it: the target is not available (``TargetError.unavailable``), for this reason."""
        self._end("failure", error)

    def release(self) -> None:
        """End it without a verdict, the call was cancelled: a half-open breaker may try again at once."""
        self._end("released")

    def _end(self, verdict: Verdict, error: TargetError | None = None) -> None:
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.record(self, verdict, error)


class CircuitBreaker:
    """One target's breaker; everything that touches the target asks it first.

    The first open time of heavy work is ``open_interval``. Each further one is drawn from [``open_interval``, bound],
    and the bound doubles up to ``open_interval_max``. It goes back to the start after a stable close: when the breaker
    had been closed for at least as long as it was last told to stay open.

    ``clock`` is monotonic, in seconds. ``on_change(old, new)`` is called last, when the new state is complete.
    ``permitted``, ``rejected``, ``successes``, ``failures`` and ``releases`` count all calls and verdicts ever,
    the late verdicts of earlier periods too.
    """

    __slots__ = (
        "_backoff",
        "_clock",
        "_failures_in_a_row",
        "_generation",
        "_next_trial_ping",
        "_not_closed",
        "_not_closed_since",
        "_on_change",
        "_open_time",
        "_open_until",
        "_outage",
        "_settings",
        "_trial_interval",
        "_trial_is_out",
        "_trial_pings_fail",
        "_window",
        "cause",
        "closed_since",
        "failures",
        "permitted",
        "rejected",
        "releases",
        "state",
        "successes",
    )  # fmt: skip

    def __init__(
        self,
        settings: BreakerSettings,
        clock: Callable[[], float],
        *,
        on_change: OnChange,
        trial_interval: float = 1.0,
        jitter: Jitter = random.random,
    ) -> None:
        self.state: State = "closed"
        self.permitted = self.rejected = self.successes = self.failures = self.releases = 0
        #: the error that opened it last; None when it never opened, or was opened by slow calls
        self.cause: TargetError | None = None
        self._settings, self._clock, self._on_change = settings, clock, on_change
        self._trial_interval = trial_interval
        self._next_trial_ping = -math.inf  # by the due time of pings
        first = settings.open_interval
        self._backoff = Backoff(first, settings.open_interval_max, floor=first, jitter=jitter)
        self._window = CallWindow(settings.window)
        self._generation = self._outage = self._failures_in_a_row = 0
        self._trial_is_out = self._trial_pings_fail = False
        self._open_time = self._open_until = self._not_closed = self._not_closed_since = 0.0
        #: when it was closed last, or made
        self.closed_since = clock()
        if settings.force == "open":
            self.state, self._open_until, self._not_closed_since = "open", math.inf, clock()

    def acquire(self) -> Permit | None:
        """Ask for one heavy call. None: rejected, nothing may be sent; ``rejection()`` says why."""
        if self.state == "open" and self._clock() >= self._open_until:
            self._transition("half_open")
        if self.state == "open" or self._trial_is_out:
            self.rejected += 1
            return None
        self._trial_is_out = self.state == "half_open"
        self.permitted += 1
        return Permit(self, self._generation, self._clock())

    def acquire_probe(self, due: float) -> Permit | None:
        """Ask for one ping that is due at ``due``. None while not closed, unless it is time for a trial ping."""
        if self.state == "closed":
            self.permitted += 1
            return Permit(self, self._generation, self._clock())
        if self._settings.force == "open" or due < self._next_trial_ping:
            self.rejected += 1
            return None
        self._next_trial_ping = due + self._trial_interval * (1 - EARLY)
        self.permitted += 1
        return Permit(self, self._outage, self._clock(), is_trial_ping=True)

    def rejection_error(self) -> TargetError:
        """Return the error of a call that was not permitted: a copy of the cause, or RejectedError without one."""
        if self._settings.force == "open":
            return RejectedError("the circuit breaker is forced open")
        if self.cause is None:
            return RejectedError("the circuit breaker is open: calls are too slow")
        return self.cause.untried()

    @property
    def outstanding(self) -> int:
        """Permits without a verdict."""
        return self.permitted - self.successes - self.failures - self.releases

    def seconds_until_attempt(self) -> float:
        """How long until time alone allows a call; 0 unless open (half-open waits for a verdict, not for time)."""
        return max(0.0, self._open_until - self._clock()) if self.state == "open" else 0.0

    def seconds_not_closed(self) -> float:
        """Seconds spent open or half-open since the start; only grows."""
        return self._not_closed + (0.0 if self.state == "closed" else self._clock() - self._not_closed_since)

    def record(self, permit: Permit, verdict: Verdict, error: TargetError | None) -> None:
        """Take the verdict of a permit, with the error of a failure; permits call this, nobody else."""
        self.successes += verdict == "success"
        self.failures += verdict == "failure"
        self.releases += verdict == "released"
        failed, slow = verdict == "failure", verdict == "success" and self._was_slow(permit)
        if permit.is_trial_ping:
            if permit.generation == self._outage and self.state != "closed":
                self._record_trial_ping(answered=verdict == "success" and not slow, failed=failed or slow)
            return
        if permit.generation != self._generation or self._settings.force == "closed":
            return
        if self.state == "half_open":
            self._record_heavy_trial(verdict, error if failed or slow else self.cause, failed=failed or slow)
        elif verdict != "released":
            self._window.add(self._clock(), failed=failed, slow=slow)
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
            if (failed or slow) and self._should_open():
                self._open(error)

    def _record_trial_ping(self, *, answered: bool, failed: bool) -> None:
        self._trial_pings_fail = self._trial_pings_fail or failed
        if answered:
            self._transition("closed")

    def _record_heavy_trial(self, verdict: Verdict, cause: TargetError | None, *, failed: bool) -> None:
        self._trial_is_out = False
        if failed or (verdict == "success" and self._trial_pings_fail):
            self._open(cause)
        elif verdict == "success":
            self._transition("closed")

    def _was_slow(self, permit: Permit) -> bool:
        limit = self._settings.slow_call_duration
        return limit is not None and self._clock() - permit.acquired_at > limit

    def _should_open(self) -> bool:
        limits, seen = self._settings, self._window
        if self._failures_in_a_row >= limits.failure_threshold:
            return True
        if seen.calls < limits.minimum_calls:
            return False
        too_slow = limits.slow_call_duration is not None and seen.slow / seen.calls >= limits.slow_call_ratio
        return too_slow or seen.failures / seen.calls >= limits.failure_ratio

    def _open(self, cause: TargetError | None) -> None:
        now = self._clock()
        if self.state == "closed":
            self._next_trial_ping = -math.inf
            if now - self.closed_since >= self._open_time:  # that was a stable close
                self._backoff.reset()
        self.cause = cause
        self._open_time = self._backoff.next()
        self._open_until = now + self._open_time
        self._transition("open")

    def _transition(self, new: State) -> None:
        old, self.state = self.state, new
        self._generation += 1
        if old == "closed":
            self._not_closed_since = self._clock()
            self._outage = self._generation
            self._trial_pings_fail = False
        elif new == "closed":
            self.closed_since = self._clock()
            self._not_closed += self.closed_since - self._not_closed_since
            self._failures_in_a_row = 0
            self._trial_is_out = False
            self._window.clear()
        self._on_change(old, new)
