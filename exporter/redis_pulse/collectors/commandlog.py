"""The command log of Valkey 8.1 and later: slow commands, large requests, large replies (COMMANDLOG).

redis_commandlog_slow_length{target="cart"} 12
redis_commandlog_entries_total{target="cart",log="large-reply"} 41

Each log keeps only its newest entries, by default 128. ``redis_commandlog_entries_total`` counts all entries that were
ever written. The server reports a threshold of -1 if it is disabled.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Self

from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.config import Options
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, UnreadableField, counter, gauge, usec
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text
from redis_pulse.server_info import COMMANDLOG, Server


def _threshold_seconds(text: str) -> float | None:
    """Convert microseconds to seconds; return None for -1, which disables the log."""
    value = usec(text)
    return None if value is None or value < 0 else value


# fmt: off
ENTRIES = counter("COMMANDLOG GET", "id", "commandlog_entries_total", "Entries written to a log since the server started.", labels=("log",))
#: Settings of the logs: CONFIG GET commandlog-*.
SETTING_METRICS = (
    gauge("CONFIG GET", "commandlog-execution-slower-than", "commandlog_execution_slower_than", "Execution time in microseconds above which a command is logged, -1 if no command is logged."),
    gauge("CONFIG GET", "commandlog-execution-slower-than", "commandlog_execution_slower_than_seconds", "Execution time above which a command is logged; absent if no command is logged.", _threshold_seconds),
    gauge("CONFIG GET", "commandlog-slow-execution-max-len", "commandlog_slow_execution_max_len", "Maximum number of entries in the log of slow commands."),
    gauge("CONFIG GET", "commandlog-request-larger-than", "commandlog_request_larger_than", "Size in bytes above which a request is logged, -1 if no request is logged."),
    gauge("CONFIG GET", "commandlog-large-request-max-len", "commandlog_large_request_max_len", "Maximum number of entries in the log of large requests."),
    gauge("CONFIG GET", "commandlog-reply-larger-than", "commandlog_reply_larger_than", "Size in bytes above which a reply is logged, -1 if no reply is logged."),
    gauge("CONFIG GET", "commandlog-large-reply-max-len", "commandlog_large_reply_max_len", "Maximum number of entries in the log of large replies."),
)


class CommandLogKind(NamedTuple):
    """One of the three logs, with the metrics of its length and of the size in its newest entry."""

    name: str
    length: MetricSpec
    newest_size: MetricSpec | None


LOGS = (
    CommandLogKind("slow", gauge("COMMANDLOG LEN", "slow", "commandlog_slow_length", "Entries in the log of slow commands."), None),  # the collector slowlog publishes the newest slow command
    CommandLogKind("large-request", gauge("COMMANDLOG LEN", "large-request", "commandlog_large_request_length", "Entries in the log of large requests."),
        gauge("COMMANDLOG GET", "large-request", "commandlog_last_large_request_bytes", "Size of the newest request in the log of large requests; absent while the log is empty.")),
    CommandLogKind("large-reply", gauge("COMMANDLOG LEN", "large-reply", "commandlog_large_reply_length", "Entries in the log of large replies."),
        gauge("COMMANDLOG GET", "large-reply", "commandlog_last_large_reply_bytes", "Size of the newest reply in the log of large replies; absent while the log is empty.")),
)
# fmt: on
_REQUESTS: tuple[Args, ...] = (
    *[("COMMANDLOG", "LEN", log.name) for log in LOGS],
    *[("COMMANDLOG", "GET", 1, log.name) for log in LOGS],
    ("CONFIG", "GET", "commandlog-*"),
)


class CommandLogCollector:
    """Read the length, the newest entry and the settings of each log."""

    name: ClassVar[str] = "commandlog"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(log.length for log in LOGS),
        ENTRIES,
        *(log.newest_size for log in LOGS if log.newest_size),
        *SETTING_METRICS,
    )
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("commandlog|len", "commandlog|get", "config|get")

    def __init__(self) -> None:
        #: Log → entries ever written by the server with this run_id. The server does not report them for an empty log.
        self._entries: dict[str, float] = {}
        self._run_id = ""
        #: the server that allows COMMANDLOG
        self._allowed: tuple[str, ...] = ()

    def for_target(self) -> Self:
        """Return a copy. It remembers the number of entries while a log is empty."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return whether the server has COMMANDLOG, and is not a Sentinel."""
        return server.has(COMMANDLOG) and server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return all commands. The first poll of a server has only the first one, because it may be denied."""
        return _REQUESTS if server.identity == self._allowed else _REQUESTS[:1]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read the replies, without those that the server denies. Raise TargetError if it denies the first command."""
        self._allowed = ()
        first = await commands.execute(*_REQUESTS[0])
        self._allowed = server.identity
        replies = [first, *await commands.pipeline(_REQUESTS[1:])]
        for reply in replies:
            if isinstance(reply, TargetError) and not isinstance(reply, UNSUPPORTED):
                raise reply
        if server.run_id != self._run_id:
            self._entries, self._run_id = {}, server.run_id
        items: list[CollectorItem] = []
        for log, length, entries in zip(LOGS, replies[:3], replies[3:6], strict=True):
            items.append(log.length.sample_or_unreadable(as_integer(length)))
            if not isinstance(entries, TargetError):
                items += self._newest_samples(log, as_list(entries))
        if not isinstance(replies[6], TargetError):
            items += _setting_samples(replies[6])
        return items

    def _newest_samples(self, log: CommandLogKind, entries: list[Any] | None) -> Iterator[CollectorItem]:
        """Read ``[[id, unix time, microseconds or bytes, [word, …], client, name]]``; ids start at 0."""
        if entries == []:
            yield ENTRIES.sample(self._entries.get(log.name, 0.0), log.name)
            return
        entry = (as_list(entries[0]) if entries else None) or []
        entry_id, _, measured = [*map(as_integer, entry[:3]), None, None, None][:3]
        if entry_id is not None:
            self._entries[log.name] = entry_id + 1.0
        yield ENTRIES.sample_or_unreadable(None if entry_id is None else entry_id + 1, log.name)
        if log.newest_size is not None:
            yield log.newest_size.sample_or_unreadable(measured)


def _setting_samples(reply: Any) -> Iterator[CollectorItem]:
    settings = as_map(reply)
    if settings is None:
        yield UnreadableField("CONFIG GET")
        return
    for metric in SETTING_METRICS:
        text = as_text(settings.get(metric.field))
        if text is not None and (item := metric.parse(text)) is not None:
            yield item


COLLECTOR = CommandLogCollector()
