"""The command log of Valkey 8.1 and later: commands that were slow, requests that were large, replies that were large.

redis_commandlog_slow_length{target="cart"} 12
redis_commandlog_entries_total{target="cart",log="large-reply"} 41

The logs hold their newest entries only, 128 unless configured: how often something was logged is what entries_total
says. With thresholds that were turned off the server says -1.
"""
# ruff: noqa: E501 - a row is one line

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Self

from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config import Options
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, UnreadableField, counter, gauge, usec
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.server_info import Server


def _microseconds(text: str) -> float | None:
    value = usec(text)
    return None if value is None or value < 0 else value  # -1: nothing is logged


# fmt: off
ENTRIES = counter("COMMANDLOG GET", "id", "commandlog_entries_total", "Entries that were ever written into a log since the server started.", labels=("log",))
#: What CONFIG GET commandlog-* says, by parameter.
LIMITS = (
    gauge("CONFIG GET", "commandlog-execution-slower-than", "commandlog_execution_slower_than", "Execution time in microseconds above which a command is logged, -1 when none is."),
    gauge("CONFIG GET", "commandlog-execution-slower-than", "commandlog_execution_slower_than_seconds", "Execution time above which a command is logged; absent when none is.", _microseconds),
    gauge("CONFIG GET", "commandlog-slow-execution-max-len", "commandlog_slow_execution_max_len", "Entries that the log of slow commands holds at most."),
    gauge("CONFIG GET", "commandlog-request-larger-than", "commandlog_request_larger_than", "Size in bytes above which a request is logged, -1 when none is."),
    gauge("CONFIG GET", "commandlog-large-request-max-len", "commandlog_large_request_max_len", "Entries that the log of large requests holds at most."),
    gauge("CONFIG GET", "commandlog-reply-larger-than", "commandlog_reply_larger_than", "Size in bytes above which a reply is logged, -1 when none is."),
    gauge("CONFIG GET", "commandlog-large-reply-max-len", "commandlog_large_reply_max_len", "Entries that the log of large replies holds at most."),
)


class CommandLogKind(NamedTuple):
    """One of the three logs: its name, how many entries it holds, and what its newest entry measured."""

    name: str
    length: MetricSpec
    newest: MetricSpec | None


LOGS = (
    CommandLogKind("slow", gauge("COMMANDLOG LEN", "slow", "commandlog_slow_length", "Entries in the log of slow commands."), None),  # see slowlog
    CommandLogKind("large-request", gauge("COMMANDLOG LEN", "large-request", "commandlog_large_request_length", "Entries in the log of large requests."),
        gauge("COMMANDLOG GET", "large-request", "commandlog_last_large_request_bytes", "Size of the newest request in the log of large requests; absent while the log is empty.")),
    CommandLogKind("large-reply", gauge("COMMANDLOG LEN", "large-reply", "commandlog_large_reply_length", "Entries in the log of large replies."),
        gauge("COMMANDLOG GET", "large-reply", "commandlog_last_large_reply_bytes", "Size of the newest reply in the log of large replies; absent while the log is empty.")),
)
# fmt: on
_VERSION = re.compile(r"(\d+)\.(\d+)")


class CommandLogCollector:
    """Ask for three lengths, three newest entries, and what is configured."""

    name: ClassVar[str] = "commandlog"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(log.length for log in LOGS),
        ENTRIES,
        *(log.newest for log in LOGS if log.newest),
        *LIMITS,
    )
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("commandlog|len", "commandlog|get", "config|get")

    def __init__(self) -> None:
        #: Entries ever written, by log, of the server with this run_id: an emptied log does not say.
        self._entries: dict[str, float] = {}
        self._run_id = ""

    def for_target(self) -> Self:
        """Return a copy: how many entries there were is remembered while a log is empty."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Valkey has it from 8.1 on; a Sentinel does not."""
        version = _VERSION.match(server.version)
        new = version is not None and (int(version[1]), int(version[2])) >= (8, 1)
        return new and server.software == "valkey" and server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read what was answered; what is not permitted is left out, unless nothing is."""
        first = await commands.execute("COMMANDLOG", "LEN", LOGS[0].name)
        asked: list[tuple[str | int | bytes, ...]] = [("COMMANDLOG", "LEN", log.name) for log in LOGS[1:]]
        asked += [("COMMANDLOG", "GET", 1, log.name) for log in LOGS]
        replies = [first, *await commands.pipeline([*asked, ("CONFIG", "GET", "commandlog-*")])]
        for reply in replies:
            if isinstance(reply, TargetError) and not isinstance(reply, UNSUPPORTED):
                raise reply
        if server.run_id != self._run_id:
            self._entries, self._run_id = {}, server.run_id
        found: list[CollectorItem] = []
        for log, length, entries in zip(LOGS, replies[:3], replies[3:6], strict=True):
            found.append(log.length.sample_or_unreadable(as_integer(length)))
            if not isinstance(entries, TargetError):
                found += self._newest(log, as_list(entries))
        if not isinstance(replies[6], TargetError):
            found += _limits(as_list(replies[6]))
        return found

    def _newest(self, log: CommandLogKind, entries: list[Any] | None) -> Iterator[CollectorItem]:
        """Read ``[[id, unix time, microseconds or bytes, [word, …], client, name]]``; ids count from 0."""
        if entries == []:
            yield ENTRIES.sample(self._entries.get(log.name, 0.0), log.name)
            return
        entry = as_list(entries[0]) if entries else None
        number, _, measured = [*map(as_integer, (entry or [])[:3]), None, None, None][:3]
        if number is not None:
            self._entries[log.name] = number + 1.0
        yield ENTRIES.sample_or_unreadable(None if number is None else number + 1, log.name)
        if log.newest is not None:
            yield log.newest.sample_or_unreadable(measured)


def _limits(pairs: list[Any] | None) -> Iterator[CollectorItem]:
    if pairs is None:
        yield UnreadableField("CONFIG GET")
        return
    said = dict(zip(map(as_text, pairs[::2]), map(as_text, pairs[1::2]), strict=False))
    for metric in LIMITS:
        text = said.get(metric.field)
        if text is not None and (found := metric.parse(text)) is not None:
            yield found


COLLECTOR = CommandLogCollector()
