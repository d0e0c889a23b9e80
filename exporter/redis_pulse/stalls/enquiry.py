"""Asks a server why it was slow, while it still is: it answers with its first breath.

Questions have their own deadline, and neither a failed ping nor the breaker cancels them. A command that the server
denies or lacks is evidence that is missing. That is remembered, so it is not sent again at each stall.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from redis_pulse.commands import UNSUPPORTED, Args
from redis_pulse.errors import PermissionDeniedError, TargetError
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.stalls.evidence import SlowEntry, parse_slow_log
from redis_pulse.stalls.snapshots import INFO_EVERYTHING, INFO_SECTIONS, RawSnapshot

#: Enquiries that run at once, over all targets.
MAX_ENQUIRIES: Final = 20
#: Seconds after which a denied command is sent again, because an operator may grant it.
DENIED_FOR: Final = 300.0
#: Source of evidence → its command. INFO is sent in the form that the server knows.
QUESTIONS: Final[dict[str, Args]] = {
    "slowlog": ("SLOWLOG", "GET", 32),
    "commandlog": ("COMMANDLOG", "GET", 32, "slow"),
    "latency": ("LATENCY", "LATEST"),
    "latency_threshold": ("CONFIG", "GET", "latency-monitor-threshold"),
}
#: The commands of an enquiry in the notation of ACLs, by source.
ACL_COMMANDS: Final = {
    "info": "info",
    "slowlog": "slowlog|get",
    "commandlog": "commandlog|get",
    "latency": "latency|latest",
    "latency_threshold": "config|get",
}
#: An inline command with an open quote: refused before any command runs, even while clients are paused.
_MALFORMED = b'"\r\n'
#: Seconds in which a fresh connection must be made, and the malformed command refused, by a server that runs.
_FRESH_TIMEOUT = 0.25
#: Characters of a command that a record shows with ``stalls.show_commands``, and how many commands.
_SHOWN_CHARACTERS, _SHOWN_COMMANDS = 128, 3


class Ask(Protocol):
    """Sends commands at once, and returns their replies within ``within`` seconds. Error replies are values."""

    async def __call__(self, commands: Sequence[Args], within: float) -> list[Any]:
        """Return one reply for each command. Raises TargetError when there is no reply."""
        ...


class EnquirySlots:
    """Limits the enquiries that run at once."""

    __slots__ = ("_free",)

    def __init__(self, limit: int = MAX_ENQUIRIES) -> None:
        self._free = limit

    def take(self) -> bool:
        """Take a slot. Return False if all are taken."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Return a slot."""
        self._free += 1


@dataclass(slots=True)
class Answers:
    """What a server answered. Replies are raw; a source that is missing has its reason."""

    info: RawSnapshot | None = None
    replies: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Questioner:
    """Asks one target, and remembers what it denies or lacks. ``clock`` is monotonic, in seconds."""

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._refused: dict[str, tuple[str, float]] = {}  # source → (reason, until)
        self._info: Args = INFO_SECTIONS

    async def snapshot(self, within: float) -> RawSnapshot | None:
        """Return a short INFO and the newest number of the slow log, or None if INFO is refused."""
        sources = [source for source in ("info", "slowlog") if self.refusal(source) is None]
        commands = [self._info if source == "info" else ("SLOWLOG", "GET", 1) for source in sources]
        if "info" not in sources:
            return None
        replies = dict(zip(sources, await self._ask(commands, within), strict=True))
        at = self._clock()
        raw = self._read("info", replies["info"], {})
        entries = self._read("slowlog", replies.get("slowlog"), {})
        return RawSnapshot(at, raw, newest_number(entries)) if isinstance(raw, bytes) else None

    async def enquire(self, within: float) -> Answers:
        """Ask everything at once. Raises TargetError if there is no reply."""
        answers = Answers()
        sources: list[str] = []
        for source in ("info", *QUESTIONS):
            if source == "commandlog" and self.refusal("slowlog") is None:
                continue  # it has the same entries
            if (reason := self.refusal(source)) is None:
                sources.append(source)
            else:
                answers.missing[source] = reason
        commands = [QUESTIONS.get(source, self._info) for source in sources]
        replies = await self._ask(commands, within)
        at = self._clock()
        for source, reply in zip(sources, replies, strict=True):
            value = self._read(source, reply, answers.missing)
            if source != "info":
                answers.replies[source] = value
            elif isinstance(value, bytes):
                answers.info = RawSnapshot(at, value)
        return answers

    def refusal(self, source: str) -> str | None:
        """Return why a source is not asked, or None if it is."""
        reason, until = self._refused.get(source, ("", 0.0))
        return reason if self._clock() < until else None

    def _read(self, source: str, reply: Any, missing: dict[str, str]) -> Any:
        """Return a reply, or None for an error, which is remembered."""
        if not isinstance(reply, TargetError):
            return reply
        reason = "denied" if isinstance(reply, PermissionDeniedError) else reply.reason
        if source == "info" and self._info is INFO_SECTIONS and not isinstance(reply, PermissionDeniedError):
            self._info = INFO_EVERYTHING  # before Redis 7
        elif isinstance(reply, PermissionDeniedError):
            self._refused[source] = (reason, self._clock() + DENIED_FOR)
        elif isinstance(reply, UNSUPPORTED):
            reason = "unknown command"
            self._refused[source] = (reason, self._clock() + 10 * DENIED_FOR)
        missing[source] = reason
        return None


