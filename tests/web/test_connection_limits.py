"""Tests of the limits for clients, with clients that exceed them."""

import asyncio
import inspect
import logging
import re
import socket
import struct
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import uvicorn
from httptools import HttpRequestParser
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.lifespan.off import LifespanOff
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from redis_pulse.web import REFUSAL_REASONS, ClientLimits, ConnectionLimits, HttpServer
from redis_pulse.web.connection_limits import UVICORN_ATTRIBUTES, LimitedProtocol
from redis_pulse.web.server import _UvicornServer
from tests.harness import block_event_loop, eventually
from tests.patience import at_most
from tests.web.fakes import FakeDaemon, RawConnection, connect, served

SHORT = ConnectionLimits(request_timeout=0.2, response_timeout=0.2, keep_alive=1, linger=0.2)
RELAXED = ConnectionLimits(linger=0.2)
HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


async def drip(connection: RawConnection, data: bytes) -> None:
    """Send byte after byte, so fast that no idle timeout expires."""
    for byte in data:
        try:
            await connection.send(bytes([byte]))
        except ConnectionError:
            return
        await asyncio.sleep(0.01)


#: The classes of uvicorn that we extend or use.
UVICORN_CLASSES = (Config, HttpToolsProtocol, LifespanOff, RequestResponseCycle, uvicorn.Server, ServerState)


def test_uvicorn_has_the_attributes_that_we_use() -> None:
    """``web`` uses internals of uvicorn. This test shows which of them an upgrade has removed."""
    assert UVICORN_ATTRIBUTES.keys() == {cls.__name__ for cls in UVICORN_CLASSES}
    for cls in UVICORN_CLASSES:
        source = inspect.getsource(cls)
        for name in UVICORN_ATTRIBUTES[cls.__name__]:
            is_assigned = re.search(rf"\bself\.{name}(: .+?)? = ", source) is not None
            assert is_assigned or callable(getattr(cls, name, None)), f"{cls.__name__}.{name}"


@pytest.mark.parametrize(
    ("ours", "base", "count"), [(LimitedProtocol, HttpToolsProtocol, 14), (_UvicornServer, uvicorn.Server, 4)]
)
def test_overridden_methods_of_uvicorn_have_the_same_parameters(ours: type, base: type, count: int) -> None:
    names = [name for name, member in vars(ours).items() if inspect.isfunction(member) and name[0] != "_"]
    assert len(names) == count
    for name in names:
        expected, actual = inspect.signature(getattr(base, name)), inspect.signature(getattr(ours, name))
        assert list(expected.parameters) == list(actual.parameters), name


def test_uvicorn_calls_what_we_override() -> None:
    assert HttpRequestParser is not None
    assert "self.send_400_response(" in inspect.getsource(HttpToolsProtocol.data_received)
    assert "if self.disconnected:" in inspect.getsource(RequestResponseCycle.send)
    source = inspect.getsource(uvicorn.Server)
    for name in ("startup", "main_loop", "shutdown", "capture_signals"):
        assert f"self.{name}(" in source, name
    shutdown = inspect.getsource(uvicorn.Server.shutdown) + inspect.getsource(uvicorn.Server._wait_tasks_to_complete)
    assert set(re.findall(r"\bserver\.(\w+)", shutdown)) == {"close", "wait_closed"}, "methods of Acceptor"
    assert {"config", "server_state", "app_state"} <= inspect.signature(HttpToolsProtocol).parameters.keys()


async def test_silent_connection_is_cut() -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), SHORT, refused) as server, connect(server.port) as connection:
        assert await connection.read_rest() == b""
    assert refused == ["timeout"]


