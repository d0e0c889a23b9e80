"""Whatever a server answers: no collector breaks, the page can be read, and the good part of a reply survives.

Every collector in the folder is given what a real server answered once, with something broken in it, and replies that
are nothing but noise. (House rule: a bad part costs its own sample, is counted, and harms no other.)
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
from redis_pulse.metric import CollectorFault, CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from redis_pulse.text_format import family_header
from tests import collector_options, replay
from tests.recordings import REPLIES
from tools import acl

NAMES = list(collectors.load())
#: Established names with quantiles of 50 and 99, which only the text format takes.
NOT_OPENMETRICS = {"redis_latency_percentiles_usec"}
#: Broken and odd values, as a server or an attacker may put them where a number or a name is expected.
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


#: What is 1 when a collector rightly left the rest out: nobody knows how long the list of clients would be.
SAY_SO = {"redis_clients_list_skipped"}
#: One number, for which every value that is read must make sense.
ALL_OR_NOTHING = {"rdb_file"}
#: As a Tile38 answers SERVER EXT.
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


class Scene(NamedTuple):
    """A recorded session in which a collector has much to say."""

    name: str
    replies: replay.Replies
    server: Server
    asked: list[replay.Args]
    #: What it finds when nothing is broken.
    found: list[CollectorItem]


_scenes: dict[str, Scene] = {}


async def scene(name: str) -> Scene:
    """Return the session in which the collector finds most; the newest servers come last and win a tie."""
    if name in _scenes:
        return _scenes[name]
    best: Scene | None = None
    info, collector = collectors.load()["info"], collectors.load()[name]
    if name == "tile38":  # nothing to record from
        best = Scene("made up", TILE38, Server(fields={"tile38_version": "1.33.0"}), [("SERVER", "EXT")], [])
        best.found.extend(await collectors.load()[name].collect(best.server, replay.ReplayCommands(TILE38), None))
    for where in sorted(path.relative_to(REPLIES) for path in REPLIES.glob("*/session-*.json")):
        replies = replay.load(where.parts[0], where.stem.removeprefix("session-"))
        server, port = Server(local=True), replay.ReplayCommands(replies)
        who = where.stem.removeprefix("session-")
        parts = [(replay.freeze(one), collector_options.options(one, who)) for one in (info, collector)]
        run = (await replay.poll(server, port, parts, {}))[-1]
        if run.found and (best is None or len(run.found) >= len(best.found)):
            best = Scene(where.as_posix(), replies, server, port.asked, run.found)
    assert best is not None, f"{name} finds nothing in any session of tests/replies: record one in which it does"
    _scenes[name] = best
    return best


async def collect(name: str, port: replay.ReplayCommands) -> list[CollectorItem]:
    """Run a collector on broken replies, and assert what must hold whatever they are."""
    collector = replay.freeze(collectors.load()[name])
    server = Server(local=True)
    if name != "info":
        server.update((await scene(name)).server.fields)
    try:
        found = list(await collector.collect(server, port, collector_options.options(collector)))
    except TargetError as error:
        if not isinstance(error, errors.EmptyReplyError) and not any(error is handed for handed in port.raised):
            raise AssertionError(f"{error!r} is none of the server's errors") from error
        found = []
    for args in port.asked if collector.commands else ():
        assert acl.sent(args, collector.commands), f"{args[:2]} is not among the declared commands"
    assert_sound(collector, found)
    return found


def assert_sound(collector: Collector, found: list[CollectorItem]) -> None:
    """All that is yielded may be published: by declared rows, as finite numbers, on a page that can be read."""
    rows = set(collector.metrics)
    for item in found:
        assert isinstance(item, Sample | UnreadableField | OverflowCount | CollectorFault), (
            f"not to be yielded: {item!r}"
        )
        if isinstance(item, Sample):
            assert item.metric in rows, f"{item.metric.full_name} is not declared"
            assert type(item.value) in (int, float), f"{item.metric.full_name}: {item.value!r}"
            assert math.isfinite(item.value), f"{item.metric.full_name}: {item.value!r}"
            assert len(item.labels) == len(item.metric.labels)
            assert all(type(label) is str for label in item.labels), f"{item.metric.full_name}: {item.labels!r}"
    lines = render('odd "name"', (item for item in found if isinstance(item, Sample)))
    for openmetrics, read in ((False, read_text), (True, read_openmetrics)):
        page = b"".join(
            family_header(row.full_name, row.kind, row.help, openmetrics=openmetrics) + series
            for row, series in lines.items()
            if not (openmetrics and row.full_name in NOT_OPENMETRICS)
        ) + (b"# EOF\n" if openmetrics else b"")
        seen: set[Any] = set()
        for family in read(page.decode()):
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in seen, f"stands twice: {series}"
                seen.add(series)


def at(reply: Any, path: tuple[int, ...]) -> Any:
    """Return a part of a nested reply."""
    for number in path:
        reply = reply[number]
    return reply


class Bender:
    """Changes one part of one reply: the ``which``-th of those that are not errors."""

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


def bend_text(text: bytes, draw: Callable[[Any], Any]) -> bytes:
    """Break one line of a text, or cut the text off."""
    lines = lines_of(text) or [b""]
    where = draw(st.integers(0, len(lines) - 1))
    line, odd = lines[where], draw(st.sampled_from(ODD_TEXTS))
    how = draw(st.sampled_from(["value", "pair", "name", "drop", "twice", "junk", "cut", "glue", "half"]))
    head, colon, _ = line.partition(b":")
    left, equals, right = line.partition(b"=")
    match how:
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


def places(reply: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the way to every part of a nested reply, the whole first."""
    yield path
    if isinstance(reply, list):
        for number, item in enumerate(reply):
            yield from places(item, (*path, number))


