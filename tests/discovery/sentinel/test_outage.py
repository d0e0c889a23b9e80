"""How long a client was without a master: from when the old one fell silent until the new one answers."""

import pytest

from redis_pulse.discovery import ProbeStatus
from redis_pulse.discovery.sentinel.outage import NOTHING, UNWATCHED_AFTER, MasterOutage, OutageDelta, serves_as_master

A, B = "a:6379", "b:6379"


def good(address: str, at: float, role: str = "master", silent_since: float | None = None) -> ProbeStatus:
    return ProbeStatus(address, up=True, role=role, is_tried=True, answered=at, silent_since=silent_since)


def bad(address: str, since: float) -> ProbeStatus:
    return ProbeStatus(address, up=False, role="master", is_tried=True, answered=since - 0.5, silent_since=since)


def test_nothing_passes_while_the_master_answers() -> None:
    outage = MasterOutage()
    assert outage.update(10, A, good(A, 9.9)) == NOTHING
    assert outage.update(11, A, good(A, 10.9)) == NOTHING


def test_a_master_that_dies_is_missing_from_when_it_fell_silent_until_the_new_one_answers() -> None:
    outage = MasterOutage()
    assert outage.update(11.0, A, bad(A, 9.5)) == OutageDelta(1.5)
    assert outage.update(11.1, A, bad(A, 9.5)).seconds == pytest.approx(0.1)
    outage.moved(12.0, bad(A, 9.5), None)
    assert outage.update(12.0, B, bad(A, 9.5)).seconds == pytest.approx(0.9)  # the target has not followed yet
    assert outage.update(12.1, B, ProbeStatus(B, up=False, role="")).failover is None
    last = outage.update(12.5, B, good(B, 12.4))
    assert last == (pytest.approx(0.4), 3.0)
    assert outage.since is None
    assert outage.update(13.0, B, good(B, 12.9)) == NOTHING


def test_a_master_that_comes_back_where_it_was_is_time_without_one_and_no_failover() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, bad(A, 9.5))
    assert outage.update(12.0, A, good(A, 12.0)) == OutageDelta(1.0, None)


def test_a_master_that_is_replaced_while_it_answers_is_missed_for_as_long_as_the_new_one_takes() -> None:
    """SENTINEL FAILOVER: clients were served until they were sent elsewhere."""
    outage = MasterOutage()
    outage.moved(20.0, good(A, 19.2), None)
    assert outage.update(20.05, B, good(A, 19.2)).failover is None
    assert outage.update(20.1, B, ProbeStatus(B, up=False, role="master")).failover == pytest.approx(0.1)


def test_a_move_that_comes_before_the_probe_was_given_up_counts_from_when_it_fell_silent() -> None:
    """A ping is on its way, and has not failed yet."""
    outage = MasterOutage()
    outage.moved(20.0, good(A, 18.2, silent_since=18.7), None)
    assert outage.update(20.5, B, good(B, 20.5)).failover == pytest.approx(1.8)


@pytest.mark.parametrize(("silent_since", "whole"), [(15.0, 5.5), (12.0, 8.0), (None, 0.5)])
def test_where_probes_are_rare_the_sentinels_say_since_when_it_is_silent(
    silent_since: float | None, whole: float
) -> None:
    """But our own good answer is never earlier than what they say."""
    outage = MasterOutage()
    outage.moved(20.0, good(A, 12.5), silent_since)
    assert outage.update(20.5, B, good(B, 20.5)).failover == pytest.approx(whole)


def test_a_master_that_never_answered_is_missing_from_when_it_was_asked_first() -> None:
    outage = MasterOutage()
    never = ProbeStatus(A, up=False, role="", is_tried=True, silent_since=10.5)
    assert outage.update(10.0, A, ProbeStatus(A, up=False, role="")) == NOTHING  # it was not asked yet
    assert outage.update(11.0, A, never) == OutageDelta(0.5)
    assert outage.update(12.0, A, never) == OutageDelta(1.0)


def test_a_server_that_calls_itself_a_replica_is_no_master() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, good(A, 10.9, "slave"))
    assert outage.update(12.0, A, good(A, 11.9, "slave")) == OutageDelta(1.0)
    assert outage.update(12.5, A, good(A, 12.4)) == OutageDelta(0.5)


def test_just_after_a_move_its_info_counts_before_the_first_probe() -> None:
    assert serves_as_master(ProbeStatus(B, up=False, role="master"))
    assert not serves_as_master(ProbeStatus(B, up=False, role=""))
    assert not serves_as_master(ProbeStatus(B, up=False, role="slave"))


def test_whoever_denies_us_info_is_taken_for_what_the_sentinels_say() -> None:
    assert serves_as_master(good(B, 1.0, role=""))


def test_of_a_master_that_is_not_watched_here_nothing_is_said() -> None:
    outage = MasterOutage()
    outage.moved(20.0, None, None)
    assert outage.update(21.0, B, None) == NOTHING
    assert outage.since is None
    assert outage.update(30.0, B, good(B, 29.9)) == NOTHING


def test_a_target_that_is_away_for_a_moment_while_it_moves_is_missing_all_the_same() -> None:
    outage = MasterOutage()
    outage.moved(20.0, good(A, 19.9), None)
    assert outage.update(20.1, B, None) == NOTHING
    assert outage.update(20.4, B, good(B, 20.4)) == OutageDelta(pytest.approx(0.4), pytest.approx(0.4))  # type: ignore[arg-type]


def test_a_target_that_is_gone_ends_the_outage_without_a_verdict() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, bad(A, 9.5))
    outage.update(12.0, A, None)
    assert outage.since is not None
    outage.update(12.0 + UNWATCHED_AFTER, A, None)
    assert outage.since is None
    assert outage.update(20.0, A, good(A, 19.9)) == NOTHING
