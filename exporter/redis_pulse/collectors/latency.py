"""Latency spikes recorded by the server (``latency-monitor-threshold``; its default, 0, records none).

redis_latency_spike_last{target="cart",event_name="command"} 1.795380052e+09
redis_latency_spike_duration_seconds{target="cart",event_name="command"} 0.071

The server keeps the newest spike of an event until LATENCY RESET, whatever its age. So check the time of the spike too.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.labels import OVERFLOW, label_value
from redis_pulse.collectors.support.server_clock import age
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.metric import (
    CollectorItem,
    LatencySpike,
    LatencySpikes,
    MetricSpec,
    OverflowCount,
    UnreadableField,
    counter,
    gauge,
)
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.server_info import Server

_LABELS = ("event_name",)
# fmt: off
LAST = gauge("LATENCY LATEST", "timestamp", "latency_spike_last", "Unix time of the newest latency spike of an event, in seconds.", labels=_LABELS)
DURATION = gauge("LATENCY LATEST", "latest", "latency_spike_duration_seconds", "Duration of the newest latency spike of an event.", labels=_LABELS)
MAX_DURATION = gauge("LATENCY LATEST", "max", "latency_spike_max_duration_seconds", "Duration of the longest latency spike of an event since the server started or LATENCY RESET.", labels=_LABELS)
TOTAL_DURATION = counter("LATENCY LATEST", "sum", "latency_spikes_duration_seconds_total", "Duration of all latency spikes of an event (Valkey 8.1 and later).", labels=_LABELS)
COUNT = counter("LATENCY LATEST", "count", "latency_spikes_total", "Latency spikes of an event (Valkey 8.1 and later).", labels=_LABELS)
# fmt: on
#: The numbers of an event in the order of the reply, each with its divisor. Only Valkey 8.1 and later send the last two.
NUMBERS = ((LAST, 1), (DURATION, 1e3), (MAX_DURATION, 1e3), (TOTAL_DURATION, 1e3), (COUNT, 1))
#: The server defines about twenty events; modules may add others.
MAX_EVENTS = 50
#: Events that are read. A server that lists more is no Redis.
MAX_LISTED = 1000


class LatencyCollector(Stateless):
    """Request the newest spike of each event."""

    name: ClassVar[str] = "latency"
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(metric for metric, _ in NUMBERS)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("latency|latest",)

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: all other servers have a latency monitor."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return LATENCY LATEST."""
        return [("LATENCY", "LATEST")]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read ``[[event, unix time, newest ms, highest ms, …], …]``."""
        events = as_list(await commands.execute("LATENCY", "LATEST"))
        if events is None:
            return [UnreadableField("LATENCY LATEST")]
        return [*_spike_samples(events), LatencySpikes(tuple(_spikes(server, events)))]


def _spike_samples(events: list[Any]) -> Iterator[CollectorItem]:
    spikes: dict[str, list[int | None]] = {}
    for event in events[:MAX_LISTED]:
        name, *numbers = (as_list(event) or [None])[:6]
        text = as_text(name)
        if text is None or text in spikes:  # a page must not contain a series twice
            yield UnreadableField("LATENCY LATEST/event")
        else:
            spikes[text] = [*map(as_integer, numbers[:5]), *[None] * (2 - len(numbers))]
    if len(events) > MAX_LISTED:
        yield OverflowCount(LAST.location, len(events) - MAX_LISTED)
    if excess := list(spikes)[MAX_EVENTS:]:
        yield OverflowCount(LAST.location, len(excess))
        newest = max((spikes.pop(name) for name in excess), key=lambda spike: spike[0] or 0)
        spikes[OVERFLOW] = newest[:2]
    for name, spike in spikes.items():
        for (metric, divisor), value in zip(NUMBERS, spike, strict=False):
            yield metric.sample_or_unreadable(None if value is None else value / divisor, label_value(name))


def _spikes(server: Server, events: list[Any]) -> Iterator[LatencySpike]:
    """Yield the newest spike of each event that can be read."""
    for event in events[:MAX_EVENTS]:
        name, at, milliseconds = [*(as_list(event) or []), None, None, None][:3]
        text, unix_time, duration = as_text(name), as_integer(at), as_integer(milliseconds)
        if text is not None and unix_time is not None and duration is not None and duration >= 0:
            yield LatencySpike(label_value(text), unix_time, duration / 1e3, age(server, unix_time))


COLLECTOR = LatencyCollector()
