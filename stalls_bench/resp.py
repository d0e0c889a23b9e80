"""A blocking Redis client that can send several commands before it reads."""

import socket
from typing import Any

#: Seconds that a reply may take: a stopped server answers later.
TIMEOUT = 30.0


def pack(*words: str | int) -> bytes:
    """Return one command in the protocol of Redis."""
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Link:
    """One connection to the path of a unix socket, so that a fault of the network does not reach it."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path)
        self._buffer = b""

    def send(self, *words: str | int) -> None:
        """Send a command, and do not wait for its reply."""
        self.socket.sendall(pack(*words))

    def read(self) -> Any:
        """Return the next reply. An error is text that starts with ``-``."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(max(0, int(rest)))]
        return int(rest) if kind == b":" else (line if kind == b"-" else rest).decode()

    def run(self, *words: str | int) -> Any:
        """Send a command and return its reply."""
        self.send(*words)
        return self.read()

    def drain(self, last: bytes) -> None:
        """Read until the data end with ``last``. Large replies are not parsed."""
        while not self._buffer.endswith(last):
            self._receive()
            self._buffer = self._buffer[-len(last) :]

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _bytes(self, count: int) -> bytes:
        parts, have = [self._buffer], len(self._buffer)
        while have < count:
            received = self.socket.recv(1 << 20)
            if not received:
                raise ConnectionError
            parts.append(received)
            have += len(received)
        data = b"".join(parts)
        self._buffer = data[count:]
        return data[:count]

    def _receive(self) -> None:
        received = self.socket.recv(1 << 20)
        if not received:
            raise ConnectionError
        self._buffer += received
