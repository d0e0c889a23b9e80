"""The busiest slots of a cluster node, and sums over its slots (CLUSTER SLOT-STATS; Valkey 8.0, Redis 8.2 and later).

redis_slot_cpu_seconds_total{target="cart",slot="449"} 0.4
redis_slots_cpu_seconds_total{target="cart"} 12.5

A node has up to 16384 slots, so only the busiest have series: by CPU time, and by bytes. They are ranked by what they
used lately. The use of a poll counts half as much after seven polls.

The sums are counters that never fall. They begin with the first poll, and what a slot used stays in them when the slot
leaves the node. Servers always count keys. They count the rest only with ``cluster-slot-stats-enabled``.
"""
# ruff: noqa: E501 - one line per metric definition

import heapq
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self

from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, UnreadableField, counter, gauge, usec
from redis_pulse.parse.reply import as_integer, as_list, as_map
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced

SECTION = "CLUSTER SLOT-STATS"
_LABELS = ("slot",)
# fmt: off
#: Item of a slot → its metric.
SLOT_METRICS = {
    "key-count": gauge(SECTION, "key-count", "slot_keys", "Keys in one of the busiest slots.", labels=_LABELS),
    "cpu-usec": counter(SECTION, "cpu-usec", "slot_cpu_seconds_total", "CPU time that the commands of one of the busiest slots used.", usec, labels=_LABELS),
    "network-bytes-in": counter(SECTION, "network-bytes-in", "slot_net_input_bytes_total", "Bytes received for one of the busiest slots.", labels=_LABELS),
    "network-bytes-out": counter(SECTION, "network-bytes-out", "slot_net_output_bytes_total", "Bytes sent for one of the busiest slots.", labels=_LABELS),
    "memory-bytes": gauge(SECTION, "memory-bytes", "slot_memory_bytes", "Bytes of the keys in one of the busiest slots (Redis 8.6 and later).", labels=_LABELS),
}
SLOTS = gauge(SECTION, "SLOTSRANGE", "slots", "Slots that the node reports statistics of.")
#: Item of a slot → the metric of the sum over all slots.
SUM_METRICS = {
    "key-count": gauge(SECTION, "key-count", "slots_keys", "Keys in all slots of the node."),
    "cpu-usec": counter(SECTION, "cpu-usec", "slots_cpu_seconds_total", "CPU time that the commands of all slots of the node used since the first poll.", usec),
    "network-bytes-in": counter(SECTION, "network-bytes-in", "slots_net_input_bytes_total", "Bytes received for all slots of the node since the first poll."),
    "network-bytes-out": counter(SECTION, "network-bytes-out", "slots_net_output_bytes_total", "Bytes sent for all slots of the node since the first poll."),
    "memory-bytes": gauge(SECTION, "memory-bytes", "slots_memory_bytes", "Bytes of the keys in all slots of the node (Redis 8.6 and later)."),
}
# fmt: on

_COMMAND = ("CLUSTER", "SLOT-STATS", "SLOTSRANGE")
_SLOTS = 16384
_NOTHING = -1
#: Slots after which other tasks may run, where one takes a microsecond.
_SLOTS_PER_SLICE = 1000
#: Slots of one reply. Their reply has some 20 KB, and is read in a millisecond.
_SLOTS_PER_REPLY = 256
#: What a slot used. It only grows.
_USE = ("cpu-usec", "network-bytes-in", "network-bytes-out")
#: Uses that are ranked together.
_RANKINGS = (("cpu-usec",), ("network-bytes-in", "network-bytes-out"))
#: What remains of a rank value after a poll: 0.9**7 is about one half.
_DECAY = 0.9


class SlotStatsOptions(Options):
    """Settings of the collector ``slot_stats``."""

    top: PositiveCount = Field(
        10, le=100, description="Slots with their own series: so many by CPU time, and so many by bytes."
    )


