"""The first connection to a target: which phase it reached, the reply to one PING, and what else listens there.

The connection is that of the daemon's probe.
``sniff`` sends it one line, and ``speaks_tls`` offers a TLS handshake.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from redis_pulse.blocking import numeric_address, resolve
from redis_pulse.client import ProbeConnection, Received, SentPing, TargetClient, TlsLayer
from redis_pulse.config import Endpoint, TlsSettings
from redis_pulse.errors import AuthError, OperationTimeoutError, ProtocolError, TargetError, TlsError

#: Seconds to wait for the first words of a server, and for its reply to a line.
GREETING_TIMEOUT, REPLY_TIMEOUT = 0.3, 1.0
#: Seconds to wait for the reply to one PING.
PING_TIMEOUT = 2.0
#: A request of HTTP. A Redis refuses it: GET takes one argument.
_LINE = b"GET / HTTP/1.0\r\n\r\n"
_MAX_BYTES = 512

Phase = Literal["dns", "tcp", "tls", "auth", "ping"]
Kind = Literal["redis", "http", "ssh", "tls", "silent", "closed", "unreachable", "other"]


class Contact(NamedTuple):
    """How far the first connection went. ``phase`` is where ``error`` happened, ``ping`` if every phase succeeded."""

    connection: ProbeConnection | None
    phase: Phase
    error: TargetError | None
    seconds: dict[str, float]


class PingReply(NamedTuple):
    """A PING and its reply, as the connection timed them."""

    sent: SentPing
    received: Received


async def contact(client: TargetClient, phases: Sequence[str]) -> Contact:
    """Connect as the daemon does, and send one PING. Raises nothing that a server can cause."""
    seconds: dict[str, float] = {}

    def on_phase(phase: str, took: float) -> None:
        seconds[phase] = took

    try:
        connection = await client.connect_probe(on_phase)
    except OperationTimeoutError as error:
        # The phase that was cut off is the last one that was reported.
        return Contact(None, _phase(list(seconds)[-1] if seconds else "tcp"), error, seconds)
    except TargetError as error:
        return Contact(None, _phase_of(error, [phase for phase in phases if phase not in seconds]), error, seconds)
    try:
        await ping(connection)
    except TargetError as error:
        return Contact(connection, "ping", error, seconds)
    except BaseException:  # the examination is cut off, and it has no connection to close yet
        connection.close()
        raise
    return Contact(connection, "ping", None, seconds)


def _phase_of(error: TargetError, missing: Sequence[str]) -> Phase:
    """Return the phase that failed. Logins and files of TLS are read before the first one."""
    if isinstance(error, AuthError):
        return "auth"
    if isinstance(error, TlsError):
        return "tls"
    return _phase(missing[0] if missing else "auth")


def _phase(name: str) -> Phase:
    return {"dns": "dns", "tcp": "tcp", "tls": "tls"}.get(name, "auth")  # type: ignore[return-value]


async def ping(connection: ProbeConnection, within: float = PING_TIMEOUT) -> PingReply:
    """Send one PING and wait for its reply. Raises TargetError."""
    readable = asyncio.Event()
    connection.listen(readable.set)
    try:
        sent = connection.ping()
        async with asyncio.timeout(within):
            while True:
                await readable.wait()
                readable.clear()
                received = connection.receive()
                if received is not None:
                    break
                await asyncio.sleep(0)
    except TimeoutError:
        raise OperationTimeoutError("no answer in time") from None
    finally:
        connection.stop_listening()
    if len(received.lines) != 1:
        raise ProtocolError("more than one answer to PING")
    (line,) = received.lines
    if connection.parse_sequence(line) is None and (error := connection.parse_error(line)) is not None:
        raise error
    return PingReply(sent, received)


async def sniff(endpoint: Endpoint) -> tuple[Kind, str]:
    """Return what listens at an address, and its first words. Sends one line, and nothing that changes data."""
    try:
        async with asyncio.timeout(GREETING_TIMEOUT + REPLY_TIMEOUT + 1):
            sock = await _connect(endpoint)
    except (OSError, TimeoutError):
        return "unreachable", ""
    with sock:
        greeting = await _receive(sock, GREETING_TIMEOUT)
        if greeting is None:
            try:
                await asyncio.get_running_loop().sock_sendall(sock, _LINE)
            except OSError:
                return "closed", ""
            greeting = await _receive(sock, REPLY_TIMEOUT)
    if greeting is None:
        return "silent", ""
    return kind_of(greeting), greeting[:60].split(b"\n")[0].decode("utf-8", errors="replace").strip()


def kind_of(data: bytes) -> Kind:
    """Return what sends these first bytes."""
    if not data:
        return "closed"
    if data.startswith(b"SSH-"):
        return "ssh"
    if data.startswith(b"HTTP/") or data.lstrip()[:9].lower() in (b"<!doctype", b"<html>"):
        return "http"
    if data[:2] in (b"\x15\x03", b"\x16\x03"):  # an alert or a handshake of TLS
        return "tls"
    return "redis" if data[:1] in b"-+$:*" else "other"


async def speaks_tls(endpoint: Endpoint) -> bool:
    """Return whether a TLS handshake succeeds, or is refused by an alert of TLS. Nothing is checked or sent in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            with await _connect(endpoint) as sock:
                await TlsLayer(context, endpoint.host).handshake(sock)
    except ssl.SSLError as error:
        return "alert" in str(error).lower()
    except (OSError, TimeoutError):
        return False
    return True


