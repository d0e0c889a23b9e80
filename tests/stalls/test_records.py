"""Records are bounded, the oldest go first, and our own delays are never stalls of a target."""

import json
from collections import Counter
from dataclasses import replace
from typing import Literal

import pytest

from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.records import (
    LOOKS_BURST,
    MAX_LATER,
    MAX_PER_TARGET,
    MAX_RECORD_BYTES,
    MAX_TOTAL,
    StallRecord,
    StallRegistry,
)
from tests.fakes import ManualClock

VERDICT = Verdict("command", "sure", "KEYS took 1 s", "Scan.")


def record(number: int, target: str = "a", **changes: object) -> StallRecord:
    return replace(StallRecord(number, target, 0.0, 1.0, 1.0, verdict=VERDICT), **changes)  # type: ignore[arg-type]


def test_oldest_record_of_a_target_goes_first() -> None:
    registry = StallRegistry()
    registry.add(record(0, "b"))
    for number in range(1, MAX_PER_TARGET + 2):
        registry.add(record(number))
    kept = [one.id for one in registry.newest("a")]
    assert kept == list(range(MAX_PER_TARGET + 1, 1, -1))
    assert [one.id for one in registry.newest("b")] == [0]


def test_number_of_all_records_is_limited() -> None:
    registry = StallRegistry()
    for number in range(MAX_TOTAL + 10):
        registry.add(record(number, f"t{number}"))
    ids = [one.id for one in registry.newest()]
    assert (len(ids), ids[0], ids[-1]) == (MAX_TOTAL, MAX_TOTAL + 9, 10)


def test_running_stall_is_first_and_becomes_one_record() -> None:
    registry = StallRegistry()
    registry.watch("a", "host", None)
    registry.add(record(1))
    registry.set_running(record(2, ended=None, verdict=None))
    assert [(one.id, one.ended) for one in registry.newest()] == [(2, None), (1, 1.0)]
    assert registry.last("a") == record(2, ended=None, verdict=None)
    registry.add(record(2))
    assert [one.id for one in registry.newest()] == [2, 1]


def test_stall_that_ends_after_its_target_was_removed_leaves_only_its_record() -> None:
    """Pods come and go under new names. The registry would otherwise remember each of them."""
    registry = StallRegistry()
    for number in range(3 * MAX_TOTAL):
        name = f"t{number}"
        registry.watch(name, "host", "cluster")
        registry.set_running(record(number, name, ended=None, verdict=None))
        registry.forget(name)
        registry.set_running(record(number, name, ended=None, verdict=None))
        registry.add(record(number, name))
    assert registry.last(name) is None
    assert not registry._last
    assert not registry._running
    assert len(list(registry.newest())) == MAX_TOTAL


def test_dropped_stall_uncovers_the_one_before() -> None:
    registry = StallRegistry()
    registry.watch("a", "host", None)
    registry.add(record(1))
    registry.set_running(record(2, ended=None, verdict=None))
    registry.drop_running("a")
    last = registry.last("a")
    assert last is not None
    assert last.id == 1


def test_record_with_its_evidence_is_small() -> None:
    big = record(1, evidence=json.dumps({"x": "y" * 7000}), commands=["z" * 2000])
    plain = big.to_plain()
    assert "commands" not in plain
    assert len(json.dumps(plain)) <= MAX_RECORD_BYTES


def test_own_delay_is_counted_once_and_has_no_target() -> None:
    counted: list[float] = []
    registry = StallRegistry(counted.append)
    registry.record_lag(100.0, 1000.0, 0.05)
    registry.record_lag(101.0, 1001.0, 0.5)
    registry.record_own_delay(1000.6, 0.3, VERDICT)
    assert counted == [0.5]
    (kept,) = registry.newest()
    assert (kept.target, kept.cause, kept.seconds) == (None, "exporter", 0.5)
    assert registry.lag_between(100.6, 100.7) == 0.5
    assert registry.lag_between(102.0, 103.0) == 0.0


