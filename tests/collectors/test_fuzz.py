"""Collectors survive any reply: none fails, the page is readable, and the good part of a reply is used.

Each collector in the folder reads recorded replies of a real server with something broken in them, and pure noise.
The rule is: a bad part loses its own sample, is counted, and affects no other part.
"""

import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from redis_pulse import collectors, errors
from redis_pulse.collectors import Collector
from redis_pulse.errors import TargetError
from redis_pulse.exposition import render
from redis_pulse.metric import (
    CollectorFault,
    CollectorItem,
    LatencySpikes,
    OverflowCount,
    Sample,
    SlowCommands,
    UnreadableField,
)
from redis_pulse.server_info import Server
from redis_pulse.text_format import family_header
from tests import collector_options, replay
from tests.recordings import REPLIES
from tools import acl

pytestmark = pytest.mark.slow

NAMES = list(collectors.load())
#: Established names with quantiles of 50 and 99, which only the text format allows.
NOT_OPENMETRICS = {"redis_latency_percentiles_usec"}
#: Broken and odd values that a server or an attacker may send in place of a number or a name.
ODD_TEXTS = (
    b"",
    b"abc",
    b"-1",
    b"-0.5",
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"0x10",
    b"1_000",
    b"99999999999999999999999999",
    b" 7 ",
    b"\xff\xfe\x80",
    "\u0663\uff19".encode(),
    b'say "hi", a=b\\',
    b"a=b=c,d",
    b"=,:,=",
    b"two\nlines\r\n# HELP x y",
    b"\x00\x1b[31m",
    b"keys",
    b"p50=,p99=nan",
    b"calls=-1,usec=x",
    b"overflow",
)
ODD_ITEMS: st.SearchStrategy[Any] = st.sampled_from(ODD_TEXTS) | st.sampled_from(
    [None, -1, 0, 2**63, -(2**70), True, math.nan, math.inf, 0.5, "text", [], [[]], [None, [b"x"]], {}, ValueError("?")]
)
ERRORS = st.sampled_from(
    [errors.UnknownCommandError, errors.PermissionDeniedError, errors.KeyDeniedError, errors.LoadingError, TargetError]
).map(lambda kind: kind("made up"))
LOST = st.sampled_from([errors.OperationTimeoutError, errors.ConnectionResetByTargetError]).map(
    lambda kind: kind("gone")
)
NOISE = ERRORS | st.recursive(
    ODD_ITEMS | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=20,
)

thorough = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


#: Metrics that are 1 if a collector rightly skipped all others: the list of clients could have any length.
SKIPPED = {"redis_clients_list_skipped"}
#: Collectors that need all their values to calculate anything.
ALL_OR_NOTHING = {"rdb_file"}
#: The reply of a Tile38 server to SERVER EXT.
TILE38: replay.Replies = {
    (None, ("SERVER", "EXT")): [
        [
            b"go_threads",
            b"9",
            b"heap_alloc_bytes",
            b"5308417",
            b"tile38_num_points",
            b"1900",
            b"tile38_read_only",
            b"false",
        ]
    ]
}
#: As the documentation of Redis 8.6 shows it.
HOTKEYS: replay.Replies = {
    (None, ("HOTKEYS", "GET")): [
        [
            *(b"tracking-active", 1, b"sample-ratio", 1, b"selected-slots", []),
            *(b"all-commands-all-slots-us", 220, b"net-bytes-all-commands-all-slots", 200),
            *(b"collection-start-time-unix-ms", 1769420604522, b"collection-duration-ms", 6408),
            *(b"total-cpu-time-user-ms", 3, b"total-cpu-time-sys-ms", 11),
            *(b"by-cpu-time-us", [b"x", 104, b"y:1", 98, b"z", 18], b"by-net-bytes", [b"x", 100, b"z", 50]),
        ]
    ]
}
#: Replies, and fields of INFO, of servers without a recording.
MADE_UP = {"tile38": (TILE38, {"tile38_version": "1.33.0"}), "hotkeys": (HOTKEYS, {"redis_version": "8.6.0"})}


class Session(NamedTuple):
    """A recorded session in which a collector has many results."""

    name: str
    replies: replay.Replies
    server: Server
    sent: list[replay.Args]
    #: The results without any mutation.
    items: list[CollectorItem]


_sessions: dict[str, Session] = {}


async def best_session(name: str) -> Session:
    """Return the session with the most results of a collector. Among equal ones, the newest server wins."""
    if name in _sessions:
        return _sessions[name]
    best: Session | None = None
    info, collector = collectors.load()["info"], collectors.load()[name]
    if name in MADE_UP:
        replies, fields = MADE_UP[name]
        commands = replay.ReplayCommands(replies)
        server = Server(fields=fields)
        items = list(await collector.collect(server, commands, collector_options.options(collector)))
        best = Session("made up", replies, server, commands.sent, items)
    for path in sorted(path.relative_to(REPLIES) for path in REPLIES.glob("*/session-*.json")):
        role = path.stem.removeprefix("session-")
        replies = replay.load(path.parts[0], role)
        server, commands = Server(local=True), replay.ReplayCommands(replies)
        parts = [(replay.freeze(one), collector_options.options(one, role)) for one in (info, collector)]
        run = (await replay.poll(server, commands, parts, {}))[-1]
        if run.items and (best is None or len(run.items) >= len(best.items)):
            best = Session(path.as_posix(), replies, server, commands.sent, run.items)
    assert best is not None, f"{name} has no results in any session of tests/replies: record one with results"
    _sessions[name] = best
    return best


