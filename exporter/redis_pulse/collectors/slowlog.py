"""The slow log: its length, its newest entry, and slow commands by name and by client (SLOWLOG).

redis_slow_commands_total{target="cart",command="keys"} 3
redis_slow_commands_by_client_total{target="cart",client="cart-worker"} 3

Entries are counted from the first poll on. A restart, a failover or ids that go back start the reading again at the
newest entry. The counters go on. So no old entry of any server is ever counted. Arguments are not read.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, ClassVar, NamedTuple, Self

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter
from redis_pulse.collectors.support.server_clock import age, server_time
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.metric import (
    CollectorItem,
    KeptItems,
    MetricSpec,
    OverflowCount,
    Sample,
    SlowCommand,
    SlowCommands,
    UnreadableField,
    counter,
    gauge,
)
from redis_pulse.parse.reply import as_integer, as_list
from redis_pulse.parse.slow_log import SlowLogEntry, parse_entry
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced

# fmt: off
LENGTH = gauge("SLOWLOG LEN", "length", "slowlog_length", "Entries in the slow log.")
LAST_ID = gauge("SLOWLOG GET", "id", "slowlog_last_id", "Id of the newest slow log entry, 0 if the log is empty.")
LAST_DURATION = gauge("SLOWLOG GET", "duration", "last_slow_execution_duration_seconds", "Execution time of the newest slow log entry, 0 if the log is empty.")
COMMANDS = counter("SLOWLOG GET", "entries", "slow_commands_total", "New slow log entries by command; overflow includes those that were dropped before they were read.", labels=("command",))
SECONDS = counter("SLOWLOG GET", "duration (sum)", "slow_command_seconds_total", "Execution time of the slow log entries that were read, by command.", labels=("command",))
BY_CLIENT = counter("SLOWLOG GET", "name", "slow_commands_by_client_total", "New slow log entries by the name of the client (CLIENT SETNAME), which is empty without one.", labels=("client",))
# fmt: on
#: The usual commands that are slow on large keys. Their series begin at 0, so that ``increase()`` counts the first one.
USUAL = (
    "keys",
    "smembers",
    "hgetall",
    "sort",
    "lrange",
    "zrange",
    "sunion",
    "sinter",
    "sdiff",
    "del",
    "flushall",
    "flushdb",
    "eval",
    "evalsha",
    "fcall",
    "hkeys",
    "hvals",
    "zrangebyscore",
    "mget",
)  # fmt: skip
#: Seconds for which a name that is not seen keeps its series.
KEEP_SERIES_FOR = 86400.0
#: Entries that are read beyond the expected ones: some may be added between two requests. The last known entry is
#: among them, which proves that the log is still the same.
_MARGIN = 8
#: Seconds by which a new entry may seem older than the last one. An older one is from another server.
_CLOCK_TOLERANCE = 60
#: A larger step of the ids is not the work of one poll interval.
_MAX_STEP = 10_000_000


class SlowLogOptions(Options):
    """Settings of the collector ``slowlog``."""

    max_entries: PositiveCount = Field(
        128, le=1024, description="New entries to read in one poll; further ones are counted as `overflow`."
    )
    max_commands: PositiveCount = Field(
        50, le=500, description='Slow commands with their own series; the others are summed as `command="overflow"`.'
    )
    max_clients: PositiveCount = Field(
        50, le=500, description='Client names with their own series; the others are summed as `client="overflow"`.'
    )


class _NewEntries(NamedTuple):
    """The entries since the last poll, and the number of those that were dropped before they were read."""

    entries: tuple[SlowLogEntry, ...] = ()
    unread: int = 0


class _Total(NamedTuple):
    entries: float = 0.0
    seconds: float = 0.0


class SlowLogPosition:
    """How far the log of one server was read. It decides which entries are new."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._last: SlowLogEntry | None = None
        self._at: int | None = None

    def expected(self, server: Server, newest: SlowLogEntry | None, length: int) -> int:
        """Return the number of new entries, as far as the newest one and the length of the log show it.

        A log that is not the one of the last poll has none: its newest entry becomes the position.
        """
        if server.run_id != self._run_id:
            self._run_id = server.run_id
            now = server_time(server)
            self._restart(newest, None if now is None else int(now))
            return 0
        if newest is None:
            return 0
        if self._last is None:
            return max(length, 1)
        step = newest.id - self._last.id
        if step < 0 or step > _MAX_STEP or (step == 0 and newest != self._last):
            self._restart(newest)
            return 0
        return step

    def advance(self, entries: Iterable[SlowLogEntry], expected: int) -> _NewEntries:
        """Move to the newest of these entries, and return those that are new, the oldest first."""
        by_id = {entry.id: entry for entry in entries}
        if not by_id:
            return _NewEntries()
        last, newest = self._last, by_id[max(by_id)]
        known = None if last is None else by_id.get(last.id)
        new = tuple(by_id[number] for number in sorted(by_id) if last is None or number > last.id)
        if known != last if known is not None else self._is_older(new):
            self._restart(newest)
            return _NewEntries()
        step = newest.id - last.id if last is not None else expected
        self._last, self._at = newest, newest.at
        return _NewEntries(new, min(max(step - len(new), 0), _MAX_STEP))

    def _is_older(self, entries: Sequence[SlowLogEntry]) -> bool:
        """Return whether an entry is older than the last one. After an empty log, the first poll counts instead."""
        at = self._at
        return at is not None and any(entry.at is not None and entry.at < at - _CLOCK_TOLERANCE for entry in entries)

    def _restart(self, newest: SlowLogEntry | None, now: int | None = None) -> None:
        self._last, self._at = newest, now if newest is None else newest.at


