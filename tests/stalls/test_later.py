"""Stalls between two pings are counted once and apart, and only CPU time of their moment gives them a cause."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.metric import LatencySpike, LatencySpikes, SlowCommand, SlowCommands
from redis_pulse.stalls.causes import CAUSES
from redis_pulse.stalls.later import LaterFinder, LaterStall, Moment, explain
from redis_pulse.stalls.snapshots import CpuUsed

NOW = 1000.0


def slow(seconds: float | None = 0.3, command: str = "keys", age: float | None = 5.0) -> SlowCommand:
    return SlowCommand(command, seconds, "cart", 17, age)


def spike(event: str, at: int = 500, seconds: float = 0.3, age: float | None = 5.0) -> LatencySpike:
    return LatencySpike(event, at, seconds, age)


class Polls:
    """The polls of one target, 15 s apart."""

    def __init__(self) -> None:
        self.now = NOW
        self.finder = LaterFinder(0.1, self.now)
        self.poll()

    def poll(self, *found: SlowCommand | LatencySpike, running: Moment | None = None) -> list[LaterStall]:
        self.now += 15
        commands = tuple(one for one in found if isinstance(one, SlowCommand))
        self.finder.slow_commands(SlowCommands(commands, 0), self.now)
        spikes = tuple(one for one in found if isinstance(one, LatencySpike))
        self.finder.latency_spikes(LatencySpikes(spikes), self.now)
        self.finder.polled(self.now)
        return self.finder.take(self.now, running, self.now)


def test_slow_command_between_two_pings_is_found() -> None:
    polls = Polls()
    (stall,) = polls.poll(slow())
    assert (stall.name, stall.seconds, stall.source, stall.cause) == ("keys", 0.3, "slow log 17", "command")
    assert stall.moment.overlaps(polls.now - 5.2, polls.now - 5.1)
    assert polls.poll() == [], "each one once"


def test_command_below_the_threshold_is_no_stall() -> None:
    assert Polls().poll(slow(0.09), slow(None)) == []


def test_stall_that_a_ping_met_is_not_counted_again() -> None:
    polls = Polls()
    polls.finder.seen(polls.now + 9.6, polls.now + 9.9)
    assert polls.poll(slow(age=5.0)) == []
    assert polls.poll(slow(age=1.0), running=Moment(polls.now + 13, polls.now + 16)) == [], "nor one that lasts"


@pytest.mark.parametrize("age", [None, -9e8, 9e8])
def test_clock_of_the_server_may_be_years_off(age: float | None) -> None:
    """Without a usable time, a stall that a ping met since the poll before may be the same one."""
    polls = Polls()
    assert len(polls.poll(slow(age=age))) == 1
    polls.finder.seen(polls.now + 2, polls.now + 3)
    assert polls.poll(slow(age=age)) == []


def test_latency_event_counts_when_it_is_new() -> None:
    polls = Polls()
    assert polls.poll(spike("fork")) != [], "the log was empty before"
    assert polls.poll(spike("fork")) == []
    (stall,) = polls.poll(spike("fork", at=501))
    assert (stall.cause, stall.source) == ("fork", "latency event")


def test_old_events_of_the_first_poll_do_not_count() -> None:
    finder = LaterFinder(0.1, NOW)
    finder.latency_spikes(LatencySpikes((spike("fork"),)), NOW)
    assert finder.take(NOW, None, NOW) == []


def test_one_stall_in_two_logs_is_one() -> None:
    """A fork delays BGSAVE, and an eviction has an event within an event."""
    polls = Polls()
    assert [one.cause for one in polls.poll(slow(command="bgsave"), spike("fork"))] == ["fork"]
    found = polls.poll(spike("eviction-del", at=600, seconds=0.2), spike("eviction-cycle", at=600))
    assert [one.name for one in found] == ["eviction-cycle"]
    assert polls.poll(slow(), spike("command", at=700)) != []


def test_stall_waits_for_the_next_snapshot_but_not_for_long() -> None:
    polls = Polls()
    polls.finder.slow_commands(SlowCommands((slow(age=0.0),), 0), polls.now)
    assert polls.finder.take(polls.now, None, polls.now - 1) == []
    assert len(polls.finder.take(polls.now + 6, None, polls.now - 1)) == 1


def stall(name: str = "keys", seconds: float = 0.3, *, is_event: bool = False) -> LaterStall:
    return LaterStall(name, seconds, Moment(0, 1), "slow log 17", is_event)


IDLE, BUSY = CpuUsed(0.02, 3.0, 0.01), CpuUsed(0.35, 3.0, 0.01)


@pytest.mark.parametrize(
    ("name", "cpu", "cause"),
    [
        ("keys", BUSY, "command"),
        ("eval", BUSY, "script"),
        ("bgsave", BUSY, "fork"),
        ("keys", IDLE, "not_running"),
        ("keys", None, "unknown"),
        ("debug", IDLE, "command"),
        ("get", BUSY, "unknown"),
        ("other", BUSY, "unknown"),
        ("keys", CpuUsed(2.1, 3.0, 0.8), "unknown"),
    ],
)
def test_cpu_time_of_that_moment_confirms_a_command(name: str, cpu: CpuUsed | None, cause: str) -> None:
    verdict = explain(stall(name), cpu)
    assert verdict.cause == cause
    assert verdict.certainty == "likely"
    assert "slow log 17" in verdict.why


@pytest.mark.parametrize(
    ("name", "cpu", "cause"),
    [
        ("aof-fsync-always", IDLE, "disk"),
        ("aof-write-alone", IDLE, "unknown"),
        ("expire-cycle", BUSY, "expire"),
        ("expire-cycle", IDLE, "not_running"),
        ("active-defrag-cycle", BUSY, "unknown"),
    ],
)
def test_event_names_its_cause(name: str, cpu: CpuUsed, cause: str) -> None:
    assert explain(stall(name, is_event=True), cpu).cause == cause


NUMBERS = st.floats() | st.integers(-(2**63), 2**63 - 1)


@given(
    st.lists(st.tuples(st.text(max_size=40), NUMBERS, st.none() | NUMBERS), max_size=8),
    st.lists(st.tuples(st.text(max_size=40), st.integers(), NUMBERS, st.none() | NUMBERS), max_size=8),
    st.none() | st.builds(CpuUsed, NUMBERS, NUMBERS, NUMBERS),
)
def test_hostile_logs_never_raise(commands: list[Any], events: list[Any], cpu: CpuUsed | None) -> None:
    finder = LaterFinder(0.1, NOW)
    finder.latency_spikes(LatencySpikes(()), NOW)
    finder.slow_commands(SlowCommands(tuple(SlowCommand(one[0], one[1], "", 1, one[2]) for one in commands), 0), NOW)
    finder.latency_spikes(LatencySpikes(tuple(LatencySpike(*one) for one in events)), NOW)
    for found in finder.take(NOW + 60, None, NOW + 60):
        assert explain(found, cpu).cause in CAUSES
