"""Measure the time without a master, as a client experiences it. Pure.

The model client lets the Sentinels send it to a master, and sends one request per probe interval. The probe of the
target ``…/master`` does the same: this target follows the Sentinels.

``source`` shows the states and their transitions.
"""

from typing import NamedTuple

from redis_pulse.discovery.base import ProbeStatus


class OutageDelta(NamedTuple):
    """What happened since the last check."""

    #: seconds without a master since the last check
    seconds: float = 0.0
    #: seconds of the whole failover; only if a new master serves since this check, and else None
    failover_seconds: float | None = None


NO_DELTA = OutageDelta()
#: Seconds without a watched target after which an outage ends unmeasured. A target that moves is away for a moment.
UNWATCHED_AFTER = 5.0


class MasterOutage:
    """The current outage of one master, if any."""

    def __init__(self) -> None:
        #: start of the outage; None while a master serves
        self.since: float | None = None
        self._counted_until = 0.0
        self._has_moved = False
        self._unwatched_since: float | None = None

    def master_moved(self, now: float, old: ProbeStatus | None, silent_since: float | None) -> None:
        """Record that the Sentinels send clients to another server now; ``old`` is the status of the former one.

        A former master that still replies served its clients until now. If it fell silent after our last probe, the
        Sentinels know the time better: ``silent_since``.
        """
        if self.since is not None:
            self._has_moved = True
            return
        if old is None:  # this exporter does not watch the master
            return
        self._has_moved, self.since = True, now
        if old.silent_since is not None:
            self.since = min(now, old.silent_since)
        elif old.last_reply_at is not None and silent_since is not None:
            self.since = min(now, max(old.last_reply_at, silent_since))
        self._counted_until = self.since

    def update(self, now: float, address: str, status: ProbeStatus | None) -> OutageDelta:
        """Return what happened since the last call; the Sentinels send clients to ``address``."""
        if status is None:
            self._unwatched_since = now if self._unwatched_since is None else self._unwatched_since
            if now - self._unwatched_since >= UNWATCHED_AFTER:  # nothing is known about the master any more
                self._end()
            return NO_DELTA
        self._unwatched_since = None
        is_accepted = status.address == address and serves_as_master(status)
        if self.since is None:
            if is_accepted or not status.was_probed or status.address != address:
                return NO_DELTA
            # The role of a server that replies has just been read, so the outage starts now.
            self.since = now if status.up or status.silent_since is None else status.silent_since
            self._counted_until = self.since
        seconds = now - self._counted_until
        self._counted_until = now
        if not is_accepted:
            return OutageDelta(seconds)
        failover_seconds = now - self.since if self._has_moved else None
        self._end()
        return OutageDelta(seconds, failover_seconds)

    def _end(self) -> None:
        self.since, self._has_moved = None, False


def serves_as_master(status: ProbeStatus) -> bool:
    """Return whether a server serves as a master: it replies to our probe, and does not report itself a replica.

    Just after a move, no probe of the server has ended yet. Then it must have reported the role of a master in INFO. A
    server that denies INFO to our user has no known role. Once it replies to a probe, the Sentinels are believed.
    """
    if status.was_probed:
        return status.up and status.role != "slave"
    return status.role == "master"
