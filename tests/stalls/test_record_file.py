"""Records survive in a file, whatever else is in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.stalls import StallRecord, StallRegistry, Verdict, read_records, to_line
from redis_pulse.stalls.record_file import parse_record
from redis_pulse.stalls.records import MAX_RECORD_BYTES, MAX_TOTAL

VERDICT = Verdict("command", "sure", "KEYS took 1 s", "Scan.")
EVIDENCE = '{"started":1.0,"missing":{}}'


def record(number: int = 1, **changes: Any) -> StallRecord:
    parts = {"target": "a", "started": 1e9, "ended": 1e9 + 1.5, "seconds": 1.25, "slow": 1, "timeouts": 2}
    return StallRecord(**{"id": number, **parts, "verdict": VERDICT, "evidence": EVIDENCE, **changes})


@pytest.mark.parametrize("changes", [{}, {"target": None}, {"seen": "later"}, {"commands": ("KEYS *",)}])
def test_record_comes_back_as_it_was(changes: dict[str, Any]) -> None:
    assert parse_record(to_line(record(**changes)).encode()) == record(**changes)


def test_newest_records_of_both_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "stalls.jsonl"
    (tmp_path / "stalls.jsonl.1").write_text("".join(to_line(record(number)) for number in range(1, 400)))
    file.write_text("".join(to_line(record(number)) for number in range(400, 700)))
    ids = [one.id for one in read_records(file).records]
    assert ids == list(range(200, 700))
    assert len(ids) == MAX_TOTAL


def test_damaged_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    """A full disk cuts a line. The next record is appended to the rest of it."""
    file = tmp_path / "stalls.jsonl"
    cut = to_line(record(1))[:50] + to_line(record(2))
    file.write_bytes(cut.encode() + b"\xff\xfe\n\n{}\n[[[[\n" + to_line(record(3)).encode())
    stored = read_records(file)
    assert ([one.id for one in stored.records], stored.damaged) == ([3], 4)


def test_missing_file_has_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none") == ([], 0)


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="director"):
        read_records(tmp_path)


def test_huge_file_is_read_from_its_end(tmp_path: Path) -> None:
    file = tmp_path / "stalls.jsonl"
    with file.open("wb") as out:
        out.truncate(1 << 33)
        out.seek(1 << 33)
        out.write(b"\n" + to_line(record(9)).encode())
    assert [one.id for one in read_records(file).records] == [9]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(to_line(record(commands=("a",)))))), JSON)
def test_wrong_part_makes_no_record_or_a_valid_one(name: str, value: Any) -> None:
    plain = json.loads(to_line(record(commands=("a",)))) | {name: value}
    parsed = parse_record(json.dumps(plain).encode())
    if parsed is not None:
        assert len(json.dumps(parsed.to_plain())) <= MAX_RECORD_BYTES


@given(st.binary(max_size=80))
def test_any_bytes_make_no_exception(line: bytes) -> None:
    assert parse_record(line) is None


def test_numbers_continue_after_a_restart() -> None:
    registry = StallRegistry()
    registry.restore([record(7), record(41, target=None), record(12)])
    assert registry.next_id() == 42
    assert [one.id for one in registry.newest()] == [12, 41, 7]
    last = registry.last("a")
    assert last is not None
    assert last.id == 12
