"""Values of your own: Lua scripts that return names and numbers, ``{"orders:open", "41", "orders:late", "3"}``.

redis_script_values{target="cart",key="orders:open",filename="orders.lua"} 41
redis_script_result{target="cart",filename="orders.lua"} 1

A script is sent once (EVAL_RO, which cannot write, where the server has it), then called by its digest. One that fails
costs only itself.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from exporter.blocking import FILE_DEADLINE, FILES
from exporter.collectors._text import label
from exporter.collectors.base import Commands
from exporter.config.keys import Field, Options, PositiveCount, PositiveSeconds, Scripts, read_script
from exporter.errors import AuthError, PermissionDeniedError, RejectedError, TargetError, UnknownCommandError
from exporter.metric import Found, Metric, Overflow, Unreadable, gauge, number
from exporter.parse.reply import as_list, as_text
from exporter.targets import Server

VALUES = gauge("EVAL", "value", "script_values", "A value that a script returned.", labels=("key", "filename"))
RESULT = gauge(
    "EVAL",
    "result",
    "script_result",
    "How the newest run of a script ended: 1 it returned values, 0 it failed, 2 it returned none.",
    labels=("filename",),
)
OK, FAILED, EMPTY = 1.0, 0.0, 2.0
#: What concerns the server, or us, and not the script.
_NOT_THE_SCRIPT = (AuthError, PermissionDeniedError, RejectedError)


class ScriptOptions(Options):
    """Which scripts."""

    files: Scripts = Field((), description="Paths of Lua scripts, read when the daemon starts; UTF-8 text.")
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
    metrics: ClassVar[tuple[Metric, ...]] = (VALUES, RESULT)
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

    async def collect(self, server: Server, commands: Commands, options: ScriptOptions) -> Iterable[Found]:
        """Run every script, one after the other."""
        found: list[Found] = []
        for filename in options.files:
            try:
                if filename not in self._scripts:
                    self._scripts[filename] = await FILES.run(
                        ("script", filename), partial(_load, filename), within=FILE_DEADLINE
                    )
                async with asyncio.timeout(options.timeout):
                    reply = await self._run(self._scripts[filename], server, commands, options)
            except (OSError, TimeoutError):
                found.append(RESULT.sample(FAILED, label(filename)))
            except TargetError as error:
                if error.unavailable or isinstance(error, _NOT_THE_SCRIPT):
                    raise
                found.append(RESULT.sample(FAILED, label(filename)))
            else:
                found += _values(reply, label(filename), options.max_values)
        return found

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


def _values(reply: Any, filename: str, most: int) -> Iterable[Found]:
    """Read ``[key, value, key, value, …]``, where a value is an integer or text that is a number."""
    items = [] if reply is None else as_list(reply)
    if items is None or len(items) % 2:
        return [RESULT.sample(FAILED, filename), Unreadable("EVAL")]
    pairs = {as_text(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
    found: list[Found] = [RESULT.sample(OK if pairs else EMPTY, filename)]
    for key, value in list(pairs.items())[:most]:
        read = _number(value)
        if key is None or read is None:
            found.append(Unreadable("EVAL/value"))
        else:
            found.append(VALUES.sample(read, label(key), filename))
    return [*found, Overflow("EVAL/key", len(pairs) - most)] if len(pairs) > most else found


def _number(value: Any) -> float | None:
    text = str(value) if type(value) is int else as_text(value)
    try:
        return None if text is None else number(text)
    except ValueError:
        return None


COLLECTOR = ScriptCollector()
