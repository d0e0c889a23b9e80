"""An exchange reads what the stream would read, however the bytes arrive, and leaves the stream as it was."""

import asyncio
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import Encoder
from redis.exceptions import RedisError

from redis_pulse.client.bounded_parser import BoundedParser, parser_factory
from redis_pulse.client.exchange import QuickExchange
from tests.client.helpers import request
from tests.fakes import PONG, FakeServer, bulk
from tests.harness import TargetHarness

#: Replies that hiredis reads, and some that it must not read.
USUAL = st.sampled_from(
    (b":1\r\n", b"$2\r\nab\r\n", b"$-1\r\n", b"*0\r\n", b"*2\r\n$3\r\na$b\r\n:7\r\n", b"-ERR no\r\n", b"$4\r\n|>~*\r\n")
)
UNUSUAL = st.sampled_from(
    (b"+OK\r\n", b"-LOADING wait\r\n", b"$100000\r\n" + b"x" * 100_000 + b"\r\n", b"$2\r\n|1\r\n")
)
BROKEN = st.sampled_from((b"", b"$5\r\nab", b"%1\r\n", b"$x\r\n", b"*2\r\n:1\r\n"))


class Wire:
    """A transport with a stream, whose bytes the test delivers."""

    def __init__(self) -> None:
        reader = asyncio.StreamReader()
        self.stream = asyncio.StreamReaderProtocol(reader)
        self.protocol: Any = self.stream
        self.parser: BoundedParser = parser_factory(1024**2)(socket_read_size=65536)
        encoder = Encoder("utf-8", "strict", decode_responses=False)
        self.parser.on_connect(SimpleNamespace(_reader=reader, encoder=encoder))
        self.parser.allow_full_size()

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def deliver(self, data: bytes) -> None:
        if isinstance(self.protocol, asyncio.BufferedProtocol):
            buffer: Any = self.protocol.get_buffer(-1)
            part, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(part)] = part
            self.protocol.buffer_updated(len(part))
            if data:
                self.deliver(data)
        else:
            self.protocol.data_received(data)

    async def read(self, count: int, *, quickly: bool) -> list[Any]:
        """Read replies. The last one may be the error that ended them."""
        found: list[Any] = []
        if quickly:
            transport: Any = self
            count = await QuickExchange(transport, self.parser, count, found.append).run()
        for _ in range(count):
            try:
                found.append(await self.parser.read_response())
            except Exception as error:  # noqa: BLE001  # it is compared
                found.append(error)
                if getattr(error, "status_code", None) is None:
                    break
        return found


async def read(parts: list[bytes], count: int, *, quickly: bool) -> list[Any]:
    wire = Wire()
    reading = asyncio.create_task(wire.read(count, quickly=quickly))
    for part in parts:
        await asyncio.sleep(0)
        wire.deliver(part)
    await asyncio.sleep(0)
    wire.protocol.eof_received()
    found = await reading
    assert wire.protocol is wire.stream
    return [(type(one), str(one)) if isinstance(one, Exception) else one for one in found]


@given(st.lists(USUAL | UNUSUAL, min_size=1, max_size=6), BROKEN, st.lists(st.integers(0, 300), max_size=6))
async def test_replies_are_those_of_the_stream(replies: list[bytes], end: bytes, cuts: list[int]) -> None:
    data, places = b"".join(replies) + end, [0, *sorted(cuts)]
    parts = [part for one, two in zip(places, [*places[1:], len(data)], strict=True) if (part := data[one:two])]
    count = len(replies) + bool(end)
    assert await read(parts, count, quickly=True) == await read(parts, count, quickly=False)


async def test_usual_replies_do_not_pass_the_stream() -> None:
    wire = Wire()
    reading = asyncio.create_task(wire.read(2, quickly=True))
    await asyncio.sleep(0)
    wire.deliver(b"$2\r\na")
    wire.deliver(b"b\r\n:5\r\n")
    assert wire.protocol is wire.stream
    assert await reading == [b"ab", 5]
    assert wire.parser.is_fresh


async def test_what_comes_after_the_replies_is_left() -> None:
    wire = Wire()
    reading = asyncio.create_task(wire.read(1, quickly=True))
    await asyncio.sleep(0)
    wire.deliver(b":1\r\n:2\r\n")
    assert await reading == [1]
    assert not wire.parser.is_fresh
    assert await wire.parser.read_response() == 2


async def test_cancelled_exchange_gives_the_connection_back() -> None:
    wire = Wire()
    reading = asyncio.create_task(wire.read(1, quickly=True))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert wire.protocol is wire.stream


async def test_lost_connection_is_an_error_of_the_stream() -> None:
    wire = Wire()
    reading = asyncio.create_task(wire.read(1, quickly=True))
    await asyncio.sleep(0)
    wire.deliver(b"$5\r\nab")
    wire.protocol.connection_lost(ConnectionResetError("gone"))
    (error,) = await reading
    assert isinstance(error, ConnectionResetError | RedisError)


async def test_next_request_after_a_quick_one_uses_the_same_connection(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    for number in range(5):
        server.script("GET", bulk(f"{number}" * 10 if number % 2 else "|1"))
        assert await request(harness, "GET") is not None
        assert await request(harness, "PING") == PONG.data[1:-2]
    assert server.accepted == 1
    await harness.close()