class NamedTotals:
    """Counts entries by a name. Names beyond a limit are summed as ``overflow``, and no sum ever falls.

    The ``usual`` names have half of the series at most. They keep them while their sums are 0.
    """

    def __init__(self, usual: Sequence[str]) -> None:
        self._usual = usual
        self._limiter = LabelLimiter[str](KEEP_SERIES_FOR)
        self._by_name: dict[str, _Total] = {}
        self._overflow = _Total()

    def add(self, new: Mapping[str, _Total], limit: int, now: float) -> int:
        """Add sums by name. Return the number of names that were summed as ``overflow``."""
        own = {name: total for name, total in new.items() if name != OVERFLOW}
        usual = dict.fromkeys(self._usual[: (limit + 1) // 2], 0.0)
        weights = usual | {name: total.entries for name, total in own.items()}
        admitted = self._limiter.admit(weights, limit, now)
        kept = self._limiter.kept
        self._by_name = {name: total for name, total in self._by_name.items() if name in kept}
        for name in admitted:
            self._by_name[name] = _sum(self._by_name.get(name, _Total()), new.get(name, _Total()))
        for name in new.keys() - admitted:
            self._overflow = _sum(self._overflow, new[name])
        return len(own.keys() - admitted)

    def totals(self) -> Iterator[tuple[str, _Total]]:
        """Yield each name with its sums."""
        yield from sorted(self._by_name.items())
        yield OVERFLOW, self._overflow


def _sum(one: _Total, other: _Total) -> _Total:
    return _Total(one.entries + other.entries, one.seconds + other.seconds)


class SlowLogCollector:
    """Request the length of the slow log and its newest entry, and more entries only if some are new."""

    name: ClassVar[str] = "slowlog"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (LENGTH, LAST_ID, LAST_DURATION, COMMANDS, SECONDS, BY_CLIENT)
    options: ClassVar[type[SlowLogOptions]] = SlowLogOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("slowlog|len", "slowlog|get")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._position = SlowLogPosition()
        self._commands = NamedTotals(USUAL)
        self._clients = NamedTotals(("",))
        #: The samples of all sums. They are built again only when there are new entries.
        self._samples: tuple[Sample, ...] = ()
        #: What the last run returned.
        self._last = KeptItems()

    def for_target(self) -> Self:
        """Return a copy. It remembers the newest entry that it read, and what it counted."""
        return type(self)(self._clock)

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: all other servers have a slow log."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return the first two commands. More entries are read if some are new."""
        return [("SLOWLOG", "LEN"), ("SLOWLOG", "GET", 1)]

    async def collect(self, server: Server, commands: Commands, options: SlowLogOptions) -> Iterable[CollectorItem]:
        """Read the replies. Nothing is counted if one of them fails, so the next poll counts it."""
        length = as_integer(await commands.execute("SLOWLOG", "LEN"))
        newest = as_list(await commands.execute("SLOWLOG", "GET", 1))
        items: list[CollectorItem] = [LENGTH.sample_or_unreadable(length), *_newest_samples(newest)]
        if newest is not None and (not newest or parse_entry(newest[0]) is not None):
            items += await self._count(server, commands, options, newest, length or 0)
        elif not self._samples:
            self._add(_NewEntries(), options)
        if self._last != (found := (*items, *self._samples)):
            self._last = KeptItems(found)
        return self._last

    async def _count(
        self, server: Server, commands: Commands, options: SlowLogOptions, newest: list[Any], length: int
    ) -> list[CollectorItem]:
        """Read the new entries and count them. Return what is to be logged or counted about them."""
        entry = parse_entry(newest[0]) if newest else None
        expected = self._position.expected(server, entry, length)
        replies = newest[:1]
        if expected > 1:
            wanted = min(expected + _MARGIN, options.max_entries)
            replies = (as_list(await commands.execute("SLOWLOG", "GET", wanted)) or [])[:wanted]
        parsed = [parse_entry(one) async for one in sliced(replies)] if expected else []
        new = self._position.advance((one for one in parsed if one is not None), expected)
        items: list[CollectorItem] = [UnreadableField(COMMANDS.location) for one in parsed if one is None]
        items += [UnreadableField(SECONDS.location) for one in new.entries if one.seconds is None]
        if self._samples and not new.entries and not new.unread:
            return items
        overflowed = self._add(new, options)
        if overflowed or new.unread:
            items.append(OverflowCount(COMMANDS.location, overflowed + new.unread))
        if new.entries or new.unread:
            slow = tuple(
                SlowCommand(one.command, one.seconds, one.client, one.id, age(server, one.at)) for one in new.entries
            )
            items.append(SlowCommands(slow, new.unread))
        return items

    def _add(self, new: _NewEntries, options: SlowLogOptions) -> int:
        """Count entries by command and by client. Return the number of names without their own series."""
        by_command: dict[str, _Total] = {}
        by_client: dict[str, _Total] = {}
        for entry in new.entries:
            one = _Total(1.0, entry.seconds or 0.0)
            by_command[entry.command] = _sum(by_command.get(entry.command, _Total()), one)
            by_client[entry.client] = _sum(by_client.get(entry.client, _Total()), one)
        if new.unread:
            for totals in (by_command, by_client):
                totals[OVERFLOW] = _sum(totals.get(OVERFLOW, _Total()), _Total(float(new.unread)))
        now = self._clock()
        overflowed = self._commands.add(by_command, options.max_commands, now)
        overflowed += self._clients.add(by_client, options.max_clients, now)
        self._samples = tuple(self._total_samples())
        return overflowed

    def _total_samples(self) -> Iterator[Sample]:
        for command, total in self._commands.totals():
            yield COMMANDS.sample(total.entries, command)
            yield SECONDS.sample(total.seconds, command)
        for client, total in self._clients.totals():
            yield BY_CLIENT.sample(total.entries, client)


def _newest_samples(entries: list[Any] | None) -> Iterator[Sample | UnreadableField]:
    """Read ``[[id, unix time, microseconds, [word, …], client, name]]``."""
    if entries == []:
        yield LAST_ID.sample(0.0)
        yield LAST_DURATION.sample(0.0)
        return
    entry = (as_list(entries[0]) if entries else None) or []
    entry_id, _, duration = [*map(as_integer, entry[:3]), None, None, None][:3]
    yield LAST_ID.sample_or_unreadable(entry_id)
    yield LAST_DURATION.sample_or_unreadable(None if duration is None else duration / 1e6)


COLLECTOR = SlowLogCollector()
