"""The log of events: newest first, bounded for each target and for all."""

from redis_pulse.status import EventLog, TargetEvents


def texts(log: EventLog, owner: TargetEvents) -> list[str]:
    return [event.text for event in log.of(owner)]


def test_target_that_changes_all_the_time_displaces_only_its_own_events() -> None:
    log, noisy, quiet = EventLog(most=100, most_per_target=5), TargetEvents("noisy"), TargetEvents("quiet")
    log.add(quiet, 1.0, "state", "down", "down")
    for number in range(1000):
        log.add(noisy, 2.0 + number, "state", str(number))
    assert texts(log, quiet) == ["down"]
    assert texts(log, noisy) == ["999", "998", "997", "996", "995"]
    assert len(log) == 6


def test_oldest_event_of_all_targets_goes_first() -> None:
    log = EventLog(most=3, most_per_target=5)
    owners = [TargetEvents(str(number)) for number in range(5)]
    for number, owner in enumerate(owners):
        log.add(owner, float(number), "state", f"event {number}")
    assert [texts(log, owner) for owner in owners] == [[], [], ["event 2"], ["event 3"], ["event 4"]]
    assert len(log) == 3


def test_events_of_an_hour_are_the_newest_first() -> None:
    log, owner = EventLog(), TargetEvents("a")
    for at in (1.0, 2.0, 3.0):
        log.add(owner, at, "breaker", f"at {at:g}")
    assert [event.text for event in log.newest(since=2.0)] == ["at 3", "at 2"]


def test_events_of_a_forgotten_target_are_gone() -> None:
    log, gone, stays = EventLog(), TargetEvents("gone"), TargetEvents("stays")
    for owner in (gone, stays, gone):
        log.add(owner, 1.0, "state", "x")
    log.forget(gone)
    assert [event.target for event in log.newest(since=0)] == ["stays"]
    log.add(gone, 2.0, "state", "y")
    assert texts(log, gone) == ["y"]


def test_long_text_is_cut() -> None:
    log, owner = EventLog(), TargetEvents("a")
    log.add(owner, 1.0, "reload", "x" * 1000)
    assert len(log.of(owner)[0].text) == 120
