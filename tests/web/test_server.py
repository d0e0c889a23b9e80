"""The server in our own loop: real sockets, from start to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import time

import httpx
import pytest

from redis_pulse.web import HttpServer, ListenError, build
from tests.web.fakes import FakeDaemon, raw, served


def unheard(_reason: str) -> None:
    """For a server that refuses nobody."""


async def test_it_serves_pages_over_a_real_socket() -> None:
    async with served(FakeDaemon()) as server, httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{server.port}/metrics")
        assert answer.text == "redis_up 1\n"
        assert answer.headers["content-length"] == str(len(b"redis_up 1\n")) or "content-encoding" in answer.headers
        assert "server" not in answer.headers
        assert "date" in answer.headers


async def test_head_over_a_real_socket_has_a_length_and_no_body() -> None:
    async with served(FakeDaemon()) as server, raw(server.port) as connection:
        await connection.say(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    assert b"content-length: 11" in head
    assert body == b""


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served(FakeDaemon()) as server, raw(server.port) as connection:
        await connection.say(
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = await connection.rest()
    assert answers.count(b"HTTP/1.1 ") == 3
    assert answers.index(b"ok\n") < answers.index(b"404") < answers.index(b"ready\n")


async def test_one_connection_serves_many_requests_without_waiting_for_acks() -> None:
    """An answer is two writes, head and body: with Nagle's algorithm each would wait 40 ms for the client's ACK."""
    async with served(FakeDaemon()) as server, raw(server.port) as connection:
        for _ in range(20):
            await connection.say(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await connection.until(b"ok\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server._server is not None
        (protocol,) = server._server.server_state.connections
        sock = protocol.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_client_that_closes_its_side_still_gets_its_answer() -> None:
    """As ``printf … | nc -N`` and some load balancers do."""
    daemon = FakeDaemon(gate=asyncio.Event())
    assert daemon.gate is not None
    async with served(daemon) as server, raw(server.port) as connection:
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.writer.write_eof()
        await daemon.asked.wait()
        daemon.gate.set()
        assert (await connection.rest()).endswith(b"redis_up 1\n")


async def test_a_port_in_use_is_a_clear_error_and_leaves_nothing_behind() -> None:
    async with served(FakeDaemon()) as server:
        with pytest.raises(ListenError, match=f"127.0.0.1:{server.port}: the port is in use"):
            await HttpServer(build(FakeDaemon()), f"127.0.0.1:{server.port}", on_refused=unheard).start()


async def test_with_fallback_it_serves_the_next_port() -> None:
    async with served(FakeDaemon()) as first:
        second = HttpServer(build(FakeDaemon()), f"127.0.0.1:{first.port}", fallback=True, on_refused=unheard)
        await second.start()
        try:
            assert second.port > first.port
        finally:
            await second.stop()


async def test_a_restart_has_its_port_back_at_once() -> None:
    async with served(FakeDaemon()) as server, httpx.AsyncClient() as http:
        port = server.port
        await http.get(f"http://127.0.0.1:{port}/-/healthy")
    again = HttpServer(build(FakeDaemon()), f"127.0.0.1:{port}", on_refused=unheard)
    await again.start()
    await again.stop()


async def test_signals_stay_ours() -> None:
    """uvicorn would take SIGTERM for itself, and a drain of the daemon would never begin."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with served(FakeDaemon()):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_stop_lets_an_answer_under_way_be_fetched() -> None:
    daemon = FakeDaemon(gate=asyncio.Event())
    assert daemon.gate is not None
    async with served(daemon) as server, raw(server.port) as connection:
        await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await daemon.asked.wait()
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)
        daemon.gate.set()
        assert (await connection.rest()).endswith(b"redis_up 1\n")
        await stopping


async def test_a_request_that_waits_in_the_queue_of_the_kernel_at_the_stop_is_answered() -> None:
    """The loop was busy, or the client came just then: a reset would be an error in somebody's log."""
    async with served(FakeDaemon()) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        for client in clients:  # the loop has not turned since: nothing is accepted
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        await server.stop(2)
        for client in clients:
            client.settimeout(5)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            client.close()


async def test_stop_cuts_what_does_not_end_within_the_grace(caplog: pytest.LogCaptureFixture) -> None:
    daemon = FakeDaemon(gate=asyncio.Event())
    async with served(daemon) as server, raw(server.port) as busy, raw(server.port) as idle:
        await busy.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.say(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.until(b"ok\n")
        await daemon.asked.wait()
        began = time.monotonic()
        await server.stop(0.3)
        assert time.monotonic() - began < 2
        assert await busy.rest() == b""
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"."):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stop_twice_or_before_start_does_nothing() -> None:
    server = HttpServer(build(FakeDaemon()), "127.0.0.1:0", on_refused=unheard)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_what_prevents_the_start_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError("no loop")

    monkeypatch.setattr("redis_pulse.web.server._Server.startup", fail)
    server = HttpServer(build(FakeDaemon()), "127.0.0.1:0", on_refused=unheard)
    with pytest.raises(OSError, match="no loop"):
        await server.start()


async def test_a_server_that_ends_by_itself_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FakeDaemon()) as server:
        assert server._server is not None
        assert server._task is not None
        server._server.stopping.set()
        await asyncio.wait({server._task}, timeout=5)
        await asyncio.sleep(0)
    assert "stopped by itself" in caplog.text


async def test_a_hundred_clients_at_once_are_served() -> None:
    """Not a benchmark: only that nothing queues, hangs or is refused under a burst."""
    async with served(FakeDaemon(page=b"redis_up 1\n" * 5000)) as server, contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(raw(server.port)) for _ in range(100)]
        for connection in connections:
            await connection.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = await asyncio.gather(*(connection.rest() for connection in connections))
    assert {len(answer.partition(b"\r\n\r\n")[2]) for answer in answers} == {55_000}
