"""Latency spikes that the server itself noticed (``latency-monitor-threshold``; 0, its default, notices none).

redis_latency_spike_last{target="cart",event_name="command"} 1.795380052e+09
redis_latency_spike_duration_seconds{target="cart",event_name="command"} 0.071
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from exporter.collectors.base import Commands, Stateless
from exporter.config import Options
from exporter.metric import Metric, Sample, Unreadable, gauge
from exporter.parse.reply import as_integer, as_list, as_text
from exporter.targets import Server

LAST = gauge(
    "LATENCY LATEST",
    "timestamp",
    "latency_spike_last",
    "Unix time of the newest latency spike of an event, in seconds.",
    labels=("event_name",),
)
DURATION = gauge(
    "LATENCY LATEST",
    "latest",
    "latency_spike_duration_seconds",
    "Duration of the newest latency spike of an event.",
    labels=("event_name",),
)


class Latency(Stateless):
    """Ask for the newest spike of every event."""

    name: ClassVar[str] = "latency"
    metrics: ClassVar[tuple[Metric, ...]] = (LAST, DURATION)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("latency|latest",)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has a latency monitor."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | Unreadable]:  # noqa: ARG002
        """Read ``[[event, unix time, newest ms, highest ms, …], …]``; no event, no sample."""
        events = as_list(await commands.execute("LATENCY", "LATEST"))
        if events is None:
            return [Unreadable("LATENCY LATEST")]
        return list(_spikes(events))


def _spikes(events: list[Any]) -> Iterator[Sample | Unreadable]:
    seen: set[str] = set()
    for event in events:
        name, last, duration = _spike(as_list(event) or [])
        if name is None or name in seen:  # a series may stand on a page only once
            yield Unreadable("LATENCY LATEST/event")
            continue
        seen.add(name)
        yield LAST.take(last, name)
        yield DURATION.take(None if duration is None else duration / 1e3, name)


def _spike(event: list[Any]) -> tuple[str | None, int | None, int | None]:
    name, last, duration = [*event[:3], None, None, None][:3]
    return as_text(name), as_integer(last), as_integer(duration)


COLLECTOR = Latency()
