"""Compare the breaker with a model, in random sequences of calls, verdicts and time.

The model works in another way: it keeps every call of the window with its time.
"""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redis_pulse.circuit_breaker import Permit, State
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import LoadingError
from tests.fakes import CountingBreaker, ManualClock

LEGAL = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")} | {
    ("open", "closed")
}
VERDICTS = st.sampled_from(["success", "failure", "release"])


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # All times are multiples of 1/8 s, so that their sums are exact. One part of the window is 1 s.
        self.clock = ManualClock(0.0)
        self.jitter = 0.0
        self.changes: list[tuple[State, State]] = []
        self.ended: list[Permit] = []
        self.outstanding: list[tuple[Permit, int]] = []
        self.calls = 0
        self.verdicts = {"success": 0, "failure": 0, "release": 0}

        self.state: State = "closed"
        self.generation = 0
        self.consecutive_failures = 0
        self.window: list[tuple[float, bool, bool]] = []
        self.outage = 0
        self.pings_fail = False
        self.trial_pings: list[tuple[Permit, int]] = []
        self.next_ping = float("-inf")
        self.trial: Permit | None = None
        self.bound = self.open_time = self.open_until = self.closed_since = 0.0
        self.not_closed = 0.0

    @initialize(
        threshold=st.integers(1, 6),
        minimum=st.integers(1, 8),
        ratio=st.sampled_from([0.25, 0.5, 1.0]),
        first=st.sampled_from([1.0, 4.0]),
        longest=st.sampled_from([1.0, 4.0, 30.0]),
        slow=st.sampled_from([None, 1.0, 4.0]),
    )
    def build(
        self, threshold: int, minimum: int, ratio: float, first: float, longest: float, slow: float | None
    ) -> None:
        self.limits = BreakerSettings(
            failure_threshold=threshold,
            minimum_calls=minimum,
            failure_ratio=ratio,
            open_interval=first,
            open_interval_max=max(first, longest),
            window=12,
            slow_call_duration=slow,
            slow_call_ratio=0.5,
        )
        self.breaker = CountingBreaker(
            self.limits,
            self.clock,
            trial_interval=2.0,
            jitter=lambda: self.jitter,
            on_change=lambda *change: self.changes.append(change),
        )
        self.bound = first

    @rule(eighths=st.integers(0, 16))
    def short_time_passes(self, eighths: int) -> None:
        self.pass_time(eighths / 8)

    @rule(seconds=st.integers(3, 40))
    def long_time_passes(self, seconds: int) -> None:
        self.pass_time(seconds)

    @precondition(lambda self: self.state == "open")
    @rule()
    def open_time_passes(self) -> None:
        self.pass_time(max(0.0, self.open_until - self.clock()))

    @rule(jitter=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9990234375]))
    def jitter_changes(self, jitter: float) -> None:
        self.jitter = jitter

    @rule()
    def call_requests_permit(self) -> None:
        self.calls += 1
        permit = self.breaker.acquire()
        if self.state == "open" and self.clock() >= self.open_until:
            self.transition("half_open")
        allowed = self.state == "closed" or (self.state == "half_open" and self.trial is None)
        assert (permit is not None) == allowed
        if permit is not None:
            self.outstanding.append((permit, self.generation))
            if self.state == "half_open":
                self.trial = permit

    @rule()
    def ping_requests_permit(self) -> None:
        self.calls += 1
        permit = self.breaker.acquire_probe(self.clock())
        allowed = self.state == "closed" or self.clock() >= self.next_ping
        assert (permit is not None) == allowed
        if permit is None:
            return
        if self.state == "closed":
            self.outstanding.append((permit, self.generation))
        else:
            self.next_ping = self.clock() + 2.0 * 0.99
            self.trial_pings.append((permit, self.outage))

    @precondition(lambda self: self.trial_pings)
    @rule(which=st.integers(0, 1000), verdict=VERDICTS)
    def trial_ping_ends(self, which: int, verdict: str) -> None:
        permit, outage = self.trial_pings.pop(which % len(self.trial_pings))
        slow = self.is_slow(permit)
        self.give_verdict(permit, verdict)
        self.ended.append(permit)
        self.verdicts[verdict] += 1
        if outage == self.outage and self.state != "closed":
            if verdict == "success" and not slow:
                self.transition("closed")
            elif verdict != "release":
                self.pings_fail = True

    @rule(verdict=VERDICTS, times=st.integers(1, 6))
    def calls_start_and_end_at_once(self, verdict: str, times: int) -> None:
        for _ in range(times):
            before = len(self.outstanding)
            self.call_requests_permit()
            if len(self.outstanding) > before:
                self.end(-1, verdict)

    @precondition(lambda self: self.outstanding)
    @rule(which=st.integers(0, 1000), verdict=VERDICTS)
    def call_ends(self, which: int, verdict: str) -> None:
        self.end(which % len(self.outstanding), verdict)

    @precondition(lambda self: self.trial)
    @rule(verdict=VERDICTS)
    def trial_ends(self, verdict: str) -> None:
        self.end(next(i for i, (permit, _) in enumerate(self.outstanding) if permit is self.trial), verdict)

    @precondition(lambda self: self.ended)
    @rule(which=st.integers(0, 1000), verdict=VERDICTS)
    def ended_permit_receives_second_verdict(self, which: int, verdict: str) -> None:
        self.give_verdict(self.ended[which % len(self.ended)], verdict)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.state != "closed":
            self.not_closed += seconds

    def end(self, index: int, verdict: str) -> None:
        permit, generation = self.outstanding.pop(index)
        slow = verdict == "success" and self.is_slow(permit)
        self.give_verdict(permit, verdict)
        self.ended.append(permit)
        self.verdicts[verdict] += 1
        if permit is self.trial:
            self.trial = None
        if generation == self.generation and verdict != "release":
            self.record_verdict(failed=verdict == "failure", slow=slow)

    def is_slow(self, permit: Permit) -> bool:
        limit = self.limits.slow_call_duration
        return limit is not None and self.clock() - permit.acquired_at > limit

    @staticmethod
    def give_verdict(permit: Permit, verdict: str) -> None:
        permit.failure(LoadingError("LOADING")) if verdict == "failure" else getattr(permit, verdict)()

    def record_verdict(self, *, failed: bool, slow: bool) -> None:
        if self.state == "half_open":
            if failed or slow or self.pings_fail:
                self.open()
            else:
                self.transition("closed")
            return
        self.consecutive_failures = self.consecutive_failures + 1 if failed else 0
        self.window.append((self.clock(), failed, slow))
        recent = self.recent()
        failures, slow_calls = sum(failure for failure, _ in recent), sum(was_slow for _, was_slow in recent)
        by_ratio = len(recent) >= self.limits.minimum_calls and (
            failures >= self.limits.failure_ratio * len(recent)
            or (self.limits.slow_call_duration is not None and slow_calls >= 0.5 * len(recent))
        )
        if (failed or slow) and (self.consecutive_failures >= self.limits.failure_threshold or by_ratio):
            self.open()

    def recent(self) -> list[tuple[bool, bool]]:
        """Return for each call of the window whether it failed and whether it was slow.

        The window forgets calls only when a call is added.
        """
        oldest = int(self.window[-1][0]) - 11 if self.window else 0
        return [(failed, slow) for when, failed, slow in self.window if when >= oldest]

    def open(self) -> None:
        first = self.limits.open_interval
        if self.state == "closed" and self.clock() - self.closed_since >= self.open_time:
            self.bound = first
        self.open_time = self.breaker.seconds_until_attempt()
        assert first <= self.open_time <= self.bound <= self.limits.open_interval_max
        assert self.open_time == first + self.jitter * (self.bound - first)
        self.open_until = self.clock() + self.open_time
        self.bound = min(2 * self.bound, self.limits.open_interval_max)
        self.transition("open")

    def transition(self, new: State) -> None:
        before, self.state = self.state, new
        self.generation += 1
        if before == "closed":
            self.outage, self.next_ping, self.pings_fail = self.generation, float("-inf"), False
        if new == "closed":
            self.trial = None
            self.closed_since, self.consecutive_failures = self.clock(), 0
            self.window.clear()

    @invariant()
    def state_is_that_of_model(self) -> None:
        assert self.breaker.state == self.state

    @invariant()
    def at_most_one_trial_is_outstanding(self) -> None:
        trials = [
            permit
            for permit, generation in self.outstanding
            if generation == self.generation and self.state == "half_open"
        ]
        assert len(trials) <= 1
        assert trials == ([self.trial] if self.trial else [])

    @invariant()
    def counts_are_consistent(self) -> None:
        breaker = self.breaker
        assert self.calls == breaker.permitted + breaker.rejected
        assert breaker.permitted == breaker.successes + breaker.failures + breaker.releases + self.outstanding_count()
        assert breaker.outstanding == self.outstanding_count()
        assert (breaker.successes, breaker.failures, breaker.releases) == tuple(self.verdicts.values())

    @invariant()
    def window_has_calls_of_model(self) -> None:
        recent, window = self.recent(), self.breaker._window
        assert window.calls == len(recent)
        assert (window.failures, window.slow) == (sum(f for f, _ in recent), sum(s for _, s in recent))

    def outstanding_count(self) -> int:
        return len(self.outstanding) + len(self.trial_pings)

    @invariant()
    def changes_are_legal_and_connected(self) -> None:
        assert set(self.changes) <= LEGAL
        assert all(before[1] == after[0] for before, after in pairwise(self.changes))
        assert len(self.changes) == self.generation
        assert not self.changes or (self.changes[0][0], self.changes[-1][1]) == ("closed", self.state)

    @invariant()
    def time_not_closed_is_that_of_model(self) -> None:
        assert abs(self.breaker.seconds_not_closed() - self.not_closed) < 1e-6

    @invariant()
    def seconds_until_attempt_is_that_of_model(self) -> None:
        left = max(0.0, self.open_until - self.clock()) if self.state == "open" else 0.0
        assert self.breaker.seconds_until_attempt() == left


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
