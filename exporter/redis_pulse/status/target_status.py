"""The state of one target: what it is, since when, and what it was before.

It follows the results of pings, stalls and polls. The cost of a ping of a quiet target is about a microsecond.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from redis_pulse.circuit_breaker import State
from redis_pulse.errors import LoadingError, OperationTimeoutError, RejectedError, SkippedError, TargetError
from redis_pulse.status.events import EventLog, TargetEvents
from redis_pulse.status.history import Hour
from redis_pulse.status.risks import Risk
from redis_pulse.status.states import TROUBLE, WORDS, TargetState

#: Seconds for which a target is ``recovered`` after trouble.
RECOVERED = 900.0
#: Seconds in which two outages make a target unsteady, and in which two stalls make it slow.
UNSTEADY_WINDOW, STALL_WINDOW = 300.0, 900.0
#: Share of the recent pings that failed, or that were slower than the objective.
MAX_FAILED_SHARE = MAX_SLOW_SHARE = 0.01
#: So many slow pings are needed, because the first minute has only a few pings.
MIN_SLOW = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the newest ping failed. ``text`` is safe to show."""

    reason: str
    text: str
    #: whether a connection stands all the same
    is_connected: bool


class TargetStatus:
    """The state of one target. Times are Unix time. ``wall`` returns it."""

    __slots__ = (
        *(
            "_events",
            "_fail_starts",
            "_is_overdue",
            "_objective",
            "_role",
            "_stalls",
            "_trouble_ended",
            "_uptime",
            "_wall",
        ),
        *("failure", "hour", "last_trouble", "limited", "name", "owner", "risks", "since", "since_start", "state"),
        *("breaker", "replied_before", "connected_since", "has_connection", "slow_command"),
    )

    def __init__(self, name: str, objective: float, events: EventLog, wall: Callable[[], float]) -> None:
        now = wall()
        self._wall, self._events, self._objective = wall, events, objective
        self.name, self.owner = name, TargetEvents(name)
        self.hour = Hour(int(now // 60))
        self.state: TargetState = "starting"
        self.since = now
        #: whether the state lasts since the exporter began to watch
        self.since_start = True
        self.failure: Failure | None = None
        #: whether the pings have a connection; the owner of the prober sets it
        self.has_connection: Callable[[], bool] = lambda: False
        self.risks: Sequence[Risk] = ()
        #: whether a collector fails, or the samples are too old
        self.limited = False
        #: the state that ended last, and why: for ``recovered``
        self.last_trouble: tuple[TargetState, str, float] | None = None
        self.breaker: State = "closed"
        self.replied_before = False
        self.connected_since: float | None = None
        self._trouble_ended: float | None = None
        self._is_overdue = False
        self.slow_command: tuple[str, float] | None = None
        self._role = ""
        self._uptime: float | None = None
        #: the beginnings of the last two outages, and the ends of the last two stalls
        self._fail_starts = self._stalls = (-math.inf, -math.inf)
        self.hour.set_state("starting", is_new_minute=True)

    def configure(self, objective: float) -> None:
        """Use the settings of a reload. The history goes on."""
        self._objective = objective

    def on_probe(self, seconds: float | None, error: TargetError | None) -> None:
        """Record the result of a ping. A ping that was skipped on our side says nothing about the target."""
        if isinstance(error, SkippedError):
            return
        now = self._wall()
        minute = int(now // 60)
        is_new_minute = self.hour.advance(minute)
        if is_new_minute:
            self.hour.set_state(self.state, is_new_minute=True)
        if error is None:
            is_slow = seconds is not None and seconds > self._objective
            self.hour.add(minute, seconds, is_slow=is_slow, closed=self.breaker == "closed")
            is_news = is_slow or is_new_minute or self.failure is not None or self._is_overdue
            if self.connected_since is None:
                self.connected_since = now
            self.failure, self._is_overdue = None, False
            if is_news or not self.replied_before:
                self.replied_before = True
                self._judge(now)
            return
        self.hour.add(minute, None, reason=error.reason, closed=self.breaker == "closed")
        self._failed(now, error)
        self._judge(now)

    def on_overdue(self) -> None:
        """Record that a ping waits for longer than the threshold of a stall."""
        if not self._is_overdue:
            self._is_overdue = True
            self._judge(self._wall())

    def on_stall(self, ended: float, text: str) -> None:
        """Record a stall that has ended."""
        self._stalls = (self._stalls[1], ended)
        self._events.add(self.owner, self._wall(), "stall", text)
        self._judge(self._wall())

    def on_polled(self, risks: Sequence[Risk], *, limited: bool) -> None:
        """Record what a poll has shown."""
        if (tuple(risks), limited) != (self.risks, self.limited):
            self.risks, self.limited = tuple(risks), limited
            self._judge(self._wall())

    def on_slow_command(self, command: str, seconds: float | None) -> None:
        """Record the newest entry of the slow log: the name of the command, and never its arguments."""
        self.slow_command = (command, seconds or 0.0)

    def on_server(self, role: str, uptime: float | None) -> None:
        """Record what the server says about itself: its role, and the seconds since its start."""
        if self._role and role and role != self._role:
            self.add_event("server", f"the role changed from {self._role} to {role}")
        if uptime is not None and self._uptime is not None and uptime < self._uptime:
            self.add_event("server", "the server restarted: its uptime began again")
        self._role, self._uptime = role or self._role, uptime if uptime is not None else self._uptime

    def breaker_changed(self, old: State, new: State) -> None:
        """Record a change of the circuit breaker. A trial that fails is no event, because it repeats."""
        self.breaker = new
        if "closed" in (old, new):
            self.add_event("breaker", "the circuit breaker opened" if old == "closed" else "the circuit breaker closed")

    def add_event(self, kind: str, text: str) -> None:
        """Record that something happened now."""
        self._events.add(self.owner, self._wall(), kind, text)

    def forget(self) -> None:
        """Drop the events of this target."""
        self._events.forget(self.owner)

    def _failed(self, now: float, error: TargetError) -> None:
        """Record why a ping failed. An error of a ping that was not tried repeats an older one, so that one stays."""
        is_connected = self.has_connection()
        if not is_connected:
            self.connected_since = None
        if self.failure is None:
            self._fail_starts = (self._fail_starts[1], now)
        elif isinstance(error, RejectedError) or not error.was_tried:
            self.failure = replace(self.failure, is_connected=is_connected)
            return
        is_first = self.failure is None
        self.failure = Failure(error.reason, str(error), is_connected)
        if is_first and self.state == "stalled":  # it was too short for an event until now
            self._events.add(self.owner, now, "state", self._text(), "stalled")

    def _judge(self, now: float) -> None:
        """Find the state, and record a change."""
        state = self._current(now)
        if state == self.state:
            return
        before, self.state = self.state, state
        began = before == "starting"
        if before in TROUBLE:
            self.last_trouble = (before, self._why_it_ended(), self.since)
        self.since = now
        self.since_start = began and state != "starting"
        self.hour.set_state(state)
        if not (began and state == "ok") and not (state == "stalled" and self.failure is None):
            self._events.add(self.owner, now, "state", self._text(), state)

    def _current(self, now: float) -> TargetState:
        found = self._trouble(now)
        if found is not None:
            self._trouble_ended = None
            return found
        if not self.replied_before:
            return "starting"
        if self.state in TROUBLE:
            self._trouble_ended = now
        if self._trouble_ended is not None and now - self._trouble_ended < RECOVERED:
            return "recovered"
        return "limited" if self.limited else "ok"

    def _trouble(self, now: float) -> TargetState | None:
        if self.failure is not None:
            if self.failure.reason == LoadingError.reason and not self.replied_before:
                return None
            is_silent = self.failure.reason == OperationTimeoutError.reason and self.failure.is_connected
            return "stalled" if is_silent else "down"
        if self._is_overdue:
            return "stalled"
        return self._recent_trouble(now) or ("risk" if self.risks else None)

    def _recent_trouble(self, now: float) -> TargetState | None:
        """Return what the pings and the stalls of the last minutes show."""
        recent = self.hour.recent()
        is_often = now - self._fail_starts[0] < UNSTEADY_WINDOW
        if is_often and recent.failed >= 2 and recent.failed >= MAX_FAILED_SHARE * recent.count:
            return "unsteady"
        has_slow_pings = recent.slow >= MIN_SLOW and recent.slow > MAX_SLOW_SHARE * recent.count
        has_stalls = now - self._stalls[0] < STALL_WINDOW
        return "slow" if has_slow_pings or has_stalls else None

    def _text(self) -> str:
        if self.failure is not None:
            is_terse = self.failure.text.startswith("[Errno")  # the reason says the same
            return self.failure.reason if is_terse else f"{self.failure.reason}: {self.failure.text}"
        if self.state == "risk":
            return ", ".join(risk.key for risk in self.risks)
        if self.state == "recovered" and self.last_trouble is not None:
            return f"it was {WORDS[self.last_trouble[0]]}"
        texts = {
            "slow": "replies take longer than the objective",
            "unsteady": "pings fail again and again",
            "limited": "a collector fails",
            "ok": "all is well",
        }
        return texts.get(self.state, "")

    def _why_it_ended(self) -> str:
        return "" if self.failure is None else self.failure.text


class StatusRegistry:
    """The states of all targets, and the events of the exporter itself."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.events = EventLog()
        self._own = TargetEvents("")
        self._targets: dict[str, TargetStatus] = {}

    def watch(self, name: str, objective: float) -> TargetStatus:
        """Return the state of a target. It is new if the target was not watched before."""
        status = self._targets.get(name)
        if status is None:
            status = self._targets[name] = TargetStatus(name, objective, self.events, self._wall)
        status.configure(objective)
        return status

    def get(self, name: str) -> TargetStatus | None:
        """Return the state of a target, or None if it is not watched."""
        return self._targets.get(name)

    def forget(self, name: str) -> None:
        """Forget a target that is not monitored any more."""
        if (status := self._targets.pop(name, None)) is not None:
            status.forget()

    def own_event(self, kind: str, text: str, *, is_bad: bool = False) -> None:
        """Record an event of the exporter itself."""
        self.events.add(self._own, self._wall(), kind, text, "down" if is_bad else None)
