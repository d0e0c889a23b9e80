"""What every collector asked a real server in its polls, and what it got: replayed anywhere.

``tests/replies/record_session.py`` records a session with each of a primary, its replica, its Sentinel and a node of a
cluster into ``tests/replies/<server>-<version>/session-<who>.json``.
"""

import asyncio
import copy
import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis_pulse import errors
from redis_pulse.collectors import Collector
from redis_pulse.collectors.rdb_file import file_size
from redis_pulse.commands import Commands
from redis_pulse.errors import TargetError, UnknownCommandError
from redis_pulse.metric import CollectorItem
from redis_pulse.polling.poll_commands import CachingCommands, RefusedCommands
from redis_pulse.server_info import Server
from tests import collector_options
from tests.fakes import ManualClock
from tests.recordings import REPLIES

Args = tuple[str | int | bytes, ...]
#: A command in a database; ``None`` is the target's own.
Asked = tuple[int | None, Args]
#: What became of it, each time that it was asked.
Replies = Mapping[Asked, Sequence[Any]]

ROLES = ("primary", "replica", "sentinel", "cluster")
#: Unix time of every replay.
NOW = 1795380000.0
#: How often a recorded target was polled: the second time, what is remembered between runs shows.
POLLS = 2


class ReplayCommands:
    """The port ``Commands`` with a recorded session; a command that was not asked then is unknown to the server.

    With ``alike`` it gets the reply to the most similar one that was asked, if there is any: what a collector asks
    after a broken reply was not recorded. ``bend`` may change a reply on its way; ``raised`` are the errors handed out.
    """

    def __init__(
        self, replies: Replies, bend: Callable[[Any], Any] = lambda reply: reply, *, alike: bool = False
    ) -> None:
        self._replies = replies
        self._alike = alike
        self._bend = bend
        self._times: dict[Asked, int] = {}
        self.asked: list[Args] = []
        self.raised: list[TargetError] = []

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Return the recorded reply, or raise the recorded error."""
        reply = self._next(args, db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Return the recorded replies, errors as values."""
        return [self._next(args, db) for args in commands]

    def _next(self, args: Args, db: int | None) -> Any:
        self.asked.append(args)
        replies = self._replies.get((db, args)) or self.closest(args)
        times = self._times[db, args] = self._times.get((db, args), -1) + 1
        reply = self._bend(copy.deepcopy(replies[min(times, len(replies) - 1)]))
        if isinstance(reply, TargetError):
            self.raised.append(reply)
        return reply

    def closest(self, args: Args) -> Sequence[Any]:
        for words in (2, 1) if self._alike else ():
            for (_, asked), replies in self._replies.items():
                if asked[:words] == args[:words]:
                    return replies
        return [UnknownCommandError(f"unknown command '{args[0]!s}'")]


class Run(NamedTuple):
    """What became of one collector in one poll; ``found`` is None where it does not apply."""

    collector: Collector
    found: list[CollectorItem] | None
    error: TargetError | None


async def poll(
    server: Server, commands: Commands, parts: Iterable[tuple[Collector, Any]], refusals: RefusedCommands
) -> list[Run]:
    """Run collectors as the sampler does, one after the other; what is no TargetError passes."""
    once: dict[Any, Any] = {}
    runs = []
    for collector, options in parts:
        found, error = None, None
        if collector.applies(server):
            asking = CachingCommands(commands, once, refusals, server.identity, ManualClock())
            try:
                found = list(await collector.collect(server, asking, options))
            except TargetError as raised:
                error = raised
        runs.append(Run(collector, found, error))
    return runs


async def replay(replies: Replies, who: str) -> list[Run]:
    """Return what every collector finds in the last poll of a recorded session."""
    server, port, refusals = Server(local=True), ReplayCommands(replies), RefusedCommands()
    parts = [(freeze(collector), options) for collector, options in collector_options.everything(who)]
    runs: list[Run] = []
    for _ in range(POLLS):
        runs = await poll(server, port, parts, refusals)
    return runs


class FrozenCollector:
    """The times of a replay: the wall clock stands, the monotonic one moves 1 ms at each look, no pause pauses."""

    def __init__(self) -> None:
        self._now = 0.0

    def wall(self) -> float:
        return NOW

    def monotonic(self) -> float:
        self._now += 0.001
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)


def freeze(collector: Collector) -> Collector:
    """Return the collector of one target that sees no clock, sleeps not, and finds a snapshot of 100 bytes on disk.

    What a collector needs of the world is a parameter of its class, with the world itself as default.
    """
    times = FrozenCollector()
    world = {time.time: times.wall, time.monotonic: times.monotonic, asyncio.sleep: times.sleep, file_size: _file}
    wants = inspect.signature(type(collector)).parameters.values()
    instead = {one.name: world[one.default] for one in wants if one.default in list(world)}
    return type(collector)(**instead).for_target()


def _file(_path: Path) -> int:
    return 100


def recorded(server: str) -> dict[str, Replies]:
    """Return the sessions with a server: who → replies."""
    return {who: load(server, who) for who in ROLES if (REPLIES / server / f"session-{who}.json").exists()}


def load(server: str, who: str) -> Replies:
    """Read one recorded session."""
    text = (REPLIES / server / f"session-{who}.json").read_text(encoding="utf-8")
    return {
        (entry.get("db"), tuple(entry["asked"])): [from_json(reply) for reply in entry["replies"]]
        for entry in json.loads(text)
    }


def dump(replies: Replies) -> str:
    """Write one recorded session, a line a reply (a line of its own each line of a text)."""
    entries = []
    for (db, args), answers in replies.items():
        entry: dict[str, Any] = {"asked": list(args)} | ({} if db is None else {"db": db})
        entries.append(entry | {"replies": [to_json(reply) for reply in answers]})
    return json.dumps(entries, indent=0, ensure_ascii=False) + "\n"


def to_json(reply: Any) -> Any:
    """Make a reply fit for JSON."""
    if isinstance(reply, list):
        return [to_json(item) for item in reply]
    if isinstance(reply, TargetError):
        return {"error": type(reply).__name__, "says": str(reply)}
    if not isinstance(reply, bytes):
        return reply
    try:
        text = reply.decode()
    except UnicodeDecodeError:
        return {"hex": reply.hex()}
    return {"lines": text.splitlines(keepends=True)} if "\n" in text else text


def from_json(value: Any) -> Any:
    """Make the reply of its JSON."""
    match value:
        case list():
            return [from_json(item) for item in value]
        case str():
            return value.encode()
        case {"error": str(name), "says": str(text)}:
            return getattr(errors, name)(text)
        case {"hex": str(text)}:
            return bytes.fromhex(text)
        case {"lines": list(lines)}:
            return "".join(lines).encode()
    return value
