"""Names of hosts, and lists of targets over HTTP. The daemon reads both with blocking calls in threads."""

import errno
import io
import json
from typing import Any

from simulate.network import Address


class Names:
    """The simulated DNS."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.is_broken = False

    def look_up(self, host: str) -> list[str]:
        """Return the addresses of a name, or none if it is not known."""
        return [] if self.is_broken else self.addresses.get(host, [])


class HttpInventory:
    """A service that lists targets in the format of http_sd."""

    def __init__(self, address: Address) -> None:
        self.address = address
        #: the body of the next responses; None: nothing listens
        self.body: bytes | None = b"[]"
        self.status = 200
        self.requests = 0

    def set_targets(self, targets: dict[str, str]) -> None:
        """List targets: name → address."""
        groups = [{"targets": [address], "labels": {"__name": name}} for name, address in targets.items()]
        self.body = json.dumps(groups).encode()

    def connect(self, host: str, port: int) -> "BlockingConnection":
        """Return a connection, as ``socket.create_connection`` does."""
        if (host, port) != self.address or self.body is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        self.requests += 1
        head = f"HTTP/1.1 {self.status} Status\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        return BlockingConnection(head.encode() + self.body)


class BlockingConnection:
    """The connection of one request. ``http.client`` uses these methods of a socket."""

    def __init__(self, response: bytes) -> None:
        self._response = response

    def setsockopt(self, *_: Any) -> None:
        """Do nothing."""

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the whole response is there."""

    def sendall(self, _data: Any) -> None:
        """Send the request. The response does not depend on it."""

    def makefile(self, *_: Any, **_options: Any) -> io.BufferedReader:
        """Return the response as a file."""
        return io.BufferedReader(io.BytesIO(self._response))

    def shutdown(self, _how: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
