"""Credentials are read anew for each connection, off the loop; a file that hangs costs no target its login."""

import asyncio
import errno
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse import errors
from redis_pulse.client import credentials
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.pool import TlsContext
from redis_pulse.config import TlsSettings, target
from redis_pulse.log.processors import WITHHELD
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, target_settings


class Disk:
    """Reads files as the kernel does, until it hangs."""

    def __init__(self) -> None:
        self.hangs = False
        self.error: OSError | None = None
        self._freed = threading.Event()

    def read(self, path: Path, _limit: int) -> bytes:
        if self.error is not None:
            raise self.error
        if self.hangs:
            self._freed.wait()
        return path.read_bytes()

    def free(self) -> None:
        self.hangs = False
        self._freed.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(target, "read_regular_file", disk.read)
    monkeypatch.setattr(credentials, "KNOWN_DEADLINE", 0.02)
    monkeypatch.setattr(credentials, "FIRST_DEADLINE", 0.02)
    yield disk
    disk.free()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("first\n")
    return file


async def test_a_rotated_file_is_seen(file: Path) -> None:
    known = Credentials(target_settings(password_file=file, username="me"))
    assert known.secret is None
    assert await known.read() == ("me", "first")
    file.write_text("second\n")
    assert await known.read() == ("me", "second")
    assert known.secret == "second"


async def test_a_file_that_hangs_leaves_what_was_read_last(file: Path, disk: Disk) -> None:
    known = Credentials(target_settings(password_file=file))
    assert await known.read() == (None, "first")
    disk.hangs = True
    assert await known.read() == (None, "first")


async def test_a_file_that_never_answered_is_a_failure_to_log_in(file: Path, disk: Disk) -> None:
    disk.hangs = True
    with pytest.raises(errors.AuthError, match="cannot read the password file: no answer within"):
        await Credentials(target_settings(password_file=file)).read()


async def test_a_file_that_answers_too_late_serves_the_next_connect(file: Path, disk: Disk) -> None:
    """A file system that is merely slow must not keep a target away for ever."""
    disk.hangs = True
    known = Credentials(target_settings(password_file=file))
    with pytest.raises(errors.AuthError):
        await known.read()
    disk.free()
    await eventually(lambda: known.secret == "first")
    disk.hangs = True


async def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(errors.AuthError, match="cannot read the password file: not a regular file"):
        await Credentials(target_settings(password_file=tmp_path / "fifo")).read()


async def test_want_of_descriptors_is_no_fault_of_the_file(file: Path, disk: Disk) -> None:
    disk.error = OSError(errno.EMFILE, "Too many open files")
    async with FakeServer() as server:
        watched = TargetHarness(server.url, password_file=file)
        with pytest.raises(errors.SkippedError):
            await watched.client.connect_probe()
        await watched.close()


async def test_translating_an_error_reads_no_file(file: Path, disk: Disk) -> None:
    """It is done on the event loop, for every error of every target."""
    async with FakeServer() as server:
        watched = TargetHarness(server.url, password_file=file)
        (await watched.client.connect_probe()).close()
        disk.error = OSError(errno.EIO, "read on the loop")
        assert str(watched.client._translate(ConnectionResetError("it was first"))).startswith(WITHHELD)
        await watched.close()


async def test_targets_that_check_certificates_differently_never_share_a_context() -> None:
    """Both connect at once, and neither names a file: one once got the context of the other, which checks nothing."""
    strict, lax = TlsContext(TlsSettings()), TlsContext(TlsSettings(cert_reqs="none", check_hostname=False))
    of_lax, of_strict = await asyncio.gather(lax.ready(), strict.ready())
    assert (of_lax.verify_mode, of_strict.verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert of_strict.check_hostname
