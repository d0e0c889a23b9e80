"""The probe log has one line per scheduled probe. It is rotated, it is limited, and it never delays a probe."""

import asyncio
import csv
from pathlib import Path

import pytest

from redis_pulse import line_file
from redis_pulse.config import ProbeSettings, parse_url
from redis_pulse.probe import ProbeCsvLog
from redis_pulse.probe.csv_log import HEADER, csv_prefix
from tests.fakes import FakeServer
from tests.harness import TargetHarness
from tests.probe.test_prober import PATIENT


class LogWithLosses:
    """A probe log, and the lines that it lost."""

    def __init__(self, file: Path, *, max_bytes: int = 1_000_000, backups: int = 2, max_waiting: int = 1000) -> None:
        self.lost: list[tuple[int, str]] = []
        self.log = ProbeCsvLog(
            file,
            max_bytes=max_bytes,
            backups=backups,
            max_waiting=max_waiting,
            on_lost=lambda count, reason: self.lost.append((count, reason)),
        )


def read_lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(autouse=True)
def _flush_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "FLUSH_INTERVAL", 0.001)


async def test_every_probe_has_one_line_with_its_outcome(tmp_path: Path) -> None:
    """Times are on the wall clock, and the observed latency is the difference of two of them."""
    file = tmp_path / "probe.csv"
    one = LogWithLosses(file)
    async with FakeServer() as server:
        watched = TargetHarness(
            server.url, csv_log=one.log, breaker=PATIENT, probe=ProbeSettings(timeout=1, interval=0.5)
        )
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
        await watched.probes_due(1, apart=1.5)
        server.release()
        await watched.ended(4)
        await watched.close()
        port = str(server.port)
    await one.log.stop()
    lines = read_lines(file)
    assert [(line["outcome"], line["reason"]) for line in lines] == [
        ("success", ""),
        ("success", ""),
        ("failure", "skipped"),
        ("failure", "skipped"),
        ("failure", "timeout"),
        ("success", ""),
    ]
    assert {(line["target"], line["port"]) for line in lines} == {("t", port)}
    second = lines[1]
    assert second["clock"] == "user"  # the wall clock is no real one, so no kernel timestamp is trusted
    assert int(second["sent_ns"]) == int(second["due_ns"]) == 1001 * 10**9
    assert int(second["received_ns"]) - int(second["sent_ns"]) == 250_000_000
    assert [line["due_ns"] for line in lines[2:4]] == ["1000750000000", "1001250000000"]
    assert [line["sent_ns"] for line in lines[2:4]] == ["", ""]
    assert (lines[4]["received_ns"], lines[4]["clock"]) == ("", "")
    assert len(lines) == watched.total()


async def test_file_is_rotated_and_old_files_are_limited(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    one = LogWithLosses(file, max_bytes=len(HEADER) + 25)
    for number in range(5):
        one.log.write(f"line number {number}\n")
        await asyncio.sleep(0.02)  # a thread writes it
    await one.log.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"probe.csv", "probe.csv.1", "probe.csv.2"}
    assert file.read_text().startswith(HEADER)
    content = "".join(path.read_text() for path in (tmp_path / "probe.csv.2", tmp_path / "probe.csv.1", file))
    assert content.endswith("line number 4\n")
    assert not one.lost


async def test_file_starts_again_without_backups(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    file.write_text("x" * 100)
    one = LogWithLosses(file, max_bytes=50, backups=0)
    one.log.write("line\n")
    await one.log.stop()
    assert file.read_text() == HEADER + "line\n"
    assert [path.name for path in tmp_path.iterdir()] == ["probe.csv"]


async def test_existing_file_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "probe.csv"
    for _ in range(2):
        one = LogWithLosses(file)
        one.log.write("line\n")
        await one.log.stop()
    assert file.read_text() == HEADER + "line\nline\n"


async def test_lines_that_cannot_be_written_are_counted(tmp_path: Path) -> None:
    one = LogWithLosses(tmp_path / "no-such-folder" / "probe.csv", max_waiting=2)
    for _ in range(3):
        one.log.write("line\n")
    await one.log.stop()
    assert one.lost == [(1, "the disk is too slow"), (2, "No such file or directory")]


async def test_link_is_not_followed_and_a_new_file_is_private(tmp_path: Path) -> None:
    """Attack L8: the log was appended to any file that a link named."""
    victim, link = tmp_path / "victim", tmp_path / "link.csv"
    victim.write_text("unchanged")
    link.symlink_to(victim)
    lost: list[str] = []
    log = ProbeCsvLog(link, max_bytes=10_000, backups=1, on_lost=lambda _count, reason: lost.append(reason))
    log.write("a,b\n")
    await log.stop()
    assert victim.read_text() == "unchanged"
    assert len(lost) == 1
    log = ProbeCsvLog(tmp_path / "new.csv", max_bytes=10_000, backups=1, on_lost=lambda _count, _reason: None)
    log.write("a,b\n")
    await log.stop()
    assert (tmp_path / "new.csv").stat().st_mode & 0o007 == 0


def test_name_with_comma_is_quoted_and_unix_socket_has_no_port() -> None:
    assert csv_prefix('a,"b', parse_url("redis://h:1").endpoint) == '"a,""b",1'
    assert csv_prefix("a", parse_url("unix:///run/s").endpoint) == "a,"


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_name_is_no_formula_of_a_spreadsheet(name: str) -> None:
    """Attack L8: a name from an inventory would be calculated when the file is opened."""
    assert csv_prefix(name, parse_url("redis://h:1").endpoint) == f"'{name},1"