def replaced(reply: Any, path: tuple[int, ...], change: Callable[[Any], list[Any]]) -> Any:
    """Return a reply in which one part has given way to any number of others."""
    if not path:
        others = change(reply)
        return others[0] if others else None
    copy = list(reply)
    first, *rest = path
    copy[first : first + 1] = [replaced(copy[first], tuple(rest), change)] if rest else change(copy[first])
    return copy


def bend_nested(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Replace, drop, double, wrap or break one part of a nested reply."""
    path = draw(st.sampled_from(list(places(reply))))

    def change(part: Any) -> list[Any]:
        how = draw(st.sampled_from(["odd", "drop", "twice", "wrap", "text", "reverse"]))
        match how:
            case "drop":
                return []
            case "twice":
                return [part, part]
            case "wrap":
                return [[part]]
            case "text" if isinstance(part, bytes) and part:
                return [bend_text(part, draw)]
            case "reverse" if isinstance(part, list):
                return [part[::-1]]
        return [draw(ODD_ITEMS)]

    return replaced(reply, path, change)


def bend_value(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Replace one value: of one line, or one that is no list."""
    if not isinstance(reply, bytes) or b"\n" not in reply:
        leaves = [path for path in places(reply) if not isinstance(at(reply, path), list)]
        return replaced(reply, draw(st.sampled_from(leaves)), lambda _: [draw(ODD_ITEMS)]) if leaves else reply
    lines = lines_of(reply)
    where = draw(st.integers(0, len(lines) - 1))
    pairs = [found.span(1) for found in re.finditer(rb"[:=]([^:=,\s]+)", lines[where])]
    if pairs:
        start, end = draw(st.sampled_from(pairs))
        lines[where] = lines[where][:start] + draw(st.sampled_from(ODD_TEXTS)) + lines[where][end:]
    return b"".join(lines)


def bend(reply: Any, draw: Callable[[Any], Any]) -> Any:
    """Break one thing in a reply; or answer with an error, or noise, instead."""
    if (chance := draw(st.integers(0, 19))) == 0:
        return draw(ERRORS)
    if chance == 1:
        return draw(NOISE)
    return bend_text(reply, draw) if isinstance(reply, bytes) and reply else bend_nested(reply, draw)


@pytest.mark.parametrize("name", NAMES)
async def test_every_collector_finds_something_in_a_recorded_session(name: str) -> None:
    """The tests below are worth something only where there is something to break."""
    there = await scene(name)
    assert any(isinstance(item, Sample) for item in there.found)
    assert not [item for item in there.found if isinstance(item, UnreadableField)], there.name


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_a_broken_reply_breaks_nothing(name: str, data: st.DataObject) -> None:
    there = await scene(name)
    which = data.draw(st.integers(0, min(30, len(there.asked) - 1)))
    await collect(
        name, replay.ReplayCommands(there.replies, Bender(which, lambda reply: bend(reply, data.draw)), alike=True)
    )


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_noise_breaks_nothing(name: str, data: st.DataObject) -> None:
    await collect(name, replay.ReplayCommands({}, lambda _: data.draw(NOISE)))


@pytest.mark.parametrize("name", NAMES)
@thorough
@given(data=st.data())
async def test_one_bad_value_leaves_the_rest_in_place(name: str, data: st.DataObject) -> None:
    """The good part of a reply survives: at least half of the metrics are there, whichever value makes no sense.

    Where a reply is about one thing only (one event, one stream), its loss is counted at least.
    """
    there = await scene(name)
    which = data.draw(st.integers(0, min(30, len(there.asked) - 1)))
    port = replay.ReplayCommands(there.replies, Bender(which, lambda reply: bend_value(reply, data.draw)), alike=True)
    found = await collect(name, port)
    before, after = (
        {item.metric.full_name for item in some if isinstance(item, Sample)} for some in (there.found, found)
    )
    counted = any(isinstance(item, UnreadableField) or is_said(item) for item in found)
    assert counted or name in ALL_OR_NOTHING or len(before - after) <= len(before) / 2, f"lost {sorted(before - after)}"


def is_said(item: CollectorItem) -> bool:
    return isinstance(item, Sample) and item.metric.full_name in SAY_SO and item.value == 1


HUGE = 10_000_000
FILLERS = (b"9", b"a=", b"x:1,", b"\xff")


@pytest.mark.parametrize("name", NAMES)
async def test_ten_megabytes_in_one_place_break_nothing(name: str) -> None:
    there = await scene(name)
    for number, filler in enumerate(FILLERS):
        huge = filler * (HUGE // len(filler))
        port = replay.ReplayCommands(
            there.replies, Bender(number % len(there.asked), partial(inflate, huge=huge)), alike=True
        )
        await collect(name, port)


def inflate(reply: Any, huge: bytes) -> Any:
    """Put something huge into the place of the longest text of a reply (of a text of several lines: into one)."""
    if isinstance(reply, bytes):
        lines = lines_of(reply)
        longest = max(range(len(lines)), key=lambda number: len(lines[number])) if lines else 0
        head, colon, _ = lines[longest].partition(b":") if lines else (b"", b"", b"")
        return b"".join([*lines[:longest], head + colon + huge + b"\r\n", *lines[longest + 1 :]])
    texts = [path for path in places(reply) if isinstance(at(reply, path), bytes)]
    if not texts:
        return reply
    return replaced(reply, max(texts, key=lambda path: len(at(reply, path))), lambda _: [huge])
