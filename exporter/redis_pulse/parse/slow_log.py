"""Read the entries of the slow log. No argument of a command leaves this module."""

import ipaddress
import re
from typing import Any, NamedTuple

from redis_pulse.parse.command_names import OTHER, command_name
from redis_pulse.parse.reply import as_integer, as_list, as_text

_IPV4 = re.compile(r"(?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?!\d)")
#: Longer names of clients are cut.
_MAX_CLIENT_LENGTH = 64


class SlowLogEntry(NamedTuple):
    """One slow command. ``at`` is a time of the server's clock in Unix seconds; None stands for what is unreadable."""

    id: int
    at: int | None
    seconds: float | None
    command: str
    #: the name that the client chose with CLIENT SETNAME; empty without one, and before Redis 4
    client: str


def parse_entry(reply: Any) -> SlowLogEntry | None:
    """Read ``[id, unix time, microseconds, [word, …], address, name]``; return None without a readable id.

    Servers before Redis 4 send neither address nor name.
    """
    parts: list[Any] = [*(as_list(reply) or ())[:6], *[None] * 6]
    entry_id, at, duration, words, _address, name = parts[:6]
    number = as_integer(entry_id)
    if number is None or number < 0:
        return None
    microseconds = as_integer(duration)
    is_valid = microseconds is not None and microseconds >= 0
    return SlowLogEntry(
        number,
        as_integer(at),
        microseconds / 1e6 if microseconds is not None and is_valid else None,
        command_name(as_list(words) or []),
        client_label(name),
    )


def client_label(name: Any) -> str:
    """Return the name of a client as a short, printable text. A name that has an address in it becomes ``other``."""
    text = as_text(name[: 4 * _MAX_CLIENT_LENGTH] if isinstance(name, bytes | str) else None) or ""
    if _IPV4.search(text) or _is_ipv6(text):
        return OTHER
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return printable if len(printable) <= _MAX_CLIENT_LENGTH else f"{printable[: _MAX_CLIENT_LENGTH - 1]}…"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.removeprefix("[").partition("]")[0])
    except ValueError:
        return False
    return True
