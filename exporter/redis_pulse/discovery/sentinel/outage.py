"""Time without a master, as a client finds it. Pure.

A client is sent to a master by the Sentinels and asks it once a probe interval: that is our own probe of the target
``…/master``, which follows the Sentinels.
"""

from typing import NamedTuple

from redis_pulse.discovery.base import ProbeStatus


class OutageDelta(NamedTuple):
    """Seconds without a master since the last look; how long it all took, when the master has moved and answers."""

    seconds: float = 0.0
    failover: float | None = None


NOTHING = OutageDelta()
#: Seconds for which a target may be away: one that moves is away for a moment.
UNWATCHED_AFTER = 5.0


class MasterOutage:
    """Of one master."""

    def __init__(self) -> None:
        #: since when there is none; None while the master answers
        self.since: float | None = None
        self._counted = 0.0
        self._moved = False
        self._away_since: float | None = None

    def moved(self, now: float, old: ProbeStatus | None, silent_since: float | None) -> None:
        """Take note that clients are sent to another server now, ``old`` being how the one so far does.

        Clients of one that still answers were served until now. When our probe has not asked it since it fell silent,
        the Sentinels know better since when (``silent_since``).
        """
        if self.since is not None:
            self._moved = True
            return
        if old is None:  # it is not watched here
            return
        self._moved, self.since = True, now
        if old.silent_since is not None:
            self.since = min(now, old.silent_since)
        elif old.answered is not None and silent_since is not None:
            self.since = min(now, max(old.answered, silent_since))
        self._counted = self.since

    def update(self, now: float, address: str, feeling: ProbeStatus | None) -> OutageDelta:
        """Return what has passed since the last look; ``address`` is where clients are sent."""
        if feeling is None:
            self._away_since = now if self._away_since is None else self._away_since
            if now - self._away_since >= UNWATCHED_AFTER:  # it is not watched here any more, so nothing can be said
                self.since, self._moved = None, False
            return NOTHING
        self._away_since = None
        accepted = feeling.address == address and serves_as_master(feeling)
        if self.since is None:
            if accepted or not feeling.is_tried or feeling.address != address:
                return NOTHING
            # One that answers and takes no writes was found out just now.
            self.since = now if feeling.up or feeling.silent_since is None else feeling.silent_since
            self._counted = self.since
        passed = now - self._counted
        self._counted = now
        if not accepted:
            return OutageDelta(passed)
        whole = now - self.since if self._moved else None
        self.since, self._moved = None, False
        return OutageDelta(passed, whole)


def serves_as_master(feeling: ProbeStatus) -> bool:
    """Whether a server serves as a master: it answers our probe, and does not call itself a replica.

    Just after a move it was not probed yet, but asked for its INFO, in which it may have called itself a master.
    Whoever denies us INFO is taken for what the Sentinels say.
    """
    if feeling.is_tried:
        return feeling.up and feeling.role != "slave"
    return feeling.role == "master"
