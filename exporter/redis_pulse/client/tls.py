"""TLS of a target: its context, and a TLS layer in memory for the connection of the probe.

The probe reads its socket itself. A TLS layer that reads the socket would lose the kernel's timestamp of a reply.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

from redis_pulse.blocking import FILES, BlockedError, regular_file_status
from redis_pulse.client.credentials import FIRST_READ_TIMEOUT, REREAD_TIMEOUT
from redis_pulse.config import TlsSettings
from redis_pulse.file_descriptors import check_descriptor_available

_READ_BYTES = 65536
#: Bytes of a file with certificates or keys. The bundle of an operating system has 300 KB.
_MAX_FILE_BYTES = 10_000_000


class TlsContext:
    """Makes the TLS context of a target, and makes it again when a file has changed (a rotated certificate)."""

    def __init__(self, tls: TlsSettings) -> None:
        self._settings = tls
        self._modified_at: list[float] = []
        self._context: ssl.SSLContext | None = None

    async def ready(self) -> ssl.SSLContext:
        """Return the context, made in a thread. Returns the previous context if a file cannot be read in time."""
        try:
            within = FIRST_READ_TIMEOUT if self._context is None else REREAD_TIMEOUT
            # Callers with the same key share one context, so the key contains all settings that decide what it checks.
            return await FILES.run(("tls", self._settings.model_dump_json()), self, within=within)
        except BlockedError:
            if self._context is None:
                raise ssl.SSLError("cannot read the files of certificates: no answer in time") from None
            return self._context

    @property
    def _files(self) -> tuple[Any, ...]:
        return (self._settings.ca_file, self._settings.cert_file, self._settings.key_file)

    def __call__(self) -> ssl.SSLContext:
        """Return the context. Reads files. Raises OSError or ssl.SSLError when a file is missing or wrong."""
        modified_at = []
        for status in (regular_file_status(file) for file in self._files if file):
            if status.st_size > _MAX_FILE_BYTES:
                raise OSError(f"a file of certificates is longer than {_MAX_FILE_BYTES} bytes")
            modified_at.append(status.st_mtime)
        if self._context is None or modified_at != self._modified_at:
            self._context, self._modified_at = self._make(), modified_at
        return self._context

    def _make(self) -> ssl.SSLContext:
        tls = self._settings
        check_descriptor_available()  # without a free descriptor, Python skips the system's certificates silently
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        verify = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
        context.check_hostname = tls.check_hostname and tls.cert_reqs != "none"
        context.verify_mode = verify[tls.cert_reqs]
        if tls.cert_file:
            context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
        return context


class TlsLayer:
    """Encrypts outgoing data and decrypts received data. It uses the socket only in the handshake."""

    __slots__ = ("_incoming", "_object", "_outgoing")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self, sock: socket.socket) -> None:
        """Do the TLS handshake on a connected socket. Raises ssl.SSLError and OSError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                with suppress(OSError):
                    sock.send(self._outgoing.read())  # the alert that tells the server the reason
                raise
            else:
                done = True
            if records := self._outgoing.read():
                await loop.sock_sendall(sock, records)
            if done:
                return
            data = await loop.sock_recv(sock, _READ_BYTES)
            if not data:
                raise ConnectionResetError("closed during the TLS handshake")
            self._incoming.write(data)

    @property
    def certificate_expires(self) -> float | None:
        """Unix time at which the server's certificate expires, or None if the certificate was not checked."""
        certificate = self._object.getpeercert()
        end = certificate.get("notAfter") if certificate else None
        return float(ssl.cert_time_to_seconds(end)) if isinstance(end, str) else None

    @property
    def version(self) -> str:
        """The version of the protocol, such as ``TLSv1.3``, or an empty text before the handshake."""
        return self._object.version() or ""

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate (DER), checked or not, or None before the handshake."""
        return self._object.getpeercert(binary_form=True)

    def encrypt(self, data: bytes) -> bytes:
        """Return the TLS records to send."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return the plain text of all records received so far. It is empty for a session ticket.

        Raises ssl.SSLError, and EOFError when the server closed the TLS session.
        """
        self._incoming.write(data)
        plain = b""
        try:
            while chunk := self._object.read(_READ_BYTES):
                plain += chunk
        except ssl.SSLWantReadError:
            return plain
        except ssl.SSLZeroReturnError:
            pass
        if not plain:
            raise EOFError("closed by the server")
        return plain  # the next read reports the end of the connection

    def pending_records(self) -> bytes:
        """Return the records that the protocol itself must send, such as the reply to a change of keys."""
        return self._outgoing.read()

    def closing_record(self) -> bytes:
        """Return the record that closes the TLS session in order."""
        with suppress(ssl.SSLError, OSError):
            self._object.unwrap()
        return self._outgoing.read()