@pytest.mark.parametrize(
    "start", [b"G", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: a"]
)
async def test_request_that_never_ends_gets_408_and_is_cut(start: bytes) -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), SHORT, refused) as server, connect(server.port) as connection:
        await connection.send(start)
        assert (await connection.read_rest()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert refused == ["timeout"]


async def test_trickling_bytes_do_not_extend_the_deadline() -> None:
    """A slow-loris client sends a byte now and then. The deadline holds for the whole request, not for a pause."""
    refused: list[str] = []
    async with served(FakeDaemon(), SHORT, refused) as server, connect(server.port) as connection:
        dripping = asyncio.create_task(drip(connection, b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 1000))
        assert b" 408 " in await connection.read_rest()
        dripping.cancel()
    assert refused == ["timeout"]


async def test_empty_lines_between_requests_do_not_extend_the_deadline() -> None:
    """The parser skips them silently, and uvicorn takes them for activity."""
    async with served(FakeDaemon(), SHORT) as server, connect(server.port) as connection:
        await connection.send(HEALTHY)
        await connection.read_until(b"ok\n")
        dripping = asyncio.create_task(drip(connection, b"\r\n" * 1000))
        assert await connection.read_rest() == b""
        dripping.cancel()


@pytest.mark.parametrize("path", [b"/-/reload", b"/-/healthy"])
async def test_body_that_never_ends_is_cut(path: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, SHORT, refused) as server, connect(server.port) as connection:
        await connection.send(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        dripping = asyncio.create_task(drip(connection, b"x" * 900))
        response = await connection.read_rest()
        dripping.cancel()
    assert response.startswith(b"HTTP/1.1 408 " if path == b"/-/reload" else b"HTTP/1.1 405 ")
    assert refused == ["timeout"]
    assert daemon.reloads == 0


async def test_each_request_of_a_connection_has_its_own_deadline() -> None:
    limits = replace(SHORT, request_timeout=30, keep_alive=3600)
    async with served(FakeDaemon(), limits) as server, connect(server.port) as connection:
        for _ in range(3):
            await connection.send(HEALTHY[:20])
            await asyncio.sleep(0.05)
            block_event_loop(20)
            await connection.send(HEALTHY[20:])
            await connection.read_until(b"ok\n")
        await connection.send(HEALTHY + HEALTHY[:20])
        await connection.read_until(b"ok\n")
        block_event_loop(40)
        responses = await connection.read_rest()
    assert responses.count(b"HTTP/1.1 408 ") == 1


async def test_idle_connection_is_closed() -> None:
    async with served(FakeDaemon(), SHORT) as server, connect(server.port) as connection:
        await connection.send(HEALTHY)
        await connection.read_until(b"ok\n")
        assert await connection.read_rest() == b""


async def test_slow_page_is_not_counted_against_the_client() -> None:
    daemon, refused = FakeDaemon(gate=asyncio.Event()), list[str]()
    assert daemon.gate is not None
    async with served(daemon, SHORT, refused) as server, connect(server.port) as connection:
        # The second request waits, and the third is incomplete. The server reads on when the first is answered.
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + HEALTHY + HEALTHY[:20])
        await asyncio.sleep(0.7)
        daemon.gate.set()
        await connection.send(HEALTHY[20:-2] + b"Connection: close\r\n\r\n")
        responses = await connection.read_rest()
    assert responses.count(b"HTTP/1.1 200 ") == 3
    assert refused == []


async def test_response_that_is_not_fetched_is_cut() -> None:
    daemon, refused = FakeDaemon(page=b"x" * 40_000_000), list[str]()
    async with served(daemon, SHORT, refused) as server, connect(server.port) as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with at_most(5):
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
async def test_too_large_head_gets_431(head: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, RELAXED, refused) as server, connect(server.port) as connection:
        await connection.send(head)
        assert (await connection.read_rest()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert refused == ["head_too_large"]
    assert daemon.requests == []


async def test_head_within_the_limit_is_served() -> None:
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(
            b"GET /-/healthy HTTP/1.1\r\nHost: pulse\r\nConnection: close\r\nX: " + b"a" * 31_900 + b"\r\n\r\n"
        )
        assert b" 200 OK" in await connection.read_rest()


async def test_many_small_requests_in_one_piece_are_no_large_head() -> None:
    async with served(FakeDaemon(), RELAXED) as server, connect(server.port) as connection:
        sending = asyncio.create_task(
            connection.send(HEALTHY * 2000 + b"GET / HTTP/1.1\r\nHost: pulse\r\nConnection: close\r\n\r\n"),
        )
        assert (await connection.read_rest()).count(b"HTTP/1.1 200 ") == 2001
        await sending


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 70000\r\n\r\n", id="announced"),
        pytest.param(b"Content-Length: 9999999999999999999\r\n\r\n", id="announced-absurdly"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + b"2000\r\n" + b"x" * 8192 + b"\r\n", id="one-chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n" + (b"2000\r\n" + b"x" * 8192 + b"\r\n") * 9, id="in-chunks"),
    ],
)
async def test_too_large_body_gets_413_before_anything_is_done(body: bytes) -> None:
    daemon, refused = FakeDaemon(), list[str]()
    async with served(daemon, replace(RELAXED, body_bytes=4096), refused) as server, connect(server.port) as connection:
        await connection.send(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n" + body)
        assert (await connection.read_rest()).startswith(b"HTTP/1.1 413 ")
    assert refused == ["body_too_large"]
    assert daemon.reloads == 0
    assert daemon.requests == []


async def test_body_within_the_limit_is_read_and_ignored() -> None:
    daemon = FakeDaemon()
    async with served(daemon) as server, connect(server.port) as connection:
        request = b"POST /-/reload HTTP/1.1\r\nHost: pulse\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"
        await connection.send(request + b"x" * 60_000)
        assert b" 200 OK" in await connection.read_rest()
    assert daemon.reloads == 1


async def test_response_in_progress_is_cut_and_not_mixed_with_an_error() -> None:
    refused: list[str] = []

    async def respond_early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await Request(scope, receive).body()
        await PlainTextResponse("never")(scope, receive, send)  # pragma: no cover

    async with (
        served(respond_early, replace(RELAXED, body_bytes=10), refused) as server,
        connect(server.port) as connection,
    ):
        await connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await connection.read_until(b"\r\n\r\n")
        await connection.send(b"40\r\n" + b"x" * 64 + b"\r\n")
        assert await connection.read_rest() == b""
    assert refused == ["body_too_large"]


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(range(256)) * 4,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,  # a TLS ClientHello
        b"*1\r\n$4\r\nPING\r\n",  # a client of Redis
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["bytes", "tls", "redis", "version", "path", "connect", "length", "smuggling"],
)
async def test_invalid_request_gets_400_and_the_server_continues(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[str] = []
    async with served(FakeDaemon(), RELAXED, refused) as server:
        async with connect(server.port) as connection:
            await connection.send(garbage)
            assert (await connection.read_rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        async with connect(server.port) as connection:
            await connection.send(HEALTHY)
            await connection.read_until(b"ok\n")
    assert refused == ["bad_request"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_bad_second_request_cuts_the_response_to_the_first() -> None:
    daemon, refused = FakeDaemon(gate=asyncio.Event()), list[str]()
    async with served(daemon, RELAXED, refused) as server, connect(server.port) as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await daemon.called.wait()
        await connection.send(b"\x00\x01\x02")
        assert await connection.read_rest() == b""
        assert daemon.gate is not None
        daemon.gate.set()
    assert refused == ["bad_request"]


async def test_upgrade_to_websocket_gets_a_plain_response() -> None:
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 200 OK" in await connection.read_until(b"ok\n")


async def test_newest_client_is_served_and_the_oldest_waiting_one_is_closed() -> None:
    refused: list[str] = []
    limits = replace(RELAXED, clients=ClientLimits(per_address=16))
    async with served(FakeDaemon(), limits, refused) as server, AsyncExitStack() as stack:
        kept = [await stack.enter_async_context(connect(server.port)) for _ in range(16)]
        for _ in range(4):
            async with connect(server.port) as newest:
                await newest.send(HEALTHY)
                assert b" 200 OK" in await newest.read_until(b"ok\n")
        assert refused[0] == "too_many_connections"
        assert await kept[0].read_rest() == b""
        await kept[15].send(HEALTHY)
        assert b" 200 OK" in await kept[15].read_until(b"ok\n")


async def test_scraper_is_served_while_its_address_opens_slow_connections() -> None:
    limits = replace(RELAXED, clients=ClientLimits(per_address=16))
    async with served(FakeDaemon(), limits) as server, AsyncExitStack() as stack:
        for _ in range(3):
            for _ in range(40):
                slow = await stack.enter_async_context(connect(server.port))
                await slow.send(b"GET /metrics HTTP/1.1\r\nX: ")
            async with connect(server.port) as scraper:
                await scraper.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"redis_up 1" in await scraper.read_until(b"redis_up 1\n")


async def test_client_that_fetches_nothing_gives_way_to_a_new_one() -> None:
    refused: list[str] = []
    limits = replace(RELAXED, clients=ClientLimits(per_address=8))
    daemon = FakeDaemon(page=b"x" * 20_000_000)
    async with served(daemon, limits, refused) as server, AsyncExitStack() as stack:
        for _ in range(8):
            client = await stack.enter_async_context(connect(server.port))
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        await eventually(lambda: len(daemon.requests) == 0 and daemon.called.is_set())
        async with connect(server.port) as newest:
            await newest.send(HEALTHY)
            await newest.read_until(b"ok\n")
    assert refused[0] == "too_many_connections"


async def test_pages_of_clients_that_fetch_nothing_are_bounded() -> None:
    """Each client gets another page. The client that has waited for the longest time is closed."""
    refused: list[str] = []
    limits = replace(RELAXED, clients=ClientLimits(page_bytes=20_000_000))
    size = 5_000_000

    class Daemon(FakeDaemon):
        async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
            return bytes(bytearray(size))

    async with served(Daemon(), limits, refused) as server, AsyncExitStack() as stack:
        clients = []
        for count in range(6):
            client = await stack.enter_async_context(connect(server.port))
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            expected = min(4, count + 1)
            await eventually(lambda expected=expected: server.page_bytes == expected * size)  # type: ignore[misc]
            await asyncio.sleep(0.05)  # the client stalls
            clients.append(client)
        assert refused == ["too_many_connections"] * 2
        for client in clients[:2]:
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len(await client.read_rest()) < size
    assert server.page_bytes == 0


async def test_requests_of_one_client_are_parsed_as_it_fetches_responses() -> None:
    """The objects of 800 requests would take 2 MB, and those of a whole read buffer 60 MB."""
    daemon = FakeDaemon(gate=asyncio.Event())
    assert daemon.gate is not None
    count = 800
    async with served(daemon) as server, connect(server.port) as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await daemon.called.wait()
        connection.writer.write(
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * count + HEALTHY[:-2] + b"Connection: close\r\n\r\n"
        )
        await asyncio.sleep(0.1)
        (protocol,) = server.connections
        assert len(protocol.pipeline) <= 60
        assert len(protocol._unparsed) <= 2 * 16384
        daemon.gate.set()
        assert (await connection.read_rest()).count(b"HTTP/1.1 200 ") == count + 2


async def test_half_closed_client_gets_the_responses_to_all_its_requests() -> None:
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(HEALTHY * 500)
        connection.writer.write_eof()
        assert (await connection.read_rest()).count(b"HTTP/1.1 200 ") == 500


def test_every_refusal_reason_is_used() -> None:
    """Each reason is a label value."""
    source = inspect.getsource(LimitedProtocol) + inspect.getsource(HttpServer)
    assert all(f'"{reason}"' in source for reason in REFUSAL_REASONS)


@pytest.mark.parametrize("before", [b"", HEALTHY], ids=["first", "after another one"])
async def test_long_header_in_one_chunk_gets_431_at_once(before: bytes) -> None:
    """It must not wait for the deadline, because the line is longer than any head may be."""
    refused: list[str] = []
    async with served(FakeDaemon(), RELAXED, refused) as server, connect(server.port) as connection:
        if before:
            await connection.send(before)
            await connection.read_until(b"ok\n")
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000)
        assert b"HTTP/1.1 431 " in await connection.read_rest()
    assert refused == ["head_too_large"]


async def test_requests_in_one_chunk_are_checked_each_by_its_own_head() -> None:
    refused: list[str] = []
    count = 1000
    async with served(FakeDaemon(), RELAXED, refused) as server, connect(server.port) as connection:
        await connection.send(HEALTHY * count + b"GET /-/healthy HTTP/1.1\r\nHost: pulse\r\nConnection: close\r\n")
        await connection.send(b"\r\n")
        assert (await connection.read_rest()).count(b"HTTP/1.1 200 ") == count + 1
    assert refused == []


async def test_client_that_leaves_ends_all_its_responses(caplog: pytest.LogCaptureFixture) -> None:
    """Of three requests in one chunk, the response to the first would be written on, with 660 warnings."""
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
        async with connect(server.port) as connection:
            await connection.send(HEALTHY * 3)
            await connection.read_until(b"\r\n\r\n")
        async with at_most(5):
            await ended.wait()
    assert pieces == 399
    assert "socket.send() raised exception" not in caplog.text


def requests_in_progress() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if "run_asgi" in repr(task)]


async def test_request_of_a_client_that_has_left_is_cancelled() -> None:
    """It would wait for its page, and no limit counts it any more. Clients could leave again and again."""
    daemon = FakeDaemon(gate=asyncio.Event())
    async with served(daemon) as server:
        for _ in range(20):
            daemon.called.clear()
            async with connect(server.port) as connection:
                await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                await daemon.called.wait()
                reset_on_close(connection)
        await eventually(lambda: not server.connections)
        await eventually(lambda: not requests_in_progress())
    assert daemon.requests == []


async def test_request_of_a_client_that_is_closed_for_a_newer_one_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    daemon = FakeDaemon(gate=asyncio.Event())
    limits = replace(RELAXED, clients=ClientLimits(total=8, per_address=4))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(daemon, limits))
        for _ in range(12):
            connection = await stack.enter_async_context(connect(server.port))
            await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: len(server.connections) <= 4 and len(requests_in_progress()) <= 4)
        assert daemon.gate is not None
        daemon.gate.set()
        assert b"redis_up 1\n" in await connection.read_until(b"redis_up 1\n")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_reload_goes_on_if_its_client_leaves() -> None:
    """A script may post and not wait for the response."""
    daemon = FakeDaemon()
    async with served(daemon) as server, connect(server.port) as connection:
        await connection.send(b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        reset_on_close(connection)
        connection.writer.transport.abort()
        await eventually(lambda: daemon.reloads == 1)


def reset_on_close(connection: RawConnection) -> None:
    """Let the server notice at once that the client has left, as if unread bytes had arrived."""
    sock = connection.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
