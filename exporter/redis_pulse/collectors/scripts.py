"""Custom values: Lua scripts that return names and numbers, ``{"orders:open", "41", "orders:late", "3"}``.

redis_script_values{target="cart",key="orders:open",filename="orders.lua"} 41
redis_script_result{target="cart",filename="orders.lua"} 1

A script is sent once and then called by its digest. EVAL_RO runs it if the server has that command, so it cannot write.
A failing script does not affect the other scripts, and its error is logged. A script may also define a metric with
its own name and labels:

shop_orders{target="cart",queue="mail",state="open"} 41
"""

import asyncio
from collections.abc import Iterable
from functools import cache, partial
from hashlib import sha1
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from redis_pulse.blocking import FILE_DEADLINE, FILES, NoThreadError
from redis_pulse.collectors.support.labels import label_value
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount, PositiveSeconds, ScriptFile, ScriptPaths, read_script
from redis_pulse.errors import (
    AuthError,
    KeyDeniedError,
    OperationTimeoutError,
    PermissionDeniedError,
    ProtocolError,
    RejectedError,
    SkippedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.metric import (
    CollectorFault,
    CollectorItem,
    MetricSpec,
    OverflowCount,
    Sample,
    UnreadableField,
    gauge,
    parse_number,
)
from redis_pulse.parse.reply import as_list, as_text
from redis_pulse.server_info import Server

VALUES = gauge("EVAL", "value", "script_values", "A value that a script returned.", labels=("key", "filename"))
RESULT = gauge(
    "EVAL",
    "result",
    "script_result",
    "Result of the newest run of a script. 1: values, 0: a failure or no number, 2: no values.",
    labels=("filename",),
)
ERROR = gauge(
    "EVAL",
    "error",
    "script_error",
    "1, with the reason, if the newest run of a script failed or returned something that is not a number.",
    labels=("filename", "reason"),
)
OK, FAILED, EMPTY = 1.0, 0.0, 2.0
#: Errors that concern the server or the exporter, not one script.
_NOT_THE_SCRIPT = (AuthError, PermissionDeniedError, RejectedError, SkippedError)


_NO_READ_ONLY_EVAL = (
    "the server has no EVAL_RO (Redis 7.0), and EVAL lets a script write: "
    "to allow that, set may_write of collectors.scripts"
)


class ScriptOptions(Options):
    """Settings of the collector ``scripts``."""

    files: ScriptPaths = Field(
        (),
        description="Lua scripts, UTF-8 text, read when the daemon starts. Each is a path or a mapping {file, metric, "
        "type, help, labels}. With a mapping, the values become that metric, and a key a:b is split into the labels.",
    )
    timeout: PositiveSeconds = Field(1.0, le=60, description="Maximum time to wait for a script.")
    may_write: bool = Field(
        default=False,
        description="Whether scripts may write; then EVAL runs them. Servers before 7.0 run scripts only so.",
    )
    max_values: PositiveCount = Field(
        100, le=10_000, description="Values of a script that have series; the others are only counted."
    )


#: Pairs of one reply that are read.
_MAX_PAIRS = 10_000


class _Script(NamedTuple):
    filename: str
    text: str
    digest: str


class ScriptCollector:
    """Sends EVAL_RO once, then EVALSHA_RO.

    It sends EVAL and EVALSHA only if scripts may write. So a server without the ``_RO`` commands, for example before
    Redis 7.0, runs no script unless ``may_write`` is set.
    """

    name: ClassVar[str] = "scripts"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (VALUES, RESULT, ERROR)
    options: ClassVar[type[ScriptOptions]] = ScriptOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("eval_ro", "evalsha_ro", "eval", "evalsha")

    def __init__(self) -> None:
        self._scripts: dict[str, _Script] = {}
        self._sent: set[tuple[str, str]] = set()  # run id of the server, digest of the script

    def for_target(self) -> Self:
        """Return a new collector, which remembers the scripts that the server of one target has."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which runs no scripts."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: ScriptOptions) -> Iterable[CollectorItem]:
        """Run all scripts, one after the other."""
        items: list[CollectorItem] = []
        for one in options.files:
            filename, custom = (one, None) if isinstance(one, str) else (one.file, one)
            try:
                reply = await self._run(filename, server, commands, options)
            except NoThreadError as error:
                raise SkippedError(str(error)) from None
            except OSError as error:
                # TimeoutError is a subclass of OSError.
                timed_out = isinstance(error, TimeoutError)
                reason = OperationTimeoutError.reason if timed_out else TargetError.reason
                text = f"not done within {options.timeout:g} s" if timed_out else f"its file: {error.strerror}"
                items += _failure(filename, reason, text)
            except UnknownCommandError as error:
                if options.may_write:
                    raise
                raise UnknownCommandError(_NO_READ_ONLY_EVAL) from error
            except TargetError as error:
                if not isinstance(error, KeyDeniedError) and (error.unavailable or isinstance(error, _NOT_THE_SCRIPT)):
                    raise
                items += _failure(filename, error.reason, str(error))
            else:
                items += _parse_reply(reply, filename, options.max_values, custom)
        return list(_without_duplicates(items))

    async def _run(self, filename: str, server: Server, commands: Commands, options: ScriptOptions) -> Any:
        """Return the reply of a script. Raises TargetError, OSError and NoThreadError."""
        if filename not in self._scripts:
            self._scripts[filename] = await FILES.run(
                ("script", filename), partial(_load, filename), within=FILE_DEADLINE
            )
        script = self._scripts[filename]
        async with asyncio.timeout(options.timeout):
            return await self._evaluate("" if options.may_write else "_RO", script, server, commands)

    async def _evaluate(self, suffix: str, script: _Script, server: Server, commands: Commands) -> Any:
        """Call a script by its digest, or send its text if the server does not have it. Raises TargetError."""
        key = (server.run_id, script.digest)
        if key in self._sent:
            try:
                return await commands.execute(f"EVALSHA{suffix}", script.digest, 0)
            except TargetError as error:
                if "no matching script" not in str(error).lower():
                    raise
                self._sent.discard(key)  # the server flushed or evicted it
        reply = await commands.execute(f"EVAL{suffix}", script.text, 0)
        self._sent.add(key)
        return reply


def _load(filename: str) -> _Script:
    text = read_script(Path(filename))
    return _Script(filename, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _failure(filename: str, reason: str, text: str, result: float = FAILED) -> list[CollectorItem]:
    name = label_value(filename)
    return [RESULT.sample(result, name), ERROR.sample(1, name, reason), CollectorFault(name, reason, text)]


def _parse_reply(reply: Any, filename: str, limit: int, custom: ScriptFile | None = None) -> Iterable[CollectorItem]:
    """Read ``[key, value, key, value, …]``. A value is an integer, or text with a number."""
    parts = [] if reply is None else as_list(reply)
    if parts is None or len(parts) % 2:
        problem = "a list of odd length" if parts else "no list"
        text = f"it returned {problem} instead of {{name, number, name, number, …}}"
        return [*_failure(filename, ProtocolError.reason, text), UnreadableField("EVAL")]
    beyond = max(0, len(parts) // 2 - _MAX_PAIRS)
    parts = parts[: 2 * _MAX_PAIRS]
    pairs = {as_text(key): value for key, value in zip(parts[::2], parts[1::2], strict=True)}
    items: list[CollectorItem] = []
    bad = 0
    for key, content in list(pairs.items())[:limit]:
        value = _parse_value(content)
        sample = None if key is None or value is None else _sample(key, value, filename, custom)
        if sample is None:
            bad += 1
            items.append(UnreadableField("EVAL/value"))
        else:
            items.append(sample)
    if len(pairs) > limit or beyond:
        items.append(OverflowCount("EVAL/key", max(0, len(pairs) - limit) + beyond))
    if not bad:
        return [RESULT.sample(OK if pairs else EMPTY, label_value(filename)), *items]
    good = min(len(pairs), limit) - bad
    # The number ``bad`` is not in the text: it may differ in each poll, and each new text is logged.
    text = "some values cannot be used: not a number, or a key that does not fit the labels"
    return [*_failure(filename, ProtocolError.reason, text, OK if good else FAILED), *items]


def _sample(key: str, value: float, filename: str, custom: ScriptFile | None) -> Sample | None:
    """Return the sample of a value, or None if the metric cannot have it.

    The parts of the key must match the labels in number, and a counter must not be negative.
    """
    if custom is None:
        return VALUES.sample(value, label_value(key), label_value(filename))
    metric = _custom_metric(*custom.family)
    parts = key.split(":", max(0, len(custom.labels) - 1)) if custom.labels else []
    if len(parts) != len(custom.labels) or (metric.kind == "counter" and value < 0):
        return None
    return metric.sample(value, *map(label_value, parts))


@cache
def _custom_metric(name: str, kind: Literal["gauge", "counter"], text: str, labels: tuple[str, ...]) -> MetricSpec:
    """Return the metric that a script defines: one for all targets, because a page has one family per metric."""
    return MetricSpec(kind, "EVAL", name, name, text, labels=labels, prefix="")


def _without_duplicates(items: Iterable[CollectorItem]) -> Iterable[CollectorItem]:
    """Replace a second sample with the same labels by an unreadable field. Two scripts may return the same metric."""
    seen: set[tuple[MetricSpec, tuple[str, ...]]] = set()
    for item in items:
        if isinstance(item, Sample):
            if (item.metric, item.labels) in seen:
                yield UnreadableField("EVAL/key")
                continue
            seen.add((item.metric, item.labels))
        yield item


def _parse_value(value: Any) -> float | None:
    text = str(value) if type(value) is int else as_text(value)
    try:
        return None if text is None else parse_number(text)
    except ValueError:
        return None


COLLECTOR = ScriptCollector()
