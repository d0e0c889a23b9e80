"""Where a master is when Sentinels contradict each other, lag behind or come back from the past; how often it moved."""

import pytest

from redis_pulse.discovery.sentinel.master import SentinelMaster
from redis_pulse.discovery.sentinel.replies import MasterReport

A, B, C, X = "a:6379", "b:6379", "c:6379", "x:6379"


def told(address: str, epoch: int = 1, *replicas: str, **more: object) -> MasterReport:
    listed = {one: f"run-id-of-{one}" for one in replicas or {A, B, C} - {address}}
    return MasterReport(address, epoch, listed, **more)  # type: ignore[arg-type]


def known(*first: MasterReport) -> SentinelMaster:
    master = SentinelMaster("cart")
    assert master.update(first or [told(A)] * 3, 3, 0.0) == 0
    return master


def test_what_is_found_first_is_no_failover() -> None:
    """A restart of ours must not count one."""
    master = known(told(A, 17))
    assert master.address == A
    assert dict(master.replicas) == {1: B, 2: C}


def test_a_failover_is_counted_once_however_many_sentinels_tell_it_and_how_often() -> None:
    master = known()
    assert master.update([told(B, 2), told(A), told(A)], 3, 1.0) == 1
    assert master.update([told(B, 2), told(B, 2), told(A)], 3, 1.1) == 0
    assert master.update([told(B, 2)] * 3, 3, 1.2) == 0
    assert master.address == B
    assert dict(master.replicas) == {1: A, 2: C}


def test_one_sentinel_that_knows_of_a_newer_configuration_is_believed_before_the_others_have_heard() -> None:
    master = known()
    master.update([told(A), told(A), told(B, 2)], 3, 1.0)
    assert master.address == B
    assert master.disagreeing == 2


def test_a_sentinel_that_watches_another_set_under_the_name_is_outvoted_however_new_its_configuration_is() -> None:
    master = known()
    assert master.update([told(A), told(A), told(X, 99, "y:6379")], 3, 1.0) == 0
    assert (master.address, master.disagreeing) == (A, 1)
    assert dict(master.replicas) == {1: B, 2: C}


def test_also_when_it_is_met_first() -> None:
    master = known(told(X, 99, "y:6379"), told(A), told(A))
    assert (master.address, master.disagreeing) == (A, 1)


def test_a_sentinel_that_was_cut_off_takes_nothing_back_when_the_others_are_gone() -> None:
    master = known(told(B, 2), told(B, 2), told(A))
    assert master.update([told(A)], 3, 1.0) == 0
    assert master.address == B
    assert master.disagreeing == 1


def test_replicas_stay_while_nobody_answers_who_knows_better() -> None:
    master = known(told(B, 2), told(B, 2), told(A))
    master.update([told(A, 1, B)], 3, 1.0)
    assert dict(master.replicas) == {1: A, 2: C}


def test_most_of_all_sentinels_are_believed_even_with_an_old_configuration() -> None:
    """Somebody made them watch the set anew: their epochs begin at 0."""
    master = known(*[told(A, 7)] * 3)
    assert master.update([told(B, 0)] * 2, 3, 1.0) == 1
    assert master.address == B


def test_of_one_vote_each_the_newer_configuration_counts_and_else_what_was() -> None:
    master = known()
    master.update([told(B), told(A)], 3, 1.0)
    assert master.address == A
    master.update([told(A), told(B, 2)], 3, 1.0)
    assert master.address == B


def test_an_address_that_was_told_before_its_epoch_counts_once() -> None:
    master = known()
    assert master.update([told(B, 1)] * 2, 3, 1.0) == 1
    assert master.update([told(B, 2)] * 3, 3, 1.1) == 0
    assert master.update([told(A, 3)] * 3, 3, 1.2) == 1


def test_a_master_that_went_and_came_back_between_two_questions_has_moved_twice() -> None:
    master = known()
    assert master.update([told(A, 3)] * 3, 3, 60.0) == 2


def test_a_sentinel_that_lost_its_memory_and_found_it_again_counts_nothing() -> None:
    master = known(*[told(A, 5)] * 3)
    assert master.update([told(A, 0)] * 2, 3, 1.0) == 0
    assert master.update([told(A, 5)] * 3, 3, 2.0) == 0


def test_a_replica_that_any_of_those_who_agree_lists_stays() -> None:
    """One that just started has not found them all yet."""
    master = known()
    master.update([told(A, 1, B), told(A, 1, C)], 3, 1.0)
    assert dict(master.replicas) == {1: B, 2: C}


@pytest.mark.parametrize(
    ("said", "quorum"),
    [((True, True, False), True), ((False, False), False), ((None, None), None), ((None, True), True)],
)
def test_a_failover_can_be_done_while_one_sentinel_sees_enough_others(
    said: tuple[bool | None, ...], quorum: bool | None
) -> None:
    master = known(*(told(A, quorum=one) for one in said))
    assert master.quorum is quorum


def test_a_run_id_that_one_sentinel_does_not_know_yet_is_known_of_another() -> None:
    """So a replica that is listed by its name and by its address counts once."""
    one = MasterReport(A, 1, {"b.internal:6379": "", B: "id-b"})
    other = MasterReport(A, 1, {"b.internal:6379": "id-b"})
    assert dict(known(one, other).replicas) == {1: "b.internal:6379"}


def test_since_when_the_master_is_silent_is_what_the_sentinels_say_that_take_it_for_down() -> None:
    master = known()
    master.update([told(A, silent=2.5), told(A, silent=2.0), told(A)], 3, 100.0)
    assert master.silent_since == 97.5
    master.update([told(A)] * 3, 3, 101.0)
    assert master.silent_since is None


def test_nothing_is_known_before_a_sentinel_tells() -> None:
    master = SentinelMaster("cart")
    assert master.update([], 3, 0.0) == 0
    assert master.address == ""
