"""The evidence of a stall in a few lines."""

import json
from typing import Any

from redis_pulse.web.pages.stall_evidence import evidence_rows
from tests.web.pages.scenes import NETWORK_STALL, STALL


def test_evidence_is_said_in_words() -> None:
    assert evidence_rows(json.loads(STALL.evidence)) == [
        ("slow log", "KEYS 1.23 s"),
        ("CPU of the process", "1.30 s in 2.00 s"),
        ("TCP during it", "0 segments without acknowledgement, sent again 0 times"),
        ("delay of the exporter", "at most 1 ms"),
    ]


def test_missing_evidence_is_named() -> None:
    rows = dict(evidence_rows(json.loads(NETWORK_STALL.evidence)))
    assert rows["slow log"] == "no entry in this time"
    assert rows["latency events"] == "the latency monitor is off"
    assert rows["TCP during it"].startswith("1 segments")


def test_evidence_of_another_form_is_left_out() -> None:
    assert evidence_rows({}) == []
    odd: dict[str, Any] = {
        "before": {"at": 1.0, "info": {"used_cpu_user": "x"}},
        "after": None,
        "missing": None,
        "tcp": [],
    }
    assert evidence_rows(odd) == []