async def collect(name: str, commands: replay.ReplayCommands) -> list[CollectorItem]:
    """Run a collector on broken replies, and check what must be true of all results."""
    collector = replay.freeze(collectors.load()[name])
    server = Server(local=True)
    if name != "info":
        server.update((await best_session(name)).server.fields)
    try:
        items = list(await collector.collect(server, commands, collector_options.options(collector)))
    except TargetError as error:
        if not isinstance(error, errors.EmptyReplyError) and not any(
            one in (error, error.__cause__) for one in commands.raised
        ):
            raise AssertionError(f"{error!r} is not an error of the server") from error
        items = []
    for args in commands.sent if collector.commands else ():
        assert acl.declared_command(args, collector.commands), f"{args[:2]} is not among the declared commands"
    assert_sound(collector, items)
    return items


def assert_sound(collector: Collector, items: list[CollectorItem]) -> None:
    """Check that all results can be published: declared metrics, finite numbers, and a page that can be read."""
    metrics = set(collector.metrics)
    for item in items:
        assert isinstance(
            item, Sample | UnreadableField | OverflowCount | CollectorFault | SlowCommands | LatencySpikes
        ), f"not a collector item: {item!r}"
        if isinstance(item, Sample):
            assert item.metric in metrics, f"{item.metric.full_name} is not declared"
            assert type(item.value) in (int, float), f"{item.metric.full_name}: {item.value!r}"
            assert math.isfinite(item.value), f"{item.metric.full_name}: {item.value!r}"
            assert len(item.labels) == len(item.metric.labels)
            assert all(type(label) is str for label in item.labels), f"{item.metric.full_name}: {item.labels!r}"
    lines = render('odd "name"', (item for item in items if isinstance(item, Sample)))
    for openmetrics, read in ((False, read_text), (True, read_openmetrics)):
        page = b"".join(
            family_header(metric.full_name, metric.kind, metric.help, openmetrics=openmetrics) + series
            for metric, series in lines.items()
            if not (openmetrics and metric.full_name in NOT_OPENMETRICS)
        ) + (b"# EOF\n" if openmetrics else b"")
        seen: set[Any] = set()
        for family in read(page.decode()):
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in seen, f"duplicate series: {series}"
                seen.add(series)


def part_at(reply: Any, path: tuple[int, ...]) -> Any:
    """Return the part of a nested reply at a path."""
    for number in path:
        reply = reply[number]
    return reply


class OneReplyMutator:
    """Changes one reply: number ``which`` of those that are not errors, from 0."""

    def __init__(self, which: int, change: Callable[[Any], Any]) -> None:
        self._left = which
        self._change = change

    def __call__(self, reply: Any) -> Any:
        if isinstance(reply, TargetError):
            return reply
        self._left -= 1
        return self._change(reply) if self._left == -1 else reply


def lines_of(reply: bytes) -> list[bytes]:
    return reply.splitlines(keepends=True)


