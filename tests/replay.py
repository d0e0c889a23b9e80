"""Replays recorded sessions: the commands that each collector sent to a real server in its polls, and the replies.

``tests/replies/record_session.py`` records sessions with a primary, its replica, its Sentinel and a cluster node.
It writes them to ``tests/replies/<server>-<version>/session-<role>.json``.
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
#: A database, or None for that of the target, and a command.
Request = tuple[int | None, Args]
#: Request → its replies, one for each time that it was sent.
Replies = Mapping[Request, Sequence[Any]]

ROLES = ("primary", "replica", "sentinel", "cluster")
#: Unix time of every replay.
NOW = 1795380000.0
#: How often a recorded target was polled. The second poll shows what collectors remember between polls.
POLLS = 2


class ReplayCommands:
    """Implements ``Commands`` with a recorded session. A command that was not recorded is unknown to the server.

    With ``closest``, it gets the reply to the most similar recorded command, if there is one. This is for commands that
    collectors send after a mutated reply. ``mutate`` may change each reply. ``raised`` lists the returned errors.
    """

    def __init__(
        self, replies: Replies, mutate: Callable[[Any], Any] = lambda reply: reply, *, closest: bool = False
    ) -> None:
        self._replies = replies
        self._closest = closest
        self._mutate = mutate
        self._counts: dict[Request, int] = {}
        self.sent: list[Args] = []
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
        self.sent.append(args)
        replies = self._replies.get((db, args)) or self._closest_replies(args)
        count = self._counts[db, args] = self._counts.get((db, args), 0) + 1
        reply = self._mutate(copy.deepcopy(replies[min(count, len(replies)) - 1]))
        if isinstance(reply, TargetError):
            self.raised.append(reply)
        return reply

    def _closest_replies(self, args: Args) -> Sequence[Any]:
        for words in (2, 1) if self._closest else ():
            for (_, recorded), replies in self._replies.items():
                if recorded[:words] == args[:words]:
                    return replies
        return [UnknownCommandError(f"unknown command '{args[0]!s}'")]


class Run(NamedTuple):
    """The result of one collector in one poll; ``items`` are None if it does not apply or failed."""

    collector: Collector
    items: list[CollectorItem] | None
    error: TargetError | None


async def poll(
    server: Server, commands: Commands, parts: Iterable[tuple[Collector, Any]], refusals: RefusedCommands
) -> list[Run]:
    """Run collectors one after the other, as the poller does. Errors other than TargetError are raised."""
    cached: dict[Any, Any] = {}
    runs = []
    for collector, options in parts:
        items, error = None, None
        if collector.applies(server):
            caching = CachingCommands(commands, cached, refusals, server, ManualClock())
            try:
                items = list(await collector.collect(server, caching, options))
            except TargetError as raised:
                error = raised
        runs.append(Run(collector, items, error))
    return runs


async def replay(replies: Replies, role: str) -> list[Run]:
    """Return the results of all collectors in the last poll of a recorded session."""
    server, commands, refusals = Server(local=True), ReplayCommands(replies), RefusedCommands()
    parts = [(freeze(collector), options) for collector, options in collector_options.all_collectors(role)]
    runs: list[Run] = []
    for _ in range(POLLS):
        runs = await poll(server, commands, parts, refusals)
    return runs


class FrozenTime:
    """The clocks of a replay: wall time stands still, each reading of the monotonic clock advances it by 1 ms.

    A sleep advances the monotonic clock and returns at once.
    """

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
    """Return the collector of one target with frozen clocks, sleeps that do not wait, and a snapshot of 100 bytes.

    A collector has a constructor parameter for each function of the outside world, with the real one as default.
    """
    frozen = FrozenTime()
    fakes = {time.time: frozen.wall, time.monotonic: frozen.monotonic, asyncio.sleep: frozen.sleep, file_size: _size}
    parameters = inspect.signature(type(collector)).parameters.values()
    arguments = {one.name: fakes[one.default] for one in parameters if one.default in list(fakes)}
    return type(collector)(**arguments).for_target()


def _size(_path: Path) -> int:
    return 100


def recorded_sessions(server: str) -> dict[str, Replies]:
    """Return the sessions with a server by role."""
    return {role: load(server, role) for role in ROLES if (REPLIES / server / f"session-{role}.json").exists()}


def load(server: str, role: str) -> Replies:
    """Read one recorded session."""
    text = (REPLIES / server / f"session-{role}.json").read_text(encoding="utf-8")
    return {
        (entry.get("db"), tuple(entry["asked"])): [from_json(reply) for reply in entry["replies"]]
        for entry in json.loads(text)
    }


def dump(replies: Replies) -> str:
    """Return the JSON of a recorded session: one line per value, and one per line of text."""
    entries = []
    for (db, args), recorded in replies.items():
        entry: dict[str, Any] = {"asked": list(args)} | ({} if db is None else {"db": db})
        entries.append(entry | {"replies": [to_json(reply) for reply in recorded]})
    return json.dumps(entries, indent=0, ensure_ascii=False) + "\n"


def to_json(reply: Any) -> Any:
    """Return a reply as JSON can hold it."""
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
    """Return the reply that ``to_json`` converted."""
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
