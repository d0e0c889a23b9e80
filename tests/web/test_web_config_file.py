"""The watched web configuration file: a change is in force for the next client, and a broken file changes nothing."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.blocking import FILES, BlockedError
from redis_pulse.config import ConfigError
from redis_pulse.web import WebConfigWatcher, load_web_access
from redis_pulse.web.web_config_file import PAUSE_AFTER_HANG, SETTLE
from tests.fakes import ManualClock
from tests.web.certificates import Certificates, write_config

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
OTHER_HASH = "$2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m"


class Watched:
    """A watcher on a clock of the test, and what it reported."""

    def __init__(self, path: Path | None) -> None:
        self.clock = ManualClock()
        self.valid: list[bool] = []
        self.watcher = WebConfigWatcher(path, on_valid=self.valid.append, clock=self.clock)

    async def users(self, max_age: float = 0.0) -> list[str]:
        return list((await self.watcher.refresh(max_age)).users)


async def started(folder: Path, **sections: Any) -> Watched:
    watched = Watched(write_config(folder, **sections))
    await watched.watcher.start()
    return watched


async def test_without_a_file_everyone_may_look() -> None:
    watched = Watched(None)
    await watched.watcher.start()
    assert not (await watched.watcher.refresh(0)).requires_login
    assert await watched.watcher.for_new_connection() is None


async def test_changed_users_are_in_force_for_the_next_client(tmp_path: Path) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    assert await watched.users() == ["alice"]
    write_config(tmp_path, basic_auth_users={"bob": HASH})
    assert await watched.users() == ["bob"]
    assert watched.valid == [True, True]


async def test_change_is_noticed_although_size_and_time_stay_the_same(tmp_path: Path) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    file = tmp_path / "web.yml"
    status = file.stat()
    file.write_text(file.read_text().replace("alice", "carol"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert await watched.users() == ["carol"]


async def test_open_connection_relies_on_a_recent_reading(tmp_path: Path) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    write_config(tmp_path, basic_auth_users={"bob": HASH})
    watched.clock.advance(0.5)
    assert await watched.users(max_age=1.0) == ["alice"]
    watched.clock.advance(0.6)
    assert await watched.users(max_age=1.0) == ["bob"]


async def test_renewed_certificate_is_in_force_for_the_next_connection(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.issue("server", "localhost")
    watched = await started(tmp_path, tls_server_config={"cert_file": "server.crt", "key_file": "server.key"})
    first = await watched.watcher.for_new_connection()
    assert await watched.watcher.for_new_connection() is first
    certificates.issue("server", "localhost")
    second = await watched.watcher.for_new_connection()
    assert second is not None
    assert second is not first
    assert watched.watcher.is_current(second)
    assert not watched.watcher.is_current(first)


async def test_half_renewed_certificate_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.issue("server", "localhost")
    old_key = (tmp_path / "server.key").read_bytes()
    watched = await started(tmp_path, tls_server_config={"cert_file": "server.crt", "key_file": "server.key"})
    first = await watched.watcher.for_new_connection()
    certificates.issue("server", "localhost")
    new_key = (tmp_path / "server.key").read_bytes()
    (tmp_path / "server.key").write_bytes(old_key)
    assert await watched.watcher.for_new_connection() is first
    (tmp_path / "server.key").write_bytes(new_key)
    assert await watched.watcher.for_new_connection() is not first
    assert watched.valid == [True, False, True]


@pytest.mark.parametrize("text", ["", "basic_auth_users: {alice: no-hash}\n", "basic_auth_users: [\n", None])
async def test_broken_file_leaves_the_old_one_in_force_and_is_logged_once(
    tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    file = tmp_path / "web.yml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for _ in range(3):
        assert await watched.users() == ["alice"]
    assert caplog.text.count("the previous one stays in force") == 1
    assert "no-hash" not in caplog.text
    assert watched.valid[-1] is False
    write_config(tmp_path, basic_auth_users={"alice": HASH})
    assert await watched.users() == ["alice"]
    assert watched.valid[-1] is True


async def test_content_that_takes_protection_away_must_stay_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A program may write the file in two steps. In between it may be valid, and have no users."""
    watched = await started(tmp_path, basic_auth_users={"alice": HASH}, rate_limit={"interval": "1s", "burst": 9})
    write_config(tmp_path, rate_limit={"interval": "1s", "burst": 9})
    assert await watched.users() == ["alice"]
    watched.clock.advance(SETTLE / 2)
    assert await watched.users() == ["alice"]
    watched.clock.advance(SETTLE / 2)
    assert await watched.users() == []
    assert "less protection than before" in caplog.text


async def test_start_with_a_broken_file_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rate_limit has an interval and no burst"):
        await started(tmp_path, rate_limit={"interval": "1s"})
    with pytest.raises(ConfigError, match="does not exist"):
        await Watched(tmp_path / "none.yml").watcher.start()


async def test_file_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="not a regular file"):
        await Watched(tmp_path / "fifo").watcher.start()
    with pytest.raises(ConfigError, match="bearer_token_file names a file that cannot be read"):
        await started(tmp_path, bearer_token_file="fifo")


async def test_hanging_file_system_delays_one_client_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    calls = []

    async def hang(*_: Any, within: float) -> None:
        calls.append(within)
        raise BlockedError(within)

    with monkeypatch.context() as patch:
        patch.setattr(FILES, "run", hang)
        for _ in range(3):
            assert await watched.users() == ["alice"]
    assert len(calls) == 1
    assert watched.valid[-1] is False
    watched.clock.advance(PAUSE_AFTER_HANG)
    assert await watched.users() == ["alice"]
    assert watched.valid[-1] is True


async def test_many_clients_at_once_cause_two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = await started(tmp_path, basic_auth_users={"alice": HASH})
    calls = []
    run = FILES.run

    async def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return await run(*arguments, **options)

    monkeypatch.setattr(FILES, "run", counted)
    assert await asyncio.gather(*(watched.users() for _ in range(100))) == [["alice"]] * 100
    assert len(calls) <= 2


@pytest.mark.parametrize(
    ("data", "tokens"),
    [(b"first-token-0123456789\n", 1), (b"first-token-0123456789\r\n\nsecond-token-012345678\n", 2)],
)
def test_token_file_has_one_token_a_line(tmp_path: Path, data: bytes, tokens: int) -> None:
    (tmp_path / "token").write_bytes(data)
    access = load_web_access(write_config(tmp_path, bearer_token_file="token"), "web.yml")
    assert len(access.tokens) == tokens
    assert access.requires_login


@pytest.mark.parametrize("data", [b"", b"\n", b"two words\n", "tökentökentöken".encode(), b"x" * 2**20 + b"y"])
def test_unusable_token_file_is_refused_without_its_content(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "token").write_bytes(data)
    with pytest.raises(ConfigError, match=r"web.yml:1: bearer_token_file") as caught:
        load_web_access(write_config(tmp_path, bearer_token_file="token"), "web.yml")
    assert "two" not in str(caught.value)


def test_short_token_gets_a_warning(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"short\n")
    access = load_web_access(write_config(tmp_path, bearer_token_file="token"), "web.yml")
    assert any("can be guessed" in warning for warning in access.warnings)


def test_secrets_do_not_stand_in_the_text_of_the_result(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"secret-token-0123456\n")
    path = write_config(tmp_path, bearer_token_file="token", basic_auth_users={"a": HASH})
    text = repr(load_web_access(path, "web.yml"))
    assert "secret-token" not in text
    assert HASH not in text
