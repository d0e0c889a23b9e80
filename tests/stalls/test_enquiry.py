"""Questions to a server: what it refuses is missing evidence that is remembered, and odd replies never raise."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.commands import Args
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.stalls.enquiry import (
    DENIED_FOR,
    EnquirySlots,
    Questioner,
    new_entries,
    newest_number,
    shown_commands,
    try_fresh_connection,
)
from redis_pulse.stalls.evidence import SlowEntry
from redis_pulse.stalls.snapshots import INFO_EVERYTHING
from tests.fakes import ManualClock

INFO = b"# Server\r\nrun_id:a\r\n"
ENTRY = [3, 1000, 250_000, [b"KEYS", b"secret:*"], b"10.0.0.1:99", b"cart"]


class FakeAsk:
    """Replies by the first word of a command."""

    def __init__(self, **replies: Any) -> None:
        self.replies = {"INFO": INFO, "SLOWLOG": [ENTRY], "LATENCY": [], "CONFIG": [], "COMMANDLOG": [], **replies}
        self.sent: list[Args] = []

    async def __call__(self, commands: Sequence[Args], within: float) -> list[Any]:
        assert within > 0
        self.sent += commands
        return [self.replies[str(args[0])] for args in commands]

    @property
    def names(self) -> list[str]:
        return [str(args[0]) for args in self.sent]


async def test_everything_is_sent_at_once() -> None:
    ask = FakeAsk()
    answers = await Questioner(ask, ManualClock(5.0)).enquire(1.0)
    assert ask.names == ["INFO", "SLOWLOG", "LATENCY", "CONFIG"]
    assert answers.info is not None
    assert (answers.info.at, answers.info.raw, answers.missing) == (5.0, INFO, {})


async def test_denied_command_is_remembered_for_a_while() -> None:
    ask = FakeAsk(SLOWLOG=PermissionDeniedError("NOPERM"), LATENCY=UnknownCommandError("ERR unknown"))
    clock = ManualClock()
    questioner = Questioner(ask, clock)
    first = await questioner.enquire(1.0)
    ask.sent.clear()
    second = await questioner.enquire(1.0)
    assert first.missing == {"slowlog": "denied", "latency": "unknown command"}
    assert second.missing == first.missing
    assert ask.names == ["INFO", "COMMANDLOG", "CONFIG"]
    ask.sent.clear()
    clock.advance(DENIED_FOR)
    await questioner.enquire(1.0)
    assert "SLOWLOG" in ask.names


async def test_old_server_gets_the_old_form_of_info() -> None:
    ask = FakeAsk(INFO=TargetError("ERR syntax error"))
    questioner = Questioner(ask, ManualClock())
    assert await questioner.snapshot(1.0) is None
    ask.replies["INFO"] = INFO
    assert await questioner.snapshot(1.0) is not None
    assert INFO_EVERYTHING in ask.sent


async def test_snapshot_has_the_newest_number_of_the_slow_log() -> None:
    taken = await Questioner(FakeAsk(), ManualClock()).snapshot(1.0)
    assert taken is not None
    assert taken.slow_number == 3


def test_new_entries_are_those_above_the_number_before() -> None:
    reply = [[5, 1000, 9, [b"GET"]], [4, 1000, 7, [b"KEYS"]], [3, 1000, 8, [b"SET"]]]
    assert [one.id for one in new_entries(reply, 3, 0.0, "me") or ()] == [5, 4]
    assert [one.id for one in new_entries(reply, 9, 1001.5, "me") or ()] == [], "the numbers went back: times decide"
    assert [one.id for one in new_entries(reply, None, 1000.5, "me") or ()] == [5, 4, 3]
    assert new_entries(None, 3, 0.0, "me") is None


def test_own_entries_are_left_out() -> None:
    assert new_entries([ENTRY], -1, 0.0, "cart") == ()


def test_arguments_are_shown_only_by_request_and_cut() -> None:
    entry = SlowEntry(3, 1000.0, 0.25, "keys")
    assert shown_commands([ENTRY], [entry]) == ["KEYS secret:*"]
    assert len(shown_commands([[3, 1, 1, [b"x" * 9999]]], [entry])[0]) <= 128


ODD = st.recursive(st.none() | st.integers() | st.binary(max_size=8) | st.text(max_size=8), st.lists, max_leaves=12)


@given(ODD)
def test_odd_replies_never_raise(reply: object) -> None:
    newest_number(reply)
    entries = new_entries(reply, 3, 0.0, "me") or ()
    assert isinstance(shown_commands(reply, entries), list)


def test_slots_are_limited() -> None:
    slots = EnquirySlots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take()


@pytest.mark.parametrize(("reply", "expected"), [(b"-ERR Protocol error\r\n", (True, True)), (b"", (True, False))])
async def test_fresh_connection_tells_whether_the_server_refuses(reply: bytes, expected: tuple[bool, bool]) -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await reader.read()  # until the client has closed
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sock = server.sockets[0]
    assert await try_fresh_connection((sock.family, sock.getsockname())) == expected
    await closed.wait()
    server.close()
    assert await try_fresh_connection((sock.family, ("127.0.0.1", 1))) == (False, False)
