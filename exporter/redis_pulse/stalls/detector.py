"""Finds the stalls of one target in the outcomes of its pings. Plain state and times, no I/O.

A stall begins at the due time of the first ping that waited for ``threshold`` or timed out. It ends when the first
reply in time after it arrives. A target that cannot be reached is an outage, which
is no stall. A lost connection ends a stall.

    overdue(due, now)    a ping still waits; returns the episode if one begins
    observe(outcome)     a ping has ended; returns the episode if one ends
    late_reply(…)        the reply to a ping that timed out; a longer wait than its deadline was measured
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from redis_pulse.stalls.evidence import EndedBy

#: Errors that a server sends instead of PONG while it is busy with something else.
_ANSWERS: dict[str, EndedBy] = {"loading": "loading", "busy": "busy"}
_TIMEOUT = "timeout"
#: Outcomes that say nothing about the target.
_OURS = ("skipped", "rejected")


class PingOutcome(NamedTuple):
    """How a ping ended: with ``seconds``, or with the ``reason`` of a failure. Times are monotonic seconds."""

    due: float
    at: float
    seconds: float | None
    reason: str | None = None
    #: Whether its PING was sent.
    was_sent: bool = True
    kernel_clock: bool = True


@dataclass(slots=True)
class Episode:
    """One stall. ``seconds`` is the longest wait that was measured in it, and ``ended`` is None while it lasts."""

    started: float
    seconds: float = 0.0
    #: The due time of the ping that waited longest.
    longest_started: float | None = None
    #: When the newest wait ended. The episode itself ends with the next reply in time, which may be much later.
    waited_until: float = -math.inf
    slow: int = 0
    timeouts: int = 0
    ended: float | None = None
    ended_by: EndedBy = "unknown"
    kernel_clock: bool = True

    @property
    def longest_end(self) -> float:
        """When the longest wait ended."""
        return (self.started if self.longest_started is None else self.longest_started) + self.seconds

    def measure(self, due: float, seconds: float) -> None:
        """Record a wait."""
        self.waited_until = max(self.waited_until, due + seconds)
        if seconds > self.seconds:
            self.seconds, self.longest_started = seconds, due


class StallDetector:
    """Keeps the stall that a target is in, if any. ``threshold`` is in seconds."""

    __slots__ = ("_answer", "_threshold", "_unanswered", "running")

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self.running: Episode | None = None
        self._answer: EndedBy | None = None
        #: The due time of the oldest ping that timed out and has no reply yet.
        self._unanswered: float | None = None

    def overdue(self, due: float, now: float) -> Episode | None:
        """Record that a ping still waits. Return the episode that begins with it, or None."""
        begun = self._begin(due) if self.running is None else None
        if self.running is not None:
            self.running.measure(due, now - due)
        return begun

    def observe(self, outcome: PingOutcome) -> Episode | None:
        """Record the end of a ping. Return the episode that ends with it, or None."""
        reason = outcome.reason
        if reason is None:
            return self._on_reply(outcome)
        if reason in _OURS or not outcome.was_sent:
            return None
        if reason == _TIMEOUT:
            episode = self.running or self._begin(outcome.due)
            episode.timeouts += 1
            episode.measure(outcome.due, outcome.at - outcome.due)
            if self._unanswered is None:
                self._unanswered = outcome.due
            return None
        if (answer := _ANSWERS.get(reason)) is not None:
            episode = self.running or self._begin(outcome.due)
            episode.slow += 1
            self._answer = answer
            episode.measure(episode.started, outcome.at - episode.started)
            return None
        return self._on_loss(outcome)

    def late_reply(self, due: float, seconds: float) -> None:
        """Record the whole wait of a ping that had timed out."""
        if self.running is not None:
            self._measure_unanswered(self.running, due + seconds)
            self.running.measure(due, seconds)

    def _measure_unanswered(self, episode: Episode, at: float) -> None:
        """Record the wait of a ping without a reply, at the first sign of life of the server.

        A connection that is silent for long is replaced. The replies to its pings never come.
        """
        if self._unanswered is not None:
            episode.measure(self._unanswered, at - self._unanswered)
            self._unanswered = None

    def end(self, at: float, ended_by: EndedBy = "unknown") -> Episode | None:
        """End the running episode without a reply. Return it, or None."""
        episode, self.running = self.running, None
        if episode is not None:
            episode.ended, episode.ended_by = at, ended_by
        return episode

    def _begin(self, due: float) -> Episode:
        self.running, self._answer, self._unanswered = Episode(due), None, None
        return self.running

    def _on_reply(self, outcome: PingOutcome) -> Episode | None:
        seconds = outcome.seconds or 0.0
        if self.running is not None:
            self._measure_unanswered(self.running, outcome.at)
        if seconds >= self._threshold:
            episode = self.running or self._begin(outcome.due)
            episode.slow += 1
            if seconds > episode.seconds:
                episode.kernel_clock = outcome.kernel_clock
            episode.measure(outcome.due, seconds)
            return None
        ended = self.end(outcome.at, self._answer or "reply")
        if ended is not None and not ended.slow and not ended.timeouts:
            return None  # its ping was answered in time: only our own event loop was late
        return ended

    def _on_loss(self, outcome: PingOutcome) -> Episode | None:
        """End the episode with the connection. A ping that waited until then was slow."""
        waited = outcome.at - outcome.due
        if self.running is not None and waited >= self._threshold:
            self.running.slow += 1
            self.running.measure(outcome.due, waited)
        if self.running is not None:
            self._measure_unanswered(self.running, outcome.at)
        return self.end(outcome.at, "reset")
