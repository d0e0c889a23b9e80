"""Polls become rarer while they start late, and more frequent again only after a long time in time."""

from redis_pulse.scheduling.load_guard import MAX_PATIENCE, PATIENCE, LoadGuard
from tests.fakes import ManualClock


def start_polls(guard: LoadGuard, clock: ManualClock, seconds: float, delay: float, each: float = 0.1) -> None:
    for _ in range(round(seconds / each)):
        clock.advance(each)
        guard.started(delay, 3.0)


def test_late_polls_become_rarer_up_to_the_maximum() -> None:
    clock = ManualClock()
    guard = LoadGuard(clock)
    start_polls(guard, clock, 6, 0.05)
    assert guard.factor == 1.5
    start_polls(guard, clock, 60, 0.05)
    assert guard.factor == 3.0


def test_one_stall_of_the_event_loop_changes_nothing() -> None:
    """A stall delays many polls once. That is no lack of time."""
    clock = ManualClock()
    guard = LoadGuard(clock)
    for _ in range(20):
        guard.started(0.5, 3.0)
    start_polls(guard, clock, 10, 0.001)
    assert guard.factor == 1.0


def test_few_polls_say_nothing() -> None:
    clock = ManualClock()
    guard = LoadGuard(clock)
    start_polls(guard, clock, 60, 0.5, each=5.0)
    assert guard.factor == 1.0


def test_attempts_to_poll_more_often_become_rarer_if_they_fail() -> None:
    clock = ManualClock()
    guard = LoadGuard(clock)
    start_polls(guard, clock, 6, 0.05)
    attempts: list[float] = []
    began = clock()
    while len(attempts) < 3:
        start_polls(guard, clock, 5.1, 0.001)
        if guard.factor == 1.0:
            attempts.append(clock() - began)
            start_polls(guard, clock, 5.1, 0.05)  # it was too much again
            began = clock()
    assert PATIENCE <= attempts[0] < attempts[1] < attempts[2] < MAX_PATIENCE
