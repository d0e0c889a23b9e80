"""What one client may take, tried with clients that take more."""

import asyncio
import inspect
import logging
from dataclasses import replace

import pytest
from httptools import HttpRequestParser
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from redis_pulse.web import REFUSAL_REASONS, ConnectionLimits
from redis_pulse.web.connection_limits import UVICORN_ATTRIBUTES, LimitedProtocol
from tests.web.fakes import FakeDaemon, Raw, raw, served

HASTY = ConnectionLimits(request_timeout=0.2, response_timeout=0.2, keep_alive=1, linger=0.2)
CALM = ConnectionLimits(linger=0.2)
HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


async def drip(connection: Raw, data: bytes) -> None:
    """Send byte after byte, faster than any idle timeout would notice."""
    for byte in data:
        try:
            await connection.say(bytes([byte]))
        except ConnectionError:
            return
        await asyncio.sleep(0.01)


def test_uvicorn_still_is_what_we_build_on() -> None:
    """We override callbacks and read attributes of uvicorn's protocol: this tells what an upgrade took away."""
    callbacks = [
        name for name, member in vars(LimitedProtocol).items() if inspect.isfunction(member) and name[0] != "_"
    ]
    assert len(callbacks) == 11
    for name in callbacks:
        there = inspect.signature(getattr(HttpToolsProtocol, name))
        ours = inspect.signature(getattr(LimitedProtocol, name))
        assert list(there.parameters) == list(ours.parameters), name
    protocol_attributes, cycle_attributes = UVICORN_ATTRIBUTES
    source = inspect.getsource(HttpToolsProtocol.__init__)
    for name in protocol_attributes:
        assert f"self.{name}" in source, name
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in cycle_attributes:
        assert f"self.{name}" in source, name
    assert HttpRequestParser is not None
    assert "self.send_400_response(" in inspect.getsource(HttpToolsProtocol.data_received)
    assert "if self.disconnected:" in inspect.getsource(RequestResponseCycle.send)


async def test_a_silent_connection_is_cut() -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), HASTY, refused) as server, raw(server.port) as connection:
        assert await connection.rest() == b""
    assert refused == ["timeout"]