def test_many_stalls_at_once_are_recognized() -> None:
    registry = StallRegistry()
    for number, name in enumerate(("a", "b", "c", "d", "e", "f", "g")):
        registry.watch(name, "h1" if name in "abcd" else name, None)
        if name in "abc":
            registry.add(record(number, name, started=10.0 + number, ended=20.0))
    assert registry.others_at_once("a", 10.0, 15.0) == "3 of 4 targets of this host stalled at once"
    assert registry.others_at_once("a", 10.0, 11.5) == "", "two are few"
    registry.add(record(9, "e", started=10.0, ended=20.0))
    assert registry.others_at_once("e", 10.0, 15.0) == "4 of 7 targets stalled at once"
    registry.forget("a")
    registry.forget("b")
    assert registry.others_at_once("e", 10.0, 15.0) == ""


def test_flood_of_stalls_shares_one_look_of_about_the_same_time() -> None:
    """A look at all targets for each stall of all targets is quadratic."""
    clock = ManualClock()
    registry = StallRegistry(clock=clock)
    names = [f"t{number}" for number in range(LOOKS_BURST + 5)]
    for name in (*names, "alone"):
        registry.watch(name, "h", None)
    for number, name in enumerate(names):
        registry.add(record(number, name, started=10.0, ended=11.0))
    expected = "55 of 56 targets of this host stalled at once"
    assert {registry.others_at_once(name, 10.0, 11.0) for name in names[:LOOKS_BURST]} == {expected}
    registry.forget(names[0])
    late = names[LOOKS_BURST]
    assert registry.others_at_once(late, 10.2, 11.0) == expected, "the newest look, of about that time"
    assert registry.others_at_once(late, 5.0, 6.0) == "", "no look is of that time"
    assert registry.others_at_once("alone", 10.0, 11.0) == "", "that look did not show it"
    clock.advance(1.0)
    assert registry.others_at_once(late, 10.0, 11.0) == "54 of 55 targets of this host stalled at once"


@pytest.mark.parametrize("seen", ["ping", "later"])
def test_counts_of_kept_records_stay_true(seen: Literal["ping", "later"]) -> None:
    registry = StallRegistry()
    for number in range(2 * MAX_TOTAL):
        registry.add(record(number, f"t{number % 100}", seen=seen))
    kept = [one.target for one in registry.newest()]
    limit = MAX_LATER if seen == "later" else MAX_PER_TARGET
    assert len(kept) == MAX_TOTAL
    assert max(Counter(kept).values()) <= limit
    for number in range(limit + 1):
        registry.add(record(number, "new", seen=seen))
    assert sum(one.target == "new" for one in registry.newest()) == limit


def test_stall_of_all_shards_of_a_cluster_is_recognized() -> None:
    """A replica is no shard of its own."""
    roles = {"r": "slave"}
    registry = StallRegistry(role_of=lambda name: roles.get(name, "master"))
    for number, name in enumerate(("a", "b", "r")):
        registry.watch(name, f"h{number}", "cart")
    for name in ("x", "y", "z"):
        registry.watch(name, name, None)
    registry.add(record(1, "a", started=10.0, ended=20.0))
    assert registry.others_at_once("a", 10.0, 20.0) == ""
    registry.add(record(2, "b", started=11.0, ended=20.0))
    assert registry.others_at_once("a", 10.0, 20.0) == "all 2 shards of the cluster stalled at once"
    registry.forget("b")
    assert registry.others_at_once("a", 10.0, 20.0) == "", "one shard is no cluster"


def test_stalls_that_no_ping_met_do_not_displace_others() -> None:
    registry = StallRegistry()
    for number in range(MAX_PER_TARGET):
        registry.add(record(number))
    for number in range(100, 100 + MAX_PER_TARGET):
        registry.add(record(number, seen="later"))
    kept = [one.seen for one in registry.newest("a")]
    assert (len(kept), kept.count("later")) == (MAX_PER_TARGET, MAX_LATER)
