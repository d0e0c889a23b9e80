"""Records of stalls survive a restart, and a disk that fails costs nothing but lines."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse import line_file, log
from redis_pulse.blocking import FILES
from redis_pulse.daemon import stall_file
from redis_pulse.daemon.stall_file import StallFile
from redis_pulse.stalls import StallRecord, StallRegistry, Verdict
from redis_pulse.telemetry import ExporterMetrics
from tests.harness import eventually, metric_value

VERDICT = Verdict("command", "sure", "KEYS took 1 s", "Scan.")


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(line_file, "FLUSH_INTERVAL", 0.001)
    stream = io.StringIO()
    log.setup("info", "json", stream)
    yield stream
    log.setup()


class Daemon:
    """The records of one run of the daemon."""

    def __init__(self, file: Path) -> None:
        self.registry = StallRegistry()
        self.metrics = ExporterMetrics("x")
        self.file = StallFile(file, self.registry, self.metrics)

    def stall(self) -> int:
        number = self.registry.next_id()
        self.registry.add(StallRecord(number, "cart", 1e9, 1e9 + 1, 1.0, verdict=VERDICT))
        return number

    @property
    def ids(self) -> list[int]:
        return [record.id for record in self.registry.newest()]


async def test_records_survive_a_restart_and_numbers_continue(tmp_path: Path) -> None:
    file = tmp_path / "stalls.jsonl"
    first = Daemon(file)
    await first.file.start()
    assert [first.stall(), first.stall()] == [1, 2]
    await first.file.stop()
    assert file.stat().st_mode & 0o777 == 0o600
    second = Daemon(file)
    await second.file.start()
    assert second.ids == [2, 1]
    assert second.stall() == 3
    await second.file.stop()
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [1, 2, 3]


async def test_damaged_lines_are_one_line_in_the_log(tmp_path: Path, lines: io.StringIO) -> None:
    file = tmp_path / "stalls.jsonl"
    file.write_text("{}\nx\n")
    daemon = Daemon(file)
    await daemon.file.start()
    assert daemon.ids == []
    (line,) = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert (line["event"], line["lines"]) == ("lines that are no records", 2)


async def test_folder_that_does_not_exist_costs_records_of_the_file_only(tmp_path: Path, lines: io.StringIO) -> None:
    daemon = Daemon(tmp_path / "none" / "stalls.jsonl")
    await daemon.file.start()
    for count in (1, 2):
        daemon.stall()
        await eventually(lambda count=count: metric_value(daemon.metrics, LOST) == count)  # type: ignore[misc]
    assert daemon.ids == [2, 1]
    assert [json.loads(text)["event"] for text in lines.getvalue().splitlines()] == ["records not written"]
    await daemon.file.stop()


LOST = "redis_exporter_stall_records_lost_total"


async def test_file_that_cannot_be_read_does_not_stop_the_start(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs must not delay the pings."""

    async def never(*_: object, within: float) -> None:
        assert within == stall_file.READ_TIMEOUT
        await asyncio.sleep(0)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FILES, "run", never)
    daemon = Daemon(tmp_path / "stalls.jsonl")
    await daemon.file.start()
    assert daemon.stall() == 1
    await daemon.file.stop()
    assert "Input/output error" in lines.getvalue()
