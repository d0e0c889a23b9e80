"""The time without a master starts when the former master falls silent, and ends when the new one replies."""

import pytest

from redis_pulse.discovery import ProbeStatus
from redis_pulse.discovery.sentinel.outage import NO_DELTA, UNWATCHED_AFTER, MasterOutage, OutageDelta, serves_as_master

A, B = "a:6379", "b:6379"


def replying(address: str, at: float, role: str = "master", silent_since: float | None = None) -> ProbeStatus:
    return ProbeStatus(address, up=True, role=role, was_probed=True, last_reply_at=at, silent_since=silent_since)


def silent(address: str, since: float) -> ProbeStatus:
    return ProbeStatus(address, up=False, role="master", was_probed=True, last_reply_at=since - 0.5, silent_since=since)


def test_replying_master_is_no_outage() -> None:
    outage = MasterOutage()
    assert outage.update(10, A, replying(A, 9.9)) == NO_DELTA
    assert outage.update(11, A, replying(A, 10.9)) == NO_DELTA


def test_dead_master_is_missing_until_the_new_one_replies() -> None:
    outage = MasterOutage()
    assert outage.update(11.0, A, silent(A, 9.5)) == OutageDelta(1.5)
    assert outage.update(11.1, A, silent(A, 9.5)).seconds == pytest.approx(0.1)
    outage.master_moved(12.0, silent(A, 9.5), None)
    assert outage.update(12.0, B, silent(A, 9.5)).seconds == pytest.approx(0.9)  # the target is not at B yet
    assert outage.update(12.1, B, ProbeStatus(B, up=False, role="")).failover_seconds is None
    last = outage.update(12.5, B, replying(B, 12.4))
    assert last == (pytest.approx(0.4), 3.0)
    assert outage.since is None
    assert outage.update(13.0, B, replying(B, 12.9)) == NO_DELTA


def test_master_back_at_its_address_is_an_outage_and_no_failover() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, silent(A, 9.5))
    assert outage.update(12.0, A, replying(A, 12.0)) == OutageDelta(1.0, None)


def test_replaced_replying_master_is_missing_until_the_new_one_serves() -> None:
    """SENTINEL FAILOVER: the former master served its clients until the move."""
    outage = MasterOutage()
    outage.master_moved(20.0, replying(A, 19.2), None)
    assert outage.update(20.05, B, replying(A, 19.2)).failover_seconds is None
    assert outage.update(20.1, B, ProbeStatus(B, up=False, role="master")).failover_seconds == pytest.approx(0.1)


def test_move_before_the_ping_fails_counts_from_the_start_of_silence() -> None:
    """A ping is in flight, and has not failed yet."""
    outage = MasterOutage()
    outage.master_moved(20.0, replying(A, 18.2, silent_since=18.7), None)
    assert outage.update(20.5, B, replying(B, 20.5)).failover_seconds == pytest.approx(1.8)


@pytest.mark.parametrize(("silent_since", "failover_seconds"), [(15.0, 5.5), (12.0, 8.0), (None, 0.5)])
def test_rare_probes_make_the_sentinels_set_the_start_of_silence(
    silent_since: float | None, failover_seconds: float
) -> None:
    """The start is never earlier than the last reply to our probe."""
    outage = MasterOutage()
    outage.master_moved(20.0, replying(A, 12.5), silent_since)
    assert outage.update(20.5, B, replying(B, 20.5)).failover_seconds == pytest.approx(failover_seconds)


def test_master_that_never_replied_is_missing_since_its_first_probe() -> None:
    outage = MasterOutage()
    never = ProbeStatus(A, up=False, role="", was_probed=True, silent_since=10.5)
    assert outage.update(10.0, A, ProbeStatus(A, up=False, role="")) == NO_DELTA  # no probe has ended yet
    assert outage.update(11.0, A, never) == OutageDelta(0.5)
    assert outage.update(12.0, A, never) == OutageDelta(1.0)


def test_server_with_the_role_of_a_replica_is_no_master() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, replying(A, 10.9, "slave"))
    assert outage.update(12.0, A, replying(A, 11.9, "slave")) == OutageDelta(1.0)
    assert outage.update(12.5, A, replying(A, 12.4)) == OutageDelta(0.5)


def test_info_decides_after_a_move_before_the_first_probe() -> None:
    assert serves_as_master(ProbeStatus(B, up=False, role="master"))
    assert not serves_as_master(ProbeStatus(B, up=False, role=""))
    assert not serves_as_master(ProbeStatus(B, up=False, role="slave"))


def test_server_that_denies_info_serves_as_the_sentinels_report() -> None:
    assert serves_as_master(replying(B, 1.0, role=""))


def test_unwatched_master_has_no_outage() -> None:
    outage = MasterOutage()
    outage.master_moved(20.0, None, None)
    assert outage.update(21.0, B, None) == NO_DELTA
    assert outage.since is None
    assert outage.update(30.0, B, replying(B, 29.9)) == NO_DELTA


def test_target_absent_for_a_moment_while_it_moves_is_still_missing() -> None:
    outage = MasterOutage()
    outage.master_moved(20.0, replying(A, 19.9), None)
    assert outage.update(20.1, B, None) == NO_DELTA
    assert outage.update(20.4, B, replying(B, 20.4)) == OutageDelta(pytest.approx(0.4), pytest.approx(0.4))  # type: ignore[arg-type]


def test_removed_target_ends_the_outage_without_a_result() -> None:
    outage = MasterOutage()
    outage.update(11.0, A, silent(A, 9.5))
    outage.update(12.0, A, None)
    assert outage.since is not None
    outage.update(12.0 + UNWATCHED_AFTER, A, None)
    assert outage.since is None
    assert outage.update(20.0, A, replying(A, 19.9)) == NO_DELTA
