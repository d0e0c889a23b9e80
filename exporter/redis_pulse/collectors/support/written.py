"""Writes the lines of large families straight from the texts of a reply, without a ``Sample`` for each.

A collector that can do this has two ways. ``collect`` yields samples, is complete, and is easy to read. ``write`` is
quick, and only for what is usual. It returns None for names that need cleaning, for unreadable values, and for more
values than have series. ``collect`` then reads the same replies. Both ways give the same bytes. The tests in
``tests/collectors/test_written.py`` compare them on all recorded replies, and ``make fuzz`` on changed ones.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

from redis_pulse.metric import MetricSpec, parse_number
from redis_pulse.text_format import format_number

Item = TypeVar("Item")

#: Names that need no cleaning as a label value, wherever the line ends.
_CLEAN = re.compile(r"[A-Za-z0-9_|.:-]{1,60}", re.ASCII)
#: ``is_whole(text)`` is true for a whole number that is written as it stands.
is_whole = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII).fullmatch
#: Names that are written before other tasks may run. They take half a millisecond.
NAMES_PER_SLICE = 30


class UnusualValueError(ValueError):
    """A value is not usual, so that ``collect`` must read the reply."""


def are_clean(names: Iterable[str]) -> bool:
    """Return whether each of the names is its own label value."""
    return all(map(_CLEAN.fullmatch, names))


def number_text(metric: MetricSpec, text: str) -> str | None:
    """Return how the value of a field is written, or None if the server has no value.

    Raises ValueError if it is unreadable. ``MetricSpec.parse`` decides in the same way.
    """
    if metric.convert is parse_number and is_whole(text):
        return text
    if text == "-1" and metric.kind == "counter":
        return None
    value = metric.convert(text)
    if value is None:
        return None
    if value < 0 and metric.kind == "counter":
        raise UnusualValueError(metric.location)
    return format_number(float(value))


async def in_slices(items: Sequence[Item], size: int = NAMES_PER_SLICE) -> AsyncIterator[Sequence[Item]]:
    """Yield the items in parts. Between two parts other tasks may run."""
    for start in range(0, len(items), size):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + size]
