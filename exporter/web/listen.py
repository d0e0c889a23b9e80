"""Opens the socket that we listen on, and says clearly why when it cannot be opened."""

import errno
import re
import socket
from typing import NamedTuple

#: Clients that may wait to be accepted. A loop that turns accepts them within milliseconds; one that does not turn
#: should refuse the next, not keep it.
_BACKLOG = 128
_TRIES = 100
_ALL = ("", "*", "::")


class ListenError(Exception):
    """We cannot listen there; ``str(error)`` names the address, the reason and the cure."""


class Listen(NamedTuple):
    """An address to listen on; an empty host means all of them, port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Read ``:9121``, ``127.0.0.1:9121``, ``[::1]:9121``, ``localhost:9121`` or just ``9121``.

    Raises ``ListenError`` for anything else.
    """
    text = text.strip()
    found = re.fullmatch(
        r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\S+)?)\]|(?P<host>[^\s:/\[\]]*)):)?(?P<port>[0-9]{1,5})", text
    )
    if found is None:
        cure = "write HOST:PORT, for example :9121, 127.0.0.1:9121 or [::1]:9121"
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            cure = f"an IPv6 address stands in brackets, for example [{text.rpartition(':')[0]}]:9121"
        raise ListenError(f"cannot listen on {text[:100]!r}: {cure}")
    port = int(found["port"])
    if port > 65535:
        raise ListenError(f"cannot listen on {text!r}: a port is at most 65535")
    return Listen(found["v6"] or found["host"] or "", port)


def bind(listen: str, *, fallback: bool = False) -> socket.socket:
    """Return a socket that listens on the address; with ``fallback`` on the next free port when it is in use.

    ``:9121`` listens on IPv6 and IPv4 where the machine has both, on IPv4 where it has only that. The port is taken
    when this returns: connections wait until a server serves the socket. Raises ``ListenError``.
    """
    wanted = parse_listen(listen)
    last = min(wanted.port + _TRIES, 65535) if fallback and wanted.port else wanted.port
    for port in range(wanted.port, last + 1):
        try:
            return _open(Listen(wanted.host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last:
                raise ListenError(_explain(wanted, last, error)) from None
    raise AssertionError("unreachable")  # pragma: no cover


def _open(where: Listen) -> socket.socket:
    if where.host in _ALL:
        try:
            return _listening(socket.AF_INET6, ("::", where.port), dual=True)
        except OSError as error:
            # No IPv6 here, or it is switched off. A port in use is in use, whatever the family.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT):
                raise
        return _listening(socket.AF_INET, ("0.0.0.0", where.port))  # noqa: S104  what ":9121" asks for
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    # A name such as localhost has both families; most clients try IPv4 in any case.
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return _listening(family, address)


def _listening(family: int, address: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer waits 40 ms for an ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        # Two sockets may be bound to one port with SO_REUSEADDR; only listening shows that it is taken.
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _explain(where: Listen, last: int, error: OSError) -> str:
    place = f"cannot listen on {where}"
    if isinstance(error, socket.gaierror):
        return f"{place}: the host name does not resolve; use an address of this machine, or :{where.port} for all"
    if error.errno == errno.EADDRINUSE and last > where.port:
        return f"{place}: it is in use, and so are the ports up to {last}; choose another one (--listen)"
    if error.errno == errno.EADDRINUSE:
        other = Listen(where.host, where.port + 1 if where.port < 65535 else where.port - 1)
        return (
            f"{place}: the port is in use, perhaps by another redis-pulse; stop that program "
            f"(`ss -ltnp 'sport = :{where.port}'` names it) or choose another port (--listen {other})"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{place}: not permitted; ports below 1024 want privileges, choose a higher one (--listen :9121)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place}: this machine has no such address; use one it has, or :{where.port} for all of them"
    return f"{place}: {error.strerror or error}"
