"""The garbage collector's pauses are timed, and handed over only where nothing is held."""

import gc

from exporter.app.pauses import Pauses
from tests.fakes import HandClock


def test_a_collection_is_timed_and_handed_over_later() -> None:
    clock, seen = HandClock(), list[float]()
    pauses = Pauses(seen.append, clock=clock)
    pauses._strike("start", {})
    clock.advance(0.25)
    pauses._strike("stop", {})
    assert seen == []
    pauses.flush()
    pauses.flush()
    assert seen == [0.25]


def test_it_hears_of_every_collection_until_it_ends() -> None:
    seen: list[float] = []
    pauses = Pauses(seen.append, clock=HandClock())
    pauses.start()
    gc.collect()
    pauses.stop()
    pauses.stop()
    count = len(seen)
    assert count >= 1
    gc.collect()
    pauses.flush()
    assert len(seen) == count
    assert pauses._strike not in gc.callbacks
