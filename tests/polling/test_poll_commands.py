"""Nothing known is sent again: replies within one poll, and refusals for as long as the server is the same."""

from typing import Any

import pytest

from redis_pulse.errors import (
    KeyDeniedError,
    LoadingError,
    NoDatabaseError,
    NotOfferedError,
    PermissionDeniedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.polling.poll_commands import DENIED_FOR, CachingCommands, RefusedCommands
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, ManualClock


def caching(
    fake: FakeCommands,
    refusals: RefusedCommands | None = None,
    server: Server | None = None,
    clock: ManualClock | None = None,
) -> CachingCommands:
    server = server or Server(run_id="a")
    return CachingCommands(fake, {}, {} if refusals is None else refusals, server, clock or ManualClock())


async def test_reply_is_kept_for_the_poll_by_command_and_database() -> None:
    fake = FakeCommands({"INFO": b"x", "DBSIZE @1": 1, "DBSIZE @2": 2})
    commands = caching(fake)
    assert [await commands.execute("INFO"), await commands.execute("INFO")] == [b"x", b"x"]
    assert [await commands.execute("DBSIZE", db=1), await commands.execute("DBSIZE", db=2)] == [1, 2]
    assert fake.requests == ["INFO", "DBSIZE @1", "DBSIZE @2"]
    assert commands.sent == 3


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnknownCommandError("what")])
async def test_refused_command_is_sent_once_per_server(error: Exception) -> None:
    fake = FakeCommands({"CONFIG GET a": error, "CONFIG GET b": error, "CONFIG RESETSTAT": b"OK"})
    refusals: RefusedCommands = {}
    for setting in ("a", "b", "a"):
        with pytest.raises(type(error)):
            await caching(fake, refusals).execute("CONFIG", "GET", setting)
    assert fake.requests == ["CONFIG GET A"]
    assert await caching(fake, refusals).execute("CONFIG", "RESETSTAT") == b"OK"
    with pytest.raises(type(error)):
        await caching(fake, refusals, Server(run_id="b")).execute("CONFIG", "GET", "a")
    assert fake.requests == ["CONFIG GET A", "CONFIG RESETSTAT", "CONFIG GET A"]


async def test_other_errors_and_denied_keys_are_not_remembered() -> None:
    """A server finishes loading. Another key may be allowed."""
    fake = FakeCommands({"TYPE a": KeyDeniedError("no"), "TYPE b": b"string", "LATENCY LATEST": LoadingError("x")})
    refusals: RefusedCommands = {}
    with pytest.raises(KeyDeniedError):
        await caching(fake, refusals).execute("TYPE", "a")
    assert await caching(fake, refusals).execute("TYPE", "b") == b"string"
    for _ in range(2):
        with pytest.raises(LoadingError):
            await caching(fake, refusals).execute("LATENCY", "LATEST")
    assert fake.requests.count("LATENCY LATEST") == 2


async def test_info_is_sent_in_every_poll() -> None:
    fake, refusals = FakeCommands({"INFO": PermissionDeniedError("no")}), RefusedCommands()
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await caching(fake, refusals).execute("INFO")
    assert fake.requests == ["INFO", "INFO"]


async def test_pipeline_keeps_the_order_and_omits_refused_commands() -> None:
    denied = PermissionDeniedError("no")
    fake = FakeCommands({"TYPE a": b"string", "MEMORY USAGE a": denied, "STRLEN a": 3})
    refusals: RefusedCommands = {}
    commands = [("TYPE", "a"), ("MEMORY", "USAGE", "a"), ("STRLEN", "a")]
    assert await caching(fake, refusals).pipeline(commands) == [b"string", denied, 3]
    again = caching(fake, refusals)
    first, refused, last = await again.pipeline(commands)
    assert (first, last) == (b"string", 3)
    assert (type(refused), str(refused), refused.command) == (PermissionDeniedError, "no", "memory|usage")
    assert fake.requests.count("MEMORY USAGE A") == 1
    assert again.sent == 2


@pytest.mark.parametrize(
    "error", [PermissionDeniedError("no permissions"), NoDatabaseError("DB index is out of range")]
)
async def test_refused_database_is_selected_once(error: TargetError) -> None:
    class Denied(FakeCommands):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            self.requests.append(f"SELECT {db}")
            raise error

    fake, refusals = Denied({}), RefusedCommands()
    for _ in range(3):
        with pytest.raises(type(error)):
            await caching(fake, refusals).pipeline([("SCAN", 0)], db=3)
    assert fake.requests == ["SELECT 3"]


