"""Asks a server why it was slow, while it still is: it answers with its first breath.

Questions have their own deadline, and neither a failed ping nor the breaker cancels them. A command that the server
denies or lacks is evidence that is missing. That is remembered, so it is not sent again at each stall.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

from redis_pulse.commands import UNSUPPORTED, Args
from redis_pulse.errors import PermissionDeniedError, TargetError
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.stalls.evidence import MAX_LATENCY_EVENTS, MAX_LATENCY_SPIKES, SlowEntry, parse_slow_log
from redis_pulse.stalls.flood import TokenBucket
from redis_pulse.stalls.snapshots import INFO_EVERYTHING, INFO_SECTIONS, RawSnapshot

#: Enquiries that run at once, over all targets.
MAX_ENQUIRIES: Final = 20
#: Enquiries per second in a flood of stalls, over all targets, and how many may come at once before.
ENQUIRIES_PER_SECOND, BURST = 5.0, 50
#: Seconds after which a denied command is sent again, because an operator may grant it.
DENIED_FOR: Final = 300.0
#: Source of evidence → its command. INFO is sent in the form that the server knows.
QUESTIONS: Final[dict[str, Args]] = {
    "slowlog": ("SLOWLOG", "GET", 32),
    "commandlog": ("COMMANDLOG", "GET", 32, "slow"),
    "latency": ("LATENCY", "LATEST"),
    "latency_threshold": ("CONFIG", "GET", "latency-monitor-threshold"),
}
#: Events whose history is read: those of which the newest spike is not the greatest one. And spikes of each.
_MAX_HISTORIES = 3
_MAX_SPIKES = MAX_LATENCY_SPIKES // _MAX_HISTORIES
_EVENT = re.compile(r"[a-z][a-z0-9-]{0,31}")
#: The commands of an enquiry in the notation of ACLs, by source.
ACL_COMMANDS: Final = {
    "info": "info",
    "slowlog": "slowlog|get",
    "commandlog": "commandlog|get",
    "latency": "latency|latest",
    "latency_history": "latency|history",
    "latency_threshold": "config|get",
}
#: Replies to INFO that polls received during one stall, and bytes of each.
_MAX_POLLED, _MAX_INFO = 2, 65536
#: Characters of a command that a record shows with ``stalls.show_commands``, and how many commands.
_SHOWN_CHARACTERS, _SHOWN_COMMANDS = 128, 3


#: How INFO of a Sentinel differs. The same address may be another server later.
_SENTINEL: Final = b"redis_mode:sentinel"


class Ask(Protocol):
    """Sends commands at once, and returns their replies within ``within`` seconds. Error replies are values."""

    async def __call__(self, commands: Sequence[Args], within: float) -> list[Any]:
        """Return one reply for each command. Raises TargetError when there is no reply."""
        ...


#: Does the same without a task, if an idle connection allows it. Returns False if it does not. Otherwise it passes the
#: replies on, or None if there are none.
Glance = Callable[[Sequence[Args], float, Callable[[list[Any] | None], None]], bool]


class EnquirySlots:
    """Limits the enquiries that run at once, and those per second. So a flood of stalls costs little CPU time."""

    __slots__ = ("_free", "_on_refused", "_tokens")

    def __init__(
        self,
        limit: int = MAX_ENQUIRIES,
        clock: Callable[[], float] = monotonic,
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._free = limit
        self._on_refused = on_refused
        self._tokens = TokenBucket(ENQUIRIES_PER_SECOND, BURST, clock)

    def take(self) -> bool:
        """Take a slot. Return False if all are taken, or if there were too many in the last seconds."""
        if self._free <= 0 or not self._tokens.take():
            self._on_refused()
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

    def availability(self) -> Iterator[tuple[str, bool]]:
        """Yield each source that was queried or is known to be refused, and whether it is available."""
        if self.info is not None:
            yield "info", True
        for source in dict.fromkeys((*self.replies, *self.missing)):
            if source in ACL_COMMANDS:
                yield source, source not in self.missing


class Questioner:
    """Asks one target, and remembers what it denies or lacks. ``clock`` is monotonic, in seconds."""

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._refused: dict[str, tuple[str, float]] = {}  # source → (reason, until)
        self._info: Args = INFO_SECTIONS
        #: Whether the server is a Sentinel, which has none of the logs; None until its first INFO.
        self._is_sentinel: bool | None = None

    async def snapshot(self, within: float) -> RawSnapshot | None:
        """Return a short INFO and the newest number of the slow log, or None if INFO is refused."""
        commands = self._snapshot_commands()
        return self._snapshot(await self._ask(commands, within)) if commands else None

    def glance(self, send: Glance, within: float, on_end: Callable[[RawSnapshot | None], None]) -> bool:
        """Do what ``snapshot`` does through ``send``. Return False if nothing was sent."""
        commands = self._snapshot_commands()
        return bool(commands) and send(
            commands, within, lambda replies: on_end(None if replies is None else self._snapshot(replies))
        )

    def _snapshot_commands(self) -> list[Args]:
        """Return INFO, and the newest entry of the slow log if there may be one. Return none if INFO is refused."""
        if self.refusal("info") is not None:
            return []
        has_log = self._is_sentinel is False and self.refusal("slowlog") is None
        return [self._info, ("SLOWLOG", "GET", 1)] if has_log else [self._info]

    def _snapshot(self, replies: Sequence[Any]) -> RawSnapshot | None:
        """Read the replies to ``_snapshot_commands``."""
        at = self._clock()
        raw = self._read("info", replies[0], {})
        entries = self._read("slowlog", replies[1], {}) if len(replies) > 1 else None
        if isinstance(raw, bytes):
            self._is_sentinel = _SENTINEL in raw
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
        await self._add_history(answers, within)
        return answers

    async def _add_history(self, answers: Answers, within: float) -> None:
        """Add earlier spikes of events whose newest spike may hide a greater one. The answer is complete without."""
        names = _hidden_events(answers.replies.get("latency"))
        if not names:
            return
        if (reason := self.refusal("latency_history")) is not None:
            answers.missing["latency_history"] = reason
            return
        try:
            replies = await self._ask([("LATENCY", "HISTORY", name) for name in names], within)
        except TargetError as error:
            answers.missing["latency_history"] = error.reason
            return
        for name, reply in zip(names, replies, strict=True):
            spikes = as_list(self._read("latency_history", reply, answers.missing)) or []
            rows = [[name, *spike[:2]] for item in spikes[-_MAX_SPIKES:] if (spike := as_list(item))]
            answers.replies["latency"] = [*answers.replies["latency"], *rows]
        answers.replies["latency_history"] = names

    def refusal(self, source: str) -> str | None:
        """Return why a source is not asked, or None if it is."""
        if self._is_sentinel and source != "info":
            return "a Sentinel has none"
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


def _hidden_events(latest: Any) -> list[str]:
    """Return the events of LATENCY LATEST whose newest spike is smaller than their greatest one, the newest first."""
    hidden: list[tuple[int, str]] = []
    for item in (as_list(latest) or [])[:MAX_LATENCY_EVENTS]:
        name, at, newest, greatest = [*(as_list(item) or []), None, None, None, None][:4]
        text, numbers = as_text(name) or "", [as_integer(number) for number in (at, newest, greatest)]
        if _EVENT.fullmatch(text) and (numbers[0] is not None) and (numbers[1] or 0) < (numbers[2] or 0):
            hidden.append((numbers[0], text))
    return [name for _, name in sorted(hidden, reverse=True)[:_MAX_HISTORIES]]


class PolledReplies:
    """Replies of polls that arrived during a stall. They are evidence too, also if the enquiry gets no answer."""

    __slots__ = ("_info", "_replies")

    def __init__(self) -> None:
        self._info: list[RawSnapshot] = []
        self._replies: dict[str, tuple[Args, Any]] = {}

    def add(self, args: Args, reply: Any, at: float) -> None:
        """Keep the reply to a command of a poll, if it is one that an enquiry sends too."""
        words = tuple(str(word).upper() for word in args[:2])
        if words[0] == "INFO":
            # Other forms of INFO have no times of commands, or no CPU time.
            if isinstance(reply, bytes) and b"cmdstat_" in reply and b"used_cpu_" in reply:
                self._info = [*self._info, RawSnapshot(at, reply[:_MAX_INFO])][-_MAX_POLLED:]
        elif words == ("LATENCY", "LATEST"):
            self._replies["latency"] = args, reply
        elif words == ("SLOWLOG", "GET"):
            before = self._replies.get("slowlog")
            if before is None or len(as_list(reply) or ()) >= len(as_list(before[1]) or ()):
                self._replies["slowlog"] = args, reply

    def complete(self, answers: Answers, longest_end: float, number: int | None) -> Answers:
        """Return the answers with what they lack. ``number`` is the newest one of the slow log before the stall."""
        replies, missing, info = dict(answers.replies), dict(answers.missing), answers.info
        polled = next((one for one in self._info if one.at >= longest_end), None)
        if polled is not None and (info is None or info.at < longest_end or polled.at < info.at):
            info = polled
            missing.pop("info", None)
        for source, (args, reply) in self._replies.items():
            is_whole = source != "slowlog" or _has_all(reply, args, number)
            if replies.get(source) is None and as_list(reply) is not None and is_whole:
                replies[source] = reply
                missing.pop(source, None)
        return Answers(info, replies, missing)


def _has_all(reply: Any, args: Args, number: int | None) -> bool:
    """Return whether a reply to SLOWLOG GET reaches back to the entry with this number."""
    rows, wanted = as_list(reply) or [], as_integer(args[2]) if len(args) > 2 else None
    if wanted is not None and len(rows) < wanted:
        return True
    oldest = as_integer((as_list(rows[-1]) or [None])[0]) if rows else None
    return number is not None and oldest is not None and oldest <= number + 1


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
