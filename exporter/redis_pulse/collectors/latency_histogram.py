"""Execution time of each command as a histogram (LATENCY HISTOGRAM; Redis 7.0 and later, Valkey).

redis_command_latency_seconds_bucket{target="cart",cmd="get",le="6.6e-05"} 1833
redis_commands_latencies_usec_bucket{target="cart",cmd="get",le="66"} 1833

The upper edges of the server's buckets double from 1.024 µs on. The server lists a bucket only after the first call has
fallen into it. So the buckets of ``redis_commands_latencies_usec`` differ between commands, and new ones appear over
time. This makes two kinds of quantiles wrong: over several commands, and over the time when a bucket appeared.

``redis_command_latency_seconds`` has the same edges for all commands at all times. They are edges of the server, so
nothing is interpolated. The last edge is 0.54 s: the server records any time over one second as one second.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, Self

from redis_pulse.collectors.support.info_lines import NamedLines, info_requests, named_lines, read_info
from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.collectors.support.written import UnusualValueError, are_clean, in_slices
from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, WrittenLines, histogram
from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text, parse_uint
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced
from redis_pulse.text_format import format_number

_LABELS = ("cmd",)
USEC = histogram(
    "LATENCY HISTOGRAM",
    "histogram_usec",
    "commands_latencies_usec",
    "Execution time of a command in microseconds, in the buckets that the server lists.",
    labels=_LABELS,
)
SECONDS = histogram(
    "LATENCY HISTOGRAM",
    "histogram_usec",
    "command_latency_seconds",
    "Execution time of a command, in buckets that are the same for all commands.",
    labels=_LABELS,
)

#: The edges of the server in whole microseconds: 1, 2, 4, 8, 16, 33, 66, 132, … 541065. The server counts nanoseconds
#: in an HDR histogram with two digits and reports the buckets where the time doubles. So each edge is 1/128 above
#: 1024 * 2**n ns.
EDGES = tuple((1024 * 2**n * 129 // 128 - 1) // 1000 for n in range(20))
_EDGES_IN_SECONDS = tuple(format_number(edge / 1e6) for edge in EDGES)


#: A command with this share of the time of all commands always has series. The most places beyond the limit.
SLOW_SHARE = 0.05
MAX_SLOW = 20
#: Numbers of one histogram that are read. Servers have at most 31 buckets of two numbers.
_MAX_NUMBERS = 200
#: Commands of which no family reaches the limit of all families, and numbers below which all are written alike.
_MAX_WRITTEN, _MAX_WHOLE = 500, 10**15
#: Stands for the labels in lines that many commands share. No label contains it.
_LABELS_PLACE = "\0"
#: Commands of one reply that are read.
_MAX_COMMANDS = 2000
#: Histograms after which other tasks may run.
_HISTOGRAMS_PER_SLICE = 20


class LatencyHistograms(NamedTuple):
    """The latencies of the calls of one command, or of several commands together."""

    #: Upper edge in µs → number of calls in that bucket.
    buckets: Mapping[int, int]
    calls: int
    #: Sum over all calls in µs, or None if it is unknown.
    usec: int | None


def parse_latencies(reply: Any, stats: str = "") -> LatencyHistograms | None:
    """Read ``[calls, 3, histogram_usec, [33, 2, 66, 3]]`` with cumulative counts; return None if it is inconsistent.

    ``stats`` is the line of the command in INFO, ``calls=3,usec=97,…``, which contains the sum.
    """
    parts = as_map(reply) or {}
    calls = as_integer(parts.get("calls"))
    numbers = [as_integer(item) for item in (as_list(parts.get("histogram_usec")) or [])[:_MAX_NUMBERS]]
    buckets = _buckets(numbers[::2], numbers[1::2])
    if calls is None or buckets is None or calls < sum(buckets.values()):
        return None
    return LatencyHistograms(buckets, calls, parse_uint(parse_pairs(stats).get("usec", "")))


def merge_histograms(histograms: Sequence[LatencyHistograms]) -> LatencyHistograms:
    """Return the sum of several commands. The sum has no ``usec`` if any command has none."""
    buckets: Counter[int] = Counter()
    for one in histograms:
        buckets.update(one.buckets)
    sums = [one.usec for one in histograms if one.usec is not None]
    return LatencyHistograms(
        buckets, sum(one.calls for one in histograms), sum(sums) if len(sums) == len(histograms) else None
    )


def _buckets(edges: Sequence[int | None], counts: Sequence[int | None]) -> dict[int, int] | None:
    """Return the calls of each bucket alone, or None unless the edges rise and the counts do not fall."""
    if len(edges) != len(counts):
        return None
    buckets: dict[int, int] = {}
    last_edge = -1
    below = 0
    for edge, count in zip(edges, counts, strict=True):
        if edge is None or count is None or edge <= last_edge or count < below:
            return None
        buckets[edge] = count - below
        last_edge, below = edge, count
    return buckets


class LatencyHistogramOptions(Options):
    """Settings of the collector ``latency_histogram``."""

    commands: tuple[str, ...] = Field(
        (), description="Only these commands, named as the server does: get, config|get; empty: all that were called."
    )
    max_commands: PositiveCount = Field(
        30,
        description="Commands with their own series, the most called ones first; the others are merged. A command with "
        "5 % of the time of all commands always has series.",
    )
    seconds: bool = Field(True, description="Publish redis_command_latency_seconds, with the same edges everywhere.")
    microseconds: bool = Field(
        True, description="Publish redis_commands_latencies_usec, which dashboards for redis_exporter use."
    )


class LatencyHistogramCollector:
    """Read the histograms, and their sums from INFO."""

    name: ClassVar[str] = "latency_histogram"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (USEC, SECONDS)
    options: ClassVar[type[Options]] = LatencyHistogramOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("latency|histogram", "info")

    def __init__(self) -> None:
        self._limiter: LabelLimiter[str] = LabelLimiter()

    def for_target(self) -> Self:
        """Return a copy. It remembers which commands have series."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel. A server that is too old rejects the command, once."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:
        """Return INFO and LATENCY HISTOGRAM."""
        return [*info_requests(server), ("LATENCY", "HISTOGRAM", *options.commands)]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read both replies. An unreadable histogram is counted and does not affect other commands."""
        reply = as_list(await commands.execute("LATENCY", "HISTOGRAM", *options.commands))
        if reply is None:
            return [UnreadableField("LATENCY HISTOGRAM")]
        try:
            stats = (await read_info(server, commands)).get("Commandstats", {})
        except (*UNSUPPORTED, EmptyReplyError):
            stats = {}
        excess = max(0, len(reply) // 2 - _MAX_COMMANDS)
        items: list[CollectorItem] = [OverflowCount(SECONDS.location, excess)] * bool(excess)
        reply = reply[: 2 * _MAX_COMMANDS]
        histograms: dict[str, LatencyHistograms] = {}
        async for name, content in sliced(
            zip(map(as_text, reply[::2]), reply[1::2], strict=False), _HISTOGRAMS_PER_SLICE
        ):
            latencies = parse_latencies(content, stats.get(f"cmdstat_{name}", ""))
            if name is None or latencies is None or name in histograms:
                items.append(UnreadableField(SECONDS.location))
            else:
                histograms[name] = latencies
        calls = {name: latencies.calls for name, latencies in histograms.items()}
        slow = _slow_commands({name: one.usec or 0 for name, one in histograms.items()})[
            : max(0, options.max_commands + MAX_SLOW - len(self._limiter.kept))
        ]
        admitted = self._limiter.admit(calls, options.max_commands, always=slow)
        if rejected := [histograms.pop(name) for name in list(histograms) if name not in admitted]:
            items.append(OverflowCount(SECONDS.location, len(rejected)))
            if OVERFLOW in histograms:  # the server has a command of this name
                rejected.append(histograms[OVERFLOW])
            histograms[OVERFLOW] = merge_histograms(rejected)
        for name, latencies in histograms.items():
            if options.microseconds:
                items += _usec_samples(label_value(name), latencies)
            if options.seconds:
                items += _seconds_samples(label_value(name), latencies)
        return items

    async def write(
        self, server: Server, commands: Commands, options: LatencyHistogramOptions, target: str
    ) -> Sequence[CollectorItem] | None:
        """Write the lines of both metrics."""
        reply = as_list(await commands.execute("LATENCY", "HISTOGRAM", *options.commands))
        if reply is None or len(reply) % 2 or len(reply) > 2 * _MAX_WRITTEN:
            return None
        try:
            stats = await named_lines(await read_info(server, commands), "Commandstats", "cmdstat_", server)
        except (*UNSUPPORTED, EmptyReplyError):
            stats = {}
        try:
            histograms = _usual_histograms(reply, stats)
        except (AttributeError, TypeError, ValueError):
            return None
        calls = {name: one.calls for name, one in histograms.items()}
        slow = _slow_commands({name: one.usec or 0 for name, one in histograms.items()})
        slow = slow[: max(0, options.max_commands + MAX_SLOW - len(self._limiter.kept))]
        admitted = self._limiter.admit(calls, options.max_commands, always=slow)
        items: list[CollectorItem] = []
        if rejected := [histograms.pop(name) for name in list(histograms) if name not in admitted]:
            items.append(OverflowCount(SECONDS.location, len(rejected)))
            histograms[OVERFLOW] = _merged(rejected)
        texts: dict[MetricSpec, list[str]] = {}
        async for part in in_slices([*histograms.items()]):
            for name, one in part:
                shape, labels = _shape(one.edges), f'{{{target},cmd="{name}"'
                if options.microseconds:
                    buckets = shape.lines % (*one.counts, one.calls)
                    texts.setdefault(USEC, []).append(_written(USEC, buckets, labels, one, 1))
                if options.seconds:
                    buckets = _SECONDS_LINES % (*shape.below((0, *one.counts)), one.calls)
                    texts.setdefault(SECONDS, []).append(_written(SECONDS, buckets, labels, one, 1e6))
        return [*items, WrittenLines({metric: "".join(lines) for metric, lines in texts.items()})]


class _Usual(NamedTuple):
    """A histogram as the server lists it, with cumulative counts."""

    edges: tuple[int, ...]
    counts: Sequence[int]
    calls: int
    usec: int | None


class _Shape(NamedTuple):
    """What is the same for all histograms with the same edges."""

    #: The lines of the buckets, for their counts.
    lines: str
    #: Returns the count below each edge of ``EDGES``, from 0 and the counts of the server.
    below: Callable[[tuple[int, ...]], tuple[int, ...]]


def _bucket_lines(metric: MetricSpec, edges: Iterable[str]) -> str:
    """Return the lines of the buckets with places for the labels and for the counts."""
    return "".join([f'{metric.full_name}_bucket{_LABELS_PLACE},le="{edge}"}} %d\n' for edge in (*edges, "+Inf")])


_SECONDS_LINES = _bucket_lines(SECONDS, _EDGES_IN_SECONDS)


@lru_cache(maxsize=512)
def _shape(edges: tuple[int, ...]) -> _Shape:
    own = [bisect_left(EDGES, edge) for edge in edges]
    positions = [bisect_right(own, position) for position in range(len(EDGES))]
    return _Shape(_bucket_lines(USEC, map(_go_number, edges)), itemgetter(*positions))


def _usual_histograms(reply: Sequence[Any], stats: NamedLines) -> dict[str, _Usual]:
    """Read all histograms. Raises TypeError or ValueError if one of them, or a name, is not usual."""
    names = [name.decode() for name in reply[::2]]
    if not are_clean(names) or len(set(names)) < len(names) or OVERFLOW in names:
        raise UnusualValueError("names")
    histograms: dict[str, _Usual] = {}
    total = 0
    for name, (word, calls, kind, numbers) in zip(names, reply[1::2], strict=True):
        edges, counts = numbers[::2], numbers[1::2]
        if word != b"calls" or kind != b"histogram_usec" or len(edges) != len(counts) or len(numbers) > _MAX_NUMBERS:
            raise UnusualValueError("form")
        low, high = (counts[0], counts[-1]) if counts else (0, 0)
        if counts != sorted(counts) or not 0 <= low <= high <= calls:
            raise UnusualValueError("counts")
        if edges and (edges[0] < 0 or edges != sorted(set(edges))):
            raise UnusualValueError("edges")
        total += calls
        usec = parse_uint(stats.get(name, {}).get("usec", ""))
        histograms[name] = _Usual(tuple(edges), counts, calls, usec)
    if max(total, sum(one.usec or 0 for one in histograms.values())) >= _MAX_WHOLE:
        raise UnusualValueError("large numbers")
    return histograms


def _merged(histograms: Sequence[_Usual]) -> _Usual:
    """Return the sum of several commands."""
    parts = [LatencyHistograms(_buckets(one.edges, one.counts) or {}, one.calls, one.usec) for one in histograms]
    merged = merge_histograms(parts)
    edges = tuple(sorted(merged.buckets))
    return _Usual(edges, [*accumulate(merged.buckets[edge] for edge in edges)], merged.calls, merged.usec)


def _written(metric: MetricSpec, buckets: str, labels: str, one: _Usual, divisor: float) -> str:
    """Write what ``_samples`` yields. ``buckets`` are the lines of the buckets, without the labels."""
    lines, name = buckets.replace(_LABELS_PLACE, labels), metric.full_name
    if one.usec is None:
        return lines
    total = format_number(one.usec / divisor)
    return f"{lines}{name}_sum{labels}}} {total}\n{name}_count{labels}}} {one.calls}\n"


def _slow_commands(times: Mapping[str, int]) -> list[str]:
    """Return the commands that took a large share of the time of all commands, the largest first.

    A command that is called rarely may be the one that keeps the server busy. It must not vanish in ``overflow``.
    """
    least = SLOW_SHARE * sum(times.values())
    return sorted((name for name, usec in times.items() if usec and usec >= least), key=times.__getitem__, reverse=True)


def _usec_samples(name: str, latencies: LatencyHistograms) -> Iterator[CollectorItem]:
    edges = sorted(latencies.buckets)
    counts = accumulate(latencies.buckets[edge] for edge in edges)
    yield from _samples(USEC, name, zip(map(_go_number, edges), counts, strict=True), latencies, 1)


def _seconds_samples(name: str, latencies: LatencyHistograms) -> Iterator[CollectorItem]:
    counts = [0] * (len(EDGES) + 1)
    for edge, count in latencies.buckets.items():
        counts[bisect_left(EDGES, edge)] += count
    points = zip(_EDGES_IN_SECONDS, accumulate(counts), strict=False)
    yield from _samples(SECONDS, name, points, latencies, 1e6)


def _samples(
    metric: MetricSpec, name: str, points: Iterable[tuple[str, float]], latencies: LatencyHistograms, divisor: float
) -> Iterator[CollectorItem]:
    """Yield the samples of a histogram; if its sum is unknown, only the buckets.

    OpenMetrics allows a count only together with a sum, and a sum of 0 would be false.
    """
    total = 0.0 if latencies.usec is None else latencies.usec / divisor
    for sample in metric.distribution(points, total, latencies.calls, name):
        if latencies.usec is not None or sample.edge:
            yield sample


def _go_number(edge: int) -> str:
    """Format an edge as Go does (``541065``, ``1.073741e+06``), so that the series of redis_exporter continue."""
    digits = str(edge)
    if edge < 1_000_000:
        return digits
    rest = digits[1:].rstrip("0")
    return f"{digits[0]}{'.' * bool(rest)}{rest}e+{len(digits) - 1:02}"


COLLECTOR = LatencyHistogramCollector()
