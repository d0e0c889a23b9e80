"""The rows of streams, groups and consumers: fields of XINFO by name, so that servers may add and reorder them.

XINFO of a batch of streams, their groups and their consumers.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from redis_pulse.collectors.support.labels import label_value, unreadable_database
from redis_pulse.collectors.support.scan import Name
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.errors import KeyDeniedError, TargetError
from redis_pulse.metric import CollectorItem, Kind, MetricSpec, OverflowCount, Sample, UnreadableField
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text, command_word, reply_or_none

_ID = re.compile(rb"(\d{1,20})-(\d{1,20})", re.ASCII)
Read = Callable[[Any], float | None]


def moment(reply: Any) -> float | None:
    """Return the first part of an id such as ``1526985054069-0``: milliseconds, where the server makes the ids."""
    found = _ID.fullmatch(reply) if isinstance(reply, bytes) else None
    return float(found[1]) if found else None


def entry(reply: Any) -> float | None:
    """Return the first part of the id of ``[id, [field, value, …]]``; 0 when there is no entry."""
    return 0.0 if reply is None else moment((as_list(reply) or [None])[0])


def milliseconds(reply: Any) -> float | None:
    """Milliseconds to seconds."""
    value = as_integer(reply)
    return None if value is None else value / 1e3


class StreamMetric:
    """A row, and how to read its field from a nested reply."""

    def __init__(
        self,
        kind: Kind,
        command: str,
        field: str,
        name: str,
        text: str,
        labels: tuple[str, ...],
        read: Read = as_integer,
    ) -> None:
        self.metric = MetricSpec(kind, f"XINFO {command}", field, name, text, labels=labels)
        self._read = read

    def found(self, fields: Mapping[str, Any], *labels: str) -> Iterator[Sample | UnreadableField]:
        """Yield its sample; nothing when the server has no such field, or does not know its value."""
        if self.metric.field not in fields:
            return
        reply = fields[self.metric.field]
        if reply is not None or self._read is entry:
            yield self.metric.sample_or_unreadable(self._read(reply), *labels)


_STREAM, _GROUP, _CONSUMER = ("db", "stream"), ("db", "stream", "group"), ("db", "stream", "group", "consumer")
STREAM = (
    StreamMetric("gauge", "STREAM", "length", "stream_length", "Entries in a stream.", _STREAM),
    StreamMetric(
        "gauge", "STREAM", "radix-tree-keys", "stream_radix_tree_keys", "Keys in a stream's radix tree.", _STREAM
    ),
    StreamMetric(
        "gauge", "STREAM", "radix-tree-nodes", "stream_radix_tree_nodes", "Nodes in a stream's radix tree.", _STREAM
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "last-generated-id",
        "stream_last_generated_id",
        "Millisecond part of the id that was generated last.",
        _STREAM,
        moment,
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "max-deleted-entry-id",
        "stream_max_deleted_entry_id",
        "Millisecond part of the highest id that was deleted; 0 when none was.",
        _STREAM,
        moment,
    ),
    StreamMetric(
        "counter", "STREAM", "entries-added", "stream_entries_added_total", "Entries ever added to a stream.", _STREAM
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "first-entry",
        "stream_first_entry_id",
        "Millisecond part of the id of the first entry; 0 when the stream is empty.",
        _STREAM,
        entry,
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "last-entry",
        "stream_last_entry_id",
        "Millisecond part of the id of the last entry; 0 when the stream is empty.",
        _STREAM,
        entry,
    ),
    StreamMetric("gauge", "STREAM", "groups", "stream_groups", "Consumer groups of a stream.", _STREAM),
)
GROUP = (
    StreamMetric("gauge", "GROUPS", "consumers", "stream_group_consumers", "Consumers of a group.", _GROUP),
    StreamMetric(
        "gauge",
        "GROUPS",
        "pending",
        "stream_group_messages_pending",
        "Entries delivered to a group and not acknowledged.",
        _GROUP,
    ),
    StreamMetric(
        "gauge",
        "GROUPS",
        "last-delivered-id",
        "stream_group_last_delivered_id",
        "Millisecond part of the id that was delivered last.",
        _GROUP,
        moment,
    ),
    StreamMetric(
        "gauge", "GROUPS", "entries-read", "stream_group_entries_read", "Entries that a group was given.", _GROUP
    ),
    StreamMetric("gauge", "GROUPS", "lag", "stream_group_lag", "Entries that a group was not given yet.", _GROUP),
)
CONSUMER = (
    StreamMetric(
        "gauge",
        "CONSUMERS",
        "pending",
        "stream_group_consumer_messages_pending",
        "Entries delivered to a consumer and not acknowledged.",
        _CONSUMER,
    ),
    StreamMetric(
        "gauge",
        "CONSUMERS",
        "idle",
        "stream_group_consumer_idle_seconds",
        "Time since a consumer last tried to read.",
        _CONSUMER,
        milliseconds,
    ),
)


class StreamReader(NamedTuple):
    """Reads streams of one database."""

    commands: Commands
    db: int
    #: Groups of a stream that are read, and consumers of a group; 0 asks for no consumers at all.
    max_groups: int
    max_consumers: int

    async def read(self, names: list[Name]) -> dict[Name, list[CollectorItem]]:
        """Return what was found of each; nothing of a key that is missing, or is no stream. Raises TargetError."""
        found: dict[Name, list[CollectorItem]] = {name: [] for name in names}
        try:
            kinds = await self._ask([("TYPE", command_word(key)) for _, key in names])
        except TargetError as error:
            return {name: [unreadable_database(error, self.db, "TYPE")] for name in names}
        there = [name for name, kind in zip(names, kinds, strict=True) if as_text(kind) == "stream"]
        asked = [("XINFO", what, command_word(key)) for _, key in there for what in ("STREAM", "GROUPS")]
        replies = iter(await self._ask(asked))
        for name in there:
            labels = (f"db{self.db}", label_value(name[1]))
            found[name] += _rows(STREAM, "XINFO STREAM", next(replies), labels)
            found[name] += await self._groups(name, next(replies), labels)
        return found

    async def _groups(self, name: Name, reply: Any, labels: tuple[str, str]) -> list[CollectorItem]:
        groups, found = _named(reply, "XINFO GROUPS", self.max_groups)
        for group, read in groups:
            found += _rows(GROUP, "XINFO GROUPS", read, (*labels, label_value(group)))
        if self.max_consumers and groups:
            asked = [("XINFO", "CONSUMERS", command_word(name[1]), command_word(group)) for group, _ in groups]
            for (group, _), consumers in zip(groups, await self._ask(asked), strict=True):
                named, others = _named(consumers, "XINFO CONSUMERS", self.max_consumers)
                found += others
                for consumer, read in named:
                    found += _rows(
                        CONSUMER, "XINFO CONSUMERS", read, (*labels, label_value(group), label_value(consumer))
                    )
        return found

    async def _ask(self, asked: list[Any]) -> list[Any]:
        replies = await self.commands.pipeline(asked, db=self.db)
        for reply in replies:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                raise reply
        return [reply_or_none(reply) for reply in replies]


def _rows(rows: tuple[StreamMetric, ...], place: str, reply: Any, labels: tuple[str, ...]) -> Iterator[CollectorItem]:
    read = as_map(reply)
    if read is None:
        yield UnreadableField(place)
        return
    for row in rows:
        yield from row.found(read, *labels)


def _named(reply: Any, place: str, most: int) -> tuple[list[tuple[bytes, Any]], list[CollectorItem]]:
    """Return at most ``most`` parts of a reply with their names, and what must be said of the others."""
    parts = as_list(reply)
    if parts is None:
        return [], [UnreadableField(place)]
    named = {name: part for part in parts if isinstance(name := (as_map(part) or {}).get("name"), bytes)}
    found: list[CollectorItem] = [UnreadableField(f"{place}/name")] * (len(parts) - len(named))
    if len(named) > most:
        found.append(OverflowCount(f"{place}/name", len(named) - most))
    return list(named.items())[:most], found
