"""Credentials are read for each connection, in a thread. A file that hangs does not stop a target."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse import errors
from redis_pulse.client import credentials
from redis_pulse.client.credentials import Credentials
from redis_pulse.config import TargetSettings, target
from redis_pulse.masking import WITHHELD
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, target_settings


class Disk:
    """Reads files, and hangs or fails on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.hangs = False
        self.error: OSError | None = None
        self._released = threading.Event()

    def read(self, path: Path, _limit: int) -> bytes:
        if self.error is not None:
            raise self.error
        if self.hangs:
            self._released.wait()
        return path.read_bytes()

    def hang(self) -> None:
        """Read nothing until ``release()``. Deadlines are short, because they will pass."""
        self.hangs = True
        for name in ("REREAD_TIMEOUT", "FIRST_READ_TIMEOUT"):
            self._monkeypatch.setattr(credentials, name, 0.02)

    def release(self) -> None:
        self.hangs = False
        self._released.set()


def credentials_of(settings: TargetSettings) -> Credentials:
    return Credentials(settings, on_not_renewed=lambda _reason: None)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    monkeypatch.setattr(target, "read_regular_file", disk.read)
    yield disk
    disk.release()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("first\n")
    return file


async def test_rotated_file_is_read(file: Path) -> None:
    target_credentials = credentials_of(target_settings(password_file=file, username="me"))
    assert target_credentials.secret is None
    assert (await target_credentials.read())[:2] == ("me", "first")
    file.write_text("second\n")
    assert (await target_credentials.read())[:2] == ("me", "second")
    assert target_credentials.secret == "second"


async def test_file_that_hangs_keeps_last_password(file: Path, disk: Disk) -> None:
    target_credentials = credentials_of(target_settings(password_file=file))
    assert (await target_credentials.read())[:2] == (None, "first")
    disk.hang()
    assert (await target_credentials.read())[:2] == (None, "first")


async def test_file_that_always_hangs_is_auth_error(file: Path, disk: Disk) -> None:
    disk.hang()
    with pytest.raises(errors.AuthError, match="cannot read the password file: no answer within"):
        await credentials_of(target_settings(password_file=file)).read()


async def test_late_read_serves_next_connect(file: Path, disk: Disk) -> None:
    """A slow file system must not stop a target permanently."""
    disk.hang()
    target_credentials = credentials_of(target_settings(password_file=file))
    with pytest.raises(errors.AuthError):
        await target_credentials.read()
    disk.release()
    await eventually(lambda: target_credentials.secret == "first")


async def test_fifo_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(errors.AuthError, match="cannot read the password file: not a regular file"):
        await credentials_of(target_settings(password_file=tmp_path / "fifo")).read()


async def test_lack_of_descriptors_is_skipped(file: Path, disk: Disk) -> None:
    disk.error = OSError(errno.EMFILE, "Too many open files")
    async with FakeServer() as server:
        harness = TargetHarness(server.url, password_file=file)
        with pytest.raises(errors.SkippedError):
            await harness.client.connect_probe()
        await harness.close()


async def test_mapping_an_error_reads_no_file(file: Path, disk: Disk) -> None:
    """Errors are mapped on the event loop."""
    async with FakeServer() as server:
        harness = TargetHarness(server.url, password_file=file)
        (await harness.client.connect_probe()).close()
        disk.error = OSError(errno.EIO, "read on the loop")
        assert str(harness.client._map_error(ConnectionResetError("it was first"))).startswith(WITHHELD)
        await harness.close()
