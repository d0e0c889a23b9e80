"""The circuit breaker of a target: plain state with an injected clock, no I/O.

    permit = breaker.acquire()              # for heavy work: a poll, a canary, a cold connect
    if permit is None:
        raise breaker.rejection_error()     # the breaker is open: send nothing
    try: …                                  # then call exactly one of success(), failure(error), release()

Closed → open: after ``failure_threshold`` consecutive failures. A failure also opens it by the ratio:
if a share of ``failure_ratio`` of the calls in the window failed. The window covers the last ``window`` seconds, and
counts if it has at least ``minimum_calls``. Calls slower than ``slow_call_duration`` open it by ``slow_call_ratio`` in
the same way.

Open → half-open: with the first heavy call after the open time.

Half-open permits one heavy call at a time. If it fails or is slow, the breaker opens again. If it succeeds while pings
fail, the breaker opens again too: a server that loads its dataset replies to INFO. Otherwise a success closes it.

``force`` keeps the breaker open or closed whatever happens.

Pings are trials of the breaker as well. While it is not closed, ``acquire_probe`` permits one ping per
``trial_interval``. Its success closes the breaker at once, so the first successful ping shows a recovery. Its failure
changes nothing: heavy work waits for the end of its open time.

Each state lasts for one *generation*. The verdict of a heavy call counts only in the generation of its permit. So a
call that was sent long before the breaker opened neither closes it nor opens it again. The verdict of a trial ping
counts in the *outage* of its permit. An outage lasts from one closed state to the next.
"""

import math
import random
from collections.abc import Callable
from typing import Literal

from redis_pulse.backoff import Backoff, Jitter
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import RejectedError, TargetError

State = Literal["closed", "open", "half_open"]
Verdict = Literal["success", "failure", "released"]
OnChange = Callable[[State, State], None]
STATES: tuple[State, ...] = ("closed", "open", "half_open")
#: Share of ``trial_interval`` by which a trial ping may be early, because due times are sums of floats.
TRIAL_TOLERANCE = 0.01
#: The window consists of so many parts, and forgets one part at a time.
_WINDOW_PARTS = 12


