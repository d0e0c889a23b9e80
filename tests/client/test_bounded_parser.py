"""A reply of a poll is read as redis-py would read it, unless it is too large: then it is refused before it is read."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import Encoder
from redis.exceptions import RedisError, ResponseError

from redis_pulse import errors
from redis_pulse.client.bounded_parser import DEEPEST, HANDSHAKE, OF_A_PART, BoundedParser, bounded
from redis_pulse.config import PollSettings
from tests.fakes import FakeServer, Reply, bulk
from tests.harness import TargetHarness

MOST = 1024**2


def parser(data: bytes, *, most: int = MOST, wide: bool = True) -> BoundedParser:
    """Return the parser of a connection on which ``data`` has arrived."""
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    one = bounded(most)(socket_read_size=65536)
    one.on_connect(SimpleNamespace(_reader=stream, encoder=Encoder("utf-8", "strict", decode_responses=False)))
    if wide:
        one.widen()
    return one


def wire(reply: Any) -> bytes:
    """Write a reply as a server does."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(wire, reply))


@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=80),
        lambda inner: st.lists(inner, max_size=5),
        max_leaves=20,
    )
)
async def test_every_reply_is_read_back(reply: Any) -> None:
    one = parser(wire(reply) + b"+OK\r\n*-1\r\n")
    assert await one.read_response() == reply
    assert [await one.read_response(), await one.read_response()] == [b"OK", None]


async def test_an_error_reply_is_a_value() -> None:
    one = parser(b"*2\r\n-ERR no\r\n:1\r\n")
    error, number = await one.read_response()
    assert isinstance(error, ResponseError)
    assert number == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"$1999999999\r\nxxxxxxxx", "a reply of 1999999999 bytes or more, which is larger than poll.max_reply"),
        (b"*1999999999\r\n:1\r\n", "larger than poll.max_reply"),
        (b"*20000\r\n" + b":1\r\n" * 20000, "larger than poll.max_reply"),
        (b"*3\r\n" + wire(b"x" * 400_000) * 3, "larger than poll.max_reply"),
        (b"*1\r\n" * (DEEPEST + 2), "lists inside of lists"),
        (b"*1\r\n" * 5000, "lists inside of lists"),
        (b"+" + b"x" * 200_000, "a line of more than 65536 bytes"),
        (b"$-2\r\n", "below 0"),
        (b"*-7\r\n", "below 0"),
        (b"$x\r\n", "no number|number is none"),
        (b":\r\n", "number is none"),
        (b"$" + b"9" * 5000 + b"\r\n", "number is none"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no reply"),
    ],
)
async def test_a_reply_that_is_too_large_or_none_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(errors.ProtocolError, match=says):
        await parser(data).read_response()


async def test_every_reply_has_the_whole_limit() -> None:
    one = parser(wire(b"x" * (MOST - 200)) * 3)
    for _ in range(3):
        assert len(await one.read_response()) == MOST - 200


async def test_while_connecting_the_limit_is_small() -> None:
    one = parser(b"$%d\r\n" % (HANDSHAKE + 1), wide=False)
    with pytest.raises(errors.ProtocolError, match="AUTH"):
        await one.read_response()


@given(st.binary(max_size=300), st.sampled_from([b"", b"*2\r\n", b"$5\r\n", b"*1\r\n*1\r\n"]))
async def test_no_bytes_break_it(data: bytes, before: bytes) -> None:
    with suppress(errors.ProtocolError, RedisError):
        await parser(before + data).read_response()


async def test_the_limit_of_a_target_holds_and_the_next_reply_is_read_on_a_new_connection() -> None:
    async with FakeServer() as server:
        watched = TargetHarness(server.url, poll=PollSettings(max_reply=65536))
        server.script("INFO", Reply(b"$1999999999\r\n" + b"x" * 100_000), bulk("x" * 60_000), bulk("x" * 70_000))
        with pytest.raises(errors.ProtocolError, match=r"poll\.max_reply"):
            await watched.client.commands("info", watched.clock() + 5).execute("INFO")
        assert len(await watched.client.commands("info", watched.clock() + 5).execute("INFO")) == 60_000
        assert server.accepted == 2
        with pytest.raises(errors.ProtocolError, match=r"poll\.max_reply"):
            await watched.client.commands("info", watched.clock() + 5).execute("INFO")
        await watched.close()


async def test_an_answer_to_auth_is_small() -> None:
    async with FakeServer() as server:
        watched = TargetHarness(server.url, password="x")
        server.script("AUTH", Reply(b"$1999999999\r\n"))
        with pytest.raises(errors.ProtocolError):
            await watched.client.commands("info", watched.clock() + 5).execute("INFO")
        await watched.close()


def test_a_part_of_a_list_counts_more_than_its_text() -> None:
    """Five bytes of the wire (``:1`` and its end) are an object of 28 bytes and more in memory."""
    assert OF_A_PART >= 64
