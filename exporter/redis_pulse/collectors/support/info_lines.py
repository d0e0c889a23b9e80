"""Reads INFO for the collectors that need a part of it: sent once a poll, parsed once.

Servers differ in how they return all sections. Redis 7 and Valkey support ``INFO everything``. Dragonfly and others
support ``INFO all``, and old servers only ``INFO``. For an unknown section, a server returns an error, nothing, or the
heading alone. ``read_info`` therefore tries one form after another, in the order of the server's profile. It remembers
the first one that returns fields. It searches again when another server is behind the target, or when the form returns
no fields any more.

Some lines of INFO have a prefix and a name that users or modules choose: ``cmdstat_get:calls=1,usec=7``.
``named_lines`` returns them by name. ``InfoLineCollector`` is the base class of their collectors.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import is_not
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter
from redis_pulse.collectors.support.series_limit import MAX_SAMPLES
from redis_pulse.collectors.support.written import are_clean, in_slices, number_text
from redis_pulse.commands import Args, Commands
from redis_pulse.errors import EmptyReplyError, TargetError, UnknownCommandError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, WrittenLines
from redis_pulse.parse.info import Info, InfoParser, has_fields, parse_pairs
from redis_pulse.parse.reply import parse_uint
from redis_pulse.server_info import INFO_FORMS, InfoQuery, ParsedInfo, Server, Words, identify, repair
from redis_pulse.slices import ITEMS_PER_SLICE, sliced, text_slices

#: Name → its pairs, as text.
NamedLines = dict[str, dict[str, str]]
#: Item of a line → the metric of its value. The only label of the metric is the name.
LineMetrics = Mapping[str, MetricSpec]

#: The sections to request one by one if a server returns no fields for the forms above.
SECTIONS = (
    *("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "commandstats"),
    *("errorstats", "latencystats", "cluster", "keyspace"),
)
#: Some servers return these errors where Redis returns nothing. Any other error would also follow the next form.
_TRY_NEXT = (TargetError, UnknownCommandError)
#: Lines of one section that are kept for the other collectors of a poll. A hostile server would make them large.
_MAX_KEPT_LINES = 500
#: Names of more characters get no series of their own.
MAX_NAME_LENGTH = 100


async def read_info(server: Server, commands: Commands) -> Info:
    """Return the sections of INFO. Raises TargetError; EmptyReplyError if the server returns no fields at all."""
    known = server.info_query
    if known is not None:
        try:
            if has_fields(info := (await _query(server, commands, known.arguments)).sections):
                if known.is_same_server(info):
                    return info
                known = None  # another server: it may return more fields for another form
        except TargetError as error:
            if not _may_try_next(error):
                raise
    server.info_query = None
    return await _find_query(server, commands)


def info_requests(server: Server) -> list[Args]:
    """Return the commands with which ``read_info`` begins, or none if the form of INFO is not known yet."""
    return [] if server.info_query is None else [("INFO", *words) for words in server.info_query.arguments]


async def _find_query(server: Server, commands: Commands) -> Info:
    """Return INFO in the best form that has fields, and remember the form in ``server``. Raises TargetError.

    The forms come from the profile of the newest known server. A reply may be from another kind of server, which has
    better forms. Then those are tried too.
    """
    failures: list[TargetError] = []
    found: tuple[InfoQuery, ParsedInfo] | None = None
    forms, tried = _forms(server.profile.info_forms), set[Words]()
    while forms:
        words = forms.pop(0)
        tried.add(words)
        try:
            parsed = await _query(server, commands, (words,))
        except TargetError as error:
            if not _may_try_next(error):
                raise
            failures.append(error)
        else:
            if has_fields(info := parsed.sections):
                found = InfoQuery.from_info((words,), info), parsed
                forms = [form for form in _better_forms(info, words) if form not in tried]
    if found is not None:
        server.info_query, server.newest_info = found
        return server.newest_info.sections
    if not failures or not isinstance(failures[-1], UnknownCommandError):
        sections = tuple([(name,) for name in SECTIONS if await _has_section(server, commands, name, failures)])
        if sections:
            info = (await _query(server, commands, sections)).sections
            server.info_query = InfoQuery.from_info(sections, info)
            return info
    if failures:
        raise failures[0]
    raise EmptyReplyError("the reply to INFO holds no field")


def _forms(preferred: Iterable[Words]) -> list[Words]:
    return list(dict.fromkeys((*preferred, *INFO_FORMS)))


def _better_forms(info: Info, words: Words) -> list[Words]:
    """Return the forms that the server of this reply supports better than the one with which it was received."""
    forms = identify(info.get("Server") or info.get("", {})).profile.info_forms
    return list(forms[: forms.index(words)] if words in forms else forms)


async def _has_section(server: Server, commands: Commands, section: str, failures: list[TargetError]) -> bool:
    try:
        return has_fields((await _query(server, commands, ((section,),))).sections)
    except TargetError as error:
        if not _may_try_next(error):
            raise
        failures.append(error)
    return False


async def _query(server: Server, commands: Commands, arguments: Iterable[tuple[str, ...]]) -> ParsedInfo:
    """Send INFO once for each of the arguments. Replies that were already parsed are not parsed again."""
    replies = [await commands.execute("INFO", *words) for words in arguments]
    newest = server.newest_info
    if newest is None or len(newest.replies) != len(replies) or any(map(is_not, newest.replies, replies)):
        newest = server.newest_info = await _parse(replies)
    return newest


async def _parse(replies: list[Any]) -> ParsedInfo:
    """Read the replies in slices. Raises EmptyReplyError for a reply that is not a bulk string."""
    parser = InfoParser()
    for reply in replies:
        text = reply.encode() if isinstance(reply, str) else reply
        if text is not None and type(text) is not bytes:
            raise EmptyReplyError("the reply to INFO is not a bulk string")
        async for part in text_slices(text or b""):
            parser.feed(part)
    return ParsedInfo(replies, repair(parser.result()), parser.modules, parser.dropped, {})


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

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return INFO."""
        return info_requests(server)


