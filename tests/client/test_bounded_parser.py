"""The parser reads a reply as redis-py does, but rejects a reply that is too large before it reads it."""

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
from redis_pulse.client.bounded_parser import (
    ITEM_OVERHEAD,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_HANDSHAKE_BYTES,
    BoundedParser,
    parser_factory,
)
from redis_pulse.config import PollSettings
from tests.fakes import FakeServer, Reply, bulk
from tests.harness import TargetHarness

MAX_BYTES = 1024**2


def parser(data: bytes, *, max_bytes: int = MAX_BYTES, is_full_size: bool = True) -> BoundedParser:
    """Return the parser of a connection that has received ``data``."""
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    one = parser_factory(max_bytes)(socket_read_size=65536)
    one.on_connect(SimpleNamespace(_reader=stream, encoder=Encoder("utf-8", "strict", decode_responses=False)))
    if is_full_size:
        one.allow_full_size()
    return one


def encode(reply: Any) -> bytes:
    """Return a reply in RESP2, as a server sends it."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))


@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=80),
        lambda inner: st.lists(inner, max_size=5),
        max_leaves=20,
    )
)
async def test_every_reply_is_parsed(reply: Any) -> None:
    one = parser(encode(reply) + b"+OK\r\n*-1\r\n")
    assert await one.read_response() == reply
    assert [await one.read_response(), await one.read_response()] == [b"OK", None]


async def test_error_reply_is_returned_as_value() -> None:
    one = parser(b"*2\r\n-ERR no\r\n:1\r\n")
    error, number = await one.read_response()
    assert isinstance(error, ResponseError)
    assert number == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"$1999999999\r\nxxxxxxxx", "a reply of 1999999999 bytes or more, which is larger than poll.max_reply"),
        (b"*1999999999\r\n:1\r\n", "larger than poll.max_reply"),
        (b"*20000\r\n" + b":1\r\n" * 20000, "larger than poll.max_reply"),
        (b"*3\r\n" + encode(b"x" * 400_000) * 3, "larger than poll.max_reply"),
        (b"*1\r\n" * (MAX_DEPTH + 2), "32 levels of nested lists"),
        (b"*1\r\n" * 5000, "32 levels of nested lists"),
        (b"+" + b"x" * 200_000, "a line of more than 65536 bytes"),
        (b"$-2\r\n", "below 0"),
        (b"*-7\r\n", "below 0"),
        (b"$x\r\n", "invalid number"),
        (b":\r\n", "invalid number"),
        (b"$" + b"9" * 5000 + b"\r\n", "invalid number"),
        (b"HTTP/1.1 400 Bad Request\r\n", "not a reply"),
    ],
)
async def test_too_large_or_invalid_reply_is_rejected(data: bytes, message: str) -> None:
    with pytest.raises(errors.ProtocolError, match=message):
        await parser(data).read_response()


async def test_every_reply_has_full_limit() -> None:
    one = parser(encode(b"x" * (MAX_BYTES - 200)) * 3)
    for _ in range(3):
        assert len(await one.read_response()) == MAX_BYTES - 200


async def test_limit_is_small_while_connecting() -> None:
    one = parser(b"$%d\r\n" % (MAX_HANDSHAKE_BYTES + 1), is_full_size=False)
    with pytest.raises(errors.ProtocolError, match="AUTH"):
        await one.read_response()


@given(st.binary(max_size=300), st.sampled_from([b"", b"*2\r\n", b"$5\r\n", b"*1\r\n*1\r\n"]))
async def test_random_bytes_raise_only_expected_errors(data: bytes, before: bytes) -> None:
    with suppress(errors.ProtocolError, RedisError):
        await parser(before + data).read_response()


async def test_too_large_reply_closes_connection_and_next_reply_is_read() -> None:
    async with FakeServer() as server:
        harness = TargetHarness(server.url, poll=PollSettings(max_reply=65536))
        server.script("INFO", Reply(b"$1999999999\r\n" + b"x" * 100_000), bulk("x" * 60_000), bulk("x" * 70_000))
        with pytest.raises(errors.ProtocolError, match=r"poll\.max_reply"):
            await harness.client.commands("info", harness.clock() + 5).execute("INFO")
        assert len(await harness.client.commands("info", harness.clock() + 5).execute("INFO")) == 60_000
        assert server.accepted == 2
        with pytest.raises(errors.ProtocolError, match=r"poll\.max_reply"):
            await harness.client.commands("info", harness.clock() + 5).execute("INFO")
        await harness.close()


async def test_large_reply_to_auth_is_rejected() -> None:
    async with FakeServer() as server:
        harness = TargetHarness(server.url, password="x")
        server.script("AUTH", Reply(b"$1999999999\r\n"))
        with pytest.raises(errors.ProtocolError):
            await harness.client.commands("info", harness.clock() + 5).execute("INFO")
        await harness.close()


def test_item_of_list_counts_more_than_its_text() -> None:
    """Five received bytes (``:1`` and CRLF) become an object of at least 28 bytes in memory."""
    assert ITEM_OVERHEAD >= 64


@pytest.mark.parametrize(
    "data",
    [
        b"*%d\r\n" % (MAX_ELEMENTS + 1),
        b"*2\r\n*%d\r\n" % (MAX_ELEMENTS - 1) + b":1\r\n" * (MAX_ELEMENTS - 1) + b"*2\r\n",
    ],
)
async def test_elements_of_all_lists_have_a_limit(data: bytes) -> None:
    one = parser(data, max_bytes=2**30)
    with pytest.raises(errors.TooLargeError, match="more than 100000 elements"):
        await one.read_response()


@pytest.mark.parametrize("data", [b"*20000\r\n" + b":1\r\n" * 20_000, encode(b"x" * 6_000_000)])
async def test_other_tasks_run_while_a_reply_that_has_arrived_is_read(data: bytes) -> None:
    one = parser(data, max_bytes=2**24)
    work = asyncio.create_task(one.read_response())
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 20
    assert len(await work) in (20_000, 6_000_000)


async def outcome(one: BoundedParser, count: int) -> list[Any]:
    """Return the replies, and the error that ended them."""
    found: list[Any] = []
    try:
        for _ in range(count):
            reply = await one.read_response()
            found.append(repr(reply))
    except (errors.ProtocolError, RedisError) as error:
        found.append((type(error), str(error)))
    return found


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=8,
        ),
        max_size=5,
    ),
    st.binary(max_size=12),
    st.integers(1, 30),
)
async def test_hiredis_and_the_careful_reader_agree(replies: list[Any], rest: bytes, size: int) -> None:
    """Bulk strings after invalid bytes differ in one way only: hiredis knows the types of RESP3."""

    def wire(reply: Any) -> bytes:
        if isinstance(reply, str):
            return b"-ERR " + reply.encode().replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
        return encode(reply) if not isinstance(reply, list) else b"*%d\r\n" % len(reply) + b"".join(map(wire, reply))

    rest = bytes(byte for byte in rest if byte not in b"_#,(=~%>|!.:+-")
    data = b"".join(map(wire, replies)) + rest
    careful = parser(data)
    careful._is_careful = True
    fast = parser(b"")
    stream = asyncio.StreamReader()
    rewindable: Any = type(fast._stream)
    fast._stream = rewindable(stream)
    work = asyncio.create_task(outcome(fast, len(replies) + 2))
    for start in range(0, len(data), size):
        stream.feed_data(data[start : start + size])
        await asyncio.sleep(0)
    stream.feed_eof()
    careful_found: list[Any] = []
    try:
        for _ in range(len(replies) + 2):
            reply = await careful._read_carefully(disable_decoding=True)
            careful_found.append(repr(reply))
    except (errors.ProtocolError, RedisError) as error:
        careful_found.append((type(error), str(error)))
    assert await work == careful_found
