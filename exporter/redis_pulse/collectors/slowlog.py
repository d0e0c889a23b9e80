"""Number of entries in the slow log, and its newest entry (SLOWLOG).

redis_slowlog_length{target="cart"} 12
redis_last_slow_execution_duration_seconds{target="cart"} 0.012071
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_integer, as_list
from redis_pulse.server_info import Server

LENGTH = gauge("SLOWLOG LEN", "length", "slowlog_length", "Entries in the slow log.")
LAST_ID = gauge("SLOWLOG GET", "id", "slowlog_last_id", "Id of the newest slow log entry, 0 if the log is empty.")
LAST_DURATION = gauge(
    "SLOWLOG GET",
    "duration",
    "last_slow_execution_duration_seconds",
    "Execution time of the newest slow log entry, 0 if the log is empty.",
)


class SlowLogCollector(Stateless):
    """Request the length of the slow log and only its newest entry."""

    name: ClassVar[str] = "slowlog"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (LENGTH, LAST_ID, LAST_DURATION)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("slowlog|len", "slowlog|get")

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: all other servers have a slow log."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read both replies."""
        length = as_integer(await commands.execute("SLOWLOG", "LEN"))
        newest = as_list(await commands.execute("SLOWLOG", "GET", 1))
        return [LENGTH.sample_or_unreadable(length), *_newest_samples(newest)]


def _newest_samples(entries: list[Any] | None) -> Iterator[Sample | UnreadableField]:
    """Read ``[[id, unix time, microseconds, [word, …], client, name]]``."""
    if entries == []:
        yield LAST_ID.sample(0.0)
        yield LAST_DURATION.sample(0.0)
        return
    entry = (as_list(entries[0]) if entries else None) or []
    entry_id, _, duration = [*map(as_integer, entry[:3]), None, None, None][:3]
    yield LAST_ID.sample_or_unreadable(entry_id)
    yield LAST_DURATION.sample_or_unreadable(None if duration is None else duration / 1e6)


COLLECTOR = SlowLogCollector()
