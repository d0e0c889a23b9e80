"""What the hottest keys use: the newest session of HOTKEYS (Redis 8.6 and later; from its documentation).

redis_hotkeys_key_cpu_seconds{target="cart",pattern="session:*"} 0.46
redis_hotkeys_session_cpu_seconds{target="cart"} 2.2

A session ranks keys for some time, on one node. Usually an operator starts it. With ``start: true`` this collector
does, at most once in ``every`` seconds, and only while no session runs. A new session discards the result of the last.

Names of keys are private, and a session lists too few keys to find the common parts of names. So a label is one of the
``patterns`` of the operator. For other keys it is the shape of the name: ``user:17:cart`` is ``*:*:*``.
"""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.labels import OVERFLOW, label_value
from redis_pulse.collectors.support.server_clock import age
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import PermissionDeniedError, TargetError
from redis_pulse.metric import CollectorFault, CollectorItem, MetricSpec, UnreadableField, gauge, msec, usec
from redis_pulse.parse.reply import as_integer, as_list, as_map
from redis_pulse.server_info import HOTKEYS, Server

SECTION = "HOTKEYS GET"
_LABELS = ("pattern",)
# fmt: off
#: Field of the reply → its metric.
SESSION = {
    "sample-ratio": gauge(SECTION, "sample-ratio", "hotkeys_session_sample_ratio", "The newest session of HOTKEYS counts one of so many commands (Redis 8.6 and later)."),
    "collection-duration-ms": gauge(SECTION, "collection-duration-ms", "hotkeys_session_seconds", "Duration of the newest session of HOTKEYS.", msec),
    "all-commands-all-slots-us": gauge(SECTION, "all-commands-all-slots-us", "hotkeys_session_cpu_seconds", "CPU time of all commands in the newest session of HOTKEYS.", usec),
    "net-bytes-all-commands-all-slots": gauge(SECTION, "net-bytes-all-commands-all-slots", "hotkeys_session_net_bytes", "Bytes of all commands in the newest session of HOTKEYS."),
}
KEYS = gauge(SECTION, "keys", "hotkeys_keys", "Hot keys of a pattern in the newest session of HOTKEYS.", labels=_LABELS)
#: List of the reply → the sum over the keys of a pattern, and the largest value of a single key.
LISTS = {
    "by-cpu-time-us": (
        gauge(SECTION, "by-cpu-time-us", "hotkeys_key_cpu_seconds", "CPU time of the hot keys of a pattern, as the server counts it.", usec, labels=_LABELS),
        gauge(SECTION, "by-cpu-time-us", "hotkeys_hottest_key_cpu_seconds", "CPU time of the hottest key, as the server counts it.", usec),
    ),
    "by-net-bytes": (
        gauge(SECTION, "by-net-bytes", "hotkeys_key_net_bytes", "Bytes received and sent for the hot keys of a pattern, as the server counts them.", labels=_LABELS),
        gauge(SECTION, "by-net-bytes", "hotkeys_hottest_key_net_bytes", "Bytes received and sent for the key with the most, as the server counts them."),
    ),
}
# fmt: on
#: Patterns with their own series, and keys that are read. A session lists 64 keys at most.
MAX_PATTERNS, MAX_KEYS = 20, 64
#: Bytes of a name, and of a shape that is shown.
_MAX_NAME, _MAX_SHAPE = 256, 40
_NOT_SEPARATORS = re.compile(r"[^:/|#.]+")
_LONGER_SHAPE = "*:…"


class HotkeysOptions(Options):
    """Settings of the collector ``hotkeys``."""

    patterns: tuple[str, ...] = Field(
        (), max_length=20, description="Patterns of keys that become labels, such as session:*; * is any text."
    )
    start: bool = Field(
        False, description="Whether the exporter starts sessions. A new one discards the result of the last."
    )
    every: PositiveCount = Field(
        3600, ge=60, le=604_800, description="Seconds from the start of a session to the start of the next one."
    )
    duration: PositiveCount = Field(60, le=3600, description="Seconds of a session that the exporter starts.")
    sample: PositiveCount = Field(
        100, le=100_000, description="A session that the exporter starts counts one of so many commands."
    )
    keys: PositiveCount = Field(
        16, le=MAX_KEYS, description="Keys that a session lists, by each of CPU time and bytes."
    )


class HotkeysCollector(Stateless):
    """Read the newest session, and start one only if this is configured."""

    name: ClassVar[str] = "hotkeys"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *SESSION.values(),
        KEYS,
        *(metric for pair in LISTS.values() for metric in pair),
    )
    options: ClassVar[type[HotkeysOptions]] = HotkeysOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("hotkeys|get", "hotkeys|start")

    def applies(self, server: Server) -> bool:
        """Return whether the server has HOTKEYS."""
        return server.mode != "sentinel" and server.has(HOTKEYS)

    async def collect(self, server: Server, commands: Commands, options: HotkeysOptions) -> Iterable[CollectorItem]:
        """Read the newest session. It is nil if none was started since the server started."""
        reply = await commands.execute("HOTKEYS", "GET")
        fields = None if reply is None else session_fields(reply)
        if reply is not None and fields is None:
            return [UnreadableField(SECTION)]
        items = [] if fields is None else [*_samples(fields, options.patterns)]
        if options.start and _may_start(server, fields, options):
            items += await _start(commands, options)
        return items


