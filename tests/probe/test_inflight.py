"""Every ping has one outcome, whatever the target, the network and our own loop do."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redis_pulse.probe.inflight import InflightPing, InflightPings


def on_the_wire(*sent: float, timeout: float = 1.0, max_outstanding: int = 64) -> InflightPings[str]:
    slots: InflightPings[str] = InflightPings(timeout, max_outstanding)
    for moment in sent:
        slots.open(moment, moment, f"ping at {moment}")
    return slots


def tokens(closed: list[InflightPing[str]]) -> list[str]:
    return [slot.token for slot in closed]


def test_replies_take_the_pings_in_order() -> None:
    slots = on_the_wire(10, 10.1)
    first, second = slots.record_reply(10.25), slots.record_reply(10.25)
    assert first
    assert second
    assert (first.token, first.outcome) == ("ping at 10", "reply")
    assert (second.token, second.outcome) == ("ping at 10.1", "reply")
    assert (first.round_trip, second.round_trip) == (0.25, pytest.approx(0.15))
    assert (slots.replies, slots.in_flight, slots.outstanding) == (2, 0, 0)


def test_our_own_lateness_is_no_part_of_the_round_trip() -> None:
    slots: InflightPings[None] = InflightPings(1.0)
    opened = slots.open(due=10, sent=10.5, token=None)
    assert slots.next_deadline() == 11.5
    slots.record_reply(10.75)
    assert (opened.lateness, opened.round_trip) == (0.5, 0.25)


def test_a_ping_sent_a_hair_early_is_not_late() -> None:
    assert InflightPing(due=10, sent=9.999, token=None).lateness == 0


def test_a_slot_times_out_at_its_deadline_and_not_before() -> None:
    slots = on_the_wire(10, 10.5)
    assert slots.expire(10.999) == []
    assert tokens(slots.expire(11)) == ["ping at 10"]
    assert slots.expire(11) == [], "once"
    assert (slots.timeouts, slots.in_flight, slots.outstanding) == (1, 1, 2)
    assert slots.next_deadline() == 11.5


def test_a_late_reply_only_leaves_the_queue() -> None:
    """The slot was booked as a timeout at its deadline; the next reply still finds its own ping."""
    slots = on_the_wire(10, 11.5)
    slots.expire(11)
    assert slots.record_reply(12) is None
    assert (slots.late_replies, slots.late_round_trip, slots.timeouts, slots.replies) == (1, 2, 1, 0)
    answered = slots.record_reply(12)
    assert answered
    assert (answered.token, answered.round_trip) == ("ping at 11.5", 0.5)


def test_a_reply_after_the_deadline_is_a_timeout_even_when_we_looked_late() -> None:
    """Our loop was blocked: the reply's time decides, not the order in which we came to see things."""
    slots = on_the_wire(10)
    slot = slots.record_reply(11)
    assert slot
    assert (slot.outcome, slot.round_trip) == ("timeout", 1)
    assert (slots.timeouts, slots.late_replies, slots.late_round_trip, slots.replies) == (1, 1, 1, 0)


def test_a_reply_before_the_deadline_is_in_time_even_when_we_looked_late() -> None:
    slots = on_the_wire(10)
    slot = slots.record_reply(10.999)
    assert slot
    assert slot.outcome == "reply"
    assert slots.expire(500) == []


def test_a_stall_shows_as_falling_round_trips() -> None:
    """Two seconds at 10 Hz, answered all at once when the stall ends: twenty samples, none omitted."""
    slots = on_the_wire(*(10 + n / 10 for n in range(20)), timeout=5)
    trips = [slot.round_trip for slot in (slots.record_reply(12) for _ in range(20)) if slot]
    assert trips == pytest.approx([2 - n / 10 for n in range(20)])


def test_a_ping_that_is_passed_over_leaves_the_queue_and_the_next_reply_is_that_of_the_next_ping() -> None:
    slots = on_the_wire(10, 10.1)
    passed = slots.drop_oldest()
    assert passed
    assert (passed.token, passed.outcome, passed.round_trip) == ("ping at 10", "lost", None)
    answered = slots.record_reply(10.25)
    assert answered
    assert (answered.token, answered.round_trip) == ("ping at 10.1", pytest.approx(0.15))
    assert (slots.losses, slots.replies, slots.outstanding) == (1, 1, 0)
    assert slots.balanced


def test_a_ping_that_timed_out_and_is_passed_over_keeps_its_one_outcome() -> None:
    slots = on_the_wire(10, 11.5)
    slots.expire(11)
    assert slots.drop_oldest() is None
    assert (slots.timeouts, slots.losses, slots.late_replies, slots.in_flight) == (1, 0, 0, 1)
    assert slots.balanced
    with pytest.raises(LookupError, match="no ping"):
        on_the_wire().drop_oldest()


