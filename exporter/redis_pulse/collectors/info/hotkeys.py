"""The state of the search for hot keys in INFO (HOTKEYS START; Redis 8.6 and later). The exporter never starts it.

redis_hotkeys_tracking_active{target="cart"} 1

Its field ``used_memory`` has the name of the most important field of the section Memory. So this section is read here,
and never merged with others.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterator, Mapping

from redis_pulse.metric import CollectorItem, MetricSpec, counter, gauge, msec

_SECTION = "Hotkeys"
# fmt: off
HOTKEYS: tuple[MetricSpec, ...] = (
    gauge(_SECTION, "tracking_active", "hotkeys_tracking_active", "1 while the server searches for hot keys (HOTKEYS START; Redis 8.6 and later)."),
    gauge(_SECTION, "used_memory", "hotkeys_memory_used_bytes", "Bytes used by the search for hot keys (Redis 8.6 and later)."),
    counter(_SECTION, "cpu_time", "hotkeys_cpu_seconds_total", "CPU time used by the search for hot keys (Redis 8.6 and later).", msec),
)
# fmt: on


def read_hotkeys(section: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    """Read the section Hotkeys."""
    for metric in HOTKEYS:
        yield metric.parse(section.get(metric.field, ""))
