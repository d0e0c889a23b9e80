"""How long each command took: LATENCY HISTOGRAM (Redis 7.0 and later, Valkey).

redis_command_latency_seconds_bucket{target="cart",cmd="get",le="6.6e-05"} 1833
redis_commands_latencies_usec_bucket{target="cart",cmd="get",le="66"} 1833

The server counts in buckets that double from 1.024 µs on and lists those that something is in. So the established
histogram in microseconds gains buckets as time goes by, and each command has others: quantiles over several commands,
or over the time when a bucket was new, are wrong. ``redis_command_latency_seconds`` has one set of edges for all
commands and all time. They are the server's own, so nothing is interpolated. It ends at 0.54 s: what takes longer than
a second the server books as one second.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, histogram
from redis_pulse.parse.latency_histogram import LatencyHistograms, merge_histograms, parse_latencies
from redis_pulse.parse.reply import as_list, as_text
from redis_pulse.server_info import Server
from redis_pulse.text_format import format_number

_BY = ("cmd",)
USEC = histogram(
    "LATENCY HISTOGRAM",
    "histogram_usec",
    "commands_latencies_usec",
    "Time that the server took for a command, in microseconds, in the buckets that it lists.",
    labels=_BY,
)
SECONDS = histogram(
    "LATENCY HISTOGRAM",
    "histogram_usec",
    "command_latency_seconds",
    "Time that the server took for a command, in buckets that are the same for all commands.",
    labels=_BY,
)

#: The server's own edges in whole microseconds: 1, 2, 4, 8, 16, 33, 66, 132, … 541065. It counts nanoseconds with two
#: digits in an HDR histogram and reports where they double, so each edge lies 1/128 above 1024 * 2**n ns.
EDGES = tuple((1024 * 2**n * 129 // 128 - 1) // 1000 for n in range(20))
_EDGES_IN_SECONDS = tuple(format_number(edge / 1e6) for edge in EDGES)


class LatencyHistogramOptions(Options):
    """What a target's settings may say about ``latency_histogram``."""

    commands: tuple[str, ...] = Field(
        (), description="Only these commands, as the server names them: get, config|get; empty: all that were called."
    )
    max_commands: PositiveCount = Field(
        30, description="So many commands have series, the most called ones first; the rest is put together."
    )
    seconds: bool = Field(True, description="Publish redis_command_latency_seconds, with the same edges everywhere.")
    microseconds: bool = Field(
        True, description="Publish redis_commands_latencies_usec, as older dashboards expect it."
    )


class LatencyHistogramCollector:
    """Ask for the histograms, and take the sums from INFO."""

    name: ClassVar[str] = "latency_histogram"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (USEC, SECONDS)
    options: ClassVar[type[Options]] = LatencyHistogramOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("latency|histogram", "info")

    def __init__(self) -> None:
        self._places: LabelLimiter[str] = LabelLimiter()

    def for_target(self) -> Self:
        """Return a copy: which commands have series is remembered."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel; a server that is too old says so once."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read both replies; a command whose histogram makes no sense costs itself only."""
        reply = as_list(await commands.execute("LATENCY", "HISTOGRAM", *options.commands))
        if reply is None:
            return [UnreadableField("LATENCY HISTOGRAM")]
        try:
            stats = (await read_info(server, commands)).get("Commandstats", {})
        except (*UNSUPPORTED, EmptyReplyError):
            stats = {}
        found: list[CollectorItem] = []
        named: dict[str, LatencyHistograms] = {}
        for name, said in zip(map(as_text, reply[::2]), reply[1::2], strict=False):
            latencies = parse_latencies(said, stats.get(f"cmdstat_{name}", ""))
            if name is None or latencies is None or name in named:
                found.append(UnreadableField(SECONDS.location))
            else:
                named[name] = latencies
        seated = self._places.admit({name: said.calls for name, said in named.items()}, options.max_commands)
        if others := [named.pop(name) for name in list(named) if name not in seated]:
            found.append(OverflowCount(SECONDS.location, len(others)))
            named[OVERFLOW] = merge_histograms([*others, *([named[OVERFLOW]] if OVERFLOW in named else [])])
        for name, said in named.items():
            if options.microseconds:
                found += _usec(label_value(name), said)
            if options.seconds:
                found += _seconds(label_value(name), said)
        return found


def _usec(name: str, said: LatencyHistograms) -> Iterator[CollectorItem]:
    edges = sorted(said.buckets)
    counts = accumulate(said.buckets[edge] for edge in edges)
    yield from _samples(USEC, name, zip(map(_go, edges), counts, strict=True), said, 1)


def _seconds(name: str, said: LatencyHistograms) -> Iterator[CollectorItem]:
    counts = [0] * (len(EDGES) + 1)
    for edge, count in said.buckets.items():
        counts[bisect_left(EDGES, edge)] += count
    yield from _samples(SECONDS, name, zip(_EDGES_IN_SECONDS, accumulate(counts), strict=False), said, 1e6)


def _samples(
    metric: MetricSpec, name: str, points: Iterable[tuple[str, float]], said: LatencyHistograms, divisor: float
) -> Iterator[CollectorItem]:
    """Without a sum a histogram has no count either: so OpenMetrics wants it, and a sum of 0 would be a lie."""
    total = 0.0 if said.usec is None else said.usec / divisor
    for sample in metric.distribution(points, total, said.calls, name):
        if said.usec is not None or sample.edge:
            yield sample


def _go(edge: int) -> str:
    """Spell an edge as Go does, so that a series stays the same one: ``541065``, ``1.073741e+06``."""
    digits = str(edge)
    if edge < 1_000_000:
        return digits
    rest = digits[1:].rstrip("0")
    return f"{digits[0]}{'.' * bool(rest)}{rest}e+{len(digits) - 1:02}"


COLLECTOR = LatencyHistogramCollector()
