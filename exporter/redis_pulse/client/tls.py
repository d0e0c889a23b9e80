"""TLS between memory and a socket that is read by ourselves: so the kernel's stamp of what arrives is not lost."""

import asyncio
import socket
import ssl
from contextlib import suppress

_CHUNK = 65536


class TlsLayer:
    """Encrypts what is sent and decrypts what was received; reads and writes no socket but in the handshake."""

    __slots__ = ("_incoming", "_object", "_outgoing")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self, sock: socket.socket) -> None:
        """Shake hands. Raises ssl.SSLError, OSError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                with suppress(OSError):
                    sock.send(self._outgoing.read())  # the alert that tells the server why
                raise
            else:
                done = True
            if flight := self._outgoing.read():
                await loop.sock_sendall(sock, flight)
            if done:
                return
            data = await loop.sock_recv(sock, _CHUNK)
            if not data:
                raise ConnectionResetError("closed during the TLS handshake")
            self._incoming.write(data)

    @property
    def certificate_expires(self) -> float | None:
        """Unix time at which the server's certificate expires; None when it was not checked."""
        certificate = self._object.getpeercert()
        end = certificate.get("notAfter") if certificate else None
        return float(ssl.cert_time_to_seconds(end)) if isinstance(end, str) else None

    def encrypt(self, data: bytes) -> bytes:
        """Return the records to send."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return what the records received so far say: nothing, when they hold but a session ticket.

        Raises ssl.SSLError; EOFError when the server said good-bye.
        """
        self._incoming.write(data)
        plain = b""
        try:
            while chunk := self._object.read(_CHUNK):
                plain += chunk
        except ssl.SSLWantReadError:
            return plain
        except ssl.SSLZeroReturnError:
            pass
        if not plain:
            raise EOFError("closed by the server")
        return plain  # the end of the connection itself is seen next

    def to_send(self) -> bytes:
        """Return records that the protocol itself wants sent (an answer to a change of keys)."""
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """Return the record that closes the connection in order."""
        with suppress(ssl.SSLError, OSError):
            self._object.unwrap()
        return self._outgoing.read()
