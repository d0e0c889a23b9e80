"""A reply's parts to the type that was promised, or None: what a server sends is never taken on trust."""

from typing import Any

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
