"""XINFO of a batch of streams, their groups and their consumers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from exporter.collectors._names import Name
from exporter.collectors._stream_rows import CONSUMER, GROUP, STREAM, Row
from exporter.collectors._text import answer, fields, label, unreadable, word
from exporter.collectors.base import UNSUPPORTED, Commands
from exporter.errors import KeyDeniedError, TargetError
from exporter.metric import Found, Overflow, Unreadable
from exporter.parse.reply import as_list, as_text

__all__ = ["CONSUMER", "GROUP", "STREAM", "StreamReader"]


class StreamReader(NamedTuple):
    """Reads streams of one database."""

    commands: Commands
    db: int
    #: Groups of a stream that are read, and consumers of a group; 0 asks for no consumers at all.
    max_groups: int
    max_consumers: int

    async def read(self, names: list[Name]) -> dict[Name, list[Found]]:
        """Return what was found of each; nothing of a key that is missing, or is no stream. Raises TargetError."""
        found: dict[Name, list[Found]] = {name: [] for name in names}
        try:
            kinds = await self._ask([("TYPE", word(key)) for _, key in names])
        except TargetError as error:
            return {name: [unreadable(error, self.db, "TYPE")] for name in names}
        there = [name for name, kind in zip(names, kinds, strict=True) if as_text(kind) == "stream"]
        asked = [("XINFO", what, word(key)) for _, key in there for what in ("STREAM", "GROUPS")]
        replies = iter(await self._ask(asked))
        for name in there:
            labels = (f"db{self.db}", label(name[1]))
            found[name] += _rows(STREAM, "XINFO STREAM", next(replies), labels)
            found[name] += await self._groups(name, next(replies), labels)
        return found

    async def _groups(self, name: Name, reply: Any, labels: tuple[str, str]) -> list[Found]:
        groups, found = _named(reply, "XINFO GROUPS", self.max_groups)
        for group, read in groups:
            found += _rows(GROUP, "XINFO GROUPS", read, (*labels, label(group)))
        if self.max_consumers and groups:
            asked = [("XINFO", "CONSUMERS", word(name[1]), word(group)) for group, _ in groups]
            for (group, _), consumers in zip(groups, await self._ask(asked), strict=True):
                named, others = _named(consumers, "XINFO CONSUMERS", self.max_consumers)
                found += others
                for consumer, read in named:
                    found += _rows(CONSUMER, "XINFO CONSUMERS", read, (*labels, label(group), label(consumer)))
        return found

    async def _ask(self, asked: list[Any]) -> list[Any]:
        replies = await self.commands.pipeline(asked, db=self.db)
        for reply in replies:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                raise reply
        return [answer(reply) for reply in replies]


def _rows(rows: tuple[Row, ...], place: str, reply: Any, labels: tuple[str, ...]) -> Iterator[Found]:
    read = fields(reply)
    if read is None:
        yield Unreadable(place)
        return
    for row in rows:
        yield from row.found(read, *labels)


def _named(reply: Any, place: str, most: int) -> tuple[list[tuple[bytes, Any]], list[Found]]:
    """Return at most ``most`` parts of a reply with their names, and what must be said of the others."""
    parts = as_list(reply)
    if parts is None:
        return [], [Unreadable(place)]
    named = {name: part for part in parts if isinstance(name := (fields(part) or {}).get("name"), bytes)}
    found: list[Found] = [Unreadable(f"{place}/name")] * (len(parts) - len(named))
    if len(named) > most:
        found.append(Overflow(f"{place}/name", len(named) - most))
    return list(named.items())[:most], found
