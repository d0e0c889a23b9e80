"""A short INFO once a second, kept as bytes: the state just before a stall, and the usual rates."""

from typing import Final, NamedTuple

from redis_pulse.commands import Args
from redis_pulse.stalls.evidence import Snapshot, parse_snapshot

#: The sections that the causes read. Before Redis 7, INFO takes one section only, so all are read.
INFO_SECTIONS: Final[Args] = ("INFO", "server", "clients", "persistence", "stats", "cpu", "commandstats", "debug")
INFO_EVERYTHING: Final[Args] = ("INFO", "all")
#: Seconds after which the older snapshot, for the usual rates, is replaced.
_OLDER_AGE = 15.0
#: A longer reply is not kept: a thousand targets keep three each.
MAX_BYTES = 32768


class RawSnapshot(NamedTuple):
    """The reply to INFO, and when it arrived, in monotonic seconds."""

    at: float
    raw: bytes
    #: The number of the newest entry of the slow log: -1 without entries, None if unknown.
    slow_number: int | None = None

    def parse(self) -> Snapshot:
        """Return the parsed snapshot."""
        return parse_snapshot(self.raw, self.at)


class SnapshotHistory:
    """The newest snapshot, the one before, and an older one."""

    __slots__ = ("_newest", "_older", "_previous")

    def __init__(self) -> None:
        self._newest: RawSnapshot | None = None
        self._previous: RawSnapshot | None = None
        self._older: RawSnapshot | None = None

    def add(self, snapshot: RawSnapshot) -> None:
        """Keep a snapshot."""
        if len(snapshot.raw) > MAX_BYTES:
            snapshot = snapshot._replace(raw=snapshot.raw[:MAX_BYTES].rpartition(b"\r\n")[0])
        previous = self._newest
        if previous is not None and (self._older is None or snapshot.at - self._older.at > 2 * _OLDER_AGE):
            self._older = previous
        self._previous, self._newest = previous, snapshot

    def before(self, moment: float) -> RawSnapshot | None:
        """Return the newest snapshot that arrived before ``moment``, or None."""
        return next((kept for kept in (self._newest, self._previous, self._older) if kept and kept.at <= moment), None)

    def earlier(self, than: RawSnapshot) -> RawSnapshot | None:
        """Return the oldest snapshot before ``than``, or None."""
        return next((kept for kept in (self._older, self._previous) if kept and kept.at < than.at), None)

    def clear(self) -> None:
        """Forget all snapshots, because the server may be another one."""
        self._newest = self._previous = self._older = None
