"""Connections are accepted a few at a time, and without haste when there are no descriptors left."""

import asyncio
import errno
import os
import socket

import pytest

from redis_pulse.web import bind, server
from redis_pulse.web.server import Acceptor
from tests.harness import eventually


class Greeting(asyncio.Protocol):
    """Says hello and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


class Listening(socket.socket):
    """A listening socket for whose connections there are no descriptors while ``error`` is set."""

    error: int | None = errno.EMFILE
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


def listening() -> Listening:
    return Listening(fileno=bind("127.0.0.1:0").detach())


async def connect(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*sock.getsockname())


async def test_without_descriptors_one_try_is_made_and_one_line_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.02)
    sock = listening()
    acceptor = Acceptor(sock, Greeting)
    reader, writer = await connect(sock)
    await eventually(lambda: sock.tries >= 5)
    (record,) = caplog.records
    assert "clients must wait: no connection can be accepted" in str(record.msg)
    sock.error = None
    assert await reader.read() == b"hello"
    writer.close()
    acceptor.close()
    await acceptor.wait_closed()


async def test_it_waits_before_it_tries_again() -> None:
    sock = listening()
    acceptor = Acceptor(sock, Greeting)
    _, writer = await connect(sock)
    await eventually(lambda: sock.tries == 1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert sock.tries == 1
    writer.close()
    acceptor.close()
    acceptor.close()


async def test_closing_takes_who_waits_and_then_nobody() -> None:
    sock = bind("127.0.0.1:0")
    address = sock.getsockname()
    acceptor = Acceptor(sock, Greeting)
    with socket.create_connection(address) as client:
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.sleep(0.01)
        assert client.recv(10) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
