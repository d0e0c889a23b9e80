"""Reads XINFO of a batch of streams, their groups and their consumers.

Fields are found by name, because servers may add and reorder them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from redis_pulse.collectors.support.labels import label_value, unreadable_database
from redis_pulse.collectors.support.scan import Name
from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.errors import KeyDeniedError, TargetError
from redis_pulse.metric import CollectorItem, Kind, MetricSpec, OverflowCount, Sample, UnreadableField
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text, command_word, reply_or_none

_ID = re.compile(rb"(\d{1,20})-(\d{1,20})", re.ASCII)
#: Converts the value of a field; returns None if it is invalid.
ConvertField = Callable[[Any], float | None]


def id_milliseconds(reply: Any) -> float | None:
    """Return the first part of an id such as ``1526985054069-0``, or None if it is invalid.

    It is a Unix time in milliseconds if the server generates the ids.
    """
    match = _ID.fullmatch(reply) if isinstance(reply, bytes) else None
    return float(match[1]) if match else None


def entry_milliseconds(reply: Any) -> float | None:
    """Return the first part of the id in ``[id, [field, value, …]]``, 0 without an entry, or None if it is invalid."""
    return 0.0 if reply is None else id_milliseconds((as_list(reply) or [None])[0])


def seconds(reply: Any) -> float | None:
    """Convert milliseconds to seconds; return None if the reply is not an integer."""
    value = as_integer(reply)
    return None if value is None else value / 1e3


class StreamMetric:
    """A metric, and how to convert the field of a nested reply that it comes from."""

    def __init__(
        self,
        kind: Kind,
        command: str,
        field: str,
        name: str,
        text: str,
        labels: tuple[str, ...],
        convert: ConvertField = as_integer,
    ) -> None:
        self.metric = MetricSpec(kind, f"XINFO {command}", field, name, text, labels=labels)
        self._convert = convert

    def samples(self, fields: Mapping[str, Any], *labels: str) -> Iterator[Sample | UnreadableField]:
        """Yield the sample. Yield nothing if the server does not have the field or does not know its value."""
        if self.metric.field not in fields:
            return
        reply = fields[self.metric.field]
        if reply is not None or self._convert is entry_milliseconds:
            yield self.metric.sample_or_unreadable(self._convert(reply), *labels)


#: Parts of one reply that are read, apart from those that have series.
_MAX_FURTHER = 200
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
        id_milliseconds,
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "max-deleted-entry-id",
        "stream_max_deleted_entry_id",
        "Millisecond part of the highest id that was deleted; 0 when none was.",
        _STREAM,
        id_milliseconds,
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
        entry_milliseconds,
    ),
    StreamMetric(
        "gauge",
        "STREAM",
        "last-entry",
        "stream_last_entry_id",
        "Millisecond part of the id of the last entry; 0 when the stream is empty.",
        _STREAM,
        entry_milliseconds,
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
        id_milliseconds,
    ),
    StreamMetric(
        "gauge", "GROUPS", "entries-read", "stream_group_entries_read", "Entries delivered to a group.", _GROUP
    ),
    StreamMetric("gauge", "GROUPS", "lag", "stream_group_lag", "Entries not delivered to a group yet.", _GROUP),
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
        seconds,
    ),
)


class StreamReader(NamedTuple):
    """Reads streams of one database."""

    commands: Commands
    db: int
    #: Maximum groups of a stream that are read.
    max_groups: int
    #: Maximum consumers of a group that are read; 0 requests no consumers.
    max_consumers: int

    async def read(self, names: list[Name]) -> dict[Name, list[CollectorItem]]:
        """Return the results of each name: nothing for a key that is missing or not a stream. Raises TargetError."""
        results: dict[Name, list[CollectorItem]] = {name: [] for name in names}
        try:
            kinds = await self._pipeline([("TYPE", command_word(key)) for _, key in names])
        except TargetError as error:
            return {name: [unreadable_database(error, self.db, "TYPE")] for name in names}
        streams = [name for name, kind in zip(names, kinds, strict=True) if as_text(kind) == "stream"]
        commands: list[Args] = [
            ("XINFO", what, command_word(key)) for _, key in streams for what in ("STREAM", "GROUPS")
        ]
        replies = await self._pipeline(commands)
        for name, stream, groups in zip(streams, replies[::2], replies[1::2], strict=True):
            labels = (f"db{self.db}", label_value(name[1]))
            results[name] += _samples(STREAM, "XINFO STREAM", stream, labels)
            results[name] += await self._groups(name, groups, labels)
        return results

    async def _groups(self, name: Name, reply: Any, labels: tuple[str, str]) -> list[CollectorItem]:
        """Return the results of the groups of one stream, and of their consumers. Raises TargetError."""
        groups, results = _by_name(reply, "XINFO GROUPS", self.max_groups)
        for group, fields in groups:
            results += _samples(GROUP, "XINFO GROUPS", fields, (*labels, label_value(group)))
        if self.max_consumers and groups:
            commands: list[Args] = [
                ("XINFO", "CONSUMERS", command_word(name[1]), command_word(group)) for group, _ in groups
            ]
            for (group, _), consumers in zip(groups, await self._pipeline(commands), strict=True):
                by_name, problems = _by_name(consumers, "XINFO CONSUMERS", self.max_consumers)
                results += problems
                for consumer, fields in by_name:
                    consumer_labels = (*labels, label_value(group), label_value(consumer))
                    results += _samples(CONSUMER, "XINFO CONSUMERS", fields, consumer_labels)
        return results

    async def _pipeline(self, commands: list[Args]) -> list[Any]:
        """Return the replies; None for an error that concerns one key. Raises TargetError for other errors."""
        replies = await self.commands.pipeline(commands, db=self.db)
        for reply in replies:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                raise reply
        return [reply_or_none(reply) for reply in replies]


def _samples(
    metrics: tuple[StreamMetric, ...], location: str, reply: Any, labels: tuple[str, ...]
) -> Iterator[CollectorItem]:
    """Yield the samples in a flat list of fields and values."""
    fields = as_map(reply)
    if fields is None:
        yield UnreadableField(location)
        return
    for metric in metrics:
        yield from metric.samples(fields, *labels)


def _by_name(reply: Any, location: str, limit: int) -> tuple[list[tuple[bytes, Any]], list[CollectorItem]]:
    """Return at most ``limit`` parts of a reply with their names, and what to report about the other parts."""
    parts = as_list(reply)
    if parts is None:
        return [], [UnreadableField(location)]
    read = parts[: limit + _MAX_FURTHER]
    named = {name: part for part in read if isinstance(name := (as_map(part) or {}).get("name"), bytes)}
    problems: list[CollectorItem] = [UnreadableField(f"{location}/name")] * (len(read) - len(named))
    if (more := max(0, len(named) - limit) + len(parts) - len(read)) > 0:
        problems.append(OverflowCount(f"{location}/name", more))
    return list(named.items())[:limit], problems
