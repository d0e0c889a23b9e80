"""The judge of ``make stalls``: shares, the matrix, and what makes a run fail."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stalls_bench.injectors import Phase
from stalls_bench.judge import Share, complaints, expected_cause, longest_wait, matrix, outcomes, shares
from stalls_bench.kinds import KINDS
from stalls_bench.lane import Row, last_moment
from stalls_bench.own import DAEMON

BEGAN = 1_000_000_000.0


def record(cause: str, seconds: float = 1.0, began: float = BEGAN, **more: Any) -> dict[str, Any]:
    started = datetime.fromtimestamp(began, UTC).isoformat()
    ended = datetime.fromtimestamp(began + seconds, UTC).isoformat()
    return {"id": 1, "target": "t", "started": started, "ended": ended, "seconds": seconds, "cause": cause, **more}


def row(kind: str, *named: str, server: str = "redis", rate: float = 2000.0) -> Row:
    phases = [Phase(KINDS[kind].cause if kind in KINDS else "exporter", BEGAN, BEGAN + 1)]
    return Row(server, kind, 7, phases, [record(cause) for cause in named], rate)


def test_each_record_of_a_stall_is_one_outcome() -> None:
    rows = [row("keys", "command"), row("keys", "unknown"), row("stop", "command", "not_running"), row("stop")]
    assert [outcome.result for outcome in outcomes(rows)] == ["right", "unknown", "wrong", "right"]
    assert shares(rows, "redis") == {"single": Share(2, 1, 1)}


def test_pairs_are_counted_apart() -> None:
    rows = [row("keys", "command"), row("stop+script", "not_running")]
    assert shares(rows, "redis") == {"single": Share(1, 0, 0), "pairs": Share(1, 0, 0)}


def test_pair_has_the_cause_that_fills_most_of_the_longest_wait() -> None:
    phases = [Phase("not_running", BEGAN, BEGAN + 1.0), Phase("script", BEGAN + 1.0, BEGAN + 1.4)]
    assert expected_cause(phases, record("?", 1.2, BEGAN + 0.2)) == "not_running"
    assert expected_cause(phases, record("?", 0.6, BEGAN + 0.8)) == "script"


def test_longest_wait_may_begin_later_than_the_stall() -> None:
    evidence = {"started": 50.0, "longest_started": 52.0}
    assert longest_wait(record("?", 1.5, evidence=evidence)) == (BEGAN + 2, BEGAN + 3.5)
    assert longest_wait(record("?", 1.5)) == (BEGAN, BEGAN + 1.5)


def test_running_record_lasts_at_least_as_long_as_its_wait() -> None:
    assert last_moment({**record("?", 2.0), "ended": None}) == BEGAN + 2
    assert last_moment(record("?", 2.0)) == BEGAN + 2


def test_gap_of_redis_is_listed_apart_and_counts_on_valkey() -> None:
    rows = [row("stop_unmonitored", "unknown", server=server) for server in ("redis", "redis", "valkey", "valkey")]
    assert shares(rows, "redis") == {"gap": Share(0, 2, 0)}
    assert complaints(rows, "redis") == []
    assert complaints(rows, "valkey") == ["single: only 0 of 2 are right"]


def test_own_delay_must_be_a_record_of_no_target() -> None:
    own = Row(DAEMON, "own_stop", 7, [Phase("exporter", BEGAN, BEGAN + 1)], [record("exporter", target=None)], 0.0)
    blamed = own._replace(records=[record("not_running")])
    assert [outcome.result for outcome in outcomes([own, blamed])] == ["right", "wrong"]
    assert complaints([own], DAEMON) == []


def test_good_run_passes() -> None:
    rows = [row("keys", "command") for _ in range(38)] + [row("stop", "unknown"), row("pause", "command")]
    assert complaints(rows, "redis") == [], "2 of 40 are not right, and 1 is wrong"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("keys", "unknown"), row("keys", "unknown")], "single: only 0 of 2 are right"),
        ([row("stop+script", "script"), row("stop+script", "script")], "pairs: only 0 of 2 are right"),
        ([row("keys", "command")] * 50 + [row("stop", "disk"), row("pause", "disk")], "2 are wrong"),
        ([row("keys", "command")] * 200 + [row("stop", "disk")] * 2, "stop was named disk 2 times"),
        ([row("keys"), row("keys")], "keys made no stall"),
        ([row("keys", "command", rate=3)], "the load was below 500 commands per second before keys"),
    ],
)
def test_bad_run_fails_with_its_reason(rows: list[Row], reason: str) -> None:
    assert reason in complaints(rows, "redis")


def test_small_run_may_have_one_wrong_and_no_more() -> None:
    rows = [row("keys", "command"), row("stop", "disk")]
    assert complaints(rows, "redis") == []
    assert complaints([*rows, row("pause", "disk")], "redis") != []


def test_matrix_has_a_row_for_each_kind_and_a_column_for_each_cause() -> None:
    rows = [row("keys", "command"), row("keys", "command"), row("keys", "unknown"), row("stop", "not_running")]
    rows += [row("stop"), row("fsync_unmonitored", "unknown"), row("sort", "command", server="valkey")]
    assert matrix(rows, "redis").splitlines() == [
        "| kind | cause | setting | made | command | not_running | unknown | no ping met it |",
        "|---|---|---|---|---|---|---|---|",
        "| stop | not_running |  | 2 |  | **1** |  | 1 |",
        "| fsync_unmonitored (gap) | disk | AOF on, no monitor | 1 |  |  | 1 |  |",
        "| keys | command |  | 3 | **2** |  | 1 |  |",
    ]
