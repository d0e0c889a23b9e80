"""Keys and nested replies as plain values: for labels, for commands, for rows."""

from hashlib import blake2b
from typing import Any

from exporter.errors import NoDatabaseError, TargetError
from exporter.metric import Unreadable
from exporter.parse.reply import as_list, as_text

#: Characters of a label value; a longer name is cut, and told from others by a digest.
LONGEST = 200


def label(name: bytes | str) -> str:
    """Return a name that users chose as a label value: bytes that are no UTF-8 become U+FFFD, a long one is cut."""
    raw = name.encode("utf-8", errors="replace") if isinstance(name, str) else name
    text = raw[: 4 * LONGEST + 4].decode("utf-8", errors="replace")
    if len(raw) <= LONGEST or len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 10]}…{blake2b(raw, digest_size=4).hexdigest()}"


def word(name: bytes) -> str | bytes:
    """Return a key as a word of a command: text, or the bytes themselves, which the client sends as they are."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name


def fields(reply: Any) -> dict[str, Any] | None:
    """Read ``[name, value, name, value, …]``; None when it is no list. What has no name or no value is passed over."""
    items = as_list(reply)
    if items is None:
        return None
    pairs = zip(items[::2], items[1::2], strict=False)
    return {name: value for key, value in pairs if (name := as_text(key)) is not None}


def unreadable(error: TargetError, db: int, place: str) -> Unreadable:
    """Return what an error says that concerns one database alone: it was refused, or there is none of that number.

    Raises the error when it concerns the whole server.
    """
    if isinstance(error, NoDatabaseError):
        return Unreadable(f"SELECT/db{db}")
    if type(error) is TargetError:
        return Unreadable(place)
    raise error


def answer(reply: Any) -> Any:
    """Return a reply of a pipeline, or None in place of an error that concerns its command alone.

    Raises TargetError when the error concerns the whole server (it is loading, say).
    """
    if isinstance(reply, TargetError):
        if reply.unavailable:
            raise reply
        return None
    return reply
