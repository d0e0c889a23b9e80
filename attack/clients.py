"""Hostile clients of the port. A process of its own, which begins at the first line of its input and ends with it.

python -m attack.clients KIND PORT
"""

import asyncio
import base64
import contextlib
import os
import random
import resource
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SLOW = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: a"
#: Collectors that parts of the page are chosen from.
COLLECTORS = (
    "info",
    "slowlog",
    "clients",
    "commandstats",
    "latencystats",
    "config",
    "errorstats",
    "latency",
    "modules",
)
#: It does not check the certificate of the daemon.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
#: Connections per second of a flood.
FLOOD = 1500
#: Seconds between two connections of the same client. So 512 clients connect a thousand times per second.
PAUSE = 0.5

Client = Callable[[int], Awaitable[None]]


async def _connect(port: int, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=sock, limit=4096)


async def idle(port: int) -> None:
    """Send one request, then hold the connection."""
    reader, writer = await _connect(port)
    try:
        writer.write(HEALTHY)
        while await reader.read(65536):
            pass
    finally:
        writer.transport.abort()


async def slow(port: int) -> None:
    """Send a head that never ends, one byte per second."""
    reader, writer = await _connect(port)
    try:
        writer.write(SLOW)
        while not reader.at_eof():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(65536), 1)
            writer.write(b"a")
            await writer.drain()
    finally:
        writer.transport.abort()


async def silent(port: int) -> None:
    """Send nothing. To a port with TLS, this is a handshake that never ends."""
    reader, writer = await _connect(port)
    try:
        await reader.read(65536)
    finally:
        writer.transport.abort()


async def hello(port: int) -> None:
    """Send the first message of a TLS handshake, and never the next one."""
    reader, writer = await _connect(port)
    try:
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        handshake = TLS.wrap_bio(received, sent)
        with contextlib.suppress(ssl.SSLWantReadError):
            handshake.do_handshake()
        writer.write(sent.read())
        while await reader.read(65536):
            pass
    finally:
        writer.transport.abort()


async def login(port: int) -> None:
    """Send wrong logins through TLS, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=TLS)
    try:
        for number in range(200):
            text = base64.b64encode(f"prometheus:wrong-{id(writer)}-{number}".encode()).decode()
            request = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {text}\r\n\r\n"
            writer.write(request.encode())
            await reader.readuntil(b"\r\n\r\n")
            await reader.read(65536)
    finally:
        writer.transport.abort()


async def flood(port: int) -> None:
    """Connect, send a request, and leave without a response. All clients together do so ``FLOOD`` times per second.

    On a busy machine it is less often. A client does not catch up.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(KINDS["flood"][0] / FLOOD)
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, HEALTHY)


async def pipeline(port: int) -> None:
    """Send 20 requests at once, and read nothing."""
    _, writer = await _connect(port, 4096)
    try:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(REQUEST * 20)
        await writer.drain()
        await asyncio.sleep(5)
    finally:
        writer.transport.abort()


async def reload(port: int) -> None:
    """Ask for a reload."""
    reader, writer = await _connect(port)
    try:
        writer.write(b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        while await reader.read(65536):
            pass
    finally:
        writer.transport.abort()


async def views(port: int) -> None:
    """Ask for the views of one target, and of all, again and again."""
    reader, writer = await _connect(port)
    paths = ("/redis/ping?target=g1", "/redis/stats?target=g2", "/scrape?target=" + "x" * 200, "/health")
    try:
        for path in paths * 25:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            await reader.read(65536)
    finally:
        writer.transport.abort()


def _part_of_the_page() -> bytes:
    """Return a request for a part of the page that hardly any other client asks for."""
    names = [name for name in COLLECTORS if random.random() < 0.7] or COLLECTORS[:1]
    query = "&".join(f"collectors[]={name}" for name in names)
    return f"GET /metrics?{query}&only=targets HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


async def leave(port: int) -> None:
    """Ask for a page or a part of it, and leave before it is there."""
    _, writer = await _connect(port)
    try:
        await asyncio.sleep(random.uniform(0, PAUSE))  # the row is about work that goes on, not about a burst
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # the daemon notices at once
        writer.write(random.choice((REQUEST, _part_of_the_page())))
        await asyncio.sleep(0.02)
    finally:
        writer.transport.abort()


async def parts(port: int) -> None:
    """Ask for different parts of the page, one after the other, and read them."""
    reader, writer = await _connect(port)
    try:
        while True:
            writer.write(_part_of_the_page())
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            while size > 0 and (data := await reader.read(65536)):
                size -= len(data)
    finally:
        writer.transport.abort()


#: By kind: how many clients there are, and what each does again and again.
KINDS: dict[str, tuple[int, Client]] = {
    "idle": (512, idle),
    "slow": (512, slow),
    "silent": (512, silent),
    "hello": (512, hello),
    "login": (50, login),
    "flood": (20, flood),
    "pipeline": (200, pipeline),
    "reload": (40, reload),
    "views": (4, views),
    "leave": (256, leave),
    "parts": (64, parts),
    # for `make soak`
    "few-idle": (20, idle),
    "few-slow": (20, slow),
    "few-pipeline": (20, pipeline),
}


async def _repeat(client: Client, port: int) -> None:
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await client(port)
        await asyncio.sleep(PAUSE)


async def _run(kind: str, port: int) -> None:
    count, client = KINDS[kind]
    tasks = [asyncio.ensure_future(_repeat(client, port)) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=2)


def main() -> None:
    """Wait for the first line, then attack until the input ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(10)  # an attacker does not share the cores of the daemon
    if sys.stdin.readline():
        asyncio.run(_run(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
