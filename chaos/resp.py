"""A plain Redis client. Its results are compared with what the daemon reports."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

#: Seconds, the same as the daemon's ``probe.timeout``.
TIMEOUT = 1.0


class ServerError(Exception):
    """The server replied with an error."""


@dataclass(frozen=True)
class Login:
    """What a client needs to log in to a server."""

    username: str = ""
    password: str = ""
    ca_file: Path | None = None


class Connection:
    """One connection, to ``(host, port)`` or to the path of a Unix socket. Raises OSError and ServerError."""

    def __init__(self, address: tuple[str, int] | str, login: Login = Login(), timeout: float = TIMEOUT) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
            if login.ca_file is not None and not isinstance(address, str):
                context = ssl.create_default_context(cafile=str(login.ca_file))
                sock = context.wrap_socket(sock, server_hostname=address[0])
            self._socket = sock
            self._reader = sock.makefile("rb")
            if login.password:
                user = [login.username] if login.username else []
                self.execute("AUTH", *user, login.password)
        except BaseException:
            sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def execute(self, *words: str | int) -> Any:
        """Send one command and return its reply. Bulk strings are returned as text."""
        parts = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(request)
        return self._reply()

    def _reply(self) -> Any:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise ServerError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            data = self._reader.read(int(rest) + 2)
            if len(data) != int(rest) + 2:
                raise ConnectionResetError("the server closed the connection")
            return data[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._element() for _ in range(int(rest))]
        raise ServerError(f"not a reply: {line!r}")

    def _element(self) -> Any:
        try:
            return self._reply()
        except ServerError as error:
            return error


def execute(address: tuple[str, int] | str, *words: str | int, login: Login = Login(), timeout: float = TIMEOUT) -> Any:
    """Send one command on a new connection, and return its reply."""
    with Connection(address, login, timeout) as connection:
        return connection.execute(*words)


def ping_status(address: tuple[str, int], login: Login = Login()) -> str:
    """Return ``up`` if a new connection gets PONG for PING, otherwise a short text about the failure."""
    try:
        reply = execute(address, "PING", login=login)
    except ServerError as error:
        return f"error {str(error).split(' ', 1)[0]}"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return type(error).__name__
    return "up" if reply == "PONG" else f"reply {reply!r}"
