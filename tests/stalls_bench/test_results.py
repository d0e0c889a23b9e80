"""Stored results of ``make stalls`` can be judged again, and become test data."""

import json
from pathlib import Path
from typing import Any

from redis_pulse.stalls.causes import classify
from redis_pulse.stalls.evidence import Evidence
from stalls_bench.injectors import Phase
from stalls_bench.lane import Row
from stalls_bench.results import classify_again, contradicted, read, store_evidence, write

RECORDED = sorted((Path(__file__).parents[1] / "stalls" / "recorded").glob("*.json"))


def row_of(file: Path) -> Row:
    """Return a row as the daemon would have given it, with a wrong cause."""
    evidence = json.loads(file.read_text())
    cause, kind, server, _ = file.stem.split("-")
    started = "2026-01-01T00:00:00.000Z"
    record: dict[str, Any] = {"id": 1, "target": "t", "started": started, "seconds": 1.0, "cause": "?", "why": "?"}
    record["evidence"] = evidence
    return Row(server, kind, 7, [Phase(cause, 1.0, 2.0)], [record], 2000.0)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [row_of(file) for file in RECORDED[:3]]
    for row in rows:
        write(tmp_path / "results.jsonl", row)
    assert list(read(tmp_path / "results.jsonl")) == rows


def test_stored_evidence_is_judged_by_the_present_rules() -> None:
    for file in RECORDED:
        (record,) = classify_again(row_of(file)).records
        verdict = classify(Evidence.from_json(file.read_text()))
        assert (record["cause"], record["why"]) == (verdict.cause, verdict.why)


def test_own_delay_keeps_its_cause() -> None:
    own: dict[str, Any] = {"id": 1, "target": None, "cause": "exporter", "evidence": {}}
    row = Row("daemon", "own_stop", 7, [Phase("exporter", 1.0, 2.0)], [own], 0.0)
    assert classify_again(row) == row


def test_record_must_follow_from_its_own_evidence() -> None:
    """Anyone can check a record again."""
    row = classify_again(row_of(RECORDED[0]))
    record = row.records[0]
    others = {**record, "why": f"{record['why']}; 3 of 4 targets of this host stalled at once"}
    assert contradicted([row, row._replace(records=[others])]) == []
    assert len(contradicted([row._replace(records=[{**record, "why": "a guess"}])])) == 1
    assert len(contradicted([row_of(RECORDED[0])])) == 1


def test_evidence_is_stored_under_its_true_cause_at_most_so_often(tmp_path: Path) -> None:
    row = row_of(RECORDED[0])
    assert store_evidence([row, row, row], tmp_path, most=2) == 2
    names = sorted(path.name for path in tmp_path.iterdir())
    label = RECORDED[0].stem.rpartition("-")[0]
    assert names == [f"{label}-1.json", f"{label}-2.json"]
    assert Evidence.from_json((tmp_path / names[0]).read_text()) == Evidence.from_json(RECORDED[0].read_text())
