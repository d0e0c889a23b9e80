"""What is known about the keys of one server: an immutable report, for metrics, pages and the terminal.

``KeyspaceState.report()`` makes it. Everything in it may be shown: names of keys are in it only on request.
"""

from dataclasses import dataclass
from typing import NamedTuple

#: The pattern of all keys that no shown pattern has, and that of the keys that ``hide`` matches.
OTHER, HIDDEN = "other", "hidden"


class Estimate(NamedTuple):
    """A value, and the half width of its interval of 95 %. An ``error`` of 0 means that every key was counted."""

    value: float
    error: float

    @property
    def low(self) -> float:
        """The lower end of the interval, at least 0."""
        return max(0.0, self.value - self.error)

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.value + self.error


@dataclass(frozen=True, slots=True)
class PatternUsage:
    """The keys of one pattern and one type in one database.

    Patterns exclude each other: the keys of ``user:*:cart`` are not among those of ``user:*``. So their sum is the
    whole, and each of them is one series.
    """

    db: int
    pattern: str
    #: ``string``, ``hash`` and so on, ``mixed`` if a pattern has many types, ``unknown`` where TYPE is denied.
    type: str
    #: Bytes, as ``MEMORY USAGE … SAMPLES 5`` measures them; None where the server denies that command.
    memory: Estimate | None
    keys: Estimate
    #: The share of the keys that never expire, 0 to 1; None if no key told it.
    without_expiry: float | None
    #: The median of the time since the last access, in seconds; None on a server with an LFU policy.
    idle_seconds: float | None
    #: The median of the access frequency (0 to 255); None unless the server has an LFU policy.
    frequency: float | None
    #: Random draws in the window that hit it.
    draws: int
    #: Keys that the walk found and that count with certainty.
    found_keys: int


@dataclass(frozen=True, slots=True)
class PatternNode:
    """A pattern in the tree, with the patterns below it. Its values include those of its children.

    The root of a database has the number of keys that ``DBSIZE`` tells, without an error.
    """

    db: int
    pattern: str
    memory: Estimate | None
    keys: Estimate
    #: The keys that belong to no child, one item for each type.
    usages: tuple[PatternUsage, ...]
    children: tuple["PatternNode", ...]


@dataclass(frozen=True, slots=True)
class LargeKey:
    """One of the largest keys that were found. It was measured ``age`` seconds ago."""

    db: int
    pattern: str
    type: str
    #: Bytes; None where MEMORY USAGE is denied.
    memory: int | None
    #: Elements, or the bytes of a string; None unless it was read (see ``Capabilities.lengths``).
    length: int | None
    #: Seconds; None if it never expires, or if that is unknown.
    ttl: float | None
    age: float
    #: None unless names were requested.
    name: bytes | None = None


@dataclass(frozen=True, slots=True)
class PatternGrowth:
    """How the memory of a pattern differs from that in the window before. ``seconds`` apart."""

    db: int
    pattern: str
    #: Bytes; negative if it shrinks.
    change: Estimate
    seconds: float

    @property
    def is_certain(self) -> bool:
        """Whether the change is larger than its error."""
        return abs(self.change.value) > self.change.error


@dataclass(frozen=True, slots=True)
class WalkProgress:
    """How far the slow walk over all keys is."""

    #: The share of all keys that the running pass has visited, 0 to 1.
    ratio: float
    #: Complete passes since the start, and the seconds of the newest one; None before the first.
    passes: int
    seconds: float | None
    #: Seconds since the running pass began.
    running: float


@dataclass(frozen=True, slots=True)
class KeyspaceReport:
    """Everything that the samples tell about one server at one moment."""

    #: Unix time, and the seconds that the random draws come from.
    at: float
    window: float
    #: Keys of all databases; random draws since the start, and in the window.
    keys: int
    draws_total: int
    draws: int
    #: By memory, the largest first (by keys where memory is unknown). At most 50 patterns, ``other`` included.
    patterns: tuple[PatternUsage, ...]
    #: One node for each database.
    tree: tuple[PatternNode, ...]
    #: The sum of all patterns; None where MEMORY USAGE is denied.
    memory: Estimate | None
    #: ``used_memory_dataset`` of the server, and that less the sum of the estimates; None if unknown.
    dataset_bytes: float | None
    unexplained_bytes: float | None
    #: At most 50, the largest first.
    largest: tuple[LargeKey, ...]
    #: The patterns that changed most, the largest change first. Empty until two windows have passed.
    growth: tuple[PatternGrowth, ...]
    walk: WalkProgress
    #: Keys that are looked at each second now, and the share of the server's main thread that this costs (measured).
    keys_per_second: float
    server_share: float | None
    #: How sure all of this is, in sentences for people.
    certainty: str
    #: What is missing and why: a denied command, biased draws, a replica, names that are too long.
    notes: tuple[str, ...] = ()
