"""The measured tables of ``make stalls`` in the documents."""

from pathlib import Path

import pytest

from stalls_bench.document import matrices, replace_measured, summary, write
from tests.stalls_bench.test_judge import row

ROWS = [row("keys", "command"), row("keys", "unknown"), row("stop+script", "not_running", server="valkey")]


def test_summary_has_the_shares_of_each_server_and_the_seeds() -> None:
    assert summary(ROWS).splitlines()[2:] == [
        "| Redis 7.0 | one cause | 2 | 1 (50.0%) | 1 (50.0%) | 0 (0.0%) |",
        "| Valkey 9.1 | two causes | 1 | 1 (100.0%) | 0 (0.0%) | 0 (0.0%) |",
        "",
        "Seeds: 7.",
    ]


def test_only_the_measured_part_of_a_document_changes() -> None:
    text = "a\n<!-- measured -->\nold\n<!-- end of measured -->\nz"
    assert replace_measured(text, r"new \1") == "a\n<!-- measured -->\n\nnew \\1\n\n<!-- end of measured -->\nz"
    with pytest.raises(ValueError, match="lacks"):
        replace_measured("no marker", "new")


def test_both_documents_are_written(tmp_path: Path) -> None:
    for name in ("stalls.md", "stall-matrix.md"):
        (tmp_path / name).write_text("<!-- measured --><!-- end of measured -->")
    write(ROWS, tmp_path)
    assert summary(ROWS) in (tmp_path / "stalls.md").read_text()
    assert matrices(ROWS) in (tmp_path / "stall-matrix.md").read_text()
