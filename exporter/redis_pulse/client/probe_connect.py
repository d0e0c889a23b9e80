"""Make the connection for pings in four timed phases: DNS, TCP, TLS, AUTH.

The sockets are made here, with their options. The probe uses raw sockets instead of asyncio streams, because they give
it the kernel's timestamp of each reply.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from redis_pulse.blocking import numeric_address, resolve
from redis_pulse.client.credentials import Credentials, ServerLogin
from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.client.permitted_addresses import Address, permitted_addresses
from redis_pulse.client.probe_connection import RespLineReader, encode_command, parse_error
from redis_pulse.client.tls import TlsLayer
from redis_pulse.config import Endpoint, TargetSettings
from redis_pulse.errors import AuthError, ProtocolError
from redis_pulse.file_descriptors import reject_reserved
from redis_pulse.kernel_timestamps import enable_receive_timestamps

Phase = Literal["dns", "tcp", "tls", "auth"]
PHASES: tuple[Phase, ...] = ("dns", "tcp", "tls", "auth")
#: Receives the duration in seconds of each phase that ended, or was cut off at the deadline.
OnPhase = Callable[[Phase, float], None]
#: Seconds for the TCP handshake of a trial. The kernel repeats a lost SYN after 1 s, and again 2 s later.
TRIAL_CONNECT_TIMEOUT = 2.0
#: Seconds. If the peer's kernel acknowledges no data for so long, the path is broken or the host is down.
DEAD_AFTER = 4.0
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_RECEIVE_BYTES = 16384
_OK = b"+OK"


def open_socket(family: int, *, keepalive: bool, dead_after: float) -> socket.socket:
    """Return a non-blocking stream socket.

    The kernel aborts the connection when data stays unacknowledged for ``dead_after`` seconds.
    """
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


def phases_of(settings: TargetSettings) -> list[Phase]:
    """Return the phases of connecting to a target: a numeric address needs no DNS, a plain connection no TLS."""
    endpoint = settings.endpoint
    has_phase = {
        "dns": endpoint.kind == "tcp" and numeric_address(endpoint.host, endpoint.port) is None,
        "tcp": True,
        "tls": endpoint.tls,
        "auth": settings.has_login,
    }
    return [phase for phase in PHASES if has_phase[phase]]


class ProbeConnector:
    """Connects to one target. ``tls_context`` makes its TLS context, ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        settings: TargetSettings,
        tls_context: Callable[[], Awaitable[ssl.SSLContext]],
        credentials: Credentials,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tls_context = tls_context
        self._credentials = credentials
        self._clock = clock

    async def connect(
        self, login: ServerLogin, on_phase: OnPhase, *, is_trial: bool = False
    ) -> tuple[socket.socket, TlsLayer | None, RespLineReader, ServerLogin]:
        """Return a connected socket with kernel timestamps. Raises TargetError, OSError and ssl.SSLError.

        It is logged in with ``login``, or with a renewed one that is returned. ``is_trial`` means that the target did
        not reply recently. The TCP handshake then ends early, so that the next trial soon sends a new SYN.
        """
        settings, endpoint = self._settings, self._settings.endpoint
        context = await self._tls_context() if endpoint.tls else None
        sock = await self._open(endpoint, on_phase, is_trial=is_trial)
        try:
            enable_receive_timestamps(sock)
            tls = None
            if context is not None:
                tls = TlsLayer(context, settings.tls.server_name or endpoint.host)
                with self._timed("tls", on_phase):
                    await tls.handshake(sock)
            handshake = _Handshake(sock, tls)
            handshake.read_greeting()
            if login.password is not None:
                with self._timed("auth", on_phase):
                    login = await self._log_in(handshake, login)
        except BaseException:
            sock.close()
            raise
        return sock, tls, handshake.lines, login

    async def _log_in(self, handshake: "_Handshake", login: ServerLogin) -> ServerLogin:
        """Log in, and return the login that the server accepted. A rejected token is renewed, and tried once more."""
        try:
            await handshake.authenticate(login.username, login.password or "")
        except AuthError:
            renewed = await self._credentials.after_rejection(login)
            if renewed is None:
                raise
            await handshake.authenticate(renewed.username, renewed.password or "")
            login = renewed
        self._credentials.accepted(login)
        return login

    async def _open(self, endpoint: Endpoint, on_phase: OnPhase, *, is_trial: bool) -> socket.socket:
        if endpoint.kind == "unix":
            with self._timed("tcp", on_phase):
                return await self._connect_any([(socket.AF_UNIX, str(endpoint.path))], is_trial=is_trial)
        addresses = numeric_address(endpoint.host, endpoint.port)
        if addresses is None:
            with self._timed("dns", on_phase):
                within = self._settings.connection.socket_connect_timeout
                addresses = await resolve(endpoint.host, endpoint.port, within=within)
        addresses = permitted_addresses(addresses, self._settings.permitted)
        with self._timed("tcp", on_phase):
            return await self._connect_any(addresses, is_trial=is_trial)

    async def _connect_any(self, addresses: list[Address], *, is_trial: bool) -> socket.socket:
        """Try one address after the other, and return the first connected socket. Raises the error of the last one."""
        settings, last_error = self._settings, OSError("no address")
        dead_after = min(settings.probe.silence, max(DEAD_AFTER, settings.probe.timeout))
        for family, address in addresses:
            # A dead address must leave time for the next one.
            within = TRIAL_CONNECT_TIMEOUT if is_trial or address is not addresses[-1][1] else None
            try:
                sock = open_socket(family, keepalive=settings.connection.socket_keepalive, dead_after=dead_after)
            except OSError as error:
                last_error = error
                continue
            try:
                reject_reserved(sock.fileno())
                async with asyncio.timeout(within):
                    await asyncio.get_running_loop().sock_connect(sock, address)
            except OSError as error:  # TimeoutError is an OSError
                sock.close()
                last_error = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise last_error

    @contextmanager
    def _timed(self, phase: Phase, on_phase: OnPhase) -> Iterator[None]:
        """Report the duration of a phase. A failed phase has none. A phase that is cut off has lasted until then."""
        started = self._clock()
        try:
            yield
        except asyncio.CancelledError:
            on_phase(phase, self._clock() - started)
            raise
        on_phase(phase, self._clock() - started)


