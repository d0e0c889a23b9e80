"""The INFO reply, for all collectors that read a part of it: sent once a poll, parsed once.

Servers differ in how they are asked for every section. ``INFO everything`` is of Redis 7 and Valkey, Dragonfly and
others know ``INFO all``, old servers know ``INFO`` alone. To a section that they do not know some answer with an error,
some with nothing, some with its heading alone. So one way after the other is tried. The first one that tells something
is kept until the server behind the target is another one, or has nothing more to tell in that way.

INFO lines whose field is a prefix and a name that somebody else chose: ``cmdstat_get:calls=1,usec=7``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter
from redis_pulse.commands import Commands
from redis_pulse.errors import EmptyReplyError, TargetError, UnknownCommandError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField
from redis_pulse.parse.info import Info, has_fields, parse_info, parse_pairs, translated
from redis_pulse.parse.reply import as_text
from redis_pulse.server_info import InfoQuery, Server

#: The words after INFO, the fullest reply first.
_INFO_ARGUMENTS: tuple[tuple[str, ...], ...] = (("everything",), ("all",), ())
#: What is asked one by one of a server that has nothing to say to the others.
SECTIONS = (
    *("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "commandstats"),
    *("errorstats", "latencystats", "cluster", "keyspace"),
)
#: A server answers these errors where Redis answers nothing; any other error is one that the next way would meet too.
_TRY_NEXT = (TargetError, UnknownCommandError)


async def read_info(server: Server, commands: Commands) -> Info:
    """Return the sections of INFO. Raises TargetError: EmptyReplyError for a server that tells nothing at all."""
    known = server.info_query
    if known is not None:
        try:
            if has_fields(info := await _ask(server, commands, known.arguments)):
                if known.is_same_server(info):
                    return info
                known = None  # it is another server: does it tell more in another way?
        except TargetError as error:
            if not _may_try_next(error):
                raise
    server.info_query = None
    return await _find_query(server, commands)


async def _find_query(server: Server, commands: Commands) -> Info:
    failures: list[TargetError] = []
    for words in _INFO_ARGUMENTS:
        try:
            info = await _ask(server, commands, (words,))
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
            info = await _ask(server, commands, sections)
            server.info_query = InfoQuery.from_info(sections, info)
            return info
    if failures:
        raise failures[0]
    raise EmptyReplyError("the reply to INFO holds no field")


async def _has_section(server: Server, commands: Commands, section: str, failures: list[TargetError]) -> bool:
    try:
        return has_fields(await _ask(server, commands, ((section,),)))
    except TargetError as error:
        if not _may_try_next(error):
            raise
        failures.append(error)
    return False


async def _ask(server: Server, commands: Commands, asked: Iterable[tuple[str, ...]]) -> Info:
    """Send INFO with each of the words; a reply that was parsed already is not parsed again."""
    replies = [await commands.execute("INFO", *words) for words in asked]
    newest = server.newest_info
    if newest is None or len(newest[0]) != len(replies) or any(map(_differ, newest[0], replies)):
        text = "\n".join([as_text(reply) or "" for reply in replies])
        newest = server.newest_info = (replies, text, translated(parse_info(text)))
    info: Info = newest[2]
    return info


def _differ(one: Any, other: Any) -> bool:
    return one is not other


def _may_try_next(error: TargetError) -> bool:
    return type(error) in _TRY_NEXT


#: Longer names get no series of their own.
MAX_LENGTH = 100
#: Name → its pairs, as text.
NamedLines = dict[str, dict[str, str]]
#: Item of a line → the row of its value, whose one label is the name.
Rows = Mapping[str, MetricSpec]


class InfoLineCollector:
    """What the collectors of such lines have in common: they read INFO, and remember who has series of its own."""

    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def __init__(self) -> None:
        self._places = LabelLimiter[str]()

    def for_target(self) -> Self:
        """Return one that remembers which names of this target have series of their own."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has such lines."""
        return server.mode != "sentinel"


def named_lines(info: Info, section: str, prefix: str) -> NamedLines:
    """Return the lines of a section by name, without the prefix; another line of the section is passed over."""
    fields = info.get(section, {})
    return {field[len(prefix) :]: parse_pairs(text) for field, text in fields.items() if field.startswith(prefix)}


def admit_names(places: LabelLimiter[str], keyed: NamedLines, item: str, most: int) -> frozenset[str]:
    """Return the names that get series of their own, ``most`` of them: who had one before, then by weight.

    ``item`` is the one to weigh by. A name as long as a novel gets none, nor does one that is called ``overflow``.
    """
    weights = {
        name: _weight(pairs.get(item, ""))
        for name, pairs in keyed.items()
        if len(name) <= MAX_LENGTH and name != OVERFLOW
    }
    return places.admit(weights, most)


def line_samples(keyed: NamedLines, rows: Rows, own: frozenset[str]) -> Iterator[CollectorItem]:
    """Read every line by its items; those without series of their own are summed up as ``overflow``.

    The first of ``rows`` must be in every line, the others came with later servers.
    """
    first = next(iter(rows.values()))
    rest: dict[MetricSpec, float] = {}
    for name, pairs in keyed.items():
        if first.field.rpartition(":")[2] not in pairs:
            yield UnreadableField(first.location)
        for item, row in rows.items():
            if item not in pairs or (read := row.parse(pairs[item], name)) is None:
                continue
            if name in own or isinstance(read, UnreadableField):
                yield read
            else:
                rest[row] = rest.get(row, 0.0) + read.value
    for row, value in rest.items():
        yield row.sample(value, OVERFLOW)
    if more := sum(1 for name in keyed if name not in own):
        yield OverflowCount(first.location, more)


def _weight(text: str) -> float:
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0.0
