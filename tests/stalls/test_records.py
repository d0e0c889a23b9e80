"""Records are bounded, the oldest go first, and our own delays are never stalls of a target."""

import json
from dataclasses import replace

from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.records import MAX_PER_TARGET, MAX_RECORD_BYTES, MAX_TOTAL, StallRecord, StallRegistry

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
    registry.add(record(1))
    registry.set_running(record(2, ended=None, verdict=None))
    assert [(one.id, one.ended) for one in registry.newest()] == [(2, None), (1, 1.0)]
    assert registry.last("a") == record(2, ended=None, verdict=None)
    registry.add(record(2))
    assert [one.id for one in registry.newest()] == [2, 1]


def test_dropped_stall_uncovers_the_one_before() -> None:
    registry = StallRegistry()
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
        registry.watch(name, "h1" if name in "abcd" else name)
        if name in "abc":
            registry.add(record(number, name, started=10.0 + number, ended=20.0))
    assert registry.others_at_once("a", 10.0, 15.0) == "3 of 4 targets of this host stalled at once"
    assert registry.others_at_once("a", 10.0, 11.5) == "", "two are few"
    registry.add(record(9, "e", started=10.0, ended=20.0))
    assert registry.others_at_once("e", 10.0, 15.0) == "4 of 7 targets stalled at once"
    registry.forget("a")
    registry.forget("b")
    assert registry.others_at_once("e", 10.0, 15.0) == ""
