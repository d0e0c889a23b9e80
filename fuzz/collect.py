"""Fuzz every collector with recorded sessions of real servers in which some replies are changed."""

import asyncio
from collections.abc import Callable
from typing import Any

from fuzz.inputs import Chooser
from redis_pulse import collectors
from redis_pulse.collectors.support.series_limit import limited_series
from redis_pulse.errors import TargetError
from redis_pulse.exposition import render
from redis_pulse.metric import Sample
from redis_pulse.server_info import Server
from redis_pulse.text_format import MAX_LINE_BYTES
from tests import collector_options, replay
from tests.collectors.support import test_written

_SESSIONS = (
    ("redis-7.0.15", "primary"),
    ("valkey-9.1.2", "cluster"),
    ("redis-8.2.3-modules", "primary"),
    ("redis-7.0.15", "sentinel"),
)
_loop = asyncio.new_event_loop()
_loaded: dict[tuple[str, str], tuple[replay.Replies, Server]] = {}
_frozen: dict[str, Any] = {}


def run(name: str, seed: int) -> None:
    """Let a collector read a session in which one reply in three is changed. Raises AssertionError for a bad result."""
    _loop.run_until_complete(_collect(name, seed))


async def _collect(name: str, seed: int) -> None:
    chooser = Chooser(seed)
    replies, known = await _session(chooser.one_of(_SESSIONS))
    if name not in _frozen:
        _frozen[name] = replay.freeze(collectors.load()[name])
    collector = replay.freeze(collectors.load()[name])
    server = Server(local=True)
    if name != "info":
        server.update(known.fields)

    def change(reply: Any) -> Any:
        if isinstance(reply, TargetError) or chooser.random.random() > 0.35:
            return reply
        return chooser.mutate_reply(reply)

    commands = replay.ReplayCommands(replies, change, closest=True)
    for _ in range(2):  # the second poll shows what it remembers
        try:
            items = [
                item
                async for item in limited_series(
                    await collector.collect(server, commands, collector_options.options(collector))
                )
            ]
        except TargetError:
            continue
        lines = render("t", [item for item in items if isinstance(item, Sample)])
        assert all(len(line) <= MAX_LINE_BYTES for text in lines.values() for line in text.split(b"\n"))


def compare(seed: int) -> None:
    """Let a collector read a changed session in both ways. Raises AssertionError if the lines differ."""
    _loop.run_until_complete(_compare(seed))


async def _compare(seed: int) -> None:
    chooser = Chooser(seed)
    name = chooser.one_of(test_written.WRITING)
    replies, _ = await _session(chooser.one_of(_SESSIONS[:3]))
    options = collectors.load()[name].options()

    def change() -> Callable[[Any], Any]:
        own = Chooser(seed)  # both ways get the same changes
        return lambda reply: reply if own.random.random() < 0.3 else own.mutate_reply(reply)

    await test_written.compare(name, replies, options, change)


async def _session(which: tuple[str, str]) -> tuple[replay.Replies, Server]:
    if which not in _loaded:
        replies = replay.load(*which)
        server = Server(local=True)
        info = replay.freeze(collectors.load()["info"])
        await info.collect(server, replay.ReplayCommands(replies), collector_options.options(info))
        _loaded[which] = replies, server
    return _loaded[which]


def runner(name: str) -> Callable[[int], None]:
    """Return the function that fuzzes one collector with a seed."""
    return lambda seed: run(name, seed)
