"""The INFO reply, for all collectors that read a part of it: sent once a poll, parsed once.

Servers differ in how they are asked for every section. ``INFO everything`` is of Redis 7 and Valkey, Dragonfly and
others know ``INFO all``, old servers know ``INFO`` alone. To a section that they do not know some answer with an error,
some with nothing, some with its heading alone. So one way after the other is tried. The first one that tells something
is kept until the server behind the target is another one, or has nothing more to tell in that way.
"""

from collections.abc import Iterable
from typing import Any

from exporter.collectors.base import Commands
from exporter.errors import EmptyReplyError, TargetError, UnknownCommandError
from exporter.parse.dialects import translated
from exporter.parse.info import Info, has_fields, parse_info
from exporter.parse.reply import as_text
from exporter.targets import InfoWay, Server

#: The words after INFO, the fullest reply first.
_WAYS: tuple[tuple[str, ...], ...] = (("everything",), ("all",), ())
#: What is asked one by one of a server that has nothing to say to the others.
SECTIONS = (
    *("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "commandstats"),
    *("errorstats", "latencystats", "cluster", "keyspace"),
)
#: A server answers these errors where Redis answers nothing; any other error is one that the next way would meet too.
_TRY_NEXT = (TargetError, UnknownCommandError)


async def read_info(server: Server, commands: Commands) -> Info:
    """Return the sections of INFO. Raises TargetError: EmptyReplyError for a server that tells nothing at all."""
    known = server.info_way
    if known is not None:
        try:
            if has_fields(info := await _ask(server, commands, known.asked)):
                if known.is_still(info):
                    return info
                known = None  # it is another server: does it tell more in another way?
        except TargetError as error:
            if not _may_try_next(error):
                raise
    server.info_way = None
    return await _find_way(server, commands)


async def _find_way(server: Server, commands: Commands) -> Info:
    failures: list[TargetError] = []
    for words in _WAYS:
        try:
            info = await _ask(server, commands, (words,))
        except TargetError as error:
            if not _may_try_next(error):
                raise
            failures.append(error)
        else:
            if has_fields(info):
                server.info_way = InfoWay.of((words,), info)
                return info
    if not failures or not isinstance(failures[-1], UnknownCommandError):
        sections = tuple([(name,) for name in SECTIONS if await _tells(server, commands, name, failures)])
        if sections:
            info = await _ask(server, commands, sections)
            server.info_way = InfoWay.of(sections, info)
            return info
    if failures:
        raise failures[0]
    raise EmptyReplyError("the reply to INFO holds no field")


async def _tells(server: Server, commands: Commands, section: str, failures: list[TargetError]) -> bool:
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
