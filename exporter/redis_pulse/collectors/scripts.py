"""Values of your own: Lua scripts that return names and numbers, ``{"orders:open", "41", "orders:late", "3"}``.

redis_script_values{target="cart",key="orders:open",filename="orders.lua"} 41
redis_script_result{target="cart",filename="orders.lua"} 1

A script is sent once (EVAL_RO, which cannot write, where the server has it), then called by its digest. One that fails
costs only itself, and the log says why. A script may give a metric of its own, with its own labels:

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
    "How the newest run of a script ended: 1 it returned values, 0 it failed or gave no number, 2 it returned none.",
    labels=("filename",),
)
ERROR = gauge(
    "EVAL",
    "error",
    "script_error",
    "1, with the reason, for a script whose newest run failed, or returned something that is no number.",
    labels=("filename", "reason"),
)
OK, FAILED, EMPTY = 1.0, 0.0, 2.0
#: What concerns the server, or us, and not the script.
_NOT_THE_SCRIPT = (AuthError, PermissionDeniedError, RejectedError, SkippedError)


class ScriptOptions(Options):
    """Which scripts."""

    files: ScriptPaths = Field(
        (),
        description="Lua scripts, read when the daemon starts; UTF-8 text. Each is a path, or a mapping {file, metric, "
        "type, help, labels}: its values are a metric of that name then, and the labels are the parts of a key a:b.",
    )
    timeout: PositiveSeconds = Field(1.0, le=60, description="How long a script is waited for.")
    may_write: bool = Field(default=False, description="Whether scripts may write: they are run by EVAL then.")
    max_values: PositiveCount = Field(
        100, le=10_000, description="So many values of a script have series; the others are only counted."
    )


class _Script(NamedTuple):
    filename: str
    text: str
    digest: str


class ScriptCollector:
    """EVAL_RO once, then EVALSHA_RO; without the ``_RO`` where a server is older than them, or scripts may write."""

    name: ClassVar[str] = "scripts"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (VALUES, RESULT, ERROR)
    options: ClassVar[type[ScriptOptions]] = ScriptOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("eval_ro", "evalsha_ro", "eval", "evalsha")

    def __init__(self) -> None:
        self._scripts: dict[str, _Script] = {}
        self._known: set[tuple[str, str]] = set()  # run id, digest

    def for_target(self) -> Self:
        """Return a collector that remembers which scripts the server of one target has."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel runs scripts."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: ScriptOptions) -> Iterable[CollectorItem]:
        """Run every script, one after the other."""
        found: list[CollectorItem] = []
        for one in options.files:
            filename, own = (one, None) if isinstance(one, str) else (one.file, one)
            try:
                if filename not in self._scripts:
                    self._scripts[filename] = await FILES.run(
                        ("script", filename), partial(_load, filename), within=FILE_DEADLINE
                    )
                async with asyncio.timeout(options.timeout):
                    reply = await self._run(self._scripts[filename], server, commands, options)
            except NoThreadError as error:
                raise SkippedError(str(error)) from None
            except OSError as error:
                # A timeout is an OSError too.
                timed_out = isinstance(error, TimeoutError)
                reason = OperationTimeoutError.reason if timed_out else TargetError.reason
                text = f"not done within {options.timeout:g} s" if timed_out else f"its file: {error.strerror}"
                found += _failed(filename, reason, text)
            except TargetError as error:
                if not isinstance(error, KeyDeniedError) and (error.unavailable or isinstance(error, _NOT_THE_SCRIPT)):
                    raise
                found += _failed(filename, error.reason, str(error))
            else:
                found += _values(reply, filename, options.max_values, own)
        return list(_once(found))

    async def _run(self, script: _Script, server: Server, commands: Commands, options: ScriptOptions) -> Any:
        if not options.may_write:
            try:
                return await self._ask("_RO", script, server, commands)
            except UnknownCommandError:
                pass  # a server before 7.0
        return await self._ask("", script, server, commands)

    async def _ask(self, suffix: str, script: _Script, server: Server, commands: Commands) -> Any:
        known = (server.run_id, script.digest)
        if known in self._known:
            try:
                return await commands.execute(f"EVALSHA{suffix}", script.digest, 0)
            except TargetError as error:
                if "no matching script" not in str(error).lower():
                    raise
                self._known.discard(known)  # flushed, or evicted
        reply = await commands.execute(f"EVAL{suffix}", script.text, 0)
        self._known.add(known)
        return reply


def _load(filename: str) -> _Script:
    text = read_script(Path(filename))
    return _Script(filename, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _failed(filename: str, reason: str, text: str, result: float = FAILED) -> list[CollectorItem]:
    name = label_value(filename)
    return [RESULT.sample(result, name), ERROR.sample(1, name, reason), CollectorFault(name, reason, text)]


def _values(reply: Any, filename: str, most: int, own: ScriptFile | None = None) -> Iterable[CollectorItem]:
    """Read ``[key, value, key, value, …]``, where a value is an integer or text that is a number."""
    items = [] if reply is None else as_list(reply)
    if items is None or len(items) % 2:
        what = "a list of an odd length" if items else "no list"
        text = f"it returned {what}, and not {{name, number, name, number, …}}"
        return [*_failed(filename, ProtocolError.reason, text), UnreadableField("EVAL")]
    pairs = {as_text(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
    found: list[CollectorItem] = []
    bad = 0
    for key, value in list(pairs.items())[:most]:
        read = _number(value)
        sample = None if key is None or read is None else _sample(key, read, filename, own)
        if sample is None:
            bad += 1
            found.append(UnreadableField("EVAL/value"))
        else:
            found.append(sample)
    if len(pairs) > most:
        found.append(OverflowCount("EVAL/key", len(pairs) - most))
    if not bad:
        return [RESULT.sample(OK if pairs else EMPTY, label_value(filename)), *found]
    read_well = min(len(pairs), most) - bad
    # Without their number: it may differ at each poll, and each other text is a line of the log.
    text = "some values cannot be used: no number, or a key that does not fit the labels"
    return [*_failed(filename, ProtocolError.reason, text, OK if read_well else FAILED), *found]


def _sample(key: str, value: float, filename: str, own: ScriptFile | None) -> Sample | None:
    """Return the sample of a value; None when its key has not as many parts as there are labels, or it is below 0."""
    if own is None:
        return VALUES.sample(value, label_value(key), label_value(filename))
    row, parts = _row(*own.family), key.split(":", max(0, len(own.labels) - 1)) if own.labels else []
    if len(parts) != len(own.labels) or (row.kind == "counter" and value < 0):
        return None
    return row.sample(value, *map(label_value, parts))


@cache
def _row(name: str, kind: Literal["gauge", "counter"], text: str, labels: tuple[str, ...]) -> MetricSpec:
    """Return the row of a metric that an operator named: one for all targets, as the page wants it."""
    return MetricSpec(kind, "EVAL", name, name, text, labels=labels, prefix="")


def _once(found: Iterable[CollectorItem]) -> Iterable[CollectorItem]:
    """Leave out what would be a second series with the same labels: two scripts may give the same metric."""
    seen: set[tuple[MetricSpec, tuple[str, ...]]] = set()
    for one in found:
        if isinstance(one, Sample):
            if (one.metric, one.labels) in seen:
                yield UnreadableField("EVAL/key")
                continue
            seen.add((one.metric, one.labels))
        yield one


def _number(value: Any) -> float | None:
    text = str(value) if type(value) is int else as_text(value)
    try:
        return None if text is None else parse_number(text)
    except ValueError:
        return None


COLLECTOR = ScriptCollector()