class SlotHistory:
    """What each slot has: its newest items, what it used lately, and the sums. Arrays, because a node may have all."""

    def __init__(self) -> None:
        #: Item → its newest value by slot, -1 if the slot has none.
        self._newest = {item: array("q", [_NOTHING]) * _SLOTS for item in SLOT_METRICS}
        self._lately = [array("d", [0.0]) * _SLOTS for _ in _RANKINGS]
        self._is_first = True
        self._seen = bytearray(_SLOTS)
        #: What all slots used since the first poll, and the sums of the other items at the last poll.
        self.sums: dict[str, int] = {}

    def begin(self) -> None:
        """Begin a poll."""
        self._seen = bytearray(_SLOTS)
        self.sums = {item: total for item, total in self.sums.items() if item in _USE}

    def add(self, slot: int, items: Mapping[str, int]) -> None:
        """Take over the items of one slot."""
        self._seen[slot] = 1
        used = dict.fromkeys(_USE, 0)
        for item, value in items.items():
            newest = self._newest[item]
            if item in used:
                # A slot that arrives, or whose statistics were reset, began at 0.
                used[item] = value - newest[slot] if 0 <= newest[slot] <= value else value
                self.sums[item] = self.sums.get(item, 0) + (0 if self._is_first else used[item])
            else:
                self.sums[item] = self.sums.get(item, 0) + value
            newest[slot] = value
        for ranking, lately in zip(_RANKINGS, self._lately, strict=True):
            lately[slot] = lately[slot] * _DECAY + sum(used[item] for item in ranking)

    async def end(self) -> None:
        """End a poll: forget the slots that the node does not have."""
        async for slot in sliced(range(_SLOTS), _SLOTS_PER_SLICE):
            if not self._seen[slot]:
                for values in self._newest.values():
                    values[slot] = _NOTHING
                for lately in self._lately:
                    lately[slot] = 0.0
        self._is_first = False

    @property
    def slots(self) -> int:
        """The number of slots that the node has."""
        return sum(self._seen)

    def busiest(self, top: int) -> list[int]:
        """Return the slots that used most lately by each ranking, in order."""
        chosen: set[int] = set()
        for lately in self._lately:
            chosen.update(slot for slot in heapq.nlargest(top, range(_SLOTS), key=lately.__getitem__) if lately[slot])
        return sorted(chosen)

    def items(self, slot: int) -> Iterator[tuple[str, int]]:
        """Yield the newest items of a slot."""
        for item, values in self._newest.items():
            if values[slot] != _NOTHING:
                yield item, values[slot]


class SlotStatsCollector:
    """Read the statistics of all slots, some hundred at a time. One object reads one target: it has its history."""

    name: ClassVar[str] = "slot_stats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (*SLOT_METRICS.values(), SLOTS, *SUM_METRICS.values())
    options: ClassVar[type[Options]] = SlotStatsOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("cluster|slot-stats",)

    def __init__(self) -> None:
        self._run_id = ""
        self._history: SlotHistory | None = None

    def for_target(self) -> Self:
        """Return a new collector, without a history."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return whether the server is a cluster node."""
        return server.fields.get("cluster_enabled") == "1"

    async def collect(self, server: Server, commands: Commands, options: SlotStatsOptions) -> Iterable[CollectorItem]:
        """Read all slots. The server leaves out those that it does not have."""
        if self._history is None or self._run_id != server.run_id:
            self._history, self._run_id = SlotHistory(), server.run_id
        history = self._history
        history.begin()
        unreadable = 0
        for first in range(0, _SLOTS, _SLOTS_PER_REPLY):
            # Not ``execute``: it keeps each reply until the end of the poll, and these have megabytes.
            (reply,) = await commands.pipeline([(*_COMMAND, first, first + _SLOTS_PER_REPLY - 1)])
            if isinstance(reply, TargetError):
                raise reply
            entries = as_list(reply)
            unreadable += entries is None
            async for entry in sliced((entries or [])[:_SLOTS_PER_REPLY]):
                if (one := parse_slot(entry)) is None:
                    unreadable += 1
                else:
                    history.add(*one)
        await history.end()
        return [*_samples(history, options.top), *[UnreadableField(SLOTS.location)] * unreadable]


def parse_slot(entry: Any) -> tuple[int, dict[str, int]] | None:
    """Read ``[449, ["key-count", 1, "cpu-usec", 13, …]]``; return None if it is malformed."""
    parts = as_list(entry)
    if parts is None or len(parts) != 2:
        return None
    slot, items = as_integer(parts[0]), as_map(parts[1])
    if slot is None or items is None or not 0 <= slot < _SLOTS:
        return None
    numbers = {name: as_integer(items[name]) for name in SLOT_METRICS if name in items}
    known = {name: number for name, number in numbers.items() if number is not None and number >= 0}
    return (slot, known) if len(known) == len(numbers) else None


def _samples(history: SlotHistory, top: int) -> Iterator[CollectorItem]:
    yield SLOTS.sample(float(history.slots))
    for item, total in history.sums.items():
        yield _sample(SUM_METRICS[item], total)
    for slot in history.busiest(top):
        for item, value in history.items(slot):
            yield _sample(SLOT_METRICS[item], value, str(slot))


def _sample(metric: MetricSpec, value: int, *labels: str) -> CollectorItem:
    return metric.sample(value / 1e6 if metric.convert is usec else float(value), *labels)


COLLECTOR = SlotStatsCollector()
