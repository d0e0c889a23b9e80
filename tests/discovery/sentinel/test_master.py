"""Where a master is when Sentinels disagree, lag behind or return with old data, and how often it has moved."""

import pytest

from redis_pulse.discovery.sentinel.master import MasterUpdate, SentinelMaster
from redis_pulse.discovery.sentinel.replies import MasterReport

A, B, C, X = "a:6379", "b:6379", "c:6379", "x:6379"


def report(address: str, epoch: int = 1, *replicas: str, **more: object) -> MasterReport:
    with_run_ids = {replica: f"run-id-of-{replica}" for replica in replicas or {A, B, C} - {address}}
    return MasterReport(address, epoch, with_run_ids, **more)  # type: ignore[arg-type]


class Setup:
    """A master after a first round of reports; ``state`` is the result of the last round."""

    def __init__(self, *first: MasterReport) -> None:
        self._master = SentinelMaster()
        self.state = self.update(first or [report(A)] * 3, 0.0)
        assert self.state.moves == 0

    def update(self, reports: "list[MasterReport] | tuple[MasterReport, ...]", now: float) -> MasterUpdate:
        """Apply the reports of three Sentinels."""
        state = self._master.update(reports, 3, now)
        assert state is not None
        self.state = state
        return state

    def moves(self, reports: list[MasterReport], now: float) -> int:
        """Apply the reports of three Sentinels; return how often the master has moved."""
        return self.update(reports, now).moves


def test_first_address_is_no_failover() -> None:
    """A restart of the exporter must not count one."""
    state = Setup(report(A, 17)).state
    assert (state.address, state.moves) == (A, 0)
    assert dict(state.replicas) == {1: B, 2: C}


def test_failover_counts_once_however_many_sentinels_report_it() -> None:
    setup = Setup()
    assert setup.moves([report(B, 2), report(A), report(A)], 1.0) == 1
    assert setup.moves([report(B, 2), report(B, 2), report(A)], 1.1) == 0
    assert setup.moves([report(B, 2)] * 3, 1.2) == 0
    assert setup.state.address == B
    assert dict(setup.state.replicas) == {1: A, 2: C}


def test_single_sentinel_with_newer_epoch_wins_before_the_others_update() -> None:
    state = Setup().update([report(A), report(A), report(B, 2)], 1.0)
    assert state.address == B
    assert state.disagreeing == 2


def test_foreign_sentinel_is_outvoted_despite_newer_epoch() -> None:
    """It watches another set under the same name."""
    state = Setup().update([report(A), report(A), report(X, 99, "y:6379")], 1.0)
    assert (state.moves, state.address, state.disagreeing) == (0, A, 1)
    assert dict(state.replicas) == {1: B, 2: C}


def test_foreign_sentinel_is_outvoted_in_the_first_round_too() -> None:
    state = Setup(report(X, 99, "y:6379"), report(A), report(A)).state
    assert (state.address, state.disagreeing) == (A, 1)


def test_outdated_sentinel_changes_nothing_when_it_alone_replies() -> None:
    state = Setup(report(B, 2), report(B, 2), report(A)).update([report(A)], 1.0)
    assert (state.moves, state.address, state.disagreeing) == (0, B, 1)


def test_replicas_stay_while_only_outdated_sentinels_reply() -> None:
    state = Setup(report(B, 2), report(B, 2), report(A)).update([report(A, 1, B)], 1.0)
    assert dict(state.replicas) == {1: A, 2: C}


def test_majority_of_all_sentinels_wins_despite_older_epoch() -> None:
    """If Sentinels are configured again for the set, their epochs begin at 0."""
    state = Setup(*[report(A, 7)] * 3).update([report(B, 0)] * 2, 1.0)
    assert (state.moves, state.address) == (1, B)


def test_newer_epoch_wins_a_tie_and_else_the_known_address() -> None:
    setup = Setup()
    assert setup.update([report(B), report(A)], 1.0).address == A
    assert setup.update([report(A), report(B, 2)], 1.0).address == B


def test_address_reported_before_its_epoch_counts_once() -> None:
    setup = Setup()
    assert setup.moves([report(B, 1)] * 2, 1.0) == 1
    assert setup.moves([report(B, 2)] * 3, 1.1) == 0
    assert setup.moves([report(A, 3)] * 3, 1.2) == 1


def test_master_that_moved_and_returned_between_rounds_moved_twice() -> None:
    assert Setup().moves([report(A, 3)] * 3, 60.0) == 2


def test_epoch_that_is_lost_and_restored_is_no_move() -> None:
    setup = Setup(*[report(A, 5)] * 3)
    assert setup.moves([report(A, 0)] * 2, 1.0) == 0
    assert setup.moves([report(A, 5)] * 3, 2.0) == 0


def test_replica_in_one_agreeing_report_stays() -> None:
    """A Sentinel that has just started does not know all replicas yet."""
    state = Setup().update([report(A, 1, B), report(A, 1, C)], 1.0)
    assert dict(state.replicas) == {1: B, 2: C}


@pytest.mark.parametrize(
    ("reported", "quorum"),
    [((True, True, False), True), ((False, False), False), ((None, None), None), ((None, True), True)],
)
def test_quorum_is_ok_if_one_sentinel_sees_enough_others(
    reported: tuple[bool | None, ...], quorum: bool | None
) -> None:
    assert Setup(*(report(A, quorum=one) for one in reported)).state.quorum is quorum


def test_run_id_unknown_to_one_sentinel_comes_from_another() -> None:
    """A replica that is listed by its name and by its address then counts once."""
    one = MasterReport(A, 1, {"b.internal:6379": "", B: "id-b"})
    other = MasterReport(A, 1, {"b.internal:6379": "id-b"})
    assert dict(Setup(one, other).state.replicas) == {1: "b.internal:6379"}


def test_start_of_silence_comes_from_sentinels_that_see_the_master_down() -> None:
    setup = Setup()
    reports = [report(A, silent_seconds=2.5), report(A, silent_seconds=2.0), report(A)]
    assert setup.update(reports, 100.0).silent_since == 97.5
    assert setup.update([report(A)] * 3, 101.0).silent_since is None


def test_no_report_means_no_state() -> None:
    assert SentinelMaster().update([], 3, 0.0) is None
