"""One line a slot, bounded, turned over, and never a reason to wait."""

import asyncio
import csv
from pathlib import Path

import pytest

from redis_pulse.config import ProbeSettings, parse_url
from redis_pulse.probe import ProbeCsvLog, csv_log
from redis_pulse.probe.csv_log import HEADER, csv_prefix
from tests.fakes import FakeServer
from tests.harness import TargetHarness
from tests.probe.test_prober import PATIENT


class Kept:
    """A probe log and what it lost."""

    def __init__(self, file: Path, *, size: int = 1_000_000, backups: int = 2, most: int = 1000) -> None:
        self.lost: list[tuple[int, str]] = []
        self.log = ProbeCsvLog(
            file, size=size, backups=backups, most=most, lost=lambda count, why: self.lost.append((count, why))
        )


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_log, "FLUSH", 0.001)


async def test_every_slot_has_one_line_that_says_what_became_of_it(tmp_path: Path) -> None:
    """Times are those of the wall, and what was booked is the difference of two of them."""
    file = tmp_path / "probe.csv"
    kept = Kept(file)
    async with FakeServer() as server:
        watched = TargetHarness(server.url, log=kept.log, breaker=PATIENT, probe=ProbeSettings(timeout=1, interval=0.5))
        await watched.probe_due()
        await watched.ended(1)
        server.hold()
        watched.clock.advance(1)
        await watched.probe_due()
        await server.arrived("PING", 2)
        watched.clock.advance(0.25)
        server.release()
        await watched.ended(2)
        watched.prober.skipped(2, watched.clock())
        server.hold()
        await watched.probe_due()
        await watched.slots(1, apart=1.5)
        server.release()
        await watched.ended(4)
        await watched.close()
        port = str(server.port)
    await kept.log.stop()
    found = rows(file)
    assert [(row["outcome"], row["reason"]) for row in found] == [
        ("success", ""),
        ("success", ""),
        ("failure", "skipped"),
        ("failure", "skipped"),
        ("failure", "timeout"),
        ("success", ""),
    ]
    assert {(row["target"], row["port"]) for row in found} == {("t", port)}
    second = found[1]
    assert second["clock"] == "user"  # the wall's clock is turned by hand
    assert int(second["sent_ns"]) == int(second["due_ns"]) == 1001 * 10**9
    assert int(second["received_ns"]) - int(second["sent_ns"]) == 250_000_000
    assert [row["due_ns"] for row in found[2:4]] == ["1000750000000", "1001250000000"]
    assert [row["sent_ns"] for row in found[2:4]] == ["", ""]
    assert (found[4]["received_ns"], found[4]["clock"]) == ("", "")
    assert len(found) == watched.total()


async def test_the_file_is_turned_over_and_only_so_many_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    kept = Kept(file, size=len(HEADER) + 25)
    for number in range(5):
        kept.log.write(f"line number {number}\n")
        await asyncio.sleep(0.02)  # it is written by a thread
    await kept.log.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"probe.csv", "probe.csv.1", "probe.csv.2"}
    assert file.read_text().startswith(HEADER)
    together = "".join(path.read_text() for path in (tmp_path / "probe.csv.2", tmp_path / "probe.csv.1", file))
    assert together.endswith("line number 4\n")
    assert not kept.lost


async def test_without_backups_the_file_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    file.write_text("x" * 100)
    kept = Kept(file, size=50, backups=0)
    kept.log.write("line\n")
    await kept.log.stop()
    assert file.read_text() == HEADER + "line\n"
    assert [path.name for path in tmp_path.iterdir()] == ["probe.csv"]


async def test_a_file_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    for _ in range(2):
        kept = Kept(file)
        kept.log.write("line\n")
        await kept.log.stop()
    assert file.read_text() == HEADER + "line\nline\n"


async def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "no-such-folder" / "probe.csv", most=2)
    for _ in range(3):
        kept.log.write("line\n")
    await kept.log.stop()
    assert kept.lost == [(1, "the disk is too slow"), (2, "No such file or directory")]


def test_a_name_with_a_comma_does_not_shift_the_cells_and_a_unix_socket_has_no_port() -> None:
    assert csv_prefix('a,"b', parse_url("redis://h:1").endpoint) == '"a,""b",1'
    assert csv_prefix("a", parse_url("unix:///run/s").endpoint) == "a,"
