"""INFO lines whose field is a prefix and a name that somebody else chose: ``cmdstat_get:calls=1,usec=7``."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from exporter.collectors._places import OVERFLOW, Places
from exporter.metric import Found, Metric, Overflow, Unreadable
from exporter.parse.info import Info, parse_pairs
from exporter.targets import Server

#: Longer names get no series of their own.
MAX_LENGTH = 100

#: Name → its pairs, as text.
Keyed = dict[str, dict[str, str]]
#: Item of a line → the row of its value, whose one label is the name.
Rows = Mapping[str, Metric]


class Seated:
    """What the collectors of such lines have in common: they read INFO, and remember who has series of its own."""

    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def __init__(self) -> None:
        self._places = Places[str]()

    def for_target(self) -> Self:
        """Return one that remembers which names of this target have series of their own."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has such lines."""
        return server.mode != "sentinel"


def read_keyed(info: Info, section: str, prefix: str) -> Keyed:
    """Return the lines of a section by name, without the prefix; another line of the section is passed over."""
    fields = info.get(section, {})
    return {field[len(prefix) :]: parse_pairs(text) for field, text in fields.items() if field.startswith(prefix)}


def seat(places: Places[str], keyed: Keyed, item: str, most: int) -> frozenset[str]:
    """Return the names that get series of their own, ``most`` of them: who had one before, then by weight.

    ``item`` is the one to weigh by. A name as long as a novel gets none, nor does one that is called ``overflow``.
    """
    weights = {
        name: _weight(pairs.get(item, ""))
        for name, pairs in keyed.items()
        if len(name) <= MAX_LENGTH and name != OVERFLOW
    }
    return places.seat(weights, most)


def count(keyed: Keyed, rows: Rows, own: frozenset[str]) -> Iterator[Found]:
    """Read every line by its items; those without series of their own are summed up as ``overflow``.

    The first of ``rows`` must be in every line, the others came with later servers.
    """
    first = next(iter(rows.values()))
    rest: dict[Metric, float] = {}
    for name, pairs in keyed.items():
        if first.field.rpartition(":")[2] not in pairs:
            yield Unreadable(first.place)
        for item, row in rows.items():
            if item not in pairs or (read := row.read(pairs[item], name)) is None:
                continue
            if name in own or isinstance(read, Unreadable):
                yield read
            else:
                rest[row] = rest.get(row, 0.0) + read.value
    for row, value in rest.items():
        yield row.sample(value, OVERFLOW)
    if more := sum(1 for name in keyed if name not in own):
        yield Overflow(first.place, more)


def _weight(text: str) -> float:
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0.0
