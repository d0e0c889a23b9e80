"""Latency spikes that the server itself noticed (``latency-monitor-threshold``; 0, its default, notices none).

redis_latency_spike_last{target="cart",event_name="command"} 1.795380052e+09
redis_latency_spike_duration_seconds{target="cart",event_name="command"} 0.071

The server shows an event's newest spike until somebody sends LATENCY RESET, however old it is: look at its time too.
"""
# ruff: noqa: E501 - a row is one line

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.labels import OVERFLOW, label_value
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, counter, gauge
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.server_info import Server

_BY = ("event_name",)
# fmt: off
LAST = gauge("LATENCY LATEST", "timestamp", "latency_spike_last", "Unix time of the newest latency spike of an event, in seconds.", labels=_BY)
DURATION = gauge("LATENCY LATEST", "latest", "latency_spike_duration_seconds", "Duration of the newest latency spike of an event.", labels=_BY)
LONGEST = gauge("LATENCY LATEST", "max", "latency_spike_max_duration_seconds", "Duration of the longest latency spike of an event since the server started or LATENCY RESET.", labels=_BY)
TOTAL = counter("LATENCY LATEST", "sum", "latency_spikes_duration_seconds_total", "Duration of all latency spikes of an event (Valkey 8.1 and later).", labels=_BY)
COUNT = counter("LATENCY LATEST", "count", "latency_spikes_total", "Latency spikes of an event (Valkey 8.1 and later).", labels=_BY)
# fmt: on
#: The numbers of an event as they come, and what to divide them by; the last two since Valkey 8.1.
IN_ORDER = ((LAST, 1), (DURATION, 1e3), (LONGEST, 1e3), (TOTAL, 1e3), (COUNT, 1))
#: Events are the server's own, some twenty; modules may add others.
MOST_EVENTS = 50


class LatencyCollector(Stateless):
    """Ask for the newest spike of every event."""

    name: ClassVar[str] = "latency"
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(metric for metric, _ in IN_ORDER)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("latency|latest",)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has a latency monitor."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read ``[[event, unix time, newest ms, highest ms, …], …]``; no event, no sample."""
        events = as_list(await commands.execute("LATENCY", "LATEST"))
        if events is None:
            return [UnreadableField("LATENCY LATEST")]
        return list(_spikes(events))


def _spikes(events: list[Any]) -> Iterator[CollectorItem]:
    spikes: dict[str, list[int | None]] = {}
    for event in events:
        name, *numbers = as_list(event) or [None]
        text = as_text(name)
        if text is None or text in spikes:  # a series may stand on a page only once
            yield UnreadableField("LATENCY LATEST/event")
        else:
            spikes[text] = [*map(as_integer, numbers[:5]), *[None] * (2 - len(numbers))]
    if others := list(spikes)[MOST_EVENTS:]:
        yield OverflowCount(LAST.location, len(others))
        newest = max((spikes.pop(name) for name in others), key=lambda said: said[0] or 0)
        spikes[OVERFLOW] = newest[:2]
    for name, said in spikes.items():
        for (metric, unit), value in zip(IN_ORDER, said, strict=False):
            yield metric.sample_or_unreadable(None if value is None else value / unit, label_value(name))


COLLECTOR = LatencyCollector()
