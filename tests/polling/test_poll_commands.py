"""Nothing is asked twice that is known: a reply within one poll, a refusal for as long as the server is the same."""

from typing import Any

import pytest

from redis_pulse.errors import (
    KeyDeniedError,
    LoadingError,
    NoDatabaseError,
    PermissionDeniedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.polling.poll_commands import DENIED_FOR, CachingCommands, RefusedCommands
from tests.fakes import FakeCommands, ManualClock


def asking(
    fake: FakeCommands,
    refusals: RefusedCommands | None = None,
    identity: tuple[str, ...] = ("a",),
    clock: ManualClock | None = None,
) -> CachingCommands:
    return CachingCommands(fake, {}, {} if refusals is None else refusals, identity, clock or ManualClock())


async def test_a_reply_is_kept_for_the_poll_by_command_and_database() -> None:
    fake = FakeCommands({"INFO": b"x", "DBSIZE @1": 1, "DBSIZE @2": 2})
    once = asking(fake)
    assert [await once.execute("INFO"), await once.execute("INFO")] == [b"x", b"x"]
    assert [await once.execute("DBSIZE", db=1), await once.execute("DBSIZE", db=2)] == [1, 2]
    assert fake.asked == ["INFO", "DBSIZE @1", "DBSIZE @2"]
    assert once.sent == 3


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnknownCommandError("what")])
async def test_a_refused_command_is_sent_once_until_the_server_is_another(error: Exception) -> None:
    fake = FakeCommands({"CONFIG GET a": error, "CONFIG GET b": error, "CONFIG RESETSTAT": b"OK"})
    refusals: RefusedCommands = {}
    for setting in ("a", "b", "a"):
        with pytest.raises(type(error)):
            await asking(fake, refusals).execute("CONFIG", "GET", setting)
    assert fake.asked == ["CONFIG GET A"]
    assert await asking(fake, refusals).execute("CONFIG", "RESETSTAT") == b"OK"
    with pytest.raises(type(error)):
        await asking(fake, refusals, ("b",)).execute("CONFIG", "GET", "a")
    assert fake.asked == ["CONFIG GET A", "CONFIG RESETSTAT", "CONFIG GET A"]


async def test_another_error_and_a_denied_key_are_not_remembered() -> None:
    """The server will have loaded; another key may be allowed."""
    fake = FakeCommands({"TYPE a": KeyDeniedError("no"), "TYPE b": b"string", "LATENCY LATEST": LoadingError("x")})
    refusals: RefusedCommands = {}
    with pytest.raises(KeyDeniedError):
        await asking(fake, refusals).execute("TYPE", "a")
    assert await asking(fake, refusals).execute("TYPE", "b") == b"string"
    for _ in range(2):
        with pytest.raises(LoadingError):
            await asking(fake, refusals).execute("LATENCY", "LATEST")
    assert fake.asked.count("LATENCY LATEST") == 2


async def test_info_is_always_asked() -> None:
    fake, refusals = FakeCommands({"INFO": PermissionDeniedError("no")}), RefusedCommands()
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await asking(fake, refusals).execute("INFO")
    assert fake.asked == ["INFO", "INFO"]


async def test_a_pipeline_keeps_every_reply_in_its_place_and_leaves_out_what_is_refused() -> None:
    denied = PermissionDeniedError("no")
    fake = FakeCommands({"TYPE a": b"string", "MEMORY USAGE a": denied, "STRLEN a": 3})
    refusals: RefusedCommands = {}
    commands = [("TYPE", "a"), ("MEMORY", "USAGE", "a"), ("STRLEN", "a")]
    assert await asking(fake, refusals).pipeline(commands) == [b"string", denied, 3]
    again = asking(fake, refusals)
    first, refused, last = await again.pipeline(commands)
    assert (first, last) == (b"string", 3)
    assert (type(refused), str(refused), refused.command) == (PermissionDeniedError, "no", "memory|usage")
    assert fake.asked.count("MEMORY USAGE A") == 1
    assert again.sent == 2


@pytest.mark.parametrize(
    "error", [PermissionDeniedError("no permissions"), NoDatabaseError("DB index is out of range")]
)
async def test_a_database_that_may_not_be_selected_is_asked_for_once(error: TargetError) -> None:
    class Denied(FakeCommands):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            self.asked.append(f"SELECT {db}")
            raise error

    fake, refusals = Denied({}), RefusedCommands()
    for _ in range(3):
        with pytest.raises(type(error)):
            await asking(fake, refusals).pipeline([("SCAN", 0)], db=3)
    assert fake.asked == ["SELECT 3"]


async def test_what_is_denied_is_asked_again_after_a_while_because_it_may_have_been_granted() -> None:
    fake = FakeCommands({"CONFIG GET a": PermissionDeniedError("no"), "LATENCY LATEST": UnknownCommandError("what")})
    refusals, clock = RefusedCommands(), ManualClock()
    for _ in range(3):
        with pytest.raises(PermissionDeniedError):
            await asking(fake, refusals, clock=clock).execute("CONFIG", "GET", "a")
        with pytest.raises(UnknownCommandError):
            await asking(fake, refusals, clock=clock).execute("LATENCY", "LATEST")
        clock.advance(DENIED_FOR / 2)
    assert fake.asked == ["CONFIG GET A", "LATENCY LATEST", "CONFIG GET A"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NOPERM User exporter has no permissions to run the 'client|list' command", "client|list"),
        ("NOPERM this user has no permissions to run the 'client' command or its subcommand", "client"),
        ("NOPERM no", "client|list"),
    ],
)
async def test_what_is_denied_has_the_name_that_an_acl_knows(text: str, name: str) -> None:
    """Redis 6 cannot allow the subcommand alone, so its own word for it is what helps."""
    fake, refusals = FakeCommands({"CLIENT LIST": PermissionDeniedError(text)}), RefusedCommands()
    for _ in range(2):
        asked = asking(fake, refusals)
        with pytest.raises(PermissionDeniedError) as raised:
            await asked.execute("CLIENT", "LIST")
        assert (raised.value.command, list(asked.denied)) == (name, [name])


async def test_a_denied_database_lacks_select() -> None:
    class Denied(FakeCommands):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            raise PermissionDeniedError("no")

    asked = asking(Denied({}))
    with pytest.raises(PermissionDeniedError):
        await asked.pipeline([("SCAN", 0)], db=3)
    assert list(asked.denied) == ["select"]


async def test_info_that_is_denied_is_asked_once_a_poll() -> None:
    fake = FakeCommands({"INFO": PermissionDeniedError("no")})
    asked = asking(fake)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await asked.execute("INFO")
    assert fake.asked == ["INFO"]
    assert list(asked.denied) == ["info"]


async def test_a_remembered_refusal_holds_on_to_nothing() -> None:
    """Raised again and again, one exception grew by the frames of each poll: 100 MB a day."""
    refusals: RefusedCommands = {}
    fake = FakeCommands({"SCAN 0": UnknownCommandError("unknown command 'scan'")})
    for _ in range(3):
        replies = await asking(fake, refusals).pipeline([("SCAN", 0)])
        with pytest.raises(UnknownCommandError) as refused:
            raise replies[0]
        assert len(refused.traceback) == 1
    assert fake.asked == ["SCAN 0"]
    _, kept, _ = refusals["SCAN"]
    assert kept.__traceback__ is None
