"""Recorded stalls have the cause that was done to the server, and each kind of stall is recorded."""

import json
import math
import re
from collections import Counter

import pytest

from redis_pulse.stalls.causes import classify
from stalls_bench.kinds import KINDS
from tests.stalls.recordings import EVIDENCE, GAP, RECORDED, UNDECIDED


@pytest.mark.parametrize("name", EVIDENCE)
def test_recorded_stall_has_no_wrong_cause(name: str) -> None:
    """The file's name says what was done to the server."""
    verdict = classify(EVIDENCE[name])
    expected = "unknown" if name in UNDECIDED else name.partition("-")[0]
    assert verdict.cause == expected, verdict


def test_recorded_stalls_are_named_almost_always() -> None:
    """A recording that stays unknown is kept: to leave it out would embellish the result."""
    assert EVIDENCE.keys() >= UNDECIDED
    assert len(UNDECIDED - GAP) <= 0.05 * len(EVIDENCE)


def test_recordings_cover_both_servers_twice_each_at_least() -> None:
    counts = Counter(tuple(name.split("-")[1:3]) for name in EVIDENCE)
    wanted = {(kind, server) for kind, _ in counts for server in ("redis", "valkey")}
    assert {name: counts[name] for name in wanted if counts[name] < 2} == {}


def test_recordings_are_of_kinds_that_make_stalls_makes() -> None:
    """A pair has the cause of its longer part."""
    for name in EVIDENCE:
        cause, label, _, _ = name.split("-")
        kind = next(kind for key, kind in KINDS.items() if key.replace("+", "_") == label)
        assert kind.is_pair or kind.cause == cause, name


def test_recordings_cover_every_kind_that_differs_in_its_evidence() -> None:
    labels = {name.split("-")[1] for name in EVIDENCE}
    missing = {key for key in KINDS if key.replace("+", "_") not in labels}
    assert missing == {"sleep_aof", "pause_aof", "script_aof", "smembers", "sort"}, (
        "the same as without _aof, or as del"
    )


def test_recorded_verdicts_hold_no_address_and_no_key() -> None:
    for name, path in RECORDED.items():
        text = path.read_text() + " ".join(map(str, classify(EVIDENCE[name])[2:]))
        assert not re.search(r"\d+\.\d+\.\d+\.\d+|zzz|\bw:\d", text), name
        assert math.isfinite(json.loads(path.read_text())["seconds"])