class CallWindow:
    """Counts the calls, failures and slow calls of the last seconds, in a ring of fixed size."""

    __slots__ = ("_part_seconds", "_parts", "_tick", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._part_seconds = seconds / _WINDOW_PARTS
        self._tick = 0
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self._parts = [(0, 0, 0)] * _WINDOW_PARTS
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call that ends now, and forget the calls that are older than the window."""
        tick = int(now / self._part_seconds)
        for passed in range(max(self._tick + 1, tick - _WINDOW_PARTS + 1), tick + 1):
            self._count(-1, *self._parts[passed % _WINDOW_PARTS])
            self._parts[passed % _WINDOW_PARTS] = (0, 0, 0)
        self._tick = tick
        calls, failures, slow_calls = self._parts[tick % _WINDOW_PARTS]
        self._parts[tick % _WINDOW_PARTS] = (calls + 1, failures + failed, slow_calls + slow)
        self._count(1, 1, failed, slow)

    def _count(self, sign: int, calls: int, failures: int, slow: int) -> None:
        self.calls += sign * calls
        self.failures += sign * failures
        self.slow += sign * slow


class Permit:
    """The permission for one call. It ends with the first verdict, and ignores further verdicts."""

    __slots__ = ("_breaker", "acquired_at", "generation", "is_trial_ping")

    def __init__(
        self, breaker: "CircuitBreaker", generation: int, acquired_at: float, *, is_trial_ping: bool = False
    ) -> None:
        self._breaker: CircuitBreaker | None = breaker
        #: the generation of the breaker; for a trial ping, the generation in which the outage began
        self.generation = generation
        self.acquired_at = acquired_at
        self.is_trial_ping = is_trial_ping

    def success(self) -> None:
        """End the permit: the target replied, perhaps with an error that only a live server sends."""
        self._end("success")

    def failure(self, error: TargetError) -> None:
        """End the permit: the target is not available (``TargetError.unavailable``), for this reason."""
        self._end("failure", error)

    def release(self) -> None:
        """End the permit of a cancelled call without a verdict. A half-open breaker permits another trial at once."""
        self._end("released")

    def _end(self, verdict: Verdict, error: TargetError | None = None) -> None:
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.record(self, verdict, error)


class CircuitBreaker:
    """The breaker of one target. Everything that sends requests to the target needs a permit first.

    The first open time of heavy work is ``open_interval``. Each further one is drawn from [``open_interval``, bound].
    The bound doubles up to ``open_interval_max``. A stable close resets it. A close is stable if it
    lasted at least as long as the last open time.

    ``clock`` is monotonic, in seconds. ``on_change(old, new)`` is called last, when the new state is complete.
    """

    __slots__ = (
        "_backoff",
        "_clock",
        "_consecutive_failures",
        "_generation",
        "_has_heavy_trial",
        "_next_trial_ping",
        "_not_closed_seconds",
        "_not_closed_since",
        "_on_change",
        "_open_time",
        "_open_until",
        "_outage",
        "_settings",
        "_trial_interval",
        "_trial_pings_fail",
        "_window",
        "cause",
        "closed_since",
        "state",
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
        #: the error that last opened the breaker; None if it never opened, or if slow calls opened it
        self.cause: TargetError | None = None
        self._settings, self._clock, self._on_change = settings, clock, on_change
        self._trial_interval = trial_interval
        self._next_trial_ping = -math.inf  # compared with the due times of pings
        base = settings.open_interval
        self._backoff = Backoff(base, settings.open_interval_max, floor=base, jitter=jitter)
        self._window = CallWindow(settings.window)
        self._generation = self._outage = self._consecutive_failures = 0
        self._has_heavy_trial = self._trial_pings_fail = False
        self._open_time = self._open_until = self._not_closed_seconds = self._not_closed_since = 0.0
        #: when the breaker was last closed, or created
        self.closed_since = clock()
        if settings.force == "open":
            self.state, self._open_until, self._not_closed_since = "open", math.inf, clock()

    def acquire(self) -> Permit | None:
        """Return a permit for one heavy call. Returns None if nothing may be sent; see ``rejection_error()``."""
        if self.state == "open" and self._clock() >= self._open_until:
            self._transition("half_open")
        if self.state == "open" or self._has_heavy_trial:
            return None
        self._has_heavy_trial = self.state == "half_open"
        return Permit(self, self._generation, self._clock())

    def acquire_probe(self, due: float) -> Permit | None:
        """Return a permit for the ping that is due at ``due``.

        Returns None while the breaker is not closed, unless it is time for a trial ping.
        """
        if self.state == "closed":
            return Permit(self, self._generation, self._clock())
        if self._settings.force == "open" or due < self._next_trial_ping:
            return None
        self._next_trial_ping = due + self._trial_interval * (1 - TRIAL_TOLERANCE)
        return Permit(self, self._outage, self._clock(), is_trial_ping=True)

    def rejection_error(self) -> TargetError:
        """Return the error of a call without a permit: a copy of the cause, or RejectedError without a cause."""
        if self._settings.force == "open":
            return RejectedError("the circuit breaker is forced open")
        if self.cause is None:
            return RejectedError("the circuit breaker is open: calls are too slow")
        return self.cause.untried()

    def seconds_until_attempt(self) -> float:
        """Return the seconds until the open time ends. Returns 0 unless open: half-open waits for a verdict instead."""
        return max(0.0, self._open_until - self._clock()) if self.state == "open" else 0.0

    def seconds_not_closed(self) -> float:
        """Return the seconds spent open or half-open since the start. The value never decreases."""
        current = 0.0 if self.state == "closed" else self._clock() - self._not_closed_since
        return self._not_closed_seconds + current

    def record(self, permit: Permit, verdict: Verdict, error: TargetError | None) -> None:
        """Record the verdict of a permit, with the error of a failure. Only permits call this."""
        failed, slow = verdict == "failure", verdict == "success" and self._was_slow(permit)
        if permit.is_trial_ping:
            if permit.generation == self._outage and self.state != "closed":
                self._record_trial_ping(succeeded=verdict == "success" and not slow, failed=failed or slow)
            return
        if permit.generation != self._generation or self._settings.force == "closed":
            return
        if self.state == "half_open":
            self._record_heavy_trial(verdict, error if failed or slow else self.cause, failed=failed or slow)
        elif verdict != "released":
            self._window.add(self._clock(), failed=failed, slow=slow)
            self._consecutive_failures = self._consecutive_failures + 1 if failed else 0
            if (failed or slow) and self._should_open():
                self._open(error)

    def _record_trial_ping(self, *, succeeded: bool, failed: bool) -> None:
        self._trial_pings_fail = self._trial_pings_fail or failed
        if succeeded:
            self._transition("closed")

    def _record_heavy_trial(self, verdict: Verdict, cause: TargetError | None, *, failed: bool) -> None:
        self._has_heavy_trial = False
        if failed or (verdict == "success" and self._trial_pings_fail):
            self._open(cause)
        elif verdict == "success":
            self._transition("closed")

    def _was_slow(self, permit: Permit) -> bool:
        limit = self._settings.slow_call_duration
        return limit is not None and self._clock() - permit.acquired_at > limit

    def _should_open(self) -> bool:
        settings, window = self._settings, self._window
        if self._consecutive_failures >= settings.failure_threshold:
            return True
        if window.calls < settings.minimum_calls:
            return False
        too_slow = settings.slow_call_duration is not None and window.slow / window.calls >= settings.slow_call_ratio
        return too_slow or window.failures / window.calls >= settings.failure_ratio

    def _open(self, cause: TargetError | None) -> None:
        now = self._clock()
        if self.state == "closed":
            self._next_trial_ping = -math.inf
            if now - self.closed_since >= self._open_time:  # a stable close
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
            self._not_closed_seconds += self.closed_since - self._not_closed_since
            self._consecutive_failures = 0
            self._has_heavy_trial = False
            self._window.clear()
        self._on_change(old, new)