async def speaks_https(endpoint: Endpoint) -> bool:
    """Return whether a request of HTTP through TLS gets a response of HTTP. Certificates are not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    with suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(REPLY_TIMEOUT):
            with await _connect(endpoint) as sock:
                layer = TlsLayer(context, endpoint.host)
                await layer.handshake(sock)
                await loop.sock_sendall(sock, layer.encrypt(_LINE))
                plain = b""
                while not plain and (received := await loop.sock_recv(sock, _MAX_BYTES)):
                    plain = layer.decrypt(received)
                return kind_of(plain) == "http"
    return False


async def accepted_versions(endpoint: Endpoint, tls: TlsSettings) -> tuple[str, ...]:
    """Return the versions of TLS, of 1.2 and 1.3, with which a handshake succeeds. Nothing is sent to the server."""
    accepted = []
    for name, version in (("TLS 1.2", ssl.TLSVersion.TLSv1_2), ("TLS 1.3", ssl.TLSVersion.TLSv1_3)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with suppress(OSError, TimeoutError):
            if tls.cert_file is not None:
                context.load_cert_chain(tls.cert_file, tls.key_file)
            context.minimum_version = context.maximum_version = version
            async with asyncio.timeout(REPLY_TIMEOUT):
                with await _connect(endpoint) as sock:
                    await TlsLayer(context, endpoint.host).handshake(sock)
            accepted.append(name)
    return tuple(accepted)


async def unchecked_certificate(endpoint: Endpoint) -> bytes | None:
    """Return the certificate (DER) of a server without checking it, or None. Nothing is sent to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(REPLY_TIMEOUT):
            with await _connect(endpoint) as sock:
                layer = TlsLayer(context, endpoint.host)
                await layer.handshake(sock)
                return layer.certificate
    return None


async def _connect(endpoint: Endpoint) -> socket.socket:
    addresses = numeric_address(endpoint.host, endpoint.port)
    if addresses is None:
        addresses = await resolve(endpoint.host, endpoint.port, within=REPLY_TIMEOUT)
    last: OSError = OSError("no address")
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise last


async def _receive(sock: socket.socket, within: float) -> bytes | None:
    """Return the next bytes, an empty text at the end of the connection, or None if nothing arrives in time."""
    try:
        async with asyncio.timeout(within):
            return await asyncio.get_running_loop().sock_recv(sock, _MAX_BYTES)
    except TimeoutError:
        return None
    except OSError:
        return b""
