"""The garbage collector's pauses are timed, and handed over only where nothing is held."""

import gc
import weakref

from redis_pulse.daemon.runtime_monitor import SETTLED, GcMonitor
from tests.fakes import ManualClock


def test_a_collection_is_timed_and_handed_over_later() -> None:
    clock, seen = ManualClock(), list[float]()
    pauses = GcMonitor(seen.append, clock=clock)
    pauses._on_gc("start", {})
    clock.advance(0.25)
    pauses._on_gc("stop", {})
    assert seen == []
    pauses.flush()
    pauses.flush()
    assert seen == [0.25]


def test_it_hears_of_every_collection_until_it_ends() -> None:
    seen: list[float] = []
    pauses = GcMonitor(seen.append, clock=ManualClock())
    pauses.start()
    gc.collect()
    pauses.stop()
    pauses.stop()
    count = len(seen)
    assert count >= 1
    gc.collect()
    pauses.flush()
    assert len(seen) == count
    assert pauses._on_gc not in gc.callbacks


def test_what_lives_as_long_as_the_daemon_is_left_alone_while_it_is_made() -> None:
    clock = ManualClock()
    pauses = GcMonitor(lambda _seconds: None, clock=clock)
    pauses.start()
    try:
        pauses.flush()
        first = gc.get_freeze_count()
        assert first > 0
        kept = made()
        pauses.flush()
        assert gc.get_freeze_count() >= first + len(kept) - 50
        clock.advance(SETTLED)
        pauses.flush()
        settled, _more = gc.get_freeze_count(), made()
        pauses.flush()
        assert gc.get_freeze_count() <= settled
        pauses.freeze_after_change(dropped=0, left=1)  # another configuration was taken over
        assert gc.get_freeze_count() >= settled + len(kept) - 50
    finally:
        pauses.stop()
        left = gc.get_freeze_count()
        gc.unfreeze()
    assert left > 0, "the process ends: to look through all of it once more would take seconds"


def made() -> list[list[int]]:
    """Make what the collector has to look at."""
    return [[] for _ in range(1000)]


def test_what_is_garbage_when_the_rest_is_left_alone_does_not_stay_for_ever() -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    pauses = GcMonitor(lambda _seconds: None, clock=ManualClock())
    pauses.start()
    try:
        pauses.flush()
        gone = weakref.ref(Knot())
        pauses.flush()
        assert gone() is None
    finally:
        pauses.stop()


def test_what_was_dropped_is_looked_through_once() -> None:
    """A target that is gone is a knot of objects that know each other; left alone, it would stay for ever."""

    class Knot:
        def __init__(self) -> None:
            self.itself = self

    pauses = GcMonitor(lambda _seconds: None, clock=ManualClock())
    knot = Knot()
    gone = weakref.ref(knot)
    try:
        pauses.freeze_after_change(dropped=0, left=1)
        del knot
        gc.collect()
        assert gone() is not None
        pauses.freeze_after_change(dropped=1, left=1)
        assert gone() is None
    finally:
        pauses.stop()


def test_a_few_of_many_that_come_and_go_cost_no_pause_each_until_they_are_a_tenth() -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    pauses = GcMonitor(lambda _seconds: None, clock=ManualClock())
    knot = Knot()
    gone = weakref.ref(knot)
    try:
        pauses.freeze_after_change(dropped=0, left=100)
        del knot
        pauses.freeze_after_change(dropped=10, left=100)
        assert gone() is not None
        pauses.freeze_after_change(dropped=1, left=100)
        assert gone() is None
    finally:
        pauses.stop()
