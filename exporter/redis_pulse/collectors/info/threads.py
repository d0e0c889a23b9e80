"""The threads of a server in INFO: how busy each is (Valkey), and what each does (Redis).

redis_active_time_io_thread_seconds_total{target="cart",thread="1"} 0.5
redis_io_thread_reads_total{target="cart",thread="1"} 51
"""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterator, Mapping

from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, counter, gauge
from redis_pulse.parse.info import parse_pairs

_LABELS = ("thread",)
# fmt: off
ACTIVE_TIME = counter("CPU", "used_active_time_io_thread_N", "active_time_io_thread_seconds_total", "Time during which an I/O thread was busy (Valkey 9.1 and later).", labels=_LABELS)
#: Pair of an io_thread_N line → its metric.
THREAD_METRICS = {
    "clients": gauge("Threads", "io_thread_N:clients", "io_thread_clients", "Clients that a thread serves; thread 0 is the main thread (Redis 8.0 and later).", labels=_LABELS),
    "reads": counter("Threads", "io_thread_N:reads", "io_thread_reads_total", "Reads from client sockets by a thread (Redis 8.0 and later).", labels=_LABELS),
    "writes": counter("Threads", "io_thread_N:writes", "io_thread_writes_total", "Writes to client sockets by a thread (Redis 8.0 and later).", labels=_LABELS),
}
# fmt: on
THREADS: tuple[MetricSpec, ...] = (ACTIVE_TIME, *THREAD_METRICS.values())

_ACTIVE_TIME_FIELD = re.compile(r"used_active_time_io_thread_([0-9]{1,6})")
_THREAD_FIELD = re.compile(r"io_thread_([0-9]{1,6})")
#: Threads that have series. The limit of servers is 256.
_MAX_THREADS = 256


def read_threads(cpu: Mapping[str, str], threads: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    """Read the fields of I/O threads in the sections CPU and Threads."""
    for number, text in _numbered(cpu, _ACTIVE_TIME_FIELD):
        yield ACTIVE_TIME.parse(text, number) if number is not None else _overflow(ACTIVE_TIME, text)
    for number, text in _numbered(threads, _THREAD_FIELD):
        if number is None:
            yield _overflow(THREAD_METRICS["clients"], text)
            continue
        pairs = parse_pairs(text)
        if not THREAD_METRICS.keys() & pairs.keys():
            yield UnreadableField(THREAD_METRICS["clients"].location)
        for name, metric in THREAD_METRICS.items():
            yield metric.parse(pairs[name], number) if name in pairs else None


def _numbered(fields: Mapping[str, str], pattern: re.Pattern[str]) -> Iterator[tuple[str | None, str]]:
    """Yield the number and the text of each field of this pattern.

    Beyond ``_MAX_THREADS`` they are counted. Then the last pair is None and the count.
    """
    found = 0
    for field, text in fields.items():
        if (match := pattern.fullmatch(field)) is None:
            continue
        found += 1
        if found <= _MAX_THREADS:
            yield match[1], text
    if found > _MAX_THREADS:
        yield None, str(found - _MAX_THREADS)


def _overflow(metric: MetricSpec, count: str) -> OverflowCount:
    return OverflowCount(metric.location, int(count))
