"""A page is sent in pieces, as fast as the client fetches it. It counts once meanwhile."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from redis_pulse.exposition.page_body import PageBody, PageWriter
from redis_pulse.slices import MAX_SLICE, SharedTurns
from redis_pulse.web import ConnectionLimits
from redis_pulse.web.connection_accounting import ClientLimits
from redis_pulse.web.streaming import PIECE, PieceMaker, StreamedResponse
from tests.fakes import ManualClock
from tests.harness import eventually
from tests.web.fakes import FakeDaemon, connect, served

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def page(count: int, *, is_gzip: bool = False) -> PageBody:
    writer = PageWriter(gzip=is_gzip)
    for number in range(count):
        writer.text(b'redis_x{target="t%d"} %d\n' % (number, number * 7919 % 104729))
    return writer.end()


class StreamingDaemon(FakeDaemon):
    """Its page is a ``PageBody``, the same one for all requests of an encoding."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.bodies = {is_gzip: page(count, is_gzip=is_gzip) for is_gzip in (False, True)}

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> Any:
        return self.bodies[gzip]


async def test_page_arrives_whole_in_both_encodings() -> None:
    daemon = StreamingDaemon(60_000)
    wanted = bytes(daemon.bodies[False])
    async with served(daemon) as server:
        async with connect(server.port) as connection:
            await connection.send(GET)
            head, _, body = (await connection.read_rest()).partition(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(wanted) in head
        assert body == wanted
        async with connect(server.port) as connection:
            await connection.send(GET[:-2] + b"Accept-Encoding: gzip\r\n\r\n")
            head, _, body = (await connection.read_rest()).partition(b"\r\n\r\n")
        assert b"content-encoding: gzip" in head
        assert gzip.decompress(body) == wanted
        async with connect(server.port) as connection:
            await connection.send(GET.replace(b"GET", b"HEAD"))
            head, _, body = (await connection.read_rest()).partition(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(wanted) in head
        assert body == b""
    assert server.page_bytes == 0


async def test_client_that_does_not_read_holds_the_stored_page_and_no_text() -> None:
    """The plain text is 20 times as long. It is made as the client fetches it."""
    refused: list[str] = []
    daemon = StreamingDaemon(300_000)
    stored, size = len(daemon.bodies[False].stored), daemon.bodies[False].size
    limits = replace(ConnectionLimits(), clients=ClientLimits(page_bytes=1))
    async with served(daemon, limits, refused) as server, connect(server.port) as first, connect(server.port) as second:
        for client in (first, second):
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(GET)
        await eventually(lambda: server.page_bytes > 0)
        await asyncio.sleep(0.05)
        assert server.page_bytes == stored < size / 3
        (one, _other) = server.connections
        assert one.transport.get_write_buffer_size() <= 2 * PIECE
        first.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await first.read_rest()) > size
        second.writer.transport.abort()
        await eventually(lambda: server.page_bytes == 0)
    assert refused == []


async def test_page_is_not_made_any_further_for_a_client_that_has_left() -> None:
    made = 0

    class Counting(PageBody):
        def pieces(self, longest: int = PIECE) -> Iterator[bytes]:
            nonlocal made
            for piece in super().pieces(longest):
                made += 1
                yield piece

    body = page(300_000)
    daemon = StreamingDaemon(0)
    daemon.bodies[False] = Counting(body.stored, is_gzip=False)
    async with served(daemon) as server:
        async with connect(server.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(GET)
            await eventually(lambda: made > 3)
        await eventually(lambda: server.page_bytes == 0 and not server.connections)
        seen = made
        await asyncio.sleep(0.05)
        assert made == seen < body.size // PIECE


def slow_maker() -> PieceMaker:
    """Return a maker for which each piece takes a quarter of a slice."""
    clock = ManualClock()
    return PieceMaker(SharedTurns(MAX_SLICE, lambda: clock.advance(MAX_SLICE / 4)))


async def test_event_loop_gets_turns_while_a_page_is_sent() -> None:
    turns = [0]
    seen: list[int] = []

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def send(_message: Any) -> None:
        seen.append(turns[0])

    async def receive() -> Any:
        raise AssertionError

    counting = asyncio.ensure_future(count())
    await StreamedResponse(page(100_000), {}, slow_maker())({"type": "http", "method": "GET"}, receive, send)
    counting.cancel()
    assert len(set(seen)) > len(seen) // 5


async def test_many_clients_have_few_pieces_made_in_one_turn() -> None:
    """Otherwise two hundred of them hold the event loop for a tenth of a second, again and again."""
    maker, turns = slow_maker(), [0]
    sent: Counter[int] = Counter()

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def send(message: Any) -> None:
        sent[turns[0]] += bool(message.get("body"))

    async def receive() -> Any:
        raise AssertionError

    counting = asyncio.ensure_future(count())
    scope = {"type": "http", "method": "GET"}
    responses = [StreamedResponse(page(100_000), {}, maker) for _ in range(50)]
    await asyncio.gather(*(response(scope, receive, send) for response in responses))
    counting.cancel()
    assert max(sent.values()) < 10