def session_fields(reply: Any) -> dict[str, Any] | None:
    """Return the fields of a session, or None if the reply is malformed. Some versions wrap them in another array."""
    parts = as_list(reply)
    if parts is not None and len(parts) == 1:
        parts = as_list(parts[0])
    fields = None if parts is None else as_map(parts)
    return fields if fields and as_integer(fields.get("tracking-active")) in (0, 1) else None


def _may_start(server: Server, fields: dict[str, Any] | None, options: HotkeysOptions) -> bool:
    """Return whether no session runs, and the last one is old enough. No session is ever stopped."""
    if fields is None:
        return True
    if as_integer(fields["tracking-active"]) != 0:
        return False
    began = as_integer(fields.get("collection-start-time-unix-ms"))
    seconds_ago = None if began is None else age(server, began // 1000)
    return seconds_ago is not None and seconds_ago >= options.every


async def _start(commands: Commands, options: HotkeysOptions) -> list[CollectorItem]:
    """Start a session. If another client was quicker, the server refuses, and nothing is lost."""
    command: Args = (*("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", options.keys), "DURATION")
    command = (*command, options.duration, "SAMPLE", options.sample)
    (reply,) = await commands.pipeline([command])
    if isinstance(reply, PermissionDeniedError):
        return [CollectorFault("HOTKEYS START", reply.reason, "this user may not start sessions of HOTKEYS")]
    if isinstance(reply, TargetError) and reply.unavailable:
        raise reply
    return []


def _samples(fields: dict[str, Any], patterns: tuple[str, ...]) -> Iterator[CollectorItem]:
    for name, metric in SESSION.items():
        if name in fields:
            yield _sample(metric, as_integer(fields[name]))
    sums = PatternSums(patterns)
    for field, (_, hottest) in LISTS.items():
        values = _keys_of(fields.get(field, []))
        if values is None:
            yield UnreadableField(hottest.location)
        elif values:
            sums.add(field, values)
            yield _sample(hottest, max(value for _, value in values))
    yield from sums.samples()


class PatternSums:
    """The hot keys and their use by pattern. After ``MAX_PATTERNS`` patterns, all others are one."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        from redis_pulse.keyspace import glob_expression  # it is off by default, and 14 modules

        self._expressions = [(glob_expression(text), text) for text in patterns]
        self._keys: dict[str, set[bytes]] = {}
        self._sums: dict[tuple[str, str], int] = {}

    def add(self, field: str, values: Iterable[tuple[bytes, int]]) -> None:
        """Add the keys of one list."""
        for name, value in values:
            pattern = self._pattern_of(name)
            if pattern not in self._keys and len(self._keys) >= MAX_PATTERNS:
                pattern = OVERFLOW
            self._keys.setdefault(pattern, set()).add(name)
            self._sums[field, pattern] = self._sums.get((field, pattern), 0) + value

    def _pattern_of(self, name: bytes) -> str:
        text = name[:_MAX_NAME].decode("utf-8", errors="replace")
        return next((label for expression, label in self._expressions if expression.search(text)), shape_of(text))

    def samples(self) -> Iterator[CollectorItem]:
        """Yield the samples of all patterns."""
        for pattern, names in self._keys.items():
            yield KEYS.sample(float(len(names)), label_value(pattern))
        for (field, pattern), total in self._sums.items():
            yield _sample(LISTS[field][0], total, label_value(pattern))


def shape_of(name: str) -> str:
    """Return a name of which only the separators are left.

    >>> shape_of("user:17:cart"), shape_of("jane.doe@example.org"), shape_of("x")
    ('*:*:*', '*.*.*', '*')
    """
    shape = _NOT_SEPARATORS.sub("*", name)
    return shape if len(shape) <= _MAX_SHAPE else _LONGER_SHAPE


def _keys_of(reply: Any) -> list[tuple[bytes, int]] | None:
    """Read ``[name, value, name, value, …]``, or return None if it is malformed."""
    parts = as_list(reply)
    if parts is None or len(parts) % 2:
        return None
    values = [(name, as_integer(value)) for name, value in zip(parts[::2], parts[1::2], strict=True)][:MAX_KEYS]
    found = [(name, value) for name, value in values if isinstance(name, bytes) and value is not None and value >= 0]
    return found if len(found) == len(values) else None


def _sample(metric: MetricSpec, value: int | None, *labels: str) -> CollectorItem:
    if value is None or value < 0:
        return UnreadableField(metric.location)
    return metric.sample_or_unreadable(metric.convert(str(value)), *labels)


COLLECTOR = HotkeysCollector()
