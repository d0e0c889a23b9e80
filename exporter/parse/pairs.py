"""Flat lists of names and values, as RESP2 writes what is a map, to plain dicts of text."""

from typing import Any, NamedTuple

from exporter.parse.reply import as_list, as_text


class Pairs(NamedTuple):
    """Names and values of one flat list; ``bad`` counts its parts that are no pair of texts."""

    fields: dict[str, str]
    bad: int


def as_pairs(reply: Any) -> Pairs:
    """Read ``[name, value, name, value, …]``; of a name that comes twice the last counts.

    >>> as_pairs([b"maxclients", b"10000", b"maxmemory", None, b"half"])
    Pairs(fields={'maxclients': '10000'}, bad=2)

    A reply that is no list at all is one bad part.
    """
    items = as_list(reply)
    if items is None:
        return Pairs({}, 1)
    fields: dict[str, str] = {}
    bad = len(items) % 2
    for item, content in zip(items[::2], items[1::2], strict=False):
        name, value = as_text(item), as_text(content)
        if name is None or value is None:
            bad += 1
        else:
            fields[name] = value
    return Pairs(fields, bad)