async def named_lines(info: Info, section: str, prefix: str, server: Server | None = None) -> NamedLines:
    """Return the lines of a section that start with the prefix, by the name after it.

    With ``server``, its newest INFO keeps them, so that the collectors of one poll parse them once.
    """
    newest = None if server is None else server.newest_info
    is_newest = newest is not None and newest.sections is info
    if newest is not None and is_newest and (known := newest.named.get(section)) is not None:
        return known
    lines: NamedLines = {}
    async for part in in_slices([*info.get(section, {}).items()], ITEMS_PER_SLICE):
        for field, text in part:
            if field.startswith(prefix):
                lines[field[len(prefix) :]] = parse_pairs(text)
    if newest is not None and is_newest and len(lines) <= _MAX_KEPT_LINES:
        newest.named[section] = lines
    return lines


def admit_names(limiter: LabelLimiter[str], lines: NamedLines, item: str, limit: int) -> frozenset[str]:
    """Return at most ``limit`` names that get series of their own.

    Names that already had series come first, then those with the largest value of ``item``.
    A name that is too long gets no series, and neither does one that is called ``overflow``.
    """
    names = [name for name in lines if len(name) <= MAX_NAME_LENGTH and name != OVERFLOW]
    if limiter.has_all(names):
        return frozenset(names)
    return limiter.admit({name: float(parse_uint(lines[name].get(item, "")) or 0) for name in names}, limit)


async def write_lines(
    lines: NamedLines, metrics: LineMetrics, admitted: frozenset[str], target: str
) -> list[CollectorItem] | None:
    """Write what ``line_samples`` yields. Return None if a name or a value is not usual."""
    first = next(iter(metrics))
    if len(admitted) < len(lines) or not are_clean(lines) or len(lines) > MAX_SAMPLES:
        return None
    texts: dict[MetricSpec, list[str]] = {}
    async for part in in_slices([*lines.items()]):
        for name, pairs in part:
            if first not in pairs:
                return None
            for item, text in pairs.items():
                if (metric := metrics.get(item)) is None:
                    continue
                try:
                    value = number_text(metric, text)
                except ValueError:
                    return None
                if value is not None:
                    series = f'{metric.full_name}{{{target},{metric.labels[0]}="{name}"}} {value}\n'
                    texts.setdefault(metric, []).append(series)
    return [WrittenLines({metric: "".join(text) for metric, text in texts.items()})]


async def line_samples(lines: NamedLines, metrics: LineMetrics, admitted: frozenset[str]) -> list[CollectorItem]:
    """Return the samples of each admitted name, and the sums of all other names as ``overflow``.

    A gauge is a maximum, so its ``overflow`` is the maximum of the other names. Each line must have the first item of
    ``metrics``. The other items are missing from older servers.
    """
    first = next(iter(metrics.values()))
    overflow: dict[MetricSpec, float] = {}
    items: list[CollectorItem] = []
    async for name, pairs in sliced(lines.items()):
        if first.field.rpartition(":")[2] not in pairs:
            items.append(UnreadableField(first.location))
        for item, metric in metrics.items():
            if item not in pairs or (result := metric.parse(pairs[item], name)) is None:
                continue
            if name in admitted or isinstance(result, UnreadableField):
                items.append(result)
            else:
                before = overflow.get(metric, 0.0)
                overflow[metric] = max(before, result.value) if metric.kind == "gauge" else before + result.value
    for metric, value in overflow.items():
        items.append(metric.sample(value, OVERFLOW))
    if more := sum(1 for name in lines if name not in admitted):
        items.append(OverflowCount(first.location, more))
    return items
