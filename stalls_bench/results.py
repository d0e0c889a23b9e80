"""Stored results. Their evidence can be judged again by the rules of this checkout, and be kept as test data."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from stalls_bench.injectors import Phase
from stalls_bench.judge import expected_cause
from stalls_bench.lane import Row
from stalls_bench.own import DAEMON


def write(file: Path, row: Row) -> None:
    """Append a row."""
    with file.open("a") as output:
        output.write(json.dumps(row._asdict()) + "\n")


def read(file: Path) -> Iterator[Row]:
    """Yield the rows of a file."""
    for line in file.read_text().splitlines():
        plain = json.loads(line)
        yield Row(**{**plain, "phases": [Phase(*phase) for phase in plain["phases"]]})


def classify_again(row: Row) -> Row:
    """Return the row with the verdicts of this checkout's rules on the stored evidence."""
    from redis_pulse.stalls.causes import classify
    from redis_pulse.stalls.evidence import Evidence

    records = []
    for record in row.records:
        if record["target"] is None or "evidence" not in record:
            records.append(record)
            continue
        verdict = classify(Evidence.from_json(json.dumps(record["evidence"])))
        records.append({**record, "cause": verdict.cause, "certainty": verdict.certainty, "why": verdict.why})
    return row._replace(records=records)


def contradicted(rows: Iterable[Row]) -> list[str]:
    """Return the records whose stored evidence does not lead to their cause and their ``why`` again.

    Behind its own words, ``why`` may name how many other targets stalled at once. No evidence of one target has that.
    """
    found = []
    for row in rows:
        for record, again in zip(row.records, classify_again(row).records, strict=True):
            same = record["cause"] == again["cause"] and str(record["why"]).startswith(str(again["why"]))
            if not same:
                found.append(f"{row.server} {row.kind}: {record['why']}; again: {again['why']}")
    return found


def store_evidence(rows: Iterable[Row], folder: Path, most: int) -> int:
    """Write the evidence of at most so many stalls of each kind as ``CAUSE-KIND-SERVER-NUMBER.json``."""
    counts: Counter[str] = Counter()
    for row in rows:
        for record in row.records[:1]:
            if row.server == DAEMON or "evidence" not in record:
                continue
            label = f"{expected_cause(row.phases, record)}-{row.kind.replace('+', '_')}-{row.server}"
            counts[label] += 1
            if counts[label] <= most:
                text = json.dumps(record["evidence"], separators=(",", ":"))
                (folder / f"{label}-{counts[label]}.json").write_text(text + "\n")
    return sum(min(count, most) for count in counts.values())
