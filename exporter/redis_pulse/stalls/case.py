"""One stall while it is examined: everything that was collected about it, and how that becomes evidence."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from redis_pulse.client.client_name import NAME
from redis_pulse.parse.reply import as_list, as_text, parse_uint
from redis_pulse.stalls.detector import Episode
from redis_pulse.stalls.enquiry import Answers, new_entries, shown_commands
from redis_pulse.stalls.evidence import EndedBy, Evidence, LatencyEvent, Snapshot, TcpSample, parse_latency
from redis_pulse.stalls.facts import Facts
from redis_pulse.stalls.snapshots import RawSnapshot

#: A reply that was held back for less says the same.
_HELD_SECONDS = 0.05


@dataclass(slots=True)
class StallCase:
    """An episode and what was collected about it. ``wall_offset`` added to monotonic seconds gives Unix time."""

    id: int
    episode: Episode
    wall_offset: float
    before: RawSnapshot | None
    earlier: RawSnapshot | None
    retransmits_before: int | None
    retransmits_after: int | None = None
    answers: Answers | None = None
    missing: dict[str, str] = field(default_factory=dict)
    tcp: list[TcpSample] = field(default_factory=list)
    connected: bool | None = None
    malformed_refused: bool | None = None
    enquiry: asyncio.Task[None] | None = None
    limit: asyncio.Timeout | None = None
    #: The evidence as JSON, as the record keeps it.
    stored: str = "{}"

    def evidence(self, threshold: float, lag_between: Callable[[float, float], float], now: float) -> Evidence:
        """Return the evidence as a record keeps it. So anyone can check the cause of a record again."""
        self.stored = self._evidence(threshold, lag_between, now).to_json()
        return Evidence.from_json(self.stored)

    def _evidence(self, threshold: float, lag_between: Callable[[float, float], float], now: float) -> Evidence:
        episode, answers = self.episode, self.answers or Answers()
        before = None if self.before is None else self.before.parse()
        after = None if answers.info is None else answers.info.parse()
        since = self._server_start(after)
        number = None if self.before is None else self.before.slow_number
        ended = episode.ended
        pair = as_list(answers.replies.get("latency_threshold")) or []
        return Evidence(
            started=episode.started,
            ended=ended,
            started_wall=episode.started + self.wall_offset,
            ended_wall=None if ended is None else ended + self.wall_offset,
            seconds=episode.seconds,
            longest_started=episode.longest_started,
            threshold=threshold,
            ended_by=_ended_by(episode, before, after),
            kernel_clock=episode.kernel_clock,
            loop_lag=lag_between(episode.started, now if ended is None else ended),
            earlier=None if self.earlier is None else self.earlier.parse(),
            before=before,
            after=after,
            slow_entries=new_entries(answers.replies.get("slowlog"), number, since, NAME),
            command_log=new_entries(answers.replies.get("commandlog"), None, since, NAME),
            latency_events=_new_events(answers.replies.get("latency"), since),
            latency_threshold=parse_uint(as_text(pair[1]) or "") if len(pair) > 1 else None,
            tcp=tuple(self.tcp),
            retransmits_before=self.retransmits_before,
            retransmits_after=self.retransmits_after,
            connected=self.connected,
            malformed_refused=self.malformed_refused,
            missing={**answers.missing, **self.missing},
        )

    def was_answered_early(self) -> bool:
        """Return whether the answers are of a time before the stall was over, though their reply came after it.

        A server sends the replies of one turn of its loop together. So a command of another client may have run between
        the answer and its arrival.
        """
        info = None if self.answers is None else self.answers.info
        if info is None or self.before is None:
            return False
        held = Facts(Evidence(before=self.before.parse(), after=info.parse())).reply_held
        return held >= max(_HELD_SECONDS, 0.1 * self.episode.seconds)

    def shown_commands(self, evidence: Evidence) -> list[str]:
        """Return the slowest commands with their arguments, for ``stalls.show_commands``."""
        reply = None if self.answers is None else self.answers.replies.get("slowlog")
        return shown_commands(reply, evidence.slow_entries or ())

    def _server_start(self, after: Snapshot | None) -> float:
        """Return when the episode began, in Unix time of the server. Its clock may be years off ours."""
        started = self.episode.started
        server_time = None if after is None else after.number("server_time_usec")
        if after is None or server_time is None:
            return started + self.wall_offset
        return server_time / 1e6 - (after.at - started)


def _ended_by(episode: Episode, before: Snapshot | None, after: Snapshot | None) -> EndedBy:
    """Return how the episode ended. A lost connection was a restart if the server is another process now."""
    if episode.ended_by != "reset" or before is None or after is None:
        return episode.ended_by
    old, new = before.text("run_id"), after.text("run_id")
    return "restart" if old is not None and new is not None and old != new else "reset"


def _new_events(reply: object, since: float) -> tuple[LatencyEvent, ...] | None:
    if as_list(reply) is None:
        return None
    return tuple(event for event in parse_latency(reply) if event.at >= since - 1)
