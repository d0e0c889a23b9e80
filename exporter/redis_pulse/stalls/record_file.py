"""Records in a file, one line of JSON each, so that they survive a restart.

The newest records are read at the start. Lines that are no records are left out, because a full disk or another
program may have damaged them.
"""

import json
import math
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from redis_pulse.blocking import regular_file_status
from redis_pulse.stalls.causes import CAUSES, Certainty, Verdict
from redis_pulse.stalls.records import MAX_RECORD_BYTES, MAX_TOTAL, StallRecord

#: The file is rotated at this size. It and the file before it have all records that are kept, and more.
MAX_BYTES: Final = 8_000_000
BACKUPS: Final = 1
#: Bytes that are read at the start, from the end of each file.
_MAX_READ: Final = MAX_TOTAL * MAX_RECORD_BYTES
_MAX_TEXT: Final = 2000
_SEEN = ("ping", "later")


class StoredRecords(NamedTuple):
    """The newest records of a file, the oldest first, and the number of lines that are no records."""

    records: list[StallRecord]
    damaged: int


def to_line(record: StallRecord) -> str:
    """Return a record as a line of JSON."""
    return json.dumps(record.to_plain(), separators=(",", ":")) + "\n"


def read_records(file: Path) -> StoredRecords:
    """Read the newest records of a file and of the one before it. Raises OSError, and may hang with the disk.

    A file that does not exist has no records.
    """
    records: deque[StallRecord] = deque(maxlen=MAX_TOTAL)
    damaged = 0
    for path in (file.with_name(f"{file.name}.1"), file):
        for line in _last_lines(path):
            if (record := parse_record(line)) is None:
                damaged += 1
            else:
                records.append(record)
    return StoredRecords(list(records), damaged)


def _last_lines(path: Path) -> list[bytes]:
    try:
        size = regular_file_status(path).st_size
    except FileNotFoundError:
        return []
    with path.open("rb") as file:
        file.seek(max(0, size - _MAX_READ))
        lines = file.read(_MAX_READ).split(b"\n")
    return [line for line in lines[size > _MAX_READ :] if line.strip()]


def parse_record(line: bytes) -> StallRecord | None:
    """Return the record in a line, or None if the line is no record."""
    try:
        plain = json.loads(line)
        slots, verdict = plain["slots"], Verdict(plain["cause"], plain["certainty"], plain["why"], plain["do"])
        record = StallRecord(
            id=plain["id"],
            target=plain["target"],
            started=datetime.fromisoformat(plain["started"]).timestamp(),
            ended=datetime.fromisoformat(plain["ended"]).timestamp(),
            seconds=float(plain["seconds"]),
            slow=slots["slow"],
            timeouts=slots["timeout"],
            verdict=verdict,
            seen=plain.get("seen", "ping"),
            evidence=json.dumps(plain.get("evidence", {}), separators=(",", ":")),
            commands=tuple(plain.get("commands", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    return record if _is_valid(record, verdict) else None


def _is_valid(record: StallRecord, verdict: Verdict) -> bool:
    numbers: tuple[Any, ...] = (record.id, record.slow, record.timeouts)
    texts: tuple[Any, ...] = (verdict.why, verdict.do, record.target or "", *record.commands)
    return (
        all(type(number) is int and 0 <= number < 2**53 for number in numbers)
        and all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts)
        and verdict.cause in CAUSES
        and verdict.certainty in get_args(Certainty)
        and record.seen in _SEEN
        and math.isfinite(record.seconds)
        and len(record.evidence) <= MAX_RECORD_BYTES
        and isinstance(json.loads(record.evidence), dict)
    )
