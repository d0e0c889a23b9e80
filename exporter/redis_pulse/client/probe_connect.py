"""Sockets of the probe: their options, and the kernel's stamp of what they receive. Standard library only.

Connecting for a probe, phase by phase: DNS, TCP, TLS, AUTH; each is timed apart.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from redis_pulse.blocking import literal, resolve
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.client.probe_connection import RespLineReader, enable_kernel_timestamps, encode_command, parse_error
from redis_pulse.client.tls import TlsLayer
from redis_pulse.config import Endpoint, TargetSettings
from redis_pulse.errors import ProtocolError
from redis_pulse.file_descriptors import refuse_reserved

_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def open_socket(family: int, *, keepalive: bool, dead_after: float) -> socket.socket:
    """Open a non-blocking stream socket; a peer that acknowledges nothing is dead ``dead_after`` seconds later."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if keepalive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in _KEEPALIVE.items():
                    if (option := getattr(socket, name, None)) is not None:
                        sock.setsockopt(socket.IPPROTO_TCP, option, value)
            if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, round(dead_after * 1000))
    except BaseException:
        sock.close()
        raise
    return sock


Phase = Literal["dns", "tcp", "tls", "auth"]
PHASES: tuple[Phase, ...] = ("dns", "tcp", "tls", "auth")
#: Told about each phase that was gone through, or given up at the deadline: its seconds.
OnPhase = Callable[[Phase, float], None]
#: Seconds. A trial gives a TCP handshake no longer: the kernel sends a lost SYN again after 1 s, then after 2 s more.
TRIAL_HANDSHAKE = 2.0
#: Seconds. Data that the peer's kernel does not acknowledge for so long: the path is cut, or the host is gone.
DEAD_AFTER = 4.0
_CHUNK = 16384
_OK = b"+OK"
Address = tuple[int, Any]


def phases_of(settings: TargetSettings) -> list[Phase]:
    """Return the phases that connecting to a target has: an address needs no DNS, a plain connection no TLS."""
    endpoint = settings.endpoint
    there = {
        "dns": endpoint.kind == "tcp" and literal(endpoint.host, endpoint.port) is None,
        "tcp": True,
        "tls": endpoint.tls,
        "auth": settings.password is not None or settings.password_file is not None,
    }
    return [phase for phase in PHASES if there[phase]]


class ProbeConnector:
    """Connects to one target. ``context`` makes its TLS context, ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        settings: TargetSettings,
        context: Callable[[], Awaitable[ssl.SSLContext]],
        credentials: Credentials,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._context = context
        self._credentials = credentials
        self._clock = clock

    async def connect(
        self, on_phase: OnPhase, *, is_trial: bool = False
    ) -> tuple[socket.socket, TlsLayer | None, RespLineReader]:
        """Return a connected socket that stamps what it receives. Raises TargetError, OSError, ssl.SSLError.

        A trial (``is_trial``), of a target that did not answer lately, gives up a TCP handshake early and so sends a
        new SYN soon.
        """
        settings, endpoint = self._settings, self._settings.endpoint
        context = await self._context() if endpoint.tls else None
        username, password = await self._credentials.read()
        sock = await self._open(endpoint, on_phase, is_trial=is_trial)
        try:
            enable_kernel_timestamps(sock)
            layer = None
            if context is not None:
                layer = TlsLayer(context, settings.tls.server_name or endpoint.host)
                with self._timed("tls", on_phase):
                    await layer.handshake(sock)
            talk = _Handshake(sock, layer)
            talk.read_greeting()
            if password is not None:
                with self._timed("auth", on_phase):
                    await talk.log_in(username, password)
        except BaseException:
            sock.close()
            raise
        return sock, layer, talk.lines

    async def _open(self, endpoint: Endpoint, on_phase: OnPhase, *, is_trial: bool) -> socket.socket:
        if endpoint.kind == "unix":
            with self._timed("tcp", on_phase):
                return await self._reach([(socket.AF_UNIX, str(endpoint.path))], is_trial=is_trial)
        addresses = literal(endpoint.host, endpoint.port)
        if addresses is None:
            with self._timed("dns", on_phase):
                within = self._settings.connection.socket_connect_timeout
                addresses = await resolve(endpoint.host, endpoint.port, within=within)
        with self._timed("tcp", on_phase):
            return await self._reach(addresses, is_trial=is_trial)

    async def _reach(self, addresses: list[Address], *, is_trial: bool) -> socket.socket:
        """Try one address after the other; the error of the last speaks for all."""
        settings, last = self._settings, OSError("no address")
        dead_after = min(settings.probe.silence, max(DEAD_AFTER, settings.probe.timeout))
        for family, address in addresses:
            # A dead address must leave time for the next one.
            limit = TRIAL_HANDSHAKE if is_trial or address is not addresses[-1][1] else None
            try:
                sock = open_socket(family, keepalive=settings.connection.socket_keepalive, dead_after=dead_after)
            except OSError as error:
                last = error
                continue
            try:
                refuse_reserved(sock.fileno())
                async with asyncio.timeout(limit):
                    await asyncio.get_running_loop().sock_connect(sock, address)
            except OSError as error:  # TimeoutError too
                sock.close()
                last = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise last

    @contextmanager
    def _timed(self, phase: Phase, on_phase: OnPhase) -> Iterator[None]:
        """Time a phase; one that failed has no duration, one that was cut off at the deadline lasted until then."""
        started = self._clock()
        try:
            yield
        except asyncio.CancelledError:
            on_phase(phase, self._clock() - started)
            raise
        on_phase(phase, self._clock() - started)


class _Handshake:
    """Question and answer before the first PING."""

    def __init__(self, sock: socket.socket, layer: TlsLayer | None) -> None:
        self._sock = sock
        self._layer = layer
        self.lines = RespLineReader()

    def read_greeting(self) -> None:
        """Raise what a server says without being asked: it came with the end of its handshake."""
        for line in self.lines.feed(self._layer.decrypt(b"")) if self._layer else ():
            raise map_error_reply(parse_error(line, b"") or "")

    async def log_in(self, username: str | None, password: str) -> None:
        """Authenticate. Raises the TargetError that the server answers, whose text does not hold the password."""
        refusal = await self._request(
            encode_command("AUTH", username, password) if username else encode_command("AUTH", password)
        )
        if username and refusal is not None and "wrong number of arguments" in refusal:
            refusal = await self._request(encode_command("AUTH", password))  # before Redis 6 there were no users
        if refusal is not None:
            raise map_error_reply(refusal, secret=password)

    async def _request(self, question: bytes) -> str | None:
        """Return None for an OK, or the text of the error."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, self._layer.encrypt(question) if self._layer else question)
        while True:
            data = await loop.sock_recv(self._sock, _CHUNK)
            if not data:
                raise ConnectionResetError("closed by the server")
            lines = self.lines.feed(self._layer.decrypt(data) if self._layer else data)
            if len(lines) > 1:
                raise ProtocolError("more than one answer to AUTH")
            if lines:
                return parse_error(lines[0], _OK)