class _Handshake:
    """Exchanges commands and replies before the first PING."""

    def __init__(self, sock: socket.socket, tls: TlsLayer | None) -> None:
        self._sock = sock
        self._tls = tls
        self.lines = RespLineReader()

    def read_greeting(self) -> None:
        """Raise the error that a server sent without a request, together with the end of its TLS handshake."""
        for line in self.lines.feed(self._tls.decrypt(b"")) if self._tls else ():
            raise map_error_reply(parse_error(line, b"") or "")

    async def authenticate(self, username: str | None, password: str) -> None:
        """Send AUTH. Raises the server's error as TargetError. Its text does not contain the password."""
        error = await self._request(
            encode_command("AUTH", username, password) if username else encode_command("AUTH", password)
        )
        if username and error is not None and "wrong number of arguments" in error:
            error = await self._request(encode_command("AUTH", password))  # before Redis 6 there were no users
        if error is not None:
            raise map_error_reply(error, secret=password)

    async def _request(self, command: bytes) -> str | None:
        """Send a command. Return None for an OK, or the text of the error."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, self._tls.encrypt(command) if self._tls else command)
        while True:
            data = await loop.sock_recv(self._sock, _RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("closed by the server")
            lines = self.lines.feed(self._tls.decrypt(data) if self._tls else data)
            if len(lines) > 1:
                raise ProtocolError("more than one answer to AUTH")
            if lines:
                return parse_error(lines[0], _OK)
