"""The text of CLIENT LIST to one dict of text a client; what a field means is the collector's business."""

import re
from collections.abc import Iterator

#: A client: field → value, all as the server spells them.
ClientFields = dict[str, str]

#: A longer line is not read: a real one has some 400 characters, and looking through it must not hold up the loop.
LONGEST_LINE = 65536

_LINE = re.compile(r"[^\r\n]+")
_SPACED_PAIR = re.compile(r"(?:^| )([a-z][a-z0-9_-]*)=(.*?)(?= [a-z][a-z0-9_-]*=|$)")


def parse_client_list(text: str) -> Iterator[ClientFields | None]:
    r"""Read one client after the other; None for a line that is none.

    >>> list(parse_client_list("id=3 addr=127.0.0.1:52555 name=a=b flags=N\n"))
    [{'id': '3', 'addr': '127.0.0.1:52555', 'name': 'a=b', 'flags': 'N'}]

    Clients are made as they are asked for, so that who reads thousands can pause in between.
    """
    for line in _LINE.finditer(text):
        yield parse_client(line[0]) if line.end() - line.start() <= LONGEST_LINE else None


def parse_client(line: str) -> ClientFields | None:
    """Split ``id=3 addr=[::1]:52555 name=cart …``; None for a line without an id.

    Values may hold ``=`` and quotes. The server allows no spaces in them but in the path of a unix socket: words
    without ``=`` belong to the value before them. Of a field that comes twice the last counts.
    """
    try:
        client = dict([pair.split("=", 1) for pair in line.split(" ")])  # twice as fast as the expression
    except ValueError:
        client = dict(_SPACED_PAIR.findall(line))
    return client if client.get("id") else None


def parse_address(text: str) -> tuple[str, str]:
    """Split ``127.0.0.1:52555``, ``[::1]:52555`` or ``/run/redis.sock:0`` into host and port.

    IPv6 addresses come without their brackets, and so does the path of a unix socket that Valkey 9 puts there:
    ``[/run/redis.sock:0]:0``. A text without a colon is a host without a port.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, ""
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
        if host[:1] == "/":
            host = host.removesuffix(":0")
    return host, port
