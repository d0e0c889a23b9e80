"""Lines that are written straight from the replies equal those of the samples, byte by byte, for all recorded replies.

``compare`` is also what ``make fuzz`` calls with changed replies.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from redis_pulse import collectors
from redis_pulse.collectors import Writing
from redis_pulse.collectors.support.series_limit import limited_items
from redis_pulse.errors import TargetError
from redis_pulse.exposition import render
from redis_pulse.metric import MetricSpec, Sample, WrittenLines
from redis_pulse.polling.poll_commands import CachingCommands
from redis_pulse.server_info import Server
from redis_pulse.text_format import render_label
from tests import collector_options, replay
from tests.fakes import ManualClock
from tests.recordings import REPLIES
from tests.replay import Replies

WRITING = [name for name, collector in collectors.load().items() if isinstance(collector, Writing)]
SESSIONS = sorted(path.relative_to(REPLIES) for path in REPLIES.glob("*/session-*.json"))
INFOS = sorted(path.relative_to(REPLIES) for path in REPLIES.glob("*/*.txt"))
#: The lines of each metric, and the other items.
Result = tuple[Mapping[MetricSpec, bytes], list[str]]


async def result(items: Any) -> Result:
    found = await limited_items(items)
    samples = [item for item in found if isinstance(item, Sample | WrittenLines)]
    return render("t", samples), sorted(repr(item) for item in found if not isinstance(item, Sample | WrittenLines))


async def compare(
    name: str, replies: Replies, options: Any, mutate: Callable[[], Callable[[Any], Any]] = lambda: lambda reply: reply
) -> int:
    """Poll a server twice in both ways. Return how often the lines were written.

    ``mutate`` returns a new function that changes the replies in the same way.
    """
    written = 0
    ways = []
    for _ in range(2):
        collector, server = replay.freeze(collectors.load()[name]), Server(local=True)
        info = replay.freeze(collectors.load()["info"])
        if name != "info":
            known = replay.ReplayCommands(replies)
            try:
                await info.collect(server, known, info.options())
            except TargetError:
                return 0
            server.end_poll()
        ways.append((collector, server, replay.ReplayCommands(replies, mutate(), closest=True)))
    for _ in range(2):
        results: list[Result | str] = []
        for is_quick, (collector, server, sent) in enumerate(ways):
            commands = CachingCommands(sent, {}, {}, server, ManualClock())
            try:
                items = None
                if is_quick and not server.has_many_nodes:
                    items = await collector.write(server, commands, options, render_label("target", "t"))  # type: ignore[attr-defined]
                    written += items is not None
                if items is None:
                    items = await collector.collect(server, commands, options)
                results.append(await result(items))
            except TargetError as error:
                results.append(repr(error))
            server.end_poll()
        assert results[0] == results[1], name
    return written


@pytest.mark.parametrize("session", SESSIONS, ids=str)
async def test_written_lines_equal_those_of_samples(session: Path) -> None:
    replies = replay.load(session.parent.name, session.stem.removeprefix("session-"))
    for name in WRITING:
        collector = collectors.load()[name]
        if session.stem == "session-sentinel" and name != "info":
            continue
        has_histograms = isinstance(replies.get((None, ("LATENCY", "HISTOGRAM")), [None])[0], list)
        assert await compare(name, replies, collector.options()) or (name == "latency_histogram" and not has_histograms)
        await compare(name, replies, collector_options.options(collector))


@pytest.mark.parametrize("path", INFOS, ids=str)
async def test_written_lines_of_other_servers_equal_those_of_samples(path: Path) -> None:
    text = (REPLIES / path).read_bytes()
    replies: Replies = {(None, ("INFO", *words)): [text] for words in (("everything",), ("all",), ())}
    for name in WRITING:
        await compare(name, replies, collectors.load()[name].options())


#: What must not be written, or be written in another way than it stands.
ODD = {
    "number with zeros": (b"total_connections_received:", b"total_connections_received:000"),
    "no number": (b"connected_clients:", b"connected_clients:x"),
    "no value": (b"used_memory:", b"used_memory:N/A\r\nx:"),
    "underflow": (b"used_memory_dataset:", b"used_memory_dataset:18446744073709525176\r\nx:"),
    "negative counter": (b"total_commands_processed:", b"total_commands_processed:-5\r\nx:"),
    "counter of -1": (b"total_commands_processed:", b"total_commands_processed:-1\r\nx:"),
    "large number": (b"total_net_input_bytes:", b"total_net_input_bytes:9999999999999999\r\nx:"),
    "name with a quote": (b"cmdstat_", b'cmdstat_a"b\\c'),
    "name with a control character": (b"cmdstat_", b"cmdstat_\x01"),
    "long name": (b"cmdstat_", b"cmdstat_" + b"x" * 120),
    "name called overflow": (b"cmdstat_info:", b"cmdstat_overflow:"),
    "line without calls": (b"cmdstat_info:calls=", b"cmdstat_info:c="),
    "unreadable time": (b",usec=", b",usec=x"),
    "large sum": (b",usec=", b",usec=1234567890123456"),
    "percentage above 100": (b":p50=", b":p500="),
    "percentile twice": (b":p50=", b":p50=1.0,p050="),
    "unreadable percentile": (b"p99=", b"p99=-"),
    "field twice": (b"used_memory:", b"used_memory:7\r\nused_memory:"),
}


@pytest.mark.parametrize(("old", "new"), ODD.values(), ids=ODD)
async def test_unusual_values_are_the_same_in_both_ways(old: bytes, new: bytes) -> None:
    replies = dict(replay.load("valkey-9.1.2", "primary"))
    request = (None, ("INFO", "everything"))
    changed = replies[request][0].replace(old, new)
    assert changed != replies[request][0]
    replies[request] = [changed]
    for name in WRITING:
        await compare(name, replies, collectors.load()[name].options())


HISTOGRAMS = {
    "count falls": [b"get", [b"calls", 5, b"histogram_usec", [1, 3, 2, 2]]],
    "edge falls": [b"get", [b"calls", 5, b"histogram_usec", [4, 1, 2, 2]]],
    "more than calls": [b"get", [b"calls", 1, b"histogram_usec", [1, 3]]],
    "no number": [b"get", [b"calls", None, b"histogram_usec", [1, 3]]],
    "text in a list": [b"get", [b"calls", 5, b"histogram_usec", [1, b"3"]]],
    "odd list": [b"get", [b"calls", 5, b"histogram_usec", [1]]],
    "no edge": [b"get", [b"calls", 5, b"histogram_usec", []], b"set", [b"calls", 0, b"histogram_usec", []]],
    "other order": [b"get", [b"histogram_usec", [1, 3], b"calls", 5]],
    "name twice": [b"get", [b"calls", 5, b"histogram_usec", [1, 3]]] * 2,
    "no name": [5, [b"calls", 5, b"histogram_usec", [1, 3]]],
    "odd reply": [b"get"],
    "edges of Go": [b"get", [b"calls", 5, b"histogram_usec", [541065, 3, 1082130, 4, 2000000, 5]]],
    "large": [b"get", [b"calls", 10**16, b"histogram_usec", [1, 10**16]]],
    "too large": [b"get", [b"calls", 10**19, b"histogram_usec", [1, 10**19]]],
    "many": [part for n in range(60) for part in (b"c%d" % n, [b"calls", n, b"histogram_usec", [n + 1, n]])],
    "overflow": [
        *(part for n in range(60) for part in (b"c%d" % n, [b"calls", n, b"histogram_usec", [2**n, n]])),
        *(b"overflow", [b"calls", 5, b"histogram_usec", [1, 3]]),
    ],
}


@pytest.mark.parametrize("reply", HISTOGRAMS.values(), ids=HISTOGRAMS)
async def test_unusual_histograms_are_the_same_in_both_ways(reply: list[Any]) -> None:
    replies = dict(replay.load("valkey-9.1.2", "primary"))
    replies[None, ("LATENCY", "HISTOGRAM")] = [reply]
    await compare("latency_histogram", replies, collectors.load()["latency_histogram"].options())
