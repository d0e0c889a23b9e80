"""Lines are appended off the event loop, also when another program moves the file. See tests/probe/test_csv_log.py."""

from pathlib import Path

from redis_pulse.line_file import LineFile


async def write(file: Path, *lines: str, mode: int = 0o666) -> list[tuple[int, str]]:
    lost: list[tuple[int, str]] = []
    one = LineFile(
        file,
        max_bytes=1000,
        backups=1,
        on_lost=lambda count, reason: lost.append((count, reason)),
        header="head\n",
        mode=mode,
    )
    for line in lines:
        one.write(line)
    await one.stop()
    return lost


async def test_file_that_was_moved_begins_again_with_its_header(tmp_path: Path) -> None:
    """logrotate moves the file and sends SIGHUP. No signal is needed, because the file is opened for each write."""
    file = tmp_path / "lines"
    assert await write(file, "one\n") == []
    file.rename(tmp_path / "old")
    assert await write(file, "two\n") == []
    assert file.read_text() == "head\ntwo\n"


async def test_file_has_the_permissions_that_were_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    await write(file, "secret\n", mode=0o600)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_folder_in_place_of_the_file_costs_lines_only(tmp_path: Path) -> None:
    assert await write(tmp_path, "one\n", "two\n") == [(2, "Is a directory")]
