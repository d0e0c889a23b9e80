"""Every ping has one outcome, whatever the target, the network and the exporter's event loop do."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redis_pulse.probe.inflight import InflightPing, InflightPings


def in_flight(*sent: float, timeout: float = 1.0, max_outstanding: int = 64) -> InflightPings[str]:
    pings: InflightPings[str] = InflightPings(timeout, max_outstanding)
    for moment in sent:
        pings.open(moment, moment, f"ping at {moment}")
    return pings


def tokens(pings: list[InflightPing[str]]) -> list[str]:
    return [ping.token for ping in pings]


def test_replies_belong_to_the_pings_in_order() -> None:
    pings = in_flight(10, 10.1)
    first, second = pings.record_reply(10.25), pings.record_reply(10.25)
    assert first
    assert second
    assert (first.token, first.outcome) == ("ping at 10", "reply")
    assert (second.token, second.outcome) == ("ping at 10.1", "reply")
    assert (first.round_trip, second.round_trip) == (0.25, pytest.approx(0.15))
    assert (pings.replies, pings.in_flight, pings.outstanding) == (2, 0, 0)


def test_lateness_of_the_exporter_is_no_part_of_the_round_trip() -> None:
    pings: InflightPings[None] = InflightPings(1.0)
    ping = pings.open(due=10, sent=10.5, token=None)
    assert pings.next_deadline() == 11.5
    pings.record_reply(10.75)
    assert (ping.lateness, ping.round_trip) == (0.5, 0.25)


def test_ping_sent_slightly_early_is_not_late() -> None:
    assert InflightPing(due=10, sent=9.999, token=None).lateness == 0


def test_ping_times_out_at_its_deadline_and_not_before() -> None:
    pings = in_flight(10, 10.5)
    assert pings.expire(10.999) == []
    assert tokens(pings.expire(11)) == ["ping at 10"]
    assert pings.expire(11) == [], "once"
    assert (pings.timeouts, pings.in_flight, pings.outstanding) == (1, 1, 2)
    assert pings.next_deadline() == 11.5


def test_late_reply_only_removes_its_ping_from_the_queue() -> None:
    """The ping timed out at its deadline. The next reply still belongs to the next ping."""
    pings = in_flight(10, 11.5)
    pings.expire(11)
    assert pings.record_reply(12) is None
    assert (pings.late_replies, pings.timeouts, pings.replies) == (1, 1, 0)
    answered = pings.record_reply(12)
    assert answered
    assert (answered.token, answered.round_trip) == ("ping at 11.5", 0.5)


def test_reply_after_the_deadline_is_a_timeout_even_if_read_late() -> None:
    """The event loop was blocked. The time of the reply decides, not the order in which events are noticed."""
    pings = in_flight(10)
    ping = pings.record_reply(11)
    assert ping
    assert (ping.outcome, ping.round_trip) == ("timeout", 1)
    assert (pings.timeouts, pings.late_replies, pings.replies) == (1, 1, 0)


def test_reply_before_the_deadline_is_in_time_even_if_read_late() -> None:
    pings = in_flight(10)
    ping = pings.record_reply(10.999)
    assert ping
    assert ping.outcome == "reply"
    assert pings.expire(500) == []


def test_stall_shows_as_falling_round_trips() -> None:
    """A stall of two seconds at 10 pings per second, answered all at once: twenty samples, none omitted."""
    pings = in_flight(*(10 + n / 10 for n in range(20)), timeout=5)
    round_trips = [ping.round_trip for ping in (pings.record_reply(12) for _ in range(20)) if ping]
    assert round_trips == pytest.approx([2 - n / 10 for n in range(20)])


def test_dropped_ping_leaves_the_queue_to_the_next_ping() -> None:
    pings = in_flight(10, 10.1)
    dropped = pings.drop_oldest()
    assert dropped
    assert (dropped.token, dropped.outcome, dropped.round_trip) == ("ping at 10", "lost", None)
    answered = pings.record_reply(10.25)
    assert answered
    assert (answered.token, answered.round_trip) == ("ping at 10.1", pytest.approx(0.15))
    assert (pings.losses, pings.replies, pings.outstanding) == (1, 1, 0)
    assert pings.balanced


def test_ping_that_timed_out_and_is_dropped_keeps_its_outcome() -> None:
    pings = in_flight(10, 11.5)
    pings.expire(11)
    assert pings.drop_oldest() is None
    assert (pings.timeouts, pings.losses, pings.late_replies, pings.in_flight) == (1, 0, 0, 1)
    assert pings.balanced
    with pytest.raises(LookupError, match="no ping"):
        in_flight().drop_oldest()


def test_lost_connection_fails_only_pings_without_an_outcome() -> None:
    pings = in_flight(10, 10.5, 10.6)
    pings.expire(11)
    assert tokens(pings.close_all()) == ["ping at 10.5", "ping at 10.6"]
    assert (pings.losses, pings.timeouts, pings.outstanding, pings.next_deadline()) == (2, 1, 0, None)
    assert pings.close_all() == []


def test_new_connection_starts_with_an_empty_queue() -> None:
    """No reply of the old connection can be taken for one of the new connection."""
    pings = in_flight(10, 10.5)
    pings.expire(11)
    pings.close_all()
    pings.open(12, 12, "new")
    ping = pings.record_reply(12.25)
    assert ping
    assert ping.token == "new"
    assert pings.balanced


def test_outstanding_late_replies_count_towards_the_limit() -> None:
    """A hung server must not make the queue grow for hours."""
    pings = in_flight(10, 11, max_outstanding=2)
    pings.expire(20)
    assert pings.full
    with pytest.raises(RuntimeError, match="2 pings are unanswered"):
        pings.open(20, 20, "one too many")
    assert pings.record_reply(21) is None
    assert not pings.full
    assert pings.balanced


def test_reply_without_a_ping_is_an_error() -> None:
    pings = in_flight()
    with pytest.raises(LookupError, match="without a ping"):
        pings.record_reply(10)
    assert pings.balanced


class InflightMachine(RuleBasedStateMachine):
    """Pings, replies, stalls, blocked loops and lost connections in any order. The model is a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue: list[InflightPing[int]] = []
        self.outcomes: dict[int, str] = {}
        self.late = 0
        self.number = 0

    @initialize(timeout=st.sampled_from([0.5, 1.0, 2.0]), limit=st.integers(1, 8))
    def build(self, timeout: float, limit: int) -> None:
        self.timeout, self.limit = timeout, limit
        self.pings: InflightPings[int] = InflightPings(timeout, limit)

    @rule(eighths=st.integers(0, 12))
    def time_passes(self, eighths: int) -> None:
        self.now += eighths / 8

    @precondition(lambda self: len(self.queue) < self.limit)
    @rule(lateness=st.integers(0, 4))
    def a_ping_is_sent(self, lateness: int) -> None:
        self.queue.append(self.pings.open(self.now - lateness / 8, self.now, self.number))
        self.number += 1

    @precondition(lambda self: self.queue)
    @rule()
    def a_reply_comes(self) -> None:
        oldest = self.queue.pop(0)
        over = self.now >= oldest.sent + self.timeout
        ping = self.pings.record_reply(self.now)
        self.late += over
        assert (ping is None) == (oldest.token in self.outcomes)
        if ping:
            assert ping is oldest
            self.expect(ping, "timeout" if over else "reply")
        assert oldest.round_trip == self.now - oldest.sent

    @precondition(lambda self: self.queue)
    @rule()
    def a_reply_is_missing(self) -> None:
        oldest = self.queue.pop(0)
        ping = self.pings.drop_oldest()
        assert (ping is None) == (oldest.token in self.outcomes)
        if ping:
            assert ping is oldest
            self.expect(ping, "lost")

    @rule()
    def the_timer_fires(self) -> None:
        over = [ping for ping in self.queue if ping.sent + self.timeout <= self.now and ping.token not in self.outcomes]
        assert self.pings.expire(self.now) == over
        for ping in over:
            self.expect(ping, "timeout")

    @rule()
    def the_connection_is_lost(self) -> None:
        open_pings = [ping for ping in self.queue if ping.token not in self.outcomes]
        assert self.pings.close_all() == open_pings
        for ping in open_pings:
            self.expect(ping, "lost")
        self.queue.clear()

    def expect(self, ping: InflightPing[int], outcome: str) -> None:
        assert ping.token not in self.outcomes, "a second outcome"
        assert ping.outcome == outcome
        self.outcomes[ping.token] = outcome

    @invariant()
    def every_ping_has_one_outcome_or_is_in_flight(self) -> None:
        open_pings = [ping for ping in self.queue if ping.token not in self.outcomes]
        assert all(ping.outcome is None for ping in open_pings)
        assert self.pings.balanced
        assert self.pings.opened == self.number == len(self.outcomes) + len(open_pings)
        assert self.pings.in_flight == len(open_pings)

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        outcomes = list(self.outcomes.values())
        pings = self.pings
        assert pings.replies == outcomes.count("reply")
        assert pings.timeouts == outcomes.count("timeout")
        assert pings.losses == outcomes.count("lost")
        assert pings.late_replies == self.late

    @invariant()
    def the_queue_is_limited_and_knows_its_next_deadline(self) -> None:
        deadlines = [ping.sent + self.timeout for ping in self.queue if ping.token not in self.outcomes]
        assert self.pings.next_deadline() == min(deadlines, default=None)
        assert self.pings.outstanding == len(self.queue) <= self.limit
        assert self.pings.full == (len(self.queue) == self.limit)


TestInflightMachine = InflightMachine.TestCase
TestInflightMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
