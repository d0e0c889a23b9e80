"""Tests of ``HttpServer`` with real sockets, from start to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import struct
import weakref

import httpx
import pytest

from redis_pulse.web import HttpServer, ListenError, build
from tests.harness import eventually
from tests.web.fakes import FakeDaemon, connect, served


def ignore_refusal(_reason: str) -> None:
    """Do nothing. These servers refuse no client."""


async def test_pages_are_served_over_a_real_socket() -> None:
    async with served(FakeDaemon()) as server, httpx.AsyncClient() as http:
        response = await http.get(f"http://127.0.0.1:{server.port}/metrics")
        assert response.text == "redis_up 1\n"
        assert response.headers["content-length"] == str(len(b"redis_up 1\n")) or "content-encoding" in response.headers
        assert "server" not in response.headers
        assert "date" in response.headers


async def test_memory_of_a_closed_connection_needs_no_garbage_collection() -> None:
    """The daemon freezes all objects after a change of targets. Garbage that is frozen is never freed."""
    async with served(FakeDaemon()) as server:
        gc.disable()
        try:
            async with connect(server.port) as connection:
                await connection.send(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
                await connection.read_until(b"ok\n")
                (protocol,) = server.connections
                transport = weakref.ref(protocol.transport)
                del protocol
            await eventually(lambda: transport() is None)
        finally:
            gc.enable()


async def test_memory_of_a_connection_that_is_reset_is_freed_at_once() -> None:
    """uvicorn would keep it until the idle time has ended. A flood of such clients took 40 MB, and stopped the loop."""
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        await connection.read_until(b"ok\n")
        (protocol,) = server.connections
        ended = weakref.ref(protocol)
        del protocol
        sock = connection.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.writer.transport.abort()
        await eventually(lambda: not server.connections)
        await eventually(lambda: ended() is None)


async def test_head_over_a_real_socket_has_a_length_and_no_body() -> None:
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await connection.read_rest()).partition(b"\r\n\r\n")
    assert b"content-length: 11" in head
    assert body == b""


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        await connection.send(
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        responses = await connection.read_rest()
    assert responses.count(b"HTTP/1.1 ") == 3
    assert responses.index(b"ok\n") < responses.index(b"404") < responses.index(b"ready\n")


async def test_connection_serves_many_requests_without_delayed_acks() -> None:
    """A response is two writes, head and body. With Nagle's algorithm each would wait 40 ms for an ACK."""
    async with served(FakeDaemon()) as server, connect(server.port) as connection:
        for _ in range(20):
            await connection.send(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await connection.read_until(b"ok\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server._server is not None
        (protocol,) = server._server.server_state.connections
        sock = protocol.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_client_that_closes_its_side_gets_its_response() -> None:
    """``printf … | nc -N`` and some load balancers do that."""
    daemon = FakeDaemon(gate=asyncio.Event())
    assert daemon.gate is not None
    async with served(daemon) as server, connect(server.port) as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.writer.write_eof()
        await daemon.called.wait()
        daemon.gate.set()
        assert (await connection.read_rest()).endswith(b"redis_up 1\n")


async def test_port_in_use_raises_a_clear_error() -> None:
    async with served(FakeDaemon()) as server:
        with pytest.raises(ListenError, match=f"127.0.0.1:{server.port}: the port is in use"):
            await HttpServer(build(FakeDaemon()), f"127.0.0.1:{server.port}", on_refused=ignore_refusal).start()


async def test_fallback_serves_the_next_port() -> None:
    async with served(FakeDaemon()) as first:
        second = HttpServer(build(FakeDaemon()), f"127.0.0.1:{first.port}", fallback=True, on_refused=ignore_refusal)
        await second.start()
        try:
            assert second.port > first.port
        finally:
            await second.stop()


async def test_restarted_server_gets_its_port_at_once() -> None:
    async with served(FakeDaemon()) as server, httpx.AsyncClient() as http:
        port = server.port
        await http.get(f"http://127.0.0.1:{port}/-/healthy")
    again = HttpServer(build(FakeDaemon()), f"127.0.0.1:{port}", on_refused=ignore_refusal)
    await again.start()
    await again.stop()


async def test_signal_handlers_are_unchanged() -> None:
    """uvicorn would handle SIGTERM itself, and the daemon would never begin to drain."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with served(FakeDaemon()):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_stop_waits_for_a_response_in_progress() -> None:
    daemon = FakeDaemon(gate=asyncio.Event())
    assert daemon.gate is not None
    async with served(daemon) as server, connect(server.port) as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await daemon.called.wait()
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)
        daemon.gate.set()
        assert (await connection.read_rest()).endswith(b"redis_up 1\n")
        await stopping


async def test_request_in_the_queue_of_the_kernel_is_answered_at_stop() -> None:
    """The loop was busy, or the client connected at that moment. A reset would be an error in its log."""
    async with served(FakeDaemon()) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        for client in clients:  # the loop had no turn since: no client is accepted
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        await server.stop(2)
        for client in clients:
            client.settimeout(5)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            client.close()


async def test_stop_cuts_connections_after_the_grace_period(caplog: pytest.LogCaptureFixture) -> None:
    daemon = FakeDaemon(gate=asyncio.Event())
    async with served(daemon) as server, connect(server.port) as busy, connect(server.port) as idle:
        await busy.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.send(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.read_until(b"ok\n")
        await daemon.called.wait()
        await asyncio.wait_for(server.stop(0.3), 60)  # the busy one would never end
        assert await busy.read_rest() == b""
        assert await idle.read_rest() == b""
        with pytest.raises(OSError, match=r"."):
            socket.create_connection(("127.0.0.1", server.port), timeout=30)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stop_before_start_or_twice_does_nothing() -> None:
    server = HttpServer(build(FakeDaemon()), "127.0.0.1:0", on_refused=ignore_refusal)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_error_at_startup_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError("no loop")

    monkeypatch.setattr("redis_pulse.web.server._UvicornServer.startup", fail)
    server = HttpServer(build(FakeDaemon()), "127.0.0.1:0", on_refused=ignore_refusal)
    with pytest.raises(OSError, match="no loop"):
        await server.start()


async def test_server_that_ends_by_itself_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FakeDaemon()) as server:
        assert server._server is not None
        assert server._task is not None
        server._server.stopping.set()
        await asyncio.wait({server._task}, timeout=60)
        await asyncio.sleep(0)
    assert "stopped by itself" in caplog.text


async def test_hundred_clients_at_once_are_served() -> None:
    """This is no benchmark. It checks that a burst of clients does not hang and is not refused."""
    async with served(FakeDaemon(page=b"redis_up 1\n" * 5000)) as server, contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect(server.port)) for _ in range(100)]
        for connection in connections:
            await connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        responses = await asyncio.gather(*(connection.read_rest() for connection in connections))
    assert {len(response.partition(b"\r\n\r\n")[2]) for response in responses} == {55_000}