async def test_denied_command_is_sent_again_after_a_while() -> None:
    fake = FakeCommands({"CONFIG GET a": PermissionDeniedError("no"), "LATENCY LATEST": UnknownCommandError("what")})
    refusals, clock = RefusedCommands(), ManualClock()
    for _ in range(3):
        with pytest.raises(PermissionDeniedError):
            await caching(fake, refusals, clock=clock).execute("CONFIG", "GET", "a")
        with pytest.raises(UnknownCommandError):
            await caching(fake, refusals, clock=clock).execute("LATENCY", "LATEST")
        clock.advance(DENIED_FOR / 2)
    assert fake.requests == ["CONFIG GET A", "LATENCY LATEST", "CONFIG GET A"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NOPERM User exporter has no permissions to run the 'client|list' command", "client|list"),
        ("NOPERM this user has no permissions to run the 'client' command or its subcommand", "client"),
        ("NOPERM no", "client|list"),
    ],
)
async def test_denied_command_has_its_acl_name(text: str, name: str) -> None:
    """Redis 6 cannot allow the subcommand alone, so the name in its own error message helps more."""
    fake, refusals = FakeCommands({"CLIENT LIST": PermissionDeniedError(text)}), RefusedCommands()
    for _ in range(2):
        commands = caching(fake, refusals)
        with pytest.raises(PermissionDeniedError) as raised:
            await commands.execute("CLIENT", "LIST")
        assert (raised.value.command, list(commands.denied)) == (name, [name])


async def test_denied_database_is_a_denied_select() -> None:
    class Denied(FakeCommands):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            raise PermissionDeniedError("no")

    commands = caching(Denied({}))
    with pytest.raises(PermissionDeniedError):
        await commands.pipeline([("SCAN", 0)], db=3)
    assert list(commands.denied) == ["select"]


async def test_denied_info_is_sent_once_per_poll() -> None:
    fake = FakeCommands({"INFO": PermissionDeniedError("no")})
    commands = caching(fake)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await commands.execute("INFO")
    assert fake.requests == ["INFO"]
    assert list(commands.denied) == ["info"]


async def test_remembered_refusal_keeps_no_frames_in_memory() -> None:
    """An exception that is raised again and again grows by the frames of each poll: 100 MB a day."""
    refusals: RefusedCommands = {}
    fake = FakeCommands({"SCAN 0": UnknownCommandError("unknown command 'scan'")})
    for _ in range(3):
        replies = await caching(fake, refusals).pipeline([("SCAN", 0)])
        with pytest.raises(UnknownCommandError) as refused:
            raise replies[0]
        assert len(refused.traceback) == 1
    assert fake.requests == ["SCAN 0"]
    _, kept, _ = refusals["SCAN"]
    assert kept.__traceback__ is None


def elasticache() -> Server:
    server = Server()
    server.update({"redis_version": "7.1.0", "os": "Amazon ElastiCache"})
    return server


@pytest.mark.parametrize(
    "error", [UnknownCommandError("unknown command"), PermissionDeniedError("NOPERM no"), TargetError("disabled")]
)
async def test_command_that_a_service_refuses_on_purpose_is_not_offered(error: TargetError) -> None:
    """A denied command would be tried again and again, because an operator may grant it. A service never does."""
    fake = FakeCommands({"CONFIG GET a": error, "SLOWLOG LEN": PermissionDeniedError("NOPERM no")})
    refusals: RefusedCommands = {}
    clock = ManualClock()
    commands = caching(fake, refusals, elasticache(), clock)
    with pytest.raises(NotOfferedError, match="Amazon ElastiCache does not offer CONFIG GET"):
        await commands.execute("CONFIG", "GET", "a")
    assert commands.denied == {}
    with pytest.raises(PermissionDeniedError):
        await commands.execute("SLOWLOG", "LEN")
    clock.advance(DENIED_FOR)
    for _ in range(2):
        [reply] = await caching(fake, refusals, elasticache(), clock).pipeline([("CONFIG", "GET", "a")])
        assert isinstance(reply, NotOfferedError)
    assert fake.requests == ["CONFIG GET A", "SLOWLOG LEN"]


async def test_refusal_in_a_pipeline_is_not_offered_too() -> None:
    fake = FakeCommands({"CONFIG GET a": PermissionDeniedError("NOPERM no"), "DBSIZE": 3})
    commands = caching(fake, {}, elasticache())
    refused, size = await commands.pipeline([("CONFIG", "GET", "a"), ("DBSIZE",)])
    assert isinstance(refused, NotOfferedError)
    assert (size, commands.denied) == (3, {})


async def test_other_failure_of_such_a_command_stays_what_it_is() -> None:
    """A busy service may recover. The database that a cluster lacks is no command that the service refuses."""
    fake = FakeCommands({"CONFIG GET a": LoadingError("x")})
    with pytest.raises(LoadingError):
        await caching(fake, {}, elasticache()).execute("CONFIG", "GET", "a")
