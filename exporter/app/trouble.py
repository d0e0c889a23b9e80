"""What we say of a target whose pings fail: one line when it begins, one when it is over, with its length.

The words say what was seen. A server that does not answer on a connection that holds is ``not answering``; it is not
``lost``.
"""

from dataclasses import dataclass, field

from exporter.app.lines import Lines
from exporter.errors import (
    AuthError,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    MaxClientsError,
    NameResolutionError,
    OperationTimeoutError,
    RejectedError,
    TargetError,
    TlsError,
    UnreachableError,
)
from exporter.prober import Outcome

CONNECTED, LOST, CANNOT_CONNECT = "connected", "lost", "cannot connect"
SILENT, ERRORS, ANSWERING = "not answering", "answering with errors", "answering again"
#: Seconds for which a further reason must hold before it is told: a server that restarts shows several.
HOLDS = 5.0
#: Errors by which there is no connection, or not for us.
_BROKEN = (
    AuthError,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    MaxClientsError,
    NameResolutionError,
    TlsError,
    UnreachableError,
)
_KIND = "probe"


@dataclass(slots=True)
class _Episode:
    """A time in which no ping succeeded."""

    since: float
    #: whether the connection broke, or could not be made
    broke: bool = False
    told: set[str] = field(default_factory=set)
    #: the newest reason that was not told, and since when it holds
    next: str = ""
    next_since: float = 0.0


class Trouble:
    """Follows the pings of one target."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._was_up = False
        self._episode: _Episode | None = None
        #: whether a connection was ever made
        self.was_connected = False

    @property
    def is_told(self) -> bool:
        """Whether the newest ping failed, and a line has said so."""
        return self._episode is not None

    def probed(self, outcome: Outcome) -> None:
        """Take note of how a ping ended; an open breaker is no news."""
        if outcome.error is None:
            self._answered(outcome)
        elif not isinstance(outcome.error, RejectedError):
            self._failed(outcome, outcome.error)

    def _answered(self, outcome: Outcome) -> None:
        episode, self._episode = self._episode, None
        if self._was_up and episode is None:
            return
        fields = {"latency_ms": round((outcome.seconds or 0.0) * 1000, 3)}
        if episode is not None:
            fields["seconds"] = round(outcome.at - episode.since, 3)
        event = CONNECTED if not self._was_up or episode is None or episode.broke else ANSWERING
        self._was_up = True
        self._lines.tell(_KIND, "info", event, **fields)

    def _failed(self, outcome: Outcome, error: TargetError) -> None:
        event, reason = self._word(error), error.reason
        episode = self._episode
        begins = episode is None
        if episode is None:
            episode = self._episode = _Episode(outcome.due)
        episode.broke |= event in (LOST, CANNOT_CONNECT)
        if reason in episode.told:
            episode.next = ""
            return
        if reason != episode.next:
            episode.next, episode.next_since = reason, outcome.at
        if begins or outcome.at - episode.next_since >= HOLDS:
            episode.told.add(reason)
            self._lines.tell(_KIND, "warning", event, reason=reason, error=str(error))

    def _word(self, error: TargetError) -> str:
        if isinstance(error, OperationTimeoutError):
            return SILENT if self.was_connected else CANNOT_CONNECT
        if not isinstance(error, _BROKEN):
            return ERRORS
        return LOST if self._was_up else CANNOT_CONNECT