def newest_number(entries: Any) -> int | None:
    """Return the number of the newest entry of a slow log: -1 without entries, None if it cannot be read."""
    rows = as_list(entries)
    if rows is None:
        return None
    return -1 if not rows else as_integer((as_list(rows[0]) or [None])[0])


def new_entries(reply: Any, before: int | None, since: float, own_name: str) -> tuple[SlowEntry, ...] | None:
    """Return the new entries of a slow log, without those of the exporter. Return None without a slow log.

    New is what has a number above ``before``. Numbers that went back tell nothing. Then, and without ``before``, new
    is what is not older than ``since``, in Unix time of the server.
    """
    rows = as_list(reply)
    if rows is None:
        return None
    kept = [row for row in rows if not _is_own(row, own_name)]
    newest = newest_number(reply)
    entries = parse_slow_log(kept)
    if before is None or newest is None or newest < before:
        return tuple(entry for entry in entries if entry.started >= since - 1)
    return tuple(entry for entry in entries if entry.id > before)


def _is_own(row: Any, own_name: str) -> bool:
    parts = as_list(row) or []
    return len(parts) > 5 and (as_text(parts[5]) or "") == own_name


def shown_commands(reply: Any, entries: Sequence[SlowEntry]) -> list[str]:
    """Return the slowest of these entries with their arguments, for ``stalls.show_commands``."""
    slowest = {entry.id for entry in sorted(entries, key=lambda entry: -entry.seconds)[:_SHOWN_COMMANDS]}
    shown = []
    for row in as_list(reply) or []:
        parts = as_list(row) or []
        if len(parts) > 3 and as_integer(parts[0]) in slowest:
            words = [(as_text(word) or "?")[:_SHOWN_CHARACTERS] for word in (as_list(parts[3]) or [])[:8]]
            shown.append(" ".join(words)[:_SHOWN_CHARACTERS])
    return shown


async def try_fresh_connection(peer: tuple[int, Any]) -> tuple[bool, bool]:
    """Connect to an address family and address, and send a malformed command.

    Return whether the connection was made at once, and whether the command was refused at once.
    """
    loop = asyncio.get_running_loop()
    family, address = peer
    connected = False
    with socket.socket(family, socket.SOCK_STREAM) as sock, suppress(OSError):
        sock.setblocking(False)
        async with asyncio.timeout(_FRESH_TIMEOUT):
            await loop.sock_connect(sock, address)
        connected = True
        async with asyncio.timeout(_FRESH_TIMEOUT):
            await loop.sock_sendall(sock, _MALFORMED)
            return True, (await loop.sock_recv(sock, 256)).startswith(b"-")
    return connected, False
