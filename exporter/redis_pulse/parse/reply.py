"""A reply's parts to the type that was promised, or None: what a server sends is never taken on trust.

Flat lists of names and values, as RESP2 writes what is a map, to plain dicts of text.
"""

from typing import Any, NamedTuple

from redis_pulse.errors import TargetError


def reply_or_none(reply: Any) -> Any:
    """Return a reply of a pipeline, or None in place of an error that concerns its command alone.

    Raises TargetError when the error concerns the whole server (it is loading, say).
    """
    if isinstance(reply, TargetError):
        if reply.unavailable:
            raise reply
        return None
    return reply


def as_map(reply: Any) -> dict[str, Any] | None:
    """Read ``[name, value, name, value, …]``; None when it is no list. What has no name or no value is passed over."""
    items = as_list(reply)
    if items is None:
        return None
    pairs = zip(items[::2], items[1::2], strict=False)
    return {name: value for key, value in pairs if (name := as_text(key)) is not None}


def command_word(name: bytes) -> str | bytes:
    """Return a key as a word of a command: text, or the bytes themselves, which the client sends as they are."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name


_INT64 = 2**63


def as_text(reply: Any) -> str | None:
    """Decode a bulk or simple string; bytes that are no UTF-8 become U+FFFD. None for any other reply."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", errors="replace")
    return reply if isinstance(reply, str) else None


def as_integer(reply: Any) -> int | None:
    """Take over an integer reply of 64 bits; None for any other reply."""
    return reply if type(reply) is int and -_INT64 <= reply < _INT64 else None


def as_list(reply: Any) -> list[Any] | None:
    """Take over an array; None for any other reply."""
    return reply if isinstance(reply, list) else None


class FieldPairs(NamedTuple):
    """Names and values of one flat list; ``bad`` counts its parts that are no pair of texts."""

    fields: dict[str, str]
    bad: int


def as_pairs(reply: Any) -> FieldPairs:
    """Read ``[name, value, name, value, …]``; of a name that comes twice the last counts.

    >>> as_pairs([b"maxclients", b"10000", b"maxmemory", None, b"half"])
    Pairs(fields={'maxclients': '10000'}, bad=2)

    A reply that is no list at all is one bad part.
    """
    items = as_list(reply)
    if items is None:
        return FieldPairs({}, 1)
    fields: dict[str, str] = {}
    bad = len(items) % 2
    for item, content in zip(items[::2], items[1::2], strict=False):
        name, value = as_text(item), as_text(content)
        if name is None or value is None:
            bad += 1
        else:
            fields[name] = value
    return FieldPairs(fields, bad)
