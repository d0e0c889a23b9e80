"""Reads INFO for the collectors that need a part of it: sent once a poll, parsed once.

Servers differ in how they return all sections. Redis 7 and Valkey support ``INFO everything``. Dragonfly and others
support ``INFO all``, and old servers only ``INFO``. For an unknown section, a server returns an error, nothing, or the
heading alone. ``read_info`` therefore tries one form after another and remembers the first one that returns fields.
It searches again when another server is behind the target, or when the form returns no fields any more.

Some lines of INFO have a prefix and a name that users or modules choose: ``cmdstat_get:calls=1,usec=7``.
``named_lines`` returns them by name. ``InfoLineCollector`` is the base class of their collectors.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import is_not
from typing import ClassVar, Self

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter
from redis_pulse.commands import Commands
from redis_pulse.errors import EmptyReplyError, TargetError, UnknownCommandError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField
from redis_pulse.parse.info import Info, has_fields, normalize, parse_info, parse_pairs
from redis_pulse.parse.reply import as_text, parse_uint
from redis_pulse.server_info import InfoQuery, Server

#: Name → its pairs, as text.
NamedLines = dict[str, dict[str, str]]
#: Item of a line → the metric of its value. The only label of the metric is the name.
LineMetrics = Mapping[str, MetricSpec]

#: The words after INFO, the most complete form first.
_INFO_ARGUMENTS: tuple[tuple[str, ...], ...] = (("everything",), ("all",), ())
#: The sections to request one by one if a server returns no fields for the forms above.
SECTIONS = (
    *("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "commandstats"),
    *("errorstats", "latencystats", "cluster", "keyspace"),
)
#: Some servers return these errors where Redis returns nothing. Any other error would also follow the next form.
_TRY_NEXT = (TargetError, UnknownCommandError)
#: Names of more characters get no series of their own.
MAX_NAME_LENGTH = 100


async def read_info(server: Server, commands: Commands) -> Info:
    """Return the sections of INFO. Raises TargetError; EmptyReplyError if the server returns no fields at all."""
    known = server.info_query
    if known is not None:
        try:
            if has_fields(info := await _query(server, commands, known.arguments)):
                if known.is_same_server(info):
                    return info
                known = None  # another server: it may return more fields for another form
        except TargetError as error:
            if not _may_try_next(error):
                raise
    server.info_query = None
    return await _find_query(server, commands)


async def _find_query(server: Server, commands: Commands) -> Info:
    """Return INFO in the first form that has fields, and remember the form in ``server``. Raises TargetError."""
    failures: list[TargetError] = []
    for words in _INFO_ARGUMENTS:
        try:
            info = await _query(server, commands, (words,))
        except TargetError as error:
            if not _may_try_next(error):
                raise
            failures.append(error)
        else:
            if has_fields(info):
                server.info_query = InfoQuery.from_info((words,), info)
                return info
    if not failures or not isinstance(failures[-1], UnknownCommandError):
        sections = tuple([(name,) for name in SECTIONS if await _has_section(server, commands, name, failures)])
        if sections:
            info = await _query(server, commands, sections)
            server.info_query = InfoQuery.from_info(sections, info)
            return info
    if failures:
        raise failures[0]
    raise EmptyReplyError("the reply to INFO holds no field")


async def _has_section(server: Server, commands: Commands, section: str, failures: list[TargetError]) -> bool:
    try:
        return has_fields(await _query(server, commands, ((section,),)))
    except TargetError as error:
        if not _may_try_next(error):
            raise
        failures.append(error)
    return False


async def _query(server: Server, commands: Commands, arguments: Iterable[tuple[str, ...]]) -> Info:
    """Send INFO once for each of the arguments. Replies that were already parsed are not parsed again."""
    replies = [await commands.execute("INFO", *words) for words in arguments]
    newest = server.newest_info
    if newest is None or len(newest[0]) != len(replies) or any(map(is_not, newest[0], replies)):
        text = "\n".join([as_text(reply) or "" for reply in replies])
        newest = server.newest_info = (replies, text, normalize(parse_info(text)))
    info: Info = newest[2]
    return info


def _may_try_next(error: TargetError) -> bool:
    return type(error) in _TRY_NEXT


class InfoLineCollector:
    """Base class of collectors that read named lines of INFO. It remembers which names have series of their own."""

    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def __init__(self) -> None:
        self._limiter = LabelLimiter[str]()

    def for_target(self) -> Self:
        """Return a new collector, which remembers the names of one target."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which does not have such lines."""
        return server.mode != "sentinel"


def named_lines(info: Info, section: str, prefix: str) -> NamedLines:
    """Return the lines of a section that start with the prefix, by the name after it."""
    fields = info.get(section, {})
    return {field[len(prefix) :]: parse_pairs(text) for field, text in fields.items() if field.startswith(prefix)}


def admit_names(limiter: LabelLimiter[str], lines: NamedLines, item: str, limit: int) -> frozenset[str]:
    """Return at most ``limit`` names that get series of their own.

    Names that already had series come first, then those with the largest value of ``item``.
    A name that is too long gets no series, and neither does one that is called ``overflow``.
    """
    weights = {
        name: float(parse_uint(pairs.get(item, "")) or 0)
        for name, pairs in lines.items()
        if len(name) <= MAX_NAME_LENGTH and name != OVERFLOW
    }
    return limiter.admit(weights, limit)


def line_samples(lines: NamedLines, metrics: LineMetrics, admitted: frozenset[str]) -> Iterator[CollectorItem]:
    """Yield the samples of each admitted name, and the sums of all other names as ``overflow``.

    Each line must have the first item of ``metrics``. The other items are missing from older servers.
    """
    first = next(iter(metrics.values()))
    overflow: dict[MetricSpec, float] = {}
    for name, pairs in lines.items():
        if first.field.rpartition(":")[2] not in pairs:
            yield UnreadableField(first.location)
        for item, metric in metrics.items():
            if item not in pairs or (result := metric.parse(pairs[item], name)) is None:
                continue
            if name in admitted or isinstance(result, UnreadableField):
                yield result
            else:
                overflow[metric] = overflow.get(metric, 0.0) + result.value
    for metric, value in overflow.items():
        yield metric.sample(value, OVERFLOW)
    if more := sum(1 for name in lines if name not in admitted):
        yield OverflowCount(first.location, more)
