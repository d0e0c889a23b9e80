"""Pauses of the garbage collector are timed, and passed on outside of collections."""

import gc
import weakref

from redis_pulse.daemon.runtime_monitor import SETTLING_TIME, GcMonitor
from tests.fakes import ManualClock


def test_collection_is_timed_and_passed_on_later() -> None:
    clock, observed = ManualClock(), list[float]()
    monitor = GcMonitor(observed.append, clock=clock)
    monitor._on_gc("start", {})
    clock.advance(0.25)
    monitor._on_gc("stop", {})
    assert observed == []
    monitor.flush()
    monitor.flush()
    assert observed == [0.25]


def test_every_collection_is_timed_until_the_monitor_stops() -> None:
    observed: list[float] = []
    monitor = GcMonitor(observed.append, clock=ManualClock())
    monitor.start()
    gc.collect()
    monitor.stop()
    monitor.stop()
    count = len(observed)
    assert count >= 1
    gc.collect()
    monitor.flush()
    assert len(observed) == count
    assert monitor._on_gc not in gc.callbacks


def test_objects_are_frozen_while_the_daemon_settles() -> None:
    clock = ManualClock()
    monitor = GcMonitor(lambda _seconds: None, clock=clock)
    monitor.start()
    try:
        monitor.flush()
        first = gc.get_freeze_count()
        assert first > 0
        kept = make_objects()
        monitor.flush()
        assert gc.get_freeze_count() >= first + len(kept) - 50
        clock.advance(SETTLING_TIME)
        monitor.flush()
        settled, _kept = gc.get_freeze_count(), make_objects()
        monitor.flush()
        assert gc.get_freeze_count() <= settled
        monitor.freeze_after_change(removed=0, remaining=1)  # another configuration was applied
        assert gc.get_freeze_count() >= settled + len(kept) - 50
    finally:
        monitor.stop()
        left = gc.get_freeze_count()
        gc.unfreeze()
    assert left > 0, "at the end of the process, another full collection would take seconds"


def make_objects() -> list[list[int]]:
    """Return objects that the collector visits."""
    return [[] for _ in range(1000)]


def test_garbage_is_freed_before_the_rest_is_frozen() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    monitor = GcMonitor(lambda _seconds: None, clock=ManualClock())
    monitor.start()
    try:
        monitor.flush()
        collected = weakref.ref(Cycle())
        monitor.flush()
        assert collected() is None
    finally:
        monitor.stop()


def test_objects_of_removed_targets_are_collected_once() -> None:
    """The objects of a removed target refer to each other. Frozen, they would stay until the process ends."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    monitor = GcMonitor(lambda _seconds: None, clock=ManualClock())
    cycle = Cycle()
    collected = weakref.ref(cycle)
    try:
        monitor.freeze_after_change(removed=0, remaining=1)
        del cycle
        gc.collect()
        assert collected() is not None
        monitor.freeze_after_change(removed=1, remaining=1)
        assert collected() is None
    finally:
        monitor.stop()


def test_full_collection_waits_until_a_tenth_of_the_targets_is_removed() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    monitor = GcMonitor(lambda _seconds: None, clock=ManualClock())
    cycle = Cycle()
    collected = weakref.ref(cycle)
    try:
        monitor.freeze_after_change(removed=0, remaining=100)
        del cycle
        monitor.freeze_after_change(removed=10, remaining=100)
        assert collected() is not None
        monitor.freeze_after_change(removed=1, remaining=100)
        assert collected() is None
    finally:
        monitor.stop()
