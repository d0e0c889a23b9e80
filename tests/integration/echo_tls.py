"""TLS for the echo server, between a socket that never blocks and the plain bytes."""

import socket
import ssl
from contextlib import suppress


class TlsEnd:
    """The server's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_client, self._to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_client, self._to_client, server_side=True)
        self._is_ready = False

    def receive(self, sock: socket.socket, data: bytes) -> bytes:
        """Return the plain bytes in what arrived; empty while the handshake goes on. Raise ``SSLError`` at its end."""
        self._from_client.write(data)
        plain = b""
        with suppress(ssl.SSLWantReadError):
            if not self._is_ready:
                self._tls.do_handshake()
                self._is_ready = True
            while more := self._tls.read(1 << 16):
                plain += more
        self._flush(sock)
        return plain

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Send plain bytes."""
        self._tls.write(data)
        self._flush(sock)

    def _flush(self, sock: socket.socket) -> None:
        if data := self._to_client.read():
            sock.sendall(data)


def server_context(certificate: str) -> ssl.SSLContext:
    """Return the context of a server. The file holds its certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
