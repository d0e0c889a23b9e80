"""Convert the parts of a reply to the expected type, or to None: no reply is trusted.

RESP2 writes a map as a flat list of names and values. Two functions read it, and they differ:

- ``as_map`` keeps values of any type, for replies that nest lists and integers.
- ``as_pairs`` accepts texts only and counts the parts it cannot read, for settings and fields.
"""

from typing import Any, NamedTuple

from redis_pulse.errors import TargetError

_INT64 = 2**63
#: 19 digits hold each signed integer of 64 bits. Longer texts cost ``int`` time that grows with their square.
_MAX_DIGITS = 19
#: Pairs of one list that are read. Real lists have at most some 300, the settings of a server.
MAX_PAIRS = 2000
#: Bytes of one text that are decoded. The longest, CLUSTER NODES of 1000 nodes, has some 200 KB.
MAX_TEXT_BYTES = 2**21


def parse_uint(text: str) -> int | None:
    """Return the number that 1 to 19 ASCII digits spell, or None for any other text.

    >>> parse_uint("10000"), parse_uint("007"), parse_uint("-1"), parse_uint("1.0"), parse_uint(""), parse_uint("٣")
    (10000, 7, None, None, None, None)
    """
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _MAX_DIGITS else None


def as_text(reply: Any) -> str | None:
    """Decode a bulk string or simple string; return None for any other reply. Invalid UTF-8 becomes U+FFFD.

    A text is cut after ``MAX_TEXT_BYTES``.
    """
    if isinstance(reply, bytes):
        return reply[:MAX_TEXT_BYTES].decode("utf-8", errors="replace")
    return reply if isinstance(reply, str) else None


def as_integer(reply: Any) -> int | None:
    """Return an integer reply of 64 bits, or None for any other reply."""
    return reply if type(reply) is int and -_INT64 <= reply < _INT64 else None


def as_list(reply: Any) -> list[Any] | None:
    """Return an array, or None for any other reply."""
    return reply if isinstance(reply, list) else None


def as_map(reply: Any) -> dict[str, Any] | None:
    """Read ``[name, value, name, value, …]`` into a dict; return None if the reply is not a list.

    Values keep their types. A name that is not text is skipped with its value, and so is a last name without a value.
    If a name comes twice, the last value counts.
    """
    items = as_list(reply)
    if items is None:
        return None
    pairs = zip(items[: 2 * MAX_PAIRS : 2], items[1 : 2 * MAX_PAIRS : 2], strict=False)
    return {name: value for key, value in pairs if (name := as_text(key)) is not None}


class SimpleString(bytes):
    """A reply of one line, such as ``+OK``. A bulk string is plain bytes."""

    __slots__ = ()


class FieldPairs(NamedTuple):
    """Names and values of one flat list; ``bad`` counts the parts that are not a pair of texts."""

    fields: dict[str, str]
    bad: int


def as_pairs(reply: Any) -> FieldPairs:
    """Read ``[name, value, name, value, …]`` into texts. If a name comes twice, the last value counts.

    >>> as_pairs([b"maxclients", b"10000", b"maxmemory", None, b"half"])
    FieldPairs(fields={'maxclients': '10000'}, bad=2)

    A reply that is not a list counts as one bad part.
    """
    items = as_list(reply)
    if items is None:
        return FieldPairs({}, 1)
    fields: dict[str, str] = {}
    bad = len(items) % 2 + max(0, len(items) // 2 - MAX_PAIRS)
    for key, content in zip(items[: 2 * MAX_PAIRS : 2], items[1 : 2 * MAX_PAIRS : 2], strict=False):
        name, value = as_text(key), as_text(content)
        if name is None or value is None:
            bad += 1
        else:
            fields[name] = value
    return FieldPairs(fields, bad)


def reply_or_none(reply: Any) -> Any:
    """Return a reply of a pipeline, or None if it is an error of this command alone.

    Raise the TargetError if the error concerns the whole server, for example while it loads its data.
    """
    if isinstance(reply, TargetError):
        if reply.unavailable:
            raise reply
        return None
    return reply


def command_word(name: bytes) -> str | bytes:
    """Return a key as a word of a command: text, or the bytes if they are not UTF-8. The client sends bytes as is."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name