def mutate_text(text: bytes, draw: Callable[[Any], Any]) -> bytes:
    """Break one line of a text, or cut the text off."""
    lines = lines_of(text) or [b""]
    where = draw(st.integers(0, len(lines) - 1))
    line, odd = lines[where], draw(st.sampled_from(ODD_TEXTS))
    mutation = draw(st.sampled_from(["value", "pair", "name", "drop", "twice", "junk", "cut", "glue", "half"]))
    head, colon, _ = line.partition(b":")
    left, equals, right = line.partition(b"=")
    match mutation:
        case "value":
            lines[where] = head + colon + odd + b"\r\n"
        case "pair":
            lines[where] = left + equals + odd + right[right.find(b",") :]
        case "name":
            lines[where] = odd + line[draw(st.integers(0, len(line))) :]
        case "drop":
            lines[where] = b""
        case "twice":
            lines[where] = line + line
        case "junk":
            lines[where] = odd + b"\r\n" + line
        case "cut":
            del lines[where + 1 :]
        case "glue":
            lines[where] = line.rstrip()
        case "half":
            lines[where] = line[: len(line) // 2] + b"\r\n"
    return b"".join(lines)


def paths_in(reply: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the path of each part of a nested reply, the whole reply first."""
    yield path
    if isinstance(reply, list):
        for number, item in enumerate(reply):
            yield from paths_in(item, (*path, number))


def replaced(reply: Any, path: tuple[int, ...], change: Callable[[Any], list[Any]]) -> Any:
    """Return a reply with one part replaced by any number of others."""
    if not path:
        replacements = change(reply)
        return replacements[0] if replacements else None
    copy = list(reply)
    first, *rest = path
    copy[first : first + 1] = [replaced(copy[first], tuple(rest), change)] if rest else change(copy[first])
    return copy


def mutate_nested(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Replace, drop, duplicate, wrap, reverse or break one part of a nested reply."""
    path = draw(st.sampled_from(list(paths_in(reply))))

    def change(part: Any) -> list[Any]:
        mutation = draw(st.sampled_from(["odd", "drop", "twice", "wrap", "text", "reverse"]))
        match mutation:
            case "drop":
                return []
            case "twice":
                return [part, part]
            case "wrap":
                return [[part]]
            case "text" if isinstance(part, bytes) and part:
                return [mutate_text(part, draw)]
            case "reverse" if isinstance(part, list):
                return [part[::-1]]
        return [draw(ODD_ITEMS)]

    return replaced(reply, path, change)


def mutate_value(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Replace one value: in one line of text, or a part that is not a list."""
    if not isinstance(reply, bytes) or b"\n" not in reply:
        leaves = [path for path in paths_in(reply) if not isinstance(part_at(reply, path), list)]
        return replaced(reply, draw(st.sampled_from(leaves)), lambda _: [draw(ODD_ITEMS)]) if leaves else reply
    lines = lines_of(reply)
    where = draw(st.integers(0, len(lines) - 1))
    values = [match.span(1) for match in re.finditer(rb"[:=]([^:=,\s]+)", lines[where])]
    if values:
        start, end = draw(st.sampled_from(values))
        lines[where] = lines[where][:start] + draw(st.sampled_from(ODD_TEXTS)) + lines[where][end:]
    return b"".join(lines)


def mutate(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Return a reply with one broken part, or sometimes an error or noise in its place."""
    if (chance := draw(st.integers(0, 19))) == 0:
        return draw(ERRORS)
    if chance == 1:
        return draw(NOISE)
    return mutate_text(reply, draw) if isinstance(reply, bytes) and reply else mutate_nested(reply, draw)


@pytest.mark.parametrize("name", NAMES)
async def test_every_collector_has_results_in_a_recorded_session(name: str) -> None:
    """The tests below mean something only if there is something to break."""
    session = await best_session(name)
    assert any(isinstance(item, Sample) for item in session.items)
    assert not [item for item in session.items if isinstance(item, UnreadableField)], session.name


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_results_of_a_broken_reply_are_sound(name: str, data: st.DataObject) -> None:
    session = await best_session(name)
    which = data.draw(st.integers(0, min(30, len(session.sent) - 1)))
    mutator = OneReplyMutator(which, lambda reply: mutate(reply, data.draw))
    await collect(name, replay.ReplayCommands(session.replies, mutator, closest=True))


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_results_of_noise_are_sound(name: str, data: st.DataObject) -> None:
    await collect(name, replay.ReplayCommands({}, lambda _: data.draw(NOISE)))


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_one_bad_value_keeps_the_good_part_of_a_reply(name: str, data: st.DataObject) -> None:
    """At least half of the metrics are there, whichever value is invalid.

    A reply about a single event or stream may lose all its metrics, but then the loss is counted.
    """
    session = await best_session(name)
    which = data.draw(st.integers(0, min(30, len(session.sent) - 1)))
    mutator = OneReplyMutator(which, lambda reply: mutate_value(reply, data.draw))
    items = await collect(name, replay.ReplayCommands(session.replies, mutator, closest=True))
    before, after = (
        {item.metric.full_name for item in some if isinstance(item, Sample)} for some in (session.items, items)
    )
    counted = any(isinstance(item, UnreadableField) or is_skipped(item) for item in items)
    assert counted or name in ALL_OR_NOTHING or len(before - after) <= len(before) / 2, f"lost {sorted(before - after)}"


def is_skipped(item: CollectorItem) -> bool:
    return isinstance(item, Sample) and item.metric.full_name in SKIPPED and item.value == 1


HUGE = 10_000_000
FILLERS = (b"9", b"a=", b"x:1,", b"\xff")


@pytest.mark.parametrize("name", NAMES)
async def test_results_of_a_text_of_ten_megabytes_are_sound(name: str) -> None:
    session = await best_session(name)
    for number, filler in enumerate(FILLERS):
        huge = filler * (HUGE // len(filler))
        mutator = OneReplyMutator(number % len(session.sent), partial(inflate, huge=huge))
        await collect(name, replay.ReplayCommands(session.replies, mutator, closest=True))


def inflate(reply: Any, huge: bytes) -> Any:
    """Replace the longest text of a reply by a huge one. In a text of several lines, replace the longest line."""
    if isinstance(reply, bytes):
        lines = lines_of(reply)
        longest = max(range(len(lines)), key=lambda number: len(lines[number])) if lines else 0
        head, colon, _ = lines[longest].partition(b":") if lines else (b"", b"", b"")
        return b"".join([*lines[:longest], head + colon + huge + b"\r\n", *lines[longest + 1 :]])
    texts = [path for path in paths_in(reply) if isinstance(part_at(reply, path), bytes)]
    if not texts:
        return reply
    return replaced(reply, max(texts, key=lambda path: len(part_at(reply, path))), lambda _: [huge])