def test_a_lost_connection_fails_what_is_in_flight_and_only_that() -> None:
    slots = on_the_wire(10, 10.5, 10.6)
    slots.expire(11)
    assert tokens(slots.close_all()) == ["ping at 10.5", "ping at 10.6"]
    assert (slots.losses, slots.timeouts, slots.outstanding, slots.next_deadline()) == (2, 1, 0, None)
    assert slots.close_all() == []


def test_a_new_connection_starts_with_an_empty_queue() -> None:
    """No reply of the old connection can ever be taken for one of the new."""
    slots = on_the_wire(10, 10.5)
    slots.expire(11)
    slots.close_all()
    slots.open(12, 12, "new")
    slot = slots.record_reply(12.25)
    assert slot
    assert slot.token == "new"
    assert slots.balanced


def test_late_replies_that_are_owed_count_towards_the_cap() -> None:
    """A hung server must not make the queue grow for hours."""
    slots = on_the_wire(10, 11, max_outstanding=2)
    slots.expire(20)
    assert slots.full
    with pytest.raises(RuntimeError, match="2 pings are unanswered"):
        slots.open(20, 20, "one too many")
    assert slots.record_reply(21) is None
    assert not slots.full
    assert slots.balanced


def test_a_reply_that_nobody_asked_for_is_an_error() -> None:
    slots = on_the_wire()
    with pytest.raises(LookupError, match="without a ping"):
        slots.record_reply(10)
    assert slots.balanced


class SlotsMachine(RuleBasedStateMachine):
    """Pings, replies, stalls, blocked loops and broken connections in any order; the model is a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.wire: list[InflightPing[int]] = []
        self.outcomes: dict[int, str] = {}
        self.late = 0
        self.number = 0

    @initialize(timeout=st.sampled_from([0.5, 1.0, 2.0]), most=st.integers(1, 8))
    def build(self, timeout: float, most: int) -> None:
        self.timeout, self.most = timeout, most
        self.slots: InflightPings[int] = InflightPings(timeout, most)

    @rule(eighths=st.integers(0, 12))
    def time_passes(self, eighths: int) -> None:
        self.now += eighths / 8

    @precondition(lambda self: len(self.wire) < self.most)
    @rule(lateness=st.integers(0, 4))
    def a_ping_goes_out(self, lateness: int) -> None:
        self.wire.append(self.slots.open(self.now - lateness / 8, self.now, self.number))
        self.number += 1

    @precondition(lambda self: self.wire)
    @rule()
    def a_reply_comes(self) -> None:
        due = self.wire.pop(0)
        over = self.now >= due.sent + self.timeout
        slot = self.slots.record_reply(self.now)
        self.late += over
        assert (slot is None) == (due.token in self.outcomes)
        if slot:
            assert slot is due
            self.settle(slot, "timeout" if over else "reply")
        assert due.round_trip == self.now - due.sent

    @precondition(lambda self: self.wire)
    @rule()
    def a_reply_is_left_out(self) -> None:
        oldest = self.wire.pop(0)
        slot = self.slots.drop_oldest()
        assert (slot is None) == (oldest.token in self.outcomes)
        if slot:
            assert slot is oldest
            self.settle(slot, "lost")

    @rule()
    def the_timer_fires(self) -> None:
        over = [slot for slot in self.wire if slot.sent + self.timeout <= self.now and slot.token not in self.outcomes]
        assert self.slots.expire(self.now) == over
        for slot in over:
            self.settle(slot, "timeout")

    @rule()
    def the_connection_is_lost(self) -> None:
        flying = [slot for slot in self.wire if slot.token not in self.outcomes]
        assert self.slots.close_all() == flying
        for slot in flying:
            self.settle(slot, "lost")
        self.wire.clear()

    def settle(self, slot: InflightPing[int], outcome: str) -> None:
        assert slot.token not in self.outcomes, "an outcome twice"
        assert slot.outcome == outcome
        self.outcomes[slot.token] = outcome

    @invariant()
    def every_slot_has_one_outcome_or_is_in_flight(self) -> None:
        flying = [slot for slot in self.wire if slot.token not in self.outcomes]
        assert all(slot.outcome is None for slot in flying)
        assert self.slots.balanced
        assert self.slots.opened == self.number == len(self.outcomes) + len(flying)
        assert self.slots.in_flight == len(flying)

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        counted = list(self.outcomes.values())
        slots = self.slots
        assert slots.replies == counted.count("reply")
        assert slots.timeouts == counted.count("timeout")
        assert slots.losses == counted.count("lost")
        assert slots.late_replies == self.late

    @invariant()
    def the_queue_is_bounded_and_tells_its_next_deadline(self) -> None:
        deadlines = [slot.sent + self.timeout for slot in self.wire if slot.token not in self.outcomes]
        assert self.slots.next_deadline() == min(deadlines, default=None)
        assert self.slots.outstanding == len(self.wire) <= self.most
        assert self.slots.full == (len(self.wire) == self.most)


TestSlotsMachine = SlotsMachine.TestCase
TestSlotsMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