@pytest.mark.parametrize(
    "start", [b"G", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: a"]
)
async def test_a_request_that_never_ends_is_answered_408_and_cut(start: bytes) -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), HASTY, refused) as server, raw(server.port) as connection:
        await connection.say(start)
        assert (await connection.rest()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert refused == ["timeout"]


async def test_trickling_bytes_buy_no_time() -> None:
    """A slow loris sends a byte now and then: the deadline is for the whole request, not for a pause."""
    refused: list[str] = []
    async with served(FakeDaemon(), HASTY, refused) as server, raw(server.port) as connection:
        dripping = asyncio.create_task(drip(connection, b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 1000))
        assert b" 408 " in await connection.rest()
        dripping.cancel()
    assert refused == ["timeout"]


async def test_empty_lines_between_requests_buy_no_time() -> None:
    """The parser skips them without a word, and uvicorn takes them for life."""
    async with served(FakeDaemon(), HASTY) as server, raw(server.port) as connection:
        await connection.say(HEALTHY)
        await connection.until(b"ok\n")
        dripping = asyncio.create_task(drip(connection, b"\r\n" * 1000))
        assert await connection.rest() == b""
        dripping.cancel()


@pytest.mark.parametrize("path", [b"/-/reload", b"/-/healthy"])
async def test_a_body_that_never_ends_is_cut(path: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, HASTY, refused) as server, raw(server.port) as connection:
        await connection.say(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        dripping = asyncio.create_task(drip(connection, b"x" * 900))
        answer = await connection.rest()
        dripping.cancel()
    assert answer.startswith(b"HTTP/1.1 408 " if path == b"/-/reload" else b"HTTP/1.1 405 ")
    assert refused == ["timeout"]
    assert daemon.reloads == 0


async def test_further_requests_of_a_connection_have_deadlines_of_their_own() -> None:
    limits = replace(HASTY, request_timeout=0.5)
    async with served(FakeDaemon(), limits) as server, raw(server.port) as connection:
        for _ in range(3):
            await connection.say(HEALTHY[:20])
            await asyncio.sleep(0.2)
            await connection.say(HEALTHY[20:])
            await connection.until(b"ok\n")
        await connection.say(HEALTHY + HEALTHY[:20])
        answers = await connection.rest()
    assert answers.count(b"HTTP/1.1 200 ") == 1
    assert answers.count(b"HTTP/1.1 408 ") == 1


async def test_an_idle_connection_is_closed() -> None:
    async with served(FakeDaemon(), HASTY) as server, raw(server.port) as connection:
        await connection.say(HEALTHY)
        await connection.until(b"ok\n")
        assert await connection.rest() == b""


async def test_a_slow_page_is_not_the_clients_fault() -> None:
    daemon, refused = FakeDaemon(gate=asyncio.Event()), list[str]()
    assert daemon.gate is not None
    async with served(daemon, HASTY, refused) as server, raw(server.port) as connection:
        # The second request waits, and the third is half there: we do not read on before the first is answered.
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + HEALTHY + HEALTHY[:20])
        await asyncio.sleep(0.7)
        daemon.gate.set()
        await connection.say(HEALTHY[20:-2] + b"Connection: close\r\n\r\n")
        answers = await connection.rest()
    assert answers.count(b"HTTP/1.1 200 ") == 3
    assert refused == []


async def test_an_answer_that_nobody_fetches_is_cut() -> None:
    daemon, refused = FakeDaemon(page=b"x" * 40_000_000), list[str]()
    async with served(daemon, HASTY, refused) as server, raw(server.port) as connection:
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            while not refused:
                await asyncio.sleep(0.02)
    assert refused == ["not_fetched"]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="long-url"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", id="long-header"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n" + HEALTHY, id="and-another-request"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 400_000, id="header-without-end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 6000 + b"\r\n", id="many-headers"),
    ],
)
async def test_a_head_too_large_is_answered_431(head: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, CALM, refused) as server, raw(server.port) as connection:
        await connection.say(head)
        assert (await connection.rest()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert refused == ["head_too_large"]
    assert daemon.counted == []


async def test_a_head_just_within_the_limit_is_served() -> None:
    async with served(FakeDaemon()) as server, raw(server.port) as connection:
        await connection.say(b"GET /-/healthy HTTP/1.1\r\nConnection: close\r\nX: " + b"a" * 32_000 + b"\r\n\r\n")
        assert b" 200 OK" in await connection.rest()


async def test_many_small_requests_in_one_piece_are_no_large_head() -> None:
    async with served(FakeDaemon(), CALM) as server, raw(server.port) as connection:
        asking = asyncio.create_task(
            connection.say(HEALTHY * 2000 + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
        )
        assert (await connection.rest()).count(b"HTTP/1.1 200 ") == 2001
        await asking


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 70000\r\n\r\n", id="announced"),
        pytest.param(b"Content-Length: 9999999999999999999\r\n\r\n", id="announced-absurdly"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + b"2000\r\n" + b"x" * 8192 + b"\r\n", id="one-chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + (b"2000\r\n" + b"x" * 8192 + b"\r\n") * 9, id="in-chunks"),
    ],
)
async def test_a_body_too_large_is_answered_413_before_anything_is_done(body: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, replace(CALM, body_bytes=4096), refused) as server, raw(server.port) as connection:
        await connection.say(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n" + body)
        assert (await connection.rest()).startswith(b"HTTP/1.1 413 ")
    assert refused == ["body_too_large"]
    assert daemon.reloads == 0
    assert daemon.counted == []


async def test_a_body_within_the_limit_is_read_and_ignored() -> None:
    daemon = FakeDaemon()
    async with served(daemon) as server, raw(server.port) as connection:
        request = b"POST /-/reload HTTP/1.1\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"
        await connection.say(request + b"x" * 60_000)
        assert b" 200 OK" in await connection.rest()
    assert daemon.reloads == 1


async def test_an_answer_that_has_begun_is_cut_rather_than_mixed_with_another() -> None:
    refused: list[str] = []

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await Request(scope, receive).body()
        await PlainTextResponse("never")(scope, receive, send)  # pragma: no cover

    async with served(early, replace(CALM, body_bytes=10), refused) as server, raw(server.port) as connection:
        await connection.say(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await connection.until(b"\r\n\r\n")
        await connection.say(b"40\r\n" + b"x" * 64 + b"\r\n")
        assert await connection.rest() == b""
    assert refused == ["body_too_large"]


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(range(256)) * 4,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,  # a TLS ClientHello
        b"*1\r\n$4\r\nPING\r\n",  # somebody takes us for Redis
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["bytes", "tls", "redis", "version", "path", "connect", "length", "smuggling"],
)
async def test_what_is_no_request_is_answered_400_and_the_server_lives(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), CALM, refused) as server:
        async with raw(server.port) as connection:
            await connection.say(garbage)
            assert (await connection.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        async with raw(server.port) as connection:
            await connection.say(HEALTHY)
            await connection.until(b"ok\n")
    assert refused == ["bad_request"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_bad_second_request_cuts_rather_than_answering_the_first() -> None:
    daemon, refused = FakeDaemon(gate=asyncio.Event()), list[str]()
    async with served(daemon, CALM, refused) as server, raw(server.port) as connection:
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await daemon.asked.wait()
        await connection.say(b"\x00\x01\x02")
        assert await connection.rest() == b""
        assert daemon.gate is not None
        daemon.gate.set()
    assert refused == ["bad_request"]


async def test_an_offer_to_upgrade_is_declined_with_a_plain_answer() -> None:
    async with served(FakeDaemon()) as server, raw(server.port) as connection:
        await connection.say(
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 200 OK" in await connection.until(b"ok\n")


async def test_connections_beyond_the_most_are_answered_503() -> None:
    refused: list[str] = []
    limits = replace(CALM, connections=16)
    async with served(FakeDaemon(), limits, refused) as server:
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(16)]
        try:
            excess = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
            answers = [await Raw(*streams).rest() for streams in excess]
            for streams in excess:
                streams[1].transport.abort()
        finally:
            for _, writer in kept:
                writer.transport.abort()
        assert [answer[:13] for answer in answers] == [b"HTTP/1.1 503 "] * 2 + [b""] * 2
        assert refused == ["too_many_connections"] * 4
        answer = b""
        async with asyncio.timeout(5):
            while b" 200 OK" not in answer:  # as soon as the server has seen that the others are gone
                async with raw(server.port) as connection:
                    await connection.say(HEALTHY.replace(b"Host: x", b"Connection: close"))
                    answer = await connection.rest()


def test_every_reason_is_in_the_closed_list() -> None:
    """It becomes a label."""
    source = inspect.getsource(LimitedProtocol)
    assert all(f'"{reason}"' in source for reason in REFUSAL_REASONS)


@pytest.mark.parametrize("before", [b"", HEALTHY], ids=["first", "after another one"])
async def test_a_long_header_in_one_chunk_is_answered_431_at_once(before: bytes) -> None:
    """It must not wait for the deadline: the line that never ends is longer than any head may be."""
    refused: list[str] = []
    async with served(FakeDaemon(), CALM, refused) as server, raw(server.port) as connection:
        if before:
            await connection.say(before)
            await connection.until(b"ok\n")
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000)
        assert b"HTTP/1.1 431 " in await connection.rest()
    assert refused == ["head_too_large"]


async def test_requests_in_one_chunk_are_judged_each_by_its_own_head() -> None:
    refused: list[str] = []
    count = 1000
    async with served(FakeDaemon(), CALM, refused) as server, raw(server.port) as connection:
        await connection.say(HEALTHY * count + b"GET /-/healthy HTTP/1.1\r\nConnection: close\r\n")
        await connection.say(b"\r\n")
        assert (await connection.rest()).count(b"HTTP/1.1 200 ") == count + 1
    assert refused == []


async def test_a_client_that_goes_ends_all_the_answers_that_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    """Three requests in one chunk, nothing read: the first answer went on being written to nobody, 660 warnings."""
    ended = asyncio.Event()
    pieces = 0

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal pieces
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for pieces in range(400):  # noqa: B007
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    async with served(endless) as server:
        async with raw(server.port) as connection:
            await connection.say(HEALTHY * 3)
            await connection.until(b"\r\n\r\n")
        async with asyncio.timeout(5):
            await ended.wait()
    assert pieces == 399
    assert "socket.send() raised exception" not in caplog.text
