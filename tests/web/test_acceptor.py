"""Tests of ``Acceptor``: it accepts a few connections at a time, and waits if no descriptor is left."""

import asyncio
import errno
import os
import socket

import pytest

from redis_pulse.web import acceptor as acceptor_module
from redis_pulse.web import bind
from redis_pulse.web.acceptor import Acceptor
from redis_pulse.web.connection_accounting import Client, ClientLimits, ConnectionAccounting
from tests.fakes import ManualClock
from tests.harness import eventually


def accounting() -> ConnectionAccounting:
    return ConnectionAccounting(ClientLimits(), ManualClock(), on_closed=lambda: None)


class HelloProtocol(asyncio.Protocol):
    """Sends hello and closes."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


class FailingSocket(socket.socket):
    """A listening socket that cannot accept connections while ``error`` is set."""

    error: int | None = errno.EMFILE
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


def failing_socket() -> FailingSocket:
    return FailingSocket(fileno=bind("127.0.0.1:0").detach())


async def connect(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*sock.getsockname())


async def test_lack_of_descriptors_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor_module, "PAUSE", 0.02)
    sock = failing_socket()
    acceptor = Acceptor(sock, HelloProtocol, accounting())
    reader, writer = await connect(sock)
    await eventually(lambda: sock.tries >= 5)
    (record,) = caplog.records
    assert "clients must wait: no connection can be accepted" in str(record.msg)
    sock.error = None
    assert await reader.read() == b"hello"
    writer.close()
    acceptor.close()
    await acceptor.wait_closed()


async def test_next_try_without_descriptors_waits() -> None:
    sock = failing_socket()
    acceptor = Acceptor(sock, HelloProtocol, accounting())
    _, writer = await connect(sock)
    await eventually(lambda: sock.tries == 1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert sock.tries == 1
    writer.close()
    acceptor.close()
    acceptor.close()


async def test_close_accepts_waiting_clients_and_no_others() -> None:
    sock = bind("127.0.0.1:0")
    address = sock.getsockname()
    acceptor = Acceptor(sock, HelloProtocol, accounting())
    with socket.create_connection(address) as client:
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.sleep(0.01)
        assert client.recv(10) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
